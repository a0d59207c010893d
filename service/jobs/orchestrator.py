"""Nine phases in their fixed order, for everything or for some portfolios: what operators set off by hand.

Symbols are the symbol batch's work and snapshots the portfolio refresh's; each is a run of its own, and its
phases are told as parts of these. What belongs to the present (profiles, statements, sectors) is done once,
on the final date, however far back that lies.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

from service.errors import RidgelineError, UsageError
from service.jobs.phase_parts import PhaseParts
from service.jobs.portfolio_refresh import refresh_portfolios
from service.jobs.present_phases import Present
from service.jobs.progress import Progress
from service.jobs.refresh_phases import PHASES as OF_REFRESH
from service.jobs.symbol_batch import run_symbol_batch
from service.jobs.symbol_phases import FACTOR_SETS
from service.jobs.tracker import BY_HAND, BatchRunTracker, CancelledError, Trigger, failing
from service.onboarding import valued_by
from service.onboarding_status import PHASES as NINE
from service.settings import Settings
from storage.errors import StorageError
from storage.store import Store

JOB = "legacy_batch"
PHASES = {phase_id: (name, unit) for phase_id, name, unit in NINE}
SYMBOL_PARTS = {
    "phase_1": ("prices",),
    "phase_1_5": tuple(FACTOR_SETS),
    "phase_1_75": ("metrics",),
}
REFRESH_PARTS = {
    "phase_3": ("snapshots",),
    "phase_6": tuple(part for part in OF_REFRESH if part != "snapshots"),
}


@dataclass(slots=True)
class AllPhases:
    """What a run did.

    Attributes
    ----------
    symbol_batch, refresh : str or None
        Runs of their own that did the symbols' phases and the snapshots'.
    failed : dict of str to str
        Why a phase has failed.
    in_part : list of str
        Those of the two runs that have done only a part of their work.
    """

    run_id: str
    status: Literal["completed", "partial", "failed"] = "completed"
    portfolios: int = 0
    sessions: list[str] = field(default_factory=list)
    snapshots: int = 0
    symbol_batch: str | None = None
    refresh: str | None = None
    failed: dict[str, str] = field(default_factory=dict)
    in_part: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def run_all_phases(
    store: Store,
    settings: Settings,
    progress: Progress,
    *,
    portfolio_ids: Sequence[str] | None = None,
    sessions: tuple[date, date] | None = None,
    force: bool = False,
    trigger: Trigger = BY_HAND,
) -> AllPhases:
    """Bring symbols and portfolios up to date, phase by phase; a phase that fails makes the run partial.

    Parameters
    ----------
    portfolio_ids : sequence of str, optional
        Portfolios that the run is confined to, with the symbols that they hold; everything when not given.
    sessions : tuple of date, optional
        First and last session of the snapshots; those that are missing when not given.
    force : bool
        Take the snapshots of the sessions again; what was stored stays readable in earlier releases.

    Raises
    ------
    Locked
        A live process is at it already.
    """
    tracker = BatchRunTracker(store.ledger, watcher=progress)
    scope = None if portfolio_ids is None else {"portfolio_ids": list(portfolio_ids)}
    seconds = settings.symbol_batch_seconds + settings.portfolio_refresh_seconds
    tracker.start(JOB, PHASES, trigger=trigger, scope=scope, seconds=seconds)
    outcome = AllPhases(tracker.run_id)
    with failing(tracker, outcome):
        nine = _Nine(store, settings, tracker, outcome)
        nine.run(portfolio_ids, sessions, force=force)
        outcome.status = nine.verdict()
    error = outcome.failed["phase_3"] if outcome.status == "failed" else None
    items = (len(PHASES), len(outcome.failed))
    tracker.complete(outcome.status, items=items, summary=outcome.as_dict(), error=error)
    return outcome


@dataclass(frozen=True, slots=True)
class _Nine:
    """A run under way."""

    store: Store
    settings: Settings
    tracker: BatchRunTracker
    outcome: AllPhases

    def run(
        self, portfolio_ids: Sequence[str] | None, sessions: tuple[date, date] | None, *, force: bool
    ) -> None:
        """Go through the phases; snapshots are taken of what is stored, whatever became of the symbols."""
        everyones = [each.portfolio_id for each in self.store.ledger.portfolios.everyones()]
        chosen = everyones if portfolio_ids is None else list(portfolio_ids)
        if missing := set(chosen) - set(everyones):
            raise UsageError(
                f"no portfolio {', '.join(sorted(missing))}; `ridgeline portfolio list` has them"
            )
        self.outcome.portfolios = len(chosen)
        held = self._held(chosen)
        present = Present(self.store, self.settings, self.tracker, held, chosen)
        self._symbols(None if portfolio_ids is None else held)
        self._once("phase_0", len(held), present.profiles)
        self._once("phase_2", len(held), present.fundamentals)
        self._refresh(portfolio_ids, sessions, force=force)
        n_positions = sum(self.store.ledger.positions.counts(chosen).values())
        self._once("phase_4", 1, present.values)
        self._once("phase_5", n_positions, present.sectors)

    def verdict(self) -> Literal["completed", "partial", "failed"]:
        """Without snapshots the run has failed; any other phase that has makes it partial."""
        if "phase_3" in self.outcome.failed:
            return "failed"
        return "partial" if self.outcome.failed or self.outcome.in_part else "completed"

    def _held(self, portfolio_ids: Sequence[str]) -> list[str]:
        """Return the symbols that open lots of portfolios are valued by."""
        positions = self.store.ledger.positions
        return sorted(
            {
                symbol
                for portfolio_id in portfolio_ids
                for symbol in valued_by(None, [each.lot for each in positions.of(portfolio_id)])
            }
        )

    def _symbols(self, symbols: Sequence[str] | None) -> None:
        parts = PhaseParts(self.tracker, _wholes(SYMBOL_PARTS))

        def batch() -> None:
            trigger = Trigger(f"{JOB} {self.outcome.run_id}")
            done = run_symbol_batch(self.store, self.settings, parts, symbols=symbols, trigger=trigger)
            self.outcome.symbol_batch = done.run_id
            self._noted(done.run_id, done.status)

        self._delegated(parts, batch)

    def _refresh(
        self, portfolio_ids: Sequence[str] | None, sessions: tuple[date, date] | None, *, force: bool
    ) -> None:
        parts = PhaseParts(self.tracker, _wholes(REFRESH_PARTS))

        def refresh() -> None:
            done = refresh_portfolios(
                self.store,
                self.settings,
                parts,
                portfolio_ids=portfolio_ids,
                sessions=sessions,
                force=force,
                trigger=Trigger(f"{JOB} {self.outcome.run_id}"),
            )
            self.outcome.refresh = done.run_id
            self.outcome.sessions, self.outcome.snapshots = done.sessions, done.snapshots
            self._noted(done.run_id, done.status)

        self._delegated(parts, refresh)

    def _noted(self, run_id: str, status: str) -> None:
        if status == "partial":
            self.outcome.in_part.append(run_id)
            self.tracker.add_activity(
                f"run {run_id} was done in part; its log says what is missing", "warning"
            )

    def _delegated(self, parts: PhaseParts, job: Callable[[], None]) -> None:
        """Have another job do phases; that it has failed is the failure of the phase that it was in."""
        error = None
        try:
            job()
        except CancelledError:
            raise
        except (RidgelineError, StorageError) as failure:
            error = str(failure)
        parts.close(error)
        self.outcome.failed |= parts.failed

    def _once(self, phase_id: str, total: int, work: Callable[[str], str]) -> None:
        """Do a phase of the final date; its failure is noted, and the run goes on."""
        name, unit = PHASES[phase_id]
        self.tracker.start_phase(phase_id, name, total, unit)
        try:
            summary, success = work(phase_id), True
        except CancelledError:
            raise
        except (RidgelineError, StorageError) as failure:
            summary, success = str(failure), False
            self.outcome.failed[phase_id] = summary
        self.tracker.complete_phase(phase_id, success, summary)


def _wholes(parts: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {phase_id: (PHASES[phase_id][0], of) for phase_id, of in parts.items()}
