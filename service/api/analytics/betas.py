"""What a composed portfolio says of its betas, as wire records."""

import math

from engine.analysis import market_regression, max_drawdown
from engine.factors import MODELS
from service.api.analytics.beta_records import (
    BetaComparison,
    CalculatedBeta,
    CalculatedBetaData,
    MarketBeta,
    MarketBetaData,
    PositionBeta,
    ProviderBeta,
    ProviderBetaData,
    RiskMetrics,
    RiskMetricsData,
    SpreadFactor,
    SpreadFactors,
)
from service.api.analytics.served import plain, position_id, served
from service.composed import Composed

MARKET_BETA, PROVIDER_BETA = "Market Beta (90D)", "Provider Beta (1Y)"
SPREADS = tuple(factor.name for model in MODELS if model.factor_set == "spread" for factor in model.factors)
STRONG, MODERATE = 0.5, 0.2


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
                    beta_difference=plain(calculated - provider),
                    calculation_date=composed.market.session,
                )
            )
    return BetaComparison(**served(composed), positions=lines)


def calculated_beta(composed: Composed) -> CalculatedBeta:
    """Market beta over 90 sessions: weighted, with the fit of the portfolio's own returns."""
    fit = market_regression(composed.market.book, composed.volatility.series)
    weighted = composed.exposures.beta[composed.exposures.names.index(MARKET_BETA)]
    return CalculatedBeta(
        **served(composed) | {"available": math.isfinite(weighted)},
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
        **served(composed) | {"available": math.isfinite(weighted)},
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
    return SpreadFactors(
        **served(composed) | {"available": bool(factors)},
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
    weighted = composed.exposures.beta[composed.exposures.names.index(MARKET_BETA)]
    data = RiskMetricsData(
        plain(weighted), plain(composed.volatility.realized_252d), plain(max_drawdown(returns))
    )
    return RiskMetrics(**served(composed), risk_metrics=data)
