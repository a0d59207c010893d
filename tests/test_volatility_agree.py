"""Realized volatility, its trend and percentile, and the HAR forecast equal the slow answer."""

import naive
import naive_series
import numpy as np
import oracles
import pytest
from markets import make_market
from tolerance import assert_agree

from engine.quality import reason_bit
from engine.volatility import (
    har_forecast,
    realized_volatility,
    volatility_percentile,
    volatility_trend,
)

ENDS = (13, 60, 147, 167, 168, 271, 272, 273, 545, 546, 547, 650, 700)


@pytest.fixture(scope="module", params=[0.0, 0.003, 0.02, 0.2], ids="gaps {}".format)
def returns(request) -> np.ndarray:
    market = make_market(51, n_symbols=4, n_sessions=701, gaps=request.param)
    return np.array([naive.simple_returns(row) for row in market.adj_close])


def clipped(forecast) -> np.ndarray:
    return (forecast.reasons & reason_bit("forecast_clipped")) > 0


@pytest.mark.parametrize("window", [21, 63, 252])
def test_realized_volatility(returns, window):
    for at in ENDS:
        expected = [naive_series.realized_volatility(row, at, window) for row in returns]
        assert_agree(realized_volatility(returns[:, : at + 1], window), expected, 1e-12, what=f"at {at}")


def test_trend(returns):
    for at in ENDS:
        cut = returns[:, : at + 1]
        trends = volatility_trend(realized_volatility(cut, 21), realized_volatility(cut, 63))
        assert trends.to_list() == [naive_series.volatility_trend(row, at) for row in returns]


def test_percentile(returns):
    for at in ENDS:
        share, _ = volatility_percentile(returns[:, : at + 1])
        expected = [naive_series.volatility_percentile(row, at) for row in returns]
        assert_agree(share, expected, 1e-12, what=f"at {at}")


def test_forecast(returns):
    for at in ENDS:
        forecast = har_forecast(np.ascontiguousarray(returns[:, : at + 1]))
        for i, row in enumerate(returns):
            raw, expected = naive_series.har_forecast(row, at)
            assert forecast.n_obs[i] == len(naive_series.har_rows(row, at)), f"row {i} at {at}"
            assert_agree(forecast.volatility[i], expected, what=f"row {i} at {at}")
            if not np.isnan(expected):
                assert clipped(forecast)[i] == (abs(raw - expected) > 1e-12), f"row {i} at {at}"


def test_a_forecast_needs_126_rows_and_the_last_21_returns():
    series = np.array(
        [naive.simple_returns(row) for row in make_market(52, n_sessions=400, quirks=False).adj_close]
    )
    shortest = 20 + 126 + 21
    assert not np.isnan(har_forecast(series[:, -shortest:].copy()).volatility).any()
    assert np.isnan(har_forecast(series[:, -shortest + 1 :].copy()).volatility).all()
    series[:, -21] = np.nan
    assert np.isnan(har_forecast(series).volatility).all()


def test_a_forecast_is_not_the_volatility_of_tomorrow():
    """Regressing on the next day alone comes out a fifth too low: the forecast must meet what followed."""
    rng = np.random.default_rng(53)
    level = np.exp(np.convolve(rng.standard_normal(6000) * 0.12, 0.95 ** np.arange(200))[:6000])
    returns = 0.01 * level * rng.standard_normal(6000)
    pairs = []
    for at in range(600, 5900, 21):
        forecast = har_forecast(returns[None, : at + 1].copy()).volatility[0]
        pairs.append((forecast**2, 252 * np.mean(returns[at + 1 : at + 22] ** 2)))
    forecast, realized = np.array(pairs).mean(axis=0)
    assert 0.93 < np.sqrt(forecast / realized) < 1.07


def test_the_clip_is_marked_and_bites():
    series = naive.simple_returns(make_market(54, n_sessions=700, quirks=False).adj_close[0])
    series[-1] = 0.4
    forecast = har_forecast(series[None])
    raw, expected = oracles.har_forecast(series)
    assert abs(raw - expected) > 1e-6
    assert clipped(forecast)[0]
    assert_agree(forecast.volatility[0], expected)


def test_a_series_that_stands_still():
    still = np.zeros((1, 700))
    assert realized_volatility(still, 21)[0] == 0.0
    assert volatility_percentile(still)[0][0] == 1.0
    forecast = har_forecast(still)
    assert np.isnan(forecast.volatility[0]) or forecast.volatility[0] == 0.0


def test_older_returns_than_the_window_change_nothing(returns):
    recent = np.ascontiguousarray(returns[:, -545:])
    assert_agree(har_forecast(recent).volatility, har_forecast(returns).volatility, 1e-12)
