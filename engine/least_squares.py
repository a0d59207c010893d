"""Solvers of the window regressions, a block of cases side by side; imports numpy and numba.

A case is one symbol on one session. For a model with p factors it comes as

- ``moments`` ``(1 + p + p(p+1)/2, LANES)``: ``n, Σx_1 … Σx_p, Σx_1x_1, Σx_2x_1, Σx_2x_2, …`` over its rows,
- ``sums`` ``(3 + p, LANES)``: the series' shift, Σy, Σy², Σx_1y … Σx_py,
- ``levels`` ``(p,)``: the shifts of the factors; moments and sums are about the shifts,
- ``shared`` ``(LANES,)``: rows on which the factors have returns, whatever the symbol has,
- ``limits`` ``(3,)``: minimum observations, λ, λ per observation,

and leaves ``out`` ``(3 + 2p, LANES)``: ``n, R², σ², β_1 … β_p, se_1 … se_p`` and one reason mask a lane.
Whatever has a reason other than ``exact_fit`` is NaN but for n. The lanes of a block are independent: each
goes through the same operations whatever its neighbors hold, so no result depends on who shares the block.
"""

import numpy as np
from numba import njit

from engine.quality import reason_bit
from engine.typing import FloatArray, MaskArray

LANES = 96
FAST = {"reassoc", "contract", "nsz", "arcp"}

INSUFFICIENT = np.uint32(reason_bit("insufficient_history"))
CONSTANT_SERIES = np.uint32(reason_bit("constant_series"))
CONSTANT_FACTOR = np.uint32(reason_bit("constant_factor"))
MISSING_PROXY = np.uint32(reason_bit("missing_proxy"))
COLLINEAR = np.uint32(reason_bit("collinear_factors"))
EXACT_FIT = np.uint32(reason_bit("exact_fit"))
NO_REASON = np.uint32(0)

# A sum of squares about the mean is rounding alone when it is this small against the sum about the shift,
# against the level of the series, or (absolutely) against the rounding of a price ratio near 1.
RELATIVE_ZERO = 1e-13
LEVEL_ZERO = 1e-12
RETURN_ZERO = 1e-14
# What an exact linear relation leaves of SSE/SST, and of a Cholesky pivot of the unit-diagonal Gram.
EXACT_ZERO = 1e-14
PIVOT_ZERO = 1e-12


@njit(cache=True, nogil=True, error_model="numpy")
def _is_constant(about_mean: float, about_shift: float, n: float, level: float) -> bool:
    floor = RETURN_ZERO + LEVEL_ZERO * abs(level)
    return about_mean <= max(RELATIVE_ZERO * about_shift, n * floor * floor)


@njit(cache=True, nogil=True, error_model="numpy")
def _reason(shared: float, n: float, minimum: float, constant_x: bool, constant_y: bool) -> np.uint32:
    if shared < minimum:
        return MISSING_PROXY
    if n < minimum:
        return INSUFFICIENT
    if constant_x:
        return CONSTANT_FACTOR
    return CONSTANT_SERIES if constant_y else NO_REASON


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def solve_ols(
    moments: FloatArray,
    sums: FloatArray,
    levels: FloatArray,
    shared: FloatArray,
    limits: FloatArray,
    out: FloatArray,
    reasons: MaskArray,
) -> None:
    """Fit y = α + βx in every lane: β = Sxy/Sxx about the means, se = √(SSE/(n−2)/Sxx), σ² = SSE/(n−2)."""
    for lane in range(LANES):
        n, sx, sy = moments[0, lane], moments[1, lane], sums[1, lane]
        sxx = moments[2, lane] - sx * sx / n
        syy = sums[2, lane] - sy * sy / n
        sxy = sums[3, lane] - sx * sy / n
        beta = sxy / sxx
        sse = syy - beta * sxy
        exact = sse <= EXACT_ZERO * syy
        sse = 0.0 if exact else sse
        constant_x = _is_constant(sxx, moments[2, lane], n, levels[0])
        constant_y = _is_constant(syy, sums[2, lane], n, sums[0, lane])
        reason = _reason(shared[lane], n, limits[0], constant_x, constant_y)
        blank = 0.0 if reason == NO_REASON else np.nan
        if reason == NO_REASON and exact:
            reason = EXACT_FIT
        reasons[lane] = reason
        out[0, lane] = n
        out[1, lane] = 1.0 - sse / syy + blank
        out[2, lane] = sse / (n - 2.0) + blank
        out[3, lane] = beta + blank
        out[4, lane] = np.sqrt(sse / (n - 2.0) / sxx) + blank


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def solve_ridge(
    moments: FloatArray,
    sums: FloatArray,
    levels: FloatArray,
    shared: FloatArray,
    limits: FloatArray,
    work: FloatArray,
    out: FloatArray,
    reasons: MaskArray,
) -> None:
    """Fit y on p standardized factors jointly in every lane, slopes penalized, intercept free.

    γ = (ZᵀZ + λI)⁻¹Zᵀ(y − ȳ) with Z = (X − μ)/s, s the population standard deviation, and β = γ/s.
    Cov(γ) = σ²(ZᵀZ+λI)⁻¹ZᵀZ(ZᵀZ+λI)⁻¹ with σ² = SSE/(n − tr H), H the hat matrix, intercept included
    (Hoerl & Kennard 1970; Hastie, Tibshirani & Friedman, section 3.4). ``work`` holds
    ``(p + 3, max(p, 4), LANES)``.
    """
    p = len(levels)
    inverse, scale, projection, rows = work[:p], work[p], work[p + 1], work[p + 2]
    _standardize(moments, limits, inverse, scale)
    _invert(inverse, rows[0])  # rows[0]: the least Cholesky pivot
    for j in range(p):
        for lane in range(LANES):
            about_mean = sums[3 + j, lane] - moments[1 + j, lane] * sums[1, lane] / moments[0, lane]
            projection[j, lane] = about_mean * scale[j, lane]
    _slopes(inverse, projection, scale, out)
    for lane in range(LANES):
        rows[1, lane] = 0.0  # γᵀZᵀy + λγᵀγ: the explained part of SST
        rows[2, lane] = 0.0  # tr (ZᵀZ + λI)⁻¹
        rows[3, lane] = 0.0  # > 0 when a factor is constant
    diagonal = p
    for j in range(p):
        diagonal += j + 1
        for lane in range(LANES):
            n, gamma = moments[0, lane], out[3 + j, lane] / scale[j, lane]
            penalty = limits[1] + limits[2] * n
            rows[1, lane] += gamma * projection[j, lane] + penalty * gamma * gamma
            rows[2, lane] += inverse[j, j, lane]
            about_mean = n / (scale[j, lane] * scale[j, lane])
            if _is_constant(about_mean, moments[diagonal, lane], n, levels[j]):
                rows[3, lane] = 1.0
    _summarize(moments, sums, shared, limits, rows, out, reasons)
    _standard_errors(inverse, moments, scale, limits, out)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _standardize(moments: FloatArray, limits: FloatArray, gram: FloatArray, scale: FloatArray) -> None:
    """Write ZᵀZ + λI into the lower triangle of ``gram`` and 1/s into ``scale``."""
    p = gram.shape[0]
    at = 1 + p
    for j in range(p):
        for k in range(j + 1):
            for lane in range(LANES):
                cross = moments[1 + j, lane] * moments[1 + k, lane] / moments[0, lane]
                gram[j, k, lane] = moments[at, lane] - cross
            at += 1
        for lane in range(LANES):
            scale[j, lane] = np.sqrt(moments[0, lane] / gram[j, j, lane])
        for k in range(j):
            for lane in range(LANES):
                gram[j, k, lane] *= scale[j, lane] * scale[k, lane]
        for lane in range(LANES):
            n = moments[0, lane]
            gram[j, j, lane] = n + limits[1] + limits[2] * n


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _invert(gram: FloatArray, pivot: FloatArray) -> None:
    """Replace the lower triangle by that of the inverse, by way of Cholesky; least pivot into ``pivot``."""
    p = gram.shape[0]
    for lane in range(LANES):
        pivot[lane] = np.inf
    for j in range(p):
        for i in range(j, p):
            for k in range(j):
                for lane in range(LANES):
                    gram[i, j, lane] -= gram[i, k, lane] * gram[j, k, lane]
        for lane in range(LANES):
            pivot[lane] = min(pivot[lane], gram[j, j, lane])
            gram[j, j, lane] = 1.0 / np.sqrt(gram[j, j, lane])
        for i in range(j + 1, p):
            for lane in range(LANES):
                gram[i, j, lane] *= gram[j, j, lane]
    for j in range(p):  # L⁻¹, column by column; its diagonal stands already
        for i in range(j + 1, p):
            for lane in range(LANES):
                gram[i, j, lane] *= gram[j, j, lane]
            for k in range(j + 1, i):
                for lane in range(LANES):
                    gram[i, j, lane] += gram[i, k, lane] * gram[k, j, lane]
            for lane in range(LANES):
                gram[i, j, lane] *= -gram[i, i, lane]
    for j in range(p):  # L⁻ᵀL⁻¹
        for i in range(j, p):
            for lane in range(LANES):
                gram[i, j, lane] *= gram[i, i, lane]
            for k in range(i + 1, p):
                for lane in range(LANES):
                    gram[i, j, lane] += gram[k, i, lane] * gram[k, j, lane]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _slopes(inverse: FloatArray, projection: FloatArray, scale: FloatArray, out: FloatArray) -> None:
    p = inverse.shape[0]
    for j in range(p):
        for lane in range(LANES):
            out[3 + j, lane] = 0.0
        for k in range(p):
            for lane in range(LANES):
                out[3 + j, lane] += inverse[max(j, k), min(j, k), lane] * projection[k, lane]
        for lane in range(LANES):
            out[3 + j, lane] *= scale[j, lane]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _summarize(
    moments: FloatArray,
    sums: FloatArray,
    shared: FloatArray,
    limits: FloatArray,
    rows: FloatArray,
    out: FloatArray,
    reasons: MaskArray,
) -> None:
    p = (len(out) - 3) // 2
    for lane in range(LANES):
        n = moments[0, lane]
        total = sums[2, lane] - sums[1, lane] * sums[1, lane] / n
        sse = total - rows[1, lane]
        exact = sse <= EXACT_ZERO * total
        sse = 0.0 if exact else sse
        constant_y = _is_constant(total, sums[2, lane], n, sums[0, lane])
        reason = _reason(shared[lane], n, limits[0], rows[3, lane] > 0.0, constant_y)
        if reason == NO_REASON and not rows[0, lane] > PIVOT_ZERO * n:
            reason = COLLINEAR
        blank = 0.0 if reason == NO_REASON else np.nan
        if reason == NO_REASON and exact:
            reason = EXACT_FIT
        reasons[lane] = reason
        trace = 1.0 + p - (limits[1] + limits[2] * n) * rows[2, lane]
        out[0, lane] = n
        out[1, lane] = 1.0 - sse / total + blank
        out[2, lane] = sse / (n - trace) + blank


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _standard_errors(
    inverse: FloatArray, moments: FloatArray, scale: FloatArray, limits: FloatArray, out: FloatArray
) -> None:
    p = inverse.shape[0]
    for j in range(p):
        for lane in range(LANES):
            out[3 + p + j, lane] = 0.0
        for k in range(p):
            for lane in range(LANES):
                out[3 + p + j, lane] += inverse[max(j, k), min(j, k), lane] ** 2
        for lane in range(LANES):
            penalty = limits[1] + limits[2] * moments[0, lane]
            variance = inverse[j, j, lane] - penalty * out[3 + p + j, lane]
            blank = 0.0 * out[2, lane]
            out[3 + p + j, lane] = np.sqrt(max(variance, 0.0) * out[2, lane]) * scale[j, lane] + blank
            out[3 + j, lane] += blank
