"""One query of somebody else's on the catalog, in a process of its own that can do nothing but read it.

``python -m storage.sandbox CATALOG LAKE FORMAT`` reads the query from standard input and writes the result to
standard output; standard error says ``TRUNCATED`` where the limit cut rows off. Without a result it has one
sentence that says why, and the process ends with ``REFUSED``.

What holds the query are, from the outside in, the kernel (``storage.confinement``: no file but the catalog
and the lake, and these to read; no network, little memory), the database's locked settings, a catalog that is
attached read-only, and the parser (``storage.select_only``). Imports duckdb, and pyarrow for Parquet.
"""

import csv
import io
import json
import math
import os
import resource
import sys
from collections.abc import Callable, Sequence
from typing import Any

import duckdb

from storage.confinement import NotConfinedError, confine
from storage.errors import InvalidQuery
from storage.select_only import require_select

MAX_ROWS = 10_000
MAX_BYTES = 32 << 20
REFUSED, UNCONFINED = 2, 3
TRUNCATED = "truncated"
MEMORY_LIMIT = "512MB"
TOO_MUCH_MEMORY = f"the query needs more memory than the {MEMORY_LIMIT} it may have: select less"
THREADS = 2
LIMITS = {
    resource.RLIMIT_AS: 3 << 30,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_CPU: 15,  # seconds, of two threads
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_NOFILE: 1024,
}
# Settings that hold from the first moment; those that need the catalog attached come after.
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "async_threads": "0",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": MEMORY_LIMIT,
    "python_enable_replacements": "false",
    "temp_directory": "",
    "threads": "1",  # more of them before the process is confined would keep its rights
}
# Libraries start no threads of theirs before the process is confined.
ENVIRONMENT = {"JE_ARROW_MALLOC_CONF": "background_thread:false", "OPENBLAS_NUM_THREADS": "1"}
WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"}
WHOLE |= {f"U{name}" for name in WHOLE}


def attach(connection: duckdb.DuckDBPyConnection, catalog: int, lake: str) -> None:
    """Let a connection read the catalog behind a descriptor and the files of the lake, and lock that."""
    connection.execute(f"SET threads = {THREADS}")
    connection.execute(f"ATTACH '/proc/self/fd/{catalog}' AS catalog (READ_ONLY)")
    connection.execute("USE catalog")
    connection.execute(f"SET allowed_directories = [{_text(lake.rstrip('/') + '/')}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def answer(connection: duckdb.DuckDBPyConnection, sql: str, form: str) -> tuple[bytes, bool]:
    """Return the result of one SELECT in a format, and whether there are more rows than ``MAX_ROWS``.

    Raises
    ------
    InvalidQuery
        The query is not one SELECT, DuckDB refuses it, or its result does not fit.
    """
    require_select(connection, sql)
    try:
        content, n_rows = FORMATS[form](connection.sql(sql).limit(MAX_ROWS + 1))
    except duckdb.OutOfMemoryException as error:
        raise InvalidQuery(TOO_MUCH_MEMORY) from error
    except duckdb.Error as error:
        raise InvalidQuery(str(error)) from error
    except MemoryError as error:
        raise InvalidQuery(TOO_MUCH_MEMORY) from error
    if len(content) > MAX_BYTES:
        raise InvalidQuery(f"the result has {len(content):,} bytes; {MAX_BYTES:,} is the limit: select less")
    return content, n_rows > MAX_ROWS


def as_json(relation: duckdb.DuckDBPyRelation) -> tuple[bytes, int]:
    """Return columns, types and rows; what is no number or truth value is text, NaN and infinity null."""
    types = [str(each) for each in relation.types]
    rows = _texts(relation)
    readers = [_reader(each) for each in types]
    document = {
        "columns": [{"name": name, "type": kind} for name, kind in zip(relation.columns, types, strict=True)],
        "rows": [
            [None if text is None else read(text) for read, text in zip(readers, row, strict=True)]
            for row in rows[:MAX_ROWS]
        ],
        "truncated": len(rows) > MAX_ROWS,
    }
    encoded = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return encoded.encode(), len(rows)


def as_csv(relation: duckdb.DuckDBPyRelation) -> tuple[bytes, int]:
    """Return a header and rows of text, as DuckDB writes values; null is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(relation.columns)
    rows = _texts(relation)
    writer.writerows(rows[:MAX_ROWS])
    return text.getvalue().encode(), len(rows)


def as_parquet(relation: duckdb.DuckDBPyRelation) -> tuple[bytes, int]:
    """Return a Parquet file with the columns' own types."""
    import pyarrow.parquet  # noqa: PLC0415 - loaded already, before the process was confined

    table = relation.to_arrow_table()
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table.slice(0, MAX_ROWS), sink)
    return sink.getvalue(), table.num_rows


FORMATS: dict[str, Callable[[duckdb.DuckDBPyRelation], tuple[bytes, int]]] = {
    "json": as_json,
    "csv": as_csv,
    "parquet": as_parquet,
}


def main(arguments: Sequence[str]) -> int:
    """Confine this process, run the query from standard input, and return the exit code."""
    catalog, lake, form = arguments
    sql = sys.stdin.buffer.read().decode()
    if form == "parquet":
        import pyarrow.parquet  # noqa: F401, PLC0415 - takes a quarter of a second
    connection = duckdb.connect(config=CONFIG)  # before: it asks how much memory there is
    descriptors = os.open(catalog, os.O_RDONLY), os.open(lake, os.O_RDONLY)
    try:
        confine(descriptors, limits=LIMITS)
        attach(connection, descriptors[0], lake)
        content, is_truncated = answer(connection, sql, form)
    except NotConfinedError as error:
        sys.stderr.write(str(error))
        return UNCONFINED
    except InvalidQuery as error:
        sys.stderr.write(str(error))
        return REFUSED
    sys.stdout.buffer.write(content)
    sys.stderr.write(TRUNCATED if is_truncated else "")
    return 0


def _texts(relation: duckdb.DuckDBPyRelation) -> list[tuple[str | None, ...]]:
    """Return the rows as DuckDB writes them: Python would look for files to tell time zones."""
    return relation.project("CAST(COLUMNS(*) AS VARCHAR)").fetchall()


def is_number(kind: str) -> bool:
    """Whether values of one of DuckDB's types are numbers in JSON."""
    return kind in WHOLE or kind in ("DOUBLE", "FLOAT") or (kind.startswith("DECIMAL") and kind.endswith(")"))


def _reader(kind: str) -> Callable[[str], Any]:
    if is_number(kind):
        return int if kind in WHOLE else _number
    return {"true": True, "false": False}.get if kind == "BOOLEAN" else str


def _number(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
