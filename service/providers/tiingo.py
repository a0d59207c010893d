"""Tiingo: raw and adjusted prices, splits and dividends in one call a symbol."""

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote

import msgspec

from service.providers.files import NUMBERS
from service.providers.frames import answerable, columns_of, dashed, day_of, echoed, found, no_data
from service.providers.outcomes import Failed, Outcome, Outcomes, Span
from service.providers.remote import Access, Asking, Remote

NAME = "tiingo"
URL = "https://api.tiingo.com"
RATES = ("50/h", "1000/d")
FIELDS = {name: name for name in NUMBERS}
# A symbol whose prices ended is delisted only if they have been missing for longer than a trading halt lasts.
QUIET = timedelta(days=30)


class Bar(msgspec.Struct, rename="camel"):
    """One session; ``close`` as traded, ``adjClose`` adjusted for splits and dividends."""

    date: str
    open: float | None = None
    high: float | None = None
    low: float | None = None
    close: float | None = None
    adj_close: float | None = None
    volume: float | None = None
    div_cash: float | None = None
    split_factor: float | None = None


class About(msgspec.Struct, rename="camel"):
    """What Tiingo knows of a symbol."""

    ticker: str
    end_date: str | None = None


class Tiingo:
    """Prices: ``close`` raw, ``adj_close`` for splits and dividends; corrected until 20:00 New York time."""

    name = NAME

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def fetch(self, requests: Mapping[str, Span]) -> Outcomes:
        """Yield every symbol once, as it arrives."""
        return self._remote.each(requests, _outcome)


def access(key: str) -> Access:
    """Return how Tiingo is asked: the key goes into a header."""
    return Access(URL, RATES, headers={"Authorization": f"Token {key}"}, key=key)


def _outcome(ask: Asking, symbol: str, span: Span) -> Outcome:
    if unasked := answerable(NAME, symbol):
        return unasked
    path = f"/tiingo/daily/{quote(dashed(symbol))}"
    days = {"startDate": str(span[0]), "endDate": str(span[1])}
    bars: list[Bar] = ask.get(list[Bar], f"{path}/prices", days)
    if not bars:
        return _why_empty(ask.get(About, path), symbol, span)
    told = [day_of(bar.date) for bar in bars]
    splits = [
        (day, "split", bar.split_factor)
        for day, bar in zip(told, bars, strict=True)
        if bar.split_factor is not None and bar.split_factor != 1.0
    ]
    dividends = [(day, "dividend", bar.div_cash) for day, bar in zip(told, bars, strict=True) if bar.div_cash]
    return found(NAME, symbol, span, (told, columns_of(bars, FIELDS)), splits + dividends)


def _why_empty(about: About, symbol: str, span: Span) -> Failed:
    """Tell a symbol that has gone from one that only has no price."""
    echoed(NAME, dashed(symbol), [about.ticker])
    last = day_of(about.end_date) if about.end_date else None
    if last is not None and last < min(span[0], span[1] - QUIET):
        return Failed("delisted", f"{NAME} has had no price of {symbol} since {last}", last_session=last)
    return no_data(NAME, symbol, span)
