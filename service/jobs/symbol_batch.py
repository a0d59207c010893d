"""The symbol batch: factors, risk model and metrics of every symbol for the sessions that lack them.

Data-driven: what is missing is done, and a run that finds nothing missing publishes nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

import numpy as np
import polars as pl

from engine.factors import PROXIES
from engine.panel import Panel
from engine.typing import DateArray
from service import clock
from service.book_loader import HISTORY_SESSIONS, computed_sessions, load_panel, newest_profiles
from service.errors import FailedError, UsageError
from service.jobs import symbol_phases
from service.jobs.progress import Progress
from service.settings import Settings
from storage.releases import Release
from storage.store import Store
from storage.writer import Writer

JOB = "symbol_batch"
MARKET = PROXIES["Market"]
# Symbol-sessions whose frames are in memory at once.
CHUNK_SIZE = 60_000


@dataclass(frozen=True, slots=True)
class Work:
    """Sessions to compute, ascending: new ones and those to be computed again; and what has to wait."""

    new: DateArray
    again: DateArray
    remainder: int = 0

    @property
    def sessions(self) -> DateArray:
        """All of them, ascending."""
        return np.union1d(self.new, self.again)


@dataclass(slots=True)
class Outcome:
    """What a run did. ``skipped`` maps a session to why it could not be computed."""

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
    triggered_by: str = "manual",
) -> Outcome:
    """Compute a session (the newest with a market price when not given) and the gaps before it."""

    def plan(release: Release) -> Work:
        priced = _priced_sessions(store, release)
        target = priced[-1] if session is None else np.datetime64(session)
        if target not in priced:
            raise FailedError(
                f"{MARKET} has no price on {target}, and without the market no session is computed; "
                f"ingest it, or give one of the sessions up to {priced[-1]}"
            )
        marks = store.ledger.symbols.recompute_marks()
        return plan_work(
            priced[priced <= target],
            computed_sessions(store, release),
            min(marks.values(), default=None),
            limit=settings.backfill_sessions,
        )

    return _run(store, settings, progress, plan, triggered_by)


def backfill(
    store: Store,
    settings: Settings,
    progress: Progress,
    *,
    first: date,
    last: date,
    triggered_by: str = "manual",
) -> Outcome:
    """Compute every session from ``first`` to ``last`` that has a market price and is not computed yet."""
    if first > last:
        raise UsageError(f"--from {first} is after --to {last}; exchange them")

    def plan(release: Release) -> Work:
        priced = _priced_sessions(store, release)
        wanted = priced[(priced >= np.datetime64(first)) & (priced <= np.datetime64(last))]
        computed = computed_sessions(store, release)
        return Work(np.setdiff1d(wanted, computed), wanted[:0])

    return _run(store, settings, progress, plan, triggered_by)


def plan_work(priced: DateArray, computed: DateArray, recompute_from: date | None, *, limit: int) -> Work:
    """Decide which sessions to compute.

    Without any computed session only the newest one; else every session from the first computed one on that
    is not computed, oldest first, at most ``limit`` a run, and again every computed session from
    ``recompute_from`` on: two universe statistics couple the symbols of a session.
    """
    nothing = priced[:0]
    again = nothing if recompute_from is None else computed[computed >= np.datetime64(recompute_from)]
    if not len(computed):
        return Work(priced[-1:], nothing)
    missing = np.setdiff1d(priced[priced >= computed[0]], computed)
    if priced[-1] < computed[0]:
        missing = priced[-1:]
    return Work(missing[:limit], again, max(0, len(missing) - limit))


def _priced_sessions(store: Store, release: Release) -> DateArray:
    """Exchange sessions on which the market proxy has a price, ascending."""
    market = store.read("prices", release=release, columns=["session"], symbols=[MARKET])
    if market.is_empty():
        raise FailedError(
            f"{store.path} has no price of the market proxy {MARKET}; `ridgeline ingest` it first"
        )
    return np.sort(market["session"].to_numpy().astype("datetime64[D]"))


def _run(
    store: Store, settings: Settings, progress: Progress, plan: Callable[[Release], Work], triggered_by: str
) -> Outcome:
    """Plan and compute under the lease, as a run of the ledger, and publish once at the end."""
    run = store.ledger.runs.start(JOB, triggered_by=triggered_by)
    outcome = Outcome(run.run_id)
    try:
        with store.writing("symbol", owner=JOB) as writer:
            marks = store.ledger.symbols.recompute_marks()
            work = plan(writer.base)
            outcome.remainder = work.remainder
            if len(work.sessions):
                _compute(store, settings, progress, writer, work, outcome)
            if outcome.sessions or (marks and not work.remainder):
                computed = computed_sessions(store, writer.base)
                newest = max([*computed.tolist(), *map(date.fromisoformat, outcome.sessions)], default=None)
                writer.publish(session=newest, run_id=run.run_id, recomputed=marks)
            outcome.release = writer.base.number
    except BaseException as error:
        store.ledger.runs.finish(
            run.run_id, "failed", summary=outcome.as_dict(), error=str(error) or repr(error)
        )
        raise
    if outcome.sessions and (outcome.missing_proxies or outcome.skipped):
        outcome.status = "partial"
    items = (len(outcome.sessions) + len(outcome.skipped), len(outcome.skipped))
    store.ledger.runs.finish(run.run_id, outcome.status, items=items, summary=outcome.as_dict())
    if outcome.sessions:
        store.write_catalog()
    return outcome


def _compute(
    store: Store, settings: Settings, progress: Progress, writer: Writer, work: Work, outcome: Outcome
) -> None:
    """Compute all sessions of the work, a chunk of consecutive ones at a time."""
    n_symbols = len(store.ledger.symbols.ids())
    profiles = store.read("profiles", release=writer.base)
    changes = profiles["as_of"].unique().sort().to_numpy().astype("datetime64[D]")
    chunks = list(_chunks(work, max(1, CHUNK_SIZE // max(1, n_symbols)), changes))
    unit = "symbols" if len(work.sessions) == 1 else "dates"
    phases = symbol_phases.Phases(progress, n_symbols if unit == "symbols" else len(work.sessions), unit)
    for sessions, is_new in chunks:
        first = clock.sessions_until(sessions[0].item(), HISTORY_SESSIONS)
        panel = load_panel(store, writer.base, np.union1d(first, sessions))
        usable = _gate(settings, panel, sessions, work, outcome)
        span = (panel.column(sessions[0]), panel.column(sessions[-1]))
        known = newest_profiles(profiles, sessions[0].item())
        for table, frame in phases.compute(panel, known, span, half_life=settings.half_life).items():
            kept = frame.filter(pl.col("session").is_in(pl.Series(usable).implode()))
            if is_new:
                writer.append(table, kept)
            else:
                writer.replace(table, kept, sessions=(sessions[0].item(), sessions[-1].item()))
        outcome.sessions += [str(each) for each in usable]
        outcome.recomputed += 0 if is_new else len(usable)
        outcome.symbols = len(panel.symbols)
        outcome.missing_proxies = [proxy for proxy in PROXIES.values() if panel.row(proxy) is None]
    phases.complete(len(outcome.sessions), outcome.missing_proxies)


def _gate(settings: Settings, panel: Panel, sessions: DateArray, work: Work, outcome: Outcome) -> DateArray:
    """Leave out sessions on which too few of the active symbols have a price; fail when it is the newest."""
    usable = []
    for session in sessions:
        at = panel.column(session)
        active = panel.active(at, at)[:, 0]
        coverage = float(np.isfinite(panel.adj_close[active, at]).mean()) if active.any() else 0.0
        if coverage >= settings.coverage_threshold:
            usable.append(session)
            continue
        reason = (
            f"only {coverage:.0%} of the active symbols have a price, {settings.coverage_threshold:.0%} must"
        )
        if session == work.sessions[-1]:
            raise FailedError(f"{session}: {reason}; ingest the missing prices and run again")
        outcome.skipped[str(session)] = reason
    return np.array(usable, dtype="datetime64[D]")


def _chunks(work: Work, size: int, changes: DateArray) -> Iterator[tuple[DateArray, bool]]:
    """Split the work into runs of neighbors, all new or all computed before, ``size`` at most.

    A run does not cross one of the ``changes`` either, the dates from which other profiles hold.
    """
    for sessions, is_new in ((work.again, False), (work.new, True)):
        calendar = (
            clock.sessions_between(sessions[0].item(), sessions[-1].item()) if len(sessions) else sessions
        )
        gap = np.diff(np.searchsorted(calendar, sessions), prepend=-2) > 1
        change = np.diff(np.searchsorted(changes, sessions, side="right"), prepend=-1) > 0
        starts = np.flatnonzero(gap | change)
        for run in np.split(sessions, starts[1:]):
            for at in range(0, len(run), size):
                yield run[at : at + size], is_new
