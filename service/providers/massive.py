"""Massive, formerly Polygon: prices of shares and of option contracts, page by page."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated
from urllib.parse import quote, urlsplit

import msgspec

from service.clock import NEW_YORK
from service.providers.frames import answerable, columns_of, echoed, found, is_option, no_data
from service.providers.outcomes import Failed, Outcome, Outcomes, Span
from service.providers.remote import Access, Asking, Remote
from service.providers.replies import UnansweredError, refused

NAME = "massive"
URL = "https://api.massive.com"
RATES = ("5/min",)
FIELDS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
PAGE = {"adjusted": "true", "sort": "asc", "limit": "50000"}
MAX_PAGES = 50
GOOD = ("OK", "DELAYED")


class Bar(msgspec.Struct):
    """One session; ``t`` is its start in New York, in milliseconds since 1970."""

    t: Annotated[int, msgspec.Meta(ge=-(2**43), le=2**45)]  # within centuries
    o: float | None = None
    h: float | None = None
    l: float | None = None  # noqa: E741 - the provider's name
    c: float | None = None
    v: float | None = None


class Page(msgspec.Struct):
    """A part of an answer, and where the next is."""

    status: str
    ticker: str | None = None
    results: list[Bar] | None = None
    next_url: str | None = None
    error: str | None = None
    message: str | None = None


class Ticker(msgspec.Struct):
    """What Massive knows of a symbol."""

    ticker: str
    active: bool = True
    delisted_utc: str | None = None


class TickerPage(msgspec.Struct):
    """A symbol's own page."""

    status: str
    results: Ticker


class Massive:
    """Prices: ``close`` adjusted for splits alone, no ``adj_close``; the rows count as ``adjusted_only``.

    A ticker that has been used again names its present owner and the former ones alike.
    """

    name = NAME

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def fetch(self, requests: Mapping[str, Span]) -> Outcomes:
        """Yield every symbol once, as it arrives."""
        return self._remote.each(requests, _outcome)


def access(key: str) -> Access:
    """Return how Massive is asked: the key goes into a header."""
    return Access(URL, RATES, headers={"Authorization": f"Bearer {key}"}, key=key)


def _outcome(ask: Asking, symbol: str, span: Span) -> Outcome:
    if unasked := answerable(NAME, symbol, options=True):
        return unasked
    ticker = f"O:{symbol}" if is_option(symbol) else symbol
    path = f"/v2/aggs/ticker/{quote(ticker)}/range/1/day/{span[0]}/{span[1]}"
    bars = _pages(ask, ticker, path)
    if not bars:
        return no_data(NAME, symbol, span) if is_option(symbol) else _why_empty(ask, symbol, span)
    days = [datetime.fromtimestamp(bar.t / 1000, NEW_YORK).date() for bar in bars]
    return found(NAME, symbol, span, (days, columns_of(bars, FIELDS)))


def _pages(ask: Asking, ticker: str, path: str) -> list[Bar]:
    """Follow an answer to its end, on the provider's own host: the key goes nowhere else."""
    bars: list[Bar] = []
    page: Page = ask.get(Page, path, PAGE)
    for _ in range(MAX_PAGES):
        if page.status not in GOOD:
            raise UnansweredError(refused(NAME, page.error or page.message or page.status))
        echoed(NAME, ticker, [page.ticker])
        bars += page.results or []
        if page.next_url is None:
            return bars
        rest = urlsplit(page.next_url)
        page = ask.get(Page, f"{rest.path}?{rest.query}")
    raise UnansweredError(Failed("bad_payload", f"{NAME} answered more than {MAX_PAGES} pages for {ticker}"))


def _why_empty(ask: Asking, symbol: str, span: Span) -> Failed:
    """Tell a symbol that is not known, or has gone, from one that only has no price."""
    page: TickerPage = ask.get(TickerPage, f"/v3/reference/tickers/{quote(symbol)}")
    echoed(NAME, symbol, [page.results.ticker])
    if page.results.active or not page.results.delisted_utc:
        return no_data(NAME, symbol, span)
    last = date.fromisoformat(page.results.delisted_utc[:10])
    if last >= span[0]:
        return no_data(NAME, symbol, span)
    return Failed("delisted", f"{NAME} says that {symbol} was delisted on {last}", last_session=last)
