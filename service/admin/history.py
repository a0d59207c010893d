"""The runs of the past and of now, as the ledger has them: a list, a summary, one in detail."""

from datetime import timedelta
from statistics import fmean
from typing import Any, Literal, TypeAlias

import msgspec

from service import clock
from service.run_status import elapsed, seconds_between
from storage.ledger import Ledger
from storage.run_log import PhaseProgress
from storage.runs import Run, Status

JobType: TypeAlias = Literal["symbol_batch", "portfolio_refresh", "symbol_onboarding", "legacy_batch"]


class RunSummary(msgspec.Struct, kw_only=True):
    """A run in a list; jobs are its phases, items the symbols, portfolios or dates that it was about."""

    id: str
    batch_run_id: str
    batch_type: str
    batch_date: str | None
    triggered_by: str
    started_at: str
    completed_at: str | None
    status: Status
    total_jobs: int
    completed_jobs: int
    failed_jobs: int
    items_processed: int | None
    items_failed: int | None
    duration_seconds: float | None
    phase_durations: dict[str, float | None]
    has_errors: bool


class History(msgspec.Struct):
    """The newest runs of some days, newest first; ``total_count`` of them are there in all."""

    success: bool
    total_count: int
    days: int
    status_filter: str | None
    runs: list[RunSummary]


class StatusBreakdown(msgspec.Struct):
    """How many runs there are of each status."""

    completed: int = 0
    failed: int = 0
    partial: int = 0
    running: int = 0


class RecentRun(msgspec.Struct):
    """The run that began last."""

    batch_run_id: str
    status: Status
    started_at: str


class HistorySummary(msgspec.Struct):
    """How the runs of some days went; the rate is of those that have ended, 100 without any."""

    period_days: int
    total_runs: int
    status_breakdown: StatusBreakdown
    success_rate_percent: float
    avg_duration_seconds: float | None
    most_recent: RecentRun | None


class JobCounts(msgspec.Struct):
    """Phases of a run; the rate is of all of them, in percent."""

    total: int
    completed: int
    failed: int
    success_rate: float


class RunDetail(RunSummary, kw_only=True):
    """A run in full; ``error_summary`` is null when nothing went wrong."""

    jobs: JobCounts
    error_summary: dict[str, Any] | None
    created_at: str
    scope: dict[str, Any] | None
    summary: dict[str, Any] | None
    cancelled_by: str | None


def history(
    ledger: Ledger,
    *,
    days: int = 30,
    status: Status | None = None,
    job_type: JobType | None = None,
    limit: int = 50,
) -> History:
    """List the newest runs of the last days, of one status or job when given."""
    ledger.runs.fail_stale()
    since = _days_ago(days)
    found = ledger.runs.history(job_type, since=since, status=status, limit=limit)
    spans = ledger.runs.spans(since=since, job_type=job_type)
    n_all = sum(status in (None, each) for each, _, _ in spans)
    return History(True, n_all, days, status, run_summaries(ledger, found))


def history_summary(ledger: Ledger, *, days: int = 30, job_type: JobType | None = None) -> HistorySummary:
    """Sum up the runs of the last days."""
    ledger.runs.fail_stale()
    spans = ledger.runs.spans(since=_days_ago(days), job_type=job_type)
    counts = StatusBreakdown()
    for status, _, _ in spans:
        setattr(counts, status, getattr(counts, status) + 1)
    n_ended = len(spans) - counts.running
    took = [seconds_between(start, end) for _, start, end in spans if end]
    newest = next(iter(ledger.runs.history(job_type, limit=1)), None) if spans else None
    return HistorySummary(
        period_days=days,
        total_runs=len(spans),
        status_breakdown=counts,
        success_rate_percent=round(100 * counts.completed / n_ended, 1) if n_ended else 100.0,
        avg_duration_seconds=round(fmean(took), 3) if took else None,
        most_recent=RecentRun(newest.run_id, newest.status, newest.started_at) if newest else None,
    )


def run_detail(ledger: Ledger, run_id: str) -> RunDetail:
    """Describe one run; ``NotFound`` when there is none of this id."""
    ledger.runs.fail_stale()
    run, phases = ledger.runs.named(run_id), ledger.run_log.phases(run_id)
    fields = _fields(run, phases)
    n_all, n_done, n_failed = fields["total_jobs"], fields["completed_jobs"], fields["failed_jobs"]
    rate = round(100 * n_done / n_all, 1) if n_all else 100.0
    return RunDetail(
        **fields,
        jobs=JobCounts(n_all, n_done, n_failed, rate),
        error_summary=_errors(run, phases) if fields["has_errors"] else None,
        created_at=run.started_at,
        scope=run.scope,
        summary=run.summary,
        cancelled_by=run.cancelled_by,
    )


def run_summaries(ledger: Ledger, runs: list[Run]) -> list[RunSummary]:
    """Describe runs with the durations of their phases."""
    phases = ledger.run_log.phases_of([run.run_id for run in runs])
    return [RunSummary(**_fields(run, phases[run.run_id])) for run in runs]


def last_run(ledger: Ledger, job_type: JobType) -> RunSummary | None:
    """Describe the run of a job that began last, None when it never ran."""
    return next(iter(run_summaries(ledger, ledger.runs.history(job_type, limit=1))), None)


def _fields(run: Run, phases: list[PhaseProgress]) -> dict[str, Any]:
    n_failed = sum(phase.status == "failed" for phase in phases)
    return {
        "id": run.run_id,
        "batch_run_id": run.run_id,
        "batch_type": run.job_type,
        "batch_date": None if run.session is None else str(run.session),
        "triggered_by": run.triggered_by,
        "started_at": run.started_at,
        "completed_at": run.completed_at,
        "status": run.status,
        "total_jobs": len(phases),
        "completed_jobs": sum(phase.status == "completed" for phase in phases),
        "failed_jobs": n_failed,
        "items_processed": run.items_total,
        "items_failed": run.items_failed,
        "duration_seconds": round(elapsed(run), 3) if run.completed_at else None,
        "phase_durations": {phase.phase_id: phase.duration_seconds for phase in phases},
        "has_errors": bool(run.error or run.items_failed or n_failed),
    }


def _errors(run: Run, phases: list[PhaseProgress]) -> dict[str, Any]:
    failed = {phase.name: phase.summary for phase in phases if phase.status == "failed"}
    return {"error": run.error, "items_failed": run.items_failed, "failed_phases": failed}


def _days_ago(days: int) -> str:
    return clock.timestamp(clock.utc_now() - timedelta(days=days))
