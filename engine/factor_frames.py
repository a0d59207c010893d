"""Fitted betas as rows of the ``symbol_factors`` table; imports numpy and polars."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from engine.factors import BETA_LIMIT
from engine.panel import Panel
from engine.quality import DEGRADED, OK, UNAVAILABLE, quality_text, reason_bit, reason_text
from engine.regression import FactorFit
from engine.typing import DateArray, FloatArray

PROVIDER_FACTOR = "Provider Beta (1Y)"


def factor_frame(panel: Panel, fit: FactorFit, *, first: int) -> pl.DataFrame:
    """Return one row per (symbol, session, factor) for the symbols that are active on each session.

    Parameters
    ----------
    panel : Panel
    fit : FactorFit
        Fits of ``panel`` for the sessions from column ``first`` on.

    Returns
    -------
    pl.DataFrame
        ``symbol, session, factor, factor_set, beta, beta_raw, se, t_stat, r2, n_obs, window, method, quality,
        reasons``. ``beta`` is ``beta_raw`` within ±5, and what is missing is null with its reasons.
    """
    n_fits, n_factors = fit.beta_raw.shape[1:]
    model_of = np.repeat(np.arange(len(fit.models)), [len(model.factors) for model in fit.models])
    symbol, session = np.nonzero(panel.active(first, first + n_fits - 1))
    beta_raw = fit.beta_raw[symbol, session].ravel()
    beta = np.clip(beta_raw, -BETA_LIMIT, BETA_LIMIT)
    reasons = fit.reasons[symbol, session][:, model_of].ravel()
    missing, clipped = np.isnan(beta_raw), np.abs(beta_raw) > BETA_LIMIT
    reasons = np.where(clipped, reasons | np.uint32(reason_bit("clipped")), reasons)
    models = [fit.models[m] for m in model_of]
    names = [factor.name for model in fit.models for factor in model.factors]

    each_factor = np.tile(np.arange(n_factors, dtype=np.uint32), len(symbol))

    # By index, not by Series.gather, which goes through a query plan and takes three times as long.
    def per_row(values: pl.Series, index: np.ndarray) -> pl.Series:
        return values[np.repeat(index.astype(np.uint32), n_factors)]

    def per_factor(values: Sequence[object], dtype: type[pl.DataType]) -> pl.Series:
        return pl.Series(values, dtype=dtype)[each_factor]

    return pl.DataFrame(
        {
            "symbol": per_row(pl.Series(panel.symbols, dtype=pl.String), symbol),
            "session": per_row(pl.Series(panel.sessions[first : first + n_fits]).cast(pl.Date), session),
            "factor": per_factor(names, pl.String),
            "factor_set": per_factor([model.factor_set for model in models], pl.String),
            "beta": _nullable(beta),
            "beta_raw": _nullable(beta_raw),
            "se": _nullable(fit.standard_error[symbol, session].ravel()),
            "t_stat": _nullable(fit.t_stat[symbol, session].ravel()),
            "r2": _nullable(fit.r_squared[symbol, session][:, model_of].ravel()),
            "n_obs": fit.n_obs[symbol, session][:, model_of].ravel().astype(np.int32),
            "window": per_factor([model.window for model in models], pl.Int32),
            "method": per_factor([model.method for model in models], pl.String),
            "quality": quality_text(np.where(missing, UNAVAILABLE, np.where(clipped, DEGRADED, OK))),
            "reasons": reason_text(reasons),
        }
    )


def provider_frame(symbols: Sequence[str], betas: FloatArray, sessions: DateArray) -> pl.DataFrame:
    """Return the rows of the provider's own betas, ``(n,)`` each, in the columns of ``factor_frame``."""
    empty = pl.Series([None] * len(symbols), dtype=pl.Float64)
    beta = np.clip(betas, -BETA_LIMIT, BETA_LIMIT)
    clipped = np.abs(betas) > BETA_LIMIT
    frame = pl.DataFrame(
        {
            "symbol": pl.Series(symbols, dtype=pl.String),
            "session": pl.Series(sessions).cast(pl.Date),
            "beta": _nullable(beta),
            "beta_raw": _nullable(betas),
            "se": empty,
            "t_stat": empty,
            "r2": empty,
            "n_obs": pl.Series([None] * len(symbols), dtype=pl.Int32),
            "quality": quality_text(np.where(clipped, DEGRADED, OK)),
            "reasons": reason_text(np.where(clipped, reason_bit("clipped"), 0).astype(np.uint32)),
        }
    )
    return frame.select(
        "symbol",
        "session",
        pl.lit(PROVIDER_FACTOR).alias("factor"),
        pl.lit("provider").alias("factor_set"),
        pl.col("beta", "beta_raw", "se", "t_stat", "r2", "n_obs"),
        pl.lit(252, dtype=pl.Int32).alias("window"),
        pl.lit("provider").alias("method"),
        pl.col("quality", "reasons"),
    )


def _nullable(values: FloatArray) -> pl.Series:
    return pl.Series(values, nan_to_null=True)
