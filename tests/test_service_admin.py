"""Operators over HTTP: jobs in processes of their own, watched, cancelled, killed and repeated."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager
from datetime import date

import httpx
import polars as pl
import pytest
import simulated_store
from owners import NOBODY, enter
from service_process import COMMAND, ROOT, serving

from service.cli.app import run as ridgeline
from service.ingest import ingest_prices
from storage.store import open_store

LAST, EARLY = simulated_store.LAST, date(2024, 1, 3)
ENVIRONMENT = simulated_store.environment(ny_time="2024-06-30T12:00", backfill_sessions="400")
HELD = (
    "Symbol,Quantity,Entry Price Per Share,Entry Date\nSPY,100,100.00,2024-01-05\nBARAQ,-50,60,2024-02-05\n"
)
ADMIN = "/api/v1/admin"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A store whose sessions since January are computed."""
    folder = tmp_path_factory.mktemp("admin") / "store"
    simulated_store.fill(folder)
    span = ["--from", str(EARLY), "--to", str(LAST)]
    assert ridgeline(["backfill", *span, "--store", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def secrets(path):
    rights = {"ops": ("read", "write", "admin"), "ann": ("read", "write"), "bob": ("read", "write")}
    with open_store(path) as store:
        return {name: store.ledger.api_keys.create(name, "key", scopes)[1] for name, scopes in rights.items()}


@pytest.fixture(scope="module")
def url(path, secrets):
    with serving(path, **ENVIRONMENT) as url:
        yield url


@pytest.fixture(scope="module")
def ops(url, secrets):
    headers = {"X-API-Key": secrets["ops"]}
    with httpx.Client(base_url=f"{url}{ADMIN}", headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
def store(path):
    with open_store(path) as opened:
        yield opened


def eventually(check, seconds=60):
    until = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return found


def ended(ops, run_id):
    """The detail of a run once it has ended."""

    def over():
        found = ops.get(f"/batch/history/{run_id}").json()
        return found if found["status"] != "running" else None

    return eventually(over)


def stopped_between_writes(store, pid):
    """Stop a process, and let it go on again where it holds the ledger's lock."""
    os.kill(pid, signal.SIGSTOP)
    with closing(sqlite3.connect(store.path / "ledger.sqlite", timeout=0.2)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            os.kill(pid, signal.SIGCONT)
            return False
    return True


@contextmanager
def held(store, ops, path="/symbol-batch/run", **query):
    """A run with much to do, stopped as soon as its process has taken it over; gives its id and process."""
    store.ledger.symbols.mark_recompute({"BARAQ": EARLY})
    started = ops.post(path, params=query)
    assert started.status_code in (200, 202), started.text
    run_id = started.json()["batch_run_id"]
    starter = store.ledger.runs.named(run_id).pid
    pid = eventually(lambda: (p := store.ledger.runs.named(run_id).pid) != starter and p)
    eventually(lambda: stopped_between_writes(store, pid))
    try:
        yield run_id, pid
    finally:
        if store.ledger.runs.named(run_id).status == "running":
            os.kill(pid, signal.SIGKILL)
            ended(ops, run_id)


def events(ops, run_id, after=0):
    """All events of a run's stream until it is closed: (kind, id, data)."""
    found, event = [], {}
    with ops.stream("GET", f"/batch/{run_id}/events", headers={"Last-Event-ID": str(after)}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if line:
                event[name] = value
            elif event:
                found.append((event["event"], int(event.get("id", 0)), json.loads(event["data"])))
                event = {}
    return found


def test_every_route_needs_the_scope(url, secrets):
    document = httpx.get(f"{url}/schema/openapi.json").json()
    routes = [
        (method, re.sub(r"{\w+}", NOBODY, path))
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith(ADMIN)
    ]
    assert len(routes) >= 22
    for method, path in routes:
        assert httpx.request(method, url + path).status_code == 401, path
        answer = httpx.request(method, url + path, headers={"X-API-Key": secrets["ann"]})
        assert (answer.status_code, answer.json()["code"]) == (403, "ERR_ADMIN_001"), path


def test_a_run_of_another_process_is_watched(ops, store, path):
    store.ledger.symbols.mark_recompute({"BARAQ": EARLY})
    command = [*COMMAND, "batch", "run", "--store", str(path), "--json"]
    seen = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, **ENVIRONMENT}
    ) as process:
        first = eventually(lambda: (f := ops.get("/batch/run/current").json())["status"] == "running" and f)
        assert (first["job_type"], first["triggered_by"], first["jobs"]["total"]) == (
            "symbol_batch",
            "manual",
            6,
        )
        refused = ops.post("/symbol-batch/run")
        while process.poll() is None:
            seen.append(ops.get("/symbol-batch/status").json())
        done = json.loads(process.stdout.read())
    assert (refused.status_code, refused.json()["code"]) == (409, "ERR_BATCH_001")
    assert {each["batch_run_id"] for each in seen} == {first["batch_run_id"]} == {done["run_id"]}
    running = [each for each in seen if each["status"] == "running"]
    percents = [each["overall_progress"]["percent_complete"] for each in running]
    assert percents == sorted(percents)
    assert max(percents) <= 99
    assert all(len(each["phases"]) == 6 for each in seen)
    last = ops.get("/symbol-batch/status").json()
    assert (last["status"], last["overall_progress"]["percent_complete"]) == ("completed", 100)
    assert ops.get("/batch/run/current").json() == {
        "status": "idle",
        "batch_run_id": None,
        "message": "No batch is running",
    }
    assert ops.get("/batch/status").json()["symbol_batch"]["batch_run_id"] == done["run_id"]


def test_a_started_run_keeps_its_id_from_answer_to_history(ops, store):
    started = ops.post("/portfolio-refresh/run")
    run_id = started.json()["batch_run_id"]
    assert started.status_code == 202
    assert started.headers["location"] == f"{ADMIN}/batch/history/{run_id}"
    assert (started.json()["status"], started.json()["job_type"]) == ("started", "portfolio_refresh")
    found = ended(ops, run_id)
    assert (found["status"], found["triggered_by"], found["batch_type"]) == (
        "completed",
        "ops",
        "portfolio_refresh",
    )
    assert store.ledger.runs.named(run_id).pid != store.ledger.runs.last("symbol_batch").pid
    assert run_id in [each["batch_run_id"] for each in ops.get("/batch/history").json()["runs"]]


def test_a_killed_job_has_failed_and_is_done_again(ops, store):
    with held(store, ops) as (run_id, pid):
        assert ops.get("/batch/run/current").json()["batch_run_id"] == run_id
        os.kill(pid, signal.SIGKILL)
        found = ended(ops, run_id)
    assert found["status"] == "failed"
    assert f"process {pid}" in found["error_summary"]["error"]
    again = ops.post(f"/batch/{run_id}/retry-failed")
    assert (again.status_code, again.json()["retry_of"], again.json()["items"]) == (202, run_id, [])
    assert ended(ops, again.json()["batch_run_id"])["status"] == "completed"
    nothing = ops.post(f"/batch/{again.json()['batch_run_id']}/retry-failed")
    assert (nothing.status_code, nothing.json()["code"]) == (409, "conflict")


def test_a_cancelled_run_ends_and_says_who(ops, store):
    with held(store, ops) as (run_id, pid):
        second = ops.post("/symbol-batch/run")
        time.sleep(1)  # a heart that beats each second beats as soon as the process goes on
        answer = ops.post(f"/batch/{run_id}/cancel")
        os.kill(pid, signal.SIGCONT)
        found = ended(ops, run_id)
    assert (second.status_code, second.json()["code"]) == (409, "ERR_BATCH_001")
    assert (answer.status_code, answer.json()["status"], answer.json()["cancelled_by"]) == (
        200,
        "cancelling",
        "ops",
    )
    assert (found["status"], found["error_summary"]["error"]) == ("failed", "cancelled by ops")
    assert ops.post(f"/batch/{run_id}/cancel").status_code == 409
    assert ops.post(f"/batch/{NOBODY}/cancel").status_code == 404


def test_a_forced_start_has_the_running_one_end_first(ops, store):
    with held(store, ops) as (run_id, pid):
        time.sleep(1)
        os.kill(pid, signal.SIGCONT)
        forced = ops.post("/symbol-batch/run", params={"force": True})
        assert forced.status_code == 202
        first = ended(ops, run_id)
    assert first["status"] in ("failed", "completed")  # it may just have got done
    assert first["cancelled_by"] == "ops" or first["status"] == "completed"
    assert ended(ops, forced.json()["batch_run_id"])["status"] == "completed"


def test_what_failed_is_done_again_and_nothing_else(ops, store):
    run = store.ledger.runs.start("symbol_batch")
    found = {"BARAQ": ("timeout", "no answer within 10 s"), "VARAQ": ("timeout", "no answer within 10 s")}
    store.ledger.failures.record(run.run_id, "symbol_batch", LAST, found)
    store.ledger.runs.finish(run.run_id, "partial", items=(13, 2))
    store.ledger.failures.record(run.run_id, "symbol_batch", LAST, {}, succeeded=["VARAQ"])
    listed = ops.get("/batch/failures", params={"unresolved": True, "batch_type": "symbol_batch"}).json()
    assert [(each["item_id"], each["error_type"]) for each in listed] == [("BARAQ", "timeout")]
    again = ops.post(f"/batch/{run.run_id}/retry-failed")
    assert (again.status_code, again.json()["items"]) == (202, ["BARAQ"])
    assert store.ledger.runs.named(again.json()["batch_run_id"]).scope == {"symbols": ["BARAQ"]}
    assert ended(ops, again.json()["batch_run_id"])["status"] in ("completed", "partial")


def test_events_are_told_once_and_replayed(ops):
    run_id = ops.post("/batch/run").json()["batch_run_id"]
    found = events(ops, run_id)
    kinds = [kind for kind, _, _ in found]
    lines = [(number, data) for kind, number, data in found if kind == "activity"]
    assert [number for number, _ in lines] == list(range(1, len(lines) + 1))
    assert len(lines) >= 4
    assert (kinds[-1], kinds.count("end"), found[-1][2]) == ("end", 1, {"status": "completed"})
    assert "status" in kinds
    replayed = events(ops, run_id, after=2)
    assert [(number, data) for kind, number, data in replayed if kind == "activity"] == lines[2:]
    assert [kind for kind, _, _ in replayed[-2:]] == ["status", "end"]
    assert ops.get(f"/batch/{NOBODY}/events").status_code == 404
    refused = ops.get(f"/batch/{run_id}/events", headers={"Last-Event-ID": "x"})
    assert refused.status_code == 422


def test_logs_as_files(ops):
    run_id = ops.get("/batch/history", params={"batch_type": "legacy_batch"}).json()["runs"][0]["id"]
    log = ops.get(f"/batch/history/{run_id}/logs")
    assert log.headers["content-disposition"] == f'attachment; filename="{run_id}_log.json"'
    count = ops.get(f"/batch/history/{run_id}/logs", params={"count_only": True}).json()
    assert count == {"batch_run_id": run_id, "log_entry_count": len(log.json()["activity_log"])}
    text = ops.get(f"/batch/history/{run_id}/logs", params={"format": "txt"}).text
    assert text.startswith("Log of legacy_batch")
    assert ops.get(f"/batch/history/{run_id}/logs", params={"format": "xml"}).status_code == 400
    assert ops.get(f"/batch/history/{NOBODY}/logs").status_code == 404


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"force_rerun": True}, "start_date"),
        ({"start_date": "2024-06-03"}, "force_rerun"),
        ({"end_date": "2024-06-03"}, "force_rerun"),
        ({"force_rerun": True, "start_date": "2024-06-30", "end_date": "2024-06-28"}, "exchange"),
        ({"force_rerun": True, "start_date": "2024-06-03", "end_date": "2025-06-03"}, "not closed"),
    ],
)
def test_orders_that_make_no_sense(ops, query, says):
    answer = ops.post("/batch/run", params=query)
    assert answer.status_code == 400
    assert says in answer.json()["detail"]


def test_symbol_batches_that_cannot_be(ops):
    for query in ({"target_date": "2024-06-29"}, {"target_date": "2025-01-03"}, {"symbols": "NOSUCH"}):
        assert ops.post("/symbol-batch/run", params=query).status_code == 400, query
    assert ops.post("/batch/run", params={"portfolio_id": NOBODY}).status_code == 404


def test_a_portfolios_run_is_its_own_to_see(url, secrets, ops):
    mine, other = (enter((url, secrets), name, HELD, account_name=name) for name in ("ann", "bob"))
    views = {
        name: httpx.Client(base_url=f"{url}/api/v1/onboarding/status", headers={"X-API-Key": secrets[name]})
        for name in ("ann", "bob")
    }
    whole = ops.post("/batch/run").json()["batch_run_id"]
    ended(ops, whole)
    assert views["ann"].get(f"/{mine}").json()["mode"] == "v2_instant"
    started = ops.post("/batch/run", params={"portfolio_id": mine}).json()
    assert (started["portfolio_id"], started["date_range"]) == (mine, {"start": None, "end": "today"})
    running = views["ann"].get(f"/{mine}").json()
    assert (running["status"], running["mode"]) == ("running", "v1_batch")
    ended(ops, started["batch_run_id"])
    status = views["ann"].get(f"/{mine}").json()
    assert (status["status"], status["mode"], len(status["phases"])) == ("completed", "v1_batch", 9)
    assert status["overall_progress"]["percent_complete"] == 100
    assert any(
        "P&L" in line["message"] or "Market Data" in line["message"] for line in status["activity_log"]
    )
    log = views["ann"].get(f"/{mine}/logs", params={"format": "json"}).json()
    assert [line["message"] for line in log["activity_log"]][-1:] == [
        line["message"] for line in status["activity_log"]
    ][-1:]
    assert views["bob"].get(f"/{other}").json()["mode"] == "v2_instant"
    v2 = views["ann"].get(f"/{mine}", params={"view": "v2"}).json()
    assert v2["status"] == "ready"
    own = httpx.get(
        f"{url}/api/v1/portfolios/{mine}/batch-status/{started['batch_run_id']}",
        headers={"X-API-Key": secrets["ann"]},
    ).json()
    assert (own["status"], own["triggered_by"]) == ("completed", "ops")
    foreign = httpx.get(
        f"{url}/api/v1/portfolios/{other}/batch-status/{started['batch_run_id']}",
        headers={"X-API-Key": secrets["bob"]},
    ).json()
    assert foreign["status"] == "idle"
    for client in views.values():
        client.close()


def test_freshness_and_quality_over_http(ops, store):
    fresh = ops.get("/data/freshness").json()
    assert (fresh["status"], fresh["alert_level"], fresh["trading_days_stale"]) == ("current", "none", 0)
    prices = store.read("prices", symbols=["BARAQ"]).sort("session").tail(1).drop("symbol_id", "quality")
    fields = ("open", "high", "low", "close", "adj_close")
    ingest_prices(store, pl.concat([prices.with_columns(pl.col(*fields) * 3)]))
    report = ops.get("/batch/data-quality").json()
    assert ("BARAQ", str(LAST)) in [(each["symbol"], each["session"]) for each in report["jump_suspects"]]
    assert report["symbols_total"] == len(store.ledger.symbols.active()) > 10
    ingest_prices(store, prices)


def test_the_book_and_the_queue(ops, url, secrets):
    cache = ops.get("/cache/status").json()
    assert (cache["latest_price_date"], cache["symbols_cached"] > 8) == (str(LAST), True)
    enter((url, secrets), "ann", HELD + "NEWCO,5,10.00,2024-01-05\n", account_name="New")
    queue = ops.get("/onboarding/queue").json()
    assert [each["symbol"] for each in queue["pending_symbols"]] == ["NEWCO"]


def test_triggers_of_old_names(ops):
    started = ops.post("/batch/trigger/correlations")
    assert (started.status_code, started.json()["status"]) == (200, "started")
    assert ended(ops, started.json()["batch_run_id"])["batch_type"] == "portfolio_refresh"
    assert ops.post("/batch/trigger/correlations", params={"portfolio_id": NOBODY}).status_code == 404
