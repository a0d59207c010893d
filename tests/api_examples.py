"""One request of every route, in an order that works, recorded as the examples of the OpenAPI document.

``python tests/api_examples.py`` records them anew: for a new route, add a call to ``CALLS``.
"""

import json
import sys
import tempfile
import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import httpx
from owners import NOON
from service_process import form, serving

from service.api.document import EXAMPLES
from service.cli.app import run
from service.csv_import.parsing import parse_positions
from storage.portfolios import Portfolio
from storage.store import open_store

DATA = Path(__file__).parents[1] / "data"
START, LAST = date(2024, 6, 24), date(2024, 6, 28)
CSV = """Symbol,Quantity,Entry Price Per Share,Entry Date
SPY,100,470.25,2024-01-05
BERAQ,-50,60.00,2024-02-05
VARAQ,80,35.50,2024-02-05
CASH_USD,5000,1.00,2024-01-05
"""
SHORTEST, WIDEST = 2, 24  # entries that an example shows of a list, and of a mapping
ADMIN = "/api/v1/admin"
V1, ONE, MANY = "/api/v1", "/api/v1/analytics/portfolio/{portfolio_id}", "/api/v1/analytics/aggregate"
FLOWS = f"{V1}/portfolios/{{portfolio_id}}/equity-changes"
FLOW = {"change_type": "CONTRIBUTION", "amount": 2500, "change_date": "2024-06-26", "notes": "Bonus"}
POSITION = {
    "symbol": "TLT",
    "quantity": 40,
    "avg_cost": 92.5,
    "position_type": "LONG",
    "entry_date": "2024-06-27",
}
TAILS = (
    *("overview", "factor-exposures", "positions/factor-exposures", "correlation-matrix", "stress-test"),
    *("diversification-score", "volatility", "sector-exposure", "concentration", "risk", "performance"),
    *("beta-comparison", "beta-calculated-90d", "beta-provider-1y", "market-beta", "spread-factors"),
    *("risk-metrics", "exposure-history"),
)
SUMS = (
    *("overview", "breakdown", "beta", "volatility", "factor-exposures", "sector-exposure"),
    *("concentration", "correlation-matrix", "stress-test"),
)

# Method, path, and what is sent: parameters of the query, a JSON body, a form.
CALLS = (
    ("GET", "/health", {}),
    ("GET", "/health/live", {}),
    ("GET", "/health/ready", {}),
    ("GET", "/health/status", {}),
    ("GET", "/docs/errors/{code}", {}),
    ("GET", f"{V1}/onboarding/csv-template", {}),
    ("POST", f"{V1}/onboarding/create-portfolio", {"form": form()}),
    ("GET", f"{V1}/onboarding/status/{{portfolio_id}}", {}),
    ("GET", "/api/v2/onboarding/status/{portfolio_id}", {}),
    ("GET", f"{V1}/onboarding/status/{{portfolio_id}}/logs", {"params": {"format": "json"}}),
    ("GET", f"{V1}/symbols/{{symbol}}/status", {}),
    ("POST", f"{V1}/symbols/{{symbol}}/fetch", {}),
    ("POST", f"{V1}/portfolios/{{history_id}}/calculate", {}),
    ("POST", f"{V1}/portfolio/{{portfolio_id}}/calculate", {}),
    ("GET", f"{V1}/portfolios/{{portfolio_id}}/batch-status/{{run_id}}", {}),
    *(("GET", f"{ONE}/{tail}", {}) for tail in TAILS),
    ("GET", f"{ONE}/replay", {"params": {"start": "2024-03-01", "end": "2024-03-28"}}),
    ("POST", f"{V1}/analytics/what-if", {"json": {"trades": [{"symbol": "SPY", "quantity": -30}]}}),
    *(("GET", f"{MANY}/{tail}", {}) for tail in SUMS),
    ("POST", f"{V1}/portfolios", {"json": {"name": "Growth", "account_name": "IRA", "account_type": "ira"}}),
    ("GET", f"{V1}/portfolios", {}),
    ("GET", f"{V1}/portfolios/{{portfolio_id}}", {}),
    ("PUT", f"{V1}/portfolios/{{portfolio_id}}", {"json": {"description": "Long-term savings"}}),
    ("PUT", f"{ONE}/equity", {"json": {"equity_balance": 510000}}),
    ("POST", FLOWS, {"json": FLOW}),
    ("GET", FLOWS, {}),
    ("GET", f"{FLOWS}/summary", {}),
    ("GET", f"{FLOWS}/export", {}),
    ("GET", f"{FLOWS}/{{change_id}}", {}),
    ("PUT", f"{FLOWS}/{{change_id}}", {"json": {"amount": 2600}}),
    ("DELETE", f"{FLOWS}/{{change_id}}", {}),
    ("POST", f"{V1}/positions", {"json": POSITION, "params": {"portfolio_id": "{portfolio_id}"}}),
    ("POST", f"{V1}/positions/bulk", {"json": {"portfolio_id": "{portfolio_id}", "positions": [POSITION]}}),
    ("POST", f"{V1}/positions/validate-symbol", {"params": {"symbol": "spy"}}),
    (
        "GET",
        f"{V1}/positions/check-duplicate",
        {"params": {"portfolio_id": "{portfolio_id}", "symbol": "TLT"}},
    ),
    ("GET", f"{V1}/positions/{{position_id}}", {}),
    ("PUT", f"{V1}/positions/{{position_id}}", {"json": {"exit_date": "2024-06-28", "exit_price": 93.1}}),
    ("GET", f"{V1}/data/portfolios", {}),
    ("GET", f"{V1}/data/portfolio/{{portfolio_id}}/complete", {"params": {"include_timeseries": True}}),
    ("GET", f"{V1}/data/portfolio/{{portfolio_id}}/snapshot", {}),
    ("GET", f"{V1}/data/portfolio/{{portfolio_id}}/data-quality", {}),
    ("GET", f"{V1}/data/positions/details", {"params": {"portfolio_id": "{portfolio_id}"}}),
    ("GET", f"{V1}/data/positions/top/{{portfolio_id}}", {}),
    ("GET", f"{V1}/data/company-profiles", {"params": {"symbols": "SPY,BERAQ"}}),
    ("GET", f"{V1}/data/prices/historical/{{portfolio_id}}", {"params": {"lookback_days": 30}}),
    ("GET", f"{V1}/data/prices/benchmark/{{symbol}}", {"params": {"lookback_days": 30}}),
    ("GET", f"{V1}/data/prices/quotes", {"params": {"symbols": "SPY,BERAQ"}}),
    ("GET", f"{V1}/data/factors/etf-prices", {}),
    ("DELETE", f"{V1}/positions/bulk", {"json": {"position_ids": ["{bulk_id}"]}}),
    ("DELETE", f"{V1}/positions/{{position_id}}", {}),
    ("DELETE", f"{V1}/portfolios/{{new_id}}", {}),
)
RUN = f"{ADMIN}/batch/{{run_id}}"
HISTORY = f"{ADMIN}/batch/history"
# Each start waits for the run before it; what is cancelled is under way.
ADMIN_CALLS = (
    ("POST", f"{ADMIN}/batch/trigger/correlations", {}),
    ("POST", f"{ADMIN}/batch/trigger/market-data", {}),
    ("POST", f"{ADMIN}/symbol-batch/run", {"params": {"target_date": str(LAST)}}),
    ("POST", f"{ADMIN}/portfolio-refresh/run", {"params": {"portfolio_id": "{portfolio_id}"}}),
    ("POST", f"{ADMIN}/batch/trigger/company-profiles", {}),
    ("POST", f"{RUN}/cancel", {}),
    ("POST", f"{RUN}/retry-failed", {}),
    ("POST", f"{ADMIN}/batch/run", {"params": {"portfolio_id": "{portfolio_id}"}}),
    ("GET", f"{ADMIN}/batch/run/current", {}),
    ("GET", f"{RUN}/events", {}),
    *(("GET", f"{ADMIN}/{job}/status", {}) for job in ("batch", "symbol-batch", "portfolio-refresh")),
    *(("GET", f"{ADMIN}/{tail}", {}) for tail in ("cache/status", "onboarding/queue", "data/freshness")),
    *(("GET", f"{ADMIN}/batch/{tail}", {}) for tail in ("failures", "data-quality")),
    *(("GET", f"{HISTORY}{tail}", {}) for tail in ("", "/summary", "/{run_id}", "/{run_id}/logs")),
)
# Where later calls find the ids that earlier answers gave.
REMEMBERED = {
    f"{V1}/onboarding/create-portfolio": {"upload_id": ("portfolio_id",)},
    f"{V1}/portfolios/{{history_id}}/calculate": {"run_id": ("batch_run_id",)},
    f"{V1}/portfolios": {"new_id": ("id",)},
    FLOWS: {"change_id": ("id",)},
    f"{V1}/positions": {"position_id": ("id",)},
    f"{V1}/positions/bulk": {"bulk_id": ("positions", 0, "id")},
}


def wait(client):
    """Wait until no job is running, for those that were started in processes of their own."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        runs = client.get(HISTORY).json()["runs"]
        if all(run["status"] != "running" for run in runs):
            return
        time.sleep(0.2)
    raise AssertionError("a job does not end")


def record(client, known):
    """Make every call and return what was sent and answered, by method and path of the document."""
    examples = {}
    for method, path, sent in (*CALLS, *ADMIN_CALLS):
        if method == "POST" and path.startswith(ADMIN) and not path.endswith("/cancel"):
            wait(client)
        filled = json.loads(_fill(json.dumps(sent), known))
        files = {"csv_file": ("positions.csv", CSV.encode(), "text/csv")} if "form" in filled else None
        answer = client.request(
            method,
            _fill(path, known),
            params=filled.get("params"),
            json=filled.get("json"),
            data=filled.get("form"),
            files=files,
        )
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        if method == "POST" and path.startswith(ADMIN) and not path.endswith("/cancel"):
            known["run_id"] = answer.json()["batch_run_id"]
        elif method == "POST":
            known |= {name: _at(answer.json(), place) for name, place in REMEMBERED.get(path, {}).items()}
        key = (
            f"{method} {path.replace('{history_id}', '{portfolio_id}').replace('{new_id}', '{portfolio_id}')}"
        )
        examples[key] = _example(key, filled, answer, known)
    return examples


def _fill(text, known):
    for name, value in known.items():
        text = text.replace("{" + name + "}", value)
    return text


def _at(document, place):
    for step in place:
        document = document[step]
    return document


def _example(key, sent, answer, known):
    inside = {name: value for name, value in known.items() if "{" + name + "}" in key}
    example = {"status": answer.status_code, "parameters": {**inside, **sent.get("params", {})}}
    if "json" in sent:
        example["request"] = sent["json"]
    if "form" in sent:
        example["request"] = {**sent["form"], "csv_file": CSV}
    if answer.content:
        example["type"] = answer.headers["content-type"].partition(";")[0]
        is_json = example["type"] == "application/json"
        example["answer"] = _shortened(answer.json()) if is_json else answer.text
    return example


def _shortened(value):
    if isinstance(value, list):
        return [_shortened(each) for each in value[:SHORTEST]]
    if isinstance(value, dict):
        return {name: _shortened(value[name]) for name in list(value)[:WIDEST]}
    return value


def store_with_history(path):
    """Compute a store of the sample files over some sessions, and enter a portfolio at the first of them."""
    for arguments in (
        ["ingest", DATA / "sample_prices.csv"],
        ["ingest-profiles", DATA / "sample_profiles.csv"],
        ["ingest-benchmark", DATA / "sample_benchmark.csv"],
        ["batch", "run"],
        ["backfill", "--from", START, "--to", LAST],
    ):
        assert run([*map(str, arguments), "--store", str(path)]) == 0
    with open_store(path) as store:
        draft = Portfolio("Sample", "Taxable", starting_equity=Decimal(500_000), starting_session=START)
        lots = parse_positions(CSV.encode(), "positions.csv", today=LAST)
        return store.ledger.portfolios.create("local", draft, lots).portfolio_id


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store"
        portfolio_id = store_with_history(path)
        known = {
            "portfolio_id": portfolio_id,
            "history_id": portfolio_id,
            "symbol": "SPY",
            "code": "ERR_POS_006",
        }
        with serving(path, RIDGELINE_NY_TIME=NOON) as url, httpx.Client(base_url=url, timeout=60) as client:
            examples = record(client, known)
    EXAMPLES.write_text(json.dumps(dict(sorted(examples.items())), indent=1) + "\n", encoding="utf-8")
    sys.stderr.write(f"{len(examples)} examples in {EXAMPLES}\n")


if __name__ == "__main__":
    main()
