"""The symbol batch: factors, risk model and metrics of every symbol for the sessions that lack them.

Data-driven: what is missing is done, and a run that finds nothing missing publishes nothing.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

import numpy as np
import polars as pl

from engine.factors import PROXIES
from engine.panel import Panel
from engine.quality import EVENTS
from engine.typing import DateArray
from service import clock
from service.book_loader import HISTORY_SESSIONS, computed_sessions, load_panel, newest_profiles
from service.errors import FailedError, UsageError
from service.jobs.progress import Progress
from service.jobs.symbol_phases import PHASES, Phases
from service.jobs.tracker import BY_HAND, BatchRunTracker, Trigger, failing
from service.jobs.work_list import Work, nightly_work, portions
from service.settings import Settings
from storage.errors import StorageError
from storage.releases import Release
from storage.store import Store
from storage.writer import Writer

JOB = "symbol_batch"
MARKET = PROXIES["Market"]
# Symbol-sessions whose frames are in memory at once.
CHUNK_SIZE = 30_000


@dataclass(slots=True)
class Outcome:
    """What a run did.

    Attributes
    ----------
    sessions : list of str
        The computed ones; ``recomputed`` of them had been computed before.
    remainder : int
        Sessions, missing or stale, that are left to later runs.
    symbols : int
        Symbols with a price in the panel of the last portion.
    missing_proxies : list of str
        Factor proxies without a price on some computed session.
    skipped : dict of str to str
        Why a session could not be computed.
    """

    run_id: str
    status: Literal["completed", "partial", "failed"] = "completed"
    release: int = 0
    sessions: list[str] = field(default_factory=list)
    recomputed: int = 0
    remainder: int = 0
    symbols: int = 0
    missing_proxies: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def run_symbol_batch(
    store: Store,
    settings: Settings,
    progress: Progress,
    *,
    session: date | None = None,
    trigger: Trigger = BY_HAND,
    symbols: Sequence[str] | None = None,
) -> Outcome:
    """Compute a session (the newest with a market price when not given) and the gaps before it.

    Parameters
    ----------
    symbols : sequence of str, optional
        Whose prices are asked for; those of the whole universe when not given. Sessions are computed whole.
    """

    def plan(release: Release) -> Work:
        priced = _priced_sessions(store, release)
        target = priced[-1] if session is None else np.datetime64(session)
        if target not in priced:
            raise UsageError(
                f"{MARKET} has no price on {target}, and without the market no session is computed; "
                f"ingest it, or give one of the sessions up to {priced[-1]}"
            )
        computed, marks = computed_sessions(store, release), store.ledger.symbols.recompute_marks()
        return nightly_work(priced[priced <= target], computed, marks, limit=settings.backfill_sessions)

    return _run(store, settings, progress, plan, trigger, symbols)


def backfill(
    store: Store,
    settings: Settings,
    progress: Progress,
    *,
    first: date,
    last: date,
    trigger: Trigger = BY_HAND,
) -> Outcome:
    """Compute every session from ``first`` to ``last`` that has a market price and is not computed yet."""
    if first > last:
        raise UsageError(f"--from {first} is after --to {last}; exchange them")

    def plan(release: Release) -> Work:
        priced = _priced_sessions(store, release)
        wanted = priced[(priced >= np.datetime64(first)) & (priced <= np.datetime64(last))]
        return Work(np.setdiff1d(wanted, computed_sessions(store, release)), wanted[:0])

    return _run(store, settings, progress, plan, trigger)


def _priced_sessions(store: Store, release: Release) -> DateArray:
    """Exchange sessions on which the market proxy has a price, ascending."""
    market = store.read("prices", release=release, columns=["session"], symbols=[MARKET])
    if market.is_empty():
        raise FailedError(
            f"{store.path} has no price of the market proxy {MARKET}; `ridgeline ingest` it first"
        )
    return np.sort(market["session"].to_numpy().astype("datetime64[D]"))


def _run(
    store: Store,
    settings: Settings,
    progress: Progress,
    plan: Callable[[Release], Work],
    trigger: Trigger,
    symbols: Sequence[str] | None = None,
) -> Outcome:
    """Plan and compute under the lease, as a run of the ledger, and publish once at the end."""
    tracker = BatchRunTracker(store.ledger, watcher=progress)
    scope = None if symbols is None else {"symbols": list(symbols)}
    tracker.start(JOB, PHASES, trigger=trigger, scope=scope, seconds=settings.symbol_batch_seconds)
    outcome = Outcome(tracker.run_id)
    with failing(tracker, outcome):
        n_symbols = len(store.ledger.symbols.ids())
        tracker.start_phase("prices", PHASES["prices"][0], n_symbols, "symbols")
        with store.writing("symbol", owner=JOB) as writer:
            work = plan(writer.base)
            outcome.remainder = work.remainder
            if work.n_sessions:
                _Batch(store, settings, tracker, writer, outcome).compute(work)
            else:
                tracker.complete_phase("prices", success=True, summary="nothing is missing")
            if work.remainder:
                tracker.add_activity(_left(work), "warning")
            if outcome.sessions or work.marks:
                newest: date | None = writer.read("factor_covariance", columns=["session"])["session"].max()  # type: ignore[assignment]
                writer.publish(
                    session=newest, run_id=tracker.run_id, recomputed=work.marks, resume=work.resume
                )
            outcome.release = writer.base.number
        outcome.status = "partial" if outcome.missing_proxies or outcome.skipped else "completed"
    items = (len(outcome.sessions) + len(outcome.skipped), len(outcome.skipped))
    tracker.complete(outcome.status, items=items, summary=outcome.as_dict())
    if outcome.sessions:
        with suppress(StorageError):  # the next job writes it: what was published stands without it
            store.write_catalog()
    return outcome


def _left(work: Work) -> str:
    stale = "" if work.resume is None else f", those from {work.resume} on with stale numbers"
    return (
        f"{work.remainder} sessions remain{stale}; the next runs compute them, oldest first, "
        "as many at once as the setting backfill_sessions allows"
    )


@dataclass(frozen=True, slots=True)
class _Batch:
    """A run under way: what it reads, where it writes and whom it tells."""

    store: Store
    settings: Settings
    tracker: BatchRunTracker
    writer: Writer
    outcome: Outcome

    def compute(self, work: Work) -> None:
        """Compute all sessions of the work, a portion at a time, which bounds the memory."""
        n_symbols = len(self.store.ledger.symbols.ids())
        profiles = self.store.read("profiles", release=self.writer.base)
        actions = self.store.read("corporate_actions", release=self.writer.base)
        events = actions.filter(pl.col("kind").is_in(EVENTS)).select("symbol", "session")
        changes = profiles["as_of"].unique().sort().to_numpy().astype("datetime64[D]")
        unit = "symbols" if work.n_sessions == 1 else "dates"
        total = n_symbols if unit == "symbols" else work.n_sessions
        phases = Phases(self.tracker, total, unit, lacking=self.outcome.missing_proxies)
        for sessions, is_new in portions(work, max(1, CHUNK_SIZE // max(1, n_symbols)), changes):
            history = clock.sessions_until(sessions[0].item(), HISTORY_SESSIONS)
            days = np.union1d(history, sessions)
            panel = load_panel(self.store, self.writer.base, days, n_fits=len(sessions))
            try:
                usable = self._usable(panel, sessions, work.target)
            except FailedError as error:
                self.tracker.complete_phase("prices", success=False, summary=str(error))
                raise
            if not self.outcome.symbols:
                self.tracker.complete_phase("prices", True, f"{n_symbols} symbols")
            self._account(panel, usable, is_new=is_new)
            span = (panel.column(sessions[0]), panel.column(sessions[-1]))
            known = newest_profiles(profiles, sessions[0].item())
            tables = phases.compute(panel, known, events, span, half_life=self.settings.half_life)
            self._write(tables, sessions, usable, is_new=is_new)

    def _usable(self, panel: Panel, sessions: DateArray, target: np.datetime64 | None) -> DateArray:
        """Leave out sessions on which too few active symbols have a price; the target must not be one."""
        first, last = panel.column(sessions[0]), panel.column(sessions[-1])
        active = panel.active(first, last)
        priced = active & np.isfinite(panel.adj_close[:, first : last + 1])
        coverage = priced.sum(axis=0) / active.sum(axis=0)
        thin = coverage < self.settings.coverage_threshold
        for session, share in zip(sessions[thin], coverage[thin], strict=True):
            needed = f"{self.settings.coverage_threshold:.0%} must"
            reason = (
                f"only {share:.0%} of the active symbols have a price, {needed}; ingest the missing prices"
            )
            if session == target:
                raise FailedError(f"{session}: {reason} and run again")
            self.outcome.skipped[str(session)] = reason
            self.tracker.add_activity(f"{session} skipped: {reason}", "warning")
        usable: DateArray = sessions[~thin]
        return usable

    def _write(
        self, tables: dict[str, pl.DataFrame], sessions: DateArray, usable: DateArray, *, is_new: bool
    ) -> None:
        """Append new sessions and replace those computed before; a skipped one has no rows afterwards."""
        for table, frame in tables.items():
            kept = frame.filter(pl.col("session").is_in(pl.Series(usable, dtype=pl.Date).implode()))
            if is_new:
                self.writer.append(table, kept)
            else:
                self.writer.replace(table, kept, sessions=(sessions[0].item(), sessions[-1].item()))

    def _account(self, panel: Panel, usable: DateArray, *, is_new: bool) -> None:
        outcome = self.outcome
        outcome.sessions += [str(session) for session in usable]
        outcome.recomputed += 0 if is_new else len(usable)
        outcome.symbols = len(panel.symbols)
        at = [panel.column(session) for session in usable]
        for proxy in PROXIES.values():
            row = panel.row(proxy)
            lacking = bool(at) and (row is None or not np.isfinite(panel.adj_close[row, at]).all())
            if lacking and proxy not in outcome.missing_proxies:
                outcome.missing_proxies.append(proxy)
                self.tracker.add_activity(f"the factor proxy {proxy} lacks prices", "warning")
