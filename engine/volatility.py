"""Volatility of return series: realized, trend, percentile and HAR forecast; imports numpy and polars.

Every function takes ``(n_series, n_sessions)`` simple returns that end at the session asked about, NaN where
missing, and treats each series by itself, so symbols and portfolios share them. Columns before those that a
number needs are not read. Volatilities are standard deviations of daily returns · √252.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import polars as pl

from engine.quality import reason_bit
from engine.typing import BoolArray, FloatArray, IntArray, MaskArray
from engine.volatility_kernels import (
    PERCENTILE_VOLS,
    ROUNDING,
    TIE,
    har_forecasts,
    percentiles,
    standard_deviations,
)

ANNUAL_SESSIONS = 252


def realized_volatility(returns: FloatArray, window: int) -> FloatArray:
    """Return the annualized standard deviation (ddof 1) of the last ``window`` returns.

    Two passes about the mean: exactly 0 for a series that stands still. NaN below two thirds of the window.

    Parameters
    ----------
    returns : FloatArray
        ``(n_series, n_sessions)`` decimals.
    window : int
        Sessions, the last column included.

    Returns
    -------
    FloatArray
        ``(n_series,)`` decimals a year.
    """
    return standard_deviations(returns, window, _two_thirds(window)) * sqrt(ANNUAL_SESSIONS)


def volatility_trend(volatility_21d: FloatArray, volatility_63d: FloatArray) -> pl.Series:
    """Return whether volatility is ``increasing``, ``stable`` or ``decreasing``.

    Increasing when the 21-session volatility exceeds 1.15 times the 63-session one, decreasing below 0.87
    times, either by more than one part in 1e9 and by more than 1e-14 a day, which is the rounding of prices;
    null where one of the two is missing. So a series that stands still or grows evenly in both windows is
    stable.
    """
    names = pl.Series("vol_trend", ["decreasing", "stable", "increasing", None], dtype=pl.String)
    tie = np.maximum(TIE * volatility_63d, ROUNDING * sqrt(ANNUAL_SESSIONS))
    rises = volatility_21d > 1.15 * volatility_63d + tie
    falls = volatility_21d < 0.87 * volatility_63d - tie
    step = 1 + rises - falls.astype(np.uint32)
    return names.gather(np.where(np.isnan(volatility_21d + volatility_63d), 3, step).astype(np.uint32))


def volatility_percentile(returns: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Return the share of the last 252 rolling 21-session volatilities at or below the current one.

    A rolling volatility needs 14 of its 21 returns. The share is over those that exist; NaN when the current
    one or more than a third of the 252 is missing, or when the 272 sessions reach back before the first
    return. A volatility that exceeds the current one by no more than one part in 1e9, or by no more than
    1e-14 a day, the rounding of prices, equals it.

    Returns
    -------
    share : FloatArray
        ``(n_series,)`` in (0, 1].
    gaps : BoolArray
        ``(n_series,)`` True where the share rests on fewer than 252 volatilities.
    """
    share, n_volatilities = percentiles(returns)
    return share, ~np.isnan(share) & (n_volatilities < PERCENTILE_VOLS)


@dataclass(frozen=True, slots=True)
class HarForecast:
    """Forecast volatility of the next 21 sessions, one entry a series.

    Attributes
    ----------
    volatility : FloatArray
        ``(n_series,)`` decimals a year, NaN where ``reasons`` says why.
    n_obs : IntArray
        ``(n_series,)`` usable rows of the regression.
    reasons : MaskArray
        ``(n_series,)`` reason masks of ``engine.quality``; ``forecast_clipped`` goes with a number, the
        others with NaN.
    """

    volatility: FloatArray
    n_obs: IntArray
    reasons: MaskArray


def har_forecast(returns: FloatArray) -> HarForecast:
    """Forecast the volatility of the next 21 sessions by a heterogeneous autoregression (Corsi 2009).

    The mean squared return of the sessions t+1 … t+21 is regressed on r²_t, the mean of 5 and the mean of 21
    squared returns ending at t, with intercept, over the last 504 origins t whose target is known at the last
    column. A row needs all its 42 returns; at least 126 rows, and the last 21 returns, must exist. The
    forecast is held within the 21-session mean squared returns seen in those 545 returns.

    Parameters
    ----------
    returns : FloatArray
        ``(n_series, n_sessions)`` decimals.
    """
    variance, n_obs, outcome = har_forecasts(returns)
    codes = ("insufficient_history", "gaps", "constant_series", "collinear_factors", "forecast_clipped")
    masks = np.array([0, *map(reason_bit, codes)], dtype=np.uint32)
    return HarForecast(np.sqrt(variance * ANNUAL_SESSIONS), n_obs, masks[outcome])


def _two_thirds(window: int) -> int:
    return -(-2 * window // 3)
