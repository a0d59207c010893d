"""Wire records of positions and companies as data."""

from datetime import date
from typing import Any

import msgspec


class PositionDetail(msgspec.Struct, kw_only=True):
    """A position with its company, in shares of the book's session; values are null without a price."""

    id: str
    portfolio_id: str
    symbol: str
    company_name: str | None
    sector: str | None
    industry: str | None
    position_type: str
    investment_class: str
    investment_subtype: str | None
    quantity: float
    entry_date: date
    entry_price: float
    cost_basis: float
    current_price: float | None
    market_value: float | None
    unrealized_pnl: float | None
    unrealized_pnl_percent: float | None
    strike_price: float | None
    expiration_date: date | None
    underlying_symbol: str | None
    exit_date: date | None
    tags: list[str] = []


class DetailsSummary(msgspec.Struct):
    """Sums over the open positions listed; values and P&L over those that have a price."""

    total_positions: int
    total_cost_basis: float
    total_market_value: float
    total_unrealized_pnl: float


class PositionDetails(msgspec.Struct):
    """Positions with their companies."""

    positions: list[PositionDetail]
    summary: DetailsSummary


class TopPosition(msgspec.Struct):
    """A symbol's lots together; the weight is over NAV, with 4 decimals."""

    symbol: str
    name: str | None
    qty: float
    value: float
    weight: float | None
    sector: str | None


class TopMeta(msgspec.Struct):
    """What was asked for."""

    as_of: date | None
    limit: int
    sort_by: str


class TopPositions(msgspec.Struct):
    """The largest positions by size, long or short, and their share of the sizes of all."""

    meta: TopMeta
    data: list[TopPosition]
    coverage_percent: float | None
    total_positions: int


class ProfilesMeta(msgspec.Struct, kw_only=True):
    """What was asked for, and what is missing."""

    query_type: str
    requested_symbols: list[str]
    returned_profiles: int
    missing_profiles: list[str]
    as_of: date | None
    fields: list[str]


class Profiles(msgspec.Struct):
    """What companies and funds are, as far as any source says it."""

    profiles: list[dict[str, Any]]
    meta: ProfilesMeta


class RestoredTags(msgspec.Struct):
    """How many positions were looked at, and how many have another sector than before."""

    portfolio_id: str
    positions_total: int
    positions_tagged: int
