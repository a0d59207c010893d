"""Routes that start, repeat and cancel runs."""

from datetime import date

from litestar import Response, post

from service.admin.history import JobType
from service.admin.orders import portfolio_scope, snapshot_span, symbols_of, target_session
from service.admin.retrying import retry_failed
from service.api.admin.records import (
    Cancelling,
    DateRange,
    StartedBatch,
    StartedJob,
    StartedRetry,
    StartedTrigger,
)
from service.api.auth import Caller
from service.api.problems import ApiError
from service.api.resources import Resources
from storage.errors import Locked
from storage.runs import Run

TAGS = ["admin"]
PATH = "/api/v1/admin"
# Forcing a start waits for the run in its way.
PATIENT = {"seconds": 60.0}


@post("/batch/run", status_code=200, sync_to_thread=True, tags=TAGS, opt=PATIENT)
def run_batch(
    resources: Resources,
    caller: Caller,
    portfolio_id: str | None = None,
    force: bool = False,
    force_rerun: bool = False,
    start_date: date | None = None,
    end_date: date | None = None,
) -> StartedBatch:
    """Go through the nine phases, for everything or one portfolio.

    ``force_rerun`` takes the snapshots from ``start_date`` to ``end_date`` again; ``force`` asks a run that
    is under way to end first, and waits up to 30 seconds for it.
    """
    _require_free(resources, "legacy_batch", force=force)
    chosen, days = [portfolio_id] if portfolio_id else [], (start_date, end_date)
    span = snapshot_span(resources.ledger, resources.settings, chosen, days, force=force_rerun)
    scope = portfolio_scope(chosen, span, force=force_rerun)
    run = _started(resources, caller, "legacy_batch", scope=scope, force=force)
    return StartedBatch(
        batch_run_id=run.run_id,
        portfolio_id=portfolio_id or "all",
        force_rerun=force_rerun,
        date_range=_range(start_date, end_date),
        triggered_by=run.triggered_by,
        timestamp=run.started_at,
        poll_url=f"{PATH}/batch/run/current",
    )


@post("/symbol-batch/run", status_code=202, sync_to_thread=True, tags=TAGS, opt=PATIENT)
def run_symbol_batch(
    resources: Resources,
    caller: Caller,
    target_date: date | None = None,
    backfill: bool = True,
    force: bool = False,
    symbols: str | None = None,
) -> Response[StartedJob]:
    """Bring the symbol layer up to a session, the missing ones before it included.

    Without ``backfill`` only ``target_date`` is computed. ``symbols``, separated by commas, are those whose
    prices are asked for.
    """
    _require_free(resources, "symbol_batch", force=force)
    session = target_session(resources.settings, target_date)
    names = symbols_of(resources.ledger, symbols)
    scope = {**({"symbols": names} if names else {}), **({} if backfill else {"backfill": False})}
    run = _started(resources, caller, "symbol_batch", session=session, scope=scope or None, force=force)
    return _job(run, "all", _range(None, target_date), f"{PATH}/symbol-batch/status")


@post("/portfolio-refresh/run", status_code=202, sync_to_thread=True, tags=TAGS, opt=PATIENT)
def run_portfolio_refresh(
    resources: Resources,
    caller: Caller,
    portfolio_id: str | None = None,
    force: bool = False,
    force_rerun: bool = False,
    start_date: date | None = None,
    end_date: date | None = None,
) -> Response[StartedJob]:
    """Take the snapshots that portfolios lack, or those of some days again."""
    _require_free(resources, "portfolio_refresh", force=force)
    chosen, days = [portfolio_id] if portfolio_id else [], (start_date, end_date)
    span = snapshot_span(resources.ledger, resources.settings, chosen, days, force=force_rerun)
    scope = portfolio_scope(chosen, span, force=force_rerun)
    run = _started(resources, caller, "portfolio_refresh", scope=scope, force=force)
    return _job(run, portfolio_id or "all", _range(start_date, end_date), _detail(run), force_rerun)


@post("/batch/trigger/market-data", status_code=200, sync_to_thread=True, tags=TAGS)
def trigger_market_data(resources: Resources, caller: Caller) -> StartedTrigger:
    """Collect prices and compute what follows from them: a symbol batch."""
    run = _started(resources, caller, "symbol_batch")
    return _triggered(run, "Market data collection started", "prices are collected by the symbol batch")


@post("/batch/trigger/correlations", status_code=200, sync_to_thread=True, tags=TAGS)
def trigger_correlations(
    resources: Resources, caller: Caller, portfolio_id: str | None = None
) -> StartedTrigger:
    """Compute the correlations of the snapshots that are missing: a portfolio refresh."""
    chosen = [portfolio_id] if portfolio_id else []
    snapshot_span(resources.ledger, resources.settings, chosen, (None, None), force=False)
    run = _started(resources, caller, "portfolio_refresh", scope=portfolio_scope(chosen, None, force=False))
    return _triggered(
        run, "Correlation calculation started", "correlations come with a portfolio's snapshots"
    )


@post("/batch/trigger/company-profiles", status_code=200, sync_to_thread=True, tags=TAGS)
def trigger_profiles(resources: Resources, caller: Caller) -> StartedTrigger:
    """Fetch the profiles of what is held: the nine phases, of which it is the fourth."""
    run = _started(resources, caller, "legacy_batch")
    return _triggered(
        run, "Company profile sync started", "profiles are fetched in phase_0 of the nine phases"
    )


@post("/batch/{run_id:str}/retry-failed", status_code=202, sync_to_thread=True, tags=TAGS)
def retry(resources: Resources, caller: Caller, run_id: str) -> Response[StartedRetry]:
    """Do again what a run failed on and no later one has mended; all of it when it failed as a whole."""
    try:
        run, items = retry_failed(resources.jobs, run_id, by=caller.owner)
    except Locked as locked:
        raise ApiError(409, "ERR_BATCH_001", str(locked)) from locked
    body = StartedRetry(
        batch_run_id=run.run_id,
        retry_of=run_id,
        job_type=run.job_type,
        items=items,
        triggered_by=run.triggered_by,
        timestamp=run.started_at,
        poll_url=_detail(run),
    )
    return Response(body, headers={"Location": _detail(run)})


@post("/batch/{run_id:str}/cancel", status_code=200, sync_to_thread=True, tags=TAGS)
def cancel(resources: Resources, caller: Caller, run_id: str) -> Cancelling:
    """Ask a run to end; what it has published stands."""
    run = resources.jobs.cancel(run_id, by=caller.owner)
    return Cancelling(
        batch_run_id=run_id,
        job_type=run.job_type,
        cancelled_by=caller.owner,
        message="The run ends at its next unit of work",
    )


def _require_free(resources: Resources, job_type: JobType, *, force: bool) -> None:
    """Refuse a start before anything else is looked at, as long as the job is running."""
    resources.ledger.runs.fail_stale()
    if not force and (current := resources.ledger.runs.current(job_type)):
        raise ApiError(409, "ERR_BATCH_001", f"{job_type} is running already: {current.run_id}; wait for it")


def _started(
    resources: Resources,
    caller: Caller,
    job_type: JobType,
    *,
    session: date | None = None,
    scope: dict[str, object] | None = None,
    force: bool = False,
) -> Run:
    try:
        return resources.jobs.start(job_type, by=caller.owner, session=session, scope=scope, force=force)
    except Locked as locked:
        raise ApiError(409, "ERR_BATCH_001", str(locked)) from locked


def _job(
    run: Run, portfolio_id: str, days: DateRange, poll_url: str, force_rerun: bool = False
) -> Response[StartedJob]:
    body = StartedJob(
        batch_run_id=run.run_id,
        portfolio_id=portfolio_id,
        force_rerun=force_rerun,
        date_range=days,
        triggered_by=run.triggered_by,
        timestamp=run.started_at,
        poll_url=poll_url,
        job_type=run.job_type,
    )
    return Response(body, headers={"Location": _detail(run)})


def _triggered(run: Run, message: str, info: str) -> StartedTrigger:
    return StartedTrigger(
        message=message,
        triggered_by=run.triggered_by,
        timestamp=run.started_at,
        batch_run_id=run.run_id,
        info=info,
    )


def _detail(run: Run) -> str:
    return f"{PATH}/batch/history/{run.run_id}"


def _range(start: date | None, end: date | None) -> DateRange:
    return DateRange(str(start) if start else None, str(end) if end else "today")


HANDLERS = [
    run_batch,
    run_symbol_batch,
    run_portfolio_refresh,
    trigger_market_data,
    trigger_correlations,
    trigger_profiles,
    retry,
    cancel,
]
