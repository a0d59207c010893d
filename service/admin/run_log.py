"""The log of a run as a file: JSON for programs, text for people."""

from typing import Any

import msgspec

from service.onboarding_log import duration_text, line_time, log_line
from service.progress_records import Activity, activities
from service.run_status import elapsed
from storage.ledger import Ledger
from storage.run_log import KEPT, PhaseProgress
from storage.runs import Run, Status


class RunLogFile(msgspec.Struct, kw_only=True):
    """Everything that a run has said."""

    batch_run_id: str
    status: Status
    started_at: str
    completed_at: str | None
    triggered_by: str
    total_jobs: int
    completed_jobs: int
    failed_jobs: int
    log_entry_count: int
    activity_log: list[Activity]


class LogEntryCount(msgspec.Struct):
    """How many lines the log of a run has."""

    batch_run_id: str
    log_entry_count: int


def log_count(ledger: Ledger, run_id: str) -> LogEntryCount:
    """Count the lines of a run's log; ``NotFound`` when there is no such run."""
    return LogEntryCount(ledger.runs.named(run_id).run_id, ledger.run_log.count(run_id))


def log_file(ledger: Ledger, run_id: str) -> RunLogFile:
    """Return a run with its whole log; ``NotFound`` when there is no such run."""
    run, phases, lines = _read(ledger, run_id)
    states = [phase.status for phase in phases]
    return RunLogFile(
        batch_run_id=run.run_id,
        status=run.status,
        started_at=run.started_at,
        completed_at=run.completed_at,
        triggered_by=run.triggered_by,
        total_jobs=len(phases),
        completed_jobs=states.count("completed"),
        failed_jobs=states.count("failed"),
        log_entry_count=len(lines),
        activity_log=lines,
    )


def log_text(ledger: Ledger, run_id: str) -> str:
    """Return a run with its whole log as sections of text; ``NotFound`` when there is no such run."""
    run, phases, lines = _read(ledger, run_id)
    done = sum(phase.status == "completed" for phase in phases)
    head: dict[str, Any] = {
        "Run": run.run_id,
        "Started": line_time(run.started_at),
        "Duration": duration_text(int(elapsed(run))),
        "Status": run.status,
        "Set off by": run.triggered_by,
    }
    parts = [
        f"Log of {run.job_type}",
        *(f"{name + ':':<12}{value}" for name, value in head.items()),
        *([] if run.error is None else [f"{'Error:':<12}{run.error}"]),
        "",
        "Summary",
        f"  {done} of {len(phases)} phases done",
        "",
        "Phases",
        *map(_phase, phases),
        "",
        "Activity",
        *map(log_line, lines),
        "",
        "End of log",
    ]
    return "\n".join(parts) + "\n"


def _phase(phase: PhaseProgress) -> str:
    took = phase.duration_seconds
    shown = "" if took is None else f", {duration_text(int(took))}"
    said = f": {phase.summary}" if phase.summary else ""
    return f"  {phase.name}: {phase.status}, {phase.current} of {phase.total} {phase.unit}{shown}{said}"


def _read(ledger: Ledger, run_id: str) -> tuple[Run, list[PhaseProgress], list[Activity]]:
    run = ledger.runs.named(run_id)
    lines = ledger.run_log.newest(run_id, limit=KEPT)
    return run, ledger.run_log.phases(run_id), activities(lines)
