"""A small market, and what each provider would answer of it: its shape, its spelling, its adjustments.

Prices are kept as traded, with the splits and dividends that happened; each provider's adjustments are
reckoned from those. Imports nothing of the code under test.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
PAGE = 7  # bars on a page of the provider that has pages


@dataclass
class Bar:
    """One session as traded; a price may be None."""

    day: date
    close: float | None
    volume: float | None = 1_000_000.0
    is_live: bool = False  # sent whatever span was asked for

    def price(self, factor: float = 1.0) -> float | None:
        return None if self.close is None else self.close * factor


@dataclass
class Listing:
    """A symbol: its bars, what happened, and what a provider says of it."""

    bars: list[Bar]
    splits: dict[date, float] = field(default_factory=dict)
    dividends: dict[date, float] = field(default_factory=dict)
    currency: str = "USD"
    is_delisted: bool = False
    echo: str | None = None  # the symbol that it is answered as

    def later_splits(self, day: date) -> float:
        shares = 1.0
        for on, ratio in self.splits.items():
            shares *= ratio if on > day else 1.0
        return shares

    def paid(self, day: date) -> float:
        """What dividends after a day leave of its price."""
        left = 1.0
        for on, amount in self.dividends.items():
            before = [bar for bar in self.bars if bar.day < on and bar.close is not None]
            if on > day and before:
                last = max(before, key=lambda bar: bar.day)
                left *= 1.0 - amount / last.close
        return left

    def within(self, first: str, last: str) -> list[Bar]:
        return [bar for bar in self.bars if bar.is_live or first <= str(bar.day) <= last]


Listings = Mapping[str, Listing]
Answer = tuple[int, object]


def answer_of(listings: Listings, url: str, path: str, query: dict[str, str]) -> Answer:
    """Status and JSON of a request, in the shape of the provider that it is meant for."""
    for start, route in ROUTES.items():
        if path.startswith(start):
            return route(Market(listings, url), path.removeprefix(start), query)
    return 404, {"error": "no such path"}


@dataclass(frozen=True)
class Market:
    listings: Listings
    url: str

    def listing(self, ticker: str) -> tuple[str, Listing | None]:
        return ticker, self.listings.get(ticker.replace("-", "."))


def tiingo(market: Market, rest: str, query: dict[str, str]) -> Answer:
    name, _, prices = rest.partition("/")
    ticker, found = market.listing(name)
    if found is None:
        return 404, {"detail": "Not found."}
    if not prices:
        end = f"{max(bar.day for bar in found.bars)}T00:00:00.000Z" if found.bars else None
        return 200, {"ticker": found.echo or ticker, "name": ticker, "exchangeCode": "NYSE", "endDate": end}
    return 200, [
        {
            "date": f"{bar.day}T00:00:00.000Z",
            **{name: bar.price() for name in ("open", "high", "low", "close")},
            "volume": bar.volume,
            "adjClose": bar.price(found.paid(bar.day) / found.later_splits(bar.day)),
            "divCash": found.dividends.get(bar.day, 0.0),
            "splitFactor": found.splits.get(bar.day, 1.0),
        }
        for bar in found.within(query["startDate"], query["endDate"])
    ]


def eodhd_bar(found: Listing, bar: Bar) -> dict[str, object]:
    return {
        "date": str(bar.day),
        **{name: bar.price() for name in ("open", "high", "low", "close")},
        "adjusted_close": bar.price(found.paid(bar.day) / found.later_splits(bar.day)),
        "volume": bar.volume,
    }


def eodhd(market: Market, rest: str, query: dict[str, str]) -> Answer:
    kind, _, name = rest.partition("/")
    if kind == "eod-bulk-last-day":
        return 200, list(eodhd_bulk(market, query["date"], query.get("type", "")))
    _, found = market.listing(name.removesuffix(".US"))
    if found is None or not name.endswith(".US"):
        return 404, "Ticker Not Found."
    first, last = query["from"], query["to"]
    if kind == "splits":
        rows = [{"date": str(on), "split": f"{ratio:f}/1.000000"} for on, ratio in found.splits.items()]
    elif kind == "div":
        rows = [{"date": str(on), "value": d, "unadjustedValue": d} for on, d in found.dividends.items()]
    else:
        return 200, [eodhd_bar(found, bar) for bar in found.within(first, last)]
    return 200, [row for row in rows if first <= row["date"] <= last]


def eodhd_bulk(market: Market, day: str, kind: str) -> Iterator[dict[str, object]]:
    for symbol, found in market.listings.items():
        row = {"code": symbol.replace(".", "-"), "exchange_short_name": "US", "date": day}
        if kind == "splits" and (ratio := found.splits.get(date.fromisoformat(day))):
            yield {**row, "split": f"{ratio:f}/1.000000"}
        if kind == "dividends" and (amount := found.dividends.get(date.fromisoformat(day))):
            yield {**row, "dividend": amount, "unadjustedValue": amount}
        if not kind:
            yield from ({**row, **eodhd_bar(found, bar)} for bar in found.within(day, day))


def fmp(market: Market, rest: str, query: dict[str, str]) -> Answer:
    ticker, found = market.listing(query["symbol"])
    if found is None:
        return 200, []
    shown = found.echo or ticker
    if rest == "profile":
        return 200, [
            {
                "symbol": shown,
                "price": 50.0,
                "marketCap": 3e9,
                "beta": 1.25,
                "lastDividend": 1.5,
                "companyName": f"{ticker} Inc.",
                "sector": "Technology",
                "industry": "Software",
                "isEtf": False,
                "isFund": False,
                "isActivelyTrading": not found.is_delisted,
            }
        ]
    if rest == "splits":
        return 200, [
            {"symbol": shown, "date": str(on), "numerator": ratio, "denominator": 1}
            for on, ratio in found.splits.items()
        ]
    if rest == "dividends":
        return 200, [
            {"symbol": shown, "date": str(on), "dividend": d, "adjDividend": d / found.later_splits(on)}
            for on, d in found.dividends.items()
        ]
    if not rest.startswith("historical-price-eod/"):
        return 200, fmp_statements(shown, rest, query)
    is_raw = rest.endswith("non-split-adjusted")
    rows = []
    for bar in reversed(found.within(query["from"], query["to"])):
        price = bar.price(1.0 if is_raw else found.paid(bar.day) / found.later_splits(bar.day))
        prices = {f"adj{name}": price for name in ("Open", "High", "Low", "Close")}
        rows.append({"symbol": shown, "date": str(bar.day), **prices, "volume": bar.volume})
    return 200, rows


def fmp_statements(symbol: str, statement: str, query: dict[str, str]) -> list[dict[str, object]]:
    line = {"income-statement": "costOfRevenue", "balance-sheet-statement": "totalAssets"}.get(
        statement, "operatingCashFlow"
    )
    filed = {"filingDate": "2024-02-20", "acceptedDate": "2024-02-19 18:00:00"}
    head = {"date": "2023-12-31", "symbol": symbol, "reportedCurrency": "USD", "cik": "1", **filed}
    quarter = query["period"] == "quarter"
    return [
        {
            **head,
            "fiscalYear": "2023",
            "period": "Q4" if quarter else "FY",
            line: 25 if quarter else 100,
            "eps": None,
        }
    ]


def massive(market: Market, rest: str, query: dict[str, str]) -> Answer:
    ticker, _, _, _, first, last = rest.split("/")
    found = market.listings.get(ticker.removeprefix("O:"))
    bars = [] if found is None else found.within(first, last)
    at = int(query.get("cursor", 0))
    assert query.get("adjusted", "true") == "true"
    more = f"{market.url}/v2/aggs/ticker/{rest}?cursor={at + PAGE}" if at + PAGE < len(bars) else None
    results = []
    for bar in bars[at : at + PAGE]:
        start = datetime.combine(bar.day, time(), NEW_YORK)
        price = bar.price(1.0 / found.later_splits(bar.day))
        stamp = int(start.timestamp() * 1000)
        results.append({"t": stamp, **dict.fromkeys("ohlc", price), "v": bar.volume, "n": 5})
    answer = {
        "ticker": found.echo or ticker if found else ticker,
        "status": "OK",
        "resultsCount": len(results),
    }
    return 200, answer | ({"results": results} if results else {}) | ({"next_url": more} if more else {})


def massive_ticker(market: Market, rest: str, query: dict[str, str]) -> Answer:
    found = market.listings.get(rest)
    if found is None:
        return 404, {"status": "NOT_FOUND", "message": "Ticker not found."}
    about: dict[str, object] = {"ticker": rest, "active": not found.is_delisted}
    if found.is_delisted:
        about["delisted_utc"] = f"{max(bar.day for bar in found.bars)}T00:00:00Z"
    return 200, {"status": "OK", "results": about}


def yahoo(market: Market, rest: str, query: dict[str, str]) -> Answer:
    ticker, found = market.listing(rest)
    if found is None:
        said = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
        return 404, {"chart": {"result": None, "error": said}}
    days = [str(datetime.fromtimestamp(int(query[name]), UTC).date()) for name in ("period1", "period2")]
    bars = found.within(*days)
    if not bars:
        said = {
            "code": "Bad Request",
            "description": f"Data doesn't exist for startDate = {query['period1']}",
        }
        return 400, {"chart": {"result": None, "error": said}}
    unit = 100.0 if found.currency == "GBp" else 1.0
    traded = [bar.price(unit / found.later_splits(bar.day)) for bar in bars]
    adjusted = [bar.price(unit * found.paid(bar.day) / found.later_splits(bar.day)) for bar in bars]
    told = dict.fromkeys(("open", "high", "low", "close"), traded)
    volume = [None if bar.volume is None else bar.volume * found.later_splits(bar.day) for bar in bars]
    amounts = {on: d * unit / found.later_splits(on) for on, d in found.dividends.items()}
    events = {
        "dividends": {str(opening(on)): {"amount": d, "date": opening(on)} for on, d in amounts.items()},
        "splits": {
            str(opening(on)): {"date": opening(on), "numerator": ratio, "denominator": 1.0}
            for on, ratio in found.splits.items()
        },
    }
    chart = {
        "meta": {
            "symbol": found.echo or ticker,
            "currency": found.currency,
            "exchangeTimezoneName": "America/New_York",
        },
        "timestamp": [opening(bar.day) + (23_400 if bar.is_live else 0) for bar in bars],
        "events": {kind: each for kind, each in events.items() if each},
        "indicators": {"quote": [{**told, "volume": volume}], "adjclose": [{"adjclose": adjusted}]},
    }
    return 200, {"chart": {"result": [chart], "error": None}}


def opening(day: date) -> int:
    return int(datetime.combine(day, time(9, 30), NEW_YORK).timestamp())


ROUTES = {
    "/tiingo/daily/": tiingo,
    "/api/": eodhd,
    "/stable/": fmp,
    "/v2/aggs/ticker/": massive,
    "/v3/reference/tickers/": massive_ticker,
    "/v8/finance/chart/": yahoo,
}


def weekdays(first: date, count: int) -> list[date]:
    """Days from Monday to Friday, from one on."""
    days = (first + timedelta(days=at) for at in range(2 * count + 7))
    return [day for day in days if day.weekday() < 5][:count]
