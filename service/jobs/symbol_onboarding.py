"""Works the queue of unknown symbols: fetches them, stores them, and computes the newest session."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from service.errors import FailedError, UsageError
from service.ingest import ingest_prices
from service.jobs.progress import Progress
from service.jobs.symbol_batch import run_symbol_batch
from service.jobs.tracker import BY_HAND, BatchRunTracker, Trigger, failing
from service.onboarding import unknown_symbols
from service.providers.files import read_prices
from service.settings import Settings
from storage.store import Store
from storage.symbol_queue import Job

JOB = "symbol_onboarding"
PHASES = {"symbols": ("Symbol Onboarding", "symbols")}
AT_ONCE = 3

Fetch: TypeAlias = Callable[[str], pl.DataFrame]


@dataclass(slots=True)
class Processed:
    """What became of the symbols; ``failed`` and ``retried`` say why, ``release`` has those that arrived."""

    run_id: str
    arrived: list[str] = field(default_factory=list)
    retried: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    release: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def fetch_from_files(path: Path) -> Fetch:
    """Return a source that knows the symbols in a file or folder of prices."""
    known = read_prices(path)

    def fetch(symbol: str) -> pl.DataFrame:
        found = known.filter(pl.col("symbol") == symbol)
        if found.is_empty():
            raise UsageError(f"{path} has no price of {symbol}")
        return found

    return fetch


def process_symbols(
    store: Store, settings: Settings, progress: Progress, fetch: Fetch, *, trigger: Trigger = BY_HAND
) -> Processed:
    """Fetch every symbol that waits, three at once, three tries each, and recompute the newest session.

    Symbols that had no room in the queue when their portfolio came in are queued as there is room. Jobs that
    a dead process left behind are taken up again.
    """
    tracker = BatchRunTracker(store.ledger, watcher=progress)
    tracker.start(JOB, PHASES, trigger=trigger)
    done, queue = Processed(tracker.run_id), store.ledger.symbol_queue
    with failing(tracker, done):
        _queue_deferred(store)
        tracker.start_phase("symbols", PHASES["symbols"][0], queue.counts()["pending"], "symbols")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while jobs := queue.claim(AT_ONCE):
                found = dict(zip(jobs, pool.map(lambda job: _fetched(fetch, job.symbol), jobs), strict=True))
                _store(store, done, found)
                tracker.update_phase_progress("symbols", len(done.arrived) + len(done.failed))
                _queue_deferred(store)
        tracker.complete_phase("symbols", not done.failed, f"{len(done.arrived)} arrived")
        if done.arrived:
            done.release = run_symbol_batch(store, settings, progress, trigger=Trigger(JOB)).release
    n_all = len(done.arrived) + len(done.failed)
    tracker.complete(
        "partial" if done.failed else "completed", items=(n_all, len(done.failed)), summary=done.as_dict()
    )
    return done


def _fetched(fetch: Fetch, symbol: str) -> pl.DataFrame | str:
    """Return a symbol's prices, or why there are none."""
    try:
        return fetch(symbol)
    except (UsageError, FailedError, OSError) as error:
        return str(error)


def _store(store: Store, done: Processed, found: dict[Job, pl.DataFrame | str]) -> None:
    """Ingest what was fetched, and only then end its jobs: one that dies between is fetched again."""
    queue = store.ledger.symbol_queue
    frames = [frame for frame in found.values() if isinstance(frame, pl.DataFrame)]
    if frames:
        ingest_prices(store, pl.concat(frames))
    known = store.ledger.symbols.ids()
    for job, result in found.items():
        if isinstance(result, pl.DataFrame) and job.symbol in known:
            queue.complete(job.job_id)
            done.arrived.append(job.symbol)
            done.retried.pop(job.symbol, None)
            continue
        reason = result if isinstance(result, str) else f"none of {result.height} prices could be kept"
        queue.fail(job.job_id, reason)
        ended = queue.jobs([job.symbol])[job.symbol].status == "failed"
        (done.failed if ended else done.retried)[job.symbol] = reason
        if ended:
            done.retried.pop(job.symbol, None)


def _queue_deferred(store: Store) -> None:
    """Queue symbols that open lots hold and nobody has ever seen or asked for."""
    queue, known = store.ledger.symbol_queue, store.ledger.symbols.ids()
    for portfolio in store.ledger.portfolios.everyones():
        lots = [position.lot for position in store.ledger.positions.of(portfolio.portfolio_id)]
        held = [symbol for symbol in unknown_symbols(None, lots) if symbol not in known]
        fresh = [symbol for symbol in held if symbol not in queue.jobs(held)]
        if fresh:
            queue.enqueue(fresh, portfolio_id=portfolio.portfolio_id, owner=portfolio.owner)
