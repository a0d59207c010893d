"""What a composed portfolio says of its betas, as wire records."""

import math
from collections.abc import Sequence

import numpy as np

from engine.analysis import market_regression, max_drawdown
from engine.book import SymbolBook
from engine.factors import MODELS
from engine.typing import IntArray
from service.api.analytics.beta_records import (
    BetaComparison,
    CalculatedBeta,
    CalculatedBetaData,
    MarketBeta,
    MarketBetaData,
    PositionBeta,
    PositionBetas,
    PositionFactorExposures,
    ProviderBeta,
    ProviderBetaData,
    RiskMetrics,
    RiskMetricsData,
    SpreadFactor,
    SpreadFactors,
)
from service.api.analytics.records import DataQuality, FactorBeta
from service.api.analytics.served import fewest_of, plain, position_id, served
from service.composed import Composed

MARKET_BETA, PROVIDER_BETA = "Market Beta (90D)", "Provider Beta (1Y)"
SPREADS = tuple(factor.name for model in MODELS if model.factor_set == "spread" for factor in model.factors)
STRONG, MODERATE = 0.5, 0.2


def factor_beta(composed: Composed, place: int) -> FactorBeta:
    """Exposure to one factor, by its place in the book."""
    exposures = composed.exposures
    dollar, coverage = plain(exposures.exposure_dollar[place]), plain(exposures.coverage[place])
    conditions = {
        "no_beta": dollar is None,
        "nav_not_positive": not composed.valuation.nav > 0,
        "partial_coverage": dollar is not None and coverage is not None and coverage < 1,
    }
    reasons = [reason for reason, holds in conditions.items() if holds]
    beta = plain(exposures.beta[place])
    return FactorBeta(
        name=exposures.names[place],
        beta=beta,
        exposure_dollar=dollar,
        standard_error=plain(exposures.standard_error[place]),
        coverage=coverage,
        n_obs=_fewest_behind(composed.market.book, composed.holdings.rows, [place]),
        quality="unavailable" if beta is None else "degraded" if reasons else "ok",
        reasons=reasons,
    )


def _fewest_behind(book: SymbolBook, rows: Sequence[int] | IntArray, places: Sequence[int]) -> int | None:
    """Return the fewest returns that one of some betas rests on; what has no beta does not count."""
    at = np.ix_(*(np.asarray(each, dtype=np.int64) for each in (rows, places)))
    return fewest_of(np.where(np.isfinite(book.betas[at]), book.n_obs[at], np.nan))


def position_factor_exposures(
    composed: Composed, quality: DataQuality, *, limit: int, offset: int, symbols: frozenset[str] | None
) -> PositionFactorExposures:
    """Betas of the positions' symbols, a page of them."""
    book, listed = composed.market.book, composed.market.listed
    wanted = None if symbols is None else symbols.union(map(listed, symbols))
    lots = [
        (lot, composed.positions.symbols[lot], int(composed.valuation.rows[lot]))
        for lot in range(len(composed.positions.symbols))
        if wanted is None or composed.positions.symbols[lot] in wanted
    ]
    page = [
        PositionBetas(
            position_id=position_id(composed, lot),
            symbol=symbol,
            exposures={
                name: plain(beta) if row >= 0 else None
                for name, beta in zip(book.factor_names, book.betas[row], strict=True)
            },
        )
        for lot, symbol, row in lots[offset : offset + limit]
    ]
    held = [row for _, _, row in lots if row >= 0]
    return PositionFactorExposures(
        **served(composed) | {"n_obs": _fewest_behind(book, held, range(len(book.factor_names)))},
        calculation_date=composed.market.session,
        data_quality=quality,
        total=len(lots),
        limit=limit,
        offset=offset,
        positions=page,
    )


def beta_comparison(composed: Composed) -> BetaComparison:
    """Calculated betas beside the provider's, symbol by symbol."""
    book = composed.market.book
    own, given = (book.factor_names.index(name) for name in (MARKET_BETA, PROVIDER_BETA))
    lines = []
    for lot, symbol in enumerate(composed.positions.symbols):
        row = int(composed.valuation.rows[lot])
        if row >= 0:
            calculated, provider = book.betas[row, own], book.betas[row, given]
            lines.append(
                PositionBeta(
                    symbol=symbol,
                    position_id=position_id(composed, lot),
                    market_beta=plain(provider),
                    calculated_beta=plain(calculated),
                    calculated_standard_error=plain(book.standard_errors[row, own]),
                    beta_r_squared=plain(book.r_squared[row, own]),
                    observations=fewest_of(book.n_obs[row, own, None]),
                    beta_difference=plain(calculated - provider),
                    calculation_date=composed.market.session,
                )
            )
    fewest = min((line.observations for line in lines if line.observations), default=None)
    return BetaComparison(**served(composed) | {"n_obs": fewest}, positions=lines)


def calculated_beta(composed: Composed) -> CalculatedBeta:
    """Market beta over 90 sessions: weighted, with the fit of the portfolio's own returns."""
    fit = market_regression(composed.market.book, composed.volatility.series)
    weighted = composed.exposures.beta[composed.exposures.names.index(MARKET_BETA)]
    return CalculatedBeta(
        **served(composed) | {"available": math.isfinite(weighted), "n_obs": fit.n_obs},
        data=CalculatedBetaData(plain(weighted), plain(fit.r_squared), fit.n_obs),
    )


def provider_beta(composed: Composed) -> ProviderBeta:
    """Market beta as the profiles have it."""
    book, rows = composed.market.book, composed.valuation.rows
    at = book.factor_names.index(PROVIDER_BETA)
    having = sum(bool(row >= 0 and math.isfinite(book.betas[row, at])) for row in rows)
    weighted, coverage = composed.exposures.beta[at], composed.exposures.coverage[at]
    return ProviderBeta(
        **served(composed) | {"available": math.isfinite(weighted)},
        data=ProviderBetaData(plain(weighted), having, len(rows), plain(100 * coverage)),
    )


def market_beta(composed: Composed) -> MarketBeta:
    """Market beta, weighted and by regression."""
    fit = market_regression(composed.market.book, composed.volatility.series)
    weighted = composed.exposures.beta[composed.exposures.names.index(MARKET_BETA)]
    return MarketBeta(
        **served(composed) | {"available": math.isfinite(weighted), "n_obs": fit.n_obs},
        data=MarketBetaData(plain(weighted), plain(fit.r_squared), fit.n_obs, plain(fit.beta)),
    )


def spread_factors(composed: Composed) -> SpreadFactors:
    """Exposure to the four spreads, in words too."""
    exposures = composed.exposures
    places = {name: place for place, name in enumerate(exposures.names)}
    factors = [
        _spread(name, float(exposures.beta[places[name]]), float(exposures.exposure_dollar[places[name]]))
        for name in SPREADS
        if math.isfinite(exposures.beta[places[name]])
    ]
    behind = [places[name] for name in SPREADS]
    n_obs = _fewest_behind(composed.market.book, composed.holdings.rows, behind)
    return SpreadFactors(
        **served(composed) | {"available": bool(factors), "n_obs": n_obs},
        calculation_date=composed.market.session,
        factors=factors,
        metadata={} if factors else {"reason": "no_calculations_available"},
    )


def _spread(name: str, beta: float, dollar: float) -> SpreadFactor:
    size = abs(beta)
    strength = "Strong" if size > STRONG else "Moderate" if size > MODERATE else "Weak"
    level = {"Strong": "high", "Moderate": "medium", "Weak": "low"}[strength]
    direction = "positive" if beta >= 0 else "negative"
    return SpreadFactor(
        name=name,
        beta=plain(beta),
        exposure_dollar=plain(dollar),
        direction=direction,
        magnitude=strength,
        risk_level=level,
        explanation=f"{strength} {direction} exposure: the book moves by {beta:.2f} % with 1 % of the spread",
    )


def risk_metrics(composed: Composed) -> RiskMetrics:
    """Three numbers of old."""
    returns = composed.volatility.series.returns[-252:]
    n_obs = int(np.isfinite(returns).sum())
    weighted = composed.exposures.beta[composed.exposures.names.index(MARKET_BETA)]
    data = RiskMetricsData(
        plain(weighted), plain(composed.volatility.realized_252d), plain(max_drawdown(returns))
    )
    return RiskMetrics(**served(composed) | {"n_obs": n_obs}, risk_metrics=data)
