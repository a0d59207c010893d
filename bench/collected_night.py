"""A night with a source: payloads of every symbol as they were fetched, up to the release that shows them.

``python -m bench.collected_night STORE ROUNDS`` measures in a process of its own, on every core.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from shutil import copytree
from statistics import median
from typing import NamedTuple

from bench import timing

OVERLAP = 5
TRACKED = "bench"  # the kind of run that is tracked without doing anything


class Night(NamedTuple):
    """Median wall and processor seconds of a night, and wall seconds of all that its tracker is told."""

    wall: float
    processor: float
    tracker: float


def measure_night(store: Path, rounds: int) -> Night:
    """Measure nights on a copy of a computed store; the first one, which loads kernels, is not counted."""
    environment = {name: value for name, value in os.environ.items() if name not in timing.ONE_THREAD}
    with tempfile.TemporaryDirectory(prefix="ridgeline-night-") as folder:
        copytree(store, Path(folder) / "store")
        command = [sys.executable, "-m", "bench.collected_night", f"{folder}/store", str(rounds)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return Night(*json.loads(answer.stdout))


def _measured(path: Path, rounds: int) -> Night:
    from storage.store import open_store

    nights, trackers = [], []
    with open_store(path) as store:
        for _ in range(rounds + 1):
            nights.append(_night(store))
            trackers.append(_tracked(store))
    walls, processors = zip(*nights[1:], strict=True)
    return Night(median(walls), median(processors), median(trackers[1:]))


def _night(store) -> tuple[float, float]:
    """Bring in the session after the newest one, and return what that took."""
    from service import clock
    from service.jobs.progress import Silent
    from service.jobs.symbol_batch import run_symbol_batch
    from service.providers.sources import Sources
    from service.settings import Settings

    last: date = store.read("prices", columns=["session"])["session"].max()
    following = clock.sessions_between(last, last + timedelta(days=10))[1].item()
    payloads = _payloads(store, last, following)
    settings = Settings(ny_time=f"{following}T21:00")
    start = time.perf_counter(), time.process_time()
    done = run_symbol_batch(store, settings, Silent(), sources=Sources(prices=Payloads(payloads)))
    took = time.perf_counter() - start[0], time.process_time() - start[1]
    if done.sessions != [str(following)] or done.prices["arrived"] != len(payloads):
        raise AssertionError(f"the night of {following} did {done.as_dict()}")
    return took


def _payloads(store, last: date, following: date) -> Mapping[str, object]:
    """What a provider sends of every symbol: its last sessions as they are stored, and one more."""
    import polars as pl

    from service import clock
    from service.providers.files import no_actions
    from service.providers.outcomes import Fetched

    overlap = clock.sessions_until(last, OVERLAP)[0].item()
    rows = store.read("prices", sessions=(overlap, last)).drop("symbol_id", "quality").sort("session")
    up = [pl.col(name) * 1.01 for name in ("open", "high", "low", "close", "adj_close")]
    new = rows.unique("symbol", keep="last").with_columns(pl.lit(following).alias("session"), *up)
    frames = pl.concat([rows, new]).partition_by("symbol", as_dict=True)
    return {str(symbol): Fetched(frame, no_actions()) for (symbol,), frame in frames.items()}


class Payloads:
    """A source of what has been fetched already."""

    name = "payloads"

    def __init__(self, payloads: Mapping[str, object]) -> None:
        self._payloads = payloads

    def fetch(self, requests):
        """Yield what is asked for; a symbol without a price in the overlap has nothing."""
        from service.providers.outcomes import Failed

        for symbol in requests:
            yield symbol, self._payloads.get(symbol) or Failed("no_data", "nothing in the overlap")


def _tracked(store) -> float:
    """Wall seconds that a tracker takes for all that a night tells it."""
    from service.jobs.symbol_phases import PHASES
    from service.jobs.tracker import BatchRunTracker

    n_symbols, start = len(store.ledger.symbols.ids()), time.perf_counter()
    tracker = BatchRunTracker(store.ledger)
    tracker.start(TRACKED, PHASES)
    for phase_id, (name, unit) in PHASES.items():
        tracker.start_phase(phase_id, name, n_symbols, unit)
        for done in range(n_symbols) if phase_id == "prices" else (n_symbols,):
            tracker.update_phase_progress(phase_id, done)
        tracker.complete_phase(phase_id, success=True, summary="1 session")
    tracker.complete("completed")
    return time.perf_counter() - start


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    print(json.dumps(_measured(Path(sys.argv[1]), int(sys.argv[2]))))
