"""How far a run of a job is, from what its tracker has written to the ledger."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from service import clock
from service.progress_records import (
    SHOWN_ACTIVITIES,
    Activity,
    OverallProgress,
    PhaseCount,
    PhaseStatus,
    activities,
)
from service.settings import Settings
from storage.ledger import Ledger
from storage.run_log import PhaseProgress
from storage.runs import Run, Status


class RunStatus(msgspec.Struct, kw_only=True):
    """A run: ``overall_progress`` stays below 100 until its end, and ends at 100 unless it has failed."""

    batch_run_id: str
    job_type: str
    status: Status
    triggered_by: str
    session: str | None
    started_at: str
    completed_at: str | None
    elapsed_seconds: int
    portfolio_ids: list[str] | None
    overall_progress: OverallProgress
    current_phase_progress: PhaseCount | None
    phases: list[PhaseStatus]
    activity_log: list[Activity]
    error: str | None
    summary: dict[str, Any] | None


def run_status(ledger: Ledger, run: Run) -> RunStatus:
    """Describe a run with its phases and the newest lines of its log."""
    phases = ledger.run_log.phases(run.run_id)
    lines = ledger.run_log.newest(run.run_id, limit=SHOWN_ACTIVITIES)
    current = next((phase for phase in phases if phase.status == "running"), None)
    return RunStatus(
        batch_run_id=run.run_id,
        job_type=run.job_type,
        status=run.status,
        triggered_by=run.triggered_by,
        session=None if run.session is None else str(run.session),
        started_at=run.started_at,
        completed_at=run.completed_at,
        elapsed_seconds=int(elapsed(run)),
        portfolio_ids=(run.scope or {}).get("portfolio_ids"),
        overall_progress=OverallProgress(
            current_phase=current.phase_id if current else None,
            current_phase_name=current.name if current else None,
            phases_completed=sum(phase.status == "completed" for phase in phases),
            phases_total=len(phases),
            percent_complete=percent(phases, run.status),
        ),
        current_phase_progress=PhaseCount(current.current, current.total, current.unit) if current else None,
        phases=[
            PhaseStatus(
                each.phase_id,
                each.name,
                each.status,
                each.current,
                each.total,
                each.unit,
                each.duration_seconds,
            )
            for each in phases
        ],
        activity_log=activities(lines),
        error=run.error,
        summary=run.summary,
    )


def forget_old_logs(ledger: Ledger, settings: Settings) -> None:
    """Forget the lines of runs that ended longer ago than the settings say; the runs and phases stay."""
    ledger.run_log.prune(clock.timestamp(clock.utc_now() - timedelta(days=settings.log_days)))


def percent(phases: Sequence[PhaseProgress], status: Status) -> int:
    """Return how much of a run is done, in percent, phases counting alike; below 100 until it has ended.

    A phase that has begun before the one in front of it does not count yet: its steps count from 0 each.
    """
    if status in ("completed", "partial"):
        return 100
    in_front = ["completed", *(each.status for each in phases)]
    done = sum(
        _share(each)
        for each, front in zip(phases, in_front, strict=False)
        if each.status != "running" or front != "pending"
    )
    return min(99, int(100 * done / max(1, len(phases))))


def _share(phase: PhaseProgress) -> float:
    if phase.status == "completed":
        return 1.0
    return min(1.0, phase.current / phase.total) if phase.total else 0.0


def elapsed(run: Run) -> float:
    """Return how many seconds a run has taken, so far if it has not ended."""
    return seconds_between(run.started_at, run.completed_at)


def seconds_between(start: str, end: str | None) -> float:
    """Return the seconds from one time stamp to another, to now without one."""
    until = datetime.fromisoformat(end) if end else clock.utc_now()
    return (until - datetime.fromisoformat(start)).total_seconds()
