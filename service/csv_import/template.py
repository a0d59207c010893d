"""The file that users start from."""

import csv
import io
from collections.abc import Iterable
from decimal import Decimal

from service.csv_import.fields import COLUMNS
from storage.positions import Lot

COMMENTS = (
    "# One row a tax lot. Lines that begin with # are ignored; delete the examples.",
    "# Quantity: negative for a short position. Options: contracts, with the price per share.",
    "# A lot with an Exit Date is closed. Cash: a symbol like CASH_USD with an entry price of 1.",
)
EXAMPLES = (
    ("AAPL", "100", "158.00", "2024-01-05", "PUBLIC", "STOCK"),
    ("SPY", "-20", "470.25", "2024-01-05", "PUBLIC", "ETF"),
    ("SPAXX", "5000", "1.00", "2024-01-05", "PUBLIC", "CASH"),
    ("", "2", "5.40", "2024-01-05", "OPTIONS", "CALL", "AAPL", "180.00", "2026-01-16", "CALL"),
    ("FUND_OAKWOOD", "1", "250000.00", "2023-06-30", "PRIVATE", "PRIVATE_EQUITY"),
    ("CASH_USD", "12500", "1.00", "2024-01-05"),
    ("MSFT", "50", "310.10", "2023-03-01", "PUBLIC", "STOCK", "", "", "", "", "2024-01-04", "370.60"),
)


def csv_template() -> str:
    """Return the template with a comment and an example of each class."""
    text = io.StringIO()
    text.writelines(f"{line}\n" for line in COMMENTS)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row + ("",) * (len(COLUMNS) - len(row)) for row in EXAMPLES)
    return text.getvalue()


def csv_of(lots: Iterable[Lot]) -> str:
    """Return lots as a file in the template's columns, which imports as the same lots."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(_cells, lots))
    return text.getvalue()


def _cells(lot: Lot) -> list[str]:
    values = (
        lot.symbol,
        lot.quantity,
        lot.entry_price,
        lot.entry_date,
        lot.investment_class,
        lot.investment_subtype,
        lot.underlying_symbol,
        lot.strike_price,
        lot.expiration_date,
        lot.option_type,
        lot.exit_date,
        lot.exit_price,
    )
    return [
        "" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)
        for value in values
    ]
