"""What the store knows of one symbol on a session."""

from datetime import date
from typing import Any

import numpy as np
import polars as pl

from service.book_loader import computed_sessions
from service.errors import FailedError, UsageError
from storage.store import Store


def symbol_view(store: Store, symbol: str, asof: date | None) -> dict[str, Any]:
    """Return a symbol's betas and metrics of the newest computed session on or before a date.

    Raises
    ------
    UsageError
        The store does not know the symbol, or computed nothing for it by then.
    FailedError
        Nothing is computed yet.
    """
    release = store.release()
    if symbol not in store.ledger.symbols.ids():
        raise UsageError(f"{symbol} is unknown to {store.path}; ingest its prices first")
    computed = computed_sessions(store, release)
    if not len(computed):
        raise FailedError(f"{store.path} has no computed session; run `ridgeline batch run` first")
    known = computed if asof is None else computed[computed <= np.datetime64(asof)]
    if not len(known):
        raise UsageError(f"nothing is computed on or before {asof}; the first session is {computed[0]}")
    session: date = known[-1].item()
    factors, metrics = (
        store.read(table, release=release, sessions=(session, session), symbols=[symbol])
        for table in ("symbol_factors", "symbol_metrics")
    )
    if metrics.is_empty():
        raise UsageError(f"{symbol} has no price in the 252 sessions up to {session}")
    dates = pl.col(pl.Date).cast(pl.String)
    return {
        "symbol": symbol,
        "as_of": str(session),
        "release": release.number,
        "metrics": metrics.with_columns(dates).drop("symbol", "session").row(0, named=True),
        "factors": factors.with_columns(dates).drop("symbol", "session").to_dicts(),
    }
