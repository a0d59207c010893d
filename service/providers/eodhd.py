"""EODHD: raw and adjusted prices, one symbol a call or a whole exchange for a hundred."""

from collections.abc import Iterable, Mapping
from datetime import date
from itertools import pairwise
from typing import TypeAlias
from urllib.parse import quote

import msgspec
import polars as pl

from service import clock
from service.providers.files import NUMBERS
from service.providers.frames import (
    actions_frame,
    answerable,
    columns_of,
    dashed,
    prices_frame,
    within,
)
from service.providers.outcomes import Fetched, Outcome, Outcomes, Span
from service.providers.remote import Access, Asking, Remote
from service.providers.replies import UnansweredError

NAME = "eodhd"
URL = "https://eodhd.com"
RATES = ("1000/min", "100000/d")
FIELDS = {"session": "date", **{name: name for name in NUMBERS}, "adj_close": "adjusted_close"}
BULK_COST = 100  # calls that the provider counts for one day of an exchange
BULK_FILES = 3  # prices, splits, dividends
# A step of the ratio of raw and adjusted close that rounding to cents cannot make.
STEP = 1e-3
JSON = {"fmt": "json"}


class Bar(msgspec.Struct):
    """One session; ``close`` as traded, ``adjusted_close`` for splits and dividends; bulk has ``code``."""

    date: str
    code: str | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    close: float | None = None
    adjusted_close: float | None = None
    volume: float | None = None


class Split(msgspec.Struct):
    """New shares for old ones: ``7.000000/1.000000``."""

    date: str
    split: str
    code: str | None = None

    def action(self) -> tuple[str, str, float]:
        """Day, kind and value."""
        new, _, old = self.split.partition("/")
        return self.date, "split", float(new) / float(old or 1)


class Dividend(msgspec.Struct, rename={"unadjusted": "unadjustedValue"}):
    """Currency per share of its day; bulk calls ``value`` ``dividend``."""

    date: str
    code: str | None = None
    value: float | None = None
    dividend: float | None = None
    unadjusted: float | None = None

    def action(self) -> tuple[str, str, float] | None:
        """Day, kind and value; None without an amount."""
        amount = self.unadjusted or self.dividend or self.value
        return (self.date, "dividend", amount) if amount else None


Action: TypeAlias = Split | Dividend


class Eodhd:
    """Prices: ``close`` raw, ``adj_close`` for splits and dividends."""

    name = NAME

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def fetch(self, requests: Mapping[str, Span]) -> Outcomes:
        """Yield every symbol once: whole exchanges where many symbols want the same few sessions."""
        left = dict(requests)
        for span in set(requests.values()):
            wanted = [symbol for symbol, its in left.items() if its == span and not answerable(NAME, symbol)]
            n_sessions = len(clock.sessions_between(*span))
            if len(wanted) > BULK_FILES * BULK_COST * n_sessions > 0:
                for symbol, outcome in self._whole_exchange(wanted, span):
                    del left[symbol]
                    yield symbol, outcome
        yield from self._remote.each(left, _outcome)

    def _whole_exchange(self, wanted: list[str], span: Span) -> Iterable[tuple[str, Outcome]]:
        """Return what bulk files have; symbols that are not in them are asked singly, all if a file fails."""
        spelled = {dashed(symbol): symbol for symbol in wanted}
        try:
            sessions = clock.sessions_between(*span).tolist()
            with self._remote.asking() as ask:
                days = [_bulk(ask, day, spelled) for day in sessions]
        except UnansweredError:
            return
        bars: dict[str, list[Bar]] = {}
        actions: dict[str, list[Action]] = {}
        for priced, happened in days:
            for bar in priced:
                bars.setdefault(bar.code or "", []).append(bar)
            for action in happened:
                actions.setdefault(action.code or "", []).append(action)
        for code, rows in bars.items():
            symbol = spelled[code]
            yield (
                symbol,
                within(NAME, symbol, span, _prices(symbol, rows), _actions(symbol, actions.get(code, ()))),
            )


def access(key: str) -> Access:
    """Return how EODHD is asked: the key goes into the address, it takes it nowhere else."""
    return Access(URL, RATES, params={"api_token": key, **JSON}, key=key)


def _outcome(ask: Asking, symbol: str, span: Span) -> Outcome:
    if unasked := answerable(NAME, symbol):
        return unasked
    spelled = quote(f"{dashed(symbol)}.US")
    days = {"from": str(span[0]), "to": str(span[1])}
    bars: list[Bar] = ask.get(list[Bar], f"/api/eod/{spelled}", days)
    found = within(NAME, symbol, span, _prices(symbol, bars))
    if not isinstance(found, Fetched) or not _has_steps(found.prices):
        return found
    splits: list[Split] = ask.get(list[Split], f"/api/splits/{spelled}", days)
    dividends: list[Dividend] = ask.get(list[Dividend], f"/api/div/{spelled}", days)
    return within(NAME, symbol, span, found.prices, _actions(symbol, [*splits, *dividends]))


def _has_steps(prices: pl.DataFrame) -> bool:
    """Whether the adjustment changes within the prices: only then is it worth asking for what happened."""
    rows = prices.sort("session").select("adj_close", "close").drop_nulls().filter(pl.col("close") > 0)
    ratios = (rows["adj_close"] / rows["close"]).to_list()
    return any(abs(later - ratio) > STEP * abs(ratio) for ratio, later in pairwise(ratios))


def _bulk(ask: Asking, day: date, spelled: Mapping[str, str]) -> tuple[list[Bar], list[Action]]:
    """Return the prices and the actions of the wanted symbols on a day."""
    path, on = "/api/eod-bulk-last-day/US", {"date": str(day)}
    bars: list[Bar] = ask.get(list[Bar], path, on, cost=BULK_COST)
    splits: list[Split] = ask.get(list[Split], path, {**on, "type": "splits"}, cost=BULK_COST)
    dividends: list[Dividend] = ask.get(list[Dividend], path, {**on, "type": "dividends"}, cost=BULK_COST)
    happened: list[Action] = [*splits, *dividends]
    actions = [each for each in happened if each.code in spelled]
    return [bar for bar in bars if bar.code in spelled], actions


def _prices(symbol: str, bars: Iterable[Bar]) -> pl.DataFrame:
    return prices_frame(NAME, symbol, columns_of(list(bars), FIELDS))


def _actions(symbol: str, actions: Iterable[Action]) -> pl.DataFrame:
    rows = (action.action() for action in actions)
    return actions_frame(NAME, symbol, [row for row in rows if row is not None])
