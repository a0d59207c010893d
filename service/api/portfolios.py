"""Routes of portfolios: entered, listed, changed, and deleted from sight."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from litestar import delete, get, post, put
from msgspec import UNSET
from msgspec.structs import asdict

from service.api.analytics.served import plain
from service.api.auth import Caller
from service.api.portfolio_records import (
    DeletedPortfolio,
    EquityBalance,
    PortfolioChanges,
    PortfolioDraft,
    PortfolioItem,
    PortfolioList,
)
from service.api.problems import ApiError, invalid
from service.api.resources import Resources
from service.onboarding import ACCOUNT_TYPES, MAX_EQUITY
from storage.portfolios import Portfolio

PATH = "/portfolios/{portfolio_id:str}"
TAGS = ["portfolios"]
MONEY_DECIMALS = Decimal("0.01")


def item(resources: Resources, portfolio: Portfolio, n_positions: int) -> PortfolioItem:
    """Return a portfolio for the wire."""
    composed = resources.composed(portfolio)
    equity = portfolio.starting_equity
    return PortfolioItem(
        id=portfolio.portfolio_id,
        user_id=portfolio.owner,
        name=portfolio.name,
        account_name=portfolio.account_name,
        account_type=portfolio.account_type,
        description=portfolio.description,
        currency=portfolio.currency,
        equity_balance=None if equity is None else float(equity),
        is_active=portfolio.is_active,
        created_at=portfolio.created_at,
        updated_at=portfolio.updated_at,
        deleted_at=portfolio.deleted_at,
        position_count=n_positions,
        net_asset_value=plain(composed.valuation.nav) if composed else None,
        total_value=plain(composed.valuation.net) if composed else None,
    )


@post("/portfolios", status_code=201, sync_to_thread=True, tags=TAGS)
def create(resources: Resources, caller: Caller, data: PortfolioDraft) -> PortfolioItem:
    """Enter a portfolio without positions; 409 when the owner has an account of this name."""
    entered = _entered(asdict(data))
    market = resources.live.market
    draft = Portfolio(**entered, starting_session=market.session if market else None)
    return item(resources, resources.ledger.portfolios.create(caller.owner, draft), 0)


@get("/portfolios", sync_to_thread=True, tags=TAGS)
def listed(resources: Resources, caller: Caller, include_inactive: bool = False) -> PortfolioList:
    """List the caller's portfolios, those that are inactive only when asked for."""
    return portfolio_list(resources, caller.owner, include_inactive=include_inactive)


def portfolio_list(resources: Resources, owner: str, *, include_inactive: bool) -> PortfolioList:
    """Return an owner's portfolios with what they are worth."""
    known = resources.ledger.portfolios.of(owner)
    chosen = [each for each in known if each.is_active or include_inactive]
    counts = resources.ledger.positions.counts([each.portfolio_id for each in chosen])
    items = [item(resources, each, counts[each.portfolio_id]) for each in chosen]
    return PortfolioList(
        portfolios=items,
        total_count=len(items),
        active_count=sum(each.is_active for each in items),
        net_asset_value=_sum(each.net_asset_value for each in items),
        total_value=_sum(each.total_value for each in items),
    )


@get(PATH, sync_to_thread=True, tags=TAGS)
def found(resources: Resources, caller: Caller, portfolio_id: str) -> PortfolioItem:
    """Return one portfolio."""
    portfolio = resources.ledger.portfolios.get(caller.owner, portfolio_id)
    return item(resources, portfolio, resources.ledger.positions.counts([portfolio_id])[portfolio_id])


@put(PATH, sync_to_thread=True, tags=TAGS)
def change(resources: Resources, caller: Caller, portfolio_id: str, data: PortfolioChanges) -> PortfolioItem:
    """Change what is given; 400 for making the last active portfolio inactive."""
    portfolio = resources.ledger.portfolios.get(caller.owner, portfolio_id)
    changes = _entered({name: value for name, value in asdict(data).items() if value is not UNSET})
    with resources.ledger.writing(f"portfolios of {caller.owner}"):
        if changes.get("is_active") is False:
            _require_another(resources, portfolio)
        return _changed(resources, portfolio, changes)


@put("/analytics/portfolio/{portfolio_id:str}/equity", sync_to_thread=True, tags=["analytics"])
def set_equity(resources: Resources, caller: Caller, portfolio_id: str, data: EquityBalance) -> PortfolioItem:
    """Correct the net asset value that the account was entered with."""
    portfolio = resources.ledger.portfolios.get(caller.owner, portfolio_id)
    return _changed(resources, portfolio, _entered(asdict(data)))


@delete(PATH, status_code=200, sync_to_thread=True, tags=TAGS)
def remove(resources: Resources, caller: Caller, portfolio_id: str) -> DeletedPortfolio:
    """Delete a portfolio from sight and free its account name; 400 for the last active one."""
    portfolio = resources.ledger.portfolios.get(caller.owner, portfolio_id)
    with resources.ledger.writing(f"portfolios of {caller.owner}"):
        _require_another(resources, portfolio)
        deleted_at = resources.ledger.portfolios.delete(portfolio_id)
    message = f"Portfolio {portfolio.name!r} was deleted"
    return DeletedPortfolio(success=True, message=message, portfolio_id=portfolio_id, deleted_at=deleted_at)


def _changed(resources: Resources, portfolio: Portfolio, changes: dict[str, Any]) -> PortfolioItem:
    resources.ledger.portfolios.update(portfolio.portfolio_id, **changes)
    portfolio = resources.ledger.portfolios.get(portfolio.owner, portfolio.portfolio_id)
    n_positions = resources.ledger.positions.counts([portfolio.portfolio_id])[portfolio.portfolio_id]
    return item(resources, portfolio, n_positions)


def _require_another(resources: Resources, portfolio: Portfolio) -> None:
    """Refuse to leave an owner without an active portfolio."""
    active = {each.portfolio_id for each in resources.ledger.portfolios.of(portfolio.owner) if each.is_active}
    if active == {portfolio.portfolio_id}:
        raise ApiError(
            400, "last_active_portfolio", "this is the last active portfolio; enter another one first"
        )


def _entered(fields: dict[str, Any]) -> dict[str, Any]:
    """Check what a body gives, and name it as the ledger does."""
    faults: list[tuple[tuple[str | int, ...], str]] = []
    for name in fields.keys() & {"name", "account_name"}:
        fields[name] = fields[name].strip()
        if not fields[name] or not fields[name].isprintable():
            faults.append((("body", name), "give printable characters"))
    if "account_type" in fields:
        fields["account_type"] = fields["account_type"].strip().lower()
        if fields["account_type"] not in ACCOUNT_TYPES:
            faults.append((("body", "account_type"), f"give one of {', '.join(ACCOUNT_TYPES)}"))
    if "equity_balance" in fields:
        equity = fields["starting_equity"] = fields.pop("equity_balance")
        if equity is not None and not _is_money(equity):
            text = f"give an amount from 0 to {MAX_EQUITY:,} with at most 2 decimals"
            faults.append((("body", "equity_balance"), text))
    if faults:
        raise invalid(*sorted(faults))
    return fields


def _is_money(amount: Decimal) -> bool:
    return amount.is_finite() and 0 <= amount <= MAX_EQUITY and amount == amount.quantize(MONEY_DECIMALS)


def _sum(values: Iterable[float | None]) -> float | None:
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) if len(known) == len(found) else None


HANDLERS = [create, listed, found, change, set_equity, remove]
