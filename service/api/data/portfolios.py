"""Routes of portfolios as data: values, holdings, snapshots, and what the data suffice for."""

from datetime import date, timedelta
from typing import Any

import numpy as np
from litestar import get

from engine.factors import PROXIES
from service.api.analytics.served import plain
from service.api.auth import Caller
from service.api.data.portfolio_records import (
    CompletePortfolio,
    FactorCoverage,
    Feasibility,
    Holding,
    HoldingsQuality,
    InsufficientData,
    Limits,
    Meta,
    PartialHistory,
    PortfolioDataQuality,
    PortfolioSnapshot,
    PortfolioSummary,
    PortfolioValues,
    PositionHistories,
    PositionsSummary,
    QualitySummary,
    SnapshotPoint,
)
from service.api.position_answers import item
from service.api.problems import ApiError
from service.api.resources import Resources
from service.composed import Composed
from service.data_quality import COMPLETE_DAYS, PARTIAL_DAYS, days_by_symbol, days_of
from storage.portfolios import Portfolio

TAGS = ["data"]
LIMITS = Limits(max_positions=2_000, max_days=180, max_symbols=2_000)
MIN_DAYS = {"correlation_matrix": 30, "factor_regression": 60, "volatility_analysis": 20}


@get("/data/portfolios", sync_to_thread=True, tags=TAGS)
def portfolios(resources: Resources, caller: Caller) -> list[PortfolioSummary]:
    """List the caller's active portfolios."""
    found = [each for each in resources.ledger.portfolios.of(caller.owner) if each.is_active]
    counts = resources.ledger.positions.counts([each.portfolio_id for each in found])
    return [_summary(each, resources.composed(each), counts[each.portfolio_id]) for each in found]


@get("/data/portfolio/{portfolio_id:str}/complete", sync_to_thread=True, tags=TAGS)
def complete(
    resources: Resources,
    caller: Caller,
    portfolio_id: str,
    include_holdings: bool = True,
    include_position_tags: bool = True,
    include_timeseries: bool = False,
    include_attrib: bool = False,
    as_of_date: date | None = None,
) -> CompletePortfolio:
    """Return a portfolio with its holdings, and with its snapshots of the last 180 days when asked for."""
    portfolio = resources.ledger.portfolios.get(caller.owner, portfolio_id)
    composed = resources.composed(portfolio)
    require_current(composed, as_of_date)
    held = _holdings(resources, portfolio, composed, tagged=include_position_tags)
    shown = held[: LIMITS.max_positions] if include_holdings else None
    as_of = composed.market.session if composed else None
    requested: dict[str, Any] = {
        "include_holdings": include_holdings,
        "include_position_tags": include_position_tags,
        "include_timeseries": include_timeseries,
        "include_attrib": include_attrib,
        "as_of_date": as_of_date,
    }
    n_complete = sum(each.has_complete_history for each in held)
    return CompletePortfolio(
        meta=_meta(requested, as_of, n_held=len(held), n_shown=len(shown or [])),
        portfolio=_values(portfolio, composed, len(held)),
        positions_summary=_positions_summary(composed, held),
        holdings=shown,
        timeseries=_timeseries(resources, portfolio_id, as_of) if include_timeseries else None,
        data_quality=HoldingsQuality(n_complete, len(held) - n_complete, as_of),
    )


@get("/data/portfolio/{portfolio_id:str}/snapshot", sync_to_thread=True, tags=TAGS)
def snapshot(resources: Resources, caller: Caller, portfolio_id: str) -> PortfolioSnapshot:
    """Return a portfolio's newest snapshot."""
    resources.ledger.portfolios.get(caller.owner, portfolio_id)
    row = resources.live.accounts.snapshots.get(portfolio_id)
    if row is None:
        return PortfolioSnapshot(portfolio_id=portfolio_id)
    return PortfolioSnapshot(
        portfolio_id=portfolio_id,
        snapshot_date=row["session"],
        beta_calculated_90d=row["market_beta"],
        beta_provider_1y=row["provider_beta"],
        daily_pnl=row["pnl"],
        daily_return=row["return"],
    )


@get("/data/portfolio/{portfolio_id:str}/data-quality", sync_to_thread=True, tags=TAGS)
def data_quality(
    resources: Resources,
    caller: Caller,
    portfolio_id: str,
    check_factors: bool = True,
    check_correlations: bool = True,
) -> PortfolioDataQuality:
    """Say how much history a portfolio's symbols have, over 150 sessions, and what that suffices for."""
    composed = resources.composed(resources.ledger.portfolios.get(caller.owner, portfolio_id))
    days = days_by_symbol(composed) if composed else {}
    histories = _histories(days)
    n_complete = len(histories.complete_history)
    checks = MIN_DAYS if check_correlations else {k: n for k, n in MIN_DAYS.items() if "correlation" not in k}
    return PortfolioDataQuality(
        portfolio_id=portfolio_id,
        summary=QualitySummary(
            total_positions=len(days),
            complete_data=n_complete,
            partial_data=len(histories.partial_history),
            insufficient_data=len(histories.insufficient_data),
            data_coverage_percent=100 * n_complete / len(days) if days else None,
        ),
        position_data_quality=histories,
        calculation_feasibility={name: _feasibility(days, name, least) for name, least in checks.items()},
        factor_etf_coverage=_factor_coverage(composed) if check_factors and composed else None,
        last_update=composed.market.session if composed else None,
    )


def require_current(composed: Composed | None, as_of: date | None) -> None:
    """Refuse a day before the session of the book, which is the only one that is served."""
    if composed and as_of and as_of < composed.market.session:
        text = f"only the newest session, {composed.market.session}, is served; leave as_of_date out"
        raise ApiError(400, "as_of_date", text)


def _summary(portfolio: Portfolio, composed: Composed | None, n_positions: int) -> PortfolioSummary:
    values = _values(portfolio, composed, n_positions)
    return PortfolioSummary(
        id=values.id,
        name=values.name,
        net_asset_value=values.net_asset_value,
        total_value=values.total_value,
        equity_balance=values.equity_balance,
        total_market_value=values.total_value,
        created_at=portfolio.created_at,
        updated_at=portfolio.updated_at,
        position_count=n_positions,
    )


def _values(portfolio: Portfolio, composed: Composed | None, n_positions: int) -> PortfolioValues:
    equity = portfolio.starting_equity
    return PortfolioValues(
        id=portfolio.portfolio_id,
        name=portfolio.name,
        net_asset_value=plain(composed.valuation.nav) if composed else None,
        total_value=plain(composed.valuation.net) if composed else None,
        equity_balance=None if equity is None else float(equity),
        position_count=n_positions,
        as_of=composed.market.session if composed else None,
    )


def _meta(requested: dict[str, Any], as_of: date | None, *, n_held: int, n_shown: int) -> Meta:
    return Meta(
        as_of=as_of,
        requested=requested,
        applied=requested | {"include_attrib": False, "as_of_date": as_of},
        limits=LIMITS,
        rows_returned=n_shown,
        truncated=requested["include_holdings"] and n_shown < n_held,
    )


def _holdings(
    resources: Resources, portfolio: Portfolio, composed: Composed | None, *, tagged: bool
) -> list[Holding]:
    stored = resources.ledger.positions.of(portfolio.portfolio_id)
    items = [item(each, composed) for each in stored if each.lot.exit_date is None]
    days = days_by_symbol(composed) if composed else {}
    listed = dict(zip(composed.places, composed.positions.symbols, strict=True)) if composed else {}
    tags = {each.position_id: each.tags for each in stored}
    return [
        Holding(
            id=each.id,
            symbol=each.symbol,
            quantity=each.quantity * each.split_factor,
            position_type=each.position_type,
            investment_class=each.investment_class,
            market_value=each.market_value,
            last_price=each.last_price,
            current_price=each.last_price,
            has_complete_history=days.get(listed.get(each.id, each.symbol), 0) >= COMPLETE_DAYS,
            tags=tags[each.id] if tagged else None,
        )
        for each in sorted(items, key=lambda each: (each.symbol, each.id))
    ]


def _positions_summary(composed: Composed | None, held: list[Holding]) -> PositionsSummary:
    n_options = sum(each.investment_class == "OPTIONS" for each in held)
    if composed is None:
        n_short = sum(each.quantity < 0 for each in held)
        return PositionsSummary(len(held) - n_short, n_short, n_options, None)
    values = np.where(composed.positions.of_kind("cash"), 0.0, composed.valuation.market_value)
    total = plain(composed.valuation.net)
    return PositionsSummary(int((values > 0).sum()), int((values < 0).sum()), n_options, total)


def _timeseries(resources: Resources, portfolio_id: str, as_of: date | None) -> list[SnapshotPoint]:
    if as_of is None:
        return []
    span = (as_of - timedelta(days=LIMITS.max_days), as_of)
    columns = ("session", "nav", "pnl", "return")
    rows: Any = resources.store.read(
        "portfolio_snapshots", columns=columns, portfolios=[portfolio_id], sessions=span
    ).sort("session")
    return [SnapshotPoint(*row) for row in rows.select(columns).iter_rows()]


def _histories(days: dict[str, int]) -> PositionHistories:
    return PositionHistories(
        complete_history=[name for name, n in days.items() if n >= COMPLETE_DAYS],
        partial_history=[
            PartialHistory(name, n, COMPLETE_DAYS - n)
            for name, n in days.items()
            if PARTIAL_DAYS <= n < COMPLETE_DAYS
        ],
        insufficient_data=[
            InsufficientData(name, n, "insufficient_history" if n else "no_prices")
            for name, n in days.items()
            if n < PARTIAL_DAYS
        ],
    )


def _feasibility(days: dict[str, int], name: str, least: int) -> Feasibility:
    eligible = sum(n >= least for n in days.values())
    needed = 2 if name == "correlation_matrix" else 1
    return Feasibility(eligible >= needed, eligible, len(days) - eligible, least)


def _factor_coverage(composed: Composed) -> FactorCoverage:
    days = {symbol: days_of(composed.market.book, symbol) for symbol in PROXIES.values()}
    return FactorCoverage(
        complete=[symbol for symbol, n in days.items() if n >= COMPLETE_DAYS],
        partial=[symbol for symbol, n in days.items() if 0 < n < COMPLETE_DAYS],
        missing=[symbol for symbol, n in days.items() if n == 0],
    )


HANDLERS = [portfolios, complete, snapshot, data_quality]
