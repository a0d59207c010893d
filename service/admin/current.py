"""What runs now, in whatever process, and how each kind of job stands."""

import msgspec

from service.admin.history import JobType, RunSummary, last_run
from service.admin.operations import data_freshness
from service.run_status import RunStatus, elapsed, percent, run_status
from service.settings import Settings
from storage.ledger import Ledger
from storage.runs import Run
from storage.store import Store


class PhaseCounts(msgspec.Struct):
    """Phases of the run under way."""

    total: int
    completed: int
    failed: int
    pending: int


class CurrentRun(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The run under way; of several, the one that began first, which may have set off the others."""

    status: str
    batch_run_id: str | None
    message: str | None = None
    job_type: str | None = None
    started_at: str | None = None
    elapsed_seconds: float | None = None
    triggered_by: str | None = None
    jobs: PhaseCounts | None = None
    current_job: str | None = None
    current_portfolio: str | None = None
    progress_percent: float | None = None
    other_runs: list[str] = []


class NoRun(msgspec.Struct):
    """A job that never ran."""

    job_type: str
    status: str = "not_found"
    batch_run_id: str | None = None
    started_at: str | None = None
    elapsed_seconds: int = 0
    overall_progress: None = None
    current_phase_progress: None = None
    activity_log: list[str] = []
    phases: None = None


class BatchStatus(msgspec.Struct):
    """The last run of either nightly job, and how old the newest price is."""

    symbol_batch: RunSummary | None
    portfolio_refresh: RunSummary | None
    latest_price_date: str | None
    staleness: str


def current_run(ledger: Ledger) -> CurrentRun:
    """Describe the run under way, or say that there is none."""
    ledger.runs.fail_stale()
    running = ledger.runs.running()
    if not running:
        return CurrentRun(status="idle", batch_run_id=None, message="No batch is running")
    return _described(ledger, running[0], [run.run_id for run in running[1:]])


def job_status(ledger: Ledger, job_type: JobType) -> RunStatus | NoRun:
    """Describe the run of a job that began last with its phases and the end of its log."""
    ledger.runs.fail_stale()
    run = ledger.runs.last(job_type)
    return NoRun(job_type) if run is None else run_status(ledger, run)


def batch_status(store: Store, settings: Settings) -> BatchStatus:
    """Describe both nightly jobs and the prices that they work on."""
    store.ledger.runs.fail_stale()
    prices = data_freshness(store, settings)
    return BatchStatus(
        last_run(store.ledger, "symbol_batch"),
        last_run(store.ledger, "portfolio_refresh"),
        prices.latest_price_date,
        prices.staleness_status,
    )


def _described(ledger: Ledger, run: Run, others: list[str]) -> CurrentRun:
    phases = ledger.run_log.phases(run.run_id)
    states = [phase.status for phase in phases]
    portfolio_ids = (run.scope or {}).get("portfolio_ids") or []
    return CurrentRun(
        status="running",
        batch_run_id=run.run_id,
        job_type=run.job_type,
        started_at=run.started_at,
        elapsed_seconds=round(elapsed(run), 3),
        triggered_by=run.triggered_by,
        jobs=PhaseCounts(
            len(phases),
            states.count("completed"),
            states.count("failed"),
            states.count("pending") + states.count("running"),
        ),
        current_job=next((phase.name for phase in phases if phase.status == "running"), None),
        current_portfolio=portfolio_ids[0] if len(portfolio_ids) == 1 else None,
        progress_percent=float(percent(phases, run.status)),
        other_runs=others,
    )
