"""Unknown symbols: queued, fetched, tried three times, and part of the analytics when they arrive."""

import json
import subprocess
import time
from pathlib import Path
from shutil import copytree

import httpx
import polars as pl
import pytest
from market_server import HANG, answering, market_server
from market_shapes import Bar, Listing
from service_process import COMMAND, ROOT, serving, upload

from service.cli.app import run
from service.cli.progress import TerminalProgress
from service.errors import UsageError
from service.jobs.symbol_onboarding import process_symbols
from service.providers.files import FilesSource, no_actions, read_prices
from service.providers.outcomes import Failed, Fetched
from service.providers.sources import Sources
from service.settings import Settings
from storage.store import open_store

DATA = Path(__file__).parents[1] / "data"
PRICES = pl.read_csv(DATA / "sample_prices.csv", try_parse_dates=True)
DAYS = PRICES.filter(symbol="SPY")["date"].to_list()
HEADER = "Symbol,Quantity,Entry Price Per Share,Entry Date\n"
LOTS = f"{HEADER}SPY,100,100.00,2024-01-05\nNEWCO,10,50.00,2024-01-05\nNOSUCH,5,10.00,2024-01-05\n"


@pytest.fixture
def prices(tmp_path):
    """The sample prices of SPY under another name."""
    rows = pl.read_csv(DATA / "sample_prices.csv").filter(pl.col("symbol") == "SPY")
    rows.with_columns(pl.lit("NEWCO").alias("symbol")).write_csv(tmp_path / "new.csv")
    return tmp_path / "new.csv"


class Source:
    """Says the same of every symbol, and remembers what it was asked."""

    name = "here"

    def __init__(self, says):
        self.says, self.asked = says, []

    def fetch(self, requests):
        for symbol in requests:
            self.asked.append(symbol)
            yield symbol, self.says


def process(path, source, **options):
    with open_store(path) as store, TerminalProgress() as progress:
        return process_symbols(store, Settings(), progress, Sources(prices=source), **options)


def enqueue(path, *symbols):
    with open_store(path) as store:
        store.ledger.symbol_queue.enqueue(symbols, owner="ann")


def read(path, table, symbol):
    with open_store(path) as store:
        return store.read(table, symbols=[symbol])


def test_from_upload_to_analytics(sample_store, tmp_path, prices):
    path = tmp_path / "store"
    copytree(sample_store, path)
    with serving(path, RIDGELINE_RELEASE_SECONDS="0.1") as url, httpx.Client(base_url=url) as client:
        portfolio_id = upload(client, LOTS).json()["portfolio_id"]
        status = f"/api/v2/onboarding/status/{portfolio_id}"
        assert client.get(status).json()["pending_symbols"] == ["NEWCO", "NOSUCH"]
        done = process(path, FilesSource(prices))
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
    assert process(path, FilesSource(prices)).arrived == []


def test_three_tries_and_more_symbols_than_room(sample_store, tmp_path, prices):
    path = tmp_path / "store"
    copytree(sample_store, path)
    csv = HEADER + "".join(f"X{n:03d},1,1.00,2024-01-05\n" for n in range(55))
    with serving(path) as url, httpx.Client(base_url=url) as client:
        assert len(upload(client, csv).json()["pending_symbols"]) == 55
    with open_store(path) as store:
        assert store.ledger.symbol_queue.counts()["pending"] == 50
    source = Source(Failed("transport", "the source is down"))
    done = process(path, source)
    assert len(done.failed) == 55
    assert sorted(source.asked) == sorted([f"X{n:03d}" for n in range(55)] * 3)
    with open_store(path) as store:
        failures = store.ledger.failures.newest("symbol_onboarding", is_open=True, limit=100)
    assert {(each.error_type, each.retry_count) for each in failures} == {("transport", 0)}


def test_what_no_source_knows_is_asked_for_once(sample_store, tmp_path):
    path = tmp_path / "store"
    copytree(sample_store, path)
    enqueue(path, "NOSUCH")
    source = Source(Failed("unknown_symbol", "there is none"))
    assert process(path, source).failed == {"NOSUCH": "there is none"}
    assert source.asked == ["NOSUCH"]


def test_a_source_that_wants_to_be_left_alone_is(sample_store, tmp_path, prices):
    path = tmp_path / "store"
    copytree(sample_store, path)
    enqueue(path, "NEWCO", *(f"X{n}" for n in range(7)))
    source = Source(Failed("rate_limited", "not now", retry_after=3_000.0))
    done = process(path, source)
    assert len(source.asked) == len(done.retried) == 3
    assert done.failed == {}
    assert process(path, FilesSource(prices)).arrived == ["NEWCO"]


def test_a_symbol_whose_prices_are_all_quarantined_does_not_arrive(sample_store, tmp_path, prices):
    path = tmp_path / "store"
    copytree(sample_store, path)
    enqueue(path, "NEWCO")
    rows = read_prices(prices).with_columns(adj_close=-1.0).head(7)
    done = process(path, Source(Fetched(rows, no_actions())))
    assert (done.arrived, done.failed) == ([], {"NEWCO": "none of 7 prices could be kept"})


def test_without_a_provider(sample_store, tmp_path):
    path = tmp_path / "store"
    copytree(sample_store, path)
    with pytest.raises(UsageError, match="PATH"):
        process(path, None)
    assert run(["symbols", "process", "--store", str(path)]) == 2
    assert run(["symbols", "process", str(tmp_path / "none.csv"), "--store", str(path)]) == 2


@pytest.fixture
def market(monkeypatch):
    """A market that the configured providers answer from, on the evening of the newest price."""
    with market_server() as serving:
        values = {
            "PROVIDERS": "tiingo,eodhd",
            "PROFILE_PROVIDER": "fmp",
            "NY_TIME": f"{DAYS[-1]}T20:00",
            **{f"{name}_KEY": "secret-key" for name in ("TIINGO", "EODHD", "FMP")},
            **{f"{name}_URL": serving.url for name in ("TIINGO", "EODHD", "FMP")},
        }
        for name, value in values.items():
            monkeypatch.setenv(f"RIDGELINE_{name}", value)
        yield serving


def test_configured_providers(sample_store, tmp_path, market, monkeypatch, capsys):
    """From a provider's own interface to the metrics: prices with a split, and another source's profile."""
    path = tmp_path / "store"
    copytree(sample_store, path)
    enqueue(path, "NEWCO", "NOSUCH")
    split = DAYS[-30]
    bars = [Bar(day, (80.0 if day < split else 40.0) + at % 7) for at, day in enumerate(DAYS)]
    market.listings["NEWCO"] = Listing(bars, splits={split: 2.0})
    market.always = lambda asked: answering(500) if asked.path.startswith("/tiingo") else None
    monkeypatch.setenv("RIDGELINE_PROVIDER_SECONDS", "0.1")
    assert run(["symbols", "process", "--json", "--store", str(path)]) == 3
    done = json.loads(capsys.readouterr().out)
    assert (done["arrived"], list(done["failed"])) == (["NEWCO"], ["NOSUCH"])
    assert "tiingo answered 500" in done["failed"]["NOSUCH"]
    stored = read(path, "prices", "NEWCO").sort("session")
    assert stored["session"].to_list() == DAYS
    assert stored["source"].unique().to_list() == ["eodhd"]
    assert stored["quality"].unique().to_list() == ["ok"]
    assert read(path, "corporate_actions", "NEWCO")["value"].to_list() == [2.0]
    assert read(path, "symbol_metrics", "NEWCO")["sector"].to_list() == ["Information Technology"]


def test_a_killed_process_is_taken_over(sample_store, tmp_path, market, capsys):
    path = tmp_path / "store"
    copytree(sample_store, path)
    enqueue(path, "NEWCO")
    market.listings["NEWCO"] = Listing([Bar(day, 80.0 + at % 7) for at, day in enumerate(DAYS)])
    market.faults.append(HANG)
    arguments = ["symbols", "process", "--json", "--store", str(path)]
    with subprocess.Popen([*COMMAND, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while not market.asked and time.monotonic() < until:
            time.sleep(0.02)
        process.kill()
    assert len(market.asked) == 1
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out)["arrived"] == ["NEWCO"]
