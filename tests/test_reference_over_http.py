"""Profiles that come slowly, as operators see them arrive from a service in another process."""

import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from market_server import Asked, MarketServer, market_server
from service_process import serving
from test_nights_over_http import AT, DAYS, PAYER, SPLIT, TODAY, list_until

from engine.factors import PROXIES
from storage.store import open_store

PROFILE = "/stable/profile"
TONIGHT = DAYS[AT - 1]
NAMES = {SPLIT, PAYER, *TODAY.symbols[5:], *PROXIES.values()}


def slowly(asked: Asked) -> None:
    time.sleep(0.5 if asked.path == PROFILE else 0.0)


@pytest.fixture
def market() -> Iterator[MarketServer]:
    with market_server() as answering:
        list_until(answering, TODAY, TONIGHT)
        answering.always = slowly
        yield answering


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with open_store(tmp_path / "store") as store:
        store.ledger.symbols.register(NAMES - PROXIES.keys(), "tiingo")
    return tmp_path / "store"


def environment(market: MarketServer, day: date) -> dict[str, str]:
    known = {"PROVIDERS": "tiingo", "PROFILE_PROVIDER": "fmp", "PROVIDER_CONCURRENCY": "1"}
    for name in ("TIINGO", "FMP"):
        known |= {f"{name}_KEY": "secret-key", f"{name}_URL": market.url, f"{name}_RATES": "1000/s"}
    return {f"RIDGELINE_{name}": value for name, value in known.items()} | {
        "RIDGELINE_NY_TIME": f"{day}T21:00"
    }


def watched(
    admin: httpx.Client, until: Callable[[dict[str, Any]], bool], *, start: bool = True
) -> list[dict[str, Any]]:
    """Statuses of a symbol batch, started when told to, up to the first that fulfills something."""
    if start:
        assert admin.post("/symbol-batch/run").status_code == 202
    seen: list[dict[str, Any]] = []
    end = time.monotonic() + 120
    while not seen or not until(seen[-1]):
        assert time.monotonic() < end
        seen.append(admin.get("/symbol-batch/status").json())
        time.sleep(0.02)
    return seen


def phase_of(status: dict[str, Any], phase_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in status["phases"] if each["phase_id"] == phase_id)
    return found


def has_arrived(status: dict[str, Any]) -> bool:
    return bool(phase_of(status, "metrics")["current"] >= 3)


def is_over(status: dict[str, Any]) -> bool:
    return bool(status["status"] != "running")


def profiles_asked(market: MarketServer) -> list[str]:
    return [each.query["symbol"] for each in market.asked if each.path == PROFILE]


def test_profiles_are_watched_cancelled_and_fetched_to_the_end(path: Path, market: MarketServer) -> None:
    with (
        serving(path, **environment(market, TONIGHT)) as url,
        httpx.Client(base_url=f"{url}/api/v1/admin", timeout=60) as admin,
    ):
        seen = watched(admin, has_arrived)
        steps = [each for each in seen if each["overall_progress"]["current_phase"] == "metrics"]
        assert {each["overall_progress"]["current_phase_name"] for each in steps} == {
            "Daily Metrics: valuations"
        }
        assert len({each["current_phase_progress"]["current"] for each in steps}) >= 3
        assert {each["current_phase_progress"]["total"] for each in steps} == {len(NAMES)}
        assert {phase_of(each, "prices")["status"] for each in steps} == {"completed"}
        assert {phase_of(each, "market_beta")["status"] for each in seen} == {"pending"}
        run_id, asked_for = seen[-1]["batch_run_id"], time.monotonic()
        assert admin.get("/batch/run/current").json()["current_job"] == "Daily Metrics: valuations"
        assert admin.post(f"/batch/{run_id}/cancel").status_code == 200
        ended = watched(admin, is_over, start=False)[-1]
        assert time.monotonic() - asked_for < 4  # the rest would take longer
        assert (ended["status"], ended["error"]) == ("failed", "cancelled by local")
        with open_store(path) as store:
            kept = set(store.read("profiles")["symbol"])
        assert 3 <= len(kept) < len(NAMES)

        market.asked.clear()
        seen = watched(admin, is_over)
        assert set(profiles_asked(market)) == NAMES - kept
        assert len(profiles_asked(market)) == len(NAMES) - len(kept)
        percents = [each["overall_progress"]["percent_complete"] for each in seen]
        assert percents == sorted(percents)
        summary = seen[-1]["summary"]["fetched"]
        assert summary == [f"profiles of {len(NAMES) - len(kept)} symbols"]
        assert [phase["phase_name"] for phase in seen[-1]["phases"]][-1] == "Daily Metrics"
        last_line = seen[-1]["activity_log"][-1]["message"]
        assert last_line == f"Daily Metrics: 1 session; {summary[0]}"
