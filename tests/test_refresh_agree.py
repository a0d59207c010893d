"""What a refresh stores of many portfolios is what composing each one alone says."""

from datetime import date
from decimal import Decimal
from shutil import copytree

import numpy as np
import polars as pl
import pytest
from refreshing import LAST, LOTS, START, enter, refresh
from tolerance import assert_agree

from engine.diversification import LARGEST, LOOKBACK, MIN_OVERLAP
from service.accounts import Accounts, newest_accounts
from service.composed import Compositions
from service.ingest import ingest_table
from service.live_book import market_at
from storage.store import open_store

SPLIT = date(2024, 6, 20)
LONG_AND_SHORT = """Symbol,Quantity,Entry Price Per Share,Entry Date
SPY,100,400,2024-01-05
TLT,-300,90,2024-01-05
PARAQ,250,40,2024-01-05
ZERAQ,-120,30,2024-02-05
GERAQ,75,20,2024-02-05
BARAQ,60,20,2024-02-09
BERAQ,33,20,2024-02-09
"""
OPTIONS = """Symbol,Quantity,Entry Price Per Share,Entry Date,Investment Class,Underlying Symbol,Strike Price,Expiration Date,Option Type
PERAQ,100,40,2024-01-05,PUBLIC,,,,
PERAQ241220C00050000,3,4,2024-01-05,OPTIONS,PERAQ,50,2024-12-20,CALL
PERAQ240621P00050000,-2,4,2024-01-05,OPTIONS,PERAQ,50,2024-06-21,PUT
NOSUCH241220C00050000,1,4,2024-01-05,OPTIONS,NOSUCH,50,2024-12-20,CALL
"""  # noqa: E501 - as exported
BOOKS = {
    "mixed": (50_000, LOTS),
    "long and short": (250_000, LONG_AND_SHORT),
    "ruined": (-80_000, LONG_AND_SHORT),
    "options": (100_000, OPTIONS),
    "cash alone": (9_000, "Symbol,Quantity,Entry Price Per Share,Entry Date\nCASH_USD,5000,1,2024-01-05\n"),
    "unknown alone": (9_000, "Symbol,Quantity,Entry Price Per Share,Entry Date\nNOSUCH,5,1,2024-01-05\n"),
    "proxies": (
        10_000,
        "Symbol,Quantity,Entry Price Per Share,Entry Date\n"
        + "".join(
            f"{each},{at + 5},50,2024-01-05\n" for at, each in enumerate(("SPY", "QUAL", "IWM", "USMV"))
        ),
    ),
}


@pytest.fixture(scope="module")
def refreshed(ten_sessions, tmp_path_factory):
    """A store after a refresh of every book, the id of each, and each one composed alone."""
    path = tmp_path_factory.mktemp("agree") / "store"
    copytree(ten_sessions, path)
    with open_store(path) as store:
        split = pl.DataFrame(
            {
                "symbol": ["PARAQ"],
                "session": [SPLIT],
                "kind": ["split"],
                "value": [2.0],
                "new_symbol": [None],
            },
            schema_overrides={"new_symbol": pl.String},
        )
        ingest_table(
            store, "corporate_actions", split.with_columns(source=pl.lit("test")), ["symbol", "session"]
        )
        ids = {name: enter(store, name, equity, csv=csv) for name, (equity, csv) in BOOKS.items()}
        outcome = refresh(store)
        assert (outcome.status, outcome.snapshots) == ("completed", 10 * len(BOOKS))
        accounts = newest_accounts(store, Accounts())
        market = market_at(store, store.release(), LAST, option_rate=0.04)
        compositions = Compositions(store.ledger)
        alone = {
            name: compositions.of(store.ledger.portfolios.get("ann", portfolio_id), market, accounts)
            for name, portfolio_id in ids.items()
        }
        yield store, ids, alone


def stored(refreshed, table, name):
    store, ids, _ = refreshed
    return store.read(table, sessions=(LAST, LAST), portfolios=[ids[name]])


def numbers(column):
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()


@pytest.mark.parametrize("name", BOOKS)
def test_a_snapshot(refreshed, name):
    [row] = stored(refreshed, "portfolio_snapshots", name).iter_rows(named=True)
    one = refreshed[2][name]
    volatility, beta = one.volatility, dict(zip(one.exposures.names, one.exposures.beta, strict=True))
    expected = {
        "nav": one.valuation.nav,
        "long": one.valuation.long,
        "short": one.valuation.short,
        "coverage": one.valuation.coverage,
        "realized_vol_21d": volatility.realized_21d,
        "realized_vol_63d": volatility.realized_63d,
        "expected_vol_21d": volatility.forecast.volatility[0],
        "vol_percentile": volatility.percentile,
        "market_beta": beta["Market Beta (90D)"],
        "rate_beta": beta["IR Beta"],
        "provider_beta": beta["Provider Beta (1Y)"],
        "hhi": one.concentration.hhi,
    }
    for column, value in expected.items():
        assert_agree(np.nan if row[column] is None else row[column], value, 1e-10, floor=1e-3, what=column)
    assert row["vol_trend"] == volatility.trend


@pytest.mark.parametrize("name", BOOKS)
def test_exposures_and_stress(refreshed, name):
    one = refreshed[2][name]
    rows = {
        row["factor"]: row for row in stored(refreshed, "portfolio_exposures", name).iter_rows(named=True)
    }
    assert rows.keys() == set(one.exposures.names)
    found = [[rows[each][key] for each in one.exposures.names] for key in ("beta", "exposure_dollar", "se")]
    expected = [one.exposures.beta, one.exposures.exposure_dollar, one.exposures.standard_error]
    assert_agree(np.array(found, dtype=float), np.array(expected), 1e-10)
    rows = {
        row["scenario_id"]: row for row in stored(refreshed, "stress_results", name).iter_rows(named=True)
    }
    ids = [scenario.id for scenario in one.stress.scenarios]
    assert rows.keys() == set(ids)
    found = [[rows[each][key] for each in ids] for key in ("direct_pnl", "correlated_pnl", "pct_nav")]
    share = one.stress.correlated / one.valuation.weight_base
    assert_agree(
        np.array(found, dtype=float), np.array([one.stress.direct, one.stress.correlated, share]), 1e-10
    )


@pytest.mark.parametrize("name", BOOKS)
def test_correlations(refreshed, name):
    one = refreshed[2][name].correlations(LOOKBACK, MIN_OVERLAP, LARGEST)
    [row] = stored(refreshed, "diversification", name).iter_rows(named=True)
    known = [
        np.nan if row[key] is None else row[key] for key in ("average_correlation", "diversification_ratio")
    ]
    assert_agree(known, [one.average, one.diversification_ratio], 1e-10)
    assert row["n_symbols"] == len(one.rows)
    symbols = [refreshed[2][name].market.book.symbols[at] for at in one.rows]
    pairs = stored(refreshed, "correlations", name)
    size = np.abs(one.matrix[np.triu_indices(len(symbols), k=1)])
    assert len(pairs) == min(10, int(np.isfinite(size).sum()))
    for one_symbol, other, value, n_obs in pairs.select(
        "symbol_1", "symbol_2", "correlation", "n_obs"
    ).iter_rows():
        at = symbols.index(one_symbol), symbols.index(other)
        assert_agree(value, one.matrix[at], 1e-10)
        assert n_obs == one.n_obs[at]


def test_the_books_are_what_they_are_said_to_be(refreshed):
    split = stored(refreshed, "position_values", "long and short").filter(pl.col("symbol") == "PARAQ")
    assert split["quantity"].to_list() == [500.0]
    assert stored(refreshed, "portfolio_snapshots", "ruined")["market_beta"].to_list() == [None]
    assert stored(refreshed, "stress_results", "ruined")["direct_pnl"].null_count() == 0
    options = stored(refreshed, "position_values", "options")
    assert sorted(options["symbol"]) == ["NOSUCH241220C00050000", "PERAQ", "PERAQ241220C00050000"]
    assert START < SPLIT < LAST
    assert Decimal(str(stored(refreshed, "portfolio_snapshots", "cash alone")["nav"].item())) == 9_000
