"""Stored prices of a few symbols over the last sessions; reads the lake, so never on the event loop."""

from collections.abc import Iterable
from datetime import date

import polars as pl

from service import clock
from service.live_book import Market
from storage.store import Store

COLUMNS = ("symbol", "session", "open", "high", "low", "close", "adj_close", "volume", "source")


def first_session(market: Market, lookback: int) -> date:
    """Return the first of so many sessions that end with the market's."""
    first: date = clock.sessions_until(market.session, lookback)[0].item()
    return first


def histories(store: Store, market: Market, symbols: Iterable[str], lookback: int) -> dict[str, pl.DataFrame]:
    """Return each symbol's rows of the last sessions, in their order; one without any has no entry."""
    span = (first_session(market, lookback), market.session)
    frame = store.read(
        "prices", release=market.book.release, columns=COLUMNS, symbols=set(symbols), sessions=span
    )
    parts = frame.sort("symbol", "session").partition_by("symbol", as_dict=True)
    return {str(key[0]): part for key, part in parts.items()}
