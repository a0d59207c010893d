"""Several portfolios as one: against one portfolio that holds everything, and sums; and whose they are."""

import math

import pytest
from owners import NOBODY, enter

HEADER = "Symbol,Quantity,Entry Price Per Share,Entry Date\n"
FIRST = "SPY,300,100.00,2024-01-05\nBERAQ,1200,30.00,2024-01-05\nTLT,-50,90.00,2024-01-05\n"
SECOND = "SPY,100,101.00,2024-02-05\nGERAQ,-400,120.00,2024-01-16\nCASH_USD,20000,1.00,2024-01-05\n"
TAILS = (
    "overview",
    "breakdown",
    "beta",
    "volatility",
    "factor-exposures",
    "sector-exposure",
    "concentration",
    "correlation-matrix",
    "stress-test",
)


@pytest.fixture(scope="module")
def ids(served):
    return [
        enter(served, "ann", HEADER + FIRST, account_name="First", equity_balance="100000"),
        enter(served, "ann", HEADER + SECOND, account_name="Second", equity_balance="50000"),
    ]


@pytest.fixture(scope="module")
def whole(served):
    """One portfolio that holds what both hold."""
    return enter(served, "ann", HEADER + FIRST + SECOND, account_name="Whole", equity_balance="150000")


@pytest.fixture
def get(ann, ids):
    def answer(tail, **query):
        found = ann.get(f"/analytics/aggregate/{tail}", params={"portfolio_ids": ids, **query})
        assert found.status_code == 200, found.text
        return found.json()

    return answer


@pytest.fixture
def one(ann, whole):
    def answer(tail, portfolio_id=whole):
        return ann.get(f"/analytics/portfolio/{portfolio_id}/{tail}").json()

    return answer


@pytest.mark.parametrize("tail", TAILS)
def test_what_every_aggregate_has(get, ids, tail):
    body = get(tail)
    assert (body["available"], body["as_of"], body["portfolio_id"]) == (True, "2024-06-28", None)
    assert (body["net_asset_value"], body["portfolio_count"]) == (150_000, 2)
    assert [(part["id"], part["value"]) for part in body["portfolios"]] == [
        (ids[0], 100_000),
        (ids[1], 50_000),
    ]
    assert [part["weight"] for part in body["portfolios"]] == [
        pytest.approx(2 / 3, rel=1e-12),
        pytest.approx(1 / 3, rel=1e-12),
    ]
    assert body["calculation_method"] == "combined_positions"
    assert body["formula"]


@pytest.mark.parametrize(
    "tail", ["volatility", "sector-exposure", "concentration", "correlation-matrix", "stress-test"]
)
def test_data_are_those_of_one_portfolio_with_everything(get, one, tail):
    _assert_close(get(tail)["data"], one(tail)["data"])


def test_overview_is_the_sum(get, one, ids):
    body, parts = get("overview"), [one("overview", each) for each in ids]
    assert body["total_value"] == pytest.approx(sum(part["total_value"] for part in parts), rel=1e-12)
    metrics = body["aggregate_metrics"]
    for name in ("long_exposure", "short_exposure", "gross_exposure", "net_exposure"):
        expected = sum(part["exposures"][name] for part in parts)
        assert metrics[name] == pytest.approx(expected, rel=1e-12)
        percentage = name.replace("exposure", "percentage")
        assert metrics[percentage] == pytest.approx(100 * expected / 150_000, rel=1e-12)
    assert metrics["unrealized_pnl"] == pytest.approx(
        sum(part["pnl"]["unrealized_pnl"] for part in parts), rel=1e-12
    )
    assert metrics["total_positions"] == 6


def test_betas_weigh_by_nav(get, one, ids):
    parts = [
        {each["name"]: each for each in one("factor-exposures", portfolio_id)["factors"]}
        for portfolio_id in ids
    ]
    for factor in get("factor-exposures")["factors"]:
        if factor["beta"] is None:
            continue
        dollars = [part[factor["name"]]["exposure_dollar"] or 0 for part in parts]
        assert factor["exposure_dollar"] == pytest.approx(sum(dollars), rel=1e-9)
        assert factor["beta"] == pytest.approx(sum(dollars) / 150_000, rel=1e-9)
    market = [part["Market Beta (90D)"]["beta"] for part in parts]
    expected = (100_000 * market[0] + 50_000 * market[1]) / 150_000
    body = get("beta")
    assert body["aggregate_beta"] == pytest.approx(expected, rel=1e-9)
    assert body["n_obs"] >= 30


def test_volatility_is_not_the_mean(get, one, ids):
    whole = get("volatility")["aggregate_volatility"]
    parts = [one("volatility", each)["data"]["realized_volatility_21d"] for each in ids]
    mean = (2 * parts[0] + parts[1]) / 3
    assert 0 < whole < mean


def test_breakdown_adds_up(get):
    body = get("breakdown")
    assert sum(part["weight_pct"] for part in body["portfolios"]) == pytest.approx(100, rel=1e-12)
    assert sum(part["contribution_dollars"] for part in body["portfolios"]) == body["net_asset_value"]
    assert body["summary"]["total_weight"] == pytest.approx(1, rel=1e-12)
    assert body["summary"]["average_value"] == 75_000


def test_choices_and_wrong_questions(ann, get, ids):
    chosen = get("stress-test", scenarios="market_up_5")["data"]["scenarios"]
    assert [each["id"] for each in chosen] == ["market_up_5"]
    assert len(get("correlation-matrix", max_symbols=2)["data"]["matrix"]) == 2
    for tail, status in (
        ("stress-test?scenarios=nosuch", 422),
        ("correlation-matrix?max_symbols=51", 422),
        ("correlation-matrix?lookback_days=60&min_overlap=61", 400),
        (f"beta?portfolio_ids={ids[0]}&portfolio_ids={NOBODY}", 404),
    ):
        assert ann.get(f"/analytics/aggregate/{tail}").status_code == status
    twice = ann.get("/analytics/aggregate/overview", params={"portfolio_ids": [ids[0], ids[0]]}).json()
    assert (twice["portfolio_count"], twice["net_asset_value"]) == (1, 100_000)


def test_all_active_ones_when_none_is_named(ann):
    draft = {"name": "Idle", "account_name": "Idle", "equity_balance": 9, "is_active": False}
    idle = ann.post("/portfolios", json=draft).json()["id"]
    body = ann.get("/analytics/aggregate/overview").json()
    active = ann.get("/portfolios").json()
    assert [part["id"] for part in body["portfolios"]] == [each["id"] for each in active["portfolios"]]
    assert idle not in [part["id"] for part in body["portfolios"]]
    assert body["net_asset_value"] == active["net_asset_value"]


@pytest.mark.parametrize("tail", TAILS)
def test_another_owners_portfolio_is_in_none(bob, ids, tail):
    nothing = bob.get(f"/analytics/aggregate/{tail}").json()
    assert (nothing["available"], nothing["portfolio_count"]) == (False, 0)
    foreign, missing = (
        bob.get(f"/analytics/aggregate/{tail}?portfolio_ids={each}") for each in (ids[0], NOBODY)
    )
    assert foreign.status_code == missing.status_code == 404
    assert foreign.text.replace(ids[0], NOBODY) == missing.text


def _assert_close(found, expected):
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            _assert_close(found[name], value)
    elif isinstance(expected, list):
        for each, other in zip(found, expected, strict=True):
            _assert_close(each, other)
    elif isinstance(expected, float):
        assert math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
    else:
        assert found == expected
