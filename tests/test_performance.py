"""Statistics of return series equal empyrical's and SciPy's where definitions coincide."""

import warnings

import numpy as np
import pytest
from scipy import stats
from tolerance import assert_agree

from engine.performance import deepest_drawdown, performance, relative
from engine.quality import reason_bit

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import empyrical


def days(n):
    return np.datetime64("2020-01-01") + np.arange(n)


def series(kind, n=700):
    rng = np.random.default_rng(4)
    returns = {
        "usual": rng.normal(4e-4, 0.01, n),
        "fat": 0.01 * rng.standard_t(3, n),
        "tiny": 1e-9 * rng.normal(1, 1, n),
        "falling": -np.abs(rng.normal(0, 0.01, n)),
        "short": rng.normal(0, 0.01, 5),
    }[kind]
    return np.maximum(returns, -0.9)


@pytest.mark.parametrize("kind", ["usual", "fat", "tiny", "falling", "short"])
@pytest.mark.parametrize("rate", [0.0, 0.02])
def test_like_empyrical(kind, rate):
    returns = series(kind)
    found = performance(returns, days(len(returns)), risk_free=rate)
    daily = rate / 252
    expected = {
        "cumulative_return": empyrical.cum_returns_final(returns),
        "annual_return": empyrical.annual_return(returns),
        "volatility": empyrical.annual_volatility(returns),
        "sharpe": empyrical.sharpe_ratio(returns, risk_free=daily),
        "sortino": empyrical.sortino_ratio(returns, required_return=daily),
        "calmar": empyrical.calmar_ratio(returns),
        "value_at_risk_95": empyrical.value_at_risk(returns, 0.05),
        "value_at_risk_99": empyrical.value_at_risk(returns, 0.01),
        "skew": stats.skew(returns),
        "kurtosis": stats.kurtosis(returns),
    }
    for name, value in expected.items():
        if kind != "tiny" or name != "calmar":  # over a drawdown of 1e-9 that is all rounding
            assert_agree(getattr(found, name), value, tolerance=1e-10, what=name)
    assert_agree(found.drawdown.depth, empyrical.max_drawdown(returns), tolerance=1e-10, what="drawdown")


@pytest.mark.parametrize("kind", ["usual", "fat"])
@pytest.mark.parametrize("rate", [0.0, 0.02])
def test_against_a_benchmark_like_empyrical(kind, rate):
    market = series("usual")
    returns = 0.8 * market + 0.5 * series(kind)[::-1]
    found = relative(returns, market, risk_free=rate)
    alpha, beta = empyrical.alpha_beta(returns, market, risk_free=rate / 252)
    assert_agree(found.beta, beta, tolerance=1e-10, what="beta")
    assert_agree(found.alpha, alpha, tolerance=1e-10, what="alpha")
    fit = stats.linregress(market, returns)
    assert_agree(found.r_squared, fit.rvalue**2, tolerance=1e-10, what="r_squared")
    active = returns - market
    assert_agree(found.tracking_error, active.std(ddof=1) * np.sqrt(252), tolerance=1e-12, what="tracking")
    excess = empyrical.excess_sharpe(returns, market)
    assert_agree(found.information_ratio / np.sqrt(252), excess, tolerance=1e-10, what="information")


def naive_drawdown(returns):
    wealth, peak, worst = 1.0, 1.0, 0.0
    for r in returns:
        wealth *= 1 + r
        peak = max(peak, wealth)
        worst = min(worst, wealth / peak - 1)
    return worst


def test_the_dates_of_a_drawdown():
    returns = np.array([0.1, -0.2, 0.05, 0.3, -0.01])
    found = deepest_drawdown(returns, days(5))
    assert np.isclose(found.depth, naive_drawdown(returns))
    assert (found.start, found.trough, found.recovery) == tuple(days(5)[[0, 1, 3]])
    first = deepest_drawdown(np.array([-0.1, 0.01]), days(2))
    assert (first.start, first.trough, first.recovery) == (None, days(2)[0], None)
    assert deepest_drawdown(np.array([0.1, 0.0]), days(2)).depth == 0.0


def test_the_tails_by_hand():
    returns = np.arange(-50, 50) / 1000.0
    found = performance(returns, days(100))
    assert np.isclose(found.conditional_var_95, np.mean(returns[returns <= np.percentile(returns, 5)]))
    assert found.hit_rate == 0.49


@pytest.mark.parametrize("size", [1e-6, 1.0, 30.0])
@pytest.mark.parametrize("distance", [0.0, 1e-3, -0.02])
def test_a_fixed_distance_from_the_benchmark_has_no_information_ratio(size, distance):
    market = size * series("usual")
    found = relative(market + size * distance, market)
    assert np.isnan(found.information_ratio)
    assert_agree([found.beta, found.r_squared], [1, 1], 1e-10)
    assert_agree(found.tracking_error / size, 0, 1e-12)


def test_a_loss_of_more_than_everything_is_not_compounded():
    returns = np.array([0.1, -1.5, -1.5, 0.1])
    found = performance(returns, days(4))
    assert np.isnan([found.cumulative_return, found.annual_return, found.calmar, found.drawdown.depth]).all()
    assert found.reasons == reason_bit("nav_not_positive")
    assert_agree(found.volatility, np.std(returns, ddof=1) * np.sqrt(252), 1e-12)
    assert found.value_at_risk_95 == -1.5


def test_reasons_of_what_is_missing():
    usual = series("usual")
    assert performance(usual, days(700)).reasons == relative(usual, usual).reasons == 0
    assert performance(usual[:1], days(1)).reasons == reason_bit("insufficient_history")
    assert performance(np.full(9, 0.01), days(9)).reasons == reason_bit("constant_series")
    assert relative(usual[:29], usual[:29]).reasons == reason_bit("insufficient_history")
    assert relative(usual, np.full(700, 0.0013)).reasons == reason_bit("constant_factor")
    still = relative(np.full(700, 0.0013), usual)
    assert still.reasons == reason_bit("constant_series")
    assert np.isnan(still.r_squared)
    assert_agree(still.beta, 0, 1e-12)


def test_gaps_are_left_out():
    returns = series("usual")
    gappy = np.insert(returns, [3, 3, 400], np.nan)
    assert performance(gappy, days(len(gappy))).sharpe == performance(returns, days(len(returns))).sharpe
    there = np.isfinite(gappy)
    other = np.where(there, gappy, 0.5)
    assert relative(gappy, other).n_obs == len(returns)


def test_what_does_not_exist_is_not_a_number():
    nothing = performance(np.array([np.nan, 0.01]), days(2))
    assert nothing.n_obs == 1
    assert np.isnan([nothing.cumulative_return, nothing.sharpe, nothing.drawdown.depth]).all()
    still = performance(np.full(50, 0.001), days(50))
    assert np.isnan([still.sharpe, still.sortino, still.calmar, still.skew]).all()
    assert np.isnan(relative(series("usual")[:29], series("fat")[:29]).beta)
    assert np.isnan(relative(series("usual"), np.zeros(700)).beta)
    ruined = performance(np.array([0.1, -1.0, 0.1]), days(3))
    assert (ruined.cumulative_return, ruined.annual_return, ruined.drawdown.depth) == (-1.0, -1.0, -1.0)


def test_what_no_double_holds_is_no_number():
    rng = np.random.default_rng(6)
    rising, market = np.full(300, 20.0) + rng.random(300), rng.normal(0, 0.01, 300)
    risen = performance(rising, days(300))
    assert np.isnan([risen.cumulative_return, risen.annual_return, risen.drawdown.depth]).all()
    assert np.isnan(relative(rising, market).alpha)
    assert np.isnan(relative(market - 1.5, market).alpha)  # a loss of more than all of it, day after day
    assert relative(market, market).alpha == pytest.approx(0.0, abs=1e-12)
