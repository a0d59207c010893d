"""The contract of every lake table, and the check that a frame keeps it; imports polars."""

import polars as pl

from storage.errors import InvalidFrame, NotFound
from storage.portfolio_tables import PORTFOLIO_TABLES
from storage.symbol_tables import SYMBOL_TABLES
from storage.table import Table

TABLES: dict[str, Table] = {table.name: table for table in (*SYMBOL_TABLES, *PORTFOLIO_TABLES)}


def table_named(name: str) -> Table:
    """Return a table's contract; ``NotFound`` for a name that the lake does not have."""
    if name not in TABLES:
        raise NotFound(f"no table {name!r} in the lake; it has {', '.join(TABLES)}")
    return TABLES[name]


def tables_of(layer: str) -> tuple[Table, ...]:
    """Return the tables of one layer; ``NotFound`` for a layer that has none."""
    tables = tuple(table for table in TABLES.values() if table.layer == layer)
    if not tables:
        raise NotFound(
            f"no layer {layer!r}; there are {', '.join(sorted({t.layer for t in TABLES.values()}))}"
        )
    return tables


def conform(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Check a frame against a table's contract and bring it into the table's order of columns and rows.

    A NaN becomes null: in the lake missing has one spelling, so that SQL averages and file statistics see it.

    Parameters
    ----------
    table : Table
    frame : pl.DataFrame
        Every column of the table in any order, and no other. A type may widen (integers and Float32 into
        Float64) or hold what fits (Int64 values into Int32); text is never parsed and a fraction never cut
        off.

    Returns
    -------
    pl.DataFrame
        The table's columns and types, rows sorted by the key.

    Raises
    ------
    InvalidFrame
        A column that lacks or is unknown, a value its type cannot hold, an infinite number, a null or a
        duplicate in the key.
    """
    _check_columns(table, frame)
    try:
        cast = frame.select(_cast(table, frame.schema, name) for name in table.schema)
    except pl.exceptions.InvalidOperationError as error:
        raise InvalidFrame(f"{table.name}: a value does not fit its column: {error}") from error
    _check_finite(table, cast)
    _check_key(table, cast)
    if _ascends(table, cast).all():
        return cast
    ordered = cast.sort(table.key)
    repeated = ordered.filter(~_ascends(table, ordered))
    if not repeated.is_empty():
        raise InvalidFrame(f"{table.name}: several rows with the key {first_key(table, repeated)}; keep one")
    return ordered


def first_key(table: Table, frame: pl.DataFrame) -> str:
    """Spell out the key of a frame's first row, for a message."""
    row = frame.select(table.key).row(0, named=True)
    return "(" + ", ".join(f"{name} {value}" for name, value in row.items()) + ")"


def _check_columns(table: Table, frame: pl.DataFrame) -> None:
    lacking = [name for name in table.schema if name not in frame.schema]
    unknown = [name for name in frame.schema if name not in table.schema]
    if lacking or unknown:
        raise InvalidFrame(
            f"{table.name}: missing columns: {', '.join(lacking) or 'none'}; "
            f"unknown columns: {', '.join(unknown) or 'none'}"
        )


def _cast(table: Table, given: pl.Schema, name: str) -> pl.Expr:
    source, target = given[name], table.schema[name]
    safe = (
        source in (target, pl.Null)
        or (target.is_numeric() and source.is_integer())
        or (target.is_float() and source.is_float())
        or (target == pl.String and source in (pl.Categorical, pl.Enum))
    )
    if not safe:
        raise InvalidFrame(
            f"{table.name}: column {name} is {source}, not {target}; convert it before writing"
        )
    column = pl.col(name).cast(target, strict=True)
    return column.fill_nan(None) if target.is_float() else column


def _check_finite(table: Table, frame: pl.DataFrame) -> None:
    floats = [name for name, dtype in table.schema.items() if dtype.is_float()]
    infinite = frame.select(pl.col(floats).is_infinite().any())
    for name in floats:
        if infinite[name].item():
            row = first_key(table, frame.filter(pl.col(name).is_infinite()))
            raise InvalidFrame(f"{table.name}: {name} of {row} is infinite; what is unknown is null")


def _check_key(table: Table, frame: pl.DataFrame) -> None:
    nulls = [name for name in table.key if frame[name].null_count()]
    if nulls:
        raise InvalidFrame(
            f"{table.name}: null in key column {', '.join(nulls)}; every row needs its whole key"
        )


def _ascends(table: Table, frame: pl.DataFrame) -> pl.Series:
    """Whether each row's key is above that of the row before, ``(n_rows,)``; null in the first row.

    It says sorted and unique at once, in one pass: most frames come sorted, and sorting one again or grouping
    it by its key costs several times as much.
    """
    above = pl.lit(False)
    for name in reversed(table.key):
        here, before = pl.col(name), pl.col(name).shift(1)
        above = (here > before) | ((here == before) & above)
    return frame.select(above.alias("above")).to_series()
