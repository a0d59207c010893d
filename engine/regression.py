"""Window regressions of every symbol on the factor table, one session or a history; imports numpy, numba.

The same code serves both: a single session is a history of length one, so that they agree to rounding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from engine.design import STEP, build_design
from engine.factors import MODELS, Model, factor_returns
from engine.least_squares import LANES
from engine.panel import Panel
from engine.rolling import fit_history
from engine.session_fit import fit_session
from engine.typing import FloatArray, MaskArray


@dataclass(frozen=True, slots=True)
class FactorFit:
    """Fitted regressions of every symbol on consecutive sessions.

    Attributes
    ----------
    models : tuple of Model
    beta_raw, standard_error : FloatArray
        ``(n_symbols, n_fits, n_factors)``; NaN where the model's ``reasons`` say why.
    n_obs, r_squared, residual_variance : FloatArray
        ``(n_symbols, n_fits, n_models)``; ``residual_variance`` is SSE over its degrees of freedom, daily.
    reasons : MaskArray
        ``(n_symbols, n_fits, n_models)`` bit masks, see ``engine.quality``.
    """

    models: tuple[Model, ...]
    beta_raw: FloatArray
    standard_error: FloatArray
    n_obs: FloatArray
    r_squared: FloatArray
    residual_variance: FloatArray
    reasons: MaskArray

    @property
    def t_stat(self) -> FloatArray:
        """β/se ``(n_symbols, n_fits, n_factors)``; NaN where the standard error is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.standard_error > 0, self.beta_raw / self.standard_error, np.nan)


def fit_factors(panel: Panel, models: Sequence[Model] = MODELS, *, first: int, last: int) -> FactorFit:
    """Fit the models for the windows ending at columns ``first`` … ``last`` of the panel, both included.

    Each regression uses the sessions of its window on which the symbol and all factors of that model have
    a return; nothing after a session is read for it, and no symbol's gaps touch another symbol.
    """
    n_symbols, n_fits, n_models = len(panel.symbols), last - first + 1, len(models)
    n_factors = sum(len(model.factors) for model in models)
    beta, error = (np.empty((n_symbols, n_factors, n_fits)) for _ in range(2))
    n_obs, r_squared, variance = (np.empty((n_symbols, n_models, n_fits)) for _ in range(3))
    reasons = np.empty((n_symbols, n_models, n_fits), dtype=np.uint32)
    results = (beta, error, n_obs, r_squared, variance, reasons)
    factors = factor_returns(panel, models)
    step = STEP if first == last else 1  # a history counts its windows from the first row on
    chunk = min(LANES, *(model.window for model in models))  # sums from both sides reach no further
    for start in range(first, last + 1, chunk):
        n_fits = min(chunk, last + 1 - start)
        designs = tuple(
            build_design(group, _ending_at(factors[span], start, n_fits, group[0].window, step), n_fits)
            for span, group in _by_window(models)
        )
        if first == last:
            fit_session(panel.returns, first + 1, designs, results)
        else:
            fit_history(panel.returns, start + n_fits, designs, start - first, results)
    return FactorFit(
        models=tuple(models),
        beta_raw=beta.transpose(0, 2, 1),
        standard_error=error.transpose(0, 2, 1),
        n_obs=n_obs.transpose(0, 2, 1),
        r_squared=r_squared.transpose(0, 2, 1),
        residual_variance=variance.transpose(0, 2, 1),
        reasons=reasons.transpose(0, 2, 1),
    )


def _by_window(models: Sequence[Model]) -> Iterator[tuple[slice, list[Model]]]:
    """Yield the runs of models that share a window, each with the span of its factors."""
    at = 0
    for _, run in groupby(models, key=lambda model: model.window):
        group = list(run)
        n_factors = sum(len(model.factors) for model in group)
        yield slice(at, at + n_factors), group
        at += n_factors


def _ending_at(rows: FloatArray, start: int, n_fits: int, window: int, step: int) -> FloatArray:
    """Factor rows of the windows that end at ``start`` … ``start + n_fits − 1``, NaN before the first one.

    The first window gets as many rows of NaN before it as make its length a multiple of ``step``.
    """
    begin, end = start - window + 1, start + n_fits
    head = np.full((len(rows), max(0, -begin) + -window % step), np.nan)
    return np.concatenate([head, rows[:, max(0, begin) : end]], axis=1)
