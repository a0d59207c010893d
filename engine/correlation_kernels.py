"""Compiled side of the pairwise correlations; imports numpy and numba.

Series come ``(n, n_sessions)``, not finite where missing. Each is brought to mean 0 and sum of squares 1 over
its own sessions, 0 where missing, so that cross products over common sessions are plain dot products. What a
pair's gaps take from the sums of either side is summed over those few gaps, which is far cheaper than summing
over the common sessions.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from engine.least_squares import FAST, LEVEL_ZERO, RETURN_ZERO
from engine.typing import FloatArray, Int32Array, IntArray

WordArray: TypeAlias = npt.NDArray[np.uint64]

TILE = 64
# A pair is computed afresh when its gaps leave less than this share of either sum of squares: two digits are
# lost by then, and only a series that hardly moves outside the other's gaps gets there.
KEEP = 0.01


class UnitSeries(NamedTuple):
    """Series ready to be correlated.

    ``unit`` ``(n, n_sessions)`` has mean 0 and sum of squares 1, 0 where missing; all NaN for a constant.
    ``tiles`` ``(n_tiles, n_sessions, TILE)`` holds it again, ``TILE`` series side by side, and ``present``
    ``(n_tiles, n_words, TILE)`` a bit for each session they have. The gaps of series i are
    ``gaps[starts[i]:starts[i + 1]]``.
    """

    series: FloatArray
    unit: FloatArray
    tiles: FloatArray
    present: WordArray
    starts: IntArray
    gaps: IntArray


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def to_unit(series: FloatArray) -> UnitSeries:
    """Center and scale every series ``(n, n_sessions)``, and find its gaps."""
    n, n_sessions = series.shape
    n_tiles = (n + TILE - 1) // TILE
    unit, tiles = np.empty((n, n_sessions)), np.zeros((n_tiles, n_sessions, TILE))
    present = np.zeros((n_tiles, (n_sessions + 63) // 64, TILE), dtype=np.uint64)
    starts, gaps = np.zeros(n + 1, dtype=np.int64), np.empty(n * n_sessions, dtype=np.int64)
    for i in range(n):
        n_gaps = starts[i]
        for t in range(n_sessions):
            gaps[n_gaps] = t  # stays only when missing: nothing to mispredict
            n_gaps += 0 if abs(series[i, t]) < np.inf else 1
        starts[i + 1] = n_gaps
        words = present[i // TILE, :, i % TILE]
        words[:] = ~np.uint64(0)
        words[-1] >>= np.uint64(-n_sessions % 64)
        for at in range(starts[i], n_gaps):
            words[gaps[at] // 64] ^= np.uint64(1) << np.uint64(gaps[at] % 64)
        _scale(series[i], n_sessions - (n_gaps - starts[i]), unit[i])
    for first in range(0, n, TILE):
        for t in range(n_sessions):
            for i in range(first, min(n, first + TILE)):
                tiles[first // TILE, t, i - first] = unit[i, t]
    return UnitSeries(series, unit, tiles, present, starts, gaps[: starts[n]])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _scale(series: FloatArray, n: int, unit: FloatArray) -> None:
    """Bring one series with ``n`` values to mean 0 and sum of squares 1."""
    total, rest, squares = 0.0, 0.0, 0.0
    for t in range(len(series)):
        total += series[t] if abs(series[t]) < np.inf else 0.0
    mean = total / max(n, 1)
    for t in range(len(series)):
        unit[t] = series[t] - mean if abs(series[t]) < np.inf else 0.0
        rest += unit[t]
    # The mean of large values is rounded to their digits; what it left over is not.
    rest /= max(n, 1)
    for t in range(len(series)):
        unit[t] = unit[t] - rest if abs(series[t]) < np.inf else 0.0
        squares += unit[t] * unit[t]
    scale = np.nan if _is_constant(squares, n, mean) else 1.0 / np.sqrt(squares)
    for t in range(len(series)):
        unit[t] *= scale


@njit(cache=True, nogil=True, error_model="numpy")
def _is_constant(squares: float, n: int, mean: float) -> bool:
    """Whether a sum of squares about the mean is no more than the rounding of a constant."""
    floor = RETURN_ZERO + LEVEL_ZERO * abs(mean)
    return squares <= n * floor * floor


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def correlate_strip(
    products: FloatArray, start: int, units: UnitSeries, min_overlap: int, out: tuple[FloatArray, Int32Array]
) -> None:
    """Fill the rows of a strip right of the diagonal, and the columns that mirror them.

    ``products`` ``(n_rows, n - start)`` are the cross products of the unit series from ``start`` on with all
    from ``start`` on; ``out`` are the correlations and the common sessions, ``(n, n)``.
    """
    n = len(units.series)
    work, of_rows = np.empty((TILE, 6, TILE)), np.empty((TILE, 2, TILE))
    values, common = np.empty((TILE, TILE)), np.empty((TILE, TILE), dtype=np.int32)
    for top in range(start, start + len(products), TILE):
        rows = min(TILE, start + len(products) - top)
        for left in range(top, n, TILE):
            columns = min(TILE, n - left)
            _count_common(units.present[top // TILE], units.present[left // TILE], common)
            _sum_over_common(units, top, rows, left, work)
            _sum_over_common(units, left, columns, top, of_rows)
            for i in range(rows):
                for j in range(columns):
                    work[i, 2, j], work[i, 3, j] = of_rows[j, 0, i], of_rows[j, 1, i]
                for j in range(columns):
                    work[i, 4, j] = products[top - start + i, left - start + j]
                    work[i, 5, j] = common[i, j]
                _correct(work[i], values[i])
                for j in range(columns):
                    if common[i, j] < min_overlap:
                        values[i, j] = np.nan
                    elif values[i, j] == np.inf:
                        values[i, j] = afresh(units.series[top + i], units.series[left + j])
            _store(values, (top, rows, left, columns), out[0])
            _store(common, (top, rows, left, columns), out[1])


@njit(cache=True, nogil=True, error_model="numpy")
def _count_common(rows: WordArray, columns: WordArray, common: Int32Array) -> None:
    """Count the sessions that each pair of two tiles shares: the bits set in both."""
    for i in range(TILE):
        for j in range(TILE):
            common[i, j] = 0
        for word in range(len(rows)):
            of_row = rows[word, i]
            for j in range(TILE):
                common[i, j] += np.int32(_count_bits(of_row & columns[word, j]))


@njit(cache=True, nogil=True, error_model="numpy")
def _count_bits(word: np.uint64) -> np.int64:
    """Count set bits in pairs, nibbles and bytes (Warren 2012, 5-1); compiles to one instruction."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _sum_over_common(units: UnitSeries, first: int, count: int, other: int, sums: FloatArray) -> None:
    """Sum the tile at ``other``, and its squares, over the sessions of each of ``count`` series.

    Over all sessions the sums are 0 and 1: what falls into the gaps is taken away.
    """
    tile = units.tiles[other // TILE]
    for i in range(count):
        row = sums[i]
        for lane in range(TILE):
            row[0, lane], row[1, lane] = 0.0, 1.0
        for at in range(units.starts[first + i], units.starts[first + i + 1]):
            session = tile[units.gaps[at]]
            for lane in range(TILE):
                row[0, lane] -= session[lane]
                row[1, lane] -= session[lane] * session[lane]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _correct(work: FloatArray, values: FloatArray) -> None:
    """Turn cross products into correlations; inf where a pair has to be computed afresh.

    ``work`` ``(6, TILE)``: sum and sum of squares of the column's series over the common sessions, those of
    the row's series, cross product, number of sessions. One array, since the compiler does not go on to prove
    that six do not overlap.
    """
    for j in range(TILE):
        share = 1.0 / work[5, j]
        sum_j, sum_i = work[0, j], work[2, j]
        square_j = work[1, j] - sum_j * sum_j * share
        square_i = work[3, j] - sum_i * sum_i * share
        value = (work[4, j] - sum_i * sum_j * share) / np.sqrt(square_i * square_j)
        value = 1.0 if value > 1.0 else value
        value = -1.0 if value < -1.0 else value
        values[j] = np.inf if square_i < KEEP or square_j < KEEP else value


@njit(cache=True, nogil=True, error_model="numpy")
def _store(
    tile: FloatArray | Int32Array, place: tuple[int, int, int, int], matrix: FloatArray | Int32Array
) -> None:
    """Write a tile and its mirror image; on the diagonal the upper triangle is written to both sides."""
    top, rows, left, columns = place
    for i in range(rows):
        for j in range(columns):
            matrix[top + i, left + j] = tile[i, j]
    for j in range(columns):
        for i in range(min(rows, left + j - top + 1)):
            matrix[left + j, top + i] = tile[i, j]


@njit(cache=True, nogil=True, error_model="numpy")
def afresh(x: FloatArray, y: FloatArray) -> float:
    """Correlate one pair in two passes over its common sessions; NaN when either is constant on them."""
    n, mean_x, mean_y = 0, 0.0, 0.0
    for t in range(len(x)):
        if abs(x[t]) < np.inf and abs(y[t]) < np.inf:
            n += 1
            mean_x += x[t]
            mean_y += y[t]
    mean_x, mean_y = mean_x / max(n, 1), mean_y / max(n, 1)
    rest_x, rest_y, xx, yy, xy = 0.0, 0.0, 0.0, 0.0, 0.0
    for t in range(len(x)):
        if abs(x[t]) < np.inf and abs(y[t]) < np.inf:
            dx, dy = x[t] - mean_x, y[t] - mean_y
            rest_x += dx
            rest_y += dy
            xx += dx * dx
            yy += dy * dy
            xy += dx * dy
    if n == 0 or _is_constant(xx, n, mean_x) or _is_constant(yy, n, mean_y):
        return np.nan
    # The mean of large values is rounded to their digits; what it left over is not.
    xx, yy, xy = xx - rest_x * rest_x / n, yy - rest_y * rest_y / n, xy - rest_x * rest_y / n
    return float(min(1.0, max(-1.0, xy / np.sqrt(xx * yy))))
