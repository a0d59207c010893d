"""Wire records of several portfolios as one."""

from typing import Any

import msgspec

from service.api.analytics.records import (
    ConcentrationData,
    CorrelationData,
    DataQuality,
    FactorBeta,
    SectorData,
    Served,
    StressData,
    VolatilityData,
)


class Part(msgspec.Struct):
    """A portfolio in the aggregate: its NAV, and its share of the NAV of all."""

    id: str
    account_name: str
    account_type: str
    value: float | None
    weight: float | None


class Aggregate(Served, kw_only=True):
    """Several portfolios as one: positions and NAVs are summed, and every number is computed from the sum."""

    net_asset_value: float | None = None
    total_value: float | None = None
    portfolio_count: int = 0
    portfolios: list[Part] = []
    aggregate_metrics: dict[str, float | None] = {}
    calculation_method: str = "combined_positions"
    formula: str = ""


class PartShare(Part):
    """A portfolio's share in percent, and what it adds in currency."""

    weight_pct: float | None
    contribution_dollars: float | None


class ShareSummary(msgspec.Struct):
    """Sum of the weights, and NAV of a portfolio on average."""

    total_weight: float | None
    average_value: float | None


class AggregateBreakdown(Aggregate, kw_only=True):
    """What each portfolio is of the whole."""

    portfolios: list[PartShare] = []  # type: ignore[assignment] # a share is a part with more fields
    summary: ShareSummary | None = None


class AggregateBeta(Aggregate, kw_only=True):
    """Market beta of all positions over the NAV of all."""

    aggregate_beta: float | None = None


class AggregateVolatility(Aggregate, kw_only=True):
    """Volatility of the sum, annualized over 21 sessions; not the mean of the portfolios' volatilities."""

    aggregate_volatility: float | None = None
    data: VolatilityData | None = None


class AggregateFactors(Aggregate, kw_only=True):
    """Exposure of the sum to every factor."""

    factors: list[FactorBeta] = []
    data_quality: DataQuality | None = None
    metadata: dict[str, Any] = {}


class AggregateSectors(Aggregate, kw_only=True):
    """Sectors of the sum against the benchmark."""

    data: SectorData | None = None
    data_quality: DataQuality | None = None
    metadata: dict[str, Any] = {}


class AggregateConcentration(Aggregate, kw_only=True):
    """How concentrated the sum is; a symbol that several portfolios hold counts once."""

    data: ConcentrationData | None = None
    data_quality: DataQuality | None = None
    metadata: dict[str, Any] = {}


class AggregateCorrelations(Aggregate, kw_only=True):
    """Correlations of the largest positions of the sum."""

    data: CorrelationData | None = None
    data_quality: DataQuality | None = None
    metadata: dict[str, Any] = {}


class AggregateStress(Aggregate, kw_only=True):
    """Stress scenarios on the sum."""

    data: StressData | None = None
    data_quality: DataQuality | None = None
    metadata: dict[str, Any] = {}
