"""Window regressions of all symbols for consecutive sessions; the lanes of a block are sessions.

Imports numpy and numba. A chunk holds at most ``LANES`` sessions and no more than the shortest window: the
caller sees to it, for the sums of a longer one would hold rows from before its windows.
"""

import numpy as np
from numba import njit

from engine.design import Design
from engine.lanes import Block, Results, new_block, solve_block
from engine.least_squares import FAST, LANES
from engine.typing import FloatArray, IntArray
from engine.window_sums import (
    KEEP,
    find_missing,
    shift_series,
    sum_rolling_rows,
    typical_value,
)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def fit_history(
    returns: FloatArray, end: int, designs: tuple[Design, ...], first_fit: int, results: Results
) -> None:
    """Fit the windows of a chunk of sessions, the last of which is column ``end − 1`` of ``returns``.

    ``results`` as for a single session, ``(n_symbols, …, n_fits)``, written from ``first_fit`` on.
    """
    n_fits = designs[0].totals.shape[1]
    n_rows = max([len(design.products) for design in designs])
    shifted, missing = np.empty(n_rows), np.empty(n_rows + 1, dtype=np.int64)
    fits = np.minimum(np.arange(LANES), n_fits - 1)
    for symbol in range(len(returns)):
        series = returns[symbol, max(0, end - n_rows) : end]
        level = typical_value(series)
        shift_series(series, level, shifted)
        count = find_missing(series, n_rows - len(series), missing)
        model_at = factor_at = 0
        for design in designs:
            block, offset = new_block(design), n_rows - len(design.products)
            _fill_sums(design, shifted[offset:], level, block[1])
            _fill_moments(design, missing[:count] - offset, block[0])
            solve_block(design, fits, block)
            _store(design, block, (symbol, first_fit), (model_at, factor_at), results)
            model_at += len(design.models)
            factor_at += len(design.levels)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _fill_sums(design: Design, shifted: FloatArray, level: float, sums: FloatArray) -> None:
    n_fits, n_columns = design.totals.shape[1], len(design.columns)
    statistics = np.empty((n_columns + design.n_masks, n_fits))
    sum_rolling_rows(design.columns, shifted, statistics)
    sum_rolling_rows(design.columns[: design.n_masks], shifted * shifted, statistics[n_columns:])
    for i in range(len(sums)):
        source = design.sources[i]
        for fit in range(n_fits):
            sums[i, fit] = level if source < 0 else statistics[source, fit]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _fill_moments(design: Design, missing: IntArray, moments: FloatArray) -> None:
    """Write each session's moments; a missing row is subtracted from the run of windows that hold it."""
    n_moments, n_fits = design.totals.shape
    own = 4 * len(missing) > len(design.products)
    if not own:
        for m in range(n_moments):
            for fit in range(n_fits):
                moments[m, fit] = design.totals[m, fit]
        for row in missing:
            begin, end = max(0, row - design.window + 1), min(n_fits, row + 1)
            for m in range(n_moments):
                product = design.products[max(row, 0), m]
                for fit in range(begin, end):
                    moments[m, fit] -= product
        for square in design.squares:
            for fit in range(n_fits):
                own |= moments[square, fit] < KEEP * design.totals[square, fit]
    if own:
        present = np.ones(len(design.products))
        for row in missing:
            if row >= 0:
                present[row] = 0.0
        sums = np.empty((n_moments, n_fits))
        sum_rolling_rows(design.product_columns[:n_moments], present, sums)
        moments[:, :n_fits] = sums


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _store(
    design: Design, block: Block, place: tuple[int, int], at: tuple[int, int], results: Results
) -> None:
    """Copy a block's outputs: ``place`` is (symbol, first fit), ``at`` is (first model, first factor)."""
    beta, error, n_obs, r_squared, variance, reasons = results
    out, masks = block[3], block[4]
    symbol, fit = place[0], max(0, place[1])
    n_fits = design.totals.shape[1]
    for m in range(len(design.models)):
        p, first = design.models[m, 0], design.models[m, 2]
        row, model = 3 * m + 2 * first, at[0] + m
        for lane in range(n_fits):
            n_obs[symbol, model, fit + lane] = out[row, lane]
        for lane in range(n_fits):
            r_squared[symbol, model, fit + lane] = out[row + 1, lane]
        for lane in range(n_fits):
            variance[symbol, model, fit + lane] = out[row + 2, lane]
        for lane in range(n_fits):
            reasons[symbol, model, fit + lane] = masks[m, lane]
        for j in range(p):
            factor = at[1] + first + j
            for lane in range(n_fits):
                beta[symbol, factor, fit + lane] = out[row + 3 + j, lane]
            for lane in range(n_fits):
                error[symbol, factor, fit + lane] = out[row + 3 + p + j, lane]
