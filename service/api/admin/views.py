"""Routes that show runs, their history and logs, and the state of the data."""

from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import MediaType, Response, get
from litestar.params import Parameter

from service import clock
from service.admin import current, history, operations, run_log
from service.admin.data_quality import DataQualityReport, data_quality
from service.admin.history import JobType
from service.api.problems import ApiError
from service.api.resources import Resources
from service.run_status import RunStatus
from storage.runs import Status

TAGS = ["admin"]
Days = Annotated[int, Parameter(ge=1, le=90, description="Days to look back on")]
Limit = Annotated[int, Parameter(ge=1, le=200, description="Rows at most")]


@get("/batch/run/current", sync_to_thread=True, tags=TAGS)
def current_run(resources: Resources) -> current.CurrentRun:
    """Describe the run under way, in whatever process, or say that there is none."""
    return current.current_run(resources.ledger)


@get("/symbol-batch/status", sync_to_thread=True, tags=TAGS)
def symbol_batch_status(resources: Resources) -> RunStatus | current.NoRun:
    """Describe the last symbol batch: its phases, how far it is, the end of its log."""
    return current.job_status(resources.ledger, "symbol_batch")


@get("/portfolio-refresh/status", sync_to_thread=True, tags=TAGS)
def portfolio_refresh_status(resources: Resources) -> RunStatus | current.NoRun:
    """Describe the last portfolio refresh: its phases, how far it is, the end of its log."""
    return current.job_status(resources.ledger, "portfolio_refresh")


@get("/batch/status", sync_to_thread=True, tags=TAGS)
def batch_status(resources: Resources) -> current.BatchStatus:
    """Describe the last run of either nightly job, and how fresh the prices are."""
    return current.batch_status(resources.store, resources.settings)


@get("/batch/history", sync_to_thread=True, tags=TAGS)
def run_history(
    resources: Resources,
    days: Days = 30,
    status: Status | None = None,
    batch_type: JobType | None = None,
    limit: Limit = 50,
) -> history.History:
    """List the runs of the last days, newest first."""
    return history.history(resources.ledger, days=days, status=status, job_type=batch_type, limit=limit)


@get("/batch/history/summary", sync_to_thread=True, tags=TAGS)
def history_summary(
    resources: Resources, days: Days = 30, batch_type: JobType | None = None
) -> history.HistorySummary:
    """Sum up the runs of the last days."""
    return history.history_summary(resources.ledger, days=days, job_type=batch_type)


@get("/batch/history/{run_id:str}", sync_to_thread=True, tags=TAGS)
def run_detail(resources: Resources, run_id: str) -> history.RunDetail:
    """Describe one run."""
    return history.run_detail(resources.ledger, run_id)


@get("/batch/history/{run_id:str}/logs", sync_to_thread=True, tags=TAGS)
def run_logs(
    resources: Resources, run_id: str, format: str = "json", count_only: bool = False
) -> Response[Any]:
    """Download the log of a run, as JSON or text, or count its lines."""
    if format not in ("json", "txt"):
        raise ApiError(400, "invalid_format", f"format {format[:20]!r} is neither json nor txt")
    if count_only:
        return Response(run_log.log_count(resources.ledger, run_id))
    headers = {"Content-Disposition": f'attachment; filename="{run_id}_log.{format}"'}
    if format == "json":
        return Response(run_log.log_file(resources.ledger, run_id), headers=headers)
    text = run_log.log_text(resources.ledger, run_id)
    return Response(text, headers=headers, media_type=MediaType.TEXT)


@get("/batch/failures", sync_to_thread=True, tags=TAGS)
def failures(
    resources: Resources,
    batch_type: Annotated[str, Parameter(max_length=40)] | None = None,
    since: datetime | None = None,
    unresolved: bool = False,
    limit: Limit = 50,
) -> list[operations.FailureRow]:
    """List the symbols and portfolios that runs failed on, the latest first."""
    after = None if since is None else clock.timestamp(since if since.tzinfo else since.replace(tzinfo=UTC))
    return operations.failures(
        resources.ledger, batch_type=batch_type, since=after, is_open=unresolved, limit=limit
    )


@get("/cache/status", sync_to_thread=False, tags=TAGS)
def cache_status(resources: Resources) -> operations.CacheStatus:
    """Describe the in-memory book that requests are answered from."""
    return operations.cache_status(resources.live)


@get("/onboarding/queue", sync_to_thread=True, tags=TAGS)
def onboarding_queue(resources: Resources) -> operations.SymbolQueueStatus:
    """Count the symbols that wait to be fetched for the first time."""
    return operations.symbol_queue(resources.ledger)


@get("/data/freshness", sync_to_thread=True, tags=TAGS)
def freshness(resources: Resources) -> operations.DataFreshness:
    """Say how many trading days the newest price is behind the last batch that was due."""
    return operations.data_freshness(resources.store, resources.settings)


@get("/batch/data-quality", sync_to_thread=True, tags=TAGS)
def quality(resources: Resources) -> DataQualityReport:
    """Report on stored prices and factors: coverage, stale and missing ones, suspects, the quarantine."""
    return data_quality(resources.store)


HANDLERS = [
    current_run,
    symbol_batch_status,
    portfolio_refresh_status,
    batch_status,
    run_history,
    history_summary,
    run_detail,
    run_logs,
    failures,
    cache_status,
    onboarding_queue,
    freshness,
    quality,
]
