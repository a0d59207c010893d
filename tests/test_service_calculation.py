"""A portfolio's history over HTTP: taken when asked, once, and part of its analytics."""

import time
from datetime import date
from decimal import Decimal
from shutil import copytree

import httpx
import pytest
from service_process import serving, upload

from service.cli.app import run
from service.csv_import.parsing import parse_positions
from storage.portfolios import Portfolio
from storage.store import open_store

START = date(2024, 6, 20)
LOTS = b"Symbol,Quantity,Entry Price Per Share,Entry Date\nSPY,100,100.00,2024-01-05\n"


@pytest.fixture(scope="module")
def computed(sample_store, tmp_path_factory):
    path = tmp_path_factory.mktemp("calculation") / "store"
    copytree(sample_store, path)
    assert run(["backfill", "--from", str(START), "--to", "2024-06-28", "--store", str(path)]) == 0
    return path


def runs_of(path, portfolio_ids):
    """The id of a run that was started for other portfolios, or for all."""
    with open_store(path) as store:
        scope = None if portfolio_ids is None else {"portfolio_ids": portfolio_ids}
        run = store.ledger.runs.start("portfolio_refresh", triggered_by="cron", scope=scope)
        store.ledger.runs.finish(run.run_id, "completed")
    return run.run_id


def test_calculate_takes_what_is_missing_once(computed):
    with open_store(computed) as store:
        draft = Portfolio("Main", "Main", starting_equity=Decimal(50_000), starting_session=START)
        lots = parse_positions(LOTS, "x.csv", today=date(2026, 1, 1))
        portfolio_id = store.ledger.portfolios.create("local", draft, lots).portfolio_id
    with serving(computed) as url, httpx.Client(base_url=f"{url}/api/v1") as client:
        overview = f"/analytics/portfolio/{portfolio_id}/overview"
        before = client.get(overview)
        assert (before.json()["net_asset_value"], before.json()["pnl"]["total_pnl"]) == (50_000, None)
        assert before.json()["reasons"] == ["stale_snapshot"]  # what was entered is eight days old
        started = client.post(f"/portfolios/{portfolio_id}/calculate")
        assert (started.status_code, started.json()["message"]) == (200, "7 snapshot(s) taken")
        run_id = started.json()["batch_run_id"]
        status = client.get(f"/portfolios/{portfolio_id}/batch-status/{run_id}").json()
        assert (status["status"], status["triggered_by"]) == ("completed", "local")
        after = client.get(overview)
        assert after.headers["etag"] != before.headers["etag"]
        nav, pnl = after.json()["net_asset_value"], after.json()["pnl"]["total_pnl"]
        assert abs(nav - 50_000 - pnl) < 1e-6
        assert pnl != 0
        assert after.json()["equity_balance"] == 50_000
        assert after.json()["reasons"] == []
        again = client.post(f"/portfolio/{portfolio_id}/calculate").json()
        assert again["message"] == "Nothing was missing"
        assert client.get(f"/portfolios/{portfolio_id}/batch-status/none").json()["status"] == "idle"
        of_another = runs_of(computed, ["somebody's"])
        for foreign in (of_another, runs_of(computed, None)):
            status = client.get(f"/portfolios/{portfolio_id}/batch-status/{foreign}").json()
            assert (status["status"], status["started_at"], status["triggered_by"]) == ("idle", None, None)
        assert client.post("/portfolios/none/calculate").status_code == 404


def test_first_snapshots_follow_an_upload_in_the_background(computed):
    with serving(computed, RIDGELINE_SNAPSHOT_SECONDS="0.2") as url, httpx.Client(base_url=url) as client:
        ids = {upload(client, LOTS, account_name=name).json()["portfolio_id"] for name in ("First", "Second")}
        until, taken = time.monotonic() + 60, set()
        while taken != ids and time.monotonic() < until:
            time.sleep(0.1)
            with open_store(computed) as store:
                taken = set(store.read("portfolio_snapshots", portfolios=ids)["portfolio_id"])
                runs = store.ledger.runs.history("portfolio_refresh")
        assert taken == ids
        assert runs[0].triggered_by == "onboarding"
        for portfolio_id in ids:
            answer = client.post(f"/api/v1/portfolios/{portfolio_id}/calculate").json()
            assert answer["message"] == "Nothing was missing"


def test_calculating_in_a_process_beside_the_service(computed):
    with open_store(computed) as store:
        draft = Portfolio("Beside", "Beside", starting_equity=Decimal(50_000), starting_session=START)
        lots = parse_positions(LOTS + b"NOSUCH,5,10.00,2024-01-05\n", "x.csv", today=date(2026, 1, 1))
        portfolio_id = store.ledger.portfolios.create("local", draft, lots).portfolio_id
    path = f"/analytics/portfolio/{portfolio_id}"
    with serving(computed) as url, httpx.Client(base_url=f"{url}/api/v1") as client:
        started = client.post(f"{path}/calculate")
        assert started.status_code == 202
        body = started.json()
        assert body["poll_url"] == started.headers["location"]
        found = body["preprocessing"]
        assert (found["symbols_count"], found["prices_bootstrapped"]) == (2, 1)
        assert (found["price_coverage_percentage"], found["ready_for_batch"]) == (50.0, True)
        assert found["warnings"] == ["NOSUCH has no prices yet and is left out"]
        assert client.post(f"{path}/calculate").status_code == 409
        status = {"status": "running"}
        until = time.monotonic() + 60
        while status["status"] == "running" and time.monotonic() < until:
            status = httpx.get(url + body["poll_url"]).json()
            time.sleep(0.05)
        assert (status["status"], status["elapsed_seconds"] > 0) == ("completed", True)
        assert client.get(f"{path}/batch-status/none").json()["started_at"] is None
        assert client.post("/analytics/portfolio/none/calculate").status_code == 404
    with open_store(computed) as store:
        taken = store.read("portfolio_snapshots", portfolios=[portfolio_id])
    assert len(taken) == 7
