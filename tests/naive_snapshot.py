"""Double-entry bookkeeping of one portfolio, lot by lot and day by day; never imports the code under test.

Days are places in a list of sessions. Buying takes cash and selling gives it, so NAV is cash plus what the
lots were last worth; no P&L is ever computed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

STALE = 5


@dataclass
class Stock:
    close: Mapping[int, float]
    splits: Mapping[int, float] = field(default_factory=dict)
    dividends: Mapping[int, float] = field(default_factory=dict)
    adjusted: bool = False

    def asof(self, day: int) -> float | None:
        """Last close within five sessions, in shares of the day."""
        factor = 1.0
        for each in range(day, day - STALE - 1, -1):
            if each in self.close:
                return self.close[each] / factor
            factor *= self.split_on(each)
        return None

    def split_on(self, day: int) -> float:
        return 1.0 if self.adjusted else self.splits.get(day, 1.0)

    def dividend_on(self, day: int) -> float:
        return 0.0 if self.adjusted else self.dividends.get(day, 0.0)

    def split_between(self, since: int, until: int) -> float:
        if until < since:
            return 1.0 / self.split_between(until, since)
        factor = 1.0
        for day in range(since + 1, until + 1):
            factor *= self.split_on(day)
        return factor


@dataclass
class NaiveLot:
    """``exit_known`` is the day on which the sale was entered."""

    symbol: str
    quantity: float
    entry_price: float
    entered: int
    entry: int
    exit: int | None = None
    exit_price: float | None = None
    exit_known: int | None = None

    def sold_by(self, day: int) -> bool:
        return self.exit is not None and self.exit <= day and (self.exit_known or self.exit) <= day


@dataclass
class Held:
    lot: NaiveLot
    shares: float
    last: float
    received: dict[int, float] = field(default_factory=dict)


@dataclass
class Books:
    """NAV, income since the previous snapshot, and the value of each open lot, by snapshot day."""

    nav: dict[int, float] = field(default_factory=dict)
    income: dict[int, float] = field(default_factory=dict)
    values: dict[int, dict[int, float | None]] = field(default_factory=dict)


def keep_books(
    stocks: Mapping[str, Stock],
    lots: Sequence[NaiveLot],
    equity: float,
    flows: Mapping[int, float],
    days: Sequence[int],
) -> Books:
    """Keep the books from the first snapshot day to the last one."""
    books, book = Books(), {}
    seen = set()
    cash, income, prev = equity, 0.0, days[0]
    for place, lot in enumerate(lots):
        if max(lot.entered, lot.entry) <= prev and not lot.sold_by(prev):
            shares = lot.quantity * stocks[lot.symbol].split_between(lot.entered, prev)
            price = stocks[lot.symbol].asof(prev)
            last = lot.quantity * lot.entry_price / shares if price is None else price
            book[place] = Held(lot, shares, last)
            cash -= shares * last
            seen.add(place)
    _mark(books, stocks, book, cash, 0.0, prev)
    for day in range(days[0] + 1, days[-1] + 1):
        for held in book.values():
            paid = _pass_day(stocks[held.lot.symbol], held, day)
            cash, income = cash + paid, income + paid
        cash += flows.get(day, 0.0)
        if day not in days:
            continue
        for place, lot in enumerate(lots):
            if place not in seen and max(lot.entered, lot.entry) <= day:
                seen.add(place)
                if not (lot.sold_by(day) and lot.exit <= prev):
                    book[place], spent, paid = _bought(stocks[lot.symbol], lot, prev, day)
                    cash, income = cash - spent + paid, income + paid
        for place in [place for place in book if book[place].lot.sold_by(day)]:
            held = book.pop(place)
            proceeds, undue = _sold(stocks[held.lot.symbol], held, day)
            cash, income = cash + proceeds - undue, income - undue
        _mark(books, stocks, book, cash, income, day)
        income, prev = 0.0, day
    return books


def _pass_day(stock: Stock, held: Held, day: int) -> float:
    held.shares *= stock.split_on(day)
    held.last /= stock.split_on(day)
    held.received[day] = held.shares * stock.dividend_on(day)
    return held.received[day]


def _bought(stock: Stock, lot: NaiveLot, prev: int, day: int) -> tuple[Held, float, float]:
    """Buy at the entry price when bought since the previous snapshot, else at what it was worth then."""
    start = max(prev, lot.entry)
    shares = lot.quantity * stock.split_between(lot.entered, start)
    price = None if lot.entry > prev else stock.asof(prev)
    spent = lot.quantity * lot.entry_price if price is None else shares * price
    held = Held(lot, shares, spent / shares)
    paid = sum(_pass_day(stock, held, each) for each in range(start + 1, day + 1))
    return held, spent, paid


def _sold(stock: Stock, held: Held, day: int) -> tuple[float, float]:
    """Proceeds of a sale, and the dividends that were received after it."""
    lot = held.lot
    factor = stock.split_between(lot.exit, day)
    price = stock.asof(lot.exit) if lot.exit_price is None else lot.exit_price
    price = held.last * factor if price is None else price
    undue = sum(amount for each, amount in held.received.items() if each > lot.exit)
    return held.shares / factor * price, undue


def _mark(books: Books, stocks, book: dict[int, Held], cash: float, income: float, day: int) -> None:
    books.values[day] = {}
    for place, held in book.items():
        price = stocks[held.lot.symbol].asof(day)
        held.last = held.last if price is None else price
        books.values[day][place] = None if price is None else held.shares * price
    books.nav[day] = cash + sum(held.shares * held.last for held in book.values())
    books.income[day] = income
