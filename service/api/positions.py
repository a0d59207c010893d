"""Routes that enter positions and read them."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from litestar import get, post
from litestar.params import Parameter

from service import clock
from service.api.auth import Caller
from service.api.position_answers import item
from service.api.position_records import (
    BulkDraft,
    BulkEntered,
    Duplicates,
    PositionDraft,
    PositionItem,
    ValidatedSymbol,
)
from service.api.problems import invalid
from service.api.resources import Resources
from service.composed import Composed
from service.csv_import.fields import SYMBOL
from service.csv_import.rows import MAX_SYMBOL, Row
from service.onboarding import unknown_symbols
from service.owned import owned_position
from service.position_entry import Checked, checked, mark_faults, spelled
from storage.portfolios import Portfolio
from storage.position_queries import Position
from storage.positions import Lot

TAGS = ["positions"]
Symbol = Annotated[str, Parameter(min_length=1, max_length=MAX_SYMBOL)]


@post("/positions", status_code=201, sync_to_thread=True, tags=TAGS)
def create(resources: Resources, caller: Caller, portfolio_id: str, data: PositionDraft) -> PositionItem:
    """Enter one position into a portfolio."""
    portfolio = resources.ledger.portfolios.get(caller.owner, portfolio_id)
    return _entered(resources, portfolio, [data], ("body",))[0]


@post("/positions/bulk", status_code=201, sync_to_thread=True, tags=TAGS)
def create_many(resources: Resources, caller: Caller, data: BulkDraft) -> BulkEntered:
    """Enter several positions into a portfolio, all or none."""
    portfolio = resources.ledger.portfolios.get(caller.owner, data.portfolio_id)
    items = _entered(resources, portfolio, data.positions, ("body", "positions"))
    return BulkEntered(success=True, count=len(items), positions=items)


@get("/positions/{position_id:str}", sync_to_thread=True, tags=TAGS)
def found(resources: Resources, caller: Caller, position_id: str) -> PositionItem:
    """Return one position, open or closed."""
    portfolio, position = owned_position(resources.ledger, caller.owner, position_id)
    return item(position, resources.composed(portfolio))


@post("/positions/validate-symbol", status_code=200, sync_to_thread=True, tags=TAGS, opt={"scope": "read"})
def validate_symbol(resources: Resources, symbol: str) -> ValidatedSymbol:
    """Say whether a position may be entered under a symbol, and whether its prices are known."""
    name = symbol.strip().upper()
    if len(name) > MAX_SYMBOL or not SYMBOL.fullmatch(name):
        text = f"use 1 to {MAX_SYMBOL} letters, digits, '.', '_' and '-'"
        return ValidatedSymbol(False, name[:MAX_SYMBOL], text)
    market = resources.live.market
    if market and market.listed(name) in market.book.index:
        return ValidatedSymbol(True, name)
    job = resources.ledger.symbol_queue.jobs([name]).get(name)
    if job and job.status == "failed":
        return ValidatedSymbol(False, name, job.error or "its data could not be fetched")
    return ValidatedSymbol(True, name, f"{name} is not known yet; its data are fetched once it is held")


@get("/positions/check-duplicate", sync_to_thread=True, tags=TAGS)
def check_duplicate(resources: Resources, caller: Caller, portfolio_id: str, symbol: Symbol) -> Duplicates:
    """Return the open positions that a portfolio has of a symbol."""
    portfolio = resources.ledger.portfolios.get(caller.owner, portfolio_id)
    name, composed = symbol.strip().upper(), resources.composed(portfolio)
    held = [each for each in resources.ledger.positions.of(portfolio_id) if each.lot.exit_date is None]
    names = {name} if composed is None else {name, composed.market.listed(name)}
    same = [item(each, composed) for each in held if names & {each.lot.symbol, _shown(each, composed)}]
    return Duplicates(has_duplicates=bool(same), existing_positions=same)


def _shown(position: Position, composed: Composed | None) -> str:
    """Symbol that a lot has in analytics."""
    place = composed.places.get(position.position_id) if composed else None
    return position.lot.symbol if composed is None or place is None else composed.positions.symbols[place]


def await_unknown(resources: Resources, portfolio: Portfolio, lots: Sequence[Lot]) -> None:
    """Queue the symbols that the book has never seen."""
    if unknown := unknown_symbols(resources.live.market, lots):
        resources.ledger.symbol_queue.enqueue(
            unknown, portfolio_id=portfolio.portfolio_id, owner=portfolio.owner
        )


def _entered(
    resources: Resources, portfolio: Portfolio, drafts: Sequence[PositionDraft], place: tuple[str, ...]
) -> list[PositionItem]:
    today = clock.now(resources.settings).date()
    lots = _lots(drafts, today, place)
    queries, portfolio_id = resources.ledger.positions, portfolio.portfolio_id
    market = resources.live.market
    ids = queries.add(portfolio_id, lots, entered_session=market.session if market else None)
    for position_id, draft in zip(ids, drafts, strict=True):
        if draft.notes is not None:
            queries.update(portfolio_id, position_id, notes=draft.notes)
        if draft.manual_price is not None:
            queries.mark(portfolio_id, position_id, draft.manual_price_date or today, draft.manual_price)
    await_unknown(resources, portfolio, lots)
    composed = resources.composed(resources.ledger.portfolios.get(portfolio.owner, portfolio_id))
    stored = {each.position_id: each for each in queries.of(portfolio_id)}
    return [item(stored[position_id], composed) for position_id in ids]


def _lots(drafts: Sequence[PositionDraft], today: date, place: tuple[str, ...]) -> list[Lot]:
    """Return the drafts as lots; 422 with everything that is wrong in any of them."""
    lots: list[Lot] = []
    faults: list[tuple[tuple[str | int, ...], str]] = []
    for at, draft in enumerate(drafts):
        lot, found = _checked(draft, today)
        where: tuple[str | int, ...] = place if len(place) == 1 else (*place, at)
        faults += [((*where, name), message) for name, message in found]
        if lot is not None:
            lots.append(lot)
    if faults:
        raise invalid(*faults)
    return lots


def _checked(draft: PositionDraft, today: date) -> Checked:
    subtype = (draft.investment_subtype or "").strip()
    row = Row(
        symbol=draft.symbol.strip(),
        quantity=spelled(draft.quantity),
        entry_price=spelled(draft.avg_cost),
        entry_date=spelled(draft.entry_date or today),
        investment_class=draft.investment_class.strip(),
        investment_subtype=subtype,
        underlying_symbol=spelled(draft.underlying_symbol),
        strike_price=spelled(draft.strike_price),
        expiration_date=spelled(draft.expiration_date),
        option_type=subtype if subtype.upper() in ("CALL", "PUT") else "",
    )
    lot, faults = checked(row, stated=draft.position_type, today=today)
    if lot is not None:
        faults += mark_faults(lot, draft.manual_price, draft.manual_price_date, today)
    return Checked(lot, faults)


HANDLERS = [create, create_many, found, validate_symbol, check_duplicate]
