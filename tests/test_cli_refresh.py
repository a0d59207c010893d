"""The command `ridgeline refresh run`: what it prints, and how it ends."""

import json
import sqlite3
from contextlib import closing
from shutil import copytree

import pytest
from refreshing import LAST, START, enter, snapshots

from service.cli.app import run
from storage.store import open_store


@pytest.fixture
def store(ten_sessions, tmp_path):
    copytree(ten_sessions, tmp_path / "store")
    with open_store(tmp_path / "store") as store:
        yield store


@pytest.fixture
def refresh(store, capsys):
    """Run the command; its exit code and its one JSON document."""

    def command(*arguments):
        code = run(["refresh", "run", *arguments, "--store", str(store.path), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return command


def test_what_is_missing_then_a_range_again(store, refresh):
    one, other = enter(store), enter(store, "Other")
    code, answer = refresh("--portfolio", one)
    assert (code, answer["status"], answer["snapshots"], answer["portfolios"]) == (0, "completed", 10, 1)
    assert snapshots(store, other).is_empty()
    assert refresh()[1]["snapshots"] == 10
    assert refresh()[1]["snapshots"] == 0
    code, answer = refresh("--from", "2024-06-26", "--to", str(LAST), "--force")
    assert (code, answer["snapshots"]) == (0, 6)
    assert answer["sessions"] == ["2024-06-26", "2024-06-27", "2024-06-28"]


def test_requests_that_cannot_be(store, refresh):
    enter(store)
    for arguments, words in (
        (["--portfolio", "nobody"], "no portfolio nobody"),
        (["--to", str(LAST)], "--to needs --from"),
        (["--force"], "say which sessions"),
        (["--from", str(LAST), "--to", str(START)], "exchange"),
        (["--from", "2024-06-13", "--to", str(LAST), "--force"], "first snapshot on 2024-06-14"),
    ):
        code, answer = refresh(*arguments)
        assert code == 2
        assert words in answer["error"]["message"]
    assert store.read("portfolio_snapshots").is_empty()


def test_done_in_part(store, refresh, capsys):
    enter(store)
    broken = enter(store, "Broken")
    with closing(sqlite3.connect(store.path / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE positions SET exit_date = 'soon' WHERE portfolio_id = ?", (broken,))
    code, answer = refresh()
    assert (code, answer["status"], list(answer["failed"])) == (3, "partial", [broken])
    code = run(["refresh", "run", "--from", str(START), "--force", "--store", str(store.path)])
    assert code == 3
    assert broken in capsys.readouterr().out


def test_one_at_a_time(store, refresh):
    other = store.ledger.runs.start("portfolio_refresh")
    code, answer = refresh()
    assert (code, answer["error"]["code"]) == (5, "locked")
    store.ledger.runs.finish(other.run_id, "completed")
    assert refresh()[0] == 0
