"""analytics.duckdb: the newest releases as views that any DuckDB opens; imports duckdb.

The file holds no market data: views over the releases' Parquet files by absolute path, macros over the views,
and copies of a few ledger tables. It is written beside its name and moved into place, so that a reader who
has the old one open neither blocks nor notices.
"""

import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, cast

import duckdb
import polars as pl

from storage.durability import fsync
from storage.errors import Corrupt, InvalidQuery, NotFound, NotWritten
from storage.ledger_tables import positions
from storage.releases import Release
from storage.scan import DataFile
from storage.select_only import require_select
from storage.table import DType, Table

Files: TypeAlias = Sequence[DataFile]
Views: TypeAlias = Sequence[tuple[Table, Files]]

EXPLAINED = re.compile(r"^\s*EXPLAIN\s+(ANALYZE\s+)?", re.IGNORECASE)
SQL_TYPES: dict[DType, str] = {
    pl.String: "VARCHAR",
    pl.Date: "DATE",
    pl.Int32: "INTEGER",
    pl.Float64: "DOUBLE",
}

COPIES = {
    "release": "The release of each layer that this catalog shows, and the folder of its lake",
    "symbols": "Registered symbols; recompute_from says from which session one has to be computed again",
    "runs": "Runs of jobs, as of this catalog",
    "portfolios": "Accounts as entered, as of this catalog; starting_equity is in their currency",
    "positions": "Lots, open and closed, as of this catalog; a short's quantity is negative",
}

# A parameter must not be called like a column: within the macro it would stand for the column too.
MACROS = (
    "prices_of(wanted) AS TABLE SELECT * FROM prices WHERE symbol = wanted ORDER BY session",
    """factors_asof(day) AS TABLE
    SELECT * FROM symbol_factors
    JOIN (
        SELECT symbol, factor, max(session) AS session FROM symbol_factors
        WHERE session <= day GROUP BY symbol, factor
    ) USING (symbol, factor, session)""",
    """metrics_asof(day) AS TABLE
    SELECT * FROM symbol_metrics
    JOIN (
        SELECT symbol, max(session) AS session FROM symbol_metrics
        WHERE session <= day GROUP BY symbol
    ) USING (symbol, session)""",
    """portfolio_history(wanted) AS TABLE
    SELECT * FROM portfolio_snapshots WHERE portfolio_id = wanted ORDER BY session""",
)


@contextmanager
def drafting(path: Path) -> Iterator[Path]:
    """Yield where to write the next catalog, and move what was written there into place.

    The draft lies in a folder that only its owner may enter, since DuckDB creates files, and a log beside
    them, that everybody may read. One process drafts at a time: ask the ledger what to write within, and the
    newest wins.

    Raises
    ------
    NotWritten
        The folder takes no draft, or the draft cannot be moved into place.
    """
    try:
        with _locked_draft(path) as draft:
            yield draft
    except OSError as error:
        raise NotWritten(f"{path} cannot be written: {error}; the next job tries again") from error


@contextmanager
def _locked_draft(path: Path) -> Iterator[Path]:
    folder = path.with_name(f".{path.stem}")
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # freed by the kernel when its holder dies
        for left_behind in folder.iterdir():
            left_behind.unlink()
        draft = folder / path.name
        yield draft
        draft.chmod(0o600)
        fsync(draft)
        draft.replace(path)
        fsync(path.parent)
    finally:
        os.close(descriptor)


def write(draft: Path, views: Views, copies: Mapping[str, pl.DataFrame], *, before: Path) -> None:
    """Write a catalog of views and copied tables in the format of DuckDB 1.0, which every 1.x opens too.

    Parameters
    ----------
    copies : mapping of str to pl.DataFrame
        ``COPIES``; positions that lack are taken from the catalog ``before``.

    Raises
    ------
    NotWritten
        DuckDB could not write it; what lies at ``draft`` is no catalog.
    """
    try:
        _write(draft, views, copies, before)
    except duckdb.Error as error:
        raise NotWritten(f"{draft} cannot be written: {error}; the next job tries again") from error


def _write(draft: Path, views: Views, copies: Mapping[str, pl.DataFrame], before: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH {_text(str(draft))} AS catalog (STORAGE_VERSION 'v1.0.0')")
        if "positions" not in copies:
            connection.execute(f"ATTACH {_text(str(before))} AS before (READ_ONLY)")
        connection.execute("USE catalog")
        connection.begin()
        for statement in _statements(views):
            connection.execute(statement)
        for name, comment in COPIES.items():
            source = f"before.{_name(name)}"
            if name in copies:
                connection.register("copied", copies[name])
                source = "copied"
            connection.execute(f"CREATE TABLE {_name(name)} AS FROM {source}")
            connection.execute(f"COMMENT ON TABLE {_name(name)} IS {_text(comment)}")
        connection.commit()
        connection.execute("USE memory")
        connection.execute("DETACH catalog")


def query(path: Path, sql: str) -> pl.DataFrame:
    """Run one query on the catalog, read-only, and return its rows.

    Raises
    ------
    NotFound
        There is no catalog yet.
    InvalidQuery
        DuckDB refused the query, it does more than select, or its result has a type that no frame holds.
    """
    with _attached(path) as connection:
        try:
            _require_reading(connection, sql)
            relation = cast("duckdb.DuckDBPyRelation | None", connection.sql(sql))  # None for an empty query
            return pl.DataFrame() if relation is None else pl.DataFrame(relation.to_arrow_table())
        except (duckdb.Error, pl.exceptions.ComputeError) as error:
            raise InvalidQuery(str(error)) from error


def _require_reading(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Let only what reads pass, explained or not: a COPY would write files wherever its user may."""
    if connection.extract_statements(sql):
        require_select(connection, EXPLAINED.sub("", sql, count=1))


def contents(path: Path) -> pl.DataFrame:
    """Return every column of the catalog with its comment, and its table's.

    Returns
    -------
    pl.DataFrame
        ``table_name, table_comment, column_name, data_type, comment``, in the order of the tables.

    Raises
    ------
    NotFound
        There is no catalog yet.
    """
    query = """
        SELECT table_name, tables.comment AS table_comment, column_name, columns.data_type, columns.comment
        FROM duckdb_columns() AS columns
        JOIN (
            SELECT view_name AS table_name, comment FROM duckdb_views() WHERE database_name = 'catalog'
            UNION ALL
            SELECT table_name, comment FROM duckdb_tables() WHERE database_name = 'catalog'
        ) AS tables USING (table_name)
        WHERE columns.database_name = 'catalog' AND NOT columns.internal
        ORDER BY table_name, column_index"""
    with _attached(path) as connection:
        return pl.DataFrame(connection.execute(query).to_arrow_table())


def release_table(newest: Sequence[Release], lake: str) -> pl.DataFrame:
    """Return the rows of the table ``release``: what the catalog shows, and where its lake lies."""
    schema = {
        "number": pl.Int64,
        "layer": pl.String,
        "session": pl.Date,
        "created_at": pl.String,
        "run_id": pl.String,
        "lake": pl.String,
    }
    rows = [(r.number, r.layer, r.session, r.created_at, r.run_id, lake) for r in newest]
    return pl.DataFrame(rows, schema=schema, orient="row")


def shown_portfolios(path: Path) -> pl.DataFrame | None:
    """Return the portfolios whose positions a catalog shows, with their revisions.

    None when it does not open, or its positions have other columns than those of today.
    """
    today = [column.name for column in positions.columns]
    try:
        with _attached(path) as connection:
            columns = [row[0] for row in connection.execute("DESCRIBE positions").fetchall()]
            shown = connection.sql("SELECT portfolio_id, revision FROM portfolios").to_arrow_table()
            return pl.DataFrame(shown) if columns == today else None
    except (NotFound, Corrupt, duckdb.Error):
        return None


def is_current(path: Path, releases: Sequence[Release], lake: str) -> bool:
    """Whether the catalog shows these releases, of the lake at this very place."""
    return _shown(path) == sorted((release.number, lake) for release in releases)


def is_of(path: Path, lake: str) -> bool:
    """Whether the catalog opens and shows releases, new or old, of the lake at this very place."""
    return {place for _, place in _shown(path)} == {lake}


def _shown(path: Path) -> list[tuple[int, str]]:
    """Number and lake of the releases that a catalog shows; none when it does not open."""
    try:
        with _attached(path) as connection:
            return connection.execute("SELECT number, lake FROM release ORDER BY number").fetchall()
    except (NotFound, Corrupt, duckdb.Error):
        return []


@contextmanager
def _attached(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Attach the catalog to a new in-memory database.

    Connecting to the path itself would hand out whatever file this process already has open under that name,
    even after another one was moved into its place.
    """
    if not path.exists():
        raise NotFound(f"{path} does not exist; the next job that writes the store makes it")
    with duckdb.connect() as connection:
        try:
            connection.execute(f"ATTACH {_text(str(path))} AS catalog (READ_ONLY)")
        except duckdb.Error as error:
            raise Corrupt(f"{path} does not open: {error}; delete it, the next job makes it anew") from error
        connection.execute("USE catalog")
        yield connection


def _statements(views: Views) -> Iterator[str]:
    for table, files in views:
        yield f"CREATE VIEW {_name(table.name)} AS {_select(table, files)}"
        yield f"COMMENT ON VIEW {_name(table.name)} IS {_text(table.comment)}"
        for column in table.columns:
            yield f"COMMENT ON COLUMN {_name(table.name)}.{_name(column.name)} IS {_text(column.comment)}"
    for macro in MACROS:
        yield f"CREATE MACRO {macro}"


def _select(table: Table, files: Files) -> str:
    """Select a table's rows with its own types: left alone, DuckDB takes those of the first file."""
    columns = ", ".join(
        f"CAST({_name(name) if files else 'NULL'} AS {SQL_TYPES[dtype]}) AS {_name(name)}"
        for name, dtype in table.dtypes.items()
    )
    if not files:
        return f"SELECT {columns} WHERE false"
    paths = ", ".join(_text(file.path) for file in files)
    return f"SELECT {columns} FROM read_parquet([{paths}], union_by_name = true)"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
