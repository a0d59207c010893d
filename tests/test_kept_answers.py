"""Answers are kept while nothing that they rest on changes, and made for a release before it is served."""

import subprocess
import time
from shutil import copytree

import httpx
import pytest
from refreshing import LAST, enter
from service_process import COMMAND, serving, upload

from service.api.analytics import kept_answers
from service.api.basis import Question
from service.api.resources import make_resources
from service.memo import Memo
from service.settings import Settings
from storage.store import open_store

TAILS = ("overview", "volatility", "stress-test", "correlation-matrix?max_symbols=3", "performance")
LOTS = "Symbol,Quantity,Entry Price Per Share,Entry Date\nSPY,100,100.00,2024-01-05\nBERAQ,5,9.5,2024-01-05\n"


@pytest.fixture
def path(ten_sessions, tmp_path):
    return copytree(ten_sessions, tmp_path / "store")


@pytest.fixture
def client(path):
    quick = {"RIDGELINE_RELEASE_SECONDS": "0.1", "RIDGELINE_SNAPSHOT_SECONDS": "0.2"}
    with serving(path, **quick) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def wait_until(what):
    until = time.monotonic() + 240  # kernels may have to be compiled first
    while not what():
        assert time.monotonic() < until
        time.sleep(0.1)


def onboarded(client, name):
    """The id of a portfolio whose first snapshot the service has."""
    portfolio_id = upload(client, LOTS, account_name=name).json()["portfolio_id"]
    snapshot = f"/api/v1/data/portfolio/{portfolio_id}/snapshot"
    wait_until(lambda: client.get(snapshot).json()["snapshot_date"] == str(LAST))
    return portfolio_id


def ask(client, portfolio_id):
    found = [client.get(f"/api/v1/analytics/portfolio/{portfolio_id}/{tail}") for tail in TAILS]
    assert {each.status_code for each in found} == {200}
    return found


def n_made(client):
    """How many answers the service has made so far."""
    return client.get("/health/status").json()["symbol_cache"]["db_fallback_count"]


def recompute(path):
    """Have another process publish a release of the same session."""
    with open_store(path) as store:
        store.ledger.symbols.mark_recompute({"SPY": LAST})
    subprocess.run([*COMMAND, "batch", "run", "--store", str(path)], check=True, stdout=subprocess.DEVNULL)


def test_what_was_asked_for_last_is_there_with_a_new_release(client, path):
    kept, gone = (onboarded(client, name) for name in ("Kept", "Gone"))
    before, _ = ask(client, kept), ask(client, gone)
    assert client.delete(f"/api/v1/portfolios/{gone}").status_code == 200  # nobody is answered about it again
    old = before[0].json()["release"]
    recompute(path)
    wait_until(lambda: client.get("/health/ready").json()["release"] > old)
    n_before = n_made(client)
    after = ask(client, kept)
    assert n_made(client) == n_before
    assert {each.json()["release"] for each in after} == {client.get("/health/ready").json()["release"]}
    assert {each.headers["etag"] for each in before}.isdisjoint(each.headers["etag"] for each in after)
    for then, now in zip(before, after, strict=True):
        assert now.json() == then.json() | {"release": now.json()["release"]}


def test_the_first_snapshot_of_a_portfolio_leaves_the_answers_on_others(client):
    one = onboarded(client, "One")
    before, n_before = ask(client, one), n_made(client)
    other = onboarded(client, "Other")
    after = ask(client, one)
    assert [each.headers["etag"] for each in after] == [each.headers["etag"] for each in before]
    assert n_made(client) == n_before
    assert ask(client, other)[0].json()["reasons"] == []
    assert n_made(client) == n_before + len(TAILS)


def test_what_was_asked_for_last_comes_first_and_stays_longest():
    memo = Memo[int](3)
    for number in (1, 2, 3):
        memo.kept(number, lambda number=number: number)
    memo.found(1)
    assert memo.newest() == [1, 3, 2]
    memo.kept(4, lambda: 4)
    assert memo.newest() == [4, 1, 3]


def test_a_release_waits_for_answers_only_so_long(path, monkeypatch):
    monkeypatch.setattr(kept_answers, "AHEAD_SECONDS", 0.3)
    answered = []

    def answer(basis):
        until = time.thread_time() + 0.04
        while time.thread_time() < until:
            pass
        answered.append(basis.etag)
        return b"{}"

    with open_store(path) as store:
        portfolio_id, resources = enter(store), make_resources(store, Settings())
        resources.live.refresh()
        for number in range(20):
            question = Question("ann", portfolio_id, (f"/{number}", b""), answer)
            resources.questions.kept(question.asked, lambda question=question: question)
        began = time.monotonic()
        kept_answers.answer_ahead(resources, resources.live.market, resources.live.accounts)
        assert 0.3 < time.monotonic() - began < 2
        assert 1 <= len(answered) <= 4  # each is followed by as long a pause
        assert len(set(answered)) == 1
