"""The tracker: what the ledger says of a run while it goes on, after it, and when it is cut short."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from service.errors import FailedError
from service.jobs import tracker as module
from service.jobs.log_capture import ActivityLogHandler, captured
from service.jobs.tracker import (
    BatchRunTracker,
    CancelledError,
    Trigger,
    begin,
    failing,
)
from service.progress_records import PhaseCount
from service.run_status import percent, run_status
from storage.errors import Locked, NotFound

PHASES = {"one": ("First Phase", "symbols"), "two": ("Second Phase", "dates"), "three": ("Third", "dates")}
ROOT = Path(__file__).parents[1]


class Done:
    def as_dict(self):
        return {"done": 1}


@pytest.fixture
def tracker(ledger, monkeypatch):
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.02)
    return BatchRunTracker(ledger)


def status(ledger, tracker):
    return run_status(ledger, ledger.runs.named(tracker.run_id))


def eventually(check, seconds=10):
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_run_from_start_to_end(ledger, tracker):
    run = tracker.start("symbol_batch", PHASES, trigger=Trigger("cron"))
    assert (run.batch_run_id, run.triggered_by, run.portfolio_ids) == (tracker.run_id, "cron", None)
    begun = status(ledger, tracker)
    assert [(each.phase_id, each.status) for each in begun.phases] == [(key, "pending") for key in PHASES]
    assert (begun.overall_progress.percent_complete, begun.status) == (0, "running")
    tracker.start_phase("one", "First Phase", 10, "symbols")
    tracker.update_phase_progress("one", 5)
    eventually(lambda: status(ledger, tracker).overall_progress.percent_complete == 16)
    tracker.complete_phase("one", success=True, summary="10 symbols")
    tracker.start_phase("two", "Second Phase", 3, "dates")
    eventually(lambda: status(ledger, tracker).overall_progress.current_phase_name == "Second Phase")
    assert [line.message for line in tracker.get_activity_log()] == ["First Phase: 10 symbols"]
    tracker.complete_phase("two", success=False, summary="2 dates failed")
    tracker.complete("partial", items=(13, 2), summary={"failed": 2})
    ended = status(ledger, tracker)
    assert (ended.status, ended.overall_progress.percent_complete, ended.summary) == (
        "partial",
        100,
        {"failed": 2},
    )
    assert [each.status for each in ended.phases] == ["completed", "failed", "completed"]
    assert [line.level for line in ended.activity_log] == ["info", "warning"]
    elapsed = ended.elapsed_seconds
    time.sleep(0.05)
    assert status(ledger, tracker).elapsed_seconds == elapsed
    with pytest.raises(NotFound, match="not running"):
        tracker.complete("completed")


def test_a_phase_goes_on_in_steps_and_counts_when_those_before_it_have_begun(ledger, tracker):
    tracker.start("symbol_batch", PHASES)
    tracker.start_phase("one", "First Phase", 4, "symbols")
    tracker.complete_phase("one", success=True, summary="4 symbols")
    tracker.start_phase("three", "Third: this", 2, "symbols")
    tracker.update_phase_progress("three", 2)
    eventually(lambda: status(ledger, tracker).current_phase_progress == PhaseCount(2, 2, "symbols"))
    first = ledger.run_log.phases(tracker.run_id)[2]
    assert (first.name, status(ledger, tracker).overall_progress.percent_complete) == ("Third: this", 33)
    tracker.start_phase("three", "Third", 8, "dates")
    tracker.get_activity_log()
    second = ledger.run_log.phases(tracker.run_id)[2]
    assert (second.name, second.current, second.total, second.unit) == ("Third", 0, 8, "dates")
    assert second.started_at == first.started_at
    tracker.start_phase("two", "Second Phase", 8, "dates")
    tracker.update_phase_progress("two", 4)
    tracker.update_phase_progress("three", 4)
    tracker.get_activity_log()
    assert status(ledger, tracker).overall_progress.percent_complete == 66
    tracker.complete("completed")


def test_percent_stays_below_100_until_the_end(ledger, tracker):
    tracker.start("symbol_batch", PHASES)
    for phase_id, (name, unit) in PHASES.items():
        tracker.start_phase(phase_id, name, 1, unit)
        tracker.complete_phase(phase_id, success=True, summary="done")
    phases = ledger.run_log.phases(tracker.run_id)
    assert [percent(phases, each) for each in ("running", "failed", "completed", "partial")] == [
        99,
        99,
        100,
        100,
    ]
    tracker.complete("completed")


def test_an_error_ends_the_run_as_failed(ledger, tracker):
    tracker.start("symbol_batch", PHASES)
    tracker.start_phase("one", "First Phase", 10, "symbols")
    with pytest.raises(RuntimeError), failing(tracker, Done()):
        raise RuntimeError("no more disk")
    run = ledger.runs.named(tracker.run_id)
    assert (run.status, run.error, run.summary) == ("failed", "no more disk", {"done": 1})
    assert [each.status for each in status(ledger, tracker).phases] == ["failed", "pending", "pending"]
    assert tracker.get_activity_log()[-1].level == "error"
    BatchRunTracker(ledger).start("symbol_batch", PHASES)


def test_one_run_of_a_type(ledger, tracker):
    tracker.start("symbol_batch", PHASES)
    with pytest.raises(Locked, match="already running"):
        BatchRunTracker(ledger).start("symbol_batch", PHASES)
    other = BatchRunTracker(ledger)
    other.start("portfolio_refresh", {})
    other.complete("completed")
    tracker.complete("completed")


def test_a_run_that_was_started_for_it_is_taken_over(ledger, tracker):
    run = begin(ledger, "symbol_batch", PHASES, triggered_by="ann", scope={"portfolio_ids": ["a"]})
    taken = tracker.start("symbol_batch", PHASES, trigger=Trigger(run_id=run.run_id))
    assert (taken.batch_run_id, taken.triggered_by, taken.portfolio_ids) == (run.run_id, "ann", ("a",))
    assert [each.status for each in status(ledger, tracker).phases] == ["pending"] * 3
    tracker.start_phase("two", "Second Phase", 1, "dates")
    tracker.complete("completed")
    with pytest.raises(NotFound):
        BatchRunTracker(ledger).start("symbol_batch", PHASES, trigger=Trigger(run_id=run.run_id))


def test_cancelling_ends_it_at_the_next_unit(ledger, tracker):
    tracker.start("symbol_batch", PHASES)

    def work():
        tracker.start_phase("one", "First Phase", 10**6, "symbols")
        for unit in range(10**6):
            tracker.update_phase_progress("one", unit)
            time.sleep(0.01)

    ledger.runs.cancel(tracker.run_id, "ann")
    with pytest.raises(CancelledError, match="cancelled by ann"), failing(tracker, Done()):
        work()
    assert ledger.runs.named(tracker.run_id).error == "cancelled by ann"
    with pytest.raises(NotFound):
        ledger.runs.cancel(tracker.run_id, "ann")


def test_a_run_that_takes_too_long_has_failed(ledger, tracker):
    tracker.start("symbol_batch", PHASES, seconds=0.05)
    with pytest.raises(FailedError, match="longer than the 0"), failing(tracker, Done()):
        time.sleep(0.06)
        tracker.start_phase("one", "First Phase", 1, "symbols")
    assert ledger.runs.named(tracker.run_id).status == "failed"


def handlers():
    return [each for each in logging.getLogger().handlers if isinstance(each, ActivityLogHandler)]


def test_what_a_run_logs_is_captured_once(ledger, tracker):
    tracker.start("symbol_batch", PHASES)
    other = BatchRunTracker(ledger)
    other.start("portfolio_refresh", PHASES)
    before = list(logging.getLogger().handlers)

    def elsewhere():
        with captured(other):
            logging.getLogger("service.jobs.refresh").error("of the other run")

    logging.getLogger("service.jobs").setLevel(logging.INFO)
    with captured(tracker):
        assert len(handlers()) == 1
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert len(handlers()) == 1
        logging.getLogger("service.jobs.x").info("fetched %d", 5)
        logging.getLogger("service.providers.y").warning("slow")
        logging.getLogger("somewhere.else").error("not ours")
    assert logging.getLogger().handlers == before
    logging.getLogger("service.jobs.x").info("after it")
    lines = [(line.level, line.message) for line in tracker.get_activity_log()]
    assert lines == [("info", "fetched 5"), ("warning", "slow")]
    assert [line.message for line in other.get_activity_log()] == ["of the other run"]
    tracker.complete("completed")
    other.complete("completed")


def test_fifty_lines_are_shown_and_five_thousand_kept(ledger, tracker):
    tracker.start("symbol_batch", PHASES)
    for line in range(5_100):
        tracker.add_activity(f"line {line}")
    assert [line.message for line in tracker.get_activity_log()] == [f"line {n}" for n in range(5_050, 5_100)]
    assert len(ledger.run_log.newest(tracker.run_id, limit=10_000)) <= 5_000
    tracker.complete("completed")


CHILD = """
import sys, time
from service.jobs.tracker import BatchRunTracker
from storage.ledger import ledger_at
tracker = BatchRunTracker(ledger_at(sys.argv[1]))
tracker.start("symbol_batch", {"one": ("One", "dates"), "two": ("Two", "dates")})
tracker.start_phase("one", "One", 1, "dates")
tracker.complete_phase("one", success=True, summary="all of it")
tracker.start_phase("two", "Two", 5, "dates")
tracker.get_activity_log()  # which writes what is not written yet
print(tracker.run_id, flush=True)
time.sleep(60)
"""


def test_a_killed_run_keeps_the_phases_that_ended(ledger, ledger_url):
    command = [sys.executable, "-c", CHILD, ledger_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        run_id = process.stdout.readline().strip()
        assert ledger.runs.current("symbol_batch").run_id == run_id
        with pytest.raises(Locked):
            BatchRunTracker(ledger).start("symbol_batch", PHASES)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    fresh = BatchRunTracker(ledger)
    fresh.start("symbol_batch", PHASES)
    dead = run_status(ledger, ledger.runs.named(run_id))
    assert dead.status == "failed"
    assert "died in it" in dead.error
    assert [each.status for each in dead.phases] == ["completed", "failed"]
    assert [line.message for line in dead.activity_log] == ["One: all of it"]
    fresh.complete("completed")
