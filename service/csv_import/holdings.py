"""Holdings as brokers export them, brought to the template's columns by their headers.

Known are Schwab's and Fidelity's exports and any file whose headers are among the aliases. An average cost
may have more decimals than a price that somebody paid; it is kept to six.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal

from service.csv_import.errors import file_error
from service.csv_import.fields import CASH_PREFIX, COLUMNS, number, occ_symbol
from service.csv_import.reading import Record
from service.csv_import.rows import Row

PRICE_DECIMALS = 6
CONTRACT = 100  # shares
ALIASES = {
    "Symbol": ("symbol", "ticker", "ticker symbol", "security symbol"),
    "Quantity": ("quantity", "qty (quantity)", "qty", "shares", "units", "position"),
    "Entry Price Per Share": (
        "entry price per share",
        "entry price",
        "average cost basis",
        "average cost",
        "avg cost",
        "average price",
        "avg price",
        "cost per share",
        "cost/share",
        "unit cost",
        "purchase price",
    ),
    "Cost Basis": ("cost basis", "cost basis total", "total cost", "cost"),
    "Market Value": ("market value", "mkt val (market value)", "current value", "mkt val", "value"),
    "Entry Date": ("entry date", "purchase date", "date acquired", "acquired", "trade date", "open date"),
    "Description": ("description", "name", "security", "security description"),
}
OWN = {name.lower(): name for name in COLUMNS}
CASH_NAMES = ("cash & cash investments", "cash and cash investments", "cash")
SKIPPED = ("account total", "pending activity", "total", "totals")
HEADER_ROWS = 20
# "AAPL 01/17/2025 150.00 C" at Schwab, "-AAPL250117C150" at Fidelity.
SCHWAB_OPTION = re.compile(r"([A-Z.]{1,6}) (\d{2}/\d{2}/\d{4}) (\d+(?:\.\d+)?) ([CP])")
FIDELITY_OPTION = re.compile(r"-([A-Z]{1,6})(\d{6})([CP])(\d+(?:\.\d+)?)")
DATE_FORMATS = ("%Y-%m-%d", "%m/%d/%Y", "%b-%d-%Y")


def holdings_rows(records: Sequence[Record], *, as_of: date | None) -> Iterator[tuple[int, Row]]:
    """Yield rows in the template's columns; those without a date of their own take ``as_of``.

    Raises
    ------
    CsvRefused
        No header among the first rows names a symbol and a quantity.
    """
    at, columns = _header(records)
    for record in records[at + 1 :]:
        cells = dict(zip(columns, record.cells, strict=False))
        row = _row(cells, as_of)
        if row is not None:
            yield record.number, row


def _header(records: Sequence[Record]) -> tuple[int, list[str]]:
    names = {alias: name for name, aliases in ALIASES.items() for alias in aliases} | OWN
    for at, record in enumerate(records[:HEADER_ROWS]):
        columns = [names.get(" ".join(cell.lower().split()), "") for cell in record.cells]
        if "Symbol" in columns and "Quantity" in columns:
            # Of two columns with one meaning the first one counts.
            return at, [name if columns.index(name) == place else "" for place, name in enumerate(columns)]
    raise file_error("ERR_CSV_004", "no header names a symbol and a quantity", field="Symbol")


def _row(cells: dict[str, str], as_of: date | None) -> Row | None:
    """Return the template's row, None for a total, pending activity, a footer."""
    symbol = cells.get("Symbol", "")
    value = _amount(cells.get("Market Value", ""))
    quantity = _amount(cells.get("Quantity", ""))
    if symbol.lower() in SKIPPED or (quantity is None and value is None):
        return None
    row = Row._make(cells.get(name, "") for name in COLUMNS)
    row = row._replace(entry_date=_date(row.entry_date, as_of))
    if symbol.lower() in CASH_NAMES:
        return _cash(row, "CASH_USD", value if value is not None else quantity)
    if symbol.endswith("**"):  # Fidelity's mark of a core money fund
        return _cash(row, symbol.rstrip("*"), quantity if quantity is not None else value)
    option = _occ(symbol)
    cost, basis = _amount(row.entry_price), _amount(cells.get("Cost Basis", ""))
    if cost is None and basis is not None and quantity:
        cost = abs(basis / quantity) / (CONTRACT if option else 1)
    return row._replace(
        symbol=option or symbol,
        quantity=_text(quantity, row.quantity),
        entry_price=_text(cost and round(cost, PRICE_DECIMALS), ""),
    )


def _cash(row: Row, symbol: str, amount: Decimal | None) -> Row:
    kind = "PRIVATE" if symbol.startswith(CASH_PREFIX) else "PUBLIC"
    return row._replace(
        symbol=symbol,
        quantity=_text(amount, ""),
        entry_price="1",
        investment_class=kind,
        investment_subtype="CASH",
    )


def _amount(text: str) -> Decimal | None:
    """Number as brokers print it: dollar signs, separators, parentheses for a minus; None for a dash."""
    bare = text.replace("$", "").replace(",", "").strip()
    if bare.startswith("(") and bare.endswith(")"):
        bare = f"-{bare[1:-1]}"
    return number(bare)


def _text(value: Decimal | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:f}"


def _date(text: str, as_of: date | None) -> str:
    """Date in the template's form; what cannot be read stays for the rules to refuse."""
    for form in DATE_FORMATS:
        try:
            return datetime.strptime(text, form).date().isoformat()  # noqa: DTZ007 - a date has no zone
        except ValueError:
            continue
    return as_of.isoformat() if as_of and text in ("", "--", "n/a") else text.replace("--", "")


def _occ(symbol: str) -> str | None:
    """OCC symbol of an option as a broker names it, None for anything else."""
    if match := SCHWAB_OPTION.fullmatch(symbol):
        root, expiration, strike, letter = match.groups()
        form = "%m/%d/%Y"
    elif match := FIDELITY_OPTION.fullmatch(symbol.strip()):
        root, expiration, letter, strike = match.groups()
        form = "%y%m%d"
    else:
        return None
    try:
        day = datetime.strptime(expiration, form).date()  # noqa: DTZ007
    except ValueError:
        return None
    return occ_symbol(root, day, letter, Decimal(strike))
