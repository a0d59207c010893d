"""What all symbols share in a window regression: factor columns, row products, window totals.

Imports numpy and numba. Models with one window form one design, so that a symbol's returns are read once
for all of them. Factors are shifted to a typical value of theirs before anything is multiplied, which keeps
every digit at any level (Chan, Golub & LeVeque 1983). The layouts of moments and sums are those of
``engine.least_squares``, the models' blocks one after the other.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from engine.factors import Model
from engine.typing import BoolArray, FloatArray, IntArray
from engine.window_sums import typical_value

STEP = 16


class Design(NamedTuple):
    """Shared side of the regressions of one window, for ``n_fits`` consecutive sessions.

    A named tuple, since compiled code takes one as it is. ``n_rows`` is ``window + n_fits − 1``; a single
    window may have rows of zeros before it, and moments of zeros follow the last one: they round the counts
    up to multiples of ``STEP``, so that vectorized loops have no remainder.

    Attributes
    ----------
    window, n_masks : int
    columns : FloatArray
        ``(n_masks + n_factors, n_rows)``: the distinct row masks (1.0 where all factors of a model have a
        return), then the shifted factors, 0 where their model's mask is 0.
    products, product_columns : FloatArray
        ``(n_rows, ≥ n_moments)`` and its transpose: what each row adds to the moments.
    totals : FloatArray
        ``(n_moments, n_fits)``: the moments of each whole window.
    models : IntArray
        ``(n_models, 3)``: number of factors, first row of the model's moments, first factor.
    sources : IntArray
        ``(n_sums,)``: which statistic (Σ column·y per column, then Σy² per mask) each row of sums is;
        -1 for the shift.
    squares : IntArray
        ``(n_factors,)``: the moment that is the factor's sum of squares.
    levels : FloatArray
        ``(n_factors,)``: the shifts.
    limits : FloatArray
        ``(n_models, 3)``: minimum observations, λ, λ per observation.
    """

    window: int
    n_masks: int
    columns: FloatArray
    products: FloatArray
    product_columns: FloatArray
    totals: FloatArray
    models: IntArray
    sources: IntArray
    squares: IntArray
    levels: FloatArray
    limits: FloatArray


def build_design(models: Sequence[Model], factors: FloatArray, n_fits: int) -> Design:
    """Build the design of models that share a window.

    Parameters
    ----------
    models : sequence of Model
    factors : FloatArray
        ``(n_factors, n_rows)`` factor returns in model order, NaN where missing.
    n_fits : int
        Number of consecutive windows; the last one ends at the last row.
    """
    sizes = np.array([len(model.factors) for model in models])
    first = np.cumsum(sizes) - sizes
    spans = [slice(a, a + p) for a, p in zip(first.tolist(), sizes.tolist(), strict=True)]
    present = [np.asarray(np.isfinite(factors[span]).all(axis=0)) for span in spans]
    masks, mask_of = _distinct(present)
    usable = np.repeat(masks[mask_of], sizes, axis=0)
    levels = np.array([typical_value(row) for row in factors])
    shifted = np.where(usable, factors - levels[:, None], 0.0)
    blocks = [_products(mask, shifted[span]) for mask, span in zip(present, spans, strict=True)]
    n_moments = sum(len(block) for block in blocks)
    product_columns = np.concatenate([*blocks, np.zeros((-n_moments % STEP, factors.shape[1]))])
    products = np.ascontiguousarray(product_columns.T)
    lengths = 1 + sizes + sizes * (sizes + 1) // 2
    moment_at = np.cumsum(lengths) - lengths
    columns = np.concatenate([masks.astype(np.float64), shifted])
    penalties = [(0.0, m.l2_penalty) if m.penalty_per_observation else (m.l2_penalty, 0.0) for m in models]
    return Design(
        models[0].window,
        len(masks),
        columns,
        products,
        product_columns,
        np.ascontiguousarray(_window_totals(products, models[0].window, n_fits)[:, :n_moments].T),
        np.stack([sizes, moment_at, first], axis=1).astype(np.int64),
        _sources(mask_of.tolist(), spans, len(masks)),
        np.concatenate(
            [at + p + np.cumsum(np.arange(1, p + 1)) for p, at in zip(sizes, moment_at, strict=True)]
        ),
        levels,
        np.array([(m.min_observations, *pair) for m, pair in zip(models, penalties, strict=True)]),
    )


def _distinct(present: list[BoolArray]) -> tuple[BoolArray, IntArray]:
    """Stack the distinct masks ``(n_masks, n_rows)`` and say which one each model uses ``(n_models,)``."""
    distinct: dict[bytes, int] = {}
    mask_of = [distinct.setdefault(mask.tobytes(), len(distinct)) for mask in present]
    masks = [np.frombuffer(key, dtype=np.bool_) for key in distinct]
    return np.array(masks), np.array(mask_of, dtype=np.int64)


def _products(mask: BoolArray, shifted: FloatArray) -> FloatArray:
    squares = [shifted[j] * shifted[: j + 1] for j in range(len(shifted))]
    return np.concatenate([mask[None].astype(np.float64), shifted, *squares])


def _sources(mask_of: list[int], spans: list[slice], n_masks: int) -> IntArray:
    n_columns = n_masks + spans[-1].stop
    blocks = [
        [-1, mask, n_columns + mask, *range(n_masks + span.start, n_masks + span.stop)]
        for mask, span in zip(mask_of, spans, strict=True)
    ]
    return np.array([source for block in blocks for source in block], dtype=np.int64)


@njit(cache=True, nogil=True)
def _window_totals(products: FloatArray, window: int, n_fits: int) -> FloatArray:
    """Sum each window afresh: adding and dropping rows would leave residues of what has left the window."""
    totals = np.zeros((n_fits, products.shape[1]))
    first = len(products) - window - n_fits + 1
    for k in range(n_fits):
        for row in range(first + k, first + k + window):
            for m in range(products.shape[1]):
                totals[k, m] += products[row, m]
    return totals
