"""Errors over HTTP: one shape, and every code in the sources is documented."""

import ast
import time
from pathlib import Path

import httpx
import pytest
from errors import assert_error
from owners import NOBODY, enter
from service_process import form, serving

from service.api.docs import MEANINGS
from storage.store import open_store

SERVICE = Path(__file__).parents[1] / "service"
RAISED = {"ApiError": 1, "OnboardingError": 1, "problem": 2}  # and at which place each takes the code
CSV = "Symbol,Quantity,Entry Price Per Share,Entry Date\nSPY,100,100.00,2024-01-05\n"
ONE = "/analytics/portfolio/{}"
REQUESTS = (
    ("GET", "/nothing", {}, 404, "not_found"),
    ("PATCH", "/portfolios", {}, 405, "method_not_allowed"),
    ("GET", f"/portfolios/{NOBODY}", {}, 404, "not_found"),
    ("GET", f"{ONE}/overview".format(NOBODY), {}, 404, "not_found"),
    ("GET", f"/positions/{NOBODY}", {}, 404, "not_found"),
    ("GET", f"/onboarding/status/{NOBODY}", {}, 404, "portfolio_not_found"),
    ("GET", "/onboarding/status/5", {}, 400, "invalid_portfolio_id"),
    ("GET", f"/onboarding/status/{NOBODY}/logs?format=pdf", {}, 422, "invalid_request"),
    ("GET", f"{ONE}/correlation-matrix?lookback_days=30&min_overlap=31", {}, 400, "min_overlap"),
    ("GET", f"{ONE}/correlation-matrix?lookback_days=many", {}, 422, "invalid_request"),
    ("GET", f"{ONE}/stress-test?scenarios=flood", {}, 422, "invalid_request"),
    ("GET", f"{ONE}/replay?start=2024-03-30&end=2024-03-31", {}, 400, "replay_window"),
    ("GET", "/data/positions/details", {}, 400, "one_of"),
    ("GET", "/data/company-profiles?symbols=SPY&fields=shoe_size", {}, 400, "fields"),
    ("GET", "/data/factors/etf-prices?factors=Luck", {}, 400, "factors"),
    ("GET", "/data/portfolio/{}/complete?as_of_date=2020-01-02", {}, 400, "as_of_date"),
    ("POST", "/analytics/what-if", {"json": {"trades": 5}}, 422, "invalid_request"),
    ("POST", "/analytics/what-if", {"content": b"{", "headers": {"content-type": "application/json"}}, 422,
     "invalid_request"),
    ("POST", "/portfolios", {"json": {"name": "x", "account_name": "Shapes"}}, 409, "taken"),
    ("POST", "/portfolios", {"content": b"x" * 2_000_000}, 413, "too_large"),
    ("POST", "/portfolios/{}/equity-changes",
     {"json": {"change_type": "WITHDRAWAL", "amount": 1e9, "change_date": "2024-06-28"}}, 400, "EQUITY_003"),
    ("POST", "/onboarding/create-portfolio", {"data": form(), "files": {"x": b""}}, 400, "ERR_PORT_007"),
    ("POST", "/onboarding/create-portfolio", {"data": form(account_name="Shapes"), "files": {"x": b""}}, 409,
     "ERR_PORT_001"),
    ("POST", "/onboarding/create-portfolio",
     {"data": form(account_name="Rows"), "files": {"csv_file": ("lots.csv", b"x")}}, 400, "ERR_PORT_008"),
)  # fmt: skip


@pytest.fixture(scope="module")
def portfolio_id(served):
    return enter(served, "ann", CSV, account_name="Shapes", equity_balance="1000")


@pytest.mark.parametrize(("method", "path", "sent", "status", "code"), REQUESTS)
def test_every_error_has_one_shape(ann, portfolio_id, method, path, sent, status, code):
    assert_error(ann.request(method, path.format(portfolio_id), **sent), status, code)


def test_without_a_key_or_without_its_scope(served, store):
    url, _ = served
    assert_error(httpx.get(f"{url}/api/v1/portfolios"), 401, "not_authenticated")
    with open_store(store) as opened:
        _, secret = opened.ledger.api_keys.create("ann", "phone", ("read",))
    body = {"name": "x", "account_name": "x"}
    answer = httpx.post(f"{url}/api/v1/portfolios", json=body, headers={"X-API-Key": secret})
    assert_error(answer, 403, "not_allowed")


def test_a_slow_upload_says_so_in_the_same_shape(store, served):
    def body():
        yield b"{"
        time.sleep(1)

    headers = {"X-API-Key": served[1]["ann"], "content-type": "application/json"}
    with serving(store, RIDGELINE_REQUEST_SECONDS="0.3") as url:
        answer = httpx.post(f"{url}/api/v1/portfolios", content=body(), headers=headers)
        assert_error(answer, 503, "timeout")


def codes(path):
    """The codes of errors that a file raises."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RAISED:
            place = RAISED[node.func.id]
            code = node.args[place] if len(node.args) > place else None
            if isinstance(code, ast.Constant):
                yield code.value


@pytest.mark.parametrize("path", sorted(SERVICE.rglob("*.py")), ids=lambda path: path.stem)
def test_every_code_is_documented(path):
    assert set(codes(path)) <= MEANINGS.keys()
