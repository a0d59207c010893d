"""Options from a file to the answers: the same numbers on the command line, over HTTP and in the store."""

import json
from datetime import date
from decimal import Decimal
from shutil import copytree

import httpx
import numpy as np
import polars as pl
import pytest
from service_process import serving, upload

from service.cli.app import run
from service.cli.progress import TerminalProgress
from service.csv_import.parsing import parse_positions
from service.jobs.portfolio_refresh import refresh_portfolios
from service.jobs.snapshot_inputs import option_terms, read_holdings
from service.lots import positions_of
from service.settings import Settings
from storage.portfolios import Portfolio
from storage.store import open_store

CSV = """Symbol,Quantity,Entry Price Per Share,Entry Date
SPY,300,90.00,2024-01-05
SPY241220P00100000,2,4.00,2024-01-05
BERAQ,-50,60.00,2024-02-05
SPY241220C00120000,-3,3.00,2024-01-05
NOSUCH241220C00120000,1,3.00,2024-01-05
"""


@pytest.fixture(scope="module")
def lots():
    return parse_positions(CSV.encode(), "x.csv", today=date(2026, 1, 1))


def described(store, path, capsys, monkeypatch, **settings):
    for name, value in settings.items():
        monkeypatch.setenv(f"RIDGELINE_{name.upper()}", value)
    capsys.readouterr()
    arguments = ["--equity", "500000", "--json", "--store", str(store)]
    assert run(["portfolio", "analyze", str(path), *arguments]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "x.csv").write_text(CSV)
    return tmp_path / "x.csv"


def test_terms_of_lots(lots):
    terms = positions_of(lots).options
    assert terms.underlying == ("", "SPY", "", "SPY", "NOSUCH")
    assert np.array_equal(terms.strike, [np.nan, 100, np.nan, 120, 120], equal_nan=True)
    assert terms.expiration[[1, 3]].tolist() == [date(2024, 12, 20)] * 2
    assert np.isnat(terms.expiration[[0, 2]]).all()
    assert terms.is_call.tolist() == [False, False, False, True, True]
    assert positions_of([lots[0], lots[2]]).options is None


def test_the_command_line_prices_them_at_the_rate_that_is_set(store, path, capsys, monkeypatch):
    answer = described(store, path, capsys, monkeypatch)
    kinds = [(lot["kind"], lot["quality"]) for lot in answer["positions"]]
    assert kinds == [
        ("public", "ok"),
        ("option", "degraded"),
        ("public", "ok"),
        ("option", "degraded"),
        ("option", "unavailable"),
    ]
    assert {"model_price", "model_vol"} <= set(answer["positions"][1]["reasons"])
    assert answer["positions"][4]["reasons"] == ["unknown_symbol", "option_not_priced"]
    assert answer["positions"][4]["greeks"] is None
    assert answer["positions"][1]["greeks"]["delta"] < 0 > answer["positions"][3]["greeks"]["delta"]
    dearer = described(store, path, capsys, monkeypatch, option_rate="0.08")
    assert dearer["positions"][1]["price"] < answer["positions"][1]["price"]


def test_over_http(store, path, capsys, monkeypatch):
    expected = described(store, path, capsys, monkeypatch, option_rate="0.06")
    with (
        serving(store, RIDGELINE_NY_TIME="2024-06-30T12:00") as url,
        httpx.Client(base_url=url) as client,
    ):
        made = upload(client, CSV).json()["portfolio_id"]
        get = f"/api/v1/analytics/portfolio/{made}"
        overview = client.get(f"{get}/overview").json()
        assert overview["total_value"] == pytest.approx(expected["overview"]["total_value"])
        assert {"model_price", "model_vol"} <= set(overview["reasons"])
        assert [each["symbol"] for each in overview["excluded"]] == ["NOSUCH241220C00120000"]
        greeks, mine = overview["greeks"], expected["overview"]["greeks"]
        assert {name: greeks[name] for name in mine} == pytest.approx(mine)
        assert (greeks["n_options"], greeks["n_priced"], greeks["reason"]) == (3, 2, "partial_coverage")
        stress = client.get(f"{get}/stress-test").json()["data"]["scenarios"]
        impacts = {each["id"]: each["impact"]["dollar_impact"] for each in stress}
        for scenario in expected["stress_test"]["scenarios"]:
            assert impacts[scenario["id"]] == pytest.approx(scenario["impact"]["dollar_impact"])
        trades = [{"symbol": "TLT", "quantity": 1}, {"symbol": "TLT", "quantity": -1}]
        whole = client.get("/api/v1/analytics/aggregate/overview").json()["aggregate_metrics"]
        assert {name: whole[name] for name in mine} == pytest.approx(mine)
        body = {"portfolio_id": made, "trades": trades}
        same = client.post("/api/v1/analytics/what-if", json=body).json()
        assert same["after"]["stress_test"]["data"] == same["before"]["stress_test"]["data"]
        assert same["before"]["overview"]["total_value"] == pytest.approx(overview["total_value"])
        alone = client.post("/api/v1/analytics/what-if", json={"trades": trades[:1]}).json()
        none = alone["after"]["overview"]["greeks"]
        assert {none[name] for name in mine} == {None}
        assert (none["n_options"], none["reason"]) == (0, "no_options")


def test_in_the_refresh(sample_store, lots, tmp_path):
    copytree(sample_store, tmp_path / "store")
    with open_store(tmp_path / "store") as store, TerminalProgress() as progress:
        session = date(2024, 6, 28)
        drafts = {"all": lots, "stock": [lots[0], lots[2]]}
        ids = {
            name: store.ledger.portfolios.create(
                "ann", Portfolio(name, name, starting_equity=Decimal(500_000), starting_session=session), some
            ).portfolio_id
            for name, some in drafts.items()
        }
        held = read_holdings(
            store.ledger, [store.ledger.portfolios.get("ann", each) for each in ids.values()]
        )
        by_symbol = dict(zip(held.lots["symbol"], option_terms(held).underlying, strict=True))
        assert by_symbol["SPY241220P00100000"] == "SPY"
        assert by_symbol["SPY"] == ""
        assert refresh_portfolios(store, Settings(), progress).status == "completed"
        exposures = store.read("portfolio_exposures").filter(pl.col("factor") == "Market Beta (90D)")
        beta = {row["portfolio_id"]: row["beta"] for row in exposures.iter_rows(named=True)}
        assert 0 < beta[ids["all"]] < beta[ids["stock"]]  # a put and a written call against the shares
