"""The ledger's database: its tables, and transactions on them; imports sqlalchemy.

SQLite in one file, or PostgreSQL. On SQLite every write transaction takes the write lock when it begins: one
that reads first and upgrades later fails in the middle whenever another writer came between. On PostgreSQL
writers run side by side; those that decide by what they read name the lock that they take turns on.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from threading import Lock, local
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, OperationalError, StatementError
from sqlalchemy.pool import ConnectionPoolEntry

from storage import bulk
from storage.errors import Busy, Corrupt, NoRoom, Refused, StorageError, Unreachable

BUSY_MILLISECONDS = 30_000
BUSY = f"the ledger stayed locked for {BUSY_MILLISECONDS // 1000} s; try again when its writer is done"
LOCKED = ("55P03", "40P01")  # PostgreSQL's codes of a lock not granted in time, and of a deadlock

metadata = sa.MetaData()

schema_version = sa.Table(
    "schema_version",
    metadata,
    sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("taken_at", sa.Text, nullable=False),
)

symbols = sa.Table(
    "symbols",
    metadata,
    sa.Column("symbol_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("symbol", sa.Text, nullable=False, unique=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("recompute_from", sa.Date),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("job_type", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("session", sa.Date),
    sa.Column("triggered_by", sa.Text, nullable=False),
    sa.Column("started_at", sa.Text, nullable=False),
    sa.Column("completed_at", sa.Text),
    sa.Column("items_total", sa.Integer),
    sa.Column("items_failed", sa.Integer),
    sa.Column("summary", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("process_started", sa.Text, nullable=False),
    sa.Column("heartbeat_at", sa.Text, nullable=False),
    sa.Column("scope", sa.Text),
    sa.Column("cancelled_by", sa.Text),
    sa.CheckConstraint("status IN ('running', 'completed', 'partial', 'failed')", name="run_status"),
)
sa.Index(
    "one_running_run_per_job_type",
    runs.c.job_type,
    unique=True,
    sqlite_where=runs.c.status == "running",
    postgresql_where=runs.c.status == "running",
)
sa.Index("runs_by_job_type", runs.c.job_type, runs.c.started_at)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("layer", sa.Text, primary_key=True),
    sa.Column("token", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("process_started", sa.Text, nullable=False),
    sa.Column("acquired_at", sa.Text, nullable=False),
    sa.Column("heartbeat_at", sa.Text, nullable=False),
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("layer", sa.Text, nullable=False),
    sa.Column("session", sa.Date),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id")),
    sa.Column("versions", sa.JSON, nullable=False),
)
sa.Index("releases_by_layer", releases.c.layer, releases.c.number)


class Database:
    """A connection pool to the ledger's database; thread-safe."""

    def __init__(self, url: sa.URL) -> None:
        self._writer, self._mine = Lock(), local()
        if url.get_backend_name() == "sqlite":
            self.engine = self._snapshots = sa.create_engine(url)
            sa.event.listen(self.engine, "connect", _configure_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        else:
            self.engine = sa.create_engine(url, pool_pre_ping=True)
            self._snapshots = self.engine.execution_options(isolation_level="REPEATABLE READ")
            sa.event.listen(self.engine, "connect", _configure_postgresql)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a transaction that sees one state of the ledger and waits for nobody.

        Within ``writing`` it sees what that has written.
        """
        if (connection := self._open_here()) is not None:
            yield connection
            return
        with _translated(), self._snapshots.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, lock: str | None = None) -> Iterator[sa.Connection]:
        """Open a transaction that commits at the end and rolls back on an error.

        Within another one of the same thread it is a part of that: all is committed, or nothing.

        Parameters
        ----------
        lock : str, optional
            Name under which such transactions take turns: for those that read, and write what follows from
            it. SQLite has one lock, and every writer takes it.

        Raises
        ------
        Busy
            Another transaction kept the lock for 30 seconds.
        """
        if (connection := self._open_here()) is not None:
            _take(connection, lock)
            yield connection
            return
        with self._turn(), _translated(), self.engine.connect() as plain:
            connection = plain.execution_options(immediate=True)
            with connection.begin():
                _take(connection, lock)
                self._mine.connection = connection
                try:
                    yield connection
                finally:
                    self._mine.connection = None

    def _open_here(self) -> sa.Connection | None:
        connection: sa.Connection | None = getattr(self._mine, "connection", None)
        return connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let this process's threads write one after the other on SQLite.

        It has them sleep and look again when they wait for its lock; here they go on as soon as they can.
        """
        if self.engine.dialect.name != "sqlite":
            yield
            return
        if not self._writer.acquire(timeout=BUSY_MILLISECONDS / 1000):
            raise Busy(BUSY)
        try:
            yield
        finally:
            self._writer.release()

    def prepared(self, query: sa.Select[Any]) -> Callable[..., Any]:
        """Return a function of the query's parameters that reads one value, None for no row.

        It is the driver's work alone: a transaction through SQLAlchemy takes ten times as long, and a single
        statement needs none. It sees what is committed.
        """
        compiled = query.compile(self.engine)
        statement, places = str(compiled), compiled.positiontup

        def value(**parameters: object) -> Any:
            given = compiled.construct_params(parameters)
            bound = given if places is None else tuple(given[name] for name in places)
            with _translated(), closing(self.engine.raw_connection()) as connection:
                cursor = connection.cursor()
                try:
                    row = cursor.execute(statement, bound).fetchone()
                except self.engine.dialect.loaded_dbapi.Error as error:
                    base = self.engine.dialect.loaded_dbapi.Error
                    raise sa.exc.DBAPIError.instance(statement, bound, error, base) from error
            return row[0] if row else None

        return value

    def frame(self, query: sa.Select[Any], *, strict: bool = True) -> pl.DataFrame:
        """Return the rows of a query on plain columns as a frame; money and quantities as doubles.

        A value that is none of its column's type is an error, or null when not ``strict``.
        """
        with self.reading() as connection:
            return bulk.frame(connection, query, strict=strict)

    def close(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (IntegrityError, DataError) as error:
        raise Refused(f"the ledger refused the row: {error.orig}") from error
    except OperationalError as error:
        translation = _translation(error)
        if translation is None:
            raise
        raise translation from error
    except DatabaseError as error:
        if type(error) is not DatabaseError:  # a fault of the statement, not of the file
            raise
        raise Corrupt(f"the ledger does not open: {error.orig}; restore it from a backup") from error
    except StatementError as error:
        if isinstance(error.orig, StorageError):  # a value that its column's type refused
            raise error.orig from None
        raise


def _take(connection: sa.Connection, lock: str | None) -> None:
    if lock is not None and connection.dialect.name != "sqlite":
        key = sa.func.hashtextextended(f"ridgeline {lock}", 0)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def _translation(error: OperationalError) -> StorageError | None:
    cause, state = error.orig, getattr(error.orig, "sqlstate", None)
    if state in LOCKED or (isinstance(cause, sqlite3.Error) and "locked" in str(cause)):
        return Busy(BUSY)
    if isinstance(cause, sqlite3.Error):
        full = cause.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
        return (
            NoRoom(f"the ledger cannot be written: {cause}; make room on its disk and run again")
            if full
            else None
        )
    return Unreachable(f"the ledger's database does not serve: {cause}; see that it runs, and try again")


def _configure_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver would begin transactions of its own, and too late
    for pragma in (
        f"busy_timeout={BUSY_MILLISECONDS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _configure_postgresql(connection: Any, _: ConnectionPoolEntry) -> None:
    connection.execute(f"SET lock_timeout = {BUSY_MILLISECONDS}")
    connection.commit()
