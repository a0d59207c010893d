"""From real prices to a portfolio's numbers: ingest, batch, backfill of all sessions, analysis."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tolerance import assert_agree

from service.cli.app import EXIT_PARTIAL, run
from storage.store import open_store

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PRICES, PROFILES = DATA / "real_prices_2013_2017.parquet", DATA / "real_profiles.csv"
pytestmark = pytest.mark.skipif(not PRICES.exists(), reason=f"the real prices are not here: {PRICES}")
KNOWN = {"TLT": -0.5809, "XOM": 0.7358, "IWM": 1.2816, "SPY": 1.0}
LAST = date(2017, 11, 10)
PORTFOLIO = """Symbol,Quantity,Entry Price Per Share,Entry Date
XOM,100,80.00,2015-01-05
AAPL,-50,95.00,2015-02-03
JNJ,80,100.00,2015-03-10
TLT,40,120.00,2015-04-01
CASH_USD,10000,1.00,2015-01-02
NOSUCH,10,10.00,2015-01-02
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Every real session: the newest by the batch, the rest by backfill (QUAL lacks a price)."""
    path = tmp_path_factory.mktemp("real") / "store"
    for arguments, code in (
        (["ingest", str(PRICES)], 0),
        (["ingest-profiles", str(PROFILES), "--as-of", "2013-07-24"], 0),
        (["batch", "run"], 0),
        (["backfill", "--from", "2013-07-24", "--to", str(LAST)], EXIT_PARTIAL),
    ):
        assert run([*arguments, "--store", str(path)]) == code
    return path


@pytest.fixture(scope="module")
def portfolio(tmp_path_factory):
    path = tmp_path_factory.mktemp("portfolio") / "portfolio.csv"
    path.write_text(PORTFOLIO)
    return path


def analyze(store, portfolio, capsys, *arguments):
    capsys.readouterr()
    assert run(["portfolio", "analyze", str(portfolio), "--json", "--store", str(store), *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_known_market_betas(store):
    with open_store(store) as opened:
        rows = opened.sql(
            "select symbol, beta, r2, n_obs from factors_asof(DATE '2016-06-30') "
            "where factor = 'Market Beta (90D)'"
        )
        count = opened.sql("select count(*) as n from symbol_factors")["n"][0]
    betas = dict(rows.select("symbol", "beta").iter_rows())
    assert {symbol: round(betas[symbol], 4) for symbol in KNOWN} == KNOWN
    assert rows.filter(pl.col("symbol") == "SPY").row(0)[1:] == pytest.approx((1.0, 1.0, 90))
    assert count > 1_500_000


def test_every_session_is_computed_for_every_symbol(store):
    with open_store(store) as opened:
        metrics = opened.read("symbol_metrics", columns=["symbol", "session"])
        sessions = opened.read("prices", columns=["session"], symbols=["SPY"])
    assert metrics["session"].n_unique() == sessions.height == 1086
    assert metrics.filter(pl.col("session") == LAST).height == 117


def test_a_second_run_finds_nothing_to_do(store, capsys):
    with open_store(store) as opened:
        before = opened.release().number
    for arguments in (["batch", "run"], ["ingest", str(PRICES)]):
        assert run([*arguments, "--store", str(store)]) == 0
    with open_store(store) as opened:
        assert opened.release().number == before


def test_a_backfilled_session_equals_a_run_of_that_day(store, tmp_path):
    """Prices up to the day and nothing later: the same numbers, so nothing later was read."""
    day = date(2016, 6, 30)
    cut = tmp_path / "prices.parquet"
    pl.read_parquet(PRICES).filter(pl.col("date") <= day).write_parquet(cut)
    alone = tmp_path / "store"
    assert run(["ingest", str(cut), "--store", str(alone)]) == 0
    assert run(["ingest-profiles", str(PROFILES), "--as-of", "2013-07-24", "--store", str(alone)]) == 0
    assert run(["batch", "run", "--store", str(alone)]) == 0
    with open_store(store) as whole, open_store(alone) as single:
        for table in ("symbol_factors", "risk_loadings", "factor_covariance", "symbol_metrics"):
            keys = [
                c for c in ("symbol", "factor", "factor_1", "factor_2") if c in single.read(table).columns
            ]
            one, other = (s.read(table, sessions=(day, day)).sort(keys) for s in (whole, single))
            assert one.height == other.height > 0
            for column in one.columns:
                if one[column].dtype == pl.Float64:
                    assert_agree(one[column].to_numpy(), other[column].to_numpy(), 1e-10, what=column)
                else:
                    assert one[column].to_list() == other[column].to_list(), (table, column)


@pytest.mark.parametrize("asof", ["2016-06-30", "2017-11-10"])
def test_a_portfolio_of_real_symbols(store, portfolio, capsys, asof):
    answer = analyze(store, portfolio, capsys, "--asof", asof, "--equity", "50000")
    assert answer["as_of"] == asof
    assert answer["excluded"] == [{"symbol": "NOSUCH", "reason": "unknown_symbol"}]
    betas = {row["name"]: row for row in answer["factor_exposures"]}
    assert 0.9 < betas["Market Beta (90D)"]["coverage"] < 1.0
    assert answer["volatility"]["expected_volatility_21d"] > 0.02
    assert len(answer["stress_test"]["scenarios"]) == 22
    weights = answer["sector_exposure"]["portfolio_weights"]
    assert sum(weights.values()) == pytest.approx(1.0)
    assert {"Energy", "Health Care", "ETFs", "Cash"} <= set(weights)
    matrix = answer["correlation_matrix"]["matrix"]
    assert matrix["XOM"]["JNJ"] == matrix["JNJ"]["XOM"]


def test_an_old_release_still_answers(store, portfolio, capsys):
    with open_store(store) as opened:
        numbers = [release.number for release in opened.releases() if release.session is not None]
    oldest = analyze(store, portfolio, capsys, "--release", str(min(numbers)))
    newest = analyze(store, portfolio, capsys)
    assert oldest.pop("release") < newest.pop("release")
    assert oldest == newest


def test_compaction_changes_no_answer(store, portfolio, capsys):
    before = analyze(store, portfolio, capsys, "--asof", "2016-06-30")
    assert run(["compact", "--store", str(store)]) == 0
    after = analyze(store, portfolio, capsys, "--asof", "2016-06-30")
    assert before.pop("release") <= after.pop("release")
    assert np.array_equal(before["coverage"], after["coverage"])
    assert before == after
