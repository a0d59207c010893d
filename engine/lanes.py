"""All models of a design solved for one block of ``LANES`` cases; imports numpy and numba."""

import numpy as np
from numba import njit

from engine.design import Design
from engine.least_squares import FAST, LANES, solve_ols, solve_ridge
from engine.typing import FloatArray, IntArray, MaskArray

Results = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, MaskArray]
Block = tuple[FloatArray, FloatArray, FloatArray, FloatArray, MaskArray]


@njit(cache=True, nogil=True)
def new_block(design: Design) -> Block:
    """Allocate moments, sums, scratch, outputs and reason masks for one block of cases of a design."""
    n_models, n_factors = len(design.models), len(design.levels)
    widest = max(4, design.models[:, 0].max())
    return (
        np.ones((len(design.totals), LANES)),
        np.zeros((len(design.sources), LANES)),
        np.empty((widest + 3, widest, LANES)),
        np.empty((3 * n_models + 2 * n_factors, LANES)),
        np.empty((n_models, LANES), dtype=np.uint32),
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def solve_block(design: Design, fits: IntArray, block: Block) -> None:
    """Solve every model of the design; ``fits`` ``(LANES,)`` says which window each lane is.

    The outputs of model m, whose first factor is f, begin at row 3m + 2f of the block's outputs.
    """
    moments, sums, work, out, reasons = block
    shared = np.empty(LANES)
    for m in range(len(design.models)):
        p, moment_at, first = design.models[m]
        for lane in range(LANES):
            shared[lane] = design.totals[moment_at, fits[lane]]
        own, own_sums = moments[moment_at:], sums[3 * m + first :]
        levels, limits = design.levels[first : first + p], design.limits[m]
        own_out = out[3 * m + 2 * first : 3 * m + 2 * first + 3 + 2 * p]
        if p == 1 and limits[1] == 0.0 and limits[2] == 0.0:
            solve_ols(own, own_sums, levels, shared, limits, own_out, reasons[m])
        else:
            solve_ridge(own, own_sums, levels, shared, limits, work, own_out, reasons[m])
