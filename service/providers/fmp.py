"""Financial Modeling Prep: prices in two calls a symbol, splits, dividends, company profiles, statements."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import msgspec
import polars as pl

from service.providers.frames import (
    Action,
    answerable,
    columns_of,
    dashed,
    day_of,
    echoed,
    found,
    is_adjusted_within,
    no_data,
)
from service.providers.outcomes import Failed, Outcome, Outcomes, RowsOutcome, RowsOutcomes, Span
from service.providers.remote import Access, Asking, Remote

NAME = "fmp"
URL = "https://financialmodelingprep.com"
RATES = ("5/s", "250/d")
PRICES = "/stable/historical-price-eod"
FIELDS = {
    "open": "adj_open",
    "high": "adj_high",
    "low": "adj_low",
    "close": "adj_close",
    "volume": "volume",
}
# The provider's sectors that the Global Industry Classification Standard words otherwise.
GICS = {
    "Technology": "Information Technology",
    "Healthcare": "Health Care",
    "Financial Services": "Financials",
    "Consumer Cyclical": "Consumer Discretionary",
    "Consumer Defensive": "Consumer Staples",
    "Basic Materials": "Materials",
}
STATEMENTS = {
    "income": "/stable/income-statement",
    "balance": "/stable/balance-sheet-statement",
    "cash_flow": "/stable/cash-flow-statement",
}
FREQUENCIES = {"annual": "annual", "quarterly": "quarter"}
PERIODS = "20"
NO_LINES = ("date", "symbol", "cik", "fiscalYear", "calendarYear", "period")


class Bar(msgspec.Struct, rename="camel"):
    """One session; both endpoints call their prices ``adj…``, whatever they are."""

    symbol: str
    date: str
    adj_open: float | None = None
    adj_high: float | None = None
    adj_low: float | None = None
    adj_close: float | None = None
    volume: float | None = None


class Split(msgspec.Struct):
    """New shares and old ones, from a day on."""

    symbol: str
    date: str
    numerator: float
    denominator: float


class Dividend(msgspec.Struct):
    """Currency per share of its ex-date."""

    symbol: str
    date: str
    dividend: float | None = None


class Profile(msgspec.Struct, rename="camel"):
    """A company or a fund."""

    symbol: str
    price: float | None = None
    market_cap: float | None = None
    beta: float | None = None
    last_dividend: float | None = None
    company_name: str | None = None
    industry: str | None = None
    sector: str | None = None
    is_etf: bool | None = None
    is_fund: bool | None = None
    is_actively_trading: bool | None = None


class Fmp:
    """Prices: ``close`` as traded, ``adj_close`` for splits and dividends, each from an endpoint of its own.

    The endpoint ``full`` is adjusted for splits alone, and left aside. Several symbols in one call are
    answered with an empty list, so each is asked for by itself.
    """

    name = NAME

    def __init__(self, remote: Remote, today: date) -> None:
        self._remote, self._today = remote, today

    def fetch(self, requests: Mapping[str, Span]) -> Outcomes:
        """Yield every symbol once, as it arrives."""
        return self._remote.each(requests, _outcome)

    def fetch_profiles(self, symbols: Iterable[str]) -> RowsOutcomes:
        """Yield every symbol once with its profile, known from today on."""
        return self._remote.each(dict.fromkeys(symbols, self._today), _profile)

    def fetch_fundamentals(self, symbols: Iterable[str]) -> RowsOutcomes:
        """Yield every symbol once with its statements, each known from its filing on."""
        return self._remote.each(dict.fromkeys(symbols, self._today), _fundamentals)


def access(key: str) -> Access:
    """Return how FMP is asked: the key goes into a header."""
    return Access(URL, RATES, headers={"apikey": key}, key=key)


def _outcome(ask: Asking, symbol: str, span: Span) -> Outcome:
    if unasked := answerable(NAME, symbol):
        return unasked
    raw = _bars(ask, symbol, span, "non-split-adjusted")
    if not raw:
        return _why_empty(ask, symbol, span)
    adjusted = {bar.date: bar.adj_close for bar in _bars(ask, symbol, span, "dividend-adjusted")}
    columns = {**columns_of(raw, FIELDS), "adj_close": [adjusted.get(bar.date) for bar in raw]}
    days = [day_of(bar.date) for bar in raw]
    happened = _happened(ask, symbol) if is_adjusted_within(days, columns) else []
    return found(NAME, symbol, span, (days, columns), happened)


def _happened(ask: Asking, symbol: str) -> list[Action]:
    """Return all splits and dividends of a symbol; the calls are worth it only where prices show some."""
    spelled = {"symbol": dashed(symbol)}
    splits: list[Split] = ask.get(list[Split], "/stable/splits", spelled)
    dividends: list[Dividend] = ask.get(list[Dividend], "/stable/dividends", spelled)
    echoed(NAME, dashed(symbol), [split.symbol for split in splits])
    echoed(NAME, dashed(symbol), [dividend.symbol for dividend in dividends])
    rows = [(day_of(each.date), "split", each.numerator / each.denominator) for each in splits]
    return rows + [(day_of(each.date), "dividend", each.dividend or 0.0) for each in dividends]


def _bars(ask: Asking, symbol: str, span: Span, endpoint: str) -> list[Bar]:
    params = {"symbol": dashed(symbol), "from": str(span[0]), "to": str(span[1])}
    bars: list[Bar] = ask.get(list[Bar], f"{PRICES}/{endpoint}", params)
    echoed(NAME, dashed(symbol), (bar.symbol for bar in bars))
    return bars


def _why_empty(ask: Asking, symbol: str, span: Span) -> Failed:
    """Tell a symbol that is not known, or has gone, from one that only has no price."""
    about = _profile_of(ask, symbol)
    if isinstance(about, Failed):
        return about
    if about.is_actively_trading is False:
        return Failed("delisted", f"{NAME} says that {symbol} is not traded any more")
    return no_data(NAME, symbol, span)


def _profile_of(ask: Asking, symbol: str) -> Profile | Failed:
    about: list[Profile] = ask.get(list[Profile], "/stable/profile", {"symbol": dashed(symbol)})
    echoed(NAME, dashed(symbol), (profile.symbol for profile in about))
    return about[0] if about else Failed("unknown_symbol", f"{NAME} has no {symbol}")


def _profile(ask: Asking, symbol: str, today: date) -> RowsOutcome:
    if unasked := answerable(NAME, symbol):
        return unasked
    about = _profile_of(ask, symbol)
    if isinstance(about, Failed):
        return about
    kind = "etf" if about.is_etf else "fund" if about.is_fund else "equity"
    dividend = about.last_dividend / about.price if about.last_dividend is not None and about.price else None
    return pl.DataFrame(
        {
            "symbol": [symbol],
            "name": [about.company_name or None],
            "sector": [GICS.get(about.sector, about.sector) if about.sector else None],
            "industry": [about.industry or None],
            "asset_class": [kind],
            "provider_beta": [about.beta],
            "market_cap": [about.market_cap],
            "pe_ratio": pl.Series([None], dtype=pl.Float64),
            "dividend_yield": [dividend],
            "as_of": [today],
            "source": [NAME],
        },
        schema_overrides=dict.fromkeys(("name", "sector", "industry"), pl.String)
        | dict.fromkeys(("provider_beta", "market_cap", "dividend_yield"), pl.Float64),
    )


def _fundamentals(ask: Asking, symbol: str, today: date) -> RowsOutcome:
    if unasked := answerable(NAME, symbol):
        return unasked
    rows: list[tuple[Any, ...]] = []
    for statement, path in STATEMENTS.items():
        for frequency, spelled in FREQUENCIES.items():
            params = {"symbol": dashed(symbol), "period": spelled, "limit": PERIODS}
            sheets: list[dict[str, Any]] = ask.get(list[dict[str, Any]], path, params)
            echoed(NAME, dashed(symbol), (sheet.get("symbol") for sheet in sheets))
            rows += [row for sheet in sheets for row in _lines(sheet, frequency, statement, today)]
    if not rows:
        return Failed("no_data", f"{NAME} has no statement of {symbol}")
    schema = {
        "period": pl.Date,
        **dict.fromkeys(("frequency", "statement", "item"), pl.String),
        "value": pl.Float64,
        "as_of": pl.Date,
    }
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    named = frame.with_columns(pl.lit(symbol).alias("symbol"), pl.lit(NAME).alias("source"))
    return named.select("symbol", *frame.columns, "source")


def _lines(sheet: dict[str, Any], frequency: str, statement: str, today: date) -> Iterable[tuple[Any, ...]]:
    """Return the lines of one statement: what is a number, and nothing else."""
    period = day_of(str(sheet.get("date")))
    filed = str(sheet.get("filingDate") or sheet.get("acceptedDate") or today)
    known = day_of(filed)
    for name, value in sheet.items():
        if name not in NO_LINES and isinstance(value, int | float) and not isinstance(value, bool):
            yield period, frequency, statement, _snake(name), float(value), known


def _snake(name: str) -> str:
    """Spell ``costOfRevenue`` as ``cost_of_revenue``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
