"""Wire records of progress: how far something is, phase by phase, and what it said."""

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

from storage.run_log import ActivityLogEntry, Level

PhaseState: TypeAlias = Literal["pending", "running", "completed", "failed"]
SHOWN_ACTIVITIES = 50


class OverallProgress(msgspec.Struct):
    """How far the whole is; ``percent_complete`` stays below 100 until the end."""

    current_phase: str | None
    current_phase_name: str | None
    phases_completed: int
    phases_total: int
    percent_complete: int


class PhaseCount(msgspec.Struct):
    """Units done of the phase under way."""

    current: int
    total: int
    unit: str


class Activity(msgspec.Struct):
    """A line of the log."""

    timestamp: str
    message: str
    level: Level


class PhaseStatus(msgspec.Struct):
    """A phase of a run, or one of the nine of a set-up."""

    phase_id: str
    phase_name: str
    status: PhaseState
    current: int
    total: int
    unit: str
    duration_seconds: float | None


def activities(lines: Iterable[ActivityLogEntry]) -> list[Activity]:
    """Return lines of a run's log as they are shown."""
    return [Activity(line.timestamp, line.message, line.level) for line in lines]
