"""Works the queue of unknown symbols: fetches them, stores them, and computes the newest session."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import date
from time import monotonic
from typing import Any, Literal

import polars as pl

from service import clock
from service.errors import UsageError
from service.ingest import ingest_prices
from service.jobs.phase_parts import PhaseParts
from service.jobs.progress import Progress
from service.jobs.provider_notes import noting
from service.jobs.reference_data import refresh_reference_data
from service.jobs.symbol_batch import run_symbol_batch
from service.jobs.tracker import BY_HAND, BatchRunTracker, Trigger, failing
from service.jobs.universe import HISTORY_SESSIONS
from service.names import read_names
from service.onboarding import unknown_symbols
from service.providers.outcomes import FINAL, Failed, Fetched, Outcome, PriceSource, Span
from service.providers.sources import Sources
from service.settings import Settings
from storage.store import Store
from storage.symbol_queue import Job

JOB = "symbol_onboarding"
PHASES = {"symbols": ("Symbol Onboarding", "symbols")}
AT_ONCE = 3
BEAT_SECONDS = 10.0


@dataclass(slots=True)
class Processed:
    """What became of the symbols; ``failed`` and ``retried`` say why, ``release`` has those that arrived."""

    run_id: str
    arrived: list[str] = field(default_factory=list)
    retried: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    release: int | None = None

    @property
    def status(self) -> Literal["completed", "partial"]:
        """Whether every symbol came."""
        return "partial" if self.failed else "completed"

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def process_symbols(
    store: Store,
    settings: Settings,
    progress: Progress,
    sources: Sources,
    *,
    since: date | None = None,
    trigger: Trigger = BY_HAND,
) -> Processed:
    """Fetch every symbol that waits, three at once, and recompute the newest session.

    A symbol that a source could not answer for is tried three times, unless its sources want to be left
    alone: then what is left waits for the next run. One that no source knows has failed.

    Symbols that had no room in the queue when their portfolio came in are queued as there is room; jobs that
    a dead process left behind are taken up again. Profiles are fetched where there is a source of them.

    Parameters
    ----------
    since : date, optional
        First day to fetch; as much as the newest session is computed from when not given.

    Raises
    ------
    UsageError
        There is no source of prices.
    """
    if sources.prices is None:
        raise UsageError("no provider is configured to fetch from; give a PATH of prices, or set providers")
    target = clock.last_closed_session(settings)
    span = (since or _first_needed(store, target), target)
    tracker = BatchRunTracker(store.ledger, watcher=progress)
    tracker.start(JOB, PHASES, trigger=trigger)
    done = Processed(tracker.run_id)
    with failing(tracker, done):
        _queue_deferred(store, target)
        n_waiting = store.ledger.symbol_queue.counts()["pending"]
        tracker.start_phase("symbols", PHASES["symbols"][0], n_waiting, "symbols")
        with noting(store.ledger):
            _work(store, sources.prices, span, tracker, done)
        tracker.complete_phase("symbols", not done.failed, f"{len(done.arrived)} arrived")
        if done.arrived:
            described = Sources(profiles=sources.profiles, fundamentals=sources.fundamentals)
            refresh_reference_data(store, settings, described, PhaseParts(tracker, {}), done.arrived)
            # What the other symbols lack is the nightly batch's to fetch.
            batch = run_symbol_batch(store, settings, progress, trigger=Trigger(JOB), sources=Sources())
            done.release = batch.release
    n_all = len(done.arrived) + len(done.failed)
    tracker.complete(
        "partial" if done.failed else "completed", items=(n_all, len(done.failed)), summary=done.as_dict()
    )
    return done


def _work(store: Store, source: PriceSource, span: Span, tracker: BatchRunTracker, done: Processed) -> None:
    """Take jobs from the queue until there are none, or the source wants to be left alone."""
    failures: dict[str, tuple[str, str]] = {}
    while jobs := store.ledger.symbol_queue.claim(AT_ONCE):
        found = _fetched(store, source, jobs, span)
        failures |= _store(store, done, found, span[1])
        tracker.update_phase_progress("symbols", len(done.arrived) + len(done.failed))
        if all(isinstance(each, Failed) and each.kind == "rate_limited" for each in found.values()):
            tracker.add_activity(f"{source.name} may not be asked more now; the rest waits", "warning")
            break
        _queue_deferred(store, span[1])
    left = {symbol: said for symbol, said in failures.items() if symbol not in done.arrived}
    store.ledger.failures.record(done.run_id, JOB, span[1], left, succeeded=done.arrived)


def _first_needed(store: Store, target: date) -> date:
    """First session that the store's newest one, or the one to come, is computed from."""
    newest = min(store.release().session or target, target)
    first: date = clock.sessions_until(newest, HISTORY_SESSIONS)[0].item()
    return first


def _fetched(store: Store, source: PriceSource, jobs: Sequence[Job], span: Span) -> dict[Job, Outcome]:
    """Fetch the symbols of some jobs; other machines see in the meantime that they are worked on."""
    by_symbol = {job.symbol: job for job in jobs}
    found: dict[Job, Outcome] = {}
    beaten = monotonic()
    with closing(source.fetch(dict.fromkeys(by_symbol, span))) as outcomes:
        for symbol, outcome in outcomes:
            found[by_symbol[symbol]] = outcome
            if monotonic() - beaten > BEAT_SECONDS:
                store.ledger.symbol_queue.beat()
                beaten = monotonic()
    return found


def _store(
    store: Store, done: Processed, found: Mapping[Job, Outcome], target: date
) -> dict[str, tuple[str, str]]:
    """Ingest what was fetched, and only then end its jobs: one that dies between is fetched again.

    Returns kind and words of each failure.
    """
    fetched = [outcome for outcome in found.values() if isinstance(outcome, Fetched)]
    if fetched:
        actions = pl.concat([outcome.actions for outcome in fetched])
        ingest_prices(
            store, pl.concat([outcome.prices for outcome in fetched]), actions=actions, last_session=target
        )
    queue, known = store.ledger.symbol_queue, store.ledger.symbols.ids()
    failures: dict[str, tuple[str, str]] = {}
    for job, outcome in found.items():
        done.retried.pop(job.symbol, None)
        if isinstance(outcome, Fetched) and job.symbol in known:
            queue.complete(job.job_id)
            done.arrived.append(job.symbol)
            continue
        failed = outcome if isinstance(outcome, Failed) else _none_kept(outcome)
        failures[job.symbol] = (failed.kind, failed.message)
        ended = queue.fail(job.job_id, failed.message, is_final=failed.kind in FINAL)
        (done.failed if ended else done.retried)[job.symbol] = failed.message
    return failures


def _none_kept(outcome: Fetched) -> Failed:
    return Failed("bad_payload", f"none of {outcome.prices.height} prices could be kept")


def _queue_deferred(store: Store, target: date) -> None:
    """Queue symbols that open lots hold and nobody has ever seen or asked for, under whatever name."""
    names = read_names(store, store.release(), target)
    queue, known = store.ledger.symbol_queue, store.ledger.symbols.ids()
    for portfolio in store.ledger.portfolios.everyones():
        lots = [position.lot for position in store.ledger.positions.of(portfolio.portfolio_id)]
        held = [
            symbol
            for symbol in unknown_symbols(None, lots)
            if not {symbol, names.on(target, symbol, target)} & known.keys()
        ]
        asked_for = queue.jobs(held)
        fresh = [symbol for symbol in held if symbol not in asked_for]
        if fresh:
            queue.enqueue(fresh, portfolio_id=portfolio.portfolio_id, owner=portfolio.owner)
