"""Many rows at once, as columns: SQLAlchemy alone spends most of its time on each row's own parameters."""

from collections.abc import Sequence
from functools import partial
from secrets import token_hex
from time import time_ns
from typing import Any

import polars as pl
import sqlalchemy as sa

from storage.micros import UNITS, Micros

AT_ONCE = 1_000
DTYPES = {
    sa.Text: pl.String,
    sa.Integer: pl.Int64,
    sa.Date: pl.Date,
    sa.Boolean: pl.Boolean,
    Micros: pl.Int64,
}


def new_ids(n: int) -> list[str]:
    """Return UUIDs of version 7 as text, ascending.

    They begin with the time: rows whose random keys lie all over an index dirty most of its pages.
    """
    time = f"{time_ns() // 1_000_000:012x}"
    head, drawn = f"{time[:8]}-{time[8:]}-7", token_hex(9 * n)
    digits = sorted(drawn[start : start + 18] for start in range(0, 18 * n, 18))
    return [f"{head}{d[:3]}-8{d[3:6]}-{d[6:]}" for d in digits]


def insert(connection: sa.Connection, table: sa.Table, columns: dict[str, Sequence[Any]]) -> None:
    """Insert rows given as columns of one length; a column that is not given is null."""
    given = {name: values for name, values in columns.items() if any(v is not None for v in values)}
    bound = [_bound(table.c[name].type, values, connection.dialect) for name, values in given.items()]
    rows = list(zip(*bound, strict=True))
    if rows:
        mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
        marks = ", ".join(mark for _ in given)
        statement = f"INSERT INTO {table.name} ({', '.join(given)}) VALUES ({marks})"
        connection.exec_driver_sql(statement, rows)


def frame(connection: sa.Connection, query: sa.Select[Any], *, strict: bool = True) -> pl.DataFrame:
    """Return the rows of a query on plain columns as a frame; money and quantities as doubles.

    The driver's own rows are turned into columns while they are few: rows of SQLAlchemy, or all of them at
    once, take twice as long. ``strict``: a value that is none of its column's type is an error, not null.
    """
    columns = list(query.selected_columns)
    raw = query.with_only_columns(*map(_raw, columns), maintain_column_froms=True)
    result = connection.execute(raw)
    series = partial(_series, texts=connection.dialect.name == "sqlite", strict=strict)
    parts = [pl.DataFrame([series(column, ()) for column in columns])]
    while rows := result.cursor.fetchmany(AT_ONCE):
        cells = zip(*rows, strict=True)
        parts.append(pl.DataFrame(list(map(series, columns, cells))))
    result.close()
    return pl.concat(parts)


def _bound(kind: sa.types.TypeEngine[Any], values: Sequence[Any], dialect: sa.Dialect) -> Sequence[Any]:
    processor = kind.dialect_impl(dialect).bind_processor(dialect)
    return values if processor is None else [processor(value) for value in values]


def _raw(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Ask for a column as the driver has it where polars converts a whole column faster."""
    if isinstance(column.type, Micros):
        return sa.type_coerce(column, sa.BigInteger)
    return sa.type_coerce(column, sa.Text) if isinstance(column.type, sa.Date) else column


def _series(column: sa.ColumnElement[Any], cells: Sequence[Any], *, texts: bool, strict: bool) -> pl.Series:
    """Return a column; ``texts``: the database has dates as text, and truth as a number."""
    name, dtype = str(column.name), DTYPES[type(column.type)]
    if dtype is pl.Date and texts:
        return pl.Series(name, cells, pl.String, strict=strict).str.to_date("%Y-%m-%d", strict=strict)
    if dtype is pl.Boolean and texts:
        return pl.Series(name, cells, pl.Int64, strict=strict).cast(pl.Boolean)
    series = pl.Series(name, cells, dtype, strict=strict)
    return series / float(UNITS) if isinstance(column.type, Micros) else series
