"""Routes of stored prices: of a portfolio's symbols, of any symbol, and of the factors' proxies."""

from datetime import UTC, date, datetime, time
from typing import Annotated, Literal, TypeAlias

import polars as pl
from litestar import get
from litestar.params import Parameter

from engine.factors import PROXIES
from service import clock
from service.api.auth import Caller
from service.api.data.price_records import (
    BenchmarkMetadata,
    BenchmarkPrices,
    FactorPrice,
    FactorPrices,
    FactorPricesMetadata,
    HistoricalPrices,
    HistoryMetadata,
    PriceSeries,
    Quote,
    Quotes,
    QuotesMetadata,
)
from service.api.problems import ApiError
from service.api.resources import Resources
from service.live_book import Market
from service.lots import priced_by
from service.price_history import first_session, histories

TAGS = ["data"]
MAX_PRICES, MAX_SYMBOLS = 500_000, 200
QUOTED_SESSIONS = 10
PROXY_ALIASES = {"SLY": "IWM"}  # one size factor, under the name of an older proxy
DateFormat: TypeAlias = Literal["iso", "unix"]
Sessions = Annotated[int, Parameter(ge=1, le=2_000, description="Sessions to look back on")]


@get("/data/prices/historical/{portfolio_id:str}", sync_to_thread=True, tags=TAGS)
def historical(
    resources: Resources,
    caller: Caller,
    portfolio_id: str,
    lookback_days: Sessions = 150,
    include_factor_etfs: bool = True,
    date_format: DateFormat = "iso",
) -> HistoricalPrices:
    """Return the prices of a portfolio's open public positions, and of the factors' proxies."""
    composed = resources.composed(resources.ledger.portfolios.get(caller.owner, portfolio_id))
    lots = [each for each in resources.ledger.positions.of(portfolio_id) if each.lot.exit_date is None]
    traded = [each for each in lots if each.lot.investment_class != "PRIVATE"]
    held = {composed.listed(each) if composed else priced_by(each.lot) for each in traded}
    wanted = held | set(PROXIES.values()) if include_factor_etfs else held
    if len(wanted) * lookback_days > MAX_PRICES:
        detail = f"{len(wanted)} symbols over {lookback_days} sessions are too many; lower lookback_days"
        raise ApiError(400, "too_many_prices", detail)
    market = resources.market()
    found = histories(resources.store, market, wanted, lookback_days) if market else {}
    days = {day for frame in found.values() for day in frame["session"].to_list()}
    metadata = HistoryMetadata(
        lookback_days=lookback_days,
        start_date=min(days, default=None),
        end_date=max(days, default=None),
        trading_days_included=len(days),
        missing_symbols=sorted(wanted - found.keys()),
    )
    return HistoricalPrices(metadata, {name: _series(rows, date_format) for name, rows in found.items()})


@get("/data/prices/benchmark/{symbol:str}", sync_to_thread=True, tags=TAGS)
def benchmark(
    resources: Resources, symbol: str, lookback_days: Sessions = 400, date_format: DateFormat = "iso"
) -> BenchmarkPrices:
    """Return the prices of one symbol."""
    name, market = symbol.strip().upper(), resources.market()
    wanted = PROXY_ALIASES.get(name, name)
    rows = histories(resources.store, market, [wanted], lookback_days).get(wanted) if market else None
    days: list[date] = [] if rows is None else rows["session"].to_list()
    metadata = BenchmarkMetadata(
        lookback_days=lookback_days,
        start_date=first_session(market, lookback_days) if market else None,
        end_date=market.session if market else None,
        trading_days_found=len(days),
        first_date=days[0] if days else None,
        last_date=days[-1] if days else None,
    )
    return BenchmarkPrices(
        symbol=name,
        available=rows is not None,
        message=None if days else f"there are no prices of {name} in this time",
        metadata=metadata,
        data=None if rows is None else _series(rows, date_format),
    )


@get("/data/prices/quotes", sync_to_thread=True, tags=TAGS)
def quotes(
    resources: Resources,
    symbols: Annotated[str, Parameter(min_length=1)],
    include_options: bool = False,  # noqa: ARG001 - options have no prices
) -> Quotes:
    """Return the last closes of a comma-separated list of symbols, none older than ten sessions."""
    wanted = _split(symbols)
    if not 0 < len(wanted) <= MAX_SYMBOLS:
        raise ApiError(400, "symbols", f"give 1 to {MAX_SYMBOLS} symbols, separated by commas")
    market = resources.market()
    rows = histories(resources.store, market, wanted, QUOTED_SESSIONS) if market else {}
    closes = {name: each.filter(pl.col("close").is_not_null()) for name, each in rows.items()}
    found = {name: each for name, each in closes.items() if len(each)}
    answers = [_quote(name, found[name]) for name in wanted if name in found]
    failed = [name for name in wanted if name not in found]
    metadata = QuotesMetadata(wanted, len(answers), len(failed), failed, _now())
    return Quotes(answers, metadata)


@get("/data/factors/etf-prices", sync_to_thread=True, tags=TAGS)
def factor_prices(
    resources: Resources, lookback_days: Sessions = 150, factors: str | None = None
) -> FactorPrices:
    """Return the last closes of the factors' proxies; ``factors`` is a comma-separated choice of either."""
    wanted = _proxies(factors)
    market = resources.market()
    symbols = {PROXY_ALIASES.get(name, name) for name in wanted}
    found = histories(resources.store, market, symbols, lookback_days) if market else {}
    data = {
        name: _factor_price(market, factor, PROXY_ALIASES.get(name, name), rows)
        for name, factor in wanted.items()
        if market and (rows := found.get(PROXY_ALIASES.get(name, name))) is not None
    }
    return FactorPrices(FactorPricesMetadata("8 factor proxies", len(data), _now()), data)


def _proxies(chosen: str | None) -> dict[str, str]:
    """Return the names of factors by the proxies that are asked for."""
    known = {symbol: factor for factor, symbol in PROXIES.items()}
    if chosen is None:
        return known
    by_name = {factor.upper(): symbol for factor, symbol in PROXIES.items()}
    wanted = [by_name.get(name, name) for name in _split(chosen)]
    if unknown := [name for name in wanted if PROXY_ALIASES.get(name, name) not in known]:
        names = ", ".join(PROXIES)
        raise ApiError(400, "factors", f"there is no factor {', '.join(unknown)}; there are {names}")
    return {name: known[PROXY_ALIASES.get(name, name)] for name in wanted}


def _factor_price(market: Market, factor: str, symbol: str, rows: pl.DataFrame) -> FactorPrice:
    last = rows.row(-1, named=True)
    profile = market.profiles.get(symbol, {})
    return FactorPrice(
        factor_name=factor,
        symbol=symbol,
        current_price=last["close"],
        open=last["open"],
        high=last["high"],
        low=last["low"],
        volume=last["volume"],
        date=last["session"],
        updated_at=_closed(last["session"]),
        data_source=last["source"],
        market_cap=profile.get("market_cap"),
    )


def _quote(symbol: str, rows: pl.DataFrame) -> Quote:
    """Quote the last close, and its change by the adjusted closes, which a split does not move."""
    last, adjusted = rows.row(-1, named=True), rows["adj_close"].drop_nulls().to_list()
    relative = adjusted[-1] / adjusted[-2] - 1 if len(adjusted) > 1 and adjusted[-2] else None
    price = last["close"]
    return Quote(
        symbol=symbol,
        last_price=price,
        volume=last["volume"],
        day_change=None if relative is None else price - price / (1 + relative),
        day_change_percent=None if relative is None else 100 * relative,
        day_high=last["high"],
        day_low=last["low"],
        timestamp=_closed(last["session"]),
    )


def _series(rows: pl.DataFrame, date_format: DateFormat) -> PriceSeries:
    days: list[date] = rows["session"].to_list()
    dates = [day.isoformat() if date_format == "iso" else _midnight(day) for day in days]
    sources = rows["source"].drop_nulls()
    return PriceSeries(
        dates=dates,
        open=rows["open"].to_list(),
        high=rows["high"].to_list(),
        low=rows["low"].to_list(),
        close=rows["close"].to_list(),
        volume=rows["volume"].to_list(),
        adjusted_close=rows["adj_close"].to_list(),
        data_points=len(rows),
        source=sources[-1] if len(sources) else None,
    )


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())


def _closed(session: date) -> str:
    closed = datetime.combine(session, time(16), clock.NEW_YORK)
    return closed.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _now() -> str:
    return clock.utc_now().isoformat(timespec="seconds").replace("+00:00", "Z")


def _split(text: str) -> list[str]:
    return list(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip()))


HANDLERS = [historical, benchmark, quotes, factor_prices]
