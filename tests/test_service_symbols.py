"""What is known of a symbol over HTTP, and a queue that takes so many and no more."""

from shutil import copytree

import httpx
import pytest
from errors import assert_error
from service_process import serving, upload

from storage.store import open_store
from storage.symbol_queue import CAPACITY

HEADER = "Symbol,Quantity,Entry Price Per Share,Entry Date\n"


@pytest.fixture(scope="module")
def path(sample_store, tmp_path_factory):
    path = tmp_path_factory.mktemp("symbols") / "store"
    copytree(sample_store, path)
    return path


@pytest.fixture(scope="module")
def client(path):
    with serving(path) as url, httpx.Client(base_url=f"{url}/api/v1", timeout=60) as client:
        yield client


def status(client, symbol):
    return client.get(f"/symbols/{symbol}/status").json()


def test_a_symbol_with_fresh_prices_and_factors_is_ready(client):
    assert status(client, "spy")["status"] == "ready"
    assert status(client, "SPY")["factors_date"] == "2024-06-28"


def test_a_delisted_symbol_is_not_ready(client):
    found = status(client, "FARAQ")
    assert (found["status"], found["estimated_seconds"]) == ("error", None)
    assert "no price" in found["message"]


def test_a_symbol_is_fetched_when_asked_for_and_again_after_it_failed(client, path):
    asked = client.post("/symbols/newone/fetch")
    assert (asked.status_code, asked.json()["status"]) == (202, "pending")
    assert asked.headers["location"] == "/api/v1/symbols/NEWONE/status"
    with open_store(path) as store:
        for _ in range(3):
            [job] = store.ledger.symbol_queue.claim(1)
            store.ledger.symbol_queue.fail(job.job_id, "no source knows it")
    assert status(client, "NEWONE")["status"] == "error"
    assert client.post("/symbols/NEWONE/fetch").json()["status"] == "pending"
    assert client.post("/symbols/SPY/fetch").json()["status"] == "ready"
    assert_error(client.post("/symbols/A B/fetch"), 422, "invalid_request")
    assert_error(client.post("/symbols/CASH_USD/fetch"), 422, "invalid_request")


def test_a_full_queue_refuses_requests_but_no_portfolio(client, path):
    with open_store(path) as store:
        store.ledger.symbol_queue.enqueue([f"WAIT{number}" for number in range(CAPACITY)])
    refused = client.post("/symbols/LATE/fetch")
    assert_error(refused, 503, "queue_full")
    with httpx.Client(base_url=str(client.base_url).removesuffix("/api/v1/")) as whole:
        made = upload(whole, f"{HEADER}SPY,1,1.00,2024-01-05\nLATE,1,1.00,2024-01-05\n")
    assert (made.status_code, made.json()["pending_symbols"]) == (201, ["LATE"])
    with open_store(path) as store:
        assert "LATE" not in store.ledger.symbol_queue.jobs(["LATE"])
        assert store.ledger.symbol_queue.counts()["pending"] == CAPACITY
