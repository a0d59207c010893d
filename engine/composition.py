"""Portfolios composed from the book: holdings, factor exposures, return series, model risk.

Imports numpy and numba. Weights are economic values over NAV, summed by symbol over lots.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from engine.book import SymbolBook
from engine.option_lots import OptionLots
from engine.risk import TO_MODEL
from engine.typing import FloatArray, IntArray
from engine.valuation import Valuation

SERIES_SESSIONS = 546
MIN_SERIES_RETURNS = 63
MIN_SESSION_COVERAGE = 0.95


@dataclass(frozen=True, slots=True)
class Holdings:
    """Economic value by symbol: ``rows`` ``(n,)`` of the book, ascending, and ``values`` ``(n,)``.

    The deltas of ``options``, None without any, are in the values of their underlyings.
    """

    rows: IntArray
    values: FloatArray
    unvalued: float  # cost basis of public lots without a value, absolute
    options: OptionLots | None = None


def holdings_of(valuation: Valuation) -> Holdings:
    """Sum the economic values of lots by symbol."""
    held = np.isfinite(valuation.economic_value) & (valuation.rows >= 0)
    rows, inverse = np.unique(valuation.rows[held], return_inverse=True)
    values: FloatArray = np.zeros(len(rows))
    np.add.at(values, inverse, valuation.economic_value[held])
    lost = np.isnan(valuation.market_value)
    return Holdings(rows, values, float(np.abs(valuation.cost_basis[lost]).sum()), valuation.options)


@dataclass(frozen=True, slots=True)
class FactorExposures:
    """Exposure to each of the book's factors, ``(n_factors,)`` each.

    ``exposure_dollar`` = Σ E·β over symbols that have the beta, ``beta`` = that over NAV, ``standard_error``
    of ``beta`` with the symbols' errors as independent (NaN when a covered symbol has none), ``coverage`` the
    covered share of Σ|E|: a missing beta is never a 0 in silence.
    """

    names: tuple[str, ...]
    exposure_dollar: FloatArray
    beta: FloatArray
    standard_error: FloatArray
    coverage: FloatArray


def factor_exposures(book: SymbolBook, holdings: Holdings, nav: float) -> FactorExposures:
    """Compose the portfolio's factor exposures; ``nav`` is NaN where weights mean nothing.

    A factor that no symbol covers is NaN. Lots without a value count as not covered, at their cost basis.
    """
    sums = exposure_sums(_one(holdings), holdings.rows, holdings.values, book.betas, book.standard_errors)
    dollar, variance, covered = (each[0] for each in sums)
    total = float(np.abs(holdings.values).sum()) + holdings.unvalued
    with np.errstate(divide="ignore", invalid="ignore"):
        dollar = np.where(covered > 0, dollar, np.nan)
        return FactorExposures(
            names=book.factor_names,
            exposure_dollar=dollar,
            beta=dollar / nav,
            standard_error=np.where(covered > 0, np.sqrt(variance), np.nan) / nav,
            coverage=covered / total if total > 0 else np.full(len(covered), np.nan),
        )


def _one(holdings: Holdings) -> IntArray:
    """Where the holdings of one portfolio alone begin and end."""
    return np.array([0, len(holdings.rows)])


@njit(cache=True, nogil=True)
def exposure_sums(
    starts: IntArray, rows: IntArray, values: FloatArray, betas: FloatArray, errors: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Σ E·β, Σ (E·se)² and Σ |E| over the symbols that have each beta, ``(n_portfolios, n_factors)``.

    The holdings of portfolio p are those from ``starts[p]`` up to ``starts[p + 1]``.
    """
    shape = (len(starts) - 1, betas.shape[1])
    dollar, variance, covered = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for p in range(shape[0]):
        for i in range(starts[p], starts[p + 1]):
            for k in range(shape[1]):
                beta = betas[rows[i], k]
                if not np.isnan(beta):
                    dollar[p, k] += values[i] * beta
                    variance[p, k] += (values[i] * errors[rows[i], k]) ** 2
                    covered[p, k] += abs(values[i])
    return dollar, variance, covered


@dataclass(frozen=True, slots=True)
class PortfolioSeries:
    """Daily simple returns of today's weights, ``(n_sessions,)``; NaN on sessions that do not count.

    ``coverage`` ``(n_sessions,)`` is the share of the included weight that has a return; ``left_out`` are the
    rows of symbols with under 63 returns.
    """

    returns: FloatArray
    coverage: FloatArray
    left_out: IntArray


def portfolio_series(book: SymbolBook, holdings: Holdings, nav: float) -> PortfolioSeries:
    """Replay today's weights over the last 546 sessions: r_t = Σ e_i r_it.

    A session counts when at least 95 % of the included weight has a return on it. A name without one adds
    nothing to that session, and its weight is not spread over the others.
    """
    first = max(0, len(book.sessions) - SERIES_SESSIONS)
    weights = holdings.values / nav
    sums = weighted_returns(_one(holdings), holdings.rows, weights, book.returns, first)
    returns, coverage = counting_returns(*sums[:3])
    return PortfolioSeries(returns[0], coverage[0], holdings.rows[~sums[3]])


def counting_returns(
    totals: FloatArray, present: FloatArray, included: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Keep the returns of sessions that count ``(n_portfolios, n_sessions)``, and give their coverage."""
    with np.errstate(divide="ignore", invalid="ignore"):
        coverage = present / np.where(included > 0, included, np.nan)[:, None]
    # A weight of exactly 95 % must not fall to the rounding of its sum.
    return np.where(coverage >= MIN_SESSION_COVERAGE - 1e-12, totals, np.nan), coverage


@njit(cache=True, nogil=True)
def weighted_returns(
    starts: IntArray, rows: IntArray, weights: FloatArray, returns: FloatArray, first: int
) -> tuple[FloatArray, FloatArray, FloatArray, np.ndarray]:
    """Σ e·r and Σ |e| present per portfolio and session from column ``first`` on.

    Then Σ |e| of the symbols with enough returns ``(n_portfolios,)``, and which these are ``(n,)``. The
    holdings of portfolio p are those from ``starts[p]`` up to ``starts[p + 1]``.
    """
    n_portfolios, n_sessions = len(starts) - 1, returns.shape[1] - first
    totals, present = np.zeros((n_portfolios, n_sessions)), np.zeros((n_portfolios, n_sessions))
    included, enough = np.zeros(n_portfolios), np.zeros(len(rows), dtype=np.bool_)
    for p in range(n_portfolios):
        total, here = totals[p], present[p]
        for i in range(starts[p], starts[p + 1]):
            series, weight = returns[rows[i], first:], weights[i]
            n_returns = 0
            for t in range(n_sessions):
                n_returns += 0 if np.isnan(series[t]) else 1
            enough[i] = n_returns >= MIN_SERIES_RETURNS
            if enough[i]:
                included[p] += abs(weight)
                for t in range(n_sessions):
                    value = series[t]
                    total[t] += 0.0 if np.isnan(value) else weight * value
                    here[t] += 0.0 if np.isnan(value) else abs(weight)
    return totals, present, included, enough


@dataclass(frozen=True, slots=True)
class ModelRisk:
    """Risk of the portfolio by the joint factor model.

    ``volatility`` and ``specific_volatility`` are annualized decimals; ``factor_loadings`` ``(8,)`` = Bᵀw;
    ``factor_contribution`` ``(8,)`` and ``position_contribution`` ``(n,)`` are shares of variance: the
    positions' add up to 1, and so do the factors' with the specific share. ``coverage`` is the share of
    Σ|E| with loadings, ``proxied`` the share whose loadings are medians of others.
    """

    volatility: float
    specific_volatility: float
    factor_loadings: FloatArray
    factor_contribution: FloatArray
    position_contribution: FloatArray
    coverage: float
    proxied: float


def model_risk(book: SymbolBook, holdings: Holdings, nav: float) -> ModelRisk:
    """Return σ² = bᵀFb + Σ w²D with b = Bᵀw, and each factor's and symbol's share of it."""
    weights = holdings.values / nav
    loadings, specific = book.loadings[holdings.rows], book.specific_variance[holdings.rows]
    known = np.isfinite(specific)
    used = np.where(known, weights, 0.0)
    loadings, specific = np.where(known[:, None], loadings, 0.0), np.where(known, specific, 0.0)
    covariance = TO_MODEL @ book.proxy_covariance @ TO_MODEL.T
    b = loadings.T @ used
    pull = covariance @ b
    own = float(used**2 @ specific)
    variance = float(b @ pull) + own
    size, total = np.abs(holdings.values), float(np.abs(holdings.values).sum())
    if not (variance > 0 and total > 0):
        variance = np.nan
    return ModelRisk(
        volatility=float(np.sqrt(252 * variance)),
        specific_volatility=float(np.sqrt(252 * own)) if variance > 0 else np.nan,
        factor_loadings=b,
        factor_contribution=b * pull / variance,
        position_contribution=np.where(known, used * (loadings @ pull + specific * used) / variance, np.nan),
        coverage=float(size[known].sum()) / (total + holdings.unvalued) if total > 0 else np.nan,
        proxied=float(size[book.risk_proxied[holdings.rows]].sum()) / total if total > 0 else np.nan,
    )
