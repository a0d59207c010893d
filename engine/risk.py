"""The joint risk model: loadings, factor covariance, specific variance, attribution. Imports numpy, polars.

Model factors are the market, rates and six style excess returns (proxy less market), so that nothing is
counted twice; covariances are kept for the raw proxies and mapped by ``TO_MODEL``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.factors import PROXIES, RISK_MODEL
from engine.panel import Panel
from engine.quality import DEGRADED, OK, UNAVAILABLE, quality_text, reason_bit, reason_text
from engine.regression import FactorFit, fit_factors
from engine.typing import BoolArray, FloatArray, MaskArray

HALF_LIFE = 42
COVARIANCE_WINDOW = 252
MIN_COVARIANCE_SESSIONS = 90
SPECIFIC_FLOOR_PERCENTILE = 5
MIN_SECTOR_MEMBERS = 5
SPECIFIC = "Specific"
FACTORS = tuple(factor.name for factor in RISK_MODEL.factors)

# f = TO_MODEL @ proxies: market and rates as they are, each style less the market.
TO_MODEL = np.eye(len(PROXIES))
TO_MODEL[2:, 0] = -1.0

INSUFFICIENT = np.uint32(reason_bit("insufficient_history"))
PROXIED = np.uint32(reason_bit("proxied"))


@dataclass(frozen=True, slots=True)
class RiskModel:
    """The risk model of all symbols on one session.

    Attributes
    ----------
    session : np.datetime64
    loadings : FloatArray
        ``(n_symbols, 8)`` on ``FACTORS``; NaN where ``reasons`` say why.
    specific_variance : FloatArray
        ``(n_symbols,)`` daily residual variance, floored at the universe's 5th percentile.
    n_obs : FloatArray
        ``(n_symbols,)`` returns in each regression.
    reasons : MaskArray
        ``(n_symbols,)``; ``proxied`` where medians of the sector or the universe stand in.
    proxy_covariance : FloatArray
        ``(8, 8)`` daily, of the raw proxies in the order of ``PROXIES``; NaN when too few sessions are
        complete.
    covariance_n_obs : int
        Complete sessions behind the covariance.
    half_life : int
        In sessions.
    """

    session: np.datetime64
    loadings: FloatArray
    specific_variance: FloatArray
    n_obs: FloatArray
    reasons: MaskArray
    proxy_covariance: FloatArray
    covariance_n_obs: int
    half_life: int


def ewma_covariance(
    proxy_returns: FloatArray, *, half_life: int = HALF_LIFE, window: int = COVARIANCE_WINDOW
) -> tuple[FloatArray, int]:
    """Exponentially weighted covariance about zero of the last ``window`` sessions.

    Weights halve every ``half_life`` sessions of age and are normalized over the sessions used: those on
    which every proxy ``(n_proxies, n_sessions)`` has a return (RiskMetrics 1996, without its fixed decay).
    Returns the daily covariance, NaN below ``MIN_COVARIANCE_SESSIONS`` of them, and their number.
    """
    recent = proxy_returns[:, -window:]
    complete = np.isfinite(recent).all(axis=0)
    age = np.arange(recent.shape[1] - 1, -1, -1)[complete]
    n_obs = int(complete.sum())
    if n_obs < MIN_COVARIANCE_SESSIONS:
        return np.full((len(recent), len(recent)), np.nan), n_obs
    weights = 0.5 ** (age / half_life)
    used = recent[:, complete]
    return (used * (weights / weights.sum())) @ used.T, n_obs


def fit_risk_model(
    panel: Panel, sectors: Sequence[str | None], *, at: int, half_life: int = HALF_LIFE
) -> RiskModel:
    """Fit the risk model for the session of column ``at``; ``sectors`` ``(n_symbols,)``."""
    return next(risk_models(panel, sectors, first=at, last=at, half_life=half_life))


def risk_models(
    panel: Panel, sectors: Sequence[str | None], *, first: int, last: int, half_life: int = HALF_LIFE
) -> Iterator[RiskModel]:
    """Yield the risk model of each session from column ``first`` to ``last``."""
    fit = fit_factors(panel, (RISK_MODEL,), first=first, last=last)
    active = panel.active(first, last)
    rows = [panel.row(symbol) for symbol in PROXIES.values()]
    missing = np.full(len(panel.sessions), np.nan)
    proxies = np.array([missing if row is None else panel.returns[row] for row in rows])
    for column in range(first, last + 1):
        loadings, specific, reasons = _completed(fit, column - first, active[:, column - first], sectors)
        covariance, n_obs = ewma_covariance(proxies[:, : column + 1], half_life=half_life)
        yield RiskModel(
            panel.sessions[column],
            loadings,
            specific,
            fit.n_obs[:, column - first, 0],
            reasons,
            covariance,
            n_obs,
            half_life,
        )


def _completed(
    fit: FactorFit, at: int, active: BoolArray, sectors: Sequence[str | None]
) -> tuple[FloatArray, FloatArray, MaskArray]:
    """Floor the specific variances and let medians stand in for symbols with a short history."""
    loadings, specific = fit.beta_raw[:, at].copy(), fit.residual_variance[:, at, 0].copy()
    reasons = fit.reasons[:, at, 0].copy()
    fitted = np.isfinite(specific) & active
    if not fitted.any():
        return loadings, specific, reasons
    floor = np.percentile(specific[fitted], SPECIFIC_FLOOR_PERCENTILE)
    specific = np.maximum(specific, floor)  # NaN stays NaN
    short = active & ((reasons & INSUFFICIENT) > 0)
    numbers = {sector: number for number, sector in enumerate(dict.fromkeys(sectors))}
    codes = np.array([numbers[sector] for sector in sectors])
    known = codes != numbers.get(None, -1)
    for code in np.unique(codes[short]):
        peers = fitted & known & (codes == code)
        if peers.sum() < MIN_SECTOR_MEMBERS:
            peers = fitted
        targets = short & (codes == code)
        loadings[targets] = np.median(loadings[peers], axis=0)
        specific[targets] = np.median(specific[peers])
    reasons[short] |= PROXIED
    return loadings, specific, reasons


def loadings_frame(panel: Panel, model: RiskModel) -> pl.DataFrame:
    """Return the model as rows of ``risk_loadings`` for the symbols active on its session."""
    at = panel.column(model.session)
    symbol = np.flatnonzero(panel.active(at, at)[:, 0])
    names = [*FACTORS, SPECIFIC]
    loading = np.column_stack([model.loadings[symbol], model.specific_variance[symbol]]).ravel()
    reasons = np.repeat(model.reasons[symbol], len(names))
    proxied = (reasons & PROXIED) > 0
    levels = np.where(np.isnan(loading), UNAVAILABLE, np.where(proxied, DEGRADED, OK))
    rows = np.repeat(symbol, len(names)).astype(np.uint32)
    return pl.DataFrame(
        {
            "symbol": pl.Series(panel.symbols, dtype=pl.String)[rows],
            "session": pl.Series(np.full(len(rows), model.session)).cast(pl.Date),
            "factor": pl.Series(names)[np.tile(np.arange(len(names), dtype=np.uint32), len(symbol))],
            "loading": pl.Series(loading, nan_to_null=True),
            "n_obs": np.repeat(model.n_obs[symbol].astype(np.int32), len(names)),
            "quality": quality_text(levels),
            "reasons": reason_text(reasons),
        }
    )


def covariance_frame(model: RiskModel) -> pl.DataFrame:
    """Return the proxies' daily covariance as rows of ``factor_covariance``, 64 of them."""
    proxies = list(PROXIES.values())
    n = len(proxies)
    return pl.DataFrame(
        {
            "session": pl.Series(np.full(n * n, model.session)).cast(pl.Date),
            "factor_1": [one for one in proxies for _ in proxies],
            "factor_2": [other for _ in proxies for other in proxies],
            "covariance": pl.Series(model.proxy_covariance.ravel(), nan_to_null=True),
            "half_life": pl.Series([model.half_life] * (n * n), dtype=pl.Int32),
            "n_obs": pl.Series([model.covariance_n_obs] * (n * n), dtype=pl.Int32),
        }
    )
