"""Bookkeeping of option and stock lots, one lot and one session at a time; never imports the code under test.

Days are places in the list of sessions of a :class:`Tape`. NAV is what the lots were worth before, what they
are worth now, and what they were sold or settled for.
"""

import itertools
from dataclasses import dataclass, field
from datetime import date, timedelta

import naive_options
import naive_series
import numpy as np

RATE = 0.04


@dataclass
class Tape:
    """Closes and returns ``(n_sessions,)`` by symbol, splits by symbol and day, dividend yields by symbol."""

    sessions: list[date]
    close: dict[str, np.ndarray]
    returns: dict[str, np.ndarray]
    splits: dict[tuple[str, int], float] = field(default_factory=dict)
    yields: dict[str, float] = field(default_factory=dict)

    def split(self, symbol: str, since: int, until: int) -> float:
        factor = 1.0
        for day in range(since + 1, until + 1):
            factor *= self.splits.get((symbol, day), 1.0)
        return factor

    def last(self, day: date) -> int:
        """The session on or before a day."""
        return max(place for place, session in enumerate(self.sessions) if session <= day)


@dataclass
class NaiveOption:
    """``entered``, ``sold`` are days; without ``is_call`` it is a stock; ``sold_for`` None: nobody knows."""

    symbol: str
    quantity: float
    entry_price: float
    entered: int
    entry: date
    strike: float = 0.0
    expiration: date = date.max
    is_call: bool | None = None
    sold: int | None = None
    sold_for: float | None = None

    @property
    def size(self) -> float:
        return self.quantity * (1 if self.is_call is None else 100)

    def there(self, tape: Tape, day: int) -> bool:
        here = self.entered <= day and self.entry <= tape.sessions[day]
        return here and (self.sold is None or day < self.sold) and tape.sessions[day] <= self.expiration

    def price(self, tape: Tape, day: int) -> float:
        """In shares of the day."""
        spot = tape.close[self.symbol][day]
        if self.is_call is None:
            return spot
        years = (self.expiration - tape.sessions[day]).days / 365
        volatility = naive_series.har_forecast(tape.returns[self.symbol], day)[1] if years > 0 else 0.0
        case = (self.strike / self.factor(tape, day), years, self.is_call, volatility, RATE)
        return naive_options.price(spot, *case, tape.yields.get(self.symbol, 0.0))

    def factor(self, tape: Tape, day: int) -> float:
        if day < self.entered:
            return 1 / tape.split(self.symbol, day, self.entered)
        return tape.split(self.symbol, self.entered, day)

    def worth(self, tape: Tape, day: int) -> float:
        return self.size * self.factor(tape, day) * self.price(tape, day)

    def proceeds(self, tape: Tape) -> float:
        """What it was sold or settled for."""
        if self.sold is None:
            return self.pays_off(tape)
        if self.sold_for is None:
            return self.worth(tape, self.sold)
        return self.size * self.factor(tape, self.sold) * self.sold_for

    def pays_off(self, tape: Tape) -> float:
        """Intrinsic value at the last close up to the expiration."""
        day = tape.last(self.expiration)
        strike = self.strike / self.factor(tape, day)
        paid = naive_options.price(tape.close[self.symbol][day], strike, 0.0, self.is_call, 0.0, RATE)
        return self.size * self.factor(tape, day) * paid


def keep_books(tape: Tape, lots: list[NaiveOption], equity: float, days: list[int]):
    """NAV by day, and value and P&L of each open lot by day and place."""
    nav, values, earned = {days[0]: equity}, {}, {}
    values[days[0]] = {i: lot.worth(tape, days[0]) for i, lot in enumerate(lots) if lot.there(tape, days[0])}
    for prev, day in itertools.pairwise(days):
        values[day], earned[day], total = {}, {}, 0.0
        for place, lot in enumerate(lots):
            was, now = place in values[prev], lot.there(tape, day)
            known = lot.entered <= day and lot.entry <= tape.sessions[day]
            if not now and not (known and (was or _left(lot, tape) > tape.sessions[prev])):
                continue
            if was:
                before = values[prev][place]
            elif lot.entry > tape.sessions[prev]:
                before = lot.size * lot.entry_price
            else:
                before = lot.worth(tape, prev)
            after = lot.worth(tape, day) if now else lot.proceeds(tape)
            total += after - before
            if now:
                values[day][place], earned[day][place] = after, after - before
        nav[day] = nav[prev] + total
    return nav, values, earned


def _left(lot: NaiveOption, tape: Tape) -> date:
    return tape.sessions[lot.sold] if lot.sold is not None else lot.expiration + timedelta(days=1)
