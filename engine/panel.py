"""The price panel: long price frames as symbol-by-session arrays; imports numpy, numba and polars."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
from numba import njit

from engine.typing import BoolArray, DateArray, FloatArray, Int32Array

ACTIVE_SESSIONS = 252
PRICE_COLUMNS = ("adj_close", "close", "volume")


@dataclass(frozen=True, slots=True)
class Panel:
    """Prices of all symbols on consecutive exchange sessions.

    Attributes
    ----------
    symbols : tuple of str
        ``(n_symbols,)`` in ascending order.
    sessions : DateArray
        ``(n_sessions,)`` ascending and consecutive; a session on which nobody traded is a column too.
    adj_close, close, volume, returns : FloatArray
        ``(n_symbols, n_sessions)``, NaN where missing. ``returns`` are simple returns of ``adj_close``.
    """

    symbols: tuple[str, ...]
    sessions: DateArray
    adj_close: FloatArray
    close: FloatArray
    volume: FloatArray
    returns: FloatArray

    def row(self, symbol: str) -> int | None:
        """Row of a symbol, or None when the panel does not have it."""
        at = bisect_left(self.symbols, symbol)
        return at if at < len(self.symbols) and self.symbols[at] == symbol else None

    def column(self, session: np.datetime64) -> int:
        """Column of a session; ``KeyError`` when it lies outside the panel."""
        at = int(np.searchsorted(self.sessions, session))
        if at == len(self.sessions) or self.sessions[at] != session:
            raise KeyError(f"session {session} is not in the panel")
        return at

    def active(self, first: int, last: int) -> BoolArray:
        """Symbols with a price in the 252 sessions up to each of the columns: ``(n_symbols, n_columns)``."""
        return _recently_priced(self.adj_close, first, last)

    def until(self, column: int) -> Self:
        """Copy of the panel that ends at a column, that one included."""
        end = column + 1
        arrays = (self.adj_close, self.close, self.volume, self.returns)
        copies = (np.ascontiguousarray(array[:, :end]) for array in arrays)
        return type(self)(self.symbols, self.sessions[:end], *copies)


def build_panel(prices: pl.DataFrame, sessions: DateArray) -> Panel:
    """Build the panel of every symbol in a price frame.

    Parameters
    ----------
    prices : pl.DataFrame
        One row per (symbol, session): ``symbol, session, adj_close, close, volume``. Rows outside
        ``sessions`` are left out; the order of rows does not matter.
    sessions : DateArray
        ``(n_sessions,)`` consecutive exchange sessions, ascending.
    """
    symbols = prices["symbol"].unique().sort()
    ids = prices["symbol"].cast(pl.Enum(symbols)).to_physical().cast(pl.Int32).alias("symbol_id")
    return panel_of_ids(prices.with_columns(ids), dict(enumerate(symbols.to_list())), sessions)


def panel_of_ids(prices: pl.DataFrame, names: dict[int, str], sessions: DateArray) -> Panel:
    """Build the panel from integer symbol ids: no string of the price frame is touched.

    Parameters
    ----------
    prices : pl.DataFrame
        ``symbol_id`` (Int32)``, session, adj_close, close, volume``; rows of ids that ``names`` lacks are
        left out.
    names : dict of int to str
        Symbol of each id; a symbol without any price on the sessions has no row in the panel.
    sessions : DateArray
        ``(n_sessions,)`` consecutive exchange sessions, ascending.
    """
    symbols = sorted(names.items(), key=lambda item: item[1])
    rows = np.full(max(names, default=-1) + 1, -1, dtype=np.int32)
    rows[[symbol_id for symbol_id, _ in symbols]] = np.arange(len(symbols), dtype=np.int32)
    place = _Place(rows, *_columns_of_days(sessions))
    arrays = tuple(np.full((len(symbols), len(sessions)), np.nan) for _ in PRICE_COLUMNS)
    seen = np.zeros(len(symbols), dtype=np.bool_)
    for ids, days, *values in _chunks(prices):
        _scatter(place, ids, days, tuple(values), arrays, seen)
    if not seen.all():
        arrays = tuple(array[seen] for array in arrays)
    kept = tuple(name for (_, name), there in zip(symbols, seen.tolist(), strict=True) if there)
    adj_close, close, volume = arrays
    return Panel(kept, sessions, adj_close, close, volume, simple_returns(adj_close))


def _chunks(prices: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Yield ids, days and prices chunk by chunk as they lie in memory: joining them first costs more."""
    columns = [
        prices["symbol_id"],
        prices["session"].to_physical(),
        *(prices[name] for name in PRICE_COLUMNS),
    ]
    chunks = [column.get_chunks() for column in columns]
    if len({tuple(len(chunk) for chunk in column) for column in chunks}) > 1:
        chunks = [[column.rechunk()] for column in columns]
    for pieces in zip(*chunks, strict=True):
        yield tuple(piece.to_numpy() for piece in pieces)


class _Place(NamedTuple):
    """Row of each symbol id and, from the first session's day number on, column of each day; -1: none."""

    rows: Int32Array
    first: int
    columns: Int32Array


def _columns_of_days(sessions: DateArray) -> tuple[int, Int32Array]:
    days = sessions.astype("datetime64[D]").astype(np.int64)
    lookup = np.full(int(days[-1] - days[0]) + 1, -1, dtype=np.int32)
    lookup[days - days[0]] = np.arange(len(days), dtype=np.int32)
    return int(days[0]), lookup


@njit(cache=True, nogil=True)
def _scatter(
    place: _Place,
    ids: Int32Array,
    days: Int32Array,
    values: tuple[FloatArray, ...],
    arrays: tuple[FloatArray, ...],
    seen: BoolArray,
) -> None:
    rows, first, columns = place
    adj_close, close, volume = arrays
    for i in range(len(ids)):
        offset = days[i] - first
        row = rows[ids[i]] if 0 <= ids[i] < len(rows) else -1
        column = columns[offset] if 0 <= offset < len(columns) else -1
        if row >= 0 and column >= 0:
            adj_close[row, column] = values[0][i]
            close[row, column] = values[1][i]
            volume[row, column] = values[2][i]
            seen[row] = True


@njit(cache=True, nogil=True, error_model="numpy")
def simple_returns(adj_close: FloatArray) -> FloatArray:
    """Return P_t / P_{t-1} − 1 between adjacent sessions that both have a price above 0.

    Parameters
    ----------
    adj_close : FloatArray
        ``(n_symbols, n_sessions)`` adjusted closes, NaN where missing.

    Returns
    -------
    FloatArray
        ``(n_symbols, n_sessions)`` decimals; the first column is NaN. A gap costs two returns: it never
        becomes a many-session return in a one-session slot.
    """
    returns = np.empty_like(adj_close)
    n_symbols, n_sessions = adj_close.shape
    for i in range(n_symbols):
        previous = np.nan
        for t in range(n_sessions):
            price = adj_close[i, t]
            both = price > 0.0 and previous > 0.0 and price < np.inf and previous < np.inf
            returns[i, t] = price / previous - 1.0 if both else np.nan
            previous = price
    return returns


@njit(cache=True, nogil=True)
def _recently_priced(adj_close: FloatArray, first: int, last: int) -> BoolArray:
    active = np.zeros((len(adj_close), last - first + 1), dtype=np.bool_)
    for i in range(len(adj_close)):
        priced = first
        while priced >= 0 and not adj_close[i, priced] > 0.0:
            priced -= 1
        for t in range(first, last + 1):
            priced = t if adj_close[i, t] > 0.0 else priced
            active[i, t - first] = priced >= 0 and priced > t - ACTIVE_SESSIONS
    return active
