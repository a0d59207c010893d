"""Small frames for stores in a temporary folder. Imports polars and the contracts of storage."""

from collections.abc import Iterable
from datetime import date, timedelta

import polars as pl

from storage.schemas import TABLES


def days(first: date, n_days: int, *, step: int = 1) -> list[date]:
    return [first + timedelta(days=step * at) for at in range(n_days)]


def rows(table: str, **columns: object) -> pl.DataFrame:
    """A frame of a table; columns that are not named are null."""
    schema = TABLES[table].schema
    given = pl.DataFrame(columns, schema_overrides={name: schema[name] for name in columns})
    return given.with_columns(pl.lit(None, dtype).alias(n) for n, dtype in schema.items() if n not in columns)


def prices(symbols: Iterable[str], sessions: Iterable[date], close: float = 1.0) -> pl.DataFrame:
    """One price a symbol and session, all closing at the same level."""
    keys = [(symbol, session) for symbol in symbols for session in sessions]
    names, dates = zip(*keys, strict=True)
    return rows("prices", symbol=names, session=dates, close=[close] * len(keys))


def metrics(symbols: Iterable[str], session: date, price: float = 1.0) -> pl.DataFrame:
    names = list(symbols)
    return rows("symbol_metrics", symbol=names, session=[session] * len(names), price=[price] * len(names))


def by_key(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort(TABLES[table].key)
