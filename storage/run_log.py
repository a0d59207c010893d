"""The ledger's log of runs: the phases that a run goes through, and what it says meanwhile."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal, TypeAlias

import sqlalchemy as sa

from storage.database import Database, runs
from storage.errors import NotFound
from storage.ledger_tables import run_activity, run_phases

PhaseStatus: TypeAlias = Literal["pending", "running", "completed", "failed"]
Level: TypeAlias = Literal["info", "warning", "error"]
KEPT = 5_000


@dataclass(frozen=True, slots=True)
class PhaseProgress:
    """A phase of a run; ``current`` of ``total`` units are done."""

    phase_id: str
    name: str
    unit: str
    total: int = 0
    current: int = 0
    status: PhaseStatus = "pending"
    started_at: str | None = None
    completed_at: str | None = None
    summary: str | None = None

    @property
    def duration_seconds(self) -> float | None:
        """How long the phase took, None until it has ended."""
        if self.started_at is None or self.completed_at is None:
            return None
        took = datetime.fromisoformat(self.completed_at) - datetime.fromisoformat(self.started_at)
        return took.total_seconds()


@dataclass(frozen=True, slots=True)
class ActivityLogEntry:
    """A line of a run's log."""

    timestamp: str
    message: str
    level: Level = "info"


class RunLog:
    """Queries on the phases and the activity of a ledger's runs."""

    def __init__(self, ledger: Database) -> None:
        self._ledger = ledger

    def register(self, run_id: str, phases: Sequence[PhaseProgress]) -> None:
        """Enter all phases of a run, in the order to show, before the first begins."""
        rows = [
            {
                "run_id": run_id,
                "position": position,
                **asdict(phase),
            }
            for position, phase in enumerate(phases)
        ]
        if rows:
            with self._ledger.writing() as connection:
                connection.execute(sa.insert(run_phases), rows)

    def change(self, run_id: str, phases: Sequence[PhaseProgress]) -> None:
        """Bring registered phases to what they are now; ``NotFound`` for one that was not registered."""
        with self._ledger.writing() as connection:
            for phase in phases:
                this = (run_phases.c.run_id == run_id) & (run_phases.c.phase_id == phase.phase_id)
                if not connection.execute(sa.update(run_phases).where(this).values(**asdict(phase))).rowcount:
                    raise NotFound(f"no phase {phase.phase_id} of run {run_id}; register it first")

    def phases(self, run_id: str) -> list[PhaseProgress]:
        """Return the phases of a run in the order to show."""
        return self.phases_of([run_id])[run_id]

    def phases_of(self, run_ids: Sequence[str]) -> dict[str, list[PhaseProgress]]:
        """Return the phases of each of the runs in the order to show."""
        columns = (run_phases.c[name] for name in ("run_id", *PhaseProgress.__slots__))
        query = sa.select(*columns).where(run_phases.c.run_id.in_(run_ids)).order_by(run_phases.c.position)
        found: dict[str, list[PhaseProgress]] = {run_id: [] for run_id in run_ids}
        with self._ledger.reading() as connection:
            for run_id, *phase in connection.execute(query):
                found[run_id].append(PhaseProgress(*phase))
        return found

    def append(self, run_id: str, entries: Sequence[ActivityLogEntry]) -> None:
        """Add lines to a run's log, of which the newest 5,000 are kept."""
        last = sa.select(sa.func.max(run_activity.c.number)).where(run_activity.c.run_id == run_id)
        with self._ledger.writing(f"log of {run_id}") as connection:
            first = (connection.scalar(last) or 0) + 1
            rows = [
                {
                    "run_id": run_id,
                    "number": at,
                    **asdict(entry),
                }
                for at, entry in enumerate(entries, start=first)
            ]
            if rows:
                connection.execute(sa.insert(run_activity), rows)
                old = run_activity.c.number < first + len(rows) - KEPT
                connection.execute(sa.delete(run_activity).where((run_activity.c.run_id == run_id) & old))

    def newest(self, run_id: str, *, limit: int = 50) -> list[ActivityLogEntry]:
        """Return the newest lines of a run's log, oldest first."""
        return list(self.numbered(run_id, limit=limit).values())

    def numbered(self, run_id: str, *, limit: int = 50, after: int = 0) -> dict[int, ActivityLogEntry]:
        """Return the newest lines beyond line ``after`` by their numbers, oldest first."""
        columns = (run_activity.c[name] for name in ("number", *ActivityLogEntry.__slots__))
        this = (run_activity.c.run_id == run_id) & (run_activity.c.number > after)
        newest = sa.select(*columns).where(this).order_by(run_activity.c.number.desc()).limit(limit)
        with self._ledger.reading() as connection:
            rows = connection.execute(newest).all()
        return {number: ActivityLogEntry(*rest) for number, *rest in reversed(rows)}

    def count(self, run_id: str) -> int:
        """Return how many lines a run's log has."""
        query = sa.select(sa.func.count()).where(run_activity.c.run_id == run_id)
        with self._ledger.reading() as connection:
            return connection.scalar(query) or 0

    def prune(self, before: str) -> None:
        """Forget the lines of runs that ended before a time; the runs and their phases stay."""
        ended = sa.select(runs.c.run_id).where(runs.c.completed_at < before)
        with self._ledger.writing() as connection:
            connection.execute(sa.delete(run_activity).where(run_activity.c.run_id.in_(ended)))
