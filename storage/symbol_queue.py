"""The ledger's symbol queue: symbols that somebody holds and the lake has never heard of."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from uuid import uuid4

import sqlalchemy as sa

from storage.database import Database
from storage.errors import NotFound
from storage.ledger_tables import symbol_queue
from storage.processes import Process, is_alive, this_process, timestamp

JobStatus: TypeAlias = Literal["pending", "processing", "completed", "failed"]
CAPACITY = 50
MAX_ATTEMPTS = 3
NOBODY = {"host": None, "pid": None, "process_started": None, "heartbeat_at": None}
OPEN = symbol_queue.c.status.in_(("pending", "processing"))
OLDEST_FIRST = (symbol_queue.c.created_at, symbol_queue.c.symbol)


@dataclass(frozen=True, slots=True)
class Job:
    """The newest job of a symbol; the portfolio and owner are those that asked first."""

    job_id: str
    symbol: str
    status: JobStatus
    attempts: int
    portfolio_id: str | None
    owner: str | None
    created_at: str
    started_at: str | None
    completed_at: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The open jobs of the symbols asked for, and the symbols for which there was no room."""

    jobs: tuple[Job, ...]
    deferred: tuple[str, ...]


class SymbolQueue:
    """Queries on the symbol queue of a ledger."""

    def __init__(self, ledger: Database) -> None:
        self._ledger = ledger

    def enqueue(
        self,
        names: Iterable[str],
        *,
        portfolio_id: str | None = None,
        owner: str | None = None,
        capacity: int = CAPACITY,
    ) -> Enqueued:
        """See to it that every symbol has an open job, as far as there is room for them in the queue.

        A symbol that has one keeps it; the ended job of one that is asked for again makes way.
        """
        wanted = list(dict.fromkeys(names))
        who = {"portfolio_id": portfolio_id, "owner": owner}
        common = {"status": "pending", "attempts": 0, "created_at": timestamp(), **who}
        with self._ledger.writing("symbol queue") as connection:
            waiting = set(connection.scalars(sa.select(symbol_queue.c.symbol).where(OPEN)))
            fresh = [name for name in wanted if name not in waiting]
            room = max(0, capacity - len(waiting))
            added, deferred = fresh[:room], fresh[room:]
            ended = symbol_queue.c.symbol.in_(added) & ~OPEN
            connection.execute(sa.delete(symbol_queue).where(ended))
            rows = [{"job_id": str(uuid4()), "symbol": name, **common} for name in added]
            if rows:
                connection.execute(sa.insert(symbol_queue), rows)
            query = _select().where(symbol_queue.c.symbol.in_(wanted) & OPEN)
            jobs = tuple(Job(*row) for row in connection.execute(query))
        return Enqueued(jobs, tuple(deferred))

    def claim(self, n_jobs: int) -> list[Job]:
        """Take the oldest pending jobs for this process; those of dead workers are pending again first."""
        with self._ledger.writing() as connection:
            _resume(connection)
            pending = (
                sa.select(symbol_queue.c.job_id)
                .where(symbol_queue.c.status == "pending")
                .order_by(*OLDEST_FIRST)
                .limit(n_jobs)
                .with_for_update(skip_locked=True)
            )
            taken = symbol_queue.c.job_id.in_(list(connection.scalars(pending)))
            values = {"status": "processing", "started_at": timestamp(), **_me()}
            attempts = symbol_queue.c.attempts + 1
            connection.execute(sa.update(symbol_queue).where(taken).values(attempts=attempts, **values))
            return [Job(*row) for row in connection.execute(_select().where(taken))]

    def beat(self) -> None:
        """Tell other machines that the worker in this process is alive; at least once a minute."""
        with self._ledger.writing() as connection:
            values = {"heartbeat_at": timestamp()}
            connection.execute(sa.update(symbol_queue).where(_mine()).values(**values))

    def complete(self, job_id: str) -> None:
        """End a job well; ``NotFound`` when this process doesn't work on it (any more)."""
        with self._ledger.writing() as connection:
            _end(connection, _own(connection, job_id), {"status": "completed", "error": None})

    def fail(self, job_id: str, error: str, *, is_final: bool = False) -> bool:
        """End an attempt badly, and return whether the job has failed; ``NotFound`` as in ``complete``.

        It is pending again until its third attempt, unless this one is final: another would end likewise.
        """
        with self._ledger.writing() as connection:
            return _retry(connection, _own(connection, job_id), error, is_final=is_final)

    def resume(self) -> None:
        """Make the jobs of dead workers pending again; what a service does when it starts."""
        with self._ledger.writing() as connection:
            _resume(connection)

    def counts(self) -> dict[str, int]:
        """Return how many symbols there are of each status of their newest job."""
        query = sa.select(symbol_queue.c.status, sa.func.count()).group_by(symbol_queue.c.status)
        with self._ledger.reading() as connection:
            found: dict[str, int] = dict(connection.execute(query).all())
        return {status: found.get(status, 0) for status in ("pending", "processing", "completed", "failed")}

    def jobs(self, names: Iterable[str]) -> dict[str, Job]:
        """Return the newest job of each symbol that has one."""
        return {job.symbol: job for job in self._all(symbol_queue.c.symbol.in_(list(names)))}

    def pending(self, *, limit: int = 20) -> list[Job]:
        """Return the jobs that wait, the oldest first."""
        return self._all(symbol_queue.c.status == "pending")[:limit]

    def _all(self, condition: sa.ColumnElement[bool]) -> list[Job]:
        query = _select().where(condition)
        with self._ledger.reading() as connection:
            return [Job(*row) for row in connection.execute(query)]


def _select() -> sa.Select[Any]:
    columns = (symbol_queue.c[name] for name in Job.__slots__)
    return sa.select(*columns).order_by(*OLDEST_FIRST)


def _me() -> dict[str, Any]:
    me = this_process()
    return {"host": me.host, "pid": me.pid, "process_started": me.started, "heartbeat_at": timestamp()}


def _mine() -> sa.ColumnElement[bool]:
    me = this_process()
    return (
        (symbol_queue.c.status == "processing")
        & (symbol_queue.c.host == me.host)
        & (symbol_queue.c.pid == me.pid)
        & (symbol_queue.c.process_started == me.started)
    )


def _own(connection: sa.Connection, job_id: str) -> sa.Row[Any]:
    query = sa.select(symbol_queue).where(_mine() & (symbol_queue.c.job_id == job_id)).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"this process doesn't work on job {job_id}; it ended, or another took it over")
    return row


def _end(connection: sa.Connection, row: sa.Row[Any], values: dict[str, Any]) -> None:
    ended = {"completed_at": timestamp(), **NOBODY, **values}
    connection.execute(sa.update(symbol_queue).where(symbol_queue.c.job_id == row.job_id).values(**ended))


def _retry(connection: sa.Connection, row: sa.Row[Any], error: str, *, is_final: bool = False) -> bool:
    again = row.attempts < MAX_ATTEMPTS and not is_final
    if again:
        values = {"status": "pending", "error": error, "started_at": None, "completed_at": None}
    else:
        values = {"status": "failed", "error": error}
    _end(connection, row, values)
    return not again


def _resume(connection: sa.Connection) -> None:
    busy = sa.select(symbol_queue).where(symbol_queue.c.status == "processing")
    for row in connection.execute(busy.with_for_update(skip_locked=True)).all():
        if not is_alive(Process(row.host, row.pid, row.process_started), row.heartbeat_at):
            _retry(connection, row, f"process {row.pid} on {row.host} died in it")
