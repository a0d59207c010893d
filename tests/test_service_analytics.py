"""Analytics over HTTP: what an API client walks through, and the same numbers as the command line's."""

import json
from pathlib import Path

import httpx
import pytest
from service_process import serving, upload

from service.cli.app import run

SAMPLE = Path(__file__).parents[1] / "data" / "sample_portfolio.csv"
TAILS = (
    "overview",
    "factor-exposures",
    "positions/factor-exposures",
    "correlation-matrix",
    "diversification-score",
    "stress-test",
    "volatility",
    "sector-exposure",
    "concentration",
    "risk",
    "beta-comparison",
    "beta-calculated-90d",
    "beta-provider-1y",
    "market-beta",
    "spread-factors",
    "risk-metrics",
)


@pytest.fixture(scope="module")
def client(store):
    with serving(store, RIDGELINE_NY_TIME="2024-06-30T12:00") as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture(scope="module")
def portfolio_id(client):
    return upload(client, SAMPLE.read_text()).json()["portfolio_id"]


@pytest.fixture(scope="module")
def get(client, portfolio_id):
    def answer(tail, **query):
        found = client.get(f"/api/v1/analytics/portfolio/{portfolio_id}/{tail}", params=query)
        assert found.status_code == 200, found.text
        return found.json()

    return answer


@pytest.fixture
def described(store, capsys):
    """What the command line says of the same positions."""
    command = ["portfolio", "analyze", str(SAMPLE), "--equity", "500000", "--json", "--store", str(store)]
    capsys.readouterr()
    assert run(command) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("tail", TAILS)
def test_every_answer_says_of_when_and_of_how_much(get, tail):
    body = get(tail)
    assert (body["as_of"], body["release"]) == ("2024-06-28", 6)
    assert body["available"] is (tail != "beta-provider-1y")  # the sample profiles have no betas
    assert 0.75 < body["coverage"] <= 1
    assert body["quality"] == "degraded"
    assert {"symbol": "NOSUCH", "reason": "unknown_symbol"} in body["excluded"]
    assert "partial_coverage" in body["reasons"]


def test_overview(get, described):
    body, expected = get("overview"), described["overview"]
    for name in ("net_asset_value", "total_value", "cash_balance", "leverage", "exposures", "position_count"):
        assert body[name] == expected[name]
    assert body["pnl"]["unrealized_pnl"] == expected["pnl"]["unrealized_pnl"]
    assert body["equity_balance"] == 500000


def test_factor_exposures(get, described):
    body, graded = get("factor-exposures"), {"n_obs", "quality", "reasons"}
    numbers = [{name: each[name] for name in each.keys() - graded} for each in body["factors"]]
    assert numbers == described["factor_exposures"]
    for each in body["factors"]:
        missing = each["exposure_dollar"] is None
        assert (each["n_obs"] is None) == missing
        assert each["quality"] == ("unavailable" if missing else "degraded" if each["coverage"] < 1 else "ok")
        assert each["reasons"] == (["no_beta"] if missing else ["partial_coverage"] * (each["coverage"] < 1))
    assert body["n_obs"] == min(each["n_obs"] for each in body["factors"] if each["n_obs"])


def test_volatility(get, described):
    body, expected = get("volatility")["data"], described["volatility"]
    for name in ("realized_volatility_21d", "realized_volatility_63d", "expected_volatility_21d", "n_obs"):
        assert body[name] == expected[name]
    assert body["model_volatility"] == described["risk"]["volatility"]


def test_stress(get, described):
    scenarios = {each["id"]: each for each in get("stress-test")["data"]["scenarios"]}
    assert len(scenarios) == 22
    for expected in described["stress_test"]["scenarios"]:
        found = scenarios[expected["id"]]
        assert found["impact"] == expected["impact"]
        assert abs(sum(found["by_factor"].values()) - found["impact"]["dollar_impact"]) < 1e-6
    chosen = get("stress-test", scenarios="market_up_5,covid_crash_2020")
    assert [each["id"] for each in chosen["data"]["scenarios"]] == ["market_up_5", "covid_crash_2020"]
    assert chosen["metadata"]["scenarios_requested"] == ["covid_crash_2020", "market_up_5"]


def test_correlations(get, described):
    body = get("correlation-matrix", max_symbols=4)["data"]
    expected = described["correlation_matrix"]["matrix"]
    assert len(body["matrix"]) == 4
    for one, line in body["matrix"].items():
        assert line == {other: expected[one][other] for other in body["matrix"]}
    score = get("diversification-score")
    assert score["portfolio_correlation"] == described["correlation_matrix"]["average_correlation"]


def test_sectors_and_concentration(get, described):
    sectors = get("sector-exposure")["data"]
    assert sectors["portfolio_weights"] == described["sector_exposure"]["portfolio_weights"]
    assert abs(sum(sectors["portfolio_weights"].values()) - 1) < 1e-9
    concentration = get("concentration")
    assert concentration["data"]["hhi"] == described["concentration"]["hhi"]
    assert concentration["metadata"]["interpretation"] in ("diversified", "moderate", "concentrated")


def test_risk_contributions_add_up(get):
    data = get("risk")["data"]
    assert abs(sum(data["factor_contribution"].values()) + data["specific_share"] - 1) < 1e-9
    assert abs(sum(data["position_contribution"].values()) - 1) < 1e-9


def test_positions_by_page(get):
    whole = get("positions/factor-exposures")
    assert whole["total"] == len(whole["positions"]) == 13
    page = get("positions/factor-exposures", limit=2, offset=1)
    assert page["positions"] == whole["positions"][1:3]
    chosen = get("positions/factor-exposures", symbols="spy, nosuch")
    assert [each["symbol"] for each in chosen["positions"]] == ["SPY", "SPY", "NOSUCH"]
    assert set(chosen["positions"][2]["exposures"].values()) == {None}


def test_betas(get, described):
    betas = {each["name"]: each["beta"] for each in described["factor_exposures"]}
    assert get("beta-calculated-90d")["data"]["beta_calculated_90d"] == betas["Market Beta (90D)"]
    assert get("market-beta")["data"]["market_beta_observations"] >= 80
    spreads = {each["name"]: each["beta"] for each in get("spread-factors")["factors"]}
    assert spreads == {name: betas[name] for name in spreads}
    assert len(spreads) == 4
    assert get("spread-factors")["n_obs"] >= 60
    assert get("risk-metrics")["n_obs"] >= 80


def test_an_unchanged_answer_is_not_sent_again(client, portfolio_id):
    path = f"/api/v1/analytics/portfolio/{portfolio_id}/overview"
    etag = client.get(path).headers["etag"]
    again = client.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("tail", "status"),
    [
        ("correlation-matrix?max_symbols=51", 422),
        ("correlation-matrix?lookback_days=x", 422),
        ("correlation-matrix?lookback_days=60&min_overlap=61", 400),
        ("stress-test?scenarios=nosuch", 422),
        ("positions/factor-exposures?limit=0", 422),
        ("nosuch", 404),
    ],
)
def test_wrong_questions(client, portfolio_id, tail, status):
    answer = client.get(f"/api/v1/analytics/portfolio/{portfolio_id}/{tail}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], set(body)) == (status, {"type", "title", "status", "code", "detail"})
