"""Wire records of what a portfolio was and did: performance, stored exposures, replayed windows."""

from datetime import date
from typing import Any

import msgspec

from service.api.analytics.records import Served


class DrawdownRecord(msgspec.Struct):
    """The deepest fall and its dates; no ``recovery`` yet is null."""

    depth: float | None
    start: date | None
    trough: date | None
    recovery: date | None


class Statistics(msgspec.Struct, kw_only=True):
    """Statistics of the returns, in decimals; volatility, Sharpe and the like are annualized."""

    n_obs: int
    cumulative_return: float | None
    annual_return: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    value_at_risk_95: float | None
    value_at_risk_99: float | None
    conditional_var_95: float | None
    conditional_var_99: float | None
    skew: float | None
    kurtosis: float | None
    hit_rate: float | None
    drawdown: DrawdownRecord


class RelativeStatistics(msgspec.Struct, kw_only=True):
    """The returns against the market proxy's."""

    benchmark: str
    n_obs: int
    beta: float | None
    alpha: float | None
    r_squared: float | None
    tracking_error: float | None
    information_ratio: float | None


class PerformanceData(msgspec.Struct, kw_only=True):
    """Statistics, and the series that they are of; ``nav`` only of stored snapshots."""

    statistics: Statistics
    relative: RelativeStatistics
    dates: list[date]
    returns: list[float | None]
    nav: list[float | None] | None


class PerformanceAnswer(Served, kw_only=True):
    """Performance by stored snapshots, or of today's weights replayed."""

    basis: str = "snapshots"
    data: PerformanceData | None = None
    metadata: dict[str, Any] = {}


class ExposurePoint(msgspec.Struct):
    """Exposure to a factor as it was stored on a session."""

    session: date
    factor: str
    beta: float | None
    exposure_dollar: float | None
    standard_error: float | None
    coverage: float | None


class ExposureHistory(Served, kw_only=True):
    """Factor exposures, session by session, as they were stored."""

    history: list[ExposurePoint] = []
    metadata: dict[str, Any] = {}


class ReplayData(msgspec.Struct, kw_only=True):
    """Cumulative P&L through the window, in currency, and each symbol's over the whole."""

    start: date
    end: date
    dates: list[date]
    pnl: list[float]
    total_pnl: float
    percentage_impact: float | None
    by_symbol: dict[str, float | None]
    modeled_share: dict[str, float]


class ReplayAnswer(Served, kw_only=True):
    """What a past window of sessions would do to today's book."""

    data: ReplayData | None = None
    metadata: dict[str, Any] = {}
