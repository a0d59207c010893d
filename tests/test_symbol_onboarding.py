"""Unknown symbols: queued, fetched, tried three times, and part of the analytics when they arrive."""

from pathlib import Path
from shutil import copytree

import httpx
import polars as pl
import pytest
from service_process import serving, upload

from service.cli.progress import TerminalProgress
from service.jobs.symbol_onboarding import fetch_from_files, process_symbols
from service.settings import Settings
from storage.store import open_store

DATA = Path(__file__).parents[1] / "data"
HEADER = "Symbol,Quantity,Entry Price Per Share,Entry Date\n"
LOTS = f"{HEADER}SPY,100,100.00,2024-01-05\nNEWCO,10,50.00,2024-01-05\nNOSUCH,5,10.00,2024-01-05\n"


@pytest.fixture
def prices(tmp_path):
    """The sample prices of SPY under another name."""
    rows = pl.read_csv(DATA / "sample_prices.csv").filter(pl.col("symbol") == "SPY")
    rows.with_columns(pl.lit("NEWCO").alias("symbol")).write_csv(tmp_path / "new.csv")
    return tmp_path / "new.csv"


def process(path, fetch):
    with open_store(path) as store, TerminalProgress() as progress:
        return process_symbols(store, Settings(), progress, fetch)


def test_from_upload_to_analytics(sample_store, tmp_path, prices):
    path = tmp_path / "store"
    copytree(sample_store, path)
    with serving(path, RIDGELINE_RELEASE_SECONDS="0.1") as url, httpx.Client(base_url=url) as client:
        portfolio_id = upload(client, LOTS).json()["portfolio_id"]
        status = f"/api/v2/onboarding/status/{portfolio_id}"
        assert client.get(status).json()["pending_symbols"] == ["NEWCO", "NOSUCH"]
        done = process(path, fetch_from_files(prices))
        assert (done.arrived, list(done.failed), done.retried) == (["NEWCO"], ["NOSUCH"], {})
        assert "has no price of NOSUCH" in done.failed["NOSUCH"]
        for _ in range(200):
            if client.get("/health/ready").json()["release"] == done.release:
                break
        ready = client.get(status).json()
        assert (ready["status"], ready["failed_symbols"]) == ("ready", ["NOSUCH"])
        overview = client.get(f"/api/v1/analytics/portfolio/{portfolio_id}/overview").json()
        assert overview["excluded"] == [{"symbol": "NOSUCH", "reason": "unknown_symbol"}]
        assert client.get("/api/v1/symbols/NEWCO/status").json()["status"] == "ready"
    assert process(path, fetch_from_files(prices)).arrived == []


def test_three_tries_and_more_symbols_than_room(sample_store, tmp_path, prices):
    path = tmp_path / "store"
    copytree(sample_store, path)
    csv = HEADER + "".join(f"X{n:03d},1,1.00,2024-01-05\n" for n in range(70))
    with serving(path) as url, httpx.Client(base_url=url) as client:
        assert len(upload(client, csv).json()["pending_symbols"]) == 70
    with open_store(path) as store:
        assert store.ledger.symbol_queue.counts()["pending"] == 50
    asked = []

    def fetch(symbol):
        asked.append(symbol)
        raise OSError("the source is down")

    done = process(path, fetch)
    assert len(done.failed) == 70
    assert sorted(asked) == sorted([f"X{n:03d}" for n in range(70)] * 3)


def test_a_symbol_whose_prices_are_all_quarantined_does_not_arrive(sample_store, tmp_path, prices):
    path = tmp_path / "store"
    copytree(sample_store, path)
    with open_store(path) as store:
        store.ledger.symbol_queue.enqueue(["NEWCO"], portfolio_id=None, owner="ann")
    fetch = fetch_from_files(prices)
    done = process(path, lambda symbol: fetch(symbol).with_columns(adj_close=-1.0).head(7))
    assert (done.arrived, done.failed) == ([], {"NEWCO": "none of 7 prices could be kept"})
