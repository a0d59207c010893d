"""The book of a running service: loaded at start, exchanged when a batch in another process publishes."""

import subprocess
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from service_process import COMMAND, serving, upload

from service.live_book import LiveBook
from storage.store import open_store

DATA = Path(__file__).parents[1] / "data"
KNOWN = "Symbol,Quantity,Entry Price Per Share,Entry Date\n" + "".join(
    f"SPY,{n},100.00,2024-01-{n:02d}\n" for n in range(1, 29)
)


def ridgeline(store, *arguments):
    command = [*COMMAND, *map(str, arguments), "--store", str(store)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def test_from_an_empty_store_to_the_first_release(tmp_path):
    store = tmp_path / "store"
    with serving(store, RIDGELINE_RELEASE_SECONDS="0.1") as url, httpx.Client(base_url=url) as client:
        assert client.get("/health/ready").json()["message"] == "the store has no computed session yet"
        portfolio_id = upload(client, KNOWN).json()["portfolio_id"]
        answer = client.get(f"/api/v1/analytics/portfolio/{portfolio_id}/overview").json()
        assert (answer["available"], answer["metadata"]) == (False, {"reason": "no_calculations_available"})
        assert client.get(f"/api/v2/onboarding/status/{portfolio_id}").json()["pending_symbols"] == ["SPY"]
        ridgeline(store, "ingest", DATA / "sample_prices.csv")
        ridgeline(store, "batch", "run", "--session", "2024-06-27")
        first = _wait_for(client, "2024-06-27")
        answer = client.get(f"/api/v1/analytics/portfolio/{portfolio_id}/overview").json()
        assert (answer["available"], answer["release"]) == (True, first["release"])
        ridgeline(store, "batch", "run")
        second = _wait_for(client, "2024-06-28")
        assert second["release"] > first["release"]
        assert client.get(f"/api/v2/onboarding/status/{portfolio_id}").json()["status"] == "ready"


def _wait_for(client, session):
    for _ in range(600):
        ready = client.get("/health/ready").json()
        if ready["as_of"] == session:
            return ready
        time.sleep(0.05)
    pytest.fail(f"the service never came to {session}: {ready}")


def test_a_portfolio_is_wholly_there_or_not_at_all_after_a_kill(store):
    for round_number in range(6):
        with serving(store) as service, httpx.Client(base_url=service, timeout=5) as client:
            killer = subprocess.Popen(["sh", "-c", f"sleep 0.{round_number}5; kill -9 {service.pid}"])
            with suppress(httpx.TransportError):
                for n in range(1000):
                    upload(client, KNOWN, account_name=f"Round {round_number} {n}")
            killer.wait()
        with open_store(store) as opened:
            portfolios = opened.ledger.portfolios.everyones()
            for portfolio in portfolios:
                assert len(opened.ledger.positions.of(portfolio.portfolio_id)) == 28
    assert portfolios


def test_after_an_installation_no_answer_waits_for_the_compiler(store, tmp_path):
    """Kernels that nobody has compiled yet are, before the service says that it is ready."""
    with serving(store, NUMBA_CACHE_DIR=str(tmp_path)) as service, httpx.Client(base_url=service) as client:
        portfolio_id = upload(client, KNOWN, account_name="First").json()["portfolio_id"]
        compiled = set(tmp_path.rglob("*.nbc"))
        assert compiled
        for tail in ("factor-exposures", "volatility", "correlation-matrix", "risk", "stress-test"):
            answer = client.get(f"/api/v1/analytics/portfolio/{portfolio_id}/{tail}")
            assert answer.status_code == 200
        assert set(tmp_path.rglob("*.nbc")) == compiled


def test_what_cannot_be_loaded_leaves_what_was_served_before(store):
    with open_store(store) as opened:
        live = LiveBook(opened, option_rate=0.04)
        assert live.refresh()
        before = live.market
        with opened.writing("symbol", owner="test") as writer:
            number = writer.publish(session=before.session).number
        table, away = store / "lake" / "prices", store / "lake" / "elsewhere"
        table.rename(away)
        assert not live.refresh()
        assert (live.state, live.market) == ("ready", before)
        assert "prices" in live.error
        away.rename(table)
        assert live.refresh()
        assert (live.market.book.release, live.error) == (number, None)


def test_what_fails_beforehand_keeps_no_release_from_being_served(store):
    def failing(market, accounts):
        raise RuntimeError("nothing can be prepared")

    with open_store(store) as opened:
        live = LiveBook(opened, option_rate=0.04)
        live.prepare = failing
        assert live.refresh()
        assert (live.state, live.error) == ("ready", None)
