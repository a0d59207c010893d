"""Phases and activity of the ledger's runs."""

import threading
from dataclasses import replace

import pytest

from storage import run_log
from storage.errors import NotFound, Refused
from storage.processes import timestamp
from storage.run_log import ActivityLogEntry, PhaseProgress


@pytest.fixture
def run_id(ledger):
    return ledger.runs.start("symbol_batch").run_id


def lines(first, last):
    return [ActivityLogEntry(f"2017-11-06T21:00:00.{at:06}Z", f"line {at}") for at in range(first, last + 1)]


def test_phases_keep_their_order(ledger, run_id):
    phases = [
        PhaseProgress("phase_1_5", "Factor Analysis", "symbols", total=9),
        PhaseProgress("phase_0", "Profiles", "symbols"),
    ]
    ledger.run_log.register(run_id, phases)
    assert ledger.run_log.phases(run_id) == phases
    started = {"status": "running", "current": 3, "started_at": "2017-11-06T21:00:00.000000Z"}
    ledger.run_log.change(run_id, [replace(phases[0], **started)])
    running, waiting = ledger.run_log.phases(run_id)
    assert (running.status, running.current, running.total) == ("running", 3, 9)
    assert running.duration_seconds is None
    assert waiting == phases[1]
    ended = {"status": "failed", "completed_at": "2017-11-06T21:01:30.500000Z", "summary": "2 without prices"}
    ledger.run_log.change(run_id, [replace(running, **ended)])
    failed, _ = ledger.run_log.phases(run_id)
    assert (failed.duration_seconds, failed.summary) == (90.5, "2 without prices")


def test_phases_that_do_not_exist_are_refused(ledger, run_id):
    with pytest.raises(Refused, match="the ledger refused the row"):
        ledger.run_log.register("no run", [PhaseProgress("a", "A", "symbols")])
    with pytest.raises(NotFound, match="no phase a of run"):
        ledger.run_log.change(run_id, [PhaseProgress("a", "A", "symbols", current=1)])
    assert ledger.run_log.phases("no run") == []


def test_the_newest_lines_are_read_oldest_first(ledger, run_id):
    ledger.run_log.append(run_id, [])
    assert ledger.run_log.newest(run_id) == []
    ledger.run_log.append(run_id, lines(1, 40))
    ledger.run_log.append(run_id, lines(41, 70))
    assert ledger.run_log.newest(run_id) == lines(21, 70)
    assert ledger.run_log.newest(run_id, limit=5_000) == lines(1, 70)


def test_so_many_lines_are_kept(ledger, run_id, monkeypatch):
    monkeypatch.setattr(run_log, "KEPT", 10)
    ledger.run_log.append(run_id, lines(1, 8))
    ledger.run_log.append(run_id, lines(9, 15))
    assert ledger.run_log.newest(run_id) == lines(6, 15)


def test_threads_append_to_one_log(ledger, run_id):
    def work(number):
        for _ in range(10):
            ledger.run_log.append(run_id, lines(number, number + 1))

    threads = [threading.Thread(target=work, args=(number,)) for number in (10, 20, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger.run_log.newest(run_id, limit=100)) == 60


def test_old_lines_are_forgotten_and_their_runs_stay(ledger, run_id):
    ledger.run_log.append(run_id, lines(1, 3))
    ledger.run_log.prune(timestamp())
    assert len(ledger.run_log.newest(run_id)) == 3
    ledger.runs.finish(run_id, "completed")
    ledger.run_log.prune(timestamp())
    assert ledger.run_log.newest(run_id) == []
    assert ledger.runs.named(run_id).status == "completed"
