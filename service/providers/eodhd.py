"""EODHD: raw and adjusted prices, one symbol a call or a whole exchange for a hundred."""

from collections.abc import Mapping, Sequence
from datetime import date
from urllib.parse import quote

import msgspec

from service import clock
from service.providers.files import NUMBERS
from service.providers.frames import Action, answerable, columns_of, dashed, day_of, found, is_adjusted_within
from service.providers.outcomes import Outcome, Outcomes, Span
from service.providers.remote import UNREADABLE, Access, Asking, Remote
from service.providers.replies import UnansweredError

NAME = "eodhd"
URL = "https://eodhd.com"
RATES = ("1000/min", "100000/d")
FIELDS = {**{name: name for name in NUMBERS}, "adj_close": "adjusted_close"}
BULK_COST = 100  # calls that the provider counts for one day of an exchange
BULK_FILES = 3  # prices, splits, dividends
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

    def action(self) -> Action:
        """Day, kind and value."""
        new, _, old = self.split.partition("/")
        return day_of(self.date), "split", float(new) / float(old or 1)


class Dividend(msgspec.Struct, rename={"unadjusted": "unadjustedValue"}):
    """Currency per share of its day; bulk calls ``value`` ``dividend``."""

    date: str
    code: str | None = None
    value: float | None = None
    dividend: float | None = None
    unadjusted: float | None = None

    def action(self) -> Action:
        """Day, kind and value."""
        return day_of(self.date), "dividend", self.unadjusted or self.dividend or self.value or 0.0


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

    def _whole_exchange(self, wanted: list[str], span: Span) -> list[tuple[str, Outcome]]:
        """Return what bulk files have; symbols that are not in them are asked singly, all if a file fails."""
        spelled = {dashed(symbol): symbol for symbol in wanted}
        bars: dict[str, list[Bar]] = {code: [] for code in spelled}
        actions: dict[str, list[Action]] = {code: [] for code in spelled}
        try:
            for day in clock.sessions_between(*span).tolist():
                with self._remote.asking() as ask:
                    _add_bulk(ask, day, bars, actions)
            return [
                (symbol, found(NAME, symbol, span, _priced(bars[code]), actions[code]))
                for code, symbol in spelled.items()
                if bars[code]
            ]
        except (UnansweredError, *UNREADABLE):
            return []


def access(key: str) -> Access:
    """Return how EODHD is asked: the key goes into the address, it takes it nowhere else."""
    return Access(URL, RATES, params={"api_token": key, **JSON}, key=key)


def _outcome(ask: Asking, symbol: str, span: Span) -> Outcome:
    if unasked := answerable(NAME, symbol):
        return unasked
    spelled = quote(f"{dashed(symbol)}.US")
    days = {"from": str(span[0]), "to": str(span[1])}
    bars: list[Bar] = ask.get(list[Bar], f"/api/eod/{spelled}", days)
    priced = _priced(bars)
    if not is_adjusted_within(*priced):
        return found(NAME, symbol, span, priced)
    happened = [split.action() for split in ask.get(list[Split], f"/api/splits/{spelled}", days)]
    happened += [each.action() for each in ask.get(list[Dividend], f"/api/div/{spelled}", days)]
    return found(NAME, symbol, span, priced, happened)


def _add_bulk(ask: Asking, day: date, bars: dict[str, list[Bar]], actions: dict[str, list[Action]]) -> None:
    """Add the prices and the actions of a day to the symbols that are there, by the provider's spelling."""
    path, on = "/api/eod-bulk-last-day/US", {"date": str(day)}
    for bar in ask.get(list[Bar], path, on, cost=BULK_COST):
        if bar.code in bars:
            bars[bar.code].append(bar)
    for split in ask.get(list[Split], path, {**on, "type": "splits"}, cost=BULK_COST):
        if split.code in actions:
            actions[split.code].append(split.action())
    for dividend in ask.get(list[Dividend], path, {**on, "type": "dividends"}, cost=BULK_COST):
        if dividend.code in actions:
            actions[dividend.code].append(dividend.action())


def _priced(bars: Sequence[Bar]) -> tuple[list[date], dict[str, list[float | None]]]:
    return [day_of(bar.date) for bar in bars], columns_of(bars, FIELDS)
