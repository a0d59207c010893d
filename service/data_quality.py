"""How much of its history each symbol of a portfolio has, by the book's returns."""

import numpy as np

from engine.book import SymbolBook
from service.composed import Composed

COMPLETE_DAYS, PARTIAL_DAYS = 150, 20


def days_of(book: SymbolBook, symbol: str) -> int:
    """Count a symbol's returns over the last sessions, at most as many as a complete history has."""
    row = book.index.get(symbol)
    return 0 if row is None else int(np.isfinite(book.returns[row, -COMPLETE_DAYS:]).sum())


def days_by_symbol(composed: Composed) -> dict[str, int]:
    """Count the returns of the symbols that the market prices; of an option, those of its underlying."""
    found: dict[str, int] = {}
    held = composed.positions
    for symbol, listed, kind in zip(held.symbols, held.listed, held.kinds, strict=True):
        if kind in ("public", "option"):
            found[symbol] = days_of(composed.market.book, listed)
    return dict(sorted(found.items()))
