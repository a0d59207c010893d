"""analytics.duckdb: what an analyst sees is what the release holds."""

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from stores import by_key, days, metrics, prices, rows

from storage import catalog
from storage.catalog import SQL_TYPES
from storage.errors import InvalidQuery, NotWritten
from storage.portfolios import Portfolio
from storage.positions import Lot
from storage.schemas import TABLES
from storage.store import open_store

SESSIONS = days(date(2016, 5, 16), 10, step=15)  # crosses two quarters
DUCKDB_1 = Path(os.environ.get("RIDGELINE_DUCKDB1", Path(__file__).parents[1] / ".venv" / "duckdb1"))


@pytest.fixture
def store(empty_store, tmp_path):
    with open_store(shutil.copytree(empty_store, tmp_path / "store")) as opened:
        yield opened


def factors(session, beta):
    return rows(
        "symbol_factors",
        symbol=["A", "A", "B"],
        session=[session] * 3,
        factor=["IR Beta", "Value", "Value"],
        beta=[beta] * 3,
    )


@pytest.fixture
def filled(store):
    store.ledger.symbols.register(["A", "B"], "files")
    run = store.ledger.runs.start("symbol_batch", session=SESSIONS[-1])
    with store.writing("symbol", owner="test") as writer:
        writer.append("prices", prices(["A", "B"], SESSIONS).with_columns(close=pl.int_range(20) * 1.5))
        for at, session in enumerate(SESSIONS):
            writer.append("symbol_factors", factors(session, float(at)))
        writer.append("symbol_metrics", metrics(["A", "B"], SESSIONS[0], 3.0))
        writer.append("symbol_metrics", metrics(["A"], SESSIONS[3], 4.0))
        writer.publish(session=SESSIONS[-1], run_id=run.run_id)
    return store


def test_views_equal_the_release(filled):
    for name in TABLES:
        view = filled.sql(f"FROM {name}")
        assert view.schema == TABLES[name].schema
        assert_frame_equal(by_key(name, view), by_key(name, filled.read(name)))


def test_empty_tables_have_their_types(store):
    for name, table in TABLES.items():
        described = store.sql(f"DESCRIBE {name}")
        assert described["column_type"].to_list() == [SQL_TYPES[dtype] for dtype in table.dtypes.values()]
        assert store.sql(f"FROM {name}").is_empty()


def test_tables_and_columns_are_explained(filled):
    views = dict(filled.sql("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal").rows())
    assert views == {name: table.comment for name, table in TABLES.items()}
    explained = "FROM duckdb_columns() WHERE comment IS NOT NULL"
    columns = filled.sql(f"SELECT table_name, column_name, comment {explained}")
    assert set(columns.rows()) == {(t.name, c.name, c.comment) for t in TABLES.values() for c in t.columns}


def test_macros(filled):
    found = filled.sql("from factors_asof(DATE '2016-06-30')")
    assert found.columns == list(TABLES["symbol_factors"].schema)
    expected = factors(date(2016, 6, 30), 3.0).sort("symbol", "factor")
    assert_frame_equal(found.select(expected.columns).sort("symbol", "factor"), expected)
    assert filled.sql("from factors_asof(DATE '2016-05-15')").is_empty()
    latest = filled.sql("SELECT symbol, session, price FROM metrics_asof(DATE '2016-12-31') ORDER BY symbol")
    assert latest.rows() == [("A", SESSIONS[3], 4.0), ("B", SESSIONS[0], 3.0)]
    history = filled.sql("from prices_of('B')")
    assert history["session"].to_list() == SESSIONS
    assert set(history["symbol"]) == {"B"}


def test_the_release_and_the_ledger_are_there(filled):
    release = filled.release()
    row = filled.sql("FROM release").row(0, named=True)
    assert (row["number"], row["layer"], row["session"]) == (1, "symbol", SESSIONS[-1])
    assert row["run_id"] == release.run_id
    assert filled.sql("SELECT symbol FROM symbols ORDER BY symbol_id")["symbol"].to_list() == ["A", "B"]
    assert filled.sql("SELECT status FROM runs")["status"].to_list() == ["running"]
    filled.ledger.runs.finish(release.run_id, "completed")
    filled.write_catalog()
    assert filled.sql("SELECT status FROM runs")["status"].to_list() == ["completed"]


def test_a_reader_with_the_old_file_open_neither_blocks_nor_is_disturbed(filled):
    with duckdb.connect(filled.catalog_path, read_only=True) as old:
        assert old.execute("SELECT count(*) FROM prices").fetchone() == (20,)
        with filled.writing("symbol", owner="test") as writer:
            writer.append("prices", prices(["C"], SESSIONS))
            writer.publish()
        assert filled.sql("SELECT count(*) AS n FROM prices")["n"].to_list() == [30]
        assert old.execute("SELECT count(*) FROM prices").fetchone() == (20,)


def test_the_file_is_its_owners_alone(filled):
    assert filled.catalog_path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in filled.path.glob(".analytics/*")] == []


def test_queries_cannot_write_and_errors_are_duckdbs(filled):
    with pytest.raises(InvalidQuery, match="nope does not exist"):
        filled.sql("FROM nope")
    with pytest.raises(InvalidQuery, match="syntax error"):
        filled.sql("SELEC 1")
    with pytest.raises(InvalidQuery, match="only select"):
        filled.sql("CREATE TABLE mine AS SELECT 1")
    target = filled.path / "mine.csv"
    for query in (f"COPY prices TO '{target}'", f"WITH c AS (COPY prices TO '{target}') SELECT 1"):
        for explained in ("", "explain ", "EXPLAIN ANALYZE "):
            with pytest.raises(InvalidQuery, match="only select"):
                filled.sql(explained + query)
    assert not target.exists()
    assert filled.sql("EXPLAIN ANALYZE FROM prices").height == 1
    assert filled.sql("  ").is_empty()


def test_a_missing_catalog_is_made_by_the_next_query(filled):
    filled.catalog_path.unlink()
    assert filled.sql("FROM prices").height == 20


def test_a_stale_catalog_is_made_anew_by_the_next_writer(filled):
    with filled.writing("symbol", owner="test") as writer:
        stale = filled.catalog_path.read_bytes()
        writer.delete("prices", symbols=["A"])
        writer.publish()
    filled.catalog_path.write_bytes(stale)
    with filled.writing("symbol", owner="test"):
        assert filled.sql("FROM prices").height == 10
    filled.catalog_path.write_bytes(b"torn")
    assert filled.sql("FROM prices").height == 10


def test_a_moved_store_gets_a_new_catalog(filled, tmp_path):
    filled.close()
    shutil.move(filled.path, tmp_path / "moved")
    with open_store(tmp_path / "moved") as moved:
        with moved.writing("symbol", owner="test"):
            pass
        assert moved.sql("FROM prices").height == 20


def test_a_catalog_that_duckdb_cannot_write_is_said_to_be_one(tmp_path):
    with pytest.raises(NotWritten, match="cannot be written"):
        catalog.write(tmp_path / "no" / "folder.duckdb", [], {}, before=tmp_path / "none.duckdb")


def test_what_duckdb_cannot_show_is_published_all_the_same(filled, monkeypatch):
    before = filled.release().number
    with filled.writing("symbol", owner="test") as writer, monkeypatch.context() as patched:
        patched.setattr(catalog, "MACROS", ("no macro at all",))
        writer.delete("prices", symbols=["A"])
        assert writer.publish().number == before + 1
        with pytest.raises(NotWritten):
            filled.write_catalog()
    assert filled.sql("FROM prices").height == 10


def test_an_older_catalog_answers_where_none_can_be_written(filled, tmp_path):
    stale = filled.catalog_path.read_bytes()
    with filled.writing("symbol", owner="test") as writer:
        writer.delete("prices", symbols=["A"])
        writer.publish()
    drafts = filled.path / ".analytics"
    shutil.rmtree(drafts)
    drafts.write_text("in the way: root may write to any folder")
    filled.catalog_path.write_bytes(stale)
    assert filled.sql("FROM prices").height == 20
    assert filled.sql("SELECT max(number) AS n FROM release").item() == filled.release().number - 1
    for broken in (b"torn", None):  # no catalog to fall back on
        filled.catalog_path.unlink()
        if broken:
            filled.catalog_path.write_bytes(broken)
        with pytest.raises(NotWritten, match=r"\.analytics"):
            filled.sql("FROM prices")
    filled.catalog_path.write_bytes(stale)
    filled.close()
    shutil.move(filled.path, tmp_path / "moved")
    with open_store(tmp_path / "moved") as moved, pytest.raises(NotWritten, match=r"\.analytics"):
        moved.sql("FROM prices")  # the catalog shows files of another folder


@pytest.mark.skipif(not DUCKDB_1.exists(), reason=f"no DuckDB 1.x in {DUCKDB_1} (pip install --target it)")
def test_readable_by_duckdb_1(filled):
    script = """
import duckdb, json, sys
c = duckdb.connect(sys.argv[1], read_only=True)
queries = ["SELECT count(*) FROM prices",
           "SELECT sum(beta) FROM factors_asof(DATE '2016-06-30')",
           "SELECT count(*) FROM quarantine",
           "SELECT number FROM release",
           "SELECT count(*) FROM prices_of('A')",
           "SELECT count(*) FROM metrics_asof(DATE '2016-12-31')",
           "SELECT count(*) FROM duckdb_columns() WHERE comment IS NOT NULL"]
print(json.dumps([duckdb.__version__] + [c.execute(query).fetchone()[0] for query in queries]))
"""
    found = subprocess.run(
        [sys.executable, "-c", script, filled.catalog_path],
        env={**os.environ, "PYTHONPATH": str(DUCKDB_1)},
        capture_output=True,
        check=True,
        text=True,
    )
    version, *answers = json.loads(found.stdout)
    assert version.startswith("1.")
    assert answers == [20, 9.0, 0, 1, 10, 2, sum(len(table.columns) for table in TABLES.values())]


def test_positions_are_copied_anew_only_when_something_in_a_portfolio_has_changed(store):
    def shown():
        return store.sql("select symbol, quantity from positions order by number").rows()

    lot = Lot("ACME", Decimal(10), Decimal(5), date(2024, 1, 2), "PUBLIC")
    portfolio_id = store.ledger.portfolios.create("ann", Portfolio("P", "P"), [lot]).portfolio_id
    store.write_catalog()
    assert shown() == [("ACME", 10.0)]
    shown_then = catalog.shown_portfolios(store.catalog_path)
    assert "positions" not in store.ledger.copies(shown_then)
    store.write_catalog()
    assert shown() == [("ACME", 10.0)]
    position = store.ledger.positions.of(portfolio_id)[0]
    store.ledger.positions.update(portfolio_id, position.position_id, quantity=Decimal(20))
    assert "positions" in store.ledger.copies(shown_then)
    store.write_catalog()
    assert shown() == [("ACME", 20.0)]
    store.ledger.portfolios.delete(portfolio_id)
    store.write_catalog()
    assert shown() == []
    comment = "select comment from duckdb_tables() where table_name = 'positions'"
    assert store.sql(comment).item().startswith("Lots")
