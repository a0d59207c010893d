"""Refreshes in which something goes wrong: rows that somebody broke, a batch that does not end, a cancel."""

import json
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from shutil import copytree

import polars as pl
import pytest
from refreshing import LAST, START, enter, refresh, snapshots

from service.errors import FailedError
from service.jobs.nightly import run_night
from service.jobs.portfolio_refresh import JOB, refresh_portfolios
from service.jobs.progress import Silent
from service.jobs.tracker import CancelledError
from service.settings import Settings
from storage.store import open_store

SECOND = date(2024, 6, 17)


@pytest.fixture
def store(ten_sessions, tmp_path):
    copytree(ten_sessions, tmp_path / "store")
    with open_store(tmp_path / "store") as store:
        yield store


@pytest.fixture
def webhook():
    """The URL of a webhook, and the texts that it is sent."""
    texts = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            texts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", texts
        server.shutdown()
        thread.join()


def break_lots(store, portfolio_id, entry_date="the other day"):
    """Write what no program would into the ledger's file."""
    with closing(sqlite3.connect(store.path / "ledger.sqlite")) as ledger, ledger:
        ledger.execute(
            "UPDATE positions SET entry_date = ? WHERE portfolio_id = ?", (entry_date, portfolio_id)
        )


def break_snapshots(store, portfolio_id):
    """Publish a release in which a portfolio's snapshots have no NAV."""
    with store.writing("portfolio", owner="test") as writer:
        mine = pl.col("portfolio_id") == portfolio_id
        rows = writer.read("portfolio_snapshots")
        nav = pl.when(mine).then(None).otherwise("nav").alias("nav")
        writer.replace("portfolio_snapshots", rows.with_columns(nav))
        writer.publish()


class Mending(Silent):
    """Mends a portfolio's lots as soon as it is told that some failed."""

    def __init__(self, store, portfolio_id):
        self.store, self.portfolio_id = store, portfolio_id

    def add_activity(self, message, level="info"):  # noqa: ARG002 - protocol
        if "tried once more" in message:
            break_lots(self.store, self.portfolio_id, "2024-01-05")


class Cancelling(Silent):
    """Cancels the running refresh once a phase has got somewhere, and waits until that is known."""

    def __init__(self, store):
        self.store = store

    def update_phase_progress(self, phase_id, current):  # noqa: ARG002 - protocol
        run = self.store.ledger.runs.current(JOB)
        self.store.ledger.runs.cancel(run.run_id, "ann")
        threading.Event().wait(2.5)


def test_a_portfolio_with_broken_rows_stops_no_other_one(store, webhook):
    url, texts = webhook
    sound = [enter(store, f"Sound {at}") for at in range(12)]
    broken = enter(store, "Broken")
    break_lots(store, broken)
    outcome = refresh(store)
    assert (outcome.status, outcome.portfolios, outcome.snapshots) == ("partial", 13, 120)
    assert outcome.failed.keys() == {broken}
    assert all(len(snapshots(store, each)) == 10 for each in sound)
    assert snapshots(store, broken).is_empty()
    [failure] = store.ledger.failures.newest(JOB)
    assert (failure.item_id, failure.run_id, failure.retry_count) == (broken, outcome.run_id, 0)
    run = store.ledger.runs.named(outcome.run_id)
    assert (run.status, run.items_total, run.items_failed) == ("partial", 13, 1)
    lines = [line.message for line in store.ledger.run_log.newest(outcome.run_id)]
    assert any(broken in line for line in lines)
    with pytest.raises(FailedError, match="every portfolio"):
        refresh_portfolios(store, Settings(alert_webhook_url=url), Silent())  # the sound ones lack nothing
    assert "1 of 1 portfolios failed" in texts[0]
    break_lots(store, broken, "2024-01-05")
    assert refresh(store).status == "completed"
    assert len(snapshots(store, broken)) == 10
    [failure] = store.ledger.failures.newest(JOB)
    assert failure.retry_count == 1
    assert failure.resolved_at is not None


def test_what_is_mended_in_between_is_done_at_the_second_try(store):
    one, other = enter(store), enter(store, "Other")
    break_lots(store, other)
    outcome = refresh_portfolios(store, Settings(), Mending(store, other))
    assert (outcome.status, outcome.snapshots, outcome.failed) == ("completed", 20, {})
    assert snapshots(store, one)["nav"].to_list() == snapshots(store, other)["nav"].to_list()
    assert store.ledger.failures.newest(JOB) == []


def test_a_snapshot_without_a_nav_is_a_failure_and_no_number(store, webhook):
    url, texts = webhook
    one, other = enter(store), enter(store, "Other")
    refresh(store, sessions=(START, SECOND))
    break_snapshots(store, other)
    outcome = refresh_portfolios(store, Settings(alert_webhook_url=url), Silent())
    assert outcome.status == "partial"
    assert "snapshot of 2024-06-17" in outcome.failed[other]
    assert len(snapshots(store, one)) == 10
    assert snapshots(store, other)["session"].to_list() == [START, SECOND]
    assert texts == ["ridgeline: 1 of 2 portfolios failed in the refresh"]
    mended = refresh(store, portfolio_ids=[other], sessions=(START, LAST), force=True)
    assert mended.status == "completed"
    assert snapshots(store, other)["nav"].to_list() == snapshots(store, one)["nav"].to_list()


def test_cancelled_between_two_parts_nothing_is_published(store):
    portfolio_id = enter(store)
    release = store.release(layer="portfolio")
    with pytest.raises(CancelledError, match="ann"):
        refresh_portfolios(store, Settings(), Cancelling(store))
    assert store.ledger.runs.last(JOB).status == "failed"
    assert store.release(layer="portfolio") == release
    assert refresh(store).snapshots == 10
    assert len(snapshots(store, portfolio_id)) == 10


def test_a_refresh_that_takes_too_long_fails(store):
    enter(store)
    with pytest.raises(FailedError, match="longer than"):
        refresh_portfolios(store, Settings(portfolio_refresh_seconds=1e-6), Silent())
    assert store.read("portfolio_snapshots").is_empty()


BATCH = """
import sys
from storage.store import open_store
with open_store(sys.argv[1]) as store:
    run = store.ledger.runs.start("symbol_batch")
    print("running", flush=True)
    sys.stdin.readline()
    store.ledger.runs.finish(run.run_id, "completed")
"""


@pytest.fixture
def batch(store):
    """A process that has a symbol batch running until it is sent a line."""
    command = [sys.executable, "-c", BATCH, str(store.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "running\n"
        yield process
        if process.poll() is None:
            process.communicate("done\n")


class Ending(Silent):
    """Lets a batch end as soon as the refresh says that it waits for it."""

    def __init__(self, process):
        self.process, self.lines = process, []

    def add_activity(self, message, level="info"):  # noqa: ARG002 - protocol
        self.lines.append(message)
        if message.startswith("waiting for the symbol batch"):
            self.process.stdin.write("done\n")
            self.process.stdin.flush()


def test_the_whole_refresh_waits_for_a_symbol_batch(store, batch):
    enter(store)
    progress = Ending(batch)
    assert refresh_portfolios(store, Settings(), progress).snapshots == 10
    assert progress.lines[0].startswith("waiting for the symbol batch")


def test_a_batch_that_does_not_end_is_an_alert_and_one_portfolio_does_not_wait(store, batch, webhook):
    url, texts = webhook
    portfolio_id = enter(store)
    settings = Settings(symbol_batch_seconds=0.5, alert_webhook_url=url)
    with pytest.raises(FailedError, match="still runs after"):
        refresh_portfolios(store, settings, Silent())
    with pytest.raises(FailedError, match="still runs after"):
        run_night(store, settings, Silent())
    assert len(texts) == 2  # one each
    assert all("given up" in text for text in texts)
    assert store.ledger.runs.last(JOB).status == "failed"
    assert refresh(store, portfolio_ids=[portfolio_id]).snapshots == 10


def test_a_batch_whose_process_was_killed_is_not_waited_for(store, batch):
    enter(store)
    batch.kill()
    batch.wait()
    assert refresh(store).snapshots == 10


def test_sessions_that_nobody_computed_are_said(store):
    portfolio_id = enter(store)
    with pytest.raises(FailedError, match="is computed"):
        refresh(store, portfolio_ids=[portfolio_id], sessions=(date(2023, 5, 1), date(2023, 5, 3)))
    early = enter(store, "Early", start=date(2024, 6, 12))
    outcome = refresh(store, portfolio_ids=[early], sessions=(date(2024, 6, 12), SECOND))
    assert outcome.status == "partial"
    assert outcome.lacking == ["2024-06-12", "2024-06-13"]
    assert snapshots(store, early)["session"].to_list() == [START, SECOND]


def test_a_hundred_that_all_fail_are_not_to_blame(store):
    csv = "Symbol,Quantity,Entry Price Per Share,Entry Date\nSPY,1,1,2024-01-05\n"
    for at in range(101):
        enter(store, f"P{at}", csv=csv)
    with closing(sqlite3.connect(store.path / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE positions SET entry_date = 'never'")
    with pytest.raises(FailedError, match="first 100 portfolios have all failed"):
        refresh(store)


def test_a_portfolio_from_before_any_session_begins_with_the_newest(store):
    portfolio_id = enter(store, start=None, equity=Decimal(70_000))
    assert refresh(store).snapshots == 1
    assert snapshots(store, portfolio_id)["session"].to_list() == [LAST]
    assert snapshots(store, portfolio_id)["nav"].to_list() == [70_000.0]
