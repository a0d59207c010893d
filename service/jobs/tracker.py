"""The tracker of a job's run: what it is doing, as the ledger tells whoever asks, in any process.

A run has one id from its start to its history. Its phases are registered before the first begins. What
changes is written when a phase ends, and beside the work when one begins and once a second: a crash loses no
phase that ended.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from math import inf
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, Literal, Protocol, TypeAlias

from service.errors import FailedError
from service.jobs.log_capture import captured
from service.jobs.progress import Level, Progress, Silent
from storage.errors import StorageError
from storage.ledger import Ledger
from storage.processes import HEARTBEAT_SECONDS, timestamp
from storage.run_log import ActivityLogEntry, PhaseProgress
from storage.runs import Run

Outcome: TypeAlias = Literal["completed", "partial", "failed"]
Phases: TypeAlias = Mapping[str, tuple[str, str]]  # name and unit, by id, in the order to show
FLUSH_SECONDS = 1.0
BUFFERED = 5_000


class Summed(Protocol):
    """What a job has done."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""


class CancelledError(FailedError):
    """Somebody asked for the run to end."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """Who set a job off, and the run that was started for it already, if one was."""

    by: str = "manual"
    run_id: str | None = None


BY_HAND = Trigger()


@dataclass(frozen=True, slots=True)
class CurrentBatchRun:
    """The run that a tracker tracks; ``portfolio_ids`` is None for one of everything."""

    batch_run_id: str
    job_type: str
    started_at: str
    triggered_by: str
    portfolio_ids: tuple[str, ...] | None
    status: str


class BatchRunTracker:
    """Tracks one run after its start; thread-safe.

    Calls that write come from outside of transactions on the ledger. ``watcher`` is told everything, too.
    """

    def __init__(self, ledger: Ledger, *, watcher: Progress | None = None) -> None:
        self._ledger, self._watcher = ledger, watcher or Silent()
        self._phases: dict[str, PhaseProgress] = {}
        self._counts: dict[str, int] = {}
        self._changed: set[str] = set()
        self._lines: list[ActivityLogEntry] = []
        self._lock, self._writing = Lock(), Lock()
        self._wake, self._is_done = Event(), False
        self._cancelled_by: str | None = None
        self._started, self._seconds = monotonic(), inf
        self._heart: Thread | None = None
        self.run_id = ""

    def start(
        self,
        job_type: str,
        phases: Phases,
        *,
        trigger: Trigger = BY_HAND,
        session: date | None = None,
        scope: Mapping[str, Sequence[str]] | None = None,
        seconds: float = inf,
    ) -> CurrentBatchRun:
        """Start a run with all its phases pending.

        Parameters
        ----------
        phases : mapping of str to (str, str)
            Name and unit of each phase by its id, in the order to show.
        scope : mapping of str to sequence of str, optional
            What the run is confined to: ``portfolio_ids`` or ``symbols``.
        seconds : float
            How long it may take.

        Raises
        ------
        Locked
            A live process is running the same job.
        """
        if trigger.run_id is None:
            run = begin(self._ledger, job_type, phases, session=session, triggered_by=trigger.by, scope=scope)
        else:
            run = self._ledger.runs.adopt(trigger.run_id)
        self.run_id, self._seconds = run.run_id, seconds
        self._phases = {phase.phase_id: phase for phase in self._ledger.run_log.phases(run.run_id)}
        self._heart = Thread(target=self._beat, name=f"run-{job_type}", daemon=True)
        self._heart.start()
        ids = (run.scope or {}).get("portfolio_ids")
        portfolio_ids = None if ids is None else tuple(ids)
        return CurrentBatchRun(
            run.run_id, job_type, run.started_at, run.triggered_by, portfolio_ids, run.status
        )

    def complete(
        self,
        outcome: Outcome,
        *,
        items: tuple[int, int] = (0, 0),
        summary: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        """End the run: how it ended, items in all and those that failed, and what is kept of it."""
        if error is not None:
            self.add_activity(error, "error")
        for phase_id, phase in self._phases.items():
            if phase.status == "running":  # it was under way when the run failed
                self._change(phase_id, status="failed", completed_at=timestamp())
            elif phase.status == "pending" and outcome != "failed":
                self._change(phase_id, status="completed", summary="not needed")
        self._is_done = True
        self._wake.set()
        if self._heart is not None:
            self._heart.join()
        self._flush()
        self._ledger.runs.finish(self.run_id, outcome, items=items, summary=summary, error=error)

    def start_phase(self, phase_id: str, phase_name: str, total: int, unit: str) -> None:
        """Begin a phase of ``total`` units, or its next step, which counts from 0 again."""
        self.require_wanted()
        self._watcher.start_phase(phase_id, phase_name, total, unit)
        changes = {"name": phase_name, "unit": unit, "total": total, "current": 0}
        began = self._phases[phase_id].started_at or timestamp()
        self._change(phase_id, status="running", started_at=began, **changes)
        self._wake.set()

    def update_phase_progress(self, phase_id: str, current: int) -> None:
        """Report how many of a phase's units are done.

        Raises
        ------
        CancelledError
            Somebody asked for the run to end.
        FailedError
            It took too long.
        """
        self.require_wanted()
        self._watcher.update_phase_progress(phase_id, current)
        with self._lock:
            self._counts[phase_id] = current

    def require_wanted(self) -> None:
        """Raise ``CancelledError`` when somebody asked for the run to end, ``FailedError`` past its time."""
        if self._cancelled_by is not None:
            raise CancelledError(f"cancelled by {self._cancelled_by}")
        if monotonic() - self._started > self._seconds:
            raise FailedError(f"the run took longer than the {self._seconds:g} s that it may take")

    def complete_phase(self, phase_id: str, success: bool, summary: str) -> None:
        """End a phase and sum it up in a sentence, which the activity log has too."""
        self._watcher.complete_phase(phase_id, success, summary)
        phase = self._phases[phase_id]
        done = {"current": phase.total} if success else {}
        status = "completed" if success else "failed"
        self._change(phase_id, status=status, completed_at=timestamp(), summary=summary, **done)
        self._add(f"{phase.name}: {summary}", "info" if success else "warning")
        self._flush()

    def add_activity(self, message: str, level: Level = "info") -> None:
        """Add a line to the activity log."""
        self._watcher.add_activity(message, level)
        self._add(message, level)

    def get_activity_log(self) -> list[ActivityLogEntry]:
        """Return the newest 50 lines of the log, oldest first."""
        self._flush()
        return self._ledger.run_log.newest(self.run_id)

    def _add(self, message: str, level: Level) -> None:
        with self._lock:
            self._lines.append(ActivityLogEntry(timestamp(), message, level))
            del self._lines[:-BUFFERED]

    def _change(self, phase_id: str, **changes: Any) -> None:
        with self._lock:
            self._counted()
            self._phases[phase_id] = replace(self._phases[phase_id], **changes)
            self._changed.add(phase_id)

    def _counted(self) -> None:
        """Take over what was counted since, under the lock: a record for each count would cost a batch."""
        for phase_id, current in self._counts.items():
            self._phases[phase_id] = replace(self._phases[phase_id], current=current)
            self._changed.add(phase_id)
        self._counts.clear()

    def _flush(self) -> None:
        """Write what has changed; what cannot be written stays to be written."""
        with self._writing:
            with self._lock:
                self._counted()
                names, lines = self._changed, self._lines
                self._changed, self._lines = set(), []
                phases = [self._phases[name] for name in names]
            if not phases and not lines:
                return
            try:
                with self._ledger.writing(f"log of {self.run_id}"):
                    self._ledger.run_log.change(self.run_id, phases)
                    self._ledger.run_log.append(self.run_id, lines)
            except BaseException:
                with self._lock:
                    self._changed, self._lines = names | self._changed, lines + self._lines
                raise

    def _beat(self) -> None:
        beaten = monotonic()
        while not self._is_done:
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            with suppress(StorageError):  # it is tried again a second later
                self._flush()
                self._cancelled_by = self._cancelled_by or self._ledger.runs.cancelled_by(self.run_id)
                if monotonic() - beaten >= HEARTBEAT_SECONDS:
                    self._ledger.runs.beat(self.run_id)
                    beaten = monotonic()


def begin(ledger: Ledger, job_type: str, phases: Phases, **about: Any) -> Run:
    """Begin a run with all its phases pending, in one transaction; ``Locked`` while the job is running."""
    with ledger.writing("runs"):
        run = ledger.runs.start(job_type, **about)
        pending = [PhaseProgress(key, name, unit) for key, (name, unit) in phases.items()]
        ledger.run_log.register(run.run_id, pending)
        return run


@contextmanager
def failing(tracker: BatchRunTracker, outcome: Summed) -> Iterator[None]:
    """Run a job's code captured; an error ends the run as failed, with what it had done so far."""
    try:
        with captured(tracker):
            yield
    except BaseException as error:
        tracker.complete("failed", summary=outcome.as_dict(), error=str(error) or repr(error))
        raise
