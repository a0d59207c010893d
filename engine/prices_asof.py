"""Closes, splits and dividends by symbol and day, looked up in long frames; imports numpy and polars.

A look-up is one search in ascending keys of symbol and day, for any number of pairs at once. Days after the
one asked for are never looked at.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from engine.typing import BoolArray, DateArray, FloatArray, IntArray
from engine.valuation import MAX_PRICE_AGE

DAYS, EPOCH = 1 << 20, 1 << 19  # days of a symbol in the keys, and where 1970 lies among them


class Steps(NamedTuple):
    """A number of each symbol that steps: ``(n,)`` ascending keys, and what holds from each of them on."""

    keys: IntArray
    values: FloatArray


@dataclass(frozen=True, slots=True)
class Market:
    """Prices and corporate actions in the order of their keys.

    Attributes
    ----------
    sessions : DateArray
        ``(n_sessions,)`` consecutive exchange sessions, ascending.
    codes : dict of str to int
        Code of each symbol; a key is made of the code and the day.
    closes : Steps
        ``(n_prices,)``.
    adjusted_only : BoolArray
        ``(n_prices,)`` whether the symbol has adjusted prices alone.
    shares : Steps
        ``(n_splits,)`` shares that one share from before the symbol's first split has become.
    dividends : Steps
        ``(n_dividends,)`` what that one share has paid so far, in currency.
    """

    sessions: DateArray
    codes: dict[str, int]
    closes: Steps
    adjusted_only: BoolArray
    shares: Steps
    dividends: Steps

    def codes_of(self, symbols: pl.Series) -> IntArray:
        """Code of each symbol, ``(n,)``; -1 for one without prices and actions."""
        return symbols.replace_strict(self.codes, default=-1, return_dtype=pl.Int64).to_numpy()


def market_of(prices: pl.DataFrame, actions: pl.DataFrame, sessions: DateArray) -> Market:
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
    """
    names = pl.concat([prices["symbol"], actions["symbol"]]).unique().sort()
    codes = {symbol: code for code, symbol in enumerate(names)}
    days = pl.Series(sessions.astype("datetime64[D]"))
    rows = _sorted(
        prices.filter(pl.col("close").is_not_nan() & pl.col("session").is_in(days.implode())), codes
    )
    tells = pl.when(pl.col("quality") != "suspect").then(pl.col("quality") == "adjusted_only")
    adjusted = tells.forward_fill().backward_fill().over("symbol").fill_null(False)
    splits = _sorted(actions.filter(pl.col("kind") == "split"), codes)
    shares = _steps(splits, pl.col("value").cum_prod().over("symbol"))
    paid = _sorted(actions.filter(pl.col("kind") == "dividend"), codes)
    per_first_share = paid["value"] * pl.Series(_newest(shares, paid["key"].to_numpy(), 1.0))
    paid = paid.with_columns(per_first_share.alias("value"))
    return Market(
        sessions,
        codes,
        _steps(rows, pl.col("close")),
        rows.select(adjusted).to_series().to_numpy(),
        shares,
        _steps(paid, pl.col("value").cum_sum().over("symbol")),
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
    keys = _keys(codes, days)
    row = _rows(market.closes.keys, keys)
    found = market.closes.keys[row] if len(market.closes.keys) else np.zeros_like(keys)
    age = _place(market.sessions, keys) - _place(market.sessions, found)
    recent = (row >= 0) & (age <= MAX_PRICE_AGE)
    if not recent.any():
        return np.full(len(keys), np.nan), np.full(len(keys), -1)
    split = _newest(market.shares, keys, 1.0) / _newest(market.shares, found, 1.0)
    price = market.closes.values[row] / np.where(market.adjusted_only[row], 1.0, split)
    return np.where(recent, price, np.nan), np.where(recent, age, -1)


def is_adjusted_only(market: Market, codes: IntArray, days: DateArray) -> BoolArray:
    """Whether each symbol has adjusted prices alone as of a day, ``(n,)``; False for one without prices."""
    row = _rows(market.closes.keys, _keys(codes, days))
    return np.append(market.adjusted_only, False)[row]  # row -1 is the one appended


def split_factors(market: Market, codes: IntArray, since: DateArray, until: DateArray) -> FloatArray:
    """Shares at ``until`` per share at ``since`` ``(n,)``; backwards when ``until`` is the earlier day."""
    before, after = (_newest(market.shares, _keys(codes, days), 1.0) for days in (since, until))
    return after / before


def dividends_per_share(market: Market, codes: IntArray, since: DateArray, until: DateArray) -> FloatArray:
    """Dividends with ex-date in (since, until], in currency per share at ``until`` ``(n,)``.

    What was paid before a split counts for all the shares that one became. When ``until`` is the earlier day:
    minus the dividends in (until, since].
    """
    before, after = (_newest(market.dividends, _keys(codes, days), 0.0) for days in (since, until))
    return (after - before) / _newest(market.shares, _keys(codes, until), 1.0)


def _sorted(rows: pl.DataFrame, codes: dict[str, int]) -> pl.DataFrame:
    """Rows with their ``key``, in its order."""
    code = pl.col("symbol").replace_strict(codes, return_dtype=pl.Int64)
    day = pl.col("session").cast(pl.Date).to_physical().cast(pl.Int64)
    return rows.with_columns((code * DAYS + EPOCH + day).alias("key")).sort("key")


def _steps(rows: pl.DataFrame, value: pl.Expr) -> Steps:
    return Steps(rows["key"].to_numpy(), rows.select(value.cast(pl.Float64)).to_series().to_numpy())


def _keys(codes: IntArray, days: DateArray) -> IntArray:
    day = days.astype("datetime64[D]").astype(np.int64)
    return codes * DAYS + np.maximum(day + EPOCH, 0)  # NaT is the least of all: before every day


def _rows(keys: IntArray, wanted: IntArray) -> IntArray:
    """Place of the newest key of the same symbol at or before each wanted one; -1 for none."""
    row = np.searchsorted(keys, wanted, side="right") - 1
    same = np.append(keys, -DAYS)[row] // DAYS == wanted // DAYS  # row -1 is the one appended
    return np.where(same & (row >= 0), row, -1)


def _newest(steps: Steps, wanted: IntArray, before: float) -> FloatArray:
    """What holds at each wanted key; ``before`` before the symbol's first step."""
    return np.append(steps.values, before)[_rows(steps.keys, wanted)]


def _place(sessions: DateArray, keys: IntArray) -> IntArray:
    """Place of the last session at or before the day of each key."""
    days = sessions.astype("datetime64[D]").astype(np.int64) + EPOCH
    return np.searchsorted(days, keys % DAYS, side="right") - 1
