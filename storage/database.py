"""The ledger's database: its tables, and transactions on them; imports sqlalchemy.

SQLite in one file beside the lake. Every write transaction takes the write lock when it begins: one that
reads first and upgrades later fails in the middle whenever another writer came between.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from sqlite3 import Connection as SqliteConnection

import polars as pl
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from storage.errors import Busy, Refused

BUSY_MILLISECONDS = 30_000
FRAME_TYPES = {sa.Text: pl.String, sa.Integer: pl.Int64, sa.Date: pl.Date, sa.Boolean: pl.Boolean}

metadata = sa.MetaData()

symbols = sa.Table(
    "symbols",
    metadata,
    sa.Column("symbol_id", sa.Integer, primary_key=True),
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
        self.engine = sa.create_engine(url)
        if self.engine.dialect.name == "sqlite":
            sa.event.listen(self.engine, "connect", _configure)
            sa.event.listen(self.engine, "begin", _begin)
        with self.writing() as connection:
            metadata.create_all(connection)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a transaction that sees one state of the ledger and waits for nobody."""
        with _translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Open a transaction that holds the write lock, commits at the end and rolls back on an error.

        Raises
        ------
        Busy
            Another transaction kept the lock for 30 seconds.
        """
        with _translated(), self.engine.connect() as plain:
            connection = plain.execution_options(immediate=True)
            with connection.begin():
                yield connection

    def frame(self, table: sa.Table) -> pl.DataFrame:
        """Return a whole table as a frame."""
        schema = {column.name: FRAME_TYPES[type(column.type)] for column in table.c}
        with self.reading() as connection:
            rows = connection.execute(sa.select(table)).all()
        return pl.DataFrame([tuple(row) for row in rows], schema=schema, orient="row")

    def close(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise Refused(f"the ledger refused the row: {error.orig}") from error
    except OperationalError as error:
        if "locked" not in str(error.orig):
            raise
        raise Busy(
            f"the ledger stayed locked for {BUSY_MILLISECONDS // 1000} s; try again when its writer is done"
        ) from error


def _configure(connection: SqliteConnection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver would begin transactions of its own, and too late
    for pragma in (
        f"busy_timeout={BUSY_MILLISECONDS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
