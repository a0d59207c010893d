"""The ledger's schema: every ledger ends at the same one, whatever it was made by, and loses no row."""

import multiprocessing
from datetime import date

import pytest
import sqlalchemy as sa

from storage import migrations
from storage.database import metadata
from storage.errors import Refused
from storage.ledger import DRIVERS, ledger_at
from storage.migration_steps import STEPS

# What a ledger was before its schema had steps, in the words of the database itself.
FIRST = """
CREATE TABLE symbols (symbol_id INTEGER NOT NULL, symbol TEXT NOT NULL, source TEXT NOT NULL,
  is_active BOOLEAN NOT NULL, created_at TEXT NOT NULL, recompute_from DATE,
  PRIMARY KEY (symbol_id), UNIQUE (symbol));
CREATE TABLE runs (run_id TEXT NOT NULL, job_type TEXT NOT NULL, status TEXT NOT NULL, session DATE,
  triggered_by TEXT NOT NULL, started_at TEXT NOT NULL, completed_at TEXT, items_total INTEGER,
  items_failed INTEGER, summary TEXT, error TEXT, host TEXT NOT NULL, pid INTEGER NOT NULL,
  process_started TEXT NOT NULL, heartbeat_at TEXT NOT NULL, PRIMARY KEY (run_id),
  CONSTRAINT run_status CHECK (status IN ('running', 'completed', 'partial', 'failed')));
CREATE UNIQUE INDEX one_running_run_per_job_type ON runs (job_type) WHERE status = 'running';
CREATE INDEX runs_by_job_type ON runs (job_type, started_at);
CREATE TABLE leases (layer TEXT NOT NULL, token TEXT NOT NULL, owner TEXT NOT NULL, host TEXT NOT NULL,
  pid INTEGER NOT NULL, process_started TEXT NOT NULL, acquired_at TEXT NOT NULL, heartbeat_at TEXT NOT NULL,
  PRIMARY KEY (layer));
CREATE TABLE releases (number INTEGER NOT NULL, layer TEXT NOT NULL, session DATE, created_at TEXT NOT NULL,
  run_id TEXT, versions JSON NOT NULL, PRIMARY KEY (number), FOREIGN KEY(run_id) REFERENCES runs (run_id));
CREATE INDEX releases_by_layer ON releases (layer, number);
INSERT INTO symbols VALUES (0, 'SPY', 'files', true, '2017-11-06T21:00:00Z', NULL),
  (1, 'AAPL', 'files', false, '2017-11-06T21:00:00Z', '2017-11-03');
INSERT INTO runs VALUES ('r1', 'symbol_batch', 'partial', '2017-11-06', 'cron', '2017-11-06T21:00:00Z',
  '2017-11-06T21:09:00Z', 10, 2, '{"phases": ["prices"]}', '2 failed', 'here', 7, 'boot/17',
  '2017-11-06T21:08:59Z');
INSERT INTO leases VALUES ('symbol', 't', 'nightly', 'here', 7, 'boot/17', '2017-11-06', '2017-11-06');
INSERT INTO releases VALUES (0, 'symbol', NULL, '2017-11-06T20:00:00Z', NULL, '{"prices": 0}'),
  (1, 'symbol', '2017-11-06', '2017-11-06T21:09:00Z', 'r1', '{"prices": 4}');
"""
TABLES = ("symbols", "runs", "leases", "releases")


@pytest.fixture
def engine(ledger_url):
    """A plain connection pool to an empty database."""
    url = sa.make_url(ledger_url)
    opened = sa.create_engine(url.set(drivername=DRIVERS[url.get_backend_name()]))
    yield opened
    opened.dispose()


@pytest.fixture
def first(engine):
    with engine.begin() as connection:
        for statement in FIRST.split(";\n"):
            connection.exec_driver_sql(statement)
    return engine


def rows(engine):
    with engine.connect() as connection:
        return {name: connection.exec_driver_sql(f"SELECT * FROM {name}").all() for name in TABLES}


def steps(engine):
    with engine.connect() as connection:
        return list(connection.scalars(sa.text("SELECT step FROM schema_version ORDER BY step")))


def plain(condition):
    """The condition of a partial index as the database repeats it, on one line."""
    return " ".join(str(condition).split())


def schema(engine):
    """All that the database says of its tables."""
    inspector = sa.inspect(engine)
    return {
        table: {
            "columns": [
                (c["name"], str(c["type"]), c["nullable"], c["default"]) for c in inspector.get_columns(table)
            ],
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "foreign": sorted(
                (*key["constrained_columns"], key["referred_table"], *key["referred_columns"])
                for key in inspector.get_foreign_keys(table)
            ),
            "unique": sorted(key["column_names"] for key in inspector.get_unique_constraints(table)),
            "indexes": sorted(
                (
                    i["name"],
                    i["column_names"],
                    bool(i["unique"]),
                    {name: plain(value) for name, value in i.get("dialect_options", {}).items()},
                )
                for i in inspector.get_indexes(table)
            ),
            "checks": sorted(
                (check["name"], check["sqltext"]) for check in inspector.get_check_constraints(table)
            ),
        }
        for table in inspector.get_table_names()
    }


def test_a_first_ledger_is_migrated_and_loses_nothing(first, ledger_url):
    before = rows(first)
    assert all(before.values())
    with_steps = ledger_at(ledger_url)
    assert with_steps.symbols.sources() == {"SPY": "files", "AAPL": "files"}
    assert with_steps.symbols.recompute_marks() == {"AAPL": date(2017, 11, 3)}
    assert with_steps.runs.named("r1").summary == {"phases": ["prices"]}
    assert with_steps.portfolios.everyones() == []
    with_steps.close()
    after = {name: [row[: len(before[name][0])] for row in found] for name, found in rows(first).items()}
    assert after == before
    assert steps(first) == [*range(2, len(STEPS) + 1)]


def test_steps_add_up_to_the_definitions(engine, first, ledger_url):
    ledger_at(ledger_url).close()
    migrated = schema(engine)
    with engine.begin() as connection:
        metadata.drop_all(connection)
    ledger_at(ledger_url).close()
    assert schema(engine) == migrated
    assert steps(engine) == [*range(1, len(STEPS) + 1)]
    with engine.begin() as connection:
        metadata.drop_all(connection)
        metadata.create_all(connection)
    assert schema(engine) == migrated
    assert set(migrated) == set(metadata.tables)


def test_opening_again_changes_nothing(engine, ledger_url):
    for _ in range(2):
        ledger_at(ledger_url).close()
    assert steps(engine) == [*range(1, len(STEPS) + 1)]


def test_a_newer_ledger_is_refused(engine, ledger_url):
    ledger_at(ledger_url).close()
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO schema_version VALUES (99, 'later')"))
    with pytest.raises(Refused, match=f"at step 99 of its schema, this program knows {len(STEPS)}"):
        ledger_at(ledger_url)


def test_a_step_that_fails_leaves_no_trace(first, ledger_url, monkeypatch):
    before = schema(first)
    monkeypatch.setattr(migrations, "STEPS", (*STEPS, ("CREATE TABLE half (id INTEGER)", "CREATE nonsense")))
    with pytest.raises(sa.exc.DBAPIError):
        ledger_at(ledger_url)
    assert schema(first) == before


def open_ledger(url):
    ledger_at(url).close()


@pytest.mark.parametrize("made", ["first", "engine"])
def test_processes_migrate_at_once(request, made, ledger_url):
    engine = request.getfixturevalue(made)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=open_ledger, args=(ledger_url,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert steps(engine)[-1] == len(STEPS)
    assert set(schema(engine)) == set(metadata.tables)
