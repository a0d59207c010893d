"""Positions that nobody has stored: trades at the book's closes, alone or on top of a portfolio."""

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from engine.valuation import Kind, Positions, joined
from service.composed import Composed
from service.errors import UsageError
from service.live_book import Market

Symbol = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")]
Amount = Annotated[float, Meta(ge=-1e12, le=1e12)]


class Trade(msgspec.Struct, forbid_unknown_fields=True):
    """A quantity of a symbol to add, negative to take away or sell short.

    ``entry_price`` is the book's close when not given; a private position needs one.
    """

    symbol: Symbol
    quantity: Amount
    entry_price: Annotated[float, Meta(gt=0, le=1e12)] | None = None
    kind: Literal["public", "private", "cash"] = "public"


def traded(market: Market, before: Composed | None, trades: list[Trade], equity: float | None) -> Composed:
    """Compose what a portfolio (or nothing) would be after trades.

    Parameters
    ----------
    equity : float, optional
        Net asset value; the portfolio's own when not given, which trading at the closes does not change.

    Raises
    ------
    UsageError
        A private position without a price.
    """
    if equity is None and before is not None:
        equity = before.valuation.nav
    return Composed(market, _positions(market, before, trades), equity)


def _positions(market: Market, before: Composed | None, trades: list[Trade]) -> Positions:
    """Return the positions held, and one more for each trade; what adds up to nothing is left out."""
    book = market.book
    symbols = tuple(_listed(market, trade) for trade in trades)
    rows = [book.index.get(symbol, -1) for symbol in symbols]
    closes = [float(book.close[row]) if row >= 0 else np.nan for row in rows]
    for trade in trades:
        if trade.kind == "private" and trade.entry_price is None:
            raise UsageError(f"{trade.symbol} is private and needs an entry_price")
    given = zip(trades, closes, strict=True)
    prices = [trade.entry_price if trade.entry_price is not None else close for trade, close in given]
    kinds: tuple[Kind, ...] = tuple(trade.kind for trade in trades)
    quantity = np.array([trade.quantity for trade in trades], dtype=np.float64)
    entry_price, unmarked = np.array(prices, dtype=np.float64), np.full(len(trades), np.nan)
    added = Positions(symbols, quantity, entry_price, kinds, unmarked)
    return _netted(joined([before.positions, added]) if before else added)


def _listed(market: Market, trade: Trade) -> str:
    symbol = trade.symbol.upper()
    return market.listed(symbol) if trade.kind == "public" else symbol


def _netted(positions: Positions) -> Positions:
    """Leave out symbols whose lots cancel each other."""
    net: dict[tuple[str, Any], float] = {}
    for symbol, kind, quantity in zip(positions.symbols, positions.kinds, positions.quantity, strict=True):
        net[symbol, kind] = net.get((symbol, kind), 0.0) + float(quantity)
    kept = [
        place
        for place, key in enumerate(zip(positions.symbols, positions.kinds, strict=True))
        if abs(net[key]) > 1e-9
    ]
    return positions.take(kept)
