"""Compiled loops over return series, behind ``engine.volatility``; imports numpy and numba.

Their sizes are constants of this file: a cached kernel is compiled anew when its own file changes, not when
one that it imports from does. Only loops that add up are allowed to reorder sums; NaN stays a value to test
for.
"""

import numpy as np
from numba import njit

from engine.typing import FloatArray, IntArray

REORDER = {"reassoc", "contract", "nsz", "arcp"}
HAR_RETURNS = 545  # 504 origins, 20 returns before the first and 21 after the last
HAR_ROWS = 504
HAR_MIN_ROWS = 126
PERCENTILE_RETURNS = 272  # 252 rolling windows of 21
PERCENTILE_VOLS = 252
# Equal volatilities: apart by no more than this share, or than what the rounding of prices leaves of a day.
TIE = 1e-9
ROUNDING = 1e-14

# Outcomes of a forecast.
_FITTED, _TOO_FEW_ROWS, _RECENT_GAP, _CONSTANT, _COLLINEAR, _CLIPPED = range(6)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=REORDER)
def standard_deviations(returns: FloatArray, window: int, min_observations: int) -> FloatArray:
    """Daily standard deviation (ddof 1) of the last ``window`` returns of every series."""
    n_series, n_sessions = returns.shape
    result = np.empty(n_series)
    x = np.empty(min(window, n_sessions))  # a contiguous copy: a view of part of the sessions is none
    for i in range(n_series):
        total, n_obs = 0.0, 0
        for t in range(len(x)):
            x[t] = returns[i, n_sessions - len(x) + t]
        for t in range(len(x)):
            total += 0.0 if np.isnan(x[t]) else x[t]
            n_obs += not np.isnan(x[t])
        mean = total / n_obs
        squares = 0.0
        for t in range(len(x)):
            deviation = 0.0 if np.isnan(x[t]) else x[t] - mean
            squares += deviation * deviation
        result[i] = np.sqrt(squares / (n_obs - 1)) if n_obs >= min_observations else np.nan
    return result


@njit(cache=True, nogil=True, error_model="numpy")
def percentiles(returns: FloatArray) -> tuple[FloatArray, IntArray]:
    """Share of the rolling volatilities at or below the current one, and how many of the 252 exist."""
    n_series, n_sessions = returns.shape
    share, n_volatilities = np.full(n_series, np.nan), np.zeros(n_series, dtype=np.int64)
    start, last = n_sessions - PERCENTILE_RETURNS, PERCENTILE_RETURNS - 1
    x, x2, present = np.empty(PERCENTILE_RETURNS), np.empty(PERCENTILE_RETURNS), np.empty(PERCENTILE_RETURNS)
    four, total = np.zeros(PERCENTILE_RETURNS), np.zeros(PERCENTILE_RETURNS)
    squares, n_obs = np.zeros(PERCENTILE_RETURNS), np.zeros(PERCENTILE_RETURNS)
    variance = np.empty(PERCENTILE_RETURNS)
    for i in range(n_series):
        if not _starts_by(returns[i], start):
            continue
        for t in range(PERCENTILE_RETURNS):
            r = returns[i, start + t]
            x[t] = 0.0 if np.isnan(r) else r
            x2[t] = x[t] * x[t]
            present[t] = 0.0 if np.isnan(r) else 1.0
        _sums_of_21(x, four, total)
        _sums_of_21(x2, four, squares)
        _sums_of_21(present, four, n_obs)
        for t in range(20, PERCENTILE_RETURNS):
            spread = squares[t] - total[t] * total[t] / n_obs[t]
            variance[t] = spread / (n_obs[t] - 1.0) if n_obs[t] >= 14.0 else np.nan
        if np.isnan(variance[last]):
            continue
        current, n_known, n_below, n_near = max(variance[last], 0.0), 1, 1, 0
        doubt = 1e-8 * current + 4 * ROUNDING * np.sqrt(current) + 10 * ROUNDING**2 + 1e-13 * squares[last]
        for t in range(20, last):
            n_known += not np.isnan(variance[t])
            n_below += variance[t] < current
            # A difference of sums of squares is only right to a part of those sums.
            n_near += abs(variance[t] - current) <= doubt + 1e-13 * squares[t]
        if n_near > 0:
            n_below = _n_not_above(x, present, total, n_obs)
        n_volatilities[i] = n_known
        if 3 * n_known >= 2 * PERCENTILE_VOLS:
            share[i] = n_below / n_known
    return share, n_volatilities


@njit(cache=True, nogil=True, error_model="numpy")
def _n_not_above(x: FloatArray, present: FloatArray, total: FloatArray, n_obs: FloatArray) -> int:
    """Count the rolling volatilities that do not exceed the current one, ties included.

    Deviations are taken from each window's own mean, so that windows which stand still, or repeat one
    another, differ by rounding alone. That takes three times as long as sums, and is asked for few series.
    """
    mean, squares = total[20:] / n_obs[20:], np.zeros(PERCENTILE_VOLS)
    for k in range(21):
        for t in range(PERCENTILE_VOLS):
            deviation = (x[t + k] - mean[t]) * present[t + k]
            squares[t] += deviation * deviation
    volatility = np.sqrt(squares / (n_obs[20:] - 1.0))
    bound = volatility[-1] + max(TIE * volatility[-1], ROUNDING)
    n_not_above = 0
    for t in range(PERCENTILE_VOLS):
        n_not_above += n_obs[t + 20] >= 14.0 and volatility[t] <= bound
    return n_not_above


@njit(cache=True, nogil=True)
def _starts_by(series: FloatArray, column: int) -> bool:
    """Whether the series has a return at or before a column; False for a negative column."""
    t = 0
    while t <= column and np.isnan(series[t]):
        t += 1
    return t <= column


@njit(cache=True, nogil=True)
def _sums_of_21(x: FloatArray, four: FloatArray, total: FloatArray) -> None:
    """Sum of the 21 values ending at each index from 20 on, as 5·4 + 1; ``four`` keeps the sums of 4.

    Each sum is made of its own values alone, so nothing drifts and a bad tick leaves with its window;
    add/drop updates and differences of running totals keep a residue. NaN makes exactly the sums that hold it
    NaN.
    """
    # Indices only add to the loop counter: one that subtracts is tested for wrap-around and blocks SIMD.
    for t in range(len(x) - 3):
        four[t + 3] = (x[t] + x[t + 1]) + (x[t + 2] + x[t + 3])
    for t in range(len(x) - 20):
        total[t + 20] = ((four[t + 20] + four[t + 16]) + (four[t + 12] + four[t + 8])) + (four[t + 4] + x[t])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=REORDER)
def har_forecasts(returns: FloatArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Forecast mean squared return (NaN: none), usable rows, and outcome of every series."""
    n_series, n_sessions = returns.shape
    forecast = np.full(n_series, np.nan)
    n_obs, outcome = np.zeros(n_series, dtype=np.int64), np.zeros(n_series, dtype=np.int64)
    first, missing = max(0, n_sessions - HAR_RETURNS), max(0, HAR_RETURNS - n_sessions)
    x1, four = np.full(HAR_RETURNS, np.nan), np.zeros(HAR_RETURNS)
    x5, x21 = np.zeros(HAR_RETURNS), np.zeros(HAR_RETURNS)
    means, moments, beta = np.empty(4), np.empty((3, 4)), np.empty(3)
    for i in range(n_series):
        for t in range(HAR_RETURNS - missing):
            x1[missing + t] = returns[i, first + t] * returns[i, first + t]
        _sums_of_21(x1, four, x21)
        for t in range(HAR_RETURNS - 4):
            x5[t + 4] = (four[t + 4] + x1[t]) * 0.2
            x21[t + 4] *= 1.0 / 21.0
        n_obs[i] = _row_means(x1, x5, x21, means)
        last = HAR_RETURNS - 1
        if n_obs[i] < HAR_MIN_ROWS:
            outcome[i] = _TOO_FEW_ROWS
        elif np.isnan(x21[last]):
            outcome[i] = _RECENT_GAP
        else:
            _row_moments(x1, x5, x21, means, moments)
            outcome[i] = _solve_standardized(moments, 4e-28 * n_obs[i] * means[0], beta)
        if outcome[i] == _FITTED:
            raw = means[3] + beta[0] * (x1[last] - means[0])
            raw += beta[1] * (x5[last] - means[1]) + beta[2] * (x21[last] - means[2])
            forecast[i] = _within_range(raw, x21[20:])
            if forecast[i] != raw:
                outcome[i] = _CLIPPED
    return forecast, n_obs, outcome


@njit(cache=True, nogil=True, error_model="numpy", fastmath=REORDER)
def _row_means(x1: FloatArray, x5: FloatArray, x21: FloatArray, means: FloatArray) -> int:
    """Means of the three regressors and the target over the usable rows; returns their number.

    The target of origin t is the 21-session mean that ends at t + 21, so the two means know all 42 returns.
    """
    n_rows, m1, m5, m21, my = 0, 0.0, 0.0, 0.0, 0.0
    for t in range(20, 20 + HAR_ROWS):
        usable = not np.isnan(x21[t] + x21[t + 21])
        n_rows += usable
        m1 += x1[t] if usable else 0.0
        m5 += x5[t] if usable else 0.0
        m21 += x21[t] if usable else 0.0
        my += x21[t + 21] if usable else 0.0
    means[0], means[1], means[2], means[3] = m1 / n_rows, m5 / n_rows, m21 / n_rows, my / n_rows
    return n_rows


@njit(cache=True, nogil=True, error_model="numpy", fastmath=REORDER)
def _row_moments(
    x1: FloatArray, x5: FloatArray, x21: FloatArray, means: FloatArray, moments: FloatArray
) -> None:
    """Fill in the sums of products about the means; the target is the last column."""
    s11, s15, s55, s1m, s5m, smm, s1y, s5y, smy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    m1, m5, m21, my = means[0], means[1], means[2], means[3]
    for t in range(20, 20 + HAR_ROWS):
        usable = not np.isnan(x21[t] + x21[t + 21])
        a = x1[t] - m1 if usable else 0.0
        b = x5[t] - m5 if usable else 0.0
        c = x21[t] - m21 if usable else 0.0
        y = x21[t + 21] - my if usable else 0.0
        s11 += a * a
        s15 += a * b
        s55 += b * b
        s1m += a * c
        s5m += b * c
        smm += c * c
        s1y += a * y
        s5y += b * y
        smy += c * y
    moments[0, 0], moments[0, 1], moments[0, 2], moments[0, 3] = s11, s15, s1m, s1y
    moments[1, 0], moments[1, 1], moments[1, 2], moments[1, 3] = s15, s55, s5m, s5y
    moments[2, 0], moments[2, 1], moments[2, 2], moments[2, 3] = s1m, s5m, smm, smy


@njit(cache=True, nogil=True, error_model="numpy")
def _solve_standardized(moments: FloatArray, noise: float, beta: FloatArray) -> int:
    """Solve for the three slopes on regressors of unit variance; ``moments`` is overwritten.

    ``noise`` is the sum of squares that the rounding of the returns alone leaves in a regressor.
    """
    if moments[0, 0] <= noise:
        return _CONSTANT
    if moments[1, 1] <= noise or moments[2, 2] <= noise:
        return _COLLINEAR
    scale = np.sqrt(np.array([moments[0, 0], moments[1, 1], moments[2, 2]]))
    for j in range(3):
        moments[j, 3] /= scale[j]
        for k in range(3):
            moments[j, k] /= scale[j] * scale[k]
    for j in range(3):
        if moments[j, j] < 1e-10:  # what the regressors before it leave of this one's unit variance
            return _COLLINEAR
        for k in range(j + 1, 3):
            ratio = moments[k, j] / moments[j, j]
            for column in range(j, 4):
                moments[k, column] -= ratio * moments[j, column]
    for j in range(2, -1, -1):
        beta[j] = moments[j, 3]
        for k in range(j + 1, 3):
            beta[j] -= moments[j, k] * beta[k]
        beta[j] /= moments[j, j]
    for j in range(3):
        beta[j] /= scale[j]
    return _FITTED


@njit(cache=True, nogil=True)
def _within_range(raw: float, x: FloatArray) -> float:
    """Hold a value within the extremes of ``x``, NaN left out; ends as soon as it lies between two."""
    low, high = np.inf, -np.inf
    for t in range(len(x)):
        low = x[t] if x[t] < low else low
        high = x[t] if x[t] > high else high
        if low <= raw <= high:
            break
    return min(max(raw, low), high)
