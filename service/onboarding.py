"""A form and a CSV become a stored portfolio: everything is checked, then one transaction."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from service import clock
from service.csv_import.errors import CsvRefused
from service.csv_import.fields import number
from service.csv_import.parsing import Format, parse_positions
from service.errors import UsageError
from service.live_book import Market
from service.lots import kind_of, open_lots
from service.settings import Settings
from storage.errors import Taken
from storage.ledger import Ledger
from storage.portfolios import Portfolio
from storage.positions import Lot

ACCOUNT_TYPES = ("taxable", "ira", "roth_ira", "401k", "403b", "529", "hsa", "trust", "other")
MAX_ACCOUNT_NAME, MAX_NAME, MAX_DESCRIPTION = 100, 255, 1000
NO_NUL = r"^[^\x00]*$"  # of free text: PostgreSQL keeps no NUL
MAX_EQUITY = Decimal(1_000_000_000_000)
SECONDS_A_SYMBOL = 30
MESSAGES = {
    "ERR_PORT_001": "You have an account of this name already; choose another name",
    "ERR_PORT_002": "The portfolio name is missing",
    "ERR_PORT_003": f"The portfolio name must have at most {MAX_NAME} printable characters",
    "ERR_PORT_004": "The equity balance is missing, zero or not a number",
    "ERR_PORT_005": "The equity balance must be above zero",
    "ERR_PORT_006": f"The equity balance must be at most {MAX_EQUITY:,}",
    "ERR_PORT_007": "The CSV file is missing; send it as csv_file",
    "ERR_PORT_008": "The CSV file has errors; nothing was stored",
    "ERR_PORT_009": f"The account type must be one of {', '.join(ACCOUNT_TYPES)}",
    "ERR_PORT_010": f"The account name must have at most {MAX_ACCOUNT_NAME} printable characters",
    "ERR_PORT_011": "The account name is missing",
}


class OnboardingRefused(UsageError):  # noqa: N818 - what happens to the form
    """The form is refused by its first fault; ``errors`` are those of the CSV, when it is to blame."""

    def __init__(self, code: str, *, csv: CsvRefused | None = None) -> None:
        self.reason, self.csv = code, csv
        self.message = MESSAGES[code]
        super().__init__(f"{self.message} ({code}){f': {csv}' if csv else ''}")


@dataclass(frozen=True, slots=True)
class Form:
    """What a user sends to open a portfolio, as text."""

    portfolio_name: str
    account_name: str
    account_type: str
    equity_balance: str
    description: str | None = None
    csv: bytes | None = None
    filename: str = ""
    layout: Format = "template"
    as_of: date | None = None


class Created(NamedTuple):
    """A stored portfolio, its lots, and the symbols that the book doesn't know yet."""

    portfolio: Portfolio
    lots: tuple[Lot, ...]
    unknown: tuple[str, ...]


def create_portfolio(
    ledger: Ledger, settings: Settings, market: Market | None, *, owner: str, form: Form
) -> Created:
    """Store a portfolio, and queue its unknown symbols.

    Raises
    ------
    OnboardingRefused
        The first fault in the order account type, account name, taken name, portfolio name, equity, CSV.
    """
    draft = _checked(ledger, owner, form, market)
    if form.csv is None:
        raise OnboardingRefused("ERR_PORT_007")
    try:
        today = clock.now(settings).date()
        lots = parse_positions(form.csv, form.filename, today=today, layout=form.layout, as_of=form.as_of)
    except CsvRefused as refused:
        raise OnboardingRefused("ERR_PORT_008", csv=refused) from refused
    try:
        portfolio = ledger.portfolios.create(owner, draft, lots)
    except Taken as taken:
        raise OnboardingRefused("ERR_PORT_001") from taken
    unknown = unknown_symbols(market, lots)
    if unknown:
        ledger.symbol_queue.enqueue(unknown, portfolio_id=portfolio.portfolio_id, owner=owner)
    return Created(portfolio, lots, unknown)


def unknown_symbols(market: Market | None, lots: Iterable[Lot]) -> tuple[str, ...]:
    """Return the symbols that open lots are valued by and the book has never seen, in ascending order."""
    known: Mapping[str, int] = market.book.index if market else {}
    return tuple(symbol for symbol in valued_by(market, lots) if symbol not in known)


def valued_by(market: Market | None, lots: Iterable[Lot]) -> tuple[str, ...]:
    """Return the symbols that open lots are valued by, as the book lists them, in ascending order."""
    wanted = {
        lot.underlying_symbol if kind_of(lot) == "option" else lot.symbol
        for lot in open_lots(list(lots))
        if kind_of(lot) in ("public", "option")
    }
    named = (symbol for symbol in wanted if symbol)
    return tuple(sorted(set(map(market.listed, named) if market else named)))


def retry_symbols(ledger: Ledger, market: Market | None, portfolio: Portfolio) -> tuple[str, ...]:
    """Queue the symbols again that a portfolio lacks; return those for which there is no room now."""
    lots = [position.lot for position in ledger.positions.of(portfolio.portfolio_id)]
    wanted = unknown_symbols(market, lots)
    return ledger.symbol_queue.enqueue(
        wanted, portfolio_id=portfolio.portfolio_id, owner=portfolio.owner
    ).deferred


def _checked(ledger: Ledger, owner: str, form: Form, market: Market | None) -> Portfolio:
    account_type, account_name = form.account_type.strip().lower(), form.account_name.strip()
    name, equity = form.portfolio_name.strip(), number(form.equity_balance.strip())
    if account_type not in ACCOUNT_TYPES:
        raise OnboardingRefused("ERR_PORT_009")
    _require_name(account_name, MAX_ACCOUNT_NAME, missing="ERR_PORT_011", wrong="ERR_PORT_010")
    if ledger.portfolios.is_taken(owner, account_name):
        raise OnboardingRefused("ERR_PORT_001")
    _require_name(name, MAX_NAME, missing="ERR_PORT_002", wrong="ERR_PORT_003")
    if not equity:
        raise OnboardingRefused("ERR_PORT_004")
    if equity < 0:
        raise OnboardingRefused("ERR_PORT_005")
    if equity > MAX_EQUITY:
        raise OnboardingRefused("ERR_PORT_006")
    return Portfolio(
        name=name,
        account_name=account_name,
        account_type=account_type,
        starting_equity=round(equity, 2),
        description=form.description,
        starting_session=market.session if market else None,
    )


def _require_name(name: str, longest: int, *, missing: str, wrong: str) -> None:
    if not name:
        raise OnboardingRefused(missing)
    if len(name) > longest or not name.isprintable():
        raise OnboardingRefused(wrong)
