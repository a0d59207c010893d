"""Closes, splits and dividends by symbol and day, looked up in long frames; imports numpy, numba and polars.

Any number of pairs of symbol and day is looked up at once. Days after the one asked for are never looked at.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numba import njit

from engine.symbol_codes import codes_of
from engine.typing import BoolArray, DateArray, FloatArray, IntArray
from engine.valuation import MAX_PRICE_AGE


class Steps(NamedTuple):
    """A number of each symbol that steps on some days.

    The rows of symbol ``i`` lie from ``starts[i]`` up to ``starts[i + 1]``, ``days`` (since 1970) ascending;
    ``values`` hold from their day on.
    """

    starts: IntArray
    days: IntArray
    values: FloatArray


@dataclass(frozen=True, slots=True)
class Market:
    """Prices and corporate actions by symbol and day.

    Attributes
    ----------
    sessions : DateArray
        ``(n_sessions,)`` consecutive exchange sessions, ascending.
    codes : dict of str to int
        Code of each symbol.
    closes : Steps
        ``(n_prices,)``.
    adjusted_only : BoolArray
        ``(n_prices,)`` whether the symbol has adjusted prices alone.
    shares : Steps
        ``(n_splits,)`` shares that one share from before the symbol's first split has become.
    dividends : Steps
        ``(n_dividends,)`` what that one share has paid so far, in currency.
    dividends_known : bool
        Whether the source has dividends at all.
    """

    sessions: DateArray
    codes: dict[str, int]
    closes: Steps
    adjusted_only: BoolArray
    shares: Steps
    dividends: Steps
    dividends_known: bool = True

    def codes_of(self, symbols: pl.Series) -> IntArray:
        """Code of each symbol, ``(n,)``; -1 for one without prices and actions."""
        return codes_of(symbols, self.codes)


def market_of(
    prices: pl.DataFrame, actions: pl.DataFrame, sessions: DateArray, *, dividends_known: bool = True
) -> Market:
    """Bring prices and corporate actions into the order of look-ups.

    Parameters
    ----------
    prices : pl.DataFrame
        One row per (symbol, session): ``symbol, session, close, quality``, in any order. A symbol has
        adjusted prices alone when its newest row is ``adjusted_only``; a ``suspect`` row does not tell.
    actions : pl.DataFrame
        ``symbol, session, kind, value``: splits in new shares per old one, dividends in currency per share; a
        dividend on the day of a split is per new share. Other kinds are left out.
    sessions : DateArray
        ``(n_sessions,)`` consecutive exchange sessions, ascending, up to the last day that is asked for;
        prices of other days are left out.
    dividends_known : bool
        False when the source has no dividends of any symbol: then nobody knows what was paid.
    """
    names = pl.concat([prices["symbol"], actions["symbol"]]).unique().sort()
    codes = {symbol: code for code, symbol in enumerate(names)}
    days = pl.Series(sessions.astype("datetime64[D]")).implode()
    rows = _sorted(prices.filter(pl.col("close").is_not_nan() & pl.col("session").is_in(days)), codes)
    tells = pl.when(pl.col("quality") != "suspect").then(pl.col("quality") == "adjusted_only")
    adjusted = tells.forward_fill().backward_fill().over("code").fill_null(False)
    splits = _sorted(actions.filter(pl.col("kind") == "split"), codes)
    shares = _steps(splits, pl.col("value").cum_prod().over("code"), len(codes))
    paid = _sorted(actions.filter(pl.col("kind") == "dividend"), codes)
    code, day = (paid[name].to_numpy(writable=True) for name in ("code", "day"))
    per_first_share = _value_at(shares, code, day, 1.0)
    paid = paid.with_columns(pl.col("value") * pl.Series(per_first_share))
    return Market(
        sessions,
        codes,
        _steps(rows, pl.col("close"), len(codes)),
        rows.select(adjusted).to_series().to_numpy(),
        shares,
        _steps(paid, pl.col("value").cum_sum().over("code"), len(codes)),
        dividends_known,
    )


def closes_asof(market: Market, codes: IntArray, days: DateArray) -> tuple[FloatArray, IntArray]:
    """Return the last close of each symbol at or before a day, within five sessions, and its age.

    Parameters
    ----------
    codes, days : IntArray, DateArray
        ``(n,)``; a day that is no session stands for the last one before it, NaT for none.

    Returns
    -------
    price : FloatArray
        ``(n,)`` in shares of the day: a split since the close divides it. NaN for none.
    age : IntArray
        ``(n,)`` sessions between the close and the day; -1 for none.

    Raises
    ------
    ValueError
        A day lies after the last of the market's sessions.
    """
    if np.any(days > market.sessions[-1]):
        raise ValueError(f"the market's sessions end on {market.sessions[-1]}, before a day asked for")
    closes, wanted = market.closes, _numbers(days)
    row = _newest_rows(closes.starts, closes.days, codes, wanted)
    found = np.append(closes.days, 0)[row]  # row -1 is the one appended
    sessions = _numbers(market.sessions)
    age = np.searchsorted(sessions, wanted, side="right") - 1 - np.searchsorted(sessions, found)
    recent = (row >= 0) & (age <= MAX_PRICE_AGE)
    split = _value_at(market.shares, codes, wanted, 1.0) / _value_at(market.shares, codes, found, 1.0)
    price = np.append(closes.values, np.nan)[row] / np.where(_at(market.adjusted_only, row), 1.0, split)
    return np.where(recent, price, np.nan), np.where(recent, age, -1)


def is_adjusted_only(market: Market, codes: IntArray, days: DateArray) -> BoolArray:
    """Whether each symbol has adjusted prices alone as of a day, ``(n,)``; False for one without prices."""
    row = _newest_rows(market.closes.starts, market.closes.days, codes, _numbers(days))
    return _at(market.adjusted_only, row)


def split_factors(market: Market, codes: IntArray, since: DateArray, until: DateArray) -> FloatArray:
    """Shares at ``until`` per share at ``since`` ``(n,)``; backwards when ``until`` is the earlier day."""
    before, after = (_value_at(market.shares, codes, _numbers(days), 1.0) for days in (since, until))
    return after / before


def dividends_per_share(market: Market, codes: IntArray, since: DateArray, until: DateArray) -> FloatArray:
    """Dividends with ex-date in (since, until], in currency per share at ``until`` ``(n,)``.

    What was paid before a split counts for all the shares that one became. When ``until`` is the earlier day:
    minus the dividends in (until, since]. NaN where the source has no dividends at all.
    """
    if not market.dividends_known:
        return np.full(len(codes), np.nan)
    before, after = (_value_at(market.dividends, codes, _numbers(days), 0.0) for days in (since, until))
    return (after - before) / _value_at(market.shares, codes, _numbers(until), 1.0)


def _sorted(rows: pl.DataFrame, codes: dict[str, int]) -> pl.DataFrame:
    """Rows with ``code`` and ``day``, in their order."""
    code = pl.col("symbol").replace_strict(codes, default=None, return_dtype=pl.Int64)
    day = pl.col("session").cast(pl.Date).to_physical().cast(pl.Int64)
    return rows.with_columns(code.alias("code"), day.alias("day")).sort("code", "day")


def _steps(rows: pl.DataFrame, value: pl.Expr, n_symbols: int) -> Steps:
    starts = np.searchsorted(rows["code"].to_numpy(), np.arange(n_symbols + 1))
    values = rows.select(value.cast(pl.Float64)).to_series()
    return Steps(starts, rows["day"].to_numpy(writable=True), values.to_numpy(writable=True))


def _numbers(days: DateArray) -> IntArray:
    """Days since 1970; NaT becomes the least of all integers, before every day."""
    return days.astype("datetime64[D]").astype(np.int64)


def _at(flags: BoolArray, rows: IntArray) -> BoolArray:
    """Flags of rows; False for row -1."""
    return np.append(flags, False)[rows]


def _value_at(steps: Steps, codes: IntArray, days: IntArray, before: float) -> FloatArray:
    """What holds for each symbol on a day ``(n,)``; ``before`` before its first step."""
    return np.append(steps.values, before)[_newest_rows(steps.starts, steps.days, codes, days)]


@njit(cache=True, nogil=True)
def _newest_rows(starts: IntArray, days: IntArray, codes: IntArray, wanted: IntArray) -> IntArray:
    """Row of the newest day of each symbol at or before the one wanted ``(n,)``, -1 for none.

    NumPy's own search goes through the rows of all symbols for every pair, and takes fifteen times as long.
    """
    rows = np.full(len(codes), -1)
    for i in range(len(codes)):
        if codes[i] >= 0:
            first, high = starts[codes[i]], starts[codes[i] + 1]
            low = first
            while low < high:
                middle = (low + high) // 2
                if days[middle] <= wanted[i]:
                    low = middle + 1
                else:
                    high = middle
            if low > first:
                rows[i] = low - 1
    return rows
