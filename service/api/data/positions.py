"""Routes of positions as data: with their companies, the largest ones, and the companies alone."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Literal

import numpy as np
from litestar import get, post
from litestar.params import Parameter

from service.api.analytics.served import plain
from service.api.auth import Caller
from service.api.data.portfolios import require_current
from service.api.data.position_records import (
    DetailsSummary,
    PositionDetail,
    PositionDetails,
    Profiles,
    ProfilesMeta,
    RestoredTags,
    TopMeta,
    TopPosition,
    TopPositions,
)
from service.api.position_answers import item
from service.api.problems import ApiError
from service.api.resources import Resources
from service.composed import Composed
from service.jobs.present_phases import restore_sectors
from service.lots import multiplier, priced_by
from service.owned import owned_position
from storage.position_queries import Position

TAGS = ["data"]
MAX_IDS = 2_000
FIELDS = {
    "company_name": "name",
    "sector": "sector",
    "industry": "industry",
    "asset_class": "asset_class",
    "market_cap": "market_cap",
    "pe_ratio": "pe_ratio",
    "beta": "provider_beta",
    "dividend_yield": "dividend_yield",
    "last_updated": "as_of",
    "data_source": "source",
}


@get("/data/positions/details", sync_to_thread=True, tags=TAGS)
def details(
    resources: Resources,
    caller: Caller,
    portfolio_id: str | None = None,
    position_ids: str | None = None,
    include_closed: bool = False,
) -> PositionDetails:
    """Return the positions of a portfolio, or of a comma-separated list of ids, with their companies."""
    if (portfolio_id is None) == (position_ids is None):
        raise ApiError(400, "one_of", "give either portfolio_id or position_ids")
    found = [
        _detail(position, composed)
        for position, composed in _asked(resources, caller, portfolio_id, position_ids)
        if include_closed or position.lot.exit_date is None
    ]
    listed = [each for each in found if each.exit_date is None]
    summary = DetailsSummary(
        total_positions=len(found),
        total_cost_basis=sum(each.cost_basis for each in listed),
        total_market_value=sum(each.market_value or 0.0 for each in listed),
        total_unrealized_pnl=sum(each.unrealized_pnl or 0.0 for each in listed),
    )
    return PositionDetails(found, summary)


@get("/data/positions/top/{portfolio_id:str}", sync_to_thread=True, tags=TAGS)
def top(
    resources: Resources,
    caller: Caller,
    portfolio_id: str,
    limit: Annotated[int, Parameter(ge=1, le=50)] = 20,
    sort_by: Literal["market_value", "weight"] = "market_value",
    as_of_date: date | None = None,
) -> TopPositions:
    """Return the largest positions but for cash, a symbol's lots together; weights are in the same order."""
    composed = resources.composed(resources.ledger.portfolios.get(caller.owner, portfolio_id))
    require_current(composed, as_of_date)
    meta = TopMeta(composed.market.session if composed else None, limit, sort_by)
    if composed is None:
        return TopPositions(meta, [], None, 0)
    quantities: dict[str, float] = defaultdict(float)
    values: dict[str, float] = defaultdict(float)
    held = composed.positions
    counted = np.isfinite(composed.valuation.market_value) & ~held.of_kind("cash")
    for lot in np.flatnonzero(counted).tolist():
        quantities[held.symbols[lot]] += float(held.quantity[lot])
        values[held.symbols[lot]] += float(composed.valuation.market_value[lot])
    ordered = sorted(values, key=lambda symbol: (-abs(values[symbol]), symbol))
    sizes = sum(abs(value) for value in values.values())
    rows = [_top(composed, symbol, quantities[symbol], values[symbol]) for symbol in ordered[:limit]]
    shown = sum(abs(row.value) for row in rows)
    return TopPositions(meta, rows, 100 * shown / sizes if sizes else None, len(ordered))


@get("/data/company-profiles", sync_to_thread=True, tags=TAGS)
def company_profiles(
    resources: Resources,
    caller: Caller,
    symbols: str | None = None,
    position_ids: str | None = None,
    portfolio_id: str | None = None,
    fields: str | None = None,
) -> Profiles:
    """Return profiles by symbols, by positions, or of a portfolio; ``fields`` is a choice of their fields."""
    given = {"symbols": symbols, "position_ids": position_ids, "portfolio_id": portfolio_id}
    kinds = [name for name, value in given.items() if value is not None]
    if len(kinds) != 1:
        raise ApiError(400, "one_of", f"give exactly one of {', '.join(given)}")
    chosen = list(FIELDS) if fields is None else _split(fields)
    if unknown := set(chosen) - {*FIELDS, "symbol"}:
        names = ", ".join(FIELDS)
        raise ApiError(400, "fields", f"there is no field {', '.join(sorted(unknown))}; there are {names}")
    if symbols is not None:
        wanted = list(dict.fromkeys(name.upper() for name in _split(symbols)))
    else:
        asked = _asked(resources, caller, portfolio_id, position_ids)
        wanted = sorted({_listed(each, composed) for each, composed in asked})
    market = resources.live.market
    known = market.profiles if market else {}
    profiles = [_profile(known[name], chosen) for name in wanted if name in known]
    meta = ProfilesMeta(
        query_type=kinds[0],
        requested_symbols=wanted,
        returned_profiles=len(profiles),
        missing_profiles=[name for name in wanted if name not in known],
        as_of=market.session if market else None,
        fields=chosen,
    )
    return Profiles(profiles, meta)


def _asked(
    resources: Resources, caller: Caller, portfolio_id: str | None, position_ids: str | None
) -> Iterator[tuple[Position, Composed | None]]:
    """Yield the caller's positions, each with its portfolio composed; ``NotFound`` for another owner's."""
    if portfolio_id is not None:
        composed = resources.composed(resources.ledger.portfolios.get(caller.owner, portfolio_id))
        yield from ((each, composed) for each in resources.ledger.positions.of(portfolio_id))
    else:
        ids = list(dict.fromkeys(_split(position_ids or "")))
        if not 0 < len(ids) <= MAX_IDS:
            raise ApiError(400, "position_ids", f"give 1 to {MAX_IDS} ids, separated by commas")
        for position_id in ids:
            portfolio, position = owned_position(resources.ledger, caller.owner, position_id)
            yield position, resources.composed(portfolio)


def _detail(position: Position, composed: Composed | None) -> PositionDetail:
    lot, known = position.lot, item(position, composed)
    profiles = composed.market.profiles if composed else {}
    profile = profiles.get(_listed(position, composed), {})
    cost, gain = float(lot.quantity * lot.entry_price) * multiplier(lot), known.unrealized_pnl
    return PositionDetail(
        id=known.id,
        portfolio_id=known.portfolio_id,
        symbol=known.symbol,
        company_name=profile.get("name"),
        sector=profile.get("sector"),
        industry=profile.get("industry"),
        position_type=known.position_type,
        investment_class=known.investment_class,
        investment_subtype=known.investment_subtype,
        quantity=known.quantity * known.split_factor,
        entry_date=known.entry_date,
        entry_price=known.entry_price / known.split_factor,
        cost_basis=cost,
        current_price=known.last_price,
        market_value=known.market_value,
        unrealized_pnl=gain,
        unrealized_pnl_percent=None if gain is None or not cost else 100 * gain / abs(cost),
        strike_price=None if known.strike_price is None else known.strike_price / known.split_factor,
        expiration_date=known.expiration_date,
        underlying_symbol=known.underlying_symbol,
        exit_date=known.exit_date,
        tags=position.tags,
    )


def _listed(position: Position, composed: Composed | None) -> str:
    return composed.listed(position) if composed else priced_by(position.lot)


def _top(composed: Composed, symbol: str, quantity: float, value: float) -> TopPosition:
    profile = composed.market.profiles.get(symbol, {})
    weight = plain(value / composed.valuation.weight_base)
    rounded = None if weight is None else round(weight, 4)
    return TopPosition(symbol, profile.get("name"), quantity, value, rounded, profile.get("sector"))


def _profile(row: dict[str, Any], chosen: list[str]) -> dict[str, Any]:
    return {"symbol": row["symbol"]} | {name: row[FIELDS[name]] for name in chosen if name != "symbol"}


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


@post("/data/positions/restore-sector-tags", status_code=200, sync_to_thread=True, tags=TAGS)
def restore_tags(resources: Resources, caller: Caller, portfolio_id: str) -> RestoredTags:
    """Tag the positions of a portfolio with the sectors of the newest profiles."""
    resources.ledger.portfolios.get(caller.owner, portfolio_id)
    n_all, n_changed = restore_sectors(resources.store, [portfolio_id])
    return RestoredTags(portfolio_id, n_all, n_changed)


HANDLERS = [details, top, company_profiles, restore_tags]
