"""The ledger's schema, in numbered steps that every ledger goes through once; imports sqlalchemy.

A step is text that SQLite and PostgreSQL read alike, and is never edited once released: tables drawn from
today's definitions would change under the ledgers that took the step before. A test holds what all steps add
up to against the definitions.
"""

import sqlalchemy as sa

from storage.database import Database, schema_version
from storage.errors import Refused
from storage.migration_steps import STEPS
from storage.processes import timestamp


def migrate(ledger: Database) -> None:
    """Bring a ledger to the newest step, in one transaction; of two processes at once, one waits.

    Raises
    ------
    Refused
        A newer program wrote the ledger.
    """
    with ledger.reading() as connection:
        taken = _taken(connection)
    if taken < len(STEPS):
        with ledger.writing("schema") as connection:
            taken = _taken(connection)
            _take(connection, taken)
    if taken > len(STEPS):
        raise Refused(
            f"the ledger is at step {taken} of its schema, this program knows {len(STEPS)}; "
            "install the version of ridgeline that wrote it, or a newer one"
        )


def _taken(connection: sa.Connection) -> int:
    """Return the last step taken: 0 for an empty database, 1 for a ledger from before steps were counted."""
    tables = sa.inspect(connection)
    if tables.has_table(schema_version.name):
        return connection.scalar(sa.select(sa.func.max(schema_version.c.step))) or 0
    return int(tables.has_table("symbols"))


def _take(connection: sa.Connection, taken: int) -> None:
    connection.exec_driver_sql(
        "CREATE TABLE IF NOT EXISTS schema_version ("
        "step INTEGER NOT NULL PRIMARY KEY, taken_at TEXT NOT NULL)"
    )
    for step, statements in enumerate(STEPS[taken:], start=taken + 1):
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.execute(sa.insert(schema_version).values(step=step, taken_at=timestamp()))
