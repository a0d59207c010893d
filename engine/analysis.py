"""The whole analysis of a portfolio on one book. Imports numpy and the parts it composes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.book import SymbolBook
from engine.composition import (
    FactorExposures,
    Holdings,
    ModelRisk,
    PortfolioSeries,
    factor_exposures,
    holdings_of,
    model_risk,
    portfolio_series,
)
from engine.concentration import Concentration, SectorWeights, concentration, sector_weights
from engine.correlation import (
    average_correlation,
    cluster_order,
    diversification_ratio,
    effective_bets,
    pairwise_correlation,
)
from engine.factors import PROXIES
from engine.option_lots import OPTION_RATE
from engine.quality import reason_text
from engine.stress import StressResult, stress
from engine.typing import FloatArray, Int32Array, IntArray
from engine.valuation import Positions, Valuation, value_positions
from engine.volatility import (
    HarForecast,
    har_forecast,
    realized_volatility,
    volatility_percentile,
    volatility_trend,
)

MIN_REGRESSION_SESSIONS = 30


@dataclass(frozen=True, slots=True)
class PortfolioVolatility:
    """Volatility of today's weights, annualized decimals, NaN where the history is too short.

    ``n_obs`` counts the sessions of the last 252 that enter; ``forecast`` says why a forecast is missing,
    ``gaps`` that the percentile rests on fewer than 252 volatilities.
    """

    realized_21d: float
    realized_63d: float
    realized_252d: float
    forecast: HarForecast
    trend: str | None
    percentile: float
    gaps: bool
    n_obs: int
    series: PortfolioSeries


@dataclass(frozen=True, slots=True)
class Correlations:
    """Pairwise correlations of the holdings' log returns and what follows from them.

    ``rows`` ``(n,)`` of the book by descending weight; ``matrix`` and ``n_obs`` ``(n, n)``; ``order``
    ``(n,)`` places similar holdings side by side. Averages are weighted by |E|; NaN where undefined.
    """

    rows: IntArray
    matrix: FloatArray
    n_obs: Int32Array
    order: IntArray
    average: float
    diversification_ratio: float
    effective_bets: float
    lookback: int
    min_overlap: int


@dataclass(frozen=True, slots=True)
class PortfolioAnalysis:
    """Everything that one book says about one portfolio."""

    valuation: Valuation
    holdings: Holdings
    exposures: FactorExposures
    volatility: PortfolioVolatility
    risk: ModelRisk
    correlations: Correlations
    concentration: Concentration
    sectors: SectorWeights
    stress: StressResult


def analyze(
    book: SymbolBook,
    positions: Positions,
    *,
    equity: float | None = None,
    benchmark: Mapping[str, float] | None = None,
    option_rate: float = OPTION_RATE,
) -> PortfolioAnalysis:
    """Compose all analytics of the positions; ``equity`` is the account's net asset value when known."""
    valuation = value_positions(book, positions, equity=equity, option_rate=option_rate)
    holdings, nav = holdings_of(valuation), valuation.weight_base
    return PortfolioAnalysis(
        valuation=valuation,
        holdings=holdings,
        exposures=factor_exposures(book, holdings, nav),
        volatility=portfolio_volatility(book, holdings, nav),
        risk=model_risk(book, holdings, nav),
        correlations=correlations(book, holdings),
        concentration=concentration(positions, valuation),
        sectors=sector_weights(book, positions, valuation, benchmark or {}),
        stress=stress(book, holdings),
    )


def portfolio_volatility(book: SymbolBook, holdings: Holdings, nav: float) -> PortfolioVolatility:
    """Measure the volatility of today's weights over their replayed returns."""
    series = portfolio_series(book, holdings, nav)
    returns = series.returns[None, :]
    short, middle, year = (realized_volatility(returns, window) for window in (21, 63, 252))
    share, gaps = volatility_percentile(returns)
    return PortfolioVolatility(
        realized_21d=float(short[0]),
        realized_63d=float(middle[0]),
        realized_252d=float(year[0]),
        forecast=har_forecast(returns),
        trend=volatility_trend(short, middle)[0],
        percentile=float(share[0]),
        gaps=bool(gaps[0]),
        n_obs=int(np.isfinite(series.returns[-252:]).sum()),
        series=series,
    )


@dataclass(frozen=True, slots=True)
class MarketRegression:
    """Least squares of the replayed returns on the market's; NaN below 30 common sessions."""

    beta: float
    r_squared: float
    n_obs: int


def market_regression(book: SymbolBook, series: PortfolioSeries, *, window: int = 90) -> MarketRegression:
    """Regress today's weights, replayed over the last ``window`` sessions, on the market proxy."""
    row = book.index.get(PROXIES["Market"])
    if row is None:
        return MarketRegression(np.nan, np.nan, 0)
    y, x = series.returns[-window:], book.returns[row, -window:]
    used = np.isfinite(x) & np.isfinite(y)
    n_obs = int(used.sum())
    x, y = x[used] - x[used].mean() if n_obs else x[used], y[used] - y[used].mean() if n_obs else y[used]
    sxx, syy, sxy = float(x @ x), float(y @ y), float(x @ y)
    if n_obs < MIN_REGRESSION_SESSIONS or not (sxx > 0 and syy > 0):
        return MarketRegression(np.nan, np.nan, n_obs)
    return MarketRegression(sxy / sxx, sxy * sxy / (sxx * syy), n_obs)


def max_drawdown(returns: FloatArray) -> float:
    """Return the deepest fall of the wealth index ``(n_sessions,)`` from its peak, ≤ 0; NaN without returns.

    Sessions without a return leave the index where it is.
    """
    if not np.isfinite(returns).any():
        return np.nan
    wealth = np.concatenate([[1.0], np.cumprod(1.0 + np.nan_to_num(returns))])
    return float((wealth / np.maximum.accumulate(wealth) - 1.0).min())


def volatility_reasons(volatility: PortfolioVolatility) -> tuple[str, ...]:
    """Reasons that the volatility figures are degraded or missing, by their codes."""
    text = reason_text(volatility.forecast.reasons)[0]
    found = text.split(",") if text else []
    found += ["gaps"] if volatility.gaps else []
    found += ["partial_coverage"] if len(volatility.series.left_out) else []
    return tuple(dict.fromkeys(found))


def correlations(
    book: SymbolBook,
    holdings: Holdings,
    *,
    lookback: int = 90,
    min_overlap: int = 30,
    max_symbols: int | None = None,
) -> Correlations:
    """Correlate the largest holdings' log returns over the last ``lookback`` sessions, pair by pair."""
    size = np.abs(holdings.values)
    ranked = np.argsort(-size, kind="stable")[:max_symbols]
    rows, weights = holdings.rows[ranked], size[ranked] / max(size[ranked].sum(), np.finfo(float).tiny)
    log_returns = np.log1p(book.returns[rows, -lookback:])
    matrix, n_obs = pairwise_correlation(log_returns, min_overlap)
    return Correlations(
        rows=rows,
        matrix=matrix,
        n_obs=n_obs,
        order=cluster_order(matrix),
        average=average_correlation(matrix, weights),
        diversification_ratio=diversification_ratio(
            holdings.values[ranked], book.returns[rows, -lookback:], min_overlap
        ),
        effective_bets=effective_bets(matrix),
        lookback=lookback,
        min_overlap=min_overlap,
    )
