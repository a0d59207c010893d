"""Uploads at once, and a service killed amid them: every portfolio is there wholly, or not at all."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from service_process import serving, upload

from storage.ledger import ledger_at

LOTS = 1_500
CSV = "Symbol,Quantity,Entry Price Per Share,Entry Date\n" + "".join(
    f"S{number},{number + 1},1.25,2024-01-05\n" for number in range(LOTS)
)
CLIENTS, UPLOADS = 8, 200
SMALL = "\n".join(CSV.splitlines()[:51])


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def running(request, tmp_path_factory):
    """The URLs of a service on an empty store and of its ledger, on either database."""
    folder = tmp_path_factory.mktemp(request.param)
    ledger = f"sqlite:///{folder / 'ledger.sqlite'}"
    if request.param == "postgresql":
        ledger = f"{request.getfixturevalue('postgres_server')}/postgres"
    with serving(folder / "store", RIDGELINE_LEDGER=ledger) as url:
        yield url, ledger


def stored(url):
    """How many lots each portfolio of a ledger has, by its account."""
    ledger = ledger_at(url)
    portfolios = ledger.portfolios.of("local")
    found = {each.account_name: len(ledger.positions.of(each.portfolio_id)) for each in portfolios}
    assert len(found) == len(portfolios)
    ledger.close()
    return found


def test_eight_clients_lose_and_double_nothing(running):
    url, ledger = running

    def work(client_number):
        ids = []
        with httpx.Client(base_url=url, timeout=60) as client:
            for number in range(UPLOADS // CLIENTS):
                answer = upload(client, SMALL, account_name=f"{client_number}-{number}")
                assert answer.status_code == 201, answer.text
                ids.append(answer.json()["portfolio_id"])
        return ids

    with ThreadPoolExecutor(CLIENTS) as pool:
        ids = [each for some in pool.map(work, range(CLIENTS)) for each in some]
    assert len(set(ids)) == UPLOADS
    names = {f"{client}-{number}" for client in range(CLIENTS) for number in range(UPLOADS // CLIENTS)}
    assert stored(ledger) == dict.fromkeys(names, 50)


def test_a_nul_reaches_no_database(running):
    with httpx.Client(base_url=running[0], timeout=60) as client:
        assert upload(client, SMALL, account_name="Nul", description="a\0b").status_code == 422
        portfolio_id = upload(client, SMALL, account_name="Nul").json()["portfolio_id"]
        assert client.get("/api/v1/symbols/SPY%00/status").status_code in (200, 400)
        for path in ("portfolios/%00", "positions/%00", "analytics/portfolio/%00/overview"):
            assert client.get(f"/api/v1/{path}").status_code in (400, 404), path
        body = {"symbol": "SPY", "quantity": 1, "avg_cost": 1, "notes": "a\0b"}
        answer = client.post("/api/v1/positions", params={"portfolio_id": portfolio_id}, json=body)
        assert answer.status_code == 422
        answer = client.put(f"/api/v1/portfolios/{portfolio_id}", json={"description": "a\0b"})
        assert answer.status_code == 422


def test_a_kill_leaves_no_half_portfolio(ledger_url, tmp_path):
    answered, enough = [], threading.Event()

    def work(url, client_number):
        with httpx.Client(base_url=url, timeout=60) as client:
            for number in range(100):
                name = f"{client_number}-{number}"
                try:
                    answer = upload(client, CSV, account_name=name)
                except httpx.TransportError:
                    return
                assert answer.status_code == 201, answer.text
                answered.append(name)
                if len(answered) >= 5:
                    enough.set()

    with serving(tmp_path / "store", RIDGELINE_LEDGER=ledger_url) as url:
        with ThreadPoolExecutor(4) as pool:
            working = [pool.submit(work, url, number) for number in range(4)]
            assert enough.wait(60)
            os.kill(url.pid, signal.SIGKILL)
        for each in working:
            each.result()
    found = stored(ledger_url)
    assert set(found.values()) == {LOTS}
    assert set(answered) <= found.keys()
    assert len(found) <= len(answered) + 4
