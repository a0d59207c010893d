"""The two independent answers agree with each other before either judges the engine; imports no engine."""

from pathlib import Path

import naive
import naive_portfolio
import naive_series
import numpy as np
import oracles
import polars as pl
import pytest
from markets import PROXIES, make_market
from tolerance import assert_agree

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "real_prices_2013_2017.parquet"
MARKETS = {
    "full": {"seed": 1},
    "gaps": {"seed": 2, "gaps": 0.02},
    "holes": {"seed": 3, "gaps": 0.2},
    "collinear": {"seed": 4, "collinear": True},
    "fused": {"seed": 5, "fused": True},
}


@pytest.fixture(scope="module", params=MARKETS)
def returns(request) -> dict[str, np.ndarray]:
    market = make_market(n_symbols=4, **MARKETS[request.param])
    return {s: naive.simple_returns(row) for s, row in zip(market.symbols, market.adj_close, strict=True)}


@pytest.fixture(scope="module")
def long_returns() -> list[np.ndarray]:
    market = make_market(6, n_symbols=3, n_sessions=620, gaps=0.003)
    return [naive.simple_returns(row) for row in market.adj_close]


@pytest.mark.parametrize("factor", naive.ONE_FACTOR)
def test_ols_agrees_with_statsmodels(returns, factor):
    long, short, size, minimum = naive.ONE_FACTOR[factor]
    x = returns[long] - returns[short] if short else returns[long]
    for symbol, series in returns.items():
        at = len(series) - 1
        fit = naive.ols(naive.window(series, at, size), naive.window(x, at, size), minimum)
        if fit.reason is None and fit.r2 < 1 - 1e-12:
            oracle = oracles.ols(series[-size:], x[-size:])
            answer = [fit.beta[0], fit.se[0], fit.t[0], fit.r2, fit.n]
            assert_agree(answer, list(oracle.values()), 1e-11, what=f"{symbol} {factor}")


def test_ridge_agrees_with_scikit_learn(returns):
    X = np.array([returns[proxy] for proxy in naive.STYLES.values()])
    for symbol, series in returns.items():
        fit = naive.ridge(series[-90:], X[:, -90:], 1.0, 30)
        if fit.reason is None:
            oracle = oracles.ridge(series[-90:], X[:, -90:], 1.0)
            for name in ("beta", "se", "t", "r2", "n"):
                assert_agree(getattr(fit, name), oracle[name], 1e-10, what=f"{symbol} {name}")


def test_ridge_minimises_its_own_objective(returns):
    X = np.array([returns[proxy] for proxy in naive.STYLES.values()])
    for symbol in ("S000", "S001", "SPARSE"):
        fit = naive.ridge(returns[symbol][-90:], X[:, -90:], 1.0, 30)
        if fit.reason is None:
            assert_agree(fit.beta, oracles.ridge_by_descent(returns[symbol][-90:], X[:, -90:], 1.0), 1e-9)


def test_risk_fit_agrees_with_scikit_learn(returns):
    market, rates, *styles = (returns[proxy] for proxy in PROXIES)
    X = np.array([market, rates, *(style - market for style in styles)])[:, -252:]
    for symbol, series in returns.items():
        fit = naive.risk_fit(returns, symbol, len(series) - 1)
        if fit.reason is None:
            oracle = oracles.ridge(series[-252:], X, 0.01, per_row=True)
            assert_agree(fit.beta, oracle["beta"], 1e-9, what=symbol)
            assert_agree(fit.residual_variance / oracle["variance"], 1.0, 1e-10, what=symbol)


def test_ewma_covariance_agrees_with_scikit_learn(returns):
    proxies = np.array([returns[proxy] for proxy in PROXIES])
    covariance, n_obs = naive.ewma_covariance(proxies)
    assert_agree(covariance, oracles.ewma_covariance(proxies), 1e-12, floor=1e-4)
    assert n_obs == np.sum(~np.isnan(proxies[:, -252:]).any(axis=0))


def test_model_covariance_is_the_covariance_of_the_model_factors(returns):
    proxies = np.array([returns[proxy] for proxy in PROXIES])
    model = proxies - np.where(np.arange(8)[:, None] > 1, proxies[0], 0.0)
    mapped = naive.model_covariance(naive.ewma_covariance(proxies)[0])
    assert_agree(mapped, oracles.ewma_covariance(model), 1e-12, floor=1e-4)


def test_attribution_sums_to_one(returns):
    symbols = ("S000", "S001", "S002", "SPY")
    at = len(returns["SPY"]) - 1
    model = naive.risk_model(returns, dict.fromkeys(returns), at)
    loadings, specific = np.array([model[s][0] for s in symbols]), [model[s][1] for s in symbols]
    F = naive.model_covariance(naive.ewma_covariance(np.array([returns[proxy] for proxy in PROXIES]))[0])
    weights = np.array([0.6, -0.3, 0.5, 0.4])
    variance, factors, positions = naive.attribution(weights, loadings, F, specific)
    idiosyncratic = np.sum(weights**2 * specific) / variance
    assert_agree([sum(factors) + idiosyncratic, sum(positions)], [1.0, 1.0], 1e-12)
    b = loadings.T @ weights
    assert_agree(variance / (b @ F @ b + np.sum(weights**2 * specific)), 1.0, 1e-12)


def test_volatility_agrees_with_pandas(long_returns):
    for series in long_returns:
        for size in (21, 63, 252):
            expected = oracles.rolling_volatility(series, size)
            answers = [
                naive_series.realized_volatility(series, at, size) for at in range(300, len(series), 7)
            ]
            assert_agree(answers, expected[300 : len(series) : 7], 1e-12)


def test_forecast_and_percentile_agree_with_scikit_learn_and_scipy(long_returns):
    forecasts = 0
    for series in long_returns:
        if np.nanstd(series) == 0:
            continue
        for end in (140, 168, 400, 545, 546, 620):
            cut = series[:end]
            assert_agree(naive_series.har_forecast(series, end - 1), oracles.har_forecast(cut), 1e-9)
            percentile = naive_series.volatility_percentile(series, end - 1)
            assert_agree(percentile, oracles.volatility_percentile(cut), 1e-12)
            forecasts += not np.isnan(naive_series.har_forecast(series, end - 1)[0])
    assert forecasts > 20


def test_drawdown_agrees_with_pandas():
    for prices in make_market(7, gaps=0.02).adj_close:
        assert_agree(naive_series.max_drawdown(prices[-252:]), oracles.max_drawdown(prices[-252:]), 1e-12)


def test_correlations_agree_with_pandas():
    market = make_market(8, n_symbols=8, n_sessions=91, gaps=0.2)
    logs = naive_portfolio.log_returns(
        [naive.simple_returns(row) for symbol, row in zip(market.symbols, market.adj_close, strict=True)]
    )
    matrix = naive_portfolio.correlations(logs, 30)
    assert np.isnan(matrix).any()
    assert_agree(matrix, oracles.correlations(logs, 30), 1e-10)


def test_effective_bets_agree_with_scipy():
    market = make_market(9, n_symbols=10, n_sessions=91, quirks=False)
    matrix = np.corrcoef(np.diff(np.log(market.adj_close)))
    assert_agree(naive_portfolio.effective_bets(matrix), oracles.effective_bets(matrix), 1e-10)
    assert_agree(naive_portfolio.effective_bets(np.eye(7)), 7.0, 1e-12)


@pytest.mark.parametrize("scenario", naive_portfolio.SCENARIOS)
def test_conditional_means_agree_with_the_precision_matrix(scenario):
    market = make_market(4, n_symbols=0, collinear=True)
    proxies = np.array([naive.simple_returns(market.prices(proxy)) for proxy in PROXIES])
    covariance, _ = naive.ewma_covariance(proxies)
    given = naive_portfolio.shocked_proxies(naive_portfolio.SCENARIOS[scenario])
    known = {k: given[k] for k in (0, 1) if k in given} or given
    answer = naive_portfolio.correlated_proxies(given, covariance)
    expected = oracles.conditional_mean(known, covariance, 0.0 if {0, 1} & set(given) else 0.1)
    for k in range(8):
        assert_agree(answer[k], given.get(k, expected[k]), 1e-10)


def test_pairwise_correlations_need_a_repair():
    """300 series that share as few as 30 sessions: the matrix is far from positive semidefinite."""
    rng = np.random.default_rng(10)
    logs = rng.standard_normal((300, 90)) * 0.01
    logs[rng.random(logs.shape) < 0.4] = np.nan
    matrix = oracles.correlations(logs, 10)
    assert np.linalg.eigvalsh(matrix).min() < -0.2
    repaired = naive_portfolio.repaired(matrix)
    assert np.linalg.eigvalsh(repaired).min() > -1e-10
    assert_agree(np.diag(repaired), np.ones(300), 1e-12)
    assert naive_portfolio.effective_bets(repaired) < 300


@pytest.mark.skipif(not REAL.exists(), reason=f"the real prices are not here: {REAL}")
@pytest.mark.parametrize(("session", "treasuries"), [("2015-08-24", 0.15), ("2017-11-10", 0.18)])
def test_conditional_shocks_that_are_known(session, treasuries):
    prices = pl.read_parquet(REAL).pivot(on="symbol", index="date", values="close").sort("date")
    prices = prices.filter(pl.col("date") <= np.datetime64(session).item())
    proxies = np.array([naive.simple_returns(prices[p].cast(pl.Float64).to_numpy()) for p in PROXIES])
    covariance, _ = naive.ewma_covariance(proxies)
    dotcom = naive_portfolio.shocked_proxies(naive_portfolio.SCENARIOS["dotcom_crash_2000"])
    assert abs(naive_portfolio.correlated_proxies(dotcom, covariance)[1] - treasuries) < 0.005
    if session == "2017-11-10":
        crash = naive_portfolio.correlated_proxies({0: -0.35}, covariance)
        assert abs(crash[3] + 0.38) < 0.005
