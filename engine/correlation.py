"""Pairwise correlations and what follows from them; imports numpy, numba and scipy.

A pair is correlated over the sessions both have. One symmetric product of the centered, zero-filled series
gives every cross product at once; what a pair's gaps change in the means and variances is corrected by
walking the few missing sessions, which is far cheaper than walking the common ones.
"""

import numpy as np
from numba import njit
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from engine.typing import BoolArray, FloatArray, IntArray

NEGATIVE_EIGENVALUE = -1e-10
# A series whose deviations are this small against its level never moves: the rest is rounding.
LEVEL_ZERO = 1e-12
# When a correction leaves less of a sum of squares than this, the pair is computed afresh in two passes.
KEEP = 1e-6
TILE = 32
FAST = {"reassoc", "contract", "nsz", "arcp"}


def pairwise_correlation(series: FloatArray, min_overlap: int) -> tuple[FloatArray, IntArray]:
    """Correlate every pair of series over their common sessions.

    Parameters
    ----------
    series : FloatArray
        ``(n, n_sessions)`` log returns or any level, NaN where missing.
    min_overlap : int
        Common sessions below which a pair is NaN, never 0.

    Returns
    -------
    correlation : FloatArray
        ``(n, n)`` symmetric, within [-1, 1]; NaN also where a series stands still over the common sessions.
    n_obs : IntArray
        ``(n, n)`` common sessions.
    """
    present = np.isfinite(series)
    counts = present.sum(axis=1)
    filled = np.where(present, series, 0.0)
    mean = filled.sum(axis=1) / np.maximum(counts, 1)
    centered = np.where(present, series - mean[:, None], 0.0)
    centered -= np.where(present, (centered.sum(axis=1) / np.maximum(counts, 1))[:, None], 0.0)
    floor = counts * (LEVEL_ZERO * np.abs(mean)) ** 2
    correlation = centered @ centered.T
    ones = present.astype(np.float32)  # exact: sums of at most n_sessions ones
    n_obs = (ones @ ones.T).astype(np.int64)
    squares = np.diagonal(correlation).copy()
    of_gap, gaps = np.nonzero(~present)
    starts = np.searchsorted(of_gap, np.arange(len(series) + 1))
    by_session = np.ascontiguousarray(centered.T)
    _correlate(by_session, (starts, gaps), squares, floor, n_obs, correlation)
    for i, j in np.argwhere(np.isinf(correlation)).tolist():
        if i <= j:
            correlation[i, j] = correlation[j, i] = _afresh(centered, present, i, j)
    np.fill_diagonal(correlation, np.where(np.isnan(np.diagonal(correlation)), np.nan, 1.0))
    correlation[n_obs < min_overlap] = np.nan
    return correlation, n_obs


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _correlate(
    by_session: FloatArray,
    missing: tuple[IntArray, IntArray],
    squares: FloatArray,
    floor: FloatArray,
    n_obs: IntArray,
    products: FloatArray,
) -> None:
    """Turn cross products into correlations in place; inf where a pair has to be computed afresh.

    Tile by tile: what a series' gaps take from all series of the other tile is summed side by side, so every
    inner loop runs along memory.
    """
    n = len(products)
    of_rows, of_columns = np.empty((2, TILE, TILE)), np.empty((2, TILE, TILE))
    for top in range(0, n, TILE):
        for left in range(top, n, TILE):
            rows, columns = min(TILE, n - top), min(TILE, n - left)
            _over_gaps(by_session, missing, (top, rows, left, columns), of_columns)
            _over_gaps(by_session, missing, (left, columns, top, rows), of_rows)
            for i in range(rows):
                for j in range(columns):
                    common = max(1.0, float(n_obs[top + i, left + j]))
                    sum_i, sum_j = of_rows[0, j, i], of_columns[0, i, j]
                    square_i = squares[top + i] - of_rows[1, j, i]
                    square_j = squares[left + j] - of_columns[1, i, j]
                    variance_i = square_i - sum_i * sum_i / common
                    variance_j = square_j - sum_j * sum_j / common
                    value = products[top + i, left + j] - sum_i * sum_j / common
                    value = min(1.0, max(-1.0, value / np.sqrt(variance_i * variance_j)))
                    still = squares[top + i] <= floor[top + i] or squares[left + j] <= floor[left + j]
                    lost = variance_i < KEEP * squares[top + i] or variance_j < KEEP * squares[left + j]
                    of_columns[0, i, j] = np.nan if still else (np.inf if lost else value)
            for i in range(rows):
                for j in range(columns):
                    products[top + i, left + j] = of_columns[0, i, j]
            for j in range(columns):
                for i in range(rows):
                    products[left + j, top + i] = of_columns[0, i, j]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _over_gaps(
    by_session: FloatArray,
    missing: tuple[IntArray, IntArray],
    tile: tuple[int, int, int, int],
    sums: FloatArray,
) -> None:
    """Sum the series of one tile, and their squares, over the gaps of each series of another."""
    starts, gaps = missing
    first, n_first, second, n_second = tile
    for i in range(n_first):
        for j in range(n_second):
            sums[0, i, j] = 0.0
            sums[1, i, j] = 0.0
        for at in range(starts[first + i], starts[first + i + 1]):
            session = gaps[at]
            for j in range(n_second):
                value = by_session[session, second + j]
                sums[0, i, j] += value
                sums[1, i, j] += value * value


@njit(cache=True, nogil=True, error_model="numpy")
def _afresh(centered: FloatArray, present: BoolArray, i: int, j: int) -> float:
    """Correlate one pair in two passes over its common sessions; NaN when one of them stands still."""
    n, mean_i, mean_j = 0, 0.0, 0.0
    for t in range(present.shape[1]):
        if present[i, t] and present[j, t]:
            n += 1
            mean_i += centered[i, t]
            mean_j += centered[j, t]
    mean_i, mean_j = mean_i / n, mean_j / n
    covariance, variance_i, variance_j = 0.0, 0.0, 0.0
    for t in range(present.shape[1]):
        if present[i, t] and present[j, t]:
            x, y = centered[i, t] - mean_i, centered[j, t] - mean_j
            covariance += x * y
            variance_i += x * x
            variance_j += y * y
    # What is left of a series that stands still on the common sessions is the rounding of its mean.
    still_i = variance_i <= n * (LEVEL_ZERO * mean_i) ** 2
    still_j = variance_j <= n * (LEVEL_ZERO * mean_j) ** 2
    return np.nan if still_i or still_j else covariance / np.sqrt(variance_i * variance_j)


def repaired(correlation: FloatArray) -> tuple[FloatArray, bool]:
    """Return the nearest-by-clipping positive semidefinite matrix with unit diagonal, and whether it differs.

    Pairwise correlations need not fit together. Negative eigenvalues are set to 0 and the diagonal is scaled
    back to 1; a matrix with a NaN, or without a negative eigenvalue, is returned as it is.
    """
    if not correlation.size or not np.isfinite(correlation).all():
        return correlation, False
    values, vectors = np.linalg.eigh(correlation)
    if values[0] >= NEGATIVE_EIGENVALUE:
        return correlation, False
    rebuilt = (vectors * np.maximum(values, 0.0)) @ vectors.T
    scale = 1.0 / np.sqrt(np.diagonal(rebuilt))
    matrix = rebuilt * np.outer(scale, scale)
    np.fill_diagonal(matrix, 1.0)
    return matrix, True


def cluster_order(correlation: FloatArray) -> IntArray:
    """Return the order ``(n,)`` that puts similar series side by side: average linkage on 1 − ρ, NaN as 1."""
    n = len(correlation)
    if n < 3:
        return np.arange(n)
    distance = np.where(np.isfinite(correlation), 1.0 - correlation, 1.0)
    np.fill_diagonal(distance, 0.0)
    return np.asarray(
        leaves_list(linkage(squareform(distance, checks=False), method="average")), dtype=np.int64
    )


def average_correlation(correlation: FloatArray, weights: FloatArray) -> float:
    """Average the pairs with weights w_i·w_j over those that exist; NaN when none does."""
    upper = np.triu_indices(len(correlation), k=1)
    pairs, values = np.outer(weights, weights)[upper], correlation[upper]
    known = np.isfinite(values)
    total = float(pairs[known].sum())
    return float(pairs[known] @ values[known]) / total if total > 0 else np.nan


def diversification_ratio(weights: FloatArray, returns: FloatArray) -> float:
    """Return weighted volatilities over the volatility of the whole, on the sessions that all series have.

    ``weights`` ``(n,)`` are signed, ``returns`` ``(n, n_sessions)``; NaN below two common sessions.
    """
    common = returns[:, np.isfinite(returns).all(axis=0)]
    if common.shape[1] < 2 or not len(weights):
        return np.nan
    alone = float(np.abs(weights) @ common.std(axis=1, ddof=1))
    together = float((weights @ common).std(ddof=1))
    return alone / together if together > 0 else np.nan


def effective_bets(correlation: FloatArray) -> float:
    """Return exp(−Σ p ln p), p the shares of the repaired matrix's eigenvalues; NaN when a pair lacks."""
    if not correlation.size or not np.isfinite(correlation).all():
        return np.nan
    values = np.maximum(np.linalg.eigvalsh(repaired(correlation)[0]), 0.0)
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares @ np.log(shares))))
