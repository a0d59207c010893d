"""Pairwise correlations and what follows from them; imports numpy and scipy."""

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from engine.correlation_kernels import correlate_strip, to_unit
from engine.typing import FloatArray, Int32Array, IntArray

NEGATIVE_EIGENVALUE = -1e-10
# Rows whose cross products are taken at once: they are still in cache when they are corrected.
STRIP = 128


def pairwise_correlation(log_returns: FloatArray, min_overlap: int) -> tuple[FloatArray, Int32Array]:
    """Correlate every pair of series over their common sessions.

    Parameters
    ----------
    log_returns : FloatArray
        ``(n, n_sessions)`` log returns, or series of any level; not finite where missing.
    min_overlap : int
        Common sessions below which a pair is NaN, never 0.

    Returns
    -------
    correlation : FloatArray
        ``(n, n)`` symmetric, within [-1, 1]; NaN also where a series is constant over the common sessions.
    n_obs : Int32Array
        ``(n, n)`` common sessions.
    """
    n = len(log_returns)
    correlation, n_obs = np.empty((n, n)), np.empty((n, n), dtype=np.int32)
    units = to_unit(np.ascontiguousarray(log_returns, dtype=np.float64))
    for start in range(0, n, STRIP):
        products = units.unit[start : start + STRIP] @ units.unit[start:].T
        correlate_strip(products, start, units, min_overlap, (correlation, n_obs))
    diagonal = np.einsum("ii->i", correlation)
    diagonal[np.isfinite(diagonal)] = 1.0
    return correlation, n_obs


def repair(correlation: FloatArray) -> tuple[FloatArray, bool]:
    """Return the nearest-by-clipping positive semidefinite matrix with unit diagonal, and whether it differs.

    Pairwise correlations need not fit together. Negative eigenvalues are set to 0 and the diagonal is scaled
    back to 1; a matrix with a NaN, or without a negative eigenvalue, is returned as it is.
    """
    if not correlation.size or not np.isfinite(correlation).all():
        return correlation, False
    values, vectors = np.linalg.eigh(correlation)
    if values[0] >= NEGATIVE_EIGENVALUE:
        return correlation, False
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    root /= np.sqrt((root * root).sum(axis=1, keepdims=True))
    matrix = root @ root.T
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


def diversification_ratio(weights: FloatArray, returns: FloatArray, min_overlap: int) -> float:
    """Return weighted volatilities over the volatility of the whole, on the sessions that all series have.

    ``weights`` ``(n,)`` are signed, ``returns`` ``(n, n_sessions)``; NaN below ``min_overlap`` common
    sessions.
    """
    common = returns[:, np.isfinite(returns).all(axis=0)]
    if common.shape[1] < max(min_overlap, 2) or not len(weights):
        return np.nan
    alone = float(np.abs(weights) @ common.std(axis=1, ddof=1))
    together = float((weights @ common).std(ddof=1))
    return alone / together if together > 0 else np.nan


def effective_bets(correlation: FloatArray) -> float:
    """Return exp(−Σ p ln p), p the shares of the repaired matrix's eigenvalues; NaN when a pair lacks."""
    if not correlation.size or not np.isfinite(correlation).all():
        return np.nan
    values = np.maximum(np.linalg.eigvalsh(repair(correlation)[0]), 0.0)
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares @ np.log(shares))))
