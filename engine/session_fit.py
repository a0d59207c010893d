"""Window regressions of all symbols for one session; a block's ``LANES`` are symbols. numpy and numba."""

import numpy as np
from numba import njit

from engine.design import Design
from engine.lanes import Block, Results, new_block, solve_block
from engine.least_squares import FAST, LANES
from engine.typing import FloatArray, IntArray
from engine.window_sums import (
    KEEP,
    find_missing,
    sum_lanes,
    sum_masked,
    sum_rows,
    typical_value,
)


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
    blocks, totals = [new_block(design) for design in designs], [_totals_from(design) for design in designs]
    for start in range(0, len(returns), LANES):
        n_lanes = min(LANES, len(returns) - start)
        _read_block(returns[start : start + n_lanes], end, shifted, levels)
        _find_missing(returns[start : start + n_lanes], end, missing, counts)
        model_at = factor_at = 0
        for k in range(len(designs)):
            design, block = designs[k], blocks[k]
            _fill_sums(design, shifted, levels, block[1])
            _fill_moments(design, totals[k], missing, counts, block[0])
            solve_block(design, same_fit, block)
            _store(design, block, start, n_lanes, (model_at, factor_at), results)
            model_at += len(design.models)
            factor_at += len(design.levels)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _read_block(returns: FloatArray, end: int, shifted: FloatArray, levels: FloatArray) -> None:
    """Copy the rows up to column ``end``, less a typical value of each, to the ends of the lanes.

    0 stands for what is missing or before the first session. Rows come from memory one after the other;
    anything slower than this copy in the same loop would hold up the fetching of the next one.
    """
    n_rows = shifted.shape[1]
    begin, before = max(0, end - n_rows), max(0, n_rows - end)
    for lane in range(len(returns)):
        level = typical_value(returns[lane, begin:end])
        levels[lane] = level
        for row in range(end - begin):
            value = returns[lane, begin + row]
            shifted[lane, before + row] = value - level if abs(value) < np.inf else 0.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _find_missing(returns: FloatArray, end: int, missing: IntArray, counts: IntArray) -> None:
    begin, before = max(0, end - missing.shape[1] + 1), max(0, missing.shape[1] - 1 - end)
    for lane in range(len(returns)):
        counts[lane] = find_missing(returns[lane, begin:end], before, missing[lane])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _fill_sums(design: Design, shifted: FloatArray, levels: FloatArray, sums: FloatArray) -> None:
    n_masks, n_columns = design.n_masks, len(design.columns)
    statistics = np.empty((n_columns + n_masks, LANES))
    sum_masked(design.columns[:n_masks], shifted, statistics[:n_masks], statistics[n_columns:])
    sum_lanes(design.columns[n_masks:], shifted, statistics[n_masks:n_columns])
    for i in range(len(sums)):
        source = design.sources[i]
        for lane in range(LANES):
            sums[i, lane] = levels[lane] if source < 0 else statistics[source, lane]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _totals_from(design: Design) -> FloatArray:
    """Moments of the rows from each row on, ``(n_rows + 1, ≥ n_moments)``: the totals of a later listing."""
    products = design.products
    totals = np.zeros((len(products) + 1, products.shape[1]))
    for row in range(len(products) - 1, -1, -1):
        for m in range(products.shape[1]):
            totals[row, m] = totals[row + 1, m] + products[row, m]
    return totals


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _fill_moments(
    design: Design, totals: FloatArray, missing: IntArray, counts: IntArray, moments: FloatArray
) -> None:
    """Write each symbol's moments: the totals from its first row on, less the few rows missing after it."""
    products, n_moments = design.products, len(moments)
    offset, own = missing.shape[1] - 1 - len(products), np.empty(products.shape[1])
    for lane in range(LANES):
        begin, first, count = 0, 0, counts[lane]
        while first < count and missing[lane, first] - offset <= begin:
            begin = max(begin, missing[lane, first] - offset + 1)
            first += 1
        for m in range(len(own)):
            own[m] = totals[begin, m]
        for i in range(first, count):
            row = missing[lane, i] - offset
            for m in range(len(own)):
                own[m] -= products[row, m]
        afresh = 2 * (count - first) > len(products) - begin
        for square in design.squares:
            afresh |= own[square] < KEEP * totals[begin, square]
        if afresh:
            present = np.ones(len(products))
            present[:begin] = 0.0
            for i in range(first, count):
                present[missing[lane, i] - offset] = 0.0
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
        row, model = 3 * m + 2 * first, max(0, at[0] + m)
        for lane in range(n_lanes):
            n_obs[start + lane, model, 0] = out[row, lane]
            r_squared[start + lane, model, 0] = out[row + 1, lane]
            variance[start + lane, model, 0] = out[row + 2, lane]
            reasons[start + lane, model, 0] = masks[m, lane]
        for j in range(p):
            factor = max(0, at[1] + first + j)
            for lane in range(n_lanes):
                beta[start + lane, factor, 0] = out[row + 3 + j, lane]
                error[start + lane, factor, 0] = out[row + 3 + p + j, lane]
