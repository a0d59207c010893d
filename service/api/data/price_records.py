"""Wire records of the price routes. A number that the store does not have is null."""

from datetime import date

import msgspec


class PriceSeries(msgspec.Struct, kw_only=True):
    """Daily prices of a symbol, unadjusted; dates are ISO text, or seconds since 1970 at midnight UTC."""

    dates: list[str | int]
    open: list[float | None]
    high: list[float | None]
    low: list[float | None]
    close: list[float | None]
    volume: list[float | None]
    adjusted_close: list[float | None]
    data_points: int
    source: str | None


class HistoryMetadata(msgspec.Struct, kw_only=True):
    """What was asked for, and which symbols have no price in that time."""

    lookback_days: int
    start_date: date | None
    end_date: date | None
    trading_days_included: int
    missing_symbols: list[str]


class HistoricalPrices(msgspec.Struct):
    """Prices of a portfolio's symbols over sessions."""

    metadata: HistoryMetadata
    symbols: dict[str, PriceSeries]


class BenchmarkMetadata(msgspec.Struct, kw_only=True):
    """What was asked for, and what was found."""

    lookback_days: int
    start_date: date | None
    end_date: date | None
    trading_days_found: int
    first_date: date | None
    last_date: date | None


class BenchmarkPrices(msgspec.Struct, kw_only=True):
    """Prices of one symbol over sessions."""

    symbol: str
    available: bool
    message: str | None
    metadata: BenchmarkMetadata
    data: PriceSeries | None


class Quote(msgspec.Struct, kw_only=True):
    """A symbol at its last close; there are no bids and offers in daily prices, and their fields are null."""

    symbol: str
    last_price: float
    bid: None = None
    ask: None = None
    bid_size: None = None
    ask_size: None = None
    volume: float | None
    day_change: float | None
    day_change_percent: float | None
    day_high: float | None
    day_low: float | None
    timestamp: str


class QuotesMetadata(msgspec.Struct):
    """How many of the symbols have a price."""

    requested_symbols: list[str]
    successful_quotes: int
    failed_quotes: int
    failed_symbols: list[str]
    timestamp: str


class Quotes(msgspec.Struct):
    """Last closes."""

    quotes: list[Quote]
    metadata: QuotesMetadata


class FactorPrice(msgspec.Struct, kw_only=True):
    """A factor's proxy at its last close."""

    factor_name: str
    symbol: str
    current_price: float | None
    open: float | None
    high: float | None
    low: float | None
    volume: float | None
    date: date
    updated_at: str
    data_source: str | None
    exchange: None = None
    market_cap: float | None


class FactorPricesMetadata(msgspec.Struct):
    """How many proxies there are."""

    factor_model: str
    etf_count: int
    timestamp: str


class FactorPrices(msgspec.Struct):
    """Proxies of the factors at their last closes, by their symbols."""

    metadata: FactorPricesMetadata
    data: dict[str, FactorPrice]
