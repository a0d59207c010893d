"""The price panel: long price frames as symbol-by-session arrays; imports numpy, numba and polars."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numba import njit

from engine.typing import BoolArray, DateArray, FloatArray, Int32Array

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
        begin = max(0, first - 251)
        priced = np.cumsum(np.isfinite(self.adj_close[:, begin : last + 1]), axis=1, dtype=np.int32)
        ends = np.arange(first, last + 1) - begin
        before = np.where(ends >= 252, priced[:, np.maximum(ends - 252, 0)], 0)
        return priced[:, ends] > before

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
    codes = prices["symbol"].cast(pl.Enum(symbols)).to_physical().to_numpy().astype(np.int32)
    return panel_of_ids(prices, codes, dict(enumerate(symbols.to_list())), sessions)


def panel_of_ids(prices: pl.DataFrame, ids: Int32Array, names: dict[int, str], sessions: DateArray) -> Panel:
    """Build the panel from integer symbol ids: no string of the price frame is touched.

    Parameters
    ----------
    prices : pl.DataFrame
        ``session, adj_close, close, volume``, ``n_rows`` of them.
    ids : Int32Array
        ``(n_rows,)`` id of each row's symbol; rows of ids that ``names`` lacks are left out.
    names : dict of int to str
        Symbol of each id; a symbol without any price on the sessions has no row in the panel.
    sessions : DateArray
        ``(n_sessions,)`` consecutive exchange sessions, ascending.
    """
    columns = _session_columns(prices["session"].to_physical().to_numpy(), sessions)
    seen = np.zeros(max(names, default=-1) + 1, dtype=np.bool_)
    _mark_seen(ids, columns, seen)
    symbols, kept = _named(names, seen)
    rows = np.full(len(seen), -1, dtype=np.int32)
    rows[kept] = np.arange(len(kept), dtype=np.int32)
    shape = (len(symbols), len(sessions))
    adj_close, close, volume = (
        _scatter(rows, ids, columns, prices[name].to_numpy(), np.full(shape, np.nan))
        for name in PRICE_COLUMNS
    )
    return Panel(symbols, sessions, adj_close, close, volume, simple_returns(adj_close))


def _named(names: dict[int, str], seen: np.ndarray) -> tuple[tuple[str, ...], Int32Array]:
    ordered = sorted((name, symbol_id) for symbol_id, name in names.items() if seen[symbol_id])
    return tuple(name for name, _ in ordered), np.array([i for _, i in ordered], dtype=np.int32)


def _session_columns(days: Int32Array, sessions: DateArray) -> Int32Array:
    """Column of each day number, -1 for a day that is not among the sessions; ``(n_rows,)``."""
    first, last = (int(edge) for edge in sessions[[0, -1]].astype("datetime64[D]").astype(np.int64))
    lookup = np.full(last - first + 1, -1, dtype=np.int32)
    lookup[sessions.astype("datetime64[D]").astype(np.int64) - first] = np.arange(
        len(sessions), dtype=np.int32
    )
    return _look_up(days, np.int32(first), lookup)


@njit(cache=True, nogil=True)
def _look_up(days: Int32Array, first: np.int32, lookup: Int32Array) -> Int32Array:
    columns = np.empty(len(days), dtype=np.int32)
    for i in range(len(days)):
        offset = days[i] - first
        columns[i] = lookup[offset] if 0 <= offset < len(lookup) else -1
    return columns


@njit(cache=True, nogil=True)
def _mark_seen(ids: Int32Array, columns: Int32Array, seen: np.ndarray) -> None:
    for i in range(len(ids)):
        if columns[i] >= 0 and 0 <= ids[i] < len(seen):
            seen[ids[i]] = True


@njit(cache=True, nogil=True)
def _scatter(
    rows: Int32Array, ids: Int32Array, columns: Int32Array, values: FloatArray, out: FloatArray
) -> FloatArray:
    for i in range(len(ids)):
        if columns[i] >= 0 and 0 <= ids[i] < len(rows):
            row = rows[ids[i]]
            if row >= 0:
                out[row, columns[i]] = values[i]
    return out


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
