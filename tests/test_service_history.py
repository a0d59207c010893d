"""Performance, stored exposures, replayed windows and what-if over HTTP, against plain NumPy on the store."""

from datetime import date
from decimal import Decimal
from shutil import copytree

import httpx
import numpy as np
import polars as pl
import pytest
from service_process import serving

from service.accounts import newest_sessions
from service.cli.app import run
from service.csv_import.parsing import parse_positions
from storage.portfolios import Portfolio
from storage.store import open_store

START, LAST = date(2024, 6, 14), date(2024, 6, 28)
LOTS = (
    b"Symbol,Quantity,Entry Price Per Share,Entry Date\n"
    b"SPY,100,100.00,2024-01-05\nBERAQ,-50,60.00,2024-02-05\nCASH_USD,1000,1.00,2024-01-05\n"
)


@pytest.fixture(scope="module")
def path(sample_store, tmp_path_factory):
    path = tmp_path_factory.mktemp("history") / "store"
    copytree(sample_store, path)
    assert run(["backfill", "--from", str(START), "--to", str(LAST), "--store", str(path)]) == 0
    return path


def enter(path, name):
    with open_store(path) as store:
        draft = Portfolio(name, name, starting_equity=Decimal(50_000), starting_session=START)
        lots = parse_positions(LOTS, "x.csv", today=date(2026, 1, 1))
        return store.ledger.portfolios.create("local", draft, lots).portfolio_id


@pytest.fixture(scope="module")
def portfolio_id(path):
    return enter(path, "Main")


@pytest.fixture(scope="module")
def client(path, portfolio_id):
    with serving(path) as url, httpx.Client(base_url=f"{url}/api/v1", timeout=60) as client:
        empty = client.get(f"/analytics/portfolio/{portfolio_id}/performance").json()
        assert (empty["available"], empty["metadata"]["reason"]) == (False, "fewer_than_two_returns")
        assert client.post(f"/portfolios/{portfolio_id}/calculate").status_code == 200
        yield client


@pytest.fixture(scope="module")
def get(client, portfolio_id):
    def answer(tail, **query):
        found = client.get(f"/analytics/portfolio/{portfolio_id}/{tail}", params=query)
        assert found.status_code == 200, found.text
        return found.json()

    return answer


def returns_of(path, symbol, first, last):
    with open_store(path) as store:
        rows = store.read("prices", symbols=[symbol], sessions=(date(2024, 1, 1), last)).sort("session")
    prices = rows["adj_close"].to_numpy()
    changes = prices[1:] / prices[:-1] - 1
    return changes[(rows["session"] >= first).to_numpy()[1:]]


def test_performance_of_the_snapshots(get, path, portfolio_id):
    body = get("performance")
    with open_store(path) as store:
        rows = store.read("portfolio_snapshots", portfolios=[portfolio_id]).sort("session")
    nav = rows["nav"].to_numpy()
    found = body["data"]["statistics"]
    assert body["data"]["nav"] == nav.tolist()
    assert np.isclose(found["cumulative_return"], nav[-1] / nav[0] - 1)
    changes = nav[1:] / nav[:-1] - 1
    assert np.isclose(found["volatility"], changes.std(ddof=1) * np.sqrt(252))
    assert found["n_obs"] == body["n_obs"] == len(changes) == 9
    assert body["data"]["relative"]["beta"] is None  # nine returns do not make a beta


def test_performance_of_todays_weights(get):
    body = get("performance", basis="todays_weights")
    assert body["data"]["statistics"]["n_obs"] > 100
    assert body["data"]["relative"]["benchmark"] == "SPY"
    assert np.isfinite(body["data"]["relative"]["beta"])
    assert body["data"]["nav"] is None


def test_stored_exposures(get):
    now = {each["name"]: each["beta"] for each in get("factor-exposures")["factors"]}
    body = get("exposure-history")
    history = body["history"]
    assert (len(history), body["n_obs"]) == (10 * 13, 10)
    last = {point["factor"]: point["beta"] for point in history if point["session"] == str(LAST)}
    assert last == pytest.approx(now, nan_ok=True)
    few = get("exposure-history", start="2024-06-27", end="2024-06-27")["history"]
    assert {point["session"] for point in few} == {"2024-06-27"}


def test_a_replayed_window(get, path):
    body = get("replay", start="2024-03-01", end="2024-03-28")
    data = body["data"]
    first, last = date(2024, 3, 1), date(2024, 3, 28)
    overview = get("overview")
    spy, other = (returns_of(path, symbol, first, last) for symbol in ("SPY", "BERAQ"))
    with open_store(path) as store:
        closes = dict(store.read("prices", sessions=(LAST, LAST)).select("symbol", "close").iter_rows())
    expected = 100 * closes["SPY"] * (np.prod(1 + spy) - 1)
    assert np.isclose(data["by_symbol"]["SPY"], expected)
    short = -50 * closes["BERAQ"] * (np.prod(1 + other) - 1)
    assert np.isclose(data["total_pnl"], expected + short)
    assert np.isclose(data["percentage_impact"], 100 * data["total_pnl"] / overview["net_asset_value"])
    assert len(data["dates"]) == len(data["pnl"]) == body["n_obs"] == 20
    assert data["modeled_share"] == {}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"start": "2024-03-28", "end": "2024-03-01"}, 400),
        ({"start": "2024-03-30", "end": "2024-03-31"}, 400),
        ({"start": "1990-03-01", "end": "1990-03-30"}, 400),
        ({"start": "x", "end": "2024-03-28"}, 422),
        ({"start": "2024-03-01"}, 422),
        ({"start": "0001-01-01", "end": "9999-12-31"}, 400),
    ],
)
def test_windows_that_cannot_be_replayed(client, portfolio_id, query, status):
    answer = client.get(f"/analytics/portfolio/{portfolio_id}/replay", params=query)
    assert answer.status_code == status, answer.text


def test_what_if_nothing_changes(client, get, portfolio_id):
    body = client.post("/analytics/what-if", json={"portfolio_id": portfolio_id, "trades": []}).json()
    before, after = body["before"], body["after"]
    assert before["factor_exposures"]["factors"] == after["factor_exposures"]["factors"]
    assert before["overview"]["net_asset_value"] == get("overview")["net_asset_value"]


PARTS = {
    "overview": "overview",
    "factor-exposures": "factor_exposures",
    "volatility": "volatility",
    "risk": "risk",
    "concentration": "concentration",
    "sector-exposure": "sector_exposure",
    "stress-test": "stress_test",
}
OF_THE_ACCOUNT = {"portfolio_id", "equity_balance", "last_updated", "pnl"}


@pytest.mark.parametrize("alone", [False, True])
def test_what_if_answers_what_a_stored_portfolio_answers_to_the_last_bit(client, get, portfolio_id, alone):
    trades = [
        {"symbol": "SPY", "quantity": 100, "entry_price": 100},
        {"symbol": "BERAQ", "quantity": -50, "entry_price": 60},
        {"symbol": "CASH_USD", "quantity": 1000, "entry_price": 1, "kind": "cash"},
    ]
    nav = get("overview")["net_asset_value"]
    body = (
        {"trades": trades, "equity_balance": nav} if alone else {"trades": [], "portfolio_id": portfolio_id}
    )
    after = client.post("/analytics/what-if", json=body).json()["after"]
    for tail, name in PARTS.items():
        stored, tried = get(tail), after[name]
        shared = stored.keys() - OF_THE_ACCOUNT
        assert {key: tried[key] for key in shared} == {key: stored[key] for key in shared}, tail
    assert after["overview"]["pnl"]["unrealized_pnl"] == get("overview")["pnl"]["unrealized_pnl"]


def test_what_if_the_short_is_covered_and_a_name_bought(client, get, path, portfolio_id):
    trades = [{"symbol": "beraq", "quantity": 50}, {"symbol": "VARAQ", "quantity": 10}]
    body = client.post("/analytics/what-if", json={"portfolio_id": portfolio_id, "trades": trades}).json()
    weights = body["after"]["concentration"]["data"]["position_weights"]
    assert set(weights) == {"SPY", "VARAQ"}
    assert body["after"]["overview"]["net_asset_value"] == body["before"]["overview"]["net_asset_value"]
    assert body["after"]["overview"]["exposures"]["short_exposure"] == 0
    with open_store(path) as store:
        rows = store.read("symbol_factors", sessions=(LAST, LAST))
        closes = dict(store.read("prices", sessions=(LAST, LAST)).select("symbol", "close").iter_rows())
    betas = dict(rows.filter(pl.col("factor") == "IR Beta").select("symbol", "beta").iter_rows())
    dollar = 100 * closes["SPY"] * betas["SPY"] + 10 * closes["VARAQ"] * betas["VARAQ"]
    found = {each["name"]: each["exposure_dollar"] for each in body["after"]["factor_exposures"]["factors"]}
    assert np.isclose(found["IR Beta"], dollar)
    assert get("concentration")["data"]["total_positions"] == 2  # nothing was written


def test_what_if_without_a_portfolio(client):
    trades = [{"symbol": "SPY", "quantity": 10}, {"symbol": "NOSUCH", "quantity": 1, "entry_price": 5}]
    body = client.post("/analytics/what-if", json={"trades": trades, "equity_balance": 10_000}).json()
    assert body["before"] is None
    assert body["after"]["overview"]["net_asset_value"] == 10_000
    assert body["after"]["overview"]["excluded"] == [{"symbol": "NOSUCH", "reason": "unknown_symbol"}]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"trades": [{"symbol": "A B", "quantity": 1}]},
        {"trades": [{"symbol": "SPY", "quantity": "many"}]},
        {"trades": [{"symbol": "SPY", "quantity": 1e300}]},
        {"trades": [{"symbol": "FUND", "quantity": 1, "kind": "private"}]},
        {"trades": [], "equity_balance": -5},
        {"trades": [], "unknown": 1},
    ],
)
def test_what_if_of_nonsense(client, body):
    assert client.post("/analytics/what-if", json=body).status_code == 422


def test_a_late_sale_of_a_part_remembers_the_snapshot_that_had_it(client, path):
    portfolio_id = enter(path, "Seller")
    spy, other = (
        each["id"]
        for each in client.get("/data/positions/details", params={"portfolio_id": portfolio_id}).json()[
            "positions"
        ][:2]
    )
    sale = {"exit_date": str(START), "exit_price": 100, "close_quantity": 5}
    early = client.put(f"/positions/{other}", json=sale).json()["closed_position_id"]
    assert client.post(f"/portfolios/{portfolio_id}/calculate").status_code == 200
    late = client.put(f"/positions/{spy}", json=sale).json()["closed_position_id"]
    with open_store(path) as store:
        frame = store.ledger.positions.frame([portfolio_id])
    held = dict(frame.select("position_id", "held_session").iter_rows())
    assert {name: held[name] for name in (spy, other, early, late)} == {
        spy: None,
        other: None,
        early: None,
        late: LAST,
    }
    pnl = client.get(f"/analytics/portfolio/{portfolio_id}/overview").json()["pnl"]
    assert pnl["realized_pnl"] == (100 - 60) * -5 + (100 - 100) * 5
    assert pnl["mtd_pnl"] == pnl["ytd_pnl"] == pnl["total_pnl"] != 0
    both = client.get("/analytics/aggregate/overview").json()["aggregate_metrics"]
    other = client.get(f"/analytics/portfolio/{others(client, portfolio_id)}/overview").json()["pnl"]
    assert both["mtd_pnl"] == pytest.approx(pnl["mtd_pnl"] + other["mtd_pnl"])
    assert both["realized_pnl"] == pnl["realized_pnl"] + other["realized_pnl"]


def others(client, portfolio_id):
    """The id of the one other portfolio."""
    [found] = {each["id"] for each in client.get("/portfolios").json()["portfolios"]} - {portfolio_id}
    return found


def test_profit_since_the_month_and_the_year_before():
    days = [date(2016, 11, 30), date(2016, 12, 30), date(2017, 1, 3), date(2017, 10, 31), date(2017, 11, 6)]
    earned = {
        "old": [0.0, 5.0, 7.0, 11.0, 4.0],
        "new": [None, None, None, 0.0, 3.0],
        "first": [None] * 4 + [0.0],
    }
    rows = [
        {"portfolio_id": name, "session": day, "cumulative_pnl": value}
        for name, values in earned.items()
        for day, value in zip(days, values, strict=True)
        if value is not None
    ]
    found = newest_sessions(pl.DataFrame(rows).sample(fraction=1, shuffle=True, seed=3))
    assert {row["portfolio_id"]: (row["month_pnl"], row["year_pnl"]) for row in found.to_dicts()} == {
        "old": (4 - 11, 4 - 5),
        "new": (3, 3),
        "first": (0, 0),
    }
