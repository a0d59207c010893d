"""The log of a portfolio's set-up as a file: text for people, JSON for programs."""

from typing import Any

import msgspec

from service.onboarding_status import RichStatus, Standing, activity, rich_status
from service.progress_records import Activity


def log_name(known: Standing, generated_at: str, kind: str) -> str:
    """Return what the file of a log is called."""
    stamp = generated_at[:19].replace("-", "").replace(":", "").replace("T", "_")
    return f"portfolio_setup_log_{known.portfolio.portfolio_id[:8]}_{stamp}.{kind}"


def log_json(known: Standing, generated_at: str) -> dict[str, Any]:
    """Return everything that the log download has."""
    status = rich_status(known)
    return {
        "portfolio_id": status.portfolio_id,
        "portfolio_name": known.portfolio.name,
        "started_at": status.started_at,
        "elapsed_seconds": status.elapsed_seconds,
        "final_status": status.status,
        "overall_progress": msgspec.to_builtins(status.overall_progress),
        "phases": msgspec.to_builtins(status.phases),
        "activity_log": msgspec.to_builtins(activity(known)),
        "generated_at": generated_at,
    }


def log_text(known: Standing, generated_at: str) -> str:
    """Return the log as sections of text."""
    status = rich_status(known)
    lines = [
        f"Portfolio setup log: {known.portfolio.name}",
        f"Portfolio:  {status.portfolio_id}",
        f"Started:    {line_time(status.started_at or '')}",
        f"Duration:   {duration_text(status.elapsed_seconds)}",
        f"Status:     {status.status}",
        f"Generated:  {line_time(generated_at)}",
        "",
        "Summary",
        *_summary(status),
        "",
        "Phases",
        *(
            f"  {phase.phase_name}: {phase.status}, {phase.current} of {phase.total} {phase.unit}"
            for phase in status.phases or []
        ),
        "",
        "Activity",
        *map(log_line, activity(known)),
        "",
        "End of log",
    ]
    return "\n".join(lines) + "\n"


def duration_text(seconds: int) -> str:
    """Return a duration as ``45s``, ``14m 32s`` or ``1h 2m 3s``."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes}m {rest}s"
    return f"{minutes}m {rest}s" if minutes else f"{rest}s"


def _summary(status: RichStatus) -> list[str]:
    progress = status.overall_progress
    return (
        [] if progress is None else [f"  {progress.phases_completed} of {progress.phases_total} phases done"]
    )


def log_line(entry: Activity) -> str:
    """Return a line of a log as text."""
    return f"{line_time(entry.timestamp)} [{entry.level.upper()}] {entry.message}"


def line_time(timestamp: str) -> str:
    """Return a time stamp to the second, as people write it."""
    return timestamp[:19].replace("T", " ")
