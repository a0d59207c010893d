"""Wire records of portfolios as data. A number that the book or a snapshot does not have is null."""

from datetime import date
from typing import Any

import msgspec


class PortfolioSummary(msgspec.Struct, kw_only=True):
    """A portfolio and what it is worth."""

    id: str
    name: str
    net_asset_value: float | None
    total_value: float | None
    equity_balance: float | None
    total_market_value: float | None
    created_at: str
    updated_at: str
    position_count: int


class Limits(msgspec.Struct):
    """How much one answer holds at most."""

    max_positions: int
    max_days: int
    max_symbols: int


class Meta(msgspec.Struct, kw_only=True):
    """What was asked for, and what was answered."""

    as_of: date | None
    requested: dict[str, Any]
    applied: dict[str, Any]
    limits: Limits
    rows_returned: int
    truncated: bool
    schema_version: str = "1.0"


class PortfolioValues(msgspec.Struct, kw_only=True):
    """A portfolio's values as of the book's session."""

    id: str
    name: str
    net_asset_value: float | None
    total_value: float | None
    equity_balance: float | None
    position_count: int
    as_of: date | None


class PositionsSummary(msgspec.Struct):
    """Open positions by direction, and what they are worth; cash lots are no positions here."""

    long_count: int
    short_count: int
    option_count: int
    total_market_value: float | None


class Holding(msgspec.Struct, kw_only=True):
    """An open position at the book's price, in shares of its session."""

    id: str
    symbol: str
    quantity: float
    position_type: str
    investment_class: str
    market_value: float | None
    last_price: float | None
    current_price: float | None
    has_complete_history: bool
    tags: list[str] | None = None


class SnapshotPoint(msgspec.Struct):
    """A portfolio on a session."""

    date: date
    net_asset_value: float | None
    daily_pnl: float | None
    daily_return: float | None


class HoldingsQuality(msgspec.Struct):
    """How many holdings have the whole history of prices."""

    complete_data_positions: int
    partial_data_positions: int
    as_of: date | None


class CompletePortfolio(msgspec.Struct, kw_only=True):
    """A portfolio with as much of it as was asked for; ``attribution`` is none of ours."""

    meta: Meta
    portfolio: PortfolioValues
    positions_summary: PositionsSummary
    holdings: list[Holding] | None
    timeseries: list[SnapshotPoint] | None
    attribution: None = None
    data_quality: HoldingsQuality


class PortfolioSnapshot(msgspec.Struct, kw_only=True):
    """The newest snapshot of a portfolio; all is null before the first one, as are target prices always."""

    portfolio_id: str
    snapshot_date: date | None = None
    target_price_return_eoy: None = None
    target_price_return_next_year: None = None
    target_price_coverage_pct: None = None
    target_price_positions_count: None = None
    target_price_total_positions: None = None
    target_price_last_updated: None = None
    beta_calculated_90d: float | None = None
    beta_provider_1y: float | None = None
    daily_pnl: float | None = None
    daily_return: float | None = None


class QualitySummary(msgspec.Struct):
    """Symbols that the market prices, by how much of their history is known."""

    total_positions: int
    complete_data: int
    partial_data: int
    insufficient_data: int
    data_coverage_percent: float | None


class PartialHistory(msgspec.Struct):
    """A symbol with a part of the history."""

    symbol: str
    days_available: int
    days_missing: int


class InsufficientData(msgspec.Struct):
    """A symbol with too short a history for anything."""

    symbol: str
    days_available: int
    reason: str


class PositionHistories(msgspec.Struct):
    """Symbols by how much of their history is known."""

    complete_history: list[str]
    partial_history: list[PartialHistory]
    insufficient_data: list[InsufficientData]


class Feasibility(msgspec.Struct):
    """Whether a calculation has enough symbols with enough returns."""

    feasible: bool
    positions_eligible: int
    positions_excluded: int
    min_days: int


class FactorCoverage(msgspec.Struct):
    """The factors' proxies by how much of their history is known."""

    complete: list[str]
    partial: list[str]
    missing: list[str]


class PortfolioDataQuality(msgspec.Struct, kw_only=True):
    """What a portfolio's data suffice for."""

    portfolio_id: str
    summary: QualitySummary
    position_data_quality: PositionHistories
    calculation_feasibility: dict[str, Feasibility]
    factor_etf_coverage: FactorCoverage | None
    last_update: date | None
