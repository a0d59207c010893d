"""The lots of many portfolios under the names that their companies have on a session."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl

from engine.lots import PUBLIC
from service.jobs.snapshot_inputs import KNOWN_OPTION, Holdings
from service.names import Names


def listed_on(session: np.datetime64, held: Holdings, names: Names) -> Holdings:
    """Return holdings with the symbols of public lots, and the underlyings of options, as of a session.

    Lots are of the names of the session in whose shares they were entered, or of a later entry date.
    """
    day: date = session.item()  # type: ignore[assignment]
    lots, given_up = held.lots, names.given_up(day)
    old = sorted(given_up.intersection(lots["listed"].dtype.categories)) if given_up else []  # type: ignore[attr-defined]
    follows = ((pl.col("kind") == PUBLIC) | KNOWN_OPTION) & pl.col("listed").is_in(old)
    rows = lots.select(follows.arg_true()).to_series() if old else pl.Series(dtype=pl.UInt32)
    if rows.is_empty():
        return held
    started = pl.Series("started", held.starts).cast(pl.Date).gather(lots["index"].gather(rows))
    named = pl.max_horizontal(pl.col("entered_session").fill_null(started), "entry_date").alias("named")
    few = lots[rows].select(pl.col("listed").cast(pl.String), named, pl.col("kind") == PUBLIC)
    pairs = few.select("listed", "named").unique()
    now = [names.on(day, symbol, entered) for symbol, entered in pairs.iter_rows()]
    known = pairs.with_columns(now=pl.Series(now, dtype=pl.String))
    listed = few.join(known, on=["listed", "named"], how="left", maintain_order="left")["now"]
    public = few["kind"]
    underlying = lots["underlying_symbol"].scatter(rows.filter(~public), listed.filter(~public))
    symbol = _with(lots["symbol"], rows.filter(public), listed.filter(public))
    return replace(held, lots=lots.with_columns(symbol, underlying, _with(lots["listed"], rows, listed)))


def _with(column: pl.Series, rows: pl.Series, names: pl.Series) -> pl.Series:
    """Put names at some rows of a column of symbols, which has more categories then."""
    known: list[str] = column.dtype.categories.to_list()  # type: ignore[attr-defined]
    categories = list(dict.fromkeys([*known, *names]))
    codes = column.to_physical().cast(pl.Int64)
    codes = codes.scatter(rows, names.replace_strict({name: at for at, name in enumerate(categories)}))
    return pl.Series(column.name, categories, dtype=pl.Enum(categories)).gather(codes)
