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
def shift_series(series: FloatArray, level: float, shifted: FloatArray) -> None:
    """Copy ``series`` less ``level`` to the end of ``shifted``; 0 before it and where it is missing."""
    before = len(shifted) - len(series)
    shifted[:before] = 0.0
    tail = shifted[before:]
    for row in range(len(series)):
        tail[row] = series[row] - level if abs(series[row]) < np.inf else 0.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def find_missing(series: FloatArray, before: int, missing: IntArray) -> int:
    """Write the rows of ``series`` that are not finite to ``missing``, ascending, ``before`` added to each.

    Returns their number; ``missing`` has at least one place more than the series has rows.
    """
    count = 0
    for row in range(len(series)):
        missing[count] = before + row  # stays only when missing: a branch would be mispredicted at every gap
        count += 0 if abs(series[row]) < np.inf else 1
    return count


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
def sum_lanes(columns: FloatArray, lanes: FloatArray, sums: FloatArray) -> None:
    """Sums of ``columns`` ``(n, n_rows)`` times the last rows of each lane, into ``sums`` ``(n, n_lanes)``.

    Four columns and four lanes go together, so that eight loads serve sixteen sums side by side; columns
    beyond the last one repeat it. ``n_lanes`` is a multiple of four.
    """
    n_rows, last = columns.shape[1], len(columns) - 1
    first = max(0, lanes.shape[1] - n_rows)  # seen to be ≥ 0, or every index is tested and no loop vectorized
    for lane in range(0, len(lanes), 4):
        for i in range(0, len(columns), 4):
            j, k, m = min(i + 1, last), min(i + 2, last), min(i + 3, last)
            iw, ix, iy, iz = 0.0, 0.0, 0.0, 0.0
            jw, jx, jy, jz = 0.0, 0.0, 0.0, 0.0
            kw, kx, ky, kz = 0.0, 0.0, 0.0, 0.0
            mw, mx, my, mz = 0.0, 0.0, 0.0, 0.0
            for row in range(n_rows):
                a, b, c, d = columns[i, row], columns[j, row], columns[k, row], columns[m, row]
                w, x = lanes[lane, first + row], lanes[lane + 1, first + row]
                y, z = lanes[lane + 2, first + row], lanes[lane + 3, first + row]
                iw, ix, iy, iz = iw + a * w, ix + a * x, iy + a * y, iz + a * z
                jw, jx, jy, jz = jw + b * w, jx + b * x, jy + b * y, jz + b * z
                kw, kx, ky, kz = kw + c * w, kx + c * x, ky + c * y, kz + c * z
                mw, mx, my, mz = mw + d * w, mx + d * x, my + d * y, mz + d * z
            sums[i, lane], sums[i, lane + 1], sums[i, lane + 2], sums[i, lane + 3] = iw, ix, iy, iz
            sums[j, lane], sums[j, lane + 1], sums[j, lane + 2], sums[j, lane + 3] = jw, jx, jy, jz
            sums[k, lane], sums[k, lane + 1], sums[k, lane + 2], sums[k, lane + 3] = kw, kx, ky, kz
            sums[m, lane], sums[m, lane + 1], sums[m, lane + 2], sums[m, lane + 3] = mw, mx, my, mz


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def sum_masked(masks: FloatArray, lanes: FloatArray, sums: FloatArray, squares: FloatArray) -> None:
    """Sums of each lane's last rows, and of their squares, where ``masks`` ``(n, n_rows)`` are 1.

    ``sums`` and ``squares`` are ``(n, n_lanes)``; ``n_lanes`` is a multiple of four.
    """
    n_rows = masks.shape[1]
    first = max(0, lanes.shape[1] - n_rows)
    for lane in range(0, len(lanes), 4):
        for i in range(len(masks)):
            a, b, c, d = 0.0, 0.0, 0.0, 0.0
            aa, bb, cc, dd = 0.0, 0.0, 0.0, 0.0
            for row in range(n_rows):
                mask = masks[i, row]
                e, f = mask * lanes[lane, first + row], mask * lanes[lane + 1, first + row]
                g, h = mask * lanes[lane + 2, first + row], mask * lanes[lane + 3, first + row]
                a, b, c, d = a + e, b + f, c + g, d + h
                aa, bb, cc, dd = aa + e * e, bb + f * f, cc + g * g, dd + h * h
            sums[i, lane], sums[i, lane + 1], sums[i, lane + 2], sums[i, lane + 3] = a, b, c, d
            squares[i, lane], squares[i, lane + 1] = aa, bb
            squares[i, lane + 2], squares[i, lane + 3] = cc, dd


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def sum_rolling_rows(columns: FloatArray, weights: FloatArray, sums: FloatArray) -> None:
    """Sum as ``sum_rows`` over every window of a chunk into ``sums`` ``(n, n_fits)``; n_fits ≤ window.

    The rows before the first session are summed backward, those from it on forward; each window is one sum
    of either kind (van Herk 1992; Gil & Werman 1993), two additions a row. Each addition waits for the one
    before, so four columns go side by side; those beyond the last one repeat it.
    """
    n_fits, last = sums.shape[1], len(columns) - 1
    before = max(0, len(weights) - n_fits)
    for i in range(0, len(columns), 4):
        j, k, m = min(i + 1, last), min(i + 2, last), min(i + 3, last)
        for fit in range(before, n_fits):
            sums[i, fit], sums[j, fit], sums[k, fit], sums[m, fit] = 0.0, 0.0, 0.0, 0.0
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for row in range(before - 1, -1, -1):
            weight = weights[row]
            a, b = a + columns[i, row] * weight, b + columns[j, row] * weight
            c, d = c + columns[k, row] * weight, d + columns[m, row] * weight
            if row < n_fits:
                sums[i, row], sums[j, row], sums[k, row], sums[m, row] = a, b, c, d
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for fit in range(n_fits):
            weight = weights[before + fit]
            a, b = a + columns[i, before + fit] * weight, b + columns[j, before + fit] * weight
            c, d = c + columns[k, before + fit] * weight, d + columns[m, before + fit] * weight
            # All four are read before one is written: a column that is repeated is added to once.
            w, x, y, z = sums[i, fit] + a, sums[j, fit] + b, sums[k, fit] + c, sums[m, fit] + d
            sums[i, fit], sums[j, fit], sums[k, fit], sums[m, fit] = w, x, y, z
