"""The price panel: long price frames as symbol-by-session arrays; imports numpy, numba and polars."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, Self

import numpy as np
import polars as pl
from numba import njit

from engine.typing import BoolArray, DateArray, FloatArray, Int32Array, IntArray

ACTIVE_SESSIONS = 252


@dataclass(frozen=True, slots=True)
class Panel:
    """Prices of all symbols on consecutive exchange sessions.

    Attributes
    ----------
    symbols : tuple of str
        ``(n_symbols,)`` in ascending order.
    sessions : DateArray
        ``(n_sessions,)`` ascending and consecutive; a session on which nobody traded is a column too.
    adj_close, returns : FloatArray
        ``(n_symbols, n_sessions)``, NaN where missing. ``returns`` are simple returns of ``adj_close``.
    close, volume : FloatArray
        ``(n_symbols, n_closes)`` and ``(n_symbols, n_volumes)`` of the last sessions, NaN where missing:
        nothing older is asked of them, and reading it would cost as much again as the rest.
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
        return _recently_priced(self.adj_close, first, last, ACTIVE_SESSIONS)

    def close_at(self, columns: IntArray) -> FloatArray:
        """Close of each symbol at a column of its own ``(n_symbols,)``, NaN where it is too old or -1."""
        recent = columns - (len(self.sessions) - self.close.shape[1])
        found = self.close[np.arange(len(columns)), np.maximum(recent, 0)]
        return np.where((recent >= 0) & (columns >= 0), found, np.nan)

    def until(self, column: int, n_sessions: int | None = None) -> Self:
        """Panel of the ``n_sessions`` (all if not given) that end at a column; a copy if any are left out."""
        end = column + 1
        first = 0 if n_sessions is None else max(0, end - n_sessions)

        def cut(array: FloatArray) -> FloatArray:
            before = len(self.sessions) - array.shape[1]
            return np.ascontiguousarray(array[:, max(0, first - before) : max(0, end - before)])

        arrays = map(cut, (self.adj_close, self.close, self.volume, self.returns))
        return type(self)(self.symbols, self.sessions[first:end], *arrays)


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
    names, n = dict(enumerate(symbols.to_list())), len(sessions)
    return panel_of_ids([prices.with_columns(ids)], names, sessions, n_closes=n, n_volumes=n)


def panel_of_ids(
    frames: Iterable[pl.DataFrame],
    names: dict[int, str],
    sessions: DateArray,
    *,
    n_closes: int,
    n_volumes: int,
    begun: Mapping[str, np.datetime64] | None = None,
) -> Panel:
    """Build the panel from integer symbol ids: no string of the price frames is touched.

    Parameters
    ----------
    frames : iterable of pl.DataFrame
        ``symbol_id`` (Int32)``, session, adj_close``, and ``close`` and ``volume`` in those that reach into
        the sessions kept of them. Rows of ids that ``names`` lacks and of other sessions are left out.
    names : dict of int to str
        Symbol of each id; a symbol without any price on the sessions has no row in the panel.
    sessions : DateArray
        ``(n_sessions,)`` consecutive exchange sessions, ascending.
    n_closes, n_volumes : int
        Last sessions that are kept of ``close`` and of ``volume``.
    begun : mapping of str to np.datetime64, optional
        First session of symbols that named other companies before, whose rows are left out.
    """
    symbols = sorted(names.items(), key=lambda item: item[1])
    rows = np.full(max(names, default=-1) + 1, -1, dtype=np.int32)
    rows[[symbol_id for symbol_id, _ in symbols]] = np.arange(len(symbols), dtype=np.int32)
    kept = {"adj_close": sessions, "close": sessions[-n_closes:], "volume": sessions[-n_volumes:]}
    places = {name: _Place(rows, *_columns_of_days(days)) for name, days in kept.items()}
    arrays = {name: np.full((len(symbols), len(days)), np.nan) for name, days in kept.items()}
    for frame in frames:
        for name in arrays.keys() & set(frame.columns):
            _spread(frame, name, places[name], arrays[name])
    first = begun or {}
    others = [(row, first[symbol]) for row, (_, symbol) in enumerate(symbols) if symbol in first]
    for (row, day), name in product(others, kept):
        arrays[name][row, kept[name] < day] = np.nan
    seen = _recently_priced(arrays["adj_close"], len(sessions) - 1, len(sessions) - 1, len(sessions))[:, 0]
    if not seen.all():
        arrays = {name: array[seen] for name, array in arrays.items()}
    present = tuple(name for (_, name), there in zip(symbols, seen.tolist(), strict=True) if there)
    return Panel(present, sessions, **arrays, returns=simple_returns(arrays["adj_close"]))


def _spread(prices: pl.DataFrame, name: str, place: "_Place", out: FloatArray) -> None:
    """Spread a column over symbols and sessions, chunk by chunk as they lie in memory: joining costs more."""
    columns = [prices[each].to_physical() for each in ("symbol_id", "session", name)]
    chunks = [column.get_chunks() for column in columns]
    if len({tuple(map(len, column)) for column in chunks}) > 1:
        chunks = [[column.rechunk()] for column in columns]
    for parts in zip(*chunks, strict=True):
        ids, days, values = (part.to_numpy() for part in parts)
        _scatter(place, ids, days, values, out)


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
def _scatter(place: _Place, ids: Int32Array, days: Int32Array, values: FloatArray, out: FloatArray) -> None:
    rows, first, columns = place
    known, row = -1, -1
    for i in range(len(ids)):
        if ids[i] != known:  # rows lie sorted by symbol as a rule: one look-up serves a run of them
            known = ids[i]
            row = rows[known] if 0 <= known < len(rows) else -1
        offset = days[i] - first
        column = columns[offset] if 0 <= offset < len(columns) else -1
        if row >= 0 and column >= 0:
            out[row, column] = values[i]


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
    # NumPy asks the system for huge pages, which Numba's own arrays do without: first touch costs a third.
    returns = np.empty_like(adj_close)
    _fill_returns(adj_close, returns)
    return returns


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_returns(adj_close: FloatArray, returns: FloatArray) -> None:
    for i in range(len(returns)):
        returns[i, :1] = np.nan
        for t in range(1, returns.shape[1]):
            before, price = adj_close[i, t - 1], adj_close[i, t]
            # Neither `and` nor a chain of comparisons: both branch, and a loop that branches stays scalar.
            both = (price > 0.0) & (before > 0.0) & (price < np.inf) & (before < np.inf)
            change = price / before - 1.0
            returns[i, t] = change if both else np.nan


@njit(cache=True, nogil=True)
def _recently_priced(adj_close: FloatArray, first: int, last: int, n_sessions: int) -> BoolArray:
    active = np.zeros((len(adj_close), last - first + 1), dtype=np.bool_)
    for i in range(len(adj_close)):
        priced = first
        while priced >= 0 and not adj_close[i, priced] > 0.0:
            priced -= 1
        for t in range(first, last + 1):
            priced = t if adj_close[i, t] > 0.0 else priced
            active[i, t - first] = priced >= 0 and priced > t - n_sessions
    return active
