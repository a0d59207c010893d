"""Wire records of the beta routes."""

from datetime import date
from typing import Any

import msgspec

from service.api.analytics.records import DataQuality, Served


class PositionBetas(msgspec.Struct):
    """Betas of a position's symbol; a missing one is null."""

    position_id: str | None
    symbol: str
    exposures: dict[str, float | None]


class PositionFactorExposures(Served, kw_only=True):
    """Betas of every position, a page of them."""

    calculation_date: date | None = None
    data_quality: DataQuality | None = None
    total: int = 0
    limit: int = 50
    offset: int = 0
    positions: list[PositionBetas] = []


class PositionBeta(msgspec.Struct):
    """A symbol's own beta beside the provider's."""

    symbol: str
    position_id: str | None
    market_beta: float | None
    calculated_beta: float | None
    calculated_standard_error: float | None
    beta_r_squared: float | None
    observations: int | None
    beta_difference: float | None
    calculation_date: date


class BetaComparison(Served, kw_only=True):
    """Calculated betas beside the provider's."""

    positions: list[PositionBeta] = []


class CalculatedBetaData(msgspec.Struct):
    """Weighted beta, and fit of the portfolio's own returns on the market over 90 sessions."""

    beta_calculated_90d: float | None
    beta_calculated_90d_r_squared: float | None
    beta_calculated_90d_observations: int | None


class CalculatedBeta(Served, kw_only=True):
    """Market beta over 90 sessions."""

    data: CalculatedBetaData | None = None


class ProviderBetaData(msgspec.Struct):
    """Weighted provider beta, and the share of the book that has one."""

    beta_provider_1y: float | None
    positions_with_beta: int
    positions_total: int
    coverage_percentage: float | None


class ProviderBeta(Served, kw_only=True):
    """Market beta as the profiles have it."""

    data: ProviderBetaData | None = None


class MarketBetaData(msgspec.Struct):
    """Weighted beta of the positions beside the regression of the portfolio's returns."""

    market_beta_weighted: float | None
    market_beta_r_squared: float | None
    market_beta_observations: int | None
    market_beta_direct: float | None


class MarketBeta(Served, kw_only=True):
    """Market beta, both ways."""

    data: MarketBetaData | None = None


class SpreadFactor(msgspec.Struct):
    """Exposure to a spread, in words too."""

    name: str
    beta: float | None
    exposure_dollar: float | None
    direction: str
    magnitude: str
    risk_level: str
    explanation: str


class SpreadFactors(Served, kw_only=True):
    """Exposure to the four spreads."""

    calculation_date: date | None = None
    factors: list[SpreadFactor] = []
    metadata: dict[str, Any] = {}


class RiskMetricsData(msgspec.Struct):
    """Three numbers of old."""

    portfolio_beta: float | None
    annualized_volatility: float | None
    max_drawdown: float | None


class RiskMetrics(Served, kw_only=True):
    """Deprecated: ask for volatility, risk and performance."""

    risk_metrics: RiskMetricsData | None = None
