"""The ledger's failures: what a job could not do for one item, until a later run does it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from uuid import uuid4

import sqlalchemy as sa

from storage.database import Database
from storage.ledger_tables import failures
from storage.processes import timestamp


@dataclass(frozen=True, slots=True)
class Failure:
    """A symbol or portfolio that a job failed on; ``retry_count`` counts the tries after the first."""

    failure_id: str
    run_id: str
    batch_type: str
    batch_date: date | None
    item_id: str
    error_type: str
    error_message: str
    retry_count: int
    created_at: str
    updated_at: str
    resolved_at: str | None


class Failures:
    """Queries on what jobs failed on."""

    def __init__(self, ledger: Database) -> None:
        self._ledger = ledger

    def record(
        self,
        run_id: str,
        batch_type: str,
        session: date | None,
        found: Mapping[str, tuple[str, str]],
        *,
        succeeded: Iterable[str] = (),
    ) -> None:
        """Record what a run failed on, by item: its kind and its words; resolve what it has done since.

        An item that has failed before and never succeeded since counts one more try.
        """
        now = timestamp()
        is_open = (failures.c.batch_type == batch_type) & failures.c.resolved_at.is_(None)
        with self._ledger.writing("failures") as connection:
            known = set(connection.scalars(sa.select(failures.c.item_id).where(is_open)))
            if done := known & set(succeeded):
                _update(connection, is_open, done, resolved_at=now, updated_at=now)
            for item_id, (kind, message) in found.items():
                what = {"run_id": run_id, "batch_date": session, "error_type": kind, "error_message": message}
                if item_id in known:
                    tries = failures.c.retry_count + 1
                    _update(connection, is_open, {item_id}, **what, retry_count=tries, updated_at=now)
                    continue
                row = {"failure_id": str(uuid4()), "batch_type": batch_type, "item_id": item_id, **what}
                times = {"retry_count": 0, "created_at": now, "updated_at": now}
                connection.execute(sa.insert(failures).values(**row, **times))

    def newest(
        self,
        batch_type: str | None = None,
        *,
        since: str | None = None,
        is_open: bool = False,
        run_id: str | None = None,
        limit: int = 50,
    ) -> list[Failure]:
        """Return failures, the latest first; with ``is_open`` those that no later run has mended."""
        query = sa.select(*(failures.c[name] for name in Failure.__slots__))
        for condition in (
            None if batch_type is None else failures.c.batch_type == batch_type,
            None if since is None else failures.c.updated_at >= since,
            None if run_id is None else failures.c.run_id == run_id,
            failures.c.resolved_at.is_(None) if is_open else None,
        ):
            if condition is not None:
                query = query.where(condition)
        newest = query.order_by(failures.c.updated_at.desc(), failures.c.item_id).limit(limit)
        with self._ledger.reading() as connection:
            return [Failure(*row) for row in connection.execute(newest)]


def _update(
    connection: sa.Connection, where: sa.ColumnElement[bool], items: set[str], **values: object
) -> None:
    connection.execute(sa.update(failures).where(where & failures.c.item_id.in_(items)).values(**values))
