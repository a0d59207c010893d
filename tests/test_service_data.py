"""Data over HTTP: values as in the overview, prices as in the files, what is bounded, and whose they are."""

import csv
from itertools import pairwise
from pathlib import Path

import pytest
from owners import NOBODY, enter

DATA = Path(__file__).parents[1] / "data"
SAMPLE = (DATA / "sample_portfolio.csv").read_text()
SESSION = "2024-06-28"
HEADER = SAMPLE.splitlines()[1] + ",Exit Date,Exit Price Per Share,Underlying Symbol,Strike Price,"
MIXED = f"""{HEADER}Expiration Date,Option Type
SPY,10,100.00,2024-01-05,PUBLIC,ETF,,,,,,
TLT,-20,90.00,2024-01-05,PUBLIC,ETF,,,,,,
SPY,5,100.00,2024-01-08,PUBLIC,ETF,2024-06-03,110.00,,,,
SPYCALL,-3,2.50,2024-01-05,OPTIONS,CALL,,,SPY,110,2025-01-17,CALL
CASH_USD,500,1.00,2024-01-05,PRIVATE,CASH,,,,,,
"""


@pytest.fixture(scope="module")
def portfolio_id(served):
    return enter(served, "ann", SAMPLE, account_name="Sample")


@pytest.fixture(scope="module")
def mixed(served):
    return enter(served, "ann", MIXED, account_name="Mixed", equity_balance="10000")


@pytest.fixture(scope="module")
def overview(ann, portfolio_id):
    return ann.get(f"/analytics/portfolio/{portfolio_id}/overview").json()


@pytest.fixture(scope="module")
def closes():
    """Rows of the price file by symbol, oldest first."""
    rows = {}
    with (DATA / "sample_prices.csv").open() as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["symbol"], []).append(row)
    return {symbol: sorted(days, key=lambda row: row["date"]) for symbol, days in rows.items()}


def get(client, path, **query):
    answer = client.get(f"/data/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_portfolios(ann, portfolio_id, overview):
    found = {each["id"]: each for each in get(ann, "portfolios")}[portfolio_id]
    assert set(found) == {
        "id",
        "name",
        "net_asset_value",
        "total_value",
        "equity_balance",
        "total_market_value",
        "created_at",
        "updated_at",
        "position_count",
    }
    assert found["net_asset_value"] == overview["net_asset_value"]
    assert found["total_value"] == found["total_market_value"] == overview["total_value"]
    assert found["position_count"] == 13


def test_a_complete_portfolio(ann, portfolio_id, overview):
    body = get(ann, f"portfolio/{portfolio_id}/complete")
    assert (body["meta"]["as_of"], body["meta"]["schema_version"], body["meta"]["rows_returned"]) == (
        SESSION,
        "1.0",
        13,
    )
    assert body["meta"]["limits"] == {"max_positions": 2000, "max_days": 180, "max_symbols": 2000}
    assert body["portfolio"]["net_asset_value"] == overview["net_asset_value"]
    summary = body["positions_summary"]
    assert summary["total_market_value"] == overview["total_value"]
    for name in ("long_count", "short_count", "option_count"):
        assert summary[name] == overview["position_count"][name]
    held = body["holdings"]
    assert [(each["symbol"], each["id"]) for each in held] == sorted(
        (each["symbol"], each["id"]) for each in held
    )
    values = [each["market_value"] or 0 for each in held if not each["symbol"].startswith("CASH_")]
    assert sum(values) == pytest.approx(overview["total_value"], rel=1e-12)
    assert (body["timeseries"], body["attribution"], held[0]["tags"]) == (None, None, [])
    short = get(ann, f"portfolio/{portfolio_id}/complete", include_holdings=False, include_timeseries=True)
    assert (short["holdings"], short["timeseries"], short["meta"]["rows_returned"]) == (None, [], 0)


def test_what_no_snapshot_has_yet_is_null(ann, portfolio_id):
    body = get(ann, f"portfolio/{portfolio_id}/snapshot")
    assert body.pop("portfolio_id") == portfolio_id
    assert set(body.values()) == {None}


def test_the_newest_snapshot(ann, served):
    portfolio_id = enter(served, "ann", SAMPLE, account_name="Snapped")
    assert ann.post(f"/portfolios/{portfolio_id}/calculate").status_code == 200
    body = get(ann, f"portfolio/{portfolio_id}/snapshot")
    assert (body["snapshot_date"], body["daily_pnl"]) == (SESSION, 0.0)
    betas = ann.get(f"/analytics/portfolio/{portfolio_id}/beta-calculated-90d").json()["data"]
    assert body["beta_calculated_90d"] == pytest.approx(betas["beta_calculated_90d"], rel=1e-9)
    points = get(ann, f"portfolio/{portfolio_id}/complete", include_timeseries=True)["timeseries"]
    assert [(point["date"], point["net_asset_value"]) for point in points] == [(SESSION, 500_000.0)]


def test_data_quality(ann, portfolio_id, closes):
    body = get(ann, f"portfolio/{portfolio_id}/data-quality")
    quality, summary = body["position_data_quality"], body["summary"]
    held = {row.split(",")[0] for row in SAMPLE.splitlines()[2:]} - {"CASH_USD", "HARBOR_FUND_II"}
    sessions = [row["date"] for row in closes["SPY"]]
    priced = {symbol: {row["date"] for row in closes.get(symbol, [])} for symbol in held}
    n_returns = {
        symbol: sum({before, day} <= days for before, day in pairwise(sessions[-151:]))
        for symbol, days in priced.items()
    }
    assert sorted(quality["complete_history"]) == sorted(s for s, n in n_returns.items() if n == 150)
    partly = {each["symbol"]: each["days_available"] for each in quality["partial_history"]}
    assert partly == {symbol: n for symbol, n in n_returns.items() if 20 <= n < 150}
    assert quality["insufficient_data"] == [{"symbol": "NOSUCH", "days_available": 0, "reason": "no_prices"}]
    assert summary["total_positions"] == len(held)
    assert summary["complete_data"] + summary["partial_data"] + summary["insufficient_data"] == len(held)
    regression = body["calculation_feasibility"]["factor_regression"]
    assert regression["positions_eligible"] == sum(n >= 60 for n in n_returns.values())
    assert len(body["factor_etf_coverage"]["complete"]) == 8
    brief = get(ann, f"portfolio/{portfolio_id}/data-quality", check_factors=False, check_correlations=False)
    assert brief["factor_etf_coverage"] is None
    assert set(brief["calculation_feasibility"]) == {"factor_regression", "volatility_analysis"}


def test_details_sign_shorts_multiply_options_and_leave_closed_lots_out(ann, mixed, closes):
    body = get(ann, "positions/details", portfolio_id=mixed)
    held = {each["symbol"]: each for each in body["positions"]}
    assert len(body["positions"]) == body["summary"]["total_positions"] == 4
    short = held["TLT"]
    price = float(closes["TLT"][-1]["close"])
    assert short["market_value"] == pytest.approx(-20 * price, rel=1e-12)
    assert (short["cost_basis"], short["quantity"]) == (-1800.0, -20.0)
    assert short["unrealized_pnl"] == pytest.approx(-20 * (price - 90), rel=1e-9)
    assert short["unrealized_pnl_percent"] == pytest.approx(-100 * (price - 90) / 90, rel=1e-9)
    option = held["SPYCALL"]
    assert (option["cost_basis"], option["underlying_symbol"]) == (-750.0, "SPY")
    assert option["market_value"] < 0  # short, by the model
    assert held["SPY"]["company_name"] == option["company_name"] == "Market proxy"
    overview = ann.get(f"/analytics/portfolio/{mixed}/overview").json()
    uncash = body["summary"]["total_market_value"] - held["CASH_USD"]["market_value"]
    assert uncash == pytest.approx(overview["total_value"], rel=1e-12)
    gain = body["summary"]["total_unrealized_pnl"]
    assert gain == pytest.approx(overview["pnl"]["unrealized_pnl"], rel=1e-12)
    with_closed = get(ann, "positions/details", portfolio_id=mixed, include_closed=True)
    assert len(with_closed["positions"]) == 5
    for name in ("total_market_value", "total_cost_basis", "total_unrealized_pnl"):
        assert with_closed["summary"][name] == body["summary"][name]
    chosen = get(ann, "positions/details", position_ids=f"{short['id']},{option['id']}")
    assert [each["symbol"] for each in chosen["positions"]] == ["TLT", "SPYCALL"]


def test_top_positions(ann, portfolio_id, overview):
    body = get(ann, f"positions/top/{portfolio_id}", limit=50)
    sizes = [abs(row["value"]) for row in body["data"]]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == pytest.approx(overview["exposures"]["gross_exposure"], rel=1e-12)
    assert (body["coverage_percent"], body["total_positions"]) == (pytest.approx(100), len(sizes))
    spy = next(row for row in body["data"] if row["symbol"] == "SPY")
    assert (spy["qty"], spy["weight"]) == (500.0, round(spy["value"] / 500_000, 4))
    first = get(ann, f"positions/top/{portfolio_id}", limit=1, as_of_date="2024-06-30")
    assert first["data"] == body["data"][:1]
    assert first["coverage_percent"] == pytest.approx(100 * sizes[0] / sum(sizes), rel=1e-12)


def test_prices_are_those_of_the_file(ann, portfolio_id, closes):
    body = get(ann, f"prices/historical/{portfolio_id}", lookback_days=100)
    assert body["metadata"]["trading_days_included"] == 100
    assert body["metadata"]["missing_symbols"] == ["NOSUCH"]
    assert {"BARAQ", "SPY", "IWM", "QUAL"} <= set(body["symbols"])
    for symbol in ("BARAQ", "GERAQ"):
        series, expected = body["symbols"][symbol], closes[symbol]
        first = body["metadata"]["start_date"]
        wanted = [row for row in expected if first <= row["date"]]
        assert series["dates"] == [row["date"] for row in wanted]
        assert series["close"] == [float(row["close"]) for row in wanted]
        assert series["adjusted_close"] == [float(row["adj_close"]) for row in wanted]
        assert series["data_points"] == len(wanted)
        assert set(series["open"]) == {None}
    own = get(ann, f"prices/historical/{portfolio_id}", include_factor_etfs=False, date_format="unix")
    assert "QUAL" not in own["symbols"]
    assert own["symbols"]["SPY"]["dates"][-1] == 1719532800  # 2024-06-28T00:00:00Z


def test_a_benchmark(ann, closes):
    body = get(ann, "prices/benchmark/spy")
    assert (body["symbol"], body["available"], body["message"]) == ("SPY", True, None)
    assert body["metadata"]["trading_days_found"] == len(closes["SPY"]) == body["data"]["data_points"]
    assert body["metadata"]["last_date"] == SESSION
    assert get(ann, "prices/benchmark/SLY", lookback_days=5)["data"]["close"] == [
        float(row["close"]) for row in closes["IWM"][-5:]
    ]
    nothing = get(ann, "prices/benchmark/NOSUCH")
    assert (nothing["available"], nothing["data"]) == (False, None)
    assert "NOSUCH" in nothing["message"]


def test_quotes(ann, closes):
    body = get(ann, "prices/quotes", symbols="spy, nosuch,TLT,SPY")
    assert [quote["symbol"] for quote in body["quotes"]] == ["SPY", "TLT"]
    before, last = (float(row["close"]) for row in closes["SPY"][-2:])
    quote = body["quotes"][0]
    assert (quote["last_price"], quote["bid"], quote["timestamp"]) == (last, None, "2024-06-28T20:00:00Z")
    assert quote["day_change"] == pytest.approx(last - before, rel=1e-9)
    assert quote["day_change_percent"] == pytest.approx(100 * (last / before - 1), rel=1e-9)
    assert body["metadata"]["requested_symbols"] == ["SPY", "NOSUCH", "TLT"]
    assert (body["metadata"]["successful_quotes"], body["metadata"]["failed_quotes"]) == (2, 1)


def test_factor_prices(ann, closes):
    body = get(ann, "factors/etf-prices")
    assert len(body["data"]) == body["metadata"]["etf_count"] == 8
    assert body["data"]["IWM"]["factor_name"] == "Size"
    assert body["data"]["IWM"]["current_price"] == float(closes["IWM"][-1]["close"])
    assert list(get(ann, "factors/etf-prices", factors="market,SLY")["data"]) == ["SPY", "SLY"]


def test_profiles(ann, mixed):
    body = get(ann, "company-profiles", symbols="spy,nosuch", fields="company_name,asset_class")
    assert body["profiles"] == [{"symbol": "SPY", "company_name": "Market proxy", "asset_class": "etf"}]
    assert body["meta"]["missing_profiles"] == ["NOSUCH"]
    held = get(ann, "company-profiles", portfolio_id=mixed)
    assert [each["symbol"] for each in held["profiles"]] == ["SPY", "TLT"]
    position = get(ann, "positions/details", portfolio_id=mixed)["positions"][0]["id"]
    assert get(ann, "company-profiles", position_ids=position)["meta"]["query_type"] == "position_ids"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("prices/historical/{}?lookback_days=2001", 422),
        ("prices/historical/{}?lookback_days=0", 422),
        ("prices/historical/{}?date_format=julian", 422),
        ("prices/benchmark/SPY?lookback_days=2001", 422),
        ("prices/quotes", 422),
        ("prices/quotes?symbols=,", 400),
        ("prices/quotes?symbols=" + ",".join(f"S{n}" for n in range(201)), 400),
        ("factors/etf-prices?factors=luck", 400),
        ("company-profiles", 400),
        ("company-profiles?symbols=SPY&portfolio_id={}", 400),
        ("company-profiles?symbols=SPY&fields=ceo", 400),
        ("positions/details", 400),
        ("positions/details?position_ids=", 400),
        ("positions/top/{}?limit=51", 422),
        ("positions/top/{}?as_of_date=2024-06-27", 400),
        ("portfolio/{}/complete?as_of_date=2024-06-27", 400),
    ],
)
def test_wrong_questions(ann, portfolio_id, path, status):
    answer = ann.get(f"/data/{path.format(portfolio_id)}")
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_another_owners_data_are_nowhere(ann, bob, portfolio_id):
    position_id = get(ann, "positions/details", portfolio_id=portfolio_id)["positions"][0]["id"]
    assert portfolio_id not in [each["id"] for each in get(bob, "portfolios")]
    for path, theirs in (
        ("portfolio/{}/complete", portfolio_id),
        ("portfolio/{}/snapshot", portfolio_id),
        ("portfolio/{}/data-quality", portfolio_id),
        ("positions/details?portfolio_id={}", portfolio_id),
        ("positions/details?position_ids={}", position_id),
        ("positions/top/{}", portfolio_id),
        ("prices/historical/{}", portfolio_id),
        ("company-profiles?portfolio_id={}", portfolio_id),
        ("company-profiles?position_ids={}", position_id),
    ):
        foreign, missing = (bob.get(f"/data/{path.format(each)}") for each in (theirs, NOBODY))
        assert foreign.status_code == missing.status_code == 404, path
        assert foreign.text.replace(theirs, NOBODY) == missing.text


def test_sector_tags_are_restored(ann, bob, portfolio_id):
    path = "/data/positions/restore-sector-tags"
    answer = ann.post(path, params={"portfolio_id": portfolio_id})
    assert answer.status_code == 200, answer.text
    held = get(ann, "positions/details", portfolio_id=portfolio_id)["positions"]
    tagged = [each for each in held if each["tags"]]
    assert len(tagged) == answer.json()["positions_tagged"] > 0
    assert all(each["tags"] == [each["sector"]] for each in tagged)
    complete = ann.get(f"/data/portfolio/{portfolio_id}/complete").json()["holdings"]
    assert {each["id"]: each["tags"] for each in complete} == {each["id"]: each["tags"] for each in held}
    again = ann.post(path, params={"portfolio_id": portfolio_id}).json()
    assert (again["positions_tagged"], again["positions_total"]) == (0, answer.json()["positions_total"])
    assert bob.post(path, params={"portfolio_id": portfolio_id}).status_code == 404
