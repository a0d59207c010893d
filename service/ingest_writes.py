"""How checked rows get into the tables of the symbol layer, and which symbols they make stale."""

from collections.abc import Sequence
from datetime import date
from typing import TypeAlias

import polars as pl

from engine.price_changes import KEY
from storage.store import Store
from storage.writer import Writer

Span: TypeAlias = tuple[date, date]
ACTION_KEY = ("symbol", "session", "kind")
PROFILE_KEY = ("symbol", "as_of")
FUNDAMENTAL_KEY = ("symbol", "period", "frequency", "statement", "item")
DATES = {"profiles": "as_of", "benchmark_weights": "as_of", "fundamentals": "period"}


def write_prices(store: Store, writer: Writer, written: pl.DataFrame, removed: pl.DataFrame) -> None:
    """Append new rows; where a symbol's stored rows change or go, replace what it has between them."""
    ids: dict[str, int] = {}
    for (source,), rows in written.group_by("source"):
        ids |= store.ledger.symbols.register(rows["symbol"].unique().sort(), str(source))
    symbol_id = pl.col("symbol").replace_strict(ids, return_dtype=pl.Int32).alias("symbol_id")
    rows = written.with_columns(symbol_id) if ids else written.with_columns(symbol_id=pl.lit(None, pl.Int32))
    restated = pl.concat(
        [written.filter(pl.col("change") == "changed")["symbol"], removed["symbol"]]
    ).unique()
    is_restated = pl.col("symbol").is_in(restated.implode())
    fresh = rows.filter(~is_restated).drop("change")
    if fresh.height:
        writer.append("prices", fresh)
    if len(restated):
        _restate(writer, rows.filter(is_restated).drop("change"), removed, restated.to_list())


def put_rows(writer: Writer, table: str, rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Put rows in the place of those with their keys, and return the ones that were not there as they are."""
    if rows.is_empty():
        return rows
    days = rows[DATES.get(table, "session")]
    span: Span = (days.min(), days.max())  # type: ignore[assignment]
    stored = writer.read(table, sessions=span)
    given = rows.select(stored.columns)
    written = given.join(stored, on=stored.columns, how="anti", nulls_equal=True)
    if written.height:
        kept = stored.join(written, on=key, how="anti")
        writer.replace(table, pl.concat([kept, written]), sessions=span)
    return written


def mark(store: Store, touched: pl.DataFrame, computed: date | None) -> None:
    """Ask for symbols to be computed again whose rows at or before the newest computed session changed.

    Before the release is published: a mark without its release costs a computation, the other way round a
    stale number would stay.
    """
    if computed is None:
        return
    known = list(store.ledger.symbols.ids())
    late = touched.filter((pl.col("session") <= computed) & pl.col("symbol").is_in(known))
    marks = dict(late.group_by("symbol").agg(pl.col("session").min()).iter_rows())
    store.ledger.symbols.mark_recompute(marks)


def append_quarantine(writer: Writer, quarantine: pl.DataFrame) -> int:
    """Append what is not there yet, and return how many values that is."""
    if quarantine.is_empty():
        return 0
    key = [*KEY, "source", "field"]
    stored = writer.read("quarantine", columns=key)
    refused = quarantine.unique(key, keep="first", maintain_order=True).join(stored, on=key, how="anti")
    if refused.height:
        writer.append("quarantine", refused)
    return refused.height


def _restate(writer: Writer, rows: pl.DataFrame, removed: pl.DataFrame, symbols: list[str]) -> None:
    days = pl.concat([rows["session"], removed["session"]])
    span: Span = (days.min(), days.max())  # type: ignore[assignment]
    stored = writer.read("prices", sessions=span, symbols=symbols)
    kept = stored.join(pl.concat([rows.select(KEY), removed]), on=KEY, how="anti")
    merged = pl.concat([kept, rows.select(kept.columns)])
    writer.replace("prices", merged, sessions=span, symbols=symbols)
