"""Random portfolio histories, and the engine's snapshots chained over them."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from naive_snapshot import NaiveLot, Stock

from engine.lot_prices import lot_prices
from engine.lots import PUBLIC, Lots, Portfolios
from engine.prices_asof import Market, market_of
from engine.snapshot import Snapshots, compute_snapshots

SESSIONS = np.busday_offset("2019-02-01", np.arange(90), roll="forward").astype("datetime64[D]")
NO_DAY = np.datetime64("NaT", "D")


@dataclass
class Account:
    lots: list[NaiveLot]
    equity: float
    flows: dict[int, float]
    days: list[int]


def day(place: int | None) -> np.datetime64:
    return NO_DAY if place is None else SESSIONS[place]


def market(stocks: dict[str, Stock]) -> Market:
    prices = [
        (symbol, SESSIONS[at].item(), close, "adjusted_only" if stock.adjusted else "ok")
        for symbol, stock in stocks.items()
        for at, close in stock.close.items()
    ]
    actions = [
        (symbol, SESSIONS[at].item(), kind, value)
        for symbol, stock in stocks.items()
        for kind, events in (("split", stock.splits), ("dividend", stock.dividends))
        for at, value in events.items()
    ]
    types = {"symbol": pl.String, "session": pl.Date}
    return market_of(
        pl.DataFrame(prices, {**types, "close": pl.Float64, "quality": pl.String}, orient="row"),
        pl.DataFrame(actions, {**types, "kind": pl.String, "value": pl.Float64}, orient="row"),
        SESSIONS,
    )


def lots_of(accounts: list[Account], at: int) -> tuple[Lots, pl.Series]:
    """All lots as they are known on a day, before any snapshot."""
    rows = [(place, lot) for place, account in enumerate(accounts) for lot in account.lots]
    known = [lot.exit is not None and (lot.exit_known or lot.exit) <= at for _, lot in rows]
    exits = [lot.exit if here else None for (_, lot), here in zip(rows, known, strict=True)]
    prices = [np.nan if lot.exit_price is None else lot.exit_price for _, lot in rows]
    n = len(rows)
    lots = Lots(
        portfolio=np.array([place for place, _ in rows], dtype=np.int64),
        kind=np.full(n, PUBLIC),
        quantity=np.array([lot.quantity for _, lot in rows], dtype=float),
        multiplier=np.ones(n),
        entry_price=np.array([lot.entry_price for _, lot in rows], dtype=float),
        entered_session=np.array([day(lot.entered) for _, lot in rows], dtype="datetime64[D]"),
        entry_date=np.array([day(lot.entry) for _, lot in rows], dtype="datetime64[D]"),
        exit_date=np.array([day(each) for each in exits], dtype="datetime64[D]"),
        exit_price=np.array(prices, dtype=float),
        held=np.zeros(n, dtype=bool),
        reference_price=np.full(n, np.nan),
        reference_session=np.full(n, NO_DAY),
    )
    return lots, pl.Series([lot.symbol for _, lot in rows], dtype=pl.String)


def take(lots: Lots, picked: np.ndarray, **changes: np.ndarray) -> Lots:
    columns = {name: getattr(lots, name)[picked] for name in Lots.__dataclass_fields__}
    return Lots(**{**columns, **changes})


def chain(stocks: dict[str, Stock], accounts: list[Account]) -> dict[int, tuple[np.ndarray, Snapshots]]:
    """Every account's snapshots, all that fall on one day at once: day -> (accounts, snapshots)."""
    found, listed, n_lots = {}, market(stocks), sum(len(account.lots) for account in accounts)
    prev = np.full(len(accounts), -1)
    nav = np.array([account.equity for account in accounts])
    held, price, since = np.zeros(n_lots, bool), np.full(n_lots, np.nan), np.full(n_lots, NO_DAY)
    for at in range(len(SESSIONS)):
        due = np.array([place for place, account in enumerate(accounts) if at in account.days], dtype=int)
        if not len(due):
            continue
        flows = [
            sum(amount for when, amount in accounts[place].flows.items() if prev[place] < when <= at)
            for place in due
        ]
        before = np.array([NO_DAY if each < 0 else SESSIONS[each] for each in prev[due]])
        portfolios = Portfolios(before, nav[due], np.array(flows, dtype=float))
        lots, symbols = lots_of(accounts, at)
        mine = np.flatnonzero(np.isin(lots.portfolio, due))
        part = take(
            lots,
            mine,
            portfolio=np.searchsorted(due, lots.portfolio[mine]),
            held=held[mine],
            reference_price=price[mine],
            reference_session=since[mine],
        )
        prices = lot_prices(listed, part, symbols.gather(mine), portfolios, SESSIONS[at])
        result = compute_snapshots(part, prices, portfolios, SESSIONS[at])
        held[mine] = result.lots.is_open
        price[mine], since[mine] = result.lots.reference_price, result.lots.reference_session
        nav[due], prev[due] = result.nav, at
        found[at] = due, result
    return found


def random_stocks(rng: np.random.Generator, n_stocks: int = 8) -> dict[str, Stock]:
    """Closes with gaps short and long, splits forward and reverse, dividends; every fourth adjusted only."""
    stocks = {}
    for at in range(n_stocks):
        level = 10.0 ** rng.uniform(-1, 4) * np.exp(np.cumsum(rng.normal(0, 0.03, len(SESSIONS))))
        splits = {int(d): float(rng.choice([2.0, 1.5, 0.1, 7.0])) for d in rng.choice(90, rng.integers(0, 4))}
        dividends = {int(d): float(level[d] * rng.uniform(0, 0.03)) for d in rng.choice(90, 4)}
        if at == 1:
            dividends |= {d: float(level[d] * 0.01) for d in splits}
        here = rng.random(len(SESSIONS)) > rng.choice([0.0, 0.1, 0.5])
        for start in rng.choice(90, 2):
            here[start : start + rng.integers(2, 14)] = False
        here[0] |= at % 4 == 3  # before its first price nobody can know that a source adjusts
        closes = {int(d): float(level[d]) for d in np.flatnonzero(here)}
        stocks[f"S{at}"] = Stock(closes, splits, dividends, adjusted=at % 4 == 3)
    return stocks


def random_account(rng: np.random.Generator, stocks: dict[str, Stock], *, late: bool = True) -> Account:
    """Lots long and short, bought before and within, sold in part; snapshots that miss days."""
    days = sorted(rng.choice(np.arange(5, 90), rng.integers(2, 60), replace=False).tolist())
    flows = {int(d): float(rng.normal(0, 5e3)) for d in rng.choice(90, 5)}
    lots = [_random_lot(rng, stocks, days[0], late=late) for _ in range(rng.integers(0, 12))]
    for lot in lots[::3]:  # a partial sale leaves two lots
        sold = int(rng.integers(max(lot.entry, lot.entered, days[0]), 90))
        price = None if late else float(rng.uniform(1, 100))
        part = NaiveLot(lot.symbol, lot.quantity / 4, lot.entry_price, lot.entered, lot.entry, sold, price)
        lots.append(part)
        lot.quantity *= 0.75
    return Account(lots, float(10 ** rng.uniform(4, 7)), flows, days)


def _random_lot(rng: np.random.Generator, stocks: dict[str, Stock], first: int, *, late: bool) -> NaiveLot:
    symbol = str(rng.choice(list(stocks)))
    entry = int(rng.integers(0, 80))
    entered = int(rng.integers(entry, 90)) if late and rng.random() < 0.4 else entry
    price = float(np.median(list(stocks[symbol].close.values())) * rng.uniform(0.5, 2))
    lot = NaiveLot(symbol, float(rng.choice([-1, 1]) * rng.uniform(0.1, 500)), price, entered, entry)
    if rng.random() < 0.5:
        lot.exit = int(rng.integers(max(entry, entered, first), 90))
        lot.exit_price = price * rng.uniform(0.5, 2) if not late or rng.random() < 0.6 else None
        lot.exit_known = int(rng.integers(lot.exit, 90)) if late and rng.random() < 0.4 else None
    return lot
