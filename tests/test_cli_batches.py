"""Runs on the command line: how they stand, what they said, what is done again, and how one is ended."""

import json
import subprocess
from datetime import date
from shutil import copytree

import pytest
from service_process import ROOT

from service.cli.app import run
from storage.store import open_store

LAST = date(2024, 6, 28)


@pytest.fixture
def path(sample_store, tmp_path):
    return copytree(sample_store, tmp_path / "store")


@pytest.fixture
def ridgeline(path, capsys):
    def answer(*arguments, code=0):
        capsys.readouterr()
        assert run([*arguments, "--store", str(path), "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return answer


def test_status_history_and_log(ridgeline, path, capsys):
    status = ridgeline("batch", "status")
    assert status["current"]["status"] == "idle"
    run_id = status["symbol_batch"]["batch_run_id"]
    assert (status["portfolio_refresh"], status["latest_price_date"]) == (None, str(LAST))
    found = ridgeline("batch", "history", "--status", "completed")
    assert [each["batch_run_id"] for each in found["runs"]] == [run_id]
    assert found["summary"]["total_runs"] == 1
    log = ridgeline("batch", "log", run_id)
    assert log["log_entry_count"] == len(log["activity_log"]) > 0
    assert ridgeline("batch", "log") == log
    for arguments in (["status"], ["history"], ["log"]):
        assert run(["batch", *arguments, "--store", str(path)]) == 0
        assert "symbol_batch" in capsys.readouterr().out.replace("Symbol batch", "symbol_batch")


def test_runs_that_are_not_there(ridgeline):
    for command in ("log", "retry", "cancel"):
        error = ridgeline("batch", command, "none", code=2)["error"]
        assert "no run none" in error["message"], command


def test_what_failed_is_done_again(ridgeline, path):
    with open_store(path) as store:
        first = store.ledger.runs.start("symbol_batch")
        store.ledger.failures.record(
            first.run_id, "symbol_prices", LAST, {"BARAQ": ("transport", "no answer")}
        )
        store.ledger.runs.finish(first.run_id, "partial")
    ridgeline("batch", "retry", first.run_id)
    with open_store(path) as store:
        assert store.ledger.runs.last("symbol_batch").scope == {"symbols": ["BARAQ"]}
        completed = store.ledger.runs.last("symbol_batch").run_id
    assert "nothing that failed" in ridgeline("batch", "retry", completed, code=2)["error"]["message"]


def test_a_run_that_cannot_be_taken_over_has_failed(ridgeline, path):
    with open_store(path) as store:
        failed = store.ledger.runs.start("symbol_onboarding")
        store.ledger.runs.finish(failed.run_id, "failed", summary={"failed": {"NOSUCH": "gone"}})
    assert "no provider" in ridgeline("batch", "retry", failed.run_id, code=2)["error"]["message"]
    with open_store(path) as store:
        last = store.ledger.runs.last("symbol_onboarding")
    assert (last.status, "no provider" in last.error) == ("failed", True)


def test_all_nine_phases(ridgeline):
    done = ridgeline("batch", "full")
    assert (done["status"], done["portfolios"]) == ("completed", 0)
    assert "start_date" in ridgeline("batch", "full", "--force", code=2)["error"]["message"]


CHILD = """
import sys, time
from pathlib import Path
from service.jobs.progress import Silent
from service.jobs.tracker import BatchRunTracker, CancelledError, failing
from storage.store import open_store

class Nothing:
    def as_dict(self):
        return {}

with open_store(Path(sys.argv[1])) as store:
    tracker = BatchRunTracker(store.ledger)
    tracker.start("symbol_batch", {"one": ("One", "dates")})
    print(tracker.run_id, flush=True)
    with failing(tracker, Nothing()):
        tracker.start_phase("one", "One", 6000, "dates")
        for at in range(6000):
            tracker.update_phase_progress("one", at)
            time.sleep(0.01)
"""


def test_a_run_of_another_process_is_cancelled(ridgeline, path):
    import sys

    command = [sys.executable, "-c", CHILD, str(path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
    ) as process:
        run_id = process.stdout.readline().strip()
        assert ridgeline("batch", "status")["current"]["batch_run_id"] == run_id
        assert ridgeline("batch", "cancel", run_id) == {"cancelling": run_id, "job_type": "symbol_batch"}
        process.wait(timeout=30)
    found = ridgeline("batch", "history", "--status", "failed")["runs"][0]
    assert (found["batch_run_id"], found["has_errors"]) == (run_id, True)
    assert "ended already" in ridgeline("batch", "cancel", run_id, code=2)["error"]["message"]
