"""A client's walk over HTTP on real prices: every number against a plain reading of the prices themselves."""

from datetime import date
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest
from service_process import serving, upload

from service.cli.app import run

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PRICES, PROFILES = DATA / "real_prices_2013_2017.parquet", DATA / "real_profiles.csv"
pytestmark = pytest.mark.skipif(not PRICES.exists(), reason=f"the real prices are not here: {PRICES}")
LAST = date(2017, 11, 10)
LOTS = {"XOM": (100, 80.0), "AAPL": (-50, 95.0), "JNJ": (80, 100.0), "TLT": (40, 120.0)}
CASH, EQUITY = 10_000.0, 50_000.0
CSV = (
    "Symbol,Quantity,Entry Price Per Share,Entry Date\n"
    + "".join(f"{symbol},{quantity},{price},2015-03-10\n" for symbol, (quantity, price) in LOTS.items())
    + f"CASH_USD,{CASH:.0f},1.00,2015-01-02\nNOSUCH,10,10.00,2015-01-02\n"
)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    path = tmp_path_factory.mktemp("real") / "store"
    for arguments in (
        ["ingest", str(PRICES)],
        ["ingest-profiles", str(PROFILES), "--as-of", "2013-07-24"],
        ["batch", "run"],
    ):
        assert run([*arguments, "--store", str(path)]) == 0
    with serving(path, RIDGELINE_NY_TIME="2017-11-11T12:00") as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture(scope="module")
def closes():
    """Closes ``(n_sessions, n_lots)`` up to the last session."""
    prices = pl.read_parquet(PRICES).filter(pl.col("symbol").is_in([*LOTS, "SPY"]))
    wide = prices.pivot("symbol", index="date", values="close").sort("date")
    return wide.select(*LOTS, "SPY").to_numpy().astype(np.float64)


@pytest.fixture(scope="module")
def returns(closes):
    return closes[1:] / closes[:-1] - 1


@pytest.fixture(scope="module")
def values(closes):
    return np.array([quantity for quantity, _ in LOTS.values()]) * closes[-1, :4]


@pytest.fixture(scope="module")
def created(client):
    answer = upload(client, CSV, equity_balance=str(EQUITY))
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def get(client, created):
    def answer(tail):
        found = client.get(f"/api/v1/analytics/portfolio/{created['portfolio_id']}/{tail}")
        assert found.status_code == 200, found.text
        body = found.json()
        assert (body["available"], body["as_of"]) == (True, str(LAST))
        assert body["excluded"] == [{"symbol": "NOSUCH", "reason": "unknown_symbol"}]
        return body

    return answer


def test_create_and_status(client, created):
    assert (created["positions_imported"], created["pending_symbols"]) == (6, ["NOSUCH"])
    path = f"/api/v1/onboarding/status/{created['portfolio_id']}"
    rich, simple = client.get(path).json(), client.get(path, params={"view": "v2"}).json()
    assert (rich["status"], len(rich["phases"])) == ("running", 9)
    assert (simple["status"], simple["pending_symbols"]) == ("pending", ["NOSUCH"])
    assert simple["analytics_available"] is True


def test_overview(get, values):
    body = get("overview")
    long, short = values[values > 0].sum(), values[values < 0].sum()
    exposures = body["exposures"]
    assert exposures["long_exposure"] == pytest.approx(long, rel=1e-12)
    assert exposures["short_exposure"] == pytest.approx(short, rel=1e-12)
    assert exposures["gross_exposure"] == pytest.approx(long - short, rel=1e-12)
    cost = sum(quantity * price for quantity, price in LOTS.values())
    assert body["pnl"]["unrealized_pnl"] == pytest.approx(values.sum() - cost, rel=1e-9)
    assert body["net_asset_value"] == body["equity_balance"] == EQUITY


def test_factor_exposures(get, values, returns):
    market = returns[-90:, 4] - returns[-90:, 4].mean()
    betas = [(market @ (r - r.mean())) / (market @ market) for r in returns[-90:, :4].T]
    body = get("factor-exposures")
    found = {factor["name"]: factor for factor in body["factors"]}
    assert len(found) >= 12
    assert found["Market Beta (90D)"]["exposure_dollar"] == pytest.approx(values @ betas, rel=1e-9)
    assert found["Market Beta (90D)"]["beta"] == pytest.approx(values @ betas / EQUITY, rel=1e-9)


def test_correlation_matrix(get, returns):
    matrix = get("correlation-matrix")["data"]["matrix"]
    expected = np.corrcoef(np.log1p(returns[-90:, :4]).T)
    for i, one in enumerate(LOTS):
        for j, other in enumerate(LOTS):
            assert matrix[one][other] == pytest.approx(expected[i, j], abs=1e-12)


def test_stress_test(get):
    body = get("stress-test")
    scenarios = {each["id"]: each for each in body["data"]["scenarios"]}
    assert len(scenarios) == 22
    for each in scenarios.values():
        loss = each["impact"]["dollar_impact"]
        assert sum(each["by_factor"].values()) == pytest.approx(loss, abs=1e-6)
        assert each["impact"]["percentage_impact"] == pytest.approx(100 * loss / EQUITY)
    fall, rise = (scenarios[name]["impact"] for name in ("market_down_10", "market_up_5"))
    assert fall["dollar_impact"] == pytest.approx(-2 * rise["dollar_impact"], rel=1e-9)  # no options in it
    up, down = (scenarios[f"rates_{way}_100bp"]["impact"]["dollar_impact"] for way in ("up", "down"))
    assert up * down < 0


def test_volatility(get, values, returns):
    daily = returns[:, :4] @ (values / EQUITY)
    data = get("volatility")["data"]
    for window in (21, 63):
        expected = daily[-window:].std(ddof=1) * np.sqrt(252)
        assert data[f"realized_volatility_{window}d"] == pytest.approx(expected, rel=1e-9)


def test_sector_exposure(get, values):
    profiles = dict(pl.read_csv(PROFILES).select("symbol", "sector").iter_rows())
    weights = get("sector-exposure")["data"]["portfolio_weights"]
    assert profiles["XOM"] in weights
    assert sum(weights.values()) == pytest.approx(1.0)


def test_concentration(get, values):
    shares = np.sort(np.abs(values) / np.abs(values).sum())[::-1]
    data = get("concentration")["data"]
    assert data["hhi"] == pytest.approx(1e4 * (shares @ shares), rel=1e-9)
    assert data["effective_num_positions"] == pytest.approx(1 / (shares @ shares), rel=1e-9)
    assert data["top_3_concentration"] == pytest.approx(shares[:3].sum(), rel=1e-9)
