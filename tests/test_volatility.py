"""Edges of the volatility functions: hand-computed values, gaps, short and motionless series, locality."""

from math import sqrt

import numpy as np
import pytest

from engine.quality import REASONS
from engine.typing import FloatArray
from engine.volatility import har_forecast, realized_volatility, volatility_percentile, volatility_trend

HAR_RETURNS = 545


def random_returns(n_series: int = 4, n_sessions: int = 600, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    level = np.exp(np.cumsum(rng.normal(0, 0.1, (n_series, n_sessions)), axis=1) * 0.2)
    return 0.01 * level * rng.standard_normal((n_series, n_sessions))


def reasons_of(returns: FloatArray) -> list[list[str]]:
    masks = har_forecast(returns).reasons.tolist()
    return [[code for bit, code in enumerate(REASONS) if mask >> bit & 1] for mask in masks]


def every_number(returns: FloatArray) -> FloatArray:
    realized = [realized_volatility(returns, window) for window in (21, 63, 252)]
    return np.array([*realized, volatility_percentile(returns)[0], har_forecast(returns).volatility])


def test_realized_volatility_of_alternating_returns() -> None:
    returns = np.tile([0.01, -0.01], 11)[None, :]  # 22 of them: the first lies outside the window
    expected = 0.01 * sqrt((21 - 1 / 21) / 20) * sqrt(252)  # the mean of 21 alternating returns is ±0.01 / 21
    assert realized_volatility(returns, 21)[0] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(("window", "needed"), [(21, 14), (63, 42), (252, 168)])
def test_realized_volatility_needs_two_thirds_of_its_window(window: int, needed: int) -> None:
    returns = random_returns(2, 300)
    returns[0, : 300 - needed] = np.nan
    returns[1, : 300 - needed + 1] = np.nan
    enough, too_few = realized_volatility(returns, window)
    assert enough == pytest.approx(returns[0, -needed:].std(ddof=1) * sqrt(252), rel=1e-13)
    assert np.isnan(too_few)


def test_a_halted_series_shows_exactly_zero_after_a_wild_past() -> None:
    returns = random_returns(1, 600) * 1e4
    returns[:, -63:] = 0.0
    assert realized_volatility(returns, 21)[0] == 0.0
    assert realized_volatility(returns, 63)[0] == 0.0
    assert volatility_trend(np.zeros(1), np.zeros(1)).to_list() == ["stable"]


def test_realized_volatility_far_from_zero_mean_keeps_its_digits() -> None:
    noise = random_returns(1, 252) * 1e-6
    assert realized_volatility(noise + 1.0, 252)[0] == pytest.approx(
        np.std(noise[0], ddof=1) * sqrt(252), rel=1e-7
    )


def test_trend_bounds_are_exclusive_and_missing_is_null() -> None:
    short = np.array([1.15, 1.1500001, 0.87, 0.8699999, np.nan, 1.0])
    long = np.array([1.0, 1.0, 1.0, 1.0, 1.0, np.nan])
    assert volatility_trend(short, long).to_list() == [
        "stable", "increasing", "stable", "decreasing", None, None,
    ]  # fmt: skip


def test_percentile_of_rising_falling_and_equal_volatilities() -> None:
    sign = np.tile([1.0, -1.0], 136)
    rising, falling = sign * np.linspace(0.01, 0.02, 272), sign * np.linspace(0.02, 0.01, 272)
    halted, same = np.zeros(272), sign * 0.01
    share, gaps = volatility_percentile(np.array([rising, falling, halted, same]))
    assert share.tolist() == [1.0, 1 / 252, 1.0, 1.0]
    assert not gaps.any()


@pytest.mark.parametrize("level", [1e-2, 1.0, 37.3, 1e6])
@pytest.mark.parametrize("growth", [-0.5, -1e-3, -1e-5, 1e-8, 1e-4, 1e-3, 0.01, 0.5])
def test_even_growth_is_stable_and_all_ties(growth: float, level: float) -> None:
    """Prices are doubles: their returns differ in the last digits, and that must decide nothing."""
    prices = level * (1 + growth) ** np.arange(300)
    returns = (prices[1:] / prices[:-1] - 1)[None, :]
    short, long = realized_volatility(returns, 21), realized_volatility(returns, 63)
    assert volatility_trend(short, long).to_list() == ["stable"]
    assert volatility_percentile(returns)[0].tolist() == [1.0]


@pytest.mark.parametrize("period", [(0.01, -0.01), (0.01, 0.02, 0.03), (1e-3,) * 20 + (2e-3,), (1e-6, 1.0)])
def test_a_pattern_that_repeats_within_21_sessions_is_all_ties(period: tuple[float, ...]) -> None:
    returns = np.tile(period, 300)[:300]
    prices = 37.3 * np.exp(np.cumsum(np.log1p(returns)) - 60.0)
    assert volatility_percentile((prices[1:] / prices[:-1] - 1)[None, :])[0].tolist() == [1.0]


def test_a_volatility_just_above_a_tie_counts() -> None:
    sign = np.tile([1.0, -1.0], 136)
    wider = np.where(np.arange(272) < 136, 1 + 1e-8, 1.0)
    assert volatility_percentile((sign * 0.01 * wider)[None, :])[0] < 0.6
    narrow = np.where(np.arange(272) < 136, 1 + 1e-10, 1.0)
    assert volatility_percentile((sign * 0.01 * narrow)[None, :])[0] == 1.0


def test_small_moves_about_a_large_mean_are_told_apart() -> None:
    sign = np.tile([1.0, -1.0], 136)
    rising = 0.5 + sign * np.linspace(1e-8, 2e-8, 272)
    assert volatility_percentile(np.array([rising, rising[::-1]]))[0].tolist() == [1.0, 1 / 252]


def test_percentile_lies_within_the_series_own_history() -> None:
    returns = random_returns(2, 300)
    returns[0, :28] = np.nan  # first return 272 sessions before the end
    returns[1, :29] = np.nan
    share, _ = volatility_percentile(returns)
    assert not np.isnan(share[0])
    assert np.isnan(share[1])
    assert np.isnan(volatility_percentile(returns[:, -271:])[0]).all()


def test_percentile_with_gaps_is_over_the_volatilities_that_exist() -> None:
    returns = np.tile([0.01, -0.01], 136)[None, :].repeat(4, axis=0) * np.linspace(1, 2, 272)
    returns[0, 100:107] = np.nan  # 14 of 21 are left in the emptiest windows
    returns[1, 100:108] = np.nan  # windows with 13 drop out: those that hold all eight
    returns[2, 60:200] = np.nan
    returns[3, -8:] = np.nan  # the current volatility itself
    share, gaps = volatility_percentile(returns)
    assert share[:2].tolist() == [1.0, 1.0]
    assert gaps.tolist() == [False, True, False, False]
    assert np.isnan(share[2:]).all()


def test_har_forecast_recovers_an_exact_relation() -> None:
    # Trend and wave: r² and its means of 5, 21 and the next 21 all lie in the span of 1, t, sin and cos.
    t = np.arange(HAR_RETURNS + 21)
    squares = 1e-4 * (2.0 + 1e-4 * t + np.sin(0.05 * t))
    forecast = har_forecast(np.sqrt(squares[None, :HAR_RETURNS]))
    expected = sqrt(squares[HAR_RETURNS:].mean() * 252)
    assert forecast.volatility[0] == pytest.approx(expected, rel=1e-9)


def test_har_forecast_tells_collinear_regressors() -> None:
    wave = 1e-4 * (2.0 + np.sin(0.05 * np.arange(HAR_RETURNS)))  # spans two dimensions, three are asked for
    assert reasons_of(np.sqrt(wave)[None, :]) == [["collinear_factors"]]


def test_har_forecast_says_why_there_is_none() -> None:
    returns = random_returns(5, HAR_RETURNS)
    returns[0, : HAR_RETURNS - 166] = np.nan  # 125 rows
    returns[1, -21] = np.nan
    returns[2] = 0.0
    returns[3] = np.tile([0.001, -0.001], 273)[:HAR_RETURNS]
    forecast = har_forecast(returns)
    assert np.isnan(forecast.volatility[:4]).all()
    assert reasons_of(returns)[:4] == [
        ["insufficient_history"], ["gaps"], ["constant_series"], ["constant_series"],
    ]  # fmt: skip
    assert forecast.n_obs[0] == 125
    assert forecast.volatility[4] > 0


def test_har_forecast_of_constant_growth_is_none_in_spite_of_rounding() -> None:
    prices = 100.0 * 1.0007 ** np.arange(HAR_RETURNS + 1)
    assert reasons_of((prices[1:] / prices[:-1] - 1.0)[None, :]) == [["constant_series"]]


def test_har_forecast_with_the_shortest_history() -> None:
    returns = random_returns(1, 126 + 41)
    forecast = har_forecast(returns)
    assert forecast.n_obs[0] == 126
    assert forecast.volatility[0] > 0


def test_har_rows_with_a_missing_return_are_left_out() -> None:
    returns = random_returns(1, HAR_RETURNS)
    returns[0, 300] = np.nan
    assert har_forecast(returns).n_obs[0] == 504 - 42


def test_har_forecast_stays_in_the_range_seen_and_is_marked() -> None:
    returns = random_returns(40, HAR_RETURNS)
    returns[:, -1] *= 40.0  # far outside everything the regression has seen
    squares = np.lib.stride_tricks.sliding_window_view(returns**2, 21, axis=1).mean(axis=2)
    forecast = har_forecast(returns)
    clipped = np.array([codes == ["forecast_clipped"] for codes in reasons_of(returns)])
    assert clipped.any()
    variance = forecast.volatility**2 / 252
    assert np.all(variance <= squares.max(axis=1) * (1 + 1e-12))
    assert np.all(variance >= squares.min(axis=1) * (1 - 1e-12))


def test_har_forecast_of_a_dead_series_is_clipped_to_zero_or_above() -> None:
    returns = random_returns(20, HAR_RETURNS)
    returns[:, -60:] = 0.0
    assert np.all(har_forecast(returns).volatility >= 0.0)


@pytest.mark.parametrize("n_sessions", [0, 1, 2, 20, 21, 41])
def test_too_short_a_panel_has_no_numbers(n_sessions: int) -> None:
    returns = random_returns(3, 50)[:, :n_sessions]
    numbers = every_number(returns)
    assert np.isnan(numbers[1:]).all()
    assert har_forecast(returns).n_obs.tolist() == [0, 0, 0]
    assert every_number(returns[:0]).shape == (5, 0)


def test_all_missing_series_has_no_numbers() -> None:
    assert np.isnan(every_number(np.full((2, 600), np.nan))).all()


def test_other_series_earlier_and_later_columns_change_no_bit() -> None:
    returns = random_returns(9, 700)
    returns[np.random.default_rng(1).random(returns.shape) < 0.01] = np.nan
    together = every_number(returns[:, :650])
    for i in range(len(returns)):
        assert np.array_equal(
            every_number(returns[i : i + 1, :650].copy())[:, 0], together[:, i], equal_nan=True
        )
    assert np.array_equal(every_number(returns[::-1, 650 - 545 : 650])[:, ::-1], together, equal_nan=True)
