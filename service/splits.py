"""Splits since lots were entered: read from the lake, and applied to positions."""

from datetime import date, timedelta

import numpy as np
import polars as pl

from engine.prices_asof import Market, is_adjusted_only, market_of, split_factors
from engine.typing import DateArray
from engine.valuation import Positions
from service import clock
from storage.releases import Release
from storage.store import Store

DAYS_BEFORE = timedelta(days=20)  # in which a close within five sessions of the first day lies


def read_splits(store: Store, release: Release, on: date) -> Market:
    """Read all splits up to a session, and the last closes of the symbols that have any."""
    actions = store.read("corporate_actions", release=release)
    splits = actions.filter((pl.col("kind") == "split") & (pl.col("session") <= on))
    span = (on - DAYS_BEFORE, on)
    columns, symbols = ("symbol", "session", "close", "quality"), splits["symbol"].unique().to_list()
    prices = store.read("prices", release=release, columns=columns, symbols=symbols, sessions=span)
    return market_of(prices, splits, clock.sessions_between(*span), dividends_known=False)


def in_shares_of(
    session: np.datetime64, positions: Positions, entered: DateArray, splits: Market
) -> Positions:
    """Bring lots in shares of the sessions that they were entered on, ``(n_lots,)``, to those of another.

    Public lots and options take splits; not a public lot whose only price is an adjusted one: they are in it.
    """
    codes = splits.codes_of(pl.Series(positions.listed, dtype=pl.String))
    days = np.full(len(codes), session)
    public, option = positions.of_kind("public"), positions.of_kind("option")
    takes = option | public & ~is_adjusted_only(splits, codes, days)
    return positions.over_splits(np.where(takes, split_factors(splits, codes, entered, days), 1.0))
