"""Compiled loops over price panels, behind ``engine.metrics``; imports numpy and numba.

They take ``(n_symbols, n_sessions)`` arrays that end at the session asked about, NaN where missing.
"""

import numpy as np
from numba import njit

from engine.typing import FloatArray, IntArray

YEAR = 252
LANES = 16


@njit(cache=True, nogil=True)
def priced_columns(adj_close: FloatArray, references: IntArray) -> IntArray:
    """Last column with a price on or before each reference ``(n_symbols, n_references)``, -1 for none."""
    columns = np.empty((len(adj_close), len(references)), dtype=np.int64)
    for i in range(len(adj_close)):
        for k in range(len(references)):
            t = references[k]
            while t >= 0 and not adj_close[i, t] > 0.0:
                t -= 1
            columns[i, k] = t
    return columns


@njit(cache=True, nogil=True)
def first_priced(adj_close: FloatArray) -> IntArray:
    """First column with a price ``(n_symbols,)``, -1 for none."""
    n_symbols, n_sessions = adj_close.shape
    first = np.full(n_symbols, -1)
    for i in range(n_symbols):
        for t in range(n_sessions):
            if adj_close[i, t] > 0.0:
                first[i] = t
                break
    return first


@njit(cache=True, nogil=True, error_model="numpy")
def year_of_prices(adj_close: FloatArray) -> FloatArray:
    """Highest and lowest price, worst price over its peak, and number of prices of the last 252 columns.

    ``(4, n_symbols)``; NaN but for the number without a price. Sixteen symbols go through the sessions side
    by side: one alone waits at every session for its own running peak, which takes three times as long.
    """
    n_symbols, n_sessions = adj_close.shape
    first = max(0, n_sessions - YEAR)
    prices, result = np.full((YEAR, LANES), np.nan), np.empty((4, n_symbols))
    lanes = np.empty((4, LANES))
    peak, bottom, worst, n_prices = lanes[0], lanes[1], lanes[2], lanes[3]
    for start in range(0, n_symbols, LANES):
        n_lanes = min(LANES, n_symbols - start)
        for k in range(n_lanes):
            for t in range(n_sessions - first):
                price = adj_close[start + k, first + t]
                prices[t, k] = price if price > 0.0 else np.nan
        peak[:], bottom[:], worst[:], n_prices[:] = 0.0, np.inf, 1.0, 0.0
        for t in range(n_sessions - first):
            for k in range(LANES):
                price = prices[t, k]
                peak[k] = price if price > peak[k] else peak[k]
                bottom[k] = price if price < bottom[k] else bottom[k]
                ratio = price / peak[k]
                worst[k] = ratio if ratio < worst[k] else worst[k]
                n_prices[k] += 1.0 if price > 0.0 else 0.0
        for k in range(n_lanes):
            for j in range(4):
                result[j, start + k] = lanes[j, k] if n_prices[k] > 0.0 or j == 3 else np.nan
    return result


@njit(cache=True, nogil=True, error_model="numpy")
def year_of_returns(returns: FloatArray) -> FloatArray:
    """Count the last 252 returns; share of zeros and largest absolute value; ``(3, n_symbols)``."""
    n_symbols, n_sessions = returns.shape
    first = max(0, n_sessions - YEAR)
    result = np.empty((3, n_symbols))
    size = np.empty(n_sessions - first)
    for i in range(n_symbols):
        n_present, n_zero = 0, 0
        for t in range(len(size)):
            r = abs(returns[i, first + t])
            n_present += not np.isnan(r)
            n_zero += r == 0.0
            size[t] = 0.0 if np.isnan(r) else r
        length = len(size)
        while length > 1:  # folded in halves, which vectorizes: a running maximum does not
            half = (length + 1) // 2
            for t in range(length - half):
                size[t] = size[t + half] if size[t + half] > size[t] else size[t]
            length = half
        result[0, i], result[1, i] = n_present, n_zero / n_present
        result[2, i] = size[0] if n_present > 0 else np.nan
    return result
