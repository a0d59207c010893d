"""One symbol's side of the window regressions: its sums with the factors and its own rows' moments.

Imports numpy and numba. No running sum is ever subtracted from another: a bad tick that has left the window
leaves no residue behind, and a long history ends on the digits of a single session.
"""

import numpy as np
from numba import njit

from engine.least_squares import FAST
from engine.typing import FloatArray, IntArray

# Below this share of a window's sum of squares the rows left are summed afresh instead of by subtraction.
KEEP = 0.01


@njit(cache=True, nogil=True, error_model="numpy")
def typical_value(series: FloatArray) -> float:
    """Median of three values of the later half of a series, a missing one counting as 0.

    Any shift near the bulk of the data keeps the digits of its sums. A mean would be dragged off by one bad
    tick that other windows of the chunk do not even contain; returns lie near 0 if nothing else is known.
    """
    last = len(series) - 1
    a, b, c = series[last], series[last - last // 4], series[last - last // 2]
    a, b, c = a if abs(a) < np.inf else 0.0, b if abs(b) < np.inf else 0.0, c if abs(c) < np.inf else 0.0
    return max(min(a, b), min(max(a, b), c))


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def shift_series(series: FloatArray, shifted: FloatArray, missing: IntArray) -> tuple[float, int]:
    """Copy ``series`` less its typical value to the end of ``shifted``; 0 before it and where it is missing.

    Returns that value and the number of rows written to ``missing``: those of ``shifted`` that lie inside
    the series and are not finite, in ascending order.
    """
    level = typical_value(series)
    before = len(shifted) - len(series)
    shifted[:before] = 0.0
    tail = shifted[before:]
    for row in range(len(series)):
        tail[row] = series[row] - level if abs(series[row]) < np.inf else 0.0
    n_missing = 0
    for start in range(0, len(series), 16):
        piece = series[start : start + 16]
        gaps = 0
        for row in range(len(piece)):
            gaps += 0 if abs(piece[row]) < np.inf else 1
        if gaps > 0:
            for row in range(len(piece)):
                missing[n_missing] = before + start + row  # stays only when missing: nothing to mispredict
                n_missing += 0 if abs(piece[row]) < np.inf else 1
    return level, n_missing


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def sum_rows(columns: FloatArray, weights: FloatArray, sums: FloatArray) -> None:
    """Weighted sums of ``columns`` ``(n, n_rows)``, weights ``(n_rows,)``, into ``sums`` ``(n,)``.

    Four columns go together: the weights are read once for them, and four sums run side by side.
    """
    together = len(columns) - len(columns) % 4
    for i in range(0, together, 4):
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for row in range(len(weights)):
            weight = weights[row]
            a += columns[i, row] * weight
            b += columns[i + 1, row] * weight
            c += columns[i + 2, row] * weight
            d += columns[i + 3, row] * weight
        sums[i], sums[i + 1], sums[i + 2], sums[i + 3] = a, b, c, d
    for i in range(together, len(columns)):
        total = 0.0
        for row in range(len(weights)):
            total += columns[i, row] * weights[row]
        sums[i] = total


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def sum_rolling_rows(columns: FloatArray, weights: FloatArray, sums: FloatArray) -> None:
    """Sum as ``sum_rows`` over every window of a chunk into ``sums`` ``(n, n_fits)``; n_fits ≤ window.

    The rows before the first session are summed backward, those from it on forward; each window is one sum
    of either kind (van Herk 1992; Gil & Werman 1993), two additions a row.
    """
    n_fits = sums.shape[1]
    before = len(weights) - n_fits
    for i in range(len(columns)):
        for fit in range(before, n_fits):
            sums[i, fit] = 0.0
        total = 0.0
        for row in range(before - 1, n_fits - 1, -1):
            total += columns[i, row] * weights[row]
        for row in range(min(before, n_fits) - 1, -1, -1):
            total += columns[i, row] * weights[row]
            sums[i, row] = total
        total = 0.0
        for fit in range(n_fits):
            total += columns[i, before + fit] * weights[before + fit]
            sums[i, fit] += total


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def too_little_left(moments: FloatArray, totals: FloatArray, squares: IntArray) -> bool:
    """Whether subtraction left a case ``(n_moments,)`` little of a sum of squares of the whole window."""
    for square in squares:
        if moments[square] < KEEP * totals[square]:
            return True
    return False
