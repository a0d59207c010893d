"""How the holdings of many portfolios move together; imports numpy and numba.

Of each portfolio the largest holdings by absolute value are compared pair by pair, over the sessions that a
pair has in common. Kept are the average, the diversification ratio and the strongest pairs: a matrix for each
portfolio and night would be the largest table of the lake, and one portfolio's is composed when asked for.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from engine.book import SymbolBook
from engine.correlation_kernels import UnitSeries, afresh, to_unit
from engine.least_squares import FAST
from engine.many_holdings import ManyHoldings
from engine.typing import FloatArray, IntArray

LOOKBACK, MIN_OVERLAP = 90, 30
LARGEST, STRONGEST = 50, 10
KEEP = 0.01  # of either sum of squares, below which a pair is computed afresh


@dataclass(frozen=True, slots=True)
class Diversification:
    """How spread portfolios are, over their ``LARGEST`` holdings and the last ``LOOKBACK`` sessions.

    Attributes
    ----------
    average : FloatArray
        ``(n_portfolios,)`` average of the known pairs' correlations with weights |E_i|·|E_j|; NaN for none.
    ratio : FloatArray
        ``(n_portfolios,)`` weighted volatilities over that of the whole, on the sessions that all have; NaN
        below ``MIN_OVERLAP`` of them.
    n_symbols : IntArray
        ``(n_portfolios,)`` holdings that both are over.
    portfolio, row_1, row_2 : IntArray
        ``(n_pairs,)`` the up to ``STRONGEST`` pairs of each portfolio by the size of their correlation,
        ``row_1`` being the larger holding; rows of the book.
    correlation, n_obs : FloatArray, IntArray
        ``(n_pairs,)``.
    """

    average: FloatArray
    ratio: FloatArray
    n_symbols: IntArray
    portfolio: IntArray
    row_1: IntArray
    row_2: IntArray
    correlation: FloatArray
    n_obs: IntArray


def unit_series(book: SymbolBook) -> UnitSeries:
    """Return the log returns that all portfolios of a book are compared by."""
    return to_unit(np.log1p(book.returns[:, -LOOKBACK:]))


def diversification_of_many(book: SymbolBook, units: UnitSeries, held: ManyHoldings) -> Diversification:
    """Measure how spread each portfolio is; ``units`` are those of the book.

    Each number is what ``engine.analysis.correlations`` says of the portfolio with as many symbols.
    """
    returns = np.ascontiguousarray(book.returns[:, -LOOKBACK:])
    average, ratio, n_symbols, pairs, strongest, n_obs = _compared(
        held.starts, held.rows, held.values, units, returns
    )
    portfolio, place = np.nonzero(pairs[:, :, 0] >= 0)
    return Diversification(
        average=average,
        ratio=ratio,
        n_symbols=n_symbols,
        portfolio=portfolio,
        row_1=pairs[portfolio, place, 0],
        row_2=pairs[portfolio, place, 1],
        correlation=strongest[portfolio, place],
        n_obs=n_obs[portfolio, place],
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _compared(
    starts: IntArray, rows: IntArray, values: FloatArray, units: UnitSeries, returns: FloatArray
) -> tuple[FloatArray, FloatArray, IntArray, IntArray, FloatArray, IntArray]:
    """Average, ratio and number of symbols of each portfolio, then its strongest pairs: rows, ρ, sessions."""
    n = len(starts) - 1
    average, ratio, n_symbols = np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, dtype=np.int64)
    pairs, n_obs = np.full((n, STRONGEST, 2), -1), np.zeros((n, STRONGEST), dtype=np.int64)
    strongest = np.full((n, STRONGEST), np.nan)
    block, in_gaps = np.empty((LARGEST, returns.shape[1])), np.empty((3, LARGEST, LARGEST))
    for p in range(n):
        size = np.abs(values[starts[p] : starts[p + 1]])
        ranked = starts[p] + np.argsort(-size, kind="mergesort")[:LARGEST]  # a stable sort
        mine, held = rows[ranked], values[ranked]
        n_symbols[p] = len(mine)
        ratio[p] = _ratio(returns, mine, held)
        for i in range(len(mine)):
            block[i] = units.unit[mine[i]]
        products = block[: len(mine)] @ block[: len(mine)].T
        _sum_in_gaps(units, mine, block, in_gaps)
        total, known = 0.0, 0.0
        for i in range(len(mine)):
            for j in range(i + 1, len(mine)):
                common = in_gaps[2, i, j]
                value = _correlation(products[i, j], common, in_gaps, i, j)
                if value == np.inf:
                    value = afresh(units.series[mine[i]], units.series[mine[j]])
                if not np.isnan(value):
                    weight = abs(held[i] * held[j])
                    total += weight * value
                    known += weight
                    if not abs(value) <= abs(strongest[p, -1]):
                        _place(value, (mine[i], mine[j], int(common)), (strongest[p], pairs[p], n_obs[p]))
        average[p] = total / known if known > 0 else np.nan
    return average, ratio, n_symbols, pairs, strongest, n_obs


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _sum_in_gaps(units: UnitSeries, mine: IntArray, block: FloatArray, out: FloatArray) -> None:
    """Fill in, for each pair of series, what is taken from the sums of one by the gaps of the other.

    ``out`` ``(3, …)`` by both series: sum, and sum of squares, of the second one in the gaps of the first,
    and the sessions that both have.
    """
    n, n_sessions = len(mine), block.shape[1]
    columns, missing = np.empty((n_sessions, n)), np.zeros((n_sessions, n))
    for i in range(n):
        for t in range(n_sessions):
            columns[t, i] = block[i, t]
        for at in range(units.starts[mine[i]], units.starts[mine[i] + 1]):
            missing[units.gaps[at], i] = 1.0
    gaps = units.starts[mine + 1] - units.starts[mine]
    for i in range(n):
        sums, squares, common = out[0, i], out[1, i], out[2, i]
        for j in range(n):
            sums[j], squares[j], common[j] = 0.0, 0.0, float(n_sessions - gaps[i] - gaps[j])
        for at in range(units.starts[mine[i]], units.starts[mine[i] + 1]):
            values, absent = columns[units.gaps[at]], missing[units.gaps[at]]
            for j in range(n):
                sums[j] += values[j]
                squares[j] += values[j] * values[j]
                common[j] += absent[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _correlation(product: float, common: float, in_gaps: FloatArray, i: int, j: int) -> float:
    """Correlate a pair by its sums over common sessions; NaN without an answer, inf to compute it afresh."""
    if common < MIN_OVERLAP:
        return np.nan
    sum_i, sum_j = in_gaps[0, j, i], in_gaps[0, i, j]
    square_i = 1.0 - in_gaps[1, j, i] - sum_i * sum_i / common
    square_j = 1.0 - in_gaps[1, i, j] - sum_j * sum_j / common
    if square_i < KEEP or square_j < KEEP:
        return np.inf
    value = (product - sum_i * sum_j / common) / np.sqrt(square_i * square_j)
    value = 1.0 if value > 1.0 else value
    return -1.0 if value < -1.0 else value


@njit(cache=True, nogil=True, error_model="numpy")
def _place(value: float, pair: tuple[int, int, int], best: tuple[FloatArray, IntArray, IntArray]) -> None:
    """Put a pair, its rows and sessions, among the strongest; of equal ones the first stays ahead."""
    strongest, pairs, n_obs = best
    at = STRONGEST - 1
    while at > 0 and not abs(strongest[at - 1]) >= abs(value):
        strongest[at], n_obs[at] = strongest[at - 1], n_obs[at - 1]
        pairs[at, 0], pairs[at, 1] = pairs[at - 1, 0], pairs[at - 1, 1]
        at -= 1
    strongest[at], n_obs[at], pairs[at, 0], pairs[at, 1] = value, pair[2], pair[0], pair[1]


@njit(cache=True, nogil=True, error_model="numpy")
def _ratio(returns: FloatArray, rows: IntArray, weights: FloatArray) -> float:
    """Σ|w|σ over the σ of Σ w r, on the sessions that all series have."""
    whole, common = np.zeros(returns.shape[1]), np.full(returns.shape[1], True)
    for i in range(len(rows)):
        for t in range(len(whole)):
            value = returns[rows[i], t]
            common[t] &= abs(value) < np.inf
            whole[t] += weights[i] * value
    n = np.sum(common)
    if n < MIN_OVERLAP or not len(rows):
        return np.nan
    alone = 0.0
    for i in range(len(rows)):
        alone += abs(weights[i]) * _deviation(returns[rows[i]], common, n)
    together = _deviation(whole, common, n)
    return alone / together if together > 0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _deviation(series: FloatArray, common: np.ndarray, n: int) -> float:
    """Take the standard deviation (ddof 1) of a series over some of its sessions."""
    mean, squares = 0.0, 0.0
    for t in range(len(series)):
        mean += series[t] if common[t] else 0.0
    mean /= n
    for t in range(len(series)):
        deviation = series[t] - mean if common[t] else 0.0
        squares += deviation * deviation
    return float(np.sqrt(squares / (n - 1)))
