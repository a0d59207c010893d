"""Other people's queries: what is answered, what is refused, and that nothing of the store changes."""

import asyncio
import hashlib
import io
import json
import time
from pathlib import Path

import polars as pl
import pytest
from sandboxes import asked, filled

from service.sql_queries import AT_ONCE, EXAMPLES, MAX_LENGTH, SECONDS, SqlQueries
from storage import confinement, sandbox
from storage.errors import Busy, InvalidQuery

pytestmark = pytest.mark.skipif(not confinement.is_available(), reason="no Landlock in this kernel")

LONG = "SELECT levenshtein(repeat('a', 100000), repeat('b', 100000))"  # DuckDB's own time limit is not heard


ANSWERED = (
    ("SELECT count(*) FROM prices", [[20]]),
    ("FROM prices_of('B') SELECT session, close LIMIT 1", [["2016-05-16", 15.0]]),
    ("SELECT symbol FROM symbols ORDER BY ALL", [["A"], ["B"]]),
    ("SELECT symbol FROM 'prices' LIMIT 1", [["A"]]),
    ("WITH c AS (SELECT 1 AS a) SELECT a FROM c UNION ALL SELECT 2", [[1], [2]]),
    ("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 2) FROM r", [[1], [2]]),
    ("VALUES (true, NULL, 1.25, 'nan'::DOUBLE, 'inf'::FLOAT)", [[True, None, 1.25, None, None]]),
    (
        "SELECT DATE '2024-02-29', TIMESTAMPTZ '2024-07-01 12:00:00+02'",
        [["2024-02-29", "2024-07-01 10:00:00+00"]],
    ),
    ("SELECT [1, 2], {'a': 'x'}", [["[1, 2]", "{'a': x}"]]),
    ("SELECT 170141183460469231731687303715884105727, 'it''s \"ö\"'", [[2**127 - 1, 'it\'s "ö"']]),
    ("SELECT 1 AS a, 2 AS a", [[1, 2]]),
    ("SELECT 'DELETE_QUERY_NODE' AS type", [["DELETE_QUERY_NODE"]]),
    ("SELECT column_name FROM (DESCRIBE prices) LIMIT 2", [["symbol"], ["session"]]),
    *((example, []) for _, example in EXAMPLES),  # of a store that has prices alone
)
REFUSED = (
    ("COPY prices TO '/tmp/out.csv'", "COPY is not allowed"),
    ("WITH c AS (COPY (SELECT 1) TO '/tmp/out.csv') SELECT 1", "COPY is not allowed"),
    ("WITH c AS (COPY (SELECT 1) TO '{file}') SELECT 1", "COPY is not allowed"),
    ("WITH d AS (DELETE FROM symbols RETURNING *) SELECT * FROM d", "DELETE is not allowed"),
    ("WITH i AS (INSERT INTO symbols FROM symbols RETURNING *) FROM i", "INSERT is not allowed"),
    ("WITH u AS (UPDATE symbols SET name = '' RETURNING *) FROM u", "UPDATE is not allowed"),
    ("SELECT (WITH d AS (DELETE FROM symbols RETURNING *) SELECT 1)", "DELETE is not allowed"),
    ("FROM query('WITH c AS (COPY (SELECT 1) TO ''{file}'') SELECT 1')", "must be at the top level"),
    ("FROM query('COPY (SELECT 1) TO ''{file}''')", "single SELECT"),
    (
        "FROM json_execute_serialized_sql(json_serialize_sql("
        "'WITH c AS (COPY (SELECT 1) TO ''{file}'') SELECT 1'))",
        "Permission denied",
    ),
    ("CREATE TABLE mine AS SELECT 1", "CREATE is not allowed"),
    ("DROP TABLE symbols", "DROP is not allowed"),
    ("ATTACH '/etc/passwd' AS other", "ATTACH is not allowed"),
    ("INSTALL httpfs", "LOAD is not allowed"),
    ("LOAD httpfs", "LOAD is not allowed"),
    ("SET lock_configuration = false", "SET is not allowed"),
    ("PRAGMA database_list", "PRAGMA is not allowed"),
    ("CALL force_checkpoint('catalog')", "CALL is not allowed"),
    ("EXPLAIN ANALYZE SELECT 1", "EXPLAIN is not allowed"),
    ("SELECT 1; SELECT 2", "exactly one SELECT"),
    ("", "exactly one SELECT"),
    ("-- nothing", "exactly one SELECT"),
    ("SELEC 1", "syntax error"),
    ("FROM nope", "nope does not exist"),
    ("SELECT $1", "parameters"),
    ("FROM read_csv('/etc/passwd')", "disabled by configuration"),
    ("FROM '/etc/passwd'", "does not exist"),
    ("FROM read_text('/etc/passwd')", "disabled by configuration"),
    ("FROM read_text('{lake}/../../../../../../../../etc/passwd')", "disabled by configuration"),
    ("FROM read_blob('/proc/self/environ')", "disabled by configuration"),
    ("FROM read_blob('{lake}/../ledger.sqlite')", "disabled by configuration"),
    ("FROM glob('/etc/*')", "disabled by configuration"),
    ("FROM sniff_csv('/etc/passwd')", "disabled by configuration"),
    ("FROM parquet_metadata('/etc/passwd')", "disabled by configuration"),
    ("FROM read_parquet('http://127.0.0.1:9/a.parquet')", "disabled by configuration"),
    ("FROM read_parquet('s3://bucket/a.parquet')", "disabled by configuration"),
    ("FROM enable_logging(storage = 'file', storage_path = '{lake}/log')", "has been locked"),
    ("FROM sys", "does not exist"),  # a variable of the program that runs the query
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with filled(tmp_path_factory.mktemp("sandbox") / "store") as opened:
        yield opened


@pytest.fixture(scope="module")
def one_file(store):
    """A Parquet file that the release names."""
    return next(Path(store.lake_path, "prices").glob("*.parquet"))


@pytest.fixture(autouse=True, scope="module")
def untouched(store):
    """Whatever was asked, no file of the store is another one afterwards."""
    before = digest(store)
    yield
    assert digest(store) == before


def digest(store):
    files = [path for path in store.path.rglob("*") if path.is_file() and "ledger" not in path.name]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def ask(store, sql, form="json"):
    return asyncio.run(SqlQueries(store).run(sql, form)).content


@pytest.fixture(scope="module")
def said(store, one_file):
    """What came of every query."""
    queries = [sql for sql, _ in (*ANSWERED, *REFUSED)]
    filled_in = [sql.replace("{file}", str(one_file)).replace("{lake}", store.lake_path) for sql in queries]
    return dict(zip(queries, asked(store, filled_in), strict=True))


@pytest.mark.parametrize(("sql", "found"), ANSWERED)
def test_what_is_answered(said, sql, found):
    assert said[sql] == found


@pytest.mark.parametrize(("sql", "message"), REFUSED)
def test_what_is_refused(said, sql, message):
    assert message in said[sql]
    assert not Path("/tmp/out.csv").exists()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("WITH c AS (COPY (SELECT 1) TO '{file}') SELECT 1", "COPY is not allowed"),
        ("SELECT list(range) FROM range(1000000000)", "more memory than the 512MB"),
        ("SELECT string_agg(repeat('x', 1000000), '') FROM range(10000)", "more memory than the 512MB"),
        ("SELECT repeat('x', 10000) FROM range(9000)", "limit: select less"),
        ("SELECT '" + "x" * MAX_LENGTH + "'", "20,000 is the limit"),
    ],
)
def test_what_is_refused_in_a_process_of_its_own(store, one_file, sql, message):
    with pytest.raises(InvalidQuery, match=message):
        ask(store, sql.replace("{file}", str(one_file)))


def test_a_query_is_stopped_in_time(store):
    start = time.monotonic()
    with pytest.raises(InvalidQuery, match="stopped after 5 s"):
        ask(store, LONG)
    assert time.monotonic() - start < SECONDS + 2


def test_rows_beyond_the_limit_are_cut_off_and_said_to_be(store):
    many = f"SELECT range AS n, range % 2 = 0 AS even FROM range({sandbox.MAX_ROWS + 1})"
    whole = f"SELECT range AS n, range % 2 = 0 AS even FROM range({sandbox.MAX_ROWS})"
    for sql, truncated in ((many, True), (whole, False)):
        document = json.loads(ask(store, sql))
        assert (len(document["rows"]), document["truncated"]) == (sandbox.MAX_ROWS, truncated)
        for form, read in (("csv", pl.read_csv), ("parquet", pl.read_parquet)):
            answer = asyncio.run(SqlQueries(store).run(sql, form))
            frame = read(io.BytesIO(answer.content))
            assert frame["n"].to_list() == list(range(sandbox.MAX_ROWS))
            assert frame["even"].dtype == pl.Boolean
            assert answer.is_truncated is truncated


def test_formats_agree(store):
    sql = "SELECT symbol, session, close, volume FROM prices ORDER BY ALL"
    exact = pl.read_parquet(io.BytesIO(ask(store, sql, "parquet")))
    assert exact.schema == {
        "symbol": pl.String,
        "session": pl.Date,
        "close": pl.Float64,
        "volume": pl.Float64,
    }
    texts = pl.read_csv(io.BytesIO(ask(store, sql, "csv")), schema=exact.schema, try_parse_dates=True)
    assert texts.equals(exact)
    document = json.loads(ask(store, sql))
    assert [each["name"] for each in document["columns"]] == exact.columns
    assert document["columns"][1]["type"] == "DATE"
    assert document["rows"] == [list(row) for row in exact.with_columns(pl.col.session.cast(str)).rows()]


def test_queries_wait_for_no_other(store):
    queries = SqlQueries(store)

    async def crowd():
        return await asyncio.gather(
            *(queries.run("SELECT 1", "json") for _ in range(AT_ONCE + 1)), return_exceptions=True
        )

    *served, refused = asyncio.run(crowd())
    assert all(json.loads(each.content)["rows"] == [[1]] for each in served)
    assert isinstance(refused, Busy)
    assert asyncio.run(queries.run("SELECT 1", "json")).is_truncated is False  # their places are free again
