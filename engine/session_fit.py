"""Window regressions of all symbols for one session; the lanes of a block are symbols. numpy and numba."""

import numpy as np
from numba import njit

from engine.design import Design
from engine.lanes import Block, Results, new_block, solve_block
from engine.least_squares import FAST, LANES
from engine.typing import FloatArray, IntArray
from engine.window_sums import shift_series, sum_rows, too_little_left


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def fit_session(returns: FloatArray, end: int, designs: tuple[Design, ...], results: Results) -> None:
    """Fit the windows that end at column ``end − 1`` of ``returns`` ``(n_symbols, n_sessions)``.

    The longest window is read once for all designs. ``results``: β, se ``(n_symbols, n_factors, 1)``; n,
    R², σ², reasons ``(n_symbols, n_models, 1)``.
    """
    n_rows = max([len(design.products) for design in designs])
    shifted, missing = np.zeros((LANES, n_rows)), np.empty((LANES, n_rows + 1), dtype=np.int64)
    levels, counts = np.zeros(LANES), np.zeros(LANES, dtype=np.int64)
    same_fit = np.zeros(LANES, dtype=np.int64)
    for start in range(0, len(returns), LANES):
        n_lanes = min(LANES, len(returns) - start)
        for lane in range(n_lanes):
            series = returns[start + lane, max(0, end - n_rows) : end]
            levels[lane], counts[lane] = shift_series(series, shifted[lane], missing[lane])
        model_at = factor_at = 0
        for design in designs:
            block = new_block(design)
            _fill_sums(design, shifted, levels, block[1])
            _fill_moments(design, missing, counts, n_rows, block[0])
            solve_block(design, same_fit, block)
            _store(design, block, start, n_lanes, (model_at, factor_at), results)
            model_at += len(design.models)
            factor_at += len(design.levels)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _fill_sums(design: Design, shifted: FloatArray, levels: FloatArray, sums: FloatArray) -> None:
    n_columns = len(design.columns)
    statistics = np.empty(n_columns + design.n_masks)
    n_rows = len(design.products)
    squared = np.empty(n_rows)
    for lane in range(LANES):
        series = shifted[lane, shifted.shape[1] - n_rows :]
        for row in range(n_rows):
            squared[row] = series[row] * series[row]
        sum_rows(design.columns, series, statistics[:n_columns])
        sum_rows(design.columns[: design.n_masks], squared, statistics[n_columns:])
        for i in range(len(sums)):
            source = design.sources[i]
            sums[i, lane] = levels[lane] if source < 0 else statistics[source]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _fill_moments(
    design: Design, missing: IntArray, counts: IntArray, n_rows: int, moments: FloatArray
) -> None:
    """Write each symbol's moments: few rows are missing as a rule, and those are taken off the totals."""
    products, totals = design.products, design.totals[:, 0]
    offset, n_moments = n_rows - len(products), len(totals)
    whole, own = np.zeros(products.shape[1]), np.empty(products.shape[1])
    whole[:n_moments] = totals
    for lane in range(LANES):
        gone = 0
        for m in range(len(own)):
            own[m] = whole[m]
        for i in range(counts[lane]):
            row = missing[lane, i] - offset
            if row >= 0:
                gone += 1
                for m in range(len(own)):
                    own[m] -= products[row, m]
        if gone > 0 and (2 * gone > design.window or too_little_left(own, whole, design.squares)):
            present = np.ones(len(products))
            for row in missing[lane, : counts[lane]] - offset:
                if row >= 0:
                    present[row] = 0.0
            sum_rows(design.product_columns, present, own)
        for m in range(n_moments):
            moments[m, lane] = own[m]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _store(
    design: Design, block: Block, start: int, n_lanes: int, at: tuple[int, int], results: Results
) -> None:
    """Copy a block's outputs to the rows of its symbols, from model and factor ``at`` on."""
    beta, error, n_obs, r_squared, variance, reasons = results
    out, masks = block[3], block[4]
    for m in range(len(design.models)):
        p, first = design.models[m, 0], design.models[m, 2]
        row = 3 * m + 2 * first
        for lane in range(n_lanes):
            n_obs[start + lane, at[0] + m, 0] = out[row, lane]
            r_squared[start + lane, at[0] + m, 0] = out[row + 1, lane]
            variance[start + lane, at[0] + m, 0] = out[row + 2, lane]
            reasons[start + lane, at[0] + m, 0] = masks[m, lane]
        for j in range(p):
            for lane in range(n_lanes):
                beta[start + lane, at[1] + first + j, 0] = out[row + 3 + j, lane]
                error[start + lane, at[1] + first + j, 0] = out[row + 3 + p + j, lane]
