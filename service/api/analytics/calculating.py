"""Routes that bring a portfolio's snapshots up to date in a process of their own, and say how that stands."""

from typing import Any, Literal

import msgspec
from litestar import Response, get, post

from service import clock
from service.api.analytics.asked import PATH, TAGS
from service.api.auth import Caller
from service.api.calculation import run_of
from service.api.problems import ApiError
from service.api.resources import Resources
from service.onboarding_status import Standing, standing
from service.run_status import elapsed
from storage.errors import Locked
from storage.portfolios import Portfolio


class Preprocessing(msgspec.Struct):
    """What is there to compute from: symbols, those with a profile and with prices, and what is missing."""

    symbols_count: int
    security_master_enriched: int
    prices_bootstrapped: int
    price_coverage_percentage: float
    ready_for_batch: bool
    warnings: list[str]
    recommendations: list[str]


class Calculation(msgspec.Struct, kw_only=True):
    """A run that takes the snapshots that a portfolio lacks."""

    status: str = "started"
    batch_run_id: str
    portfolio_id: str
    preprocessing: Preprocessing
    message: str
    poll_url: str


class CalculationStatus(msgspec.Struct):
    """How a run of a portfolio stands; ``idle`` and nulls for one that nobody knows."""

    status: Literal["idle", "running", "completed", "partial", "failed"]
    batch_run_id: str
    portfolio_id: str
    started_at: str | None
    triggered_by: str | None
    elapsed_seconds: float | None


@post(f"{PATH}/calculate", status_code=202, sync_to_thread=True, tags=TAGS)
def calculate(
    resources: Resources, caller: Caller, portfolio_id: str, force: bool = False
) -> Response[Calculation]:
    """Take the snapshots that a portfolio lacks; with ``force`` all of them again, from the first one on."""
    portfolio = resources.ledger.portfolios.get(caller.owner, portfolio_id)
    known = standing(resources.ledger, resources.settings, resources.market(), portfolio)
    try:
        scope = _scope(resources, portfolio, force=force)
        run = resources.jobs.start("portfolio_refresh", by=caller.owner, scope=scope)
    except Locked as locked:
        raise ApiError(409, "ERR_BATCH_001", str(locked)) from locked
    body = Calculation(
        batch_run_id=run.run_id,
        portfolio_id=portfolio_id,
        preprocessing=_preprocessing(resources, known),
        message="Snapshots are being taken",
        poll_url=f"/api/v1/analytics/portfolio/{portfolio_id}/batch-status/{run.run_id}",
    )
    return Response(body, headers={"Location": body.poll_url})


@get(f"{PATH}/batch-status/{{run_id:str}}", sync_to_thread=True, tags=TAGS)
def calculation_status(
    resources: Resources, caller: Caller, portfolio_id: str, run_id: str
) -> CalculationStatus:
    """Say how a run of a portfolio stands."""
    resources.ledger.portfolios.get(caller.owner, portfolio_id)
    run = run_of(resources, portfolio_id, run_id)
    if run is None:
        return CalculationStatus("idle", run_id, portfolio_id, None, None, None)
    took = round(elapsed(run), 3)
    return CalculationStatus(run.status, run_id, portfolio_id, run.started_at, run.triggered_by, took)


def _scope(resources: Resources, portfolio: Portfolio, *, force: bool) -> dict[str, Any]:
    scope: dict[str, Any] = {"portfolio_ids": [portfolio.portfolio_id]}
    first, last = portfolio.starting_session, clock.last_closed_session(resources.settings)
    if force and first is not None and first <= last:
        scope |= {"sessions": [str(first), str(last)], "force": True}
    return scope


def _preprocessing(resources: Resources, known: Standing) -> Preprocessing:
    missing = [*known.pending, *known.failed]
    market, n_priced = resources.live.market, known.n_symbols - len(missing)
    profiles = market.profiles if market else {}
    warnings = [f"{symbol} has no prices yet and is left out" for symbol in missing]
    if not known.has_book:
        warnings.append("no session was ever computed")
    return Preprocessing(
        symbols_count=known.n_symbols,
        security_master_enriched=sum(symbol in profiles for symbol in known.symbols),
        prices_bootstrapped=n_priced,
        price_coverage_percentage=round(100 * n_priced / known.n_symbols, 2) if known.n_symbols else 100.0,
        ready_for_batch=known.has_book and (n_priced > 0 or not known.n_symbols),
        warnings=warnings,
        recommendations=["wait for the missing symbols, and calculate again"] if known.pending else [],
    )


HANDLERS = [calculate, calculation_status]
