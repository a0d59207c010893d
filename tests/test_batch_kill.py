"""A batch killed in each of its phases, between what it stores of prices too: the next run completes it."""

import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from feeds import Feed
from test_price_collection import AT, DAYS, EX, FIRST, MARKET, NEW, assert_as_from_scratch, night, tonight

from service.jobs import price_collection
from service.jobs.symbol_batch import JOB, run_symbol_batch
from service.jobs.symbol_phases import PHASES
from storage.store import open_store

FETCHED = 12  # symbols that have arrived when a collection is killed
CHILD = """
import sys
sys.path.insert(0, {tests!r})
from test_batch_kill import be_killed
be_killed({path!r}, {day!r}, {phase!r}, {moment!r})
"""


class Killer:
    """Progress that kills its own process at a moment of a phase: at its start, on its way, or at its end."""

    def __init__(self, phase: str, moment: str) -> None:
        self._at = (phase, moment)

    def start_phase(self, phase_id: str, *_: object) -> None:
        self._reached(phase_id, "start")

    def update_phase_progress(self, phase_id: str, current: int) -> None:
        if phase_id != "prices" or current >= FETCHED:
            self._reached(phase_id, "middle")

    def complete_phase(self, phase_id: str, *_: object) -> None:
        self._reached(phase_id, "end")

    def add_activity(self, *_: object) -> None:
        """Live on."""

    def _reached(self, phase_id: str, moment: str) -> None:
        if self._at == (phase_id, moment):
            os.kill(os.getpid(), signal.SIGKILL)


def be_killed(path: str, day: str, phase: str, moment: str) -> None:
    """Run a batch that stores every third symbol's rows as they arrive, until it is killed."""
    price_collection.PORTION_ROWS = 15
    feed = Feed(MARKET, date.fromisoformat(day))
    with open_store(path) as store:
        run_symbol_batch(store, tonight(feed.last), Killer(phase, moment), sources=feed.sources())


def kill(path: Path, day: date, phase: str, moment: str) -> None:
    given = {"tests": str(Path(__file__).parent), "path": str(path), "day": str(day)}
    child = CHILD.format(**given, phase=phase, moment=moment)
    done = subprocess.run([sys.executable, "-c", child], check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def assert_completed_after(folder: Path, moments: list[tuple[str, str]]) -> None:
    """Kill a night's batch at each moment, one after the other, and let the last run through."""
    path = folder / "store"
    with open_store(path) as store:
        store.ledger.symbols.register([name for name in MARKET.symbols if name != NEW], "simulated")
        night(store, Feed(MARKET, FIRST))
        session = store.release().session
    for phase, moment in moments:
        kill(path, EX, phase, moment)
        with open_store(path) as store:
            assert store.release().session == session
            store.ledger.runs.fail_stale()
            last = store.ledger.runs.last(JOB)
            assert last is not None
            assert (last.status, "died in it" in str(last.error)) == ("failed", True)
    with open_store(path) as store:
        feed = Feed(MARKET, EX)
        assert night(store, feed).status == "completed"
        assert len(feed.asked) <= 20 - FETCHED + 3 or ("prices", "middle") not in moments
        assert store.release().session == EX
        later = Feed(MARKET, DAYS[AT + 1])
        assert night(store, later).sessions == [str(DAYS[AT + 1])]
        assert_as_from_scratch(store, later, folder)


def test_killed_while_collecting_and_while_computing(tmp_path: Path) -> None:
    assert_completed_after(tmp_path, [("prices", "middle"), ("metrics", "end")])


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_killed_in_every_phase(tmp_path: Path, phase: str) -> None:
    assert_completed_after(tmp_path, [(phase, "start"), (phase, "middle"), (phase, "end")])
