"""Betas of 117 real symbols, 2013 to 2017, equal statsmodels and scikit-learn."""

from pathlib import Path

import naive
import numpy as np
import oracles
import polars as pl
import pytest
from tolerance import assert_agree

from engine.factors import FACTOR_NAMES, MODELS, PROXIES
from engine.panel import Panel, build_panel
from engine.regression import fit_factors
from engine.risk import fit_risk_model
from engine.stress import SCENARIOS, correlated_proxies, shocked_proxies

FILE = Path(__file__).resolve().parents[2] / "shared" / "data" / "real_prices_2013_2017.parquet"
SESSIONS = ("2014-02-03", "2015-08-24", "2016-06-30", "2017-11-10")
MODEL_OF = [m for m, model in enumerate(MODELS) for _ in model.factors]

pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"the real prices are not here: {FILE}")


@pytest.fixture(scope="module")
def panel() -> Panel:
    prices = pl.read_parquet(FILE).with_columns(
        session="date", close=pl.col("close").cast(pl.Float64), volume=pl.col("volume").cast(pl.Float64)
    )
    sessions = prices["session"].unique().sort().to_numpy().astype("datetime64[D]")
    return build_panel(prices.with_columns(adj_close="close"), sessions)


def oracle_answers(panel: Panel, row: int, at: int) -> dict[str, tuple]:
    """Factor name -> (beta, se, r2, n) from the libraries; nothing where there are too few rows."""
    returns = {symbol: panel.returns[i, : at + 1] for i, symbol in enumerate(panel.symbols)}
    y = panel.returns[row, : at + 1]
    answers = {}
    for name, (long, short, size, minimum) in naive.ONE_FACTOR.items():
        x = returns[long] - returns[short] if short else returns[long]
        if np.sum(~np.isnan(y[-size:] + x[-size:])) >= minimum:
            fit = oracles.ols(y[-size:], x[-size:])
            answers[name] = (fit["beta"], fit["se"], fit["r2"], fit["n"])
    X = np.array([returns[proxy][-90:] for proxy in naive.STYLES.values()])
    if np.sum(~np.isnan(y[-90:] + X.sum(axis=0))) >= 30:
        fit = oracles.ridge(y[-90:], X, 1.0)
        for j, name in enumerate(naive.STYLES):
            answers[name] = (fit["beta"][j], fit["se"][j], fit["r2"], fit["n"])
    return answers


def test_the_file_is_whole(panel):
    assert len(panel.symbols) == 117
    assert len(panel.sessions) == 1086


@pytest.mark.parametrize("session", SESSIONS)
def test_twelve_betas_of_every_symbol(panel, session):
    at = panel.column(np.datetime64(session))
    fit = fit_factors(panel, first=at, last=at)
    compared = 0
    for row, symbol in enumerate(panel.symbols):
        answers = oracle_answers(panel, row, at)
        for j, name in enumerate(FACTOR_NAMES):
            m = MODEL_OF[j]
            found = (fit.beta_raw[row, 0, j], fit.standard_error[row, 0, j], fit.r_squared[row, 0, m])
            expected = answers.get(name, (np.nan,) * 4)
            assert_agree(found, expected[:3], what=f"{symbol} {name}")
            if name in answers:
                assert fit.n_obs[row, 0, m] == expected[3]
                compared += 1
    assert compared > 115 * 12


def test_risk_loadings_of_every_symbol(panel):
    at = panel.column(np.datetime64("2017-11-10"))
    model = fit_risk_model(panel, [None] * len(panel.symbols), at=at)
    window = slice(at - 251, at + 1)
    proxies = np.array([panel.returns[panel.row(proxy), window] for proxy in naive.PROXIES])
    X = np.vstack([proxies[:2], proxies[2:] - proxies[0]])
    fits = [oracles.ridge(row[window], X, 0.01, per_row=True) for row in panel.returns]
    assert_agree(model.loadings, [fit["beta"] for fit in fits])
    specific = np.array([fit["variance"] for fit in fits])
    floored = np.maximum(specific, np.percentile(specific, 5))
    assert_agree(model.specific_variance / floored, np.ones(len(fits)))
    assert_agree(model.proxy_covariance, oracles.ewma_covariance(proxies), 1e-12, floor=1e-4)


def test_market_betas_that_are_known(panel):
    at = panel.column(np.datetime64("2016-06-30"))
    betas = fit_factors(panel, first=at, last=at).beta_raw[:, 0, 0]
    known = {"TLT": -0.5809, "XOM": 0.7358, "IWM": 1.2816}
    for symbol, beta in known.items():
        assert abs(betas[panel.row(symbol)] - beta) < 5e-5, symbol


def test_the_market_on_itself(panel):
    fit = fit_factors(panel, first=100, last=len(panel.sessions) - 1)
    row = panel.row("SPY")
    assert_agree(fit.beta_raw[row, :, 0], np.ones(fit.beta_raw.shape[1]), 1e-12)
    assert_agree(fit.r_squared[row, :, 0], np.ones(fit.beta_raw.shape[1]), 1e-12)


def test_the_whole_history_equals_its_one_date_answers(panel):
    rolling = fit_factors(panel, first=0, last=1085)
    for at in range(0, 1086, 5):
        once = fit_factors(panel, first=at, last=at)
        for name in ("beta_raw", "standard_error", "r_squared"):
            assert_agree(getattr(rolling, name)[:, at], getattr(once, name)[:, 0], 1e-10, what=f"{name} {at}")


@pytest.mark.parametrize(
    ("session", "scenario", "factor", "expected"),
    [
        ("2015-08-24", "dotcom_crash_2000", "Rates", 0.15),
        ("2017-11-10", "dotcom_crash_2000", "Rates", 0.18),
        ("2017-11-10", "market_crash_35", "Growth", -0.38),
    ],
)
def test_correlated_scenarios_move_the_unshocked_proxies(panel, session, scenario, factor, expected):
    model = fit_risk_model(panel, [None] * len(panel.symbols), at=panel.column(np.datetime64(session)))
    shocks = next(each.shocks for each in SCENARIOS if each.id == scenario)
    proxies = correlated_proxies(shocked_proxies(shocks), model.proxy_covariance)
    assert abs(proxies[list(PROXIES).index(factor)] - expected) < 0.01
