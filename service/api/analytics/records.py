"""Wire records of the analytics routes. Numbers that do not exist are null; percentages say so by name."""

from datetime import date
from typing import Any

import msgspec


class Excluded(msgspec.Struct):
    """A lot that no number contains, and why."""

    symbol: str
    reason: str


class Served(msgspec.Struct, kw_only=True):
    """What every answer carries: of when, from what, and how much of the book it covers.

    ``n_obs`` is the fewest daily returns that any of its numbers rests on, or the sessions that a history
    has; null where they rest on closes.
    """

    portfolio_id: str | None
    available: bool
    as_of: date | None = None
    release: int | None = None
    coverage: float | None = None
    n_obs: int | None = None
    quality: str = "unavailable"
    reasons: list[str] = []
    excluded: list[Excluded] = []


class DataQuality(msgspec.Struct, kw_only=True):
    """How complete and how fresh an answer is; ``age_hours`` counts days to the newest closed session."""

    flag: str
    message: str
    positions_analyzed: int
    positions_total: int
    positions_skipped: int
    data_days: int | None = None
    calculation_date: date | None = None
    age_hours: int | None = None
    is_stale: bool = False
    is_current: bool = True
    should_recalculate: bool = False


class Exposures(msgspec.Struct):
    """Long, short (negative), gross and net, in currency and in percent of NAV."""

    long_exposure: float | None
    short_exposure: float | None
    gross_exposure: float | None
    net_exposure: float | None
    long_percentage: float | None
    short_percentage: float | None
    gross_percentage: float | None
    net_percentage: float | None


class ProfitAndLoss(msgspec.Struct):
    """P&L in currency.

    Of the account up to its newest snapshot, null before there is one: total since the first one, in its
    year, in its month. Of the lots since their entries: of the open ones unrealized; realized of the closed
    ones whose exit price is known, null where no portfolio is stored.
    """

    total_pnl: float | None
    unrealized_pnl: float | None
    realized_pnl: float | None
    ytd_pnl: float | None
    mtd_pnl: float | None


class PositionCount(msgspec.Struct):
    """How many lots there are."""

    total_positions: int
    long_count: int
    short_count: int
    option_count: int


class Greeks(msgspec.Struct, kw_only=True):
    """Sums over the option lots that have a price, contracts times 100 included; null without any.

    ``delta`` in shares of the underlyings and ``gamma`` in shares per unit of their prices; in currency
    ``theta`` per calendar day, ``vega`` per volatility point (0.01) and ``rho`` per 1 % of the rate.
    ``reason``: ``no_options``; ``option_not_priced`` when none has a price, ``partial_coverage`` when some
    have none.
    """

    delta: float | None = None
    gamma: float | None = None
    theta: float | None = None
    vega: float | None = None
    rho: float | None = None
    n_options: int = 0
    n_priced: int = 0
    reason: str | None = None


class Overview(Served, kw_only=True):
    """Value, exposures and P&L of a portfolio."""

    equity_balance: float | None = None
    net_asset_value: float | None = None
    total_value: float | None = None
    cash_balance: float | None = None
    leverage: float | None = None
    exposures: Exposures | None = None
    pnl: ProfitAndLoss | None = None
    position_count: PositionCount | None = None
    greeks: Greeks | None = None
    target_returns: None = None
    last_updated: str | None = None


class FactorBeta(msgspec.Struct):
    """Exposure to a factor.

    ``coverage`` is the share of the book that has a beta, ``n_obs`` the fewest returns behind one of those.
    """

    name: str
    beta: float | None
    exposure_dollar: float | None
    standard_error: float | None
    coverage: float | None
    n_obs: int | None
    quality: str
    reasons: list[str]


class FactorExposuresAnswer(Served, kw_only=True):
    """Exposure to every factor."""

    calculation_date: date | None = None
    data_quality: DataQuality | None = None
    factors: list[FactorBeta] = []
    metadata: dict[str, Any] = {}


class CorrelationData(msgspec.Struct):
    """Pairwise correlations, symbols by descending weight; ``order`` puts similar ones side by side."""

    matrix: dict[str, dict[str, float | None]]
    average_correlation: float | None
    order: list[str]
    effective_num_bets: float | None
    diversification_ratio: float | None


class CorrelationMatrix(Served, kw_only=True):
    """Correlations of the largest positions."""

    data: CorrelationData | None = None
    data_quality: DataQuality | None = None
    metadata: dict[str, Any] = {}


class DiversificationScore(Served, kw_only=True):
    """Weighted average correlation of the positions."""

    portfolio_correlation: float | None = None
    duration_days: int = 0
    calculation_date: date | None = None
    symbols_included: int = 0
    metadata: dict[str, Any] = {}


class Impact(msgspec.Struct):
    """What a scenario does to the book; the percentage is in points of NAV."""

    dollar_impact: float | None
    percentage_impact: float | None
    new_portfolio_value: float | None


class ScenarioResult(msgspec.Struct):
    """One scenario: the correlated impact, the direct one beside it, and who contributes what."""

    id: str
    name: str
    description: str
    category: str
    impact_type: str
    impact: Impact
    severity: str
    direct_dollar_impact: float | None
    by_factor: dict[str, float | None]


class StressData(msgspec.Struct):
    """All scenarios, by category and name."""

    scenarios: list[ScenarioResult]
    portfolio_value: float | None
    calculation_date: date


class StressTest(Served, kw_only=True):
    """Stress scenarios on today's book."""

    data: StressData | None = None
    data_quality: DataQuality | None = None
    metadata: dict[str, Any] = {}


class VolatilityData(msgspec.Struct):
    """Annualized volatility of today's weights; the percentile is from 0 to 1."""

    realized_volatility_21d: float | None
    realized_volatility_63d: float | None
    realized_volatility_252d: float | None
    expected_volatility_21d: float | None
    model_volatility: float | None
    volatility_trend: str | None
    volatility_percentile: float | None
    n_obs: int


class Volatility(Served, kw_only=True):
    """Volatility of a portfolio."""

    calculation_date: date | None = None
    data: VolatilityData | None = None
    metadata: dict[str, Any] = {}


class SectorData(msgspec.Struct):
    """Net weights over NAV by sector, the benchmark's, and the difference, in decimals."""

    portfolio_weights: dict[str, float | None]
    gross_weights: dict[str, float | None]
    benchmark_weights: dict[str, float]
    over_underweight: dict[str, float | None]
    largest_overweight: str | None
    largest_underweight: str | None
    total_portfolio_value: float | None
    positions_by_sector: dict[str, int]
    unclassified_value: float
    unclassified_count: int


class SectorExposure(Served, kw_only=True):
    """Sectors against the benchmark."""

    data: SectorData | None = None
    data_quality: DataQuality | None = None
    metadata: dict[str, Any] = {}


class ConcentrationData(msgspec.Struct):
    """Herfindahl–Hirschman index (0–10,000) and shares of the largest positions."""

    hhi: float | None
    effective_num_positions: float | None
    top_3_concentration: float | None
    top_10_concentration: float | None
    total_positions: int
    position_weights: dict[str, float]


class ConcentrationAnswer(Served, kw_only=True):
    """How concentrated the book is."""

    data: ConcentrationData | None = None
    data_quality: DataQuality | None = None
    metadata: dict[str, Any] = {}


class RiskData(msgspec.Struct):
    """Risk by the joint model: shares of variance by factor and position, which add up to 1."""

    volatility: float | None
    specific_volatility: float | None
    specific_share: float | None
    factor_loadings: dict[str, float | None]
    factor_contribution: dict[str, float | None]
    position_contribution: dict[str, float | None]
    proxied_symbols: list[str]
    proxied_share: float | None


class RiskAttribution(Served, kw_only=True):
    """Where the risk comes from."""

    data: RiskData | None = None
    data_quality: DataQuality | None = None
    metadata: dict[str, Any] = {}
