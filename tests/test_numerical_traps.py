"""Known ways to be wrong: each test holds the engine to the right number and shows the trap far from it."""

import warnings

import naive
import numpy as np
import pytest
from markets import make_market
from statsmodels.regression.rolling import RollingOLS
from statsmodels.tools import add_constant
from tolerance import assert_agree

from engine.factors import FACTOR_NAMES
from engine.panel import Panel, build_panel
from engine.regression import fit_factors
from engine.volatility import realized_volatility

AT = 299
STYLE = slice(FACTOR_NAMES.index("Value"), FACTOR_NAMES.index("Low Volatility") + 1)


@pytest.fixture(scope="module")
def panel() -> Panel:
    market = make_market(61, gaps=0.2, collinear=True)
    return build_panel(market.frame(), market.sessions)


def column(panel: Panel, symbol: str, size: int = 90) -> np.ndarray:
    return panel.returns[panel.row(symbol), AT - size + 1 : AT + 1]


def styles(panel: Panel) -> np.ndarray:
    return np.array([column(panel, proxy) for proxy in naive.STYLES.values()])


def betas(panel: Panel, symbol: str) -> np.ndarray:
    return fit_factors(panel, first=AT, last=AT).beta_raw[panel.row(symbol), 0]


def penalised(Z: np.ndarray, y: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Ridge slopes of centred ``y (n,)`` on ``Z (n, k)``, taken back from units of ``scale (k,)``."""
    return np.linalg.solve(Z.T @ Z + np.eye(Z.shape[1]), Z.T @ (y - y.mean())) / scale


def test_ridge_shrinks_standardised_factors_not_returns(panel):
    X, y = styles(panel), column(panel, "S001")
    rows = ~np.isnan(X.sum(axis=0) + y)
    Z = (X[:, rows] - X[:, rows].mean(axis=1, keepdims=True)).T
    unpenalised = np.linalg.lstsq(Z, y[rows] - y[rows].mean(), rcond=None)[0]
    trap = penalised(Z, y[rows], np.ones(6))
    assert np.abs(Z @ trap).sum() < 0.1 * np.abs(Z @ unpenalised).sum()
    answer = betas(panel, "S001")[STYLE]
    assert np.abs(Z @ answer).sum() > 0.8 * np.abs(Z @ unpenalised).sum()
    assert_agree(answer, naive.ridge(y, X, 1.0, 30).beta)


def test_factors_are_standardised_on_the_symbols_own_rows(panel):
    X, y = styles(panel), column(panel, "S001")
    rows = ~np.isnan(X.sum(axis=0) + y)
    mean, scale = np.nanmean(X, axis=1), np.nanstd(X, axis=1)
    trap = penalised(((X[:, rows].T - mean) / scale), y[rows], scale)
    right = naive.ridge(y, X, 1.0, 30).beta
    assert np.abs(trap - right).max() > 1e-3
    assert_agree(betas(panel, "S001")[STYLE], right)


def test_gaps_are_not_zeros(panel):
    X, y = styles(panel), column(panel, "S001")
    trap = naive.ridge(np.nan_to_num(y), np.nan_to_num(X), 1.0, 30).beta
    right = naive.ridge(y, X, 1.0, 30).beta
    assert np.abs(np.subtract(trap, right)).max() > 0.02
    assert_agree(betas(panel, "S001")[STYLE], right)


def test_the_variance_of_x_is_over_the_rows_of_y(panel):
    x, y = column(panel, "SPY"), column(panel, "S001")
    rows = ~np.isnan(x + y)
    trap = np.cov(x[rows], y[rows])[0, 1] / np.nanvar(x, ddof=1)
    right = naive.ols(y, x, 30).beta[0]
    assert abs(trap - right) > 1e-3
    assert_agree(betas(panel, "S001")[0], right)


def test_ninety_sessions_are_not_ninety_valid_rows(panel):
    x, y = column(panel, "SPY", AT), column(panel, "S001", AT)
    rows = np.flatnonzero(~np.isnan(x + y))[-90:]
    trap = naive.ols(y[rows], x[rows], 30).beta[0]
    right = naive.ols(y[-90:], x[-90:], 30).beta[0]
    assert abs(trap - right) > 1e-3
    assert_agree(betas(panel, "S001")[0], right)


def test_float32_is_not_enough_for_near_collinear_factors():
    market = make_market(62, collinear=True, n_symbols=4, quirks=False)
    panel = build_panel(market.frame(), market.sessions)
    X, y = styles(panel), column(panel, "S001")
    Z = ((X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)).T.astype(np.float32)
    trap = penalised(Z, y.astype(np.float32), X.std(axis=1).astype(np.float32))
    right = naive.ridge(y, X, 1.0, 30).beta
    assert np.abs(trap - right).max() > 1e-7
    assert_agree(betas(panel, "S001")[STYLE], right, 1e-10)


def test_a_window_with_a_gap_has_an_answer(panel):
    """RollingOLS with ``missing="skip"`` has none there; on windows without gaps it must be the same."""
    x, y = panel.returns[panel.row("SPY")], panel.returns[panel.row("S001")]
    fit = fit_factors(panel, first=0, last=AT)
    answer, n_obs = fit.beta_raw[panel.row("S001"), :, 0], fit.n_obs[panel.row("S001"), :, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rolling = RollingOLS(y, add_constant(x), window=90, missing="skip").fit().params[:, 1]
    assert np.isnan(rolling[90:]).all() and not np.isnan(answer[90:]).any()
    complete = build_panel(*_without_gaps())
    x, y = complete.returns[complete.row("SPY"), 1:], complete.returns[complete.row("S001"), 1:]
    rolling = RollingOLS(y, add_constant(x), window=90).fit().params[89:, 1]
    whole = fit_factors(complete, first=90, last=AT).beta_raw[complete.row("S001"), :, 0]
    assert_agree(whole, rolling, 1e-9)
    assert n_obs[AT] == np.sum(~np.isnan(column(panel, "S001") + column(panel, "SPY"))) < 90


def _without_gaps():
    market = make_market(63, n_symbols=2, quirks=False)
    return market.frame(), market.sessions


def test_a_gap_is_not_a_return_of_many_sessions(panel):
    prices = panel.adj_close[panel.row("S001")]
    for t in range(1, len(prices)):
        missing = np.isnan(prices[t]) or np.isnan(prices[t - 1])
        assert np.isnan(panel.returns[panel.row("S001"), t]) == missing
    assert_agree(panel.returns[panel.row("S001")], naive.simple_returns(prices), 1e-15)


def test_one_new_listing_costs_nobody_else_a_beta(panel):
    market = make_market(61, gaps=0.2, collinear=True)
    frame = market.frame()
    without = build_panel(frame.filter(~frame["symbol"].str.starts_with("NEW")), market.sessions)
    fit = fit_factors(panel, first=AT, last=AT)
    alone = fit_factors(without, first=AT, last=AT)
    for symbol in ("S000", "S005", "SPARSE"):
        rows = panel.row(symbol), without.row(symbol)
        assert_agree(fit.n_obs[rows[0]], alone.n_obs[rows[1]], 0.0)
        assert_agree(fit.beta_raw[rows[0]], alone.beta_raw[rows[1]], 1e-12)


def test_a_bad_tick_leaves_nothing_behind():
    market = make_market(64, n_sessions=700)
    panel = build_panel(market.frame(), market.sessions)
    row, tick = panel.row("TICK"), 700 * 2 // 3
    fit = fit_factors(panel, first=0, last=699)
    returns = {s: naive.simple_returns(p) for s, p in zip(market.symbols, market.adj_close, strict=True)}
    for at in (tick - 20, tick - 1, tick + 92, tick + 182, 699):
        expected = naive.factor_fits(returns, "TICK", at)
        for j, name in enumerate(FACTOR_NAMES):
            if "Spread" not in name or at < tick or at > tick + 180:
                answer = (fit.beta_raw[row, at, j], fit.standard_error[row, at, j])
                assert_agree(answer, expected[name][:2], 1e-10, what=f"{name} at {at}")


def test_a_halted_symbol_has_no_beta_and_no_volatility():
    market = make_market(65, n_sessions=700)
    panel = build_panel(market.frame(), market.sessions)
    fit = fit_factors(panel, first=0, last=699)
    halted = slice(350 + 181, 700)
    assert np.isnan(fit.beta_raw[panel.row("HALT"), halted]).all()
    assert np.isnan(fit.r_squared[panel.row("HALT"), halted]).all()
    assert not np.isnan(fit.beta_raw[panel.row("HALT"), 300:351]).any()
    for window in (21, 63, 252):
        assert realized_volatility(panel.returns, window)[panel.row("HALT")] == 0.0


def test_centred_sums_survive_a_drift_that_dwarfs_the_moves():
    """A return of 5 a day with moves of 1e-7: E[xy] − E[x]E[y] has no digit left."""
    rng = np.random.default_rng(66)
    moves = 1e-7 * rng.standard_normal((2, 91))
    x, y = 5 + moves[0], 5 + 0.5 * moves[0] + moves[1]
    trap = (np.mean(x * y) - np.mean(x) * np.mean(y)) / (np.mean(x * x) - np.mean(x) ** 2)
    sessions = np.busday_offset("2019-01-02", np.arange(91))
    prices = np.ones((2, 91))
    returns = np.array([x, y])
    panel = Panel(("SPY", "Y"), sessions, prices, prices, prices, returns)
    right = naive.ols(y[-90:], x[-90:], 30).beta[0]
    assert abs(trap - right) > 1e-3
    assert_agree(fit_factors(panel, first=90, last=90).beta_raw[1, 0, 0], right, 1e-7)
