"""Onboarding over HTTP: what is stored, every fault and its envelope, status, log, races."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from service_process import serving, upload

from service.csv_import.reading import MAX_BYTES
from service.onboarding import MESSAGES
from storage.store import open_store

SAMPLE = (Path(__file__).parents[1] / "data" / "sample_portfolio.csv").read_text()
KNOWN = "Symbol,Quantity,Entry Price Per Share,Entry Date\nSPY,100,100.00,2024-01-05\n"
UNKNOWN = f"{KNOWN}NOSUCH,5,10.00,2024-01-05\n"


@pytest.fixture(scope="module")
def client(store):
    with serving(store) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def test_a_stored_portfolio(client, store):
    answer = upload(client, SAMPLE, portfolio_name=" Main ", account_type="IRA", account_name="Stored")
    assert answer.status_code == 201
    body = answer.json()
    assert (body["portfolio_name"], body["account_type"]) == ("Main", "ira")
    assert (body["equity_balance"], body["positions_imported"], body["positions_failed"]) == (500000.0, 13, 0)
    assert (body["status"], body["pending_symbols"]) == ("pending", ["NOSUCH"])
    assert body["next_step"]["endpoint"] == f"/api/v1/portfolios/{body['portfolio_id']}/calculate"
    assert body["price_date"] == body["snapshot_date"] == "2024-06-28"
    with open_store(store) as opened:
        held = opened.ledger.positions.of(body["portfolio_id"])
    assert [position.lot.symbol for position in held][:2] == ["BARAQ", "VARAQ"]
    assert len(held) == 13


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"account_type": "current", "account_name": ""}, "ERR_PORT_009"),
        ({"account_name": " ", "portfolio_name": ""}, "ERR_PORT_011"),
        ({"account_name": "x" * 101}, "ERR_PORT_010"),
        ({"account_name": "a\0b"}, "ERR_PORT_010"),
        ({"portfolio_name": "", "equity_balance": ""}, "ERR_PORT_002"),
        ({"portfolio_name": "x" * 256}, "ERR_PORT_003"),
        ({"equity_balance": None}, "ERR_PORT_004"),
        ({"equity_balance": "0"}, "ERR_PORT_004"),
        ({"equity_balance": "NaN"}, "ERR_PORT_004"),
        ({"equity_balance": "$5"}, "ERR_PORT_004"),
        ({"equity_balance": "-1"}, "ERR_PORT_005"),
        ({"equity_balance": "1000000000000.01"}, "ERR_PORT_006"),
    ],
)
def test_the_first_fault_of_the_form(client, changes, code):
    answer = upload(client, "not a CSV", **{"account_name": "Faulty"} | changes)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["message"]) == (code, MESSAGES[code])
    assert client.get(error["documentation_url"]).text == f"{code}: {MESSAGES[code]}.\n"


def test_a_form_without_a_file(client):
    assert upload(client, None, account_name="No file").json()["error"]["code"] == "ERR_PORT_007"


def test_row_errors_come_nested_and_flat(client):
    answer = upload(client, KNOWN + "A B,0,1,2024-01-05\n", account_name="Rows")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "ERR_PORT_008"
    nested = error["details"]["error"]
    assert nested["code"] == "ERR_CSV_VALIDATION"
    assert nested["message"] == "CSV validation failed with 2 error(s)"
    assert nested["details"]["errors"] == error["details"]["errors"]
    assert nested["details"]["total_errors"] == 2
    first = error["details"]["errors"][0]
    assert (first["row"], first["symbol"], first["code"], first["field"]) == (
        3,
        "A B",
        "ERR_POS_003",
        "Symbol",
    )
    assert upload(client, KNOWN, account_name="Rows").status_code == 201  # the name stayed free


def test_an_exit_price_without_its_date_is_stored_with_a_warning(client):
    csv = f"{KNOWN.splitlines()[0]},Exit Price Per Share\nSPY,1,1.00,2024-01-05,9.5\nTLT,1,1.00,2024-01-05,\n"
    answer = upload(client, csv, account_name="Warned")
    assert answer.status_code == 201
    assert answer.json()["warnings"] == ["SPY has an exit price and no exit date; it counts as open"]


def test_a_taken_account_name(client):
    assert upload(client, KNOWN, account_name="Twice").status_code == 201
    again = upload(client, "broken", account_name=" Twice", portfolio_name="")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "ERR_PORT_001")


def test_one_name_at_the_same_time(client):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: upload(client, KNOWN, account_name="Race"), range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


def test_the_size_of_the_upload(client):
    comment = b"# " + b"x" * (MAX_BYTES - len(KNOWN) - 3) + b"\n"
    assert len(comment) + len(KNOWN) == MAX_BYTES
    assert upload(client, comment + KNOWN.encode(), account_name="Full").status_code == 201
    above = upload(client, b" " + comment + KNOWN.encode(), account_name="Above", filename="x.txt")
    assert above.json()["error"]["details"]["errors"][0]["code"] == "ERR_CSV_001"
    assert upload(client, b"x" * (MAX_BYTES + 200_000), account_name="Huge").status_code == 413


def test_holdings_of_a_broker(client):
    text = 'Symbol,Quantity,Cost Basis\nSPY,10,"$1,000.00"\n'
    assert upload(client, text, account_name="Broker's", format="auto", as_of="2024-01-05").status_code == 201
    undated = upload(client, text, account_name="Undated", format="auto")
    assert undated.json()["error"]["details"]["errors"][0]["code"] == "ERR_POS_012"
    assert upload(client, text, account_name="What", format="excel").status_code == 422


def test_the_status_of_a_portfolio_of_known_symbols(client):
    portfolio_id = upload(client, KNOWN, account_name="Known").json()["portfolio_id"]
    rich = client.get(f"/api/v1/onboarding/status/{portfolio_id}").json()
    assert (rich["status"], rich["mode"], len(rich["phases"])) == ("completed", "v2_instant", 9)
    assert [phase["phase_id"] for phase in rich["phases"]][:4] == [
        "phase_1",
        "phase_1_5",
        "phase_1_75",
        "phase_0",
    ]
    assert rich["overall_progress"]["percent_complete"] == 100
    assert rich["started_at"].endswith("Z")
    simple = client.get(f"/api/v2/onboarding/status/{portfolio_id}").json()
    assert simple == client.get(f"/api/v1/onboarding/status/{portfolio_id}?view=v2").json()
    assert (simple["status"], simple["analytics_available"], simple["pending_symbols"]) == (
        "ready",
        True,
        None,
    )


def test_the_status_while_a_symbol_is_awaited_and_when_it_failed(client, store):
    portfolio_id = upload(client, UNKNOWN, account_name="Waiting").json()["portfolio_id"]
    simple = client.get(f"/api/v2/onboarding/status/{portfolio_id}").json()
    assert (simple["status"], simple["pending_symbols"]) == ("pending", ["NOSUCH"])
    assert (simple["estimated_seconds_remaining"], simple["analytics_available"]) == (30, True)
    rich = client.get(f"/api/v1/onboarding/status/{portfolio_id}").json()
    assert (rich["status"], rich["overall_progress"]["current_phase"]) == ("running", "phase_1")
    assert rich["current_phase_progress"] == {"current": 1, "total": 2, "unit": "symbols"}
    assert rich["overall_progress"]["percent_complete"] <= 99
    assert client.get("/api/v1/symbols/nosuch/status").json()["status"] == "pending"
    with open_store(store) as opened:
        for _ in range(3):
            [job] = opened.ledger.symbol_queue.claim(1)
            opened.ledger.symbol_queue.fail(job.job_id, "no source knows it")
    simple = client.get(f"/api/v2/onboarding/status/{portfolio_id}").json()
    assert (simple["status"], simple["failed_symbols"]) == ("ready", ["NOSUCH"])
    rich = client.get(f"/api/v1/onboarding/status/{portfolio_id}").json()
    assert (rich["status"], rich["overall_progress"]["percent_complete"]) == ("partial", 100)
    assert rich["activity_log"][-2]["level"] == "warning"
    assert client.get("/api/v1/symbols/NOSUCH/status").json()["message"] == "no source knows it"


def test_the_log_as_a_file(client):
    portfolio_id = upload(client, KNOWN, account_name="Logged").json()["portfolio_id"]
    text = client.get(f"/api/v1/onboarding/status/{portfolio_id}/logs")
    assert f'"portfolio_setup_log_{portfolio_id[:8]}_' in text.headers["content-disposition"]
    assert "[INFO] Portfolio 'Main' stored: 1 lots" in text.text
    document = client.get(f"/api/v1/onboarding/status/{portfolio_id}/logs?format=json").json()
    assert (document["final_status"], document["portfolio_name"]) == ("completed", "Main")
    assert client.get(f"/api/v1/onboarding/status/{portfolio_id}/logs?format=pdf").status_code == 422


def test_a_status_of_nothing(client):
    wrong = client.get("/api/v1/onboarding/status/123")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "invalid_portfolio_id")
    missing = client.get("/api/v1/onboarding/status/00000000-0000-4000-8000-000000000000")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "portfolio_not_found")


def test_the_template_can_be_sent_back(client):
    template = client.get("/api/v1/onboarding/csv-template")
    assert template.headers["content-type"].startswith("text/csv")
    assert template.headers["cache-control"] == "max-age=3600"
    assert upload(client, template.text, account_name="Template").status_code == 201


def test_sql_and_paths_are_only_names(client):
    name = "Robert'); DROP TABLE portfolios;-- ../../etc/passwd"
    assert upload(client, KNOWN, account_name=name).json()["account_name"] == name
    assert json.dumps(client.get("/health").json()) == '{"status": "healthy"}'
