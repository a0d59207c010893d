"""The ledger's runs: one row for every job that was ever started, from trigger to history."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, TypeAlias
from uuid import uuid4

import sqlalchemy as sa

from storage.database import Database, runs
from storage.errors import Locked, NotFound
from storage.ledger_tables import run_phases
from storage.processes import Process, is_alive, this_process, timestamp

Status: TypeAlias = Literal["running", "completed", "partial", "failed"]


@dataclass(frozen=True, slots=True)
class Run:
    """A job's run; times are UTC ISO text, ``summary`` is what the job left behind for its history.

    ``scope`` is what it is confined to, portfolios or symbols say; None for everything.
    """

    run_id: str
    job_type: str
    status: Status
    session: date | None
    triggered_by: str
    started_at: str
    completed_at: str | None
    items_total: int | None
    items_failed: int | None
    summary: dict[str, Any] | None
    error: str | None
    host: str
    pid: int
    heartbeat_at: str
    scope: dict[str, Any] | None = None
    cancelled_by: str | None = None


class Runs:
    """Queries on the runs of a ledger."""

    def __init__(self, ledger: Database) -> None:
        self._ledger = ledger

    def start(
        self,
        job_type: str,
        *,
        session: date | None = None,
        triggered_by: str = "manual",
        scope: Mapping[str, Any] | None = None,
        run_id: str | None = None,
    ) -> Run:
        """Begin a run of this process; a run that a dead process left behind is marked failed first.

        Parameters
        ----------
        run_id : str, optional
            A random one when not given.

        Raises
        ------
        Locked
            A live process is running the same job.
        """
        me, now = this_process(), timestamp()
        row = {
            "run_id": run_id or str(uuid4()),
            "job_type": job_type,
            "status": "running",
            "session": session,
            "triggered_by": triggered_by,
            "started_at": now,
            "host": me.host,
            "pid": me.pid,
            "process_started": me.started,
            "heartbeat_at": now,
            "scope": None if scope is None else json.dumps(scope),
        }
        with self._ledger.writing("runs") as connection:
            _fail_stale(connection)
            _refuse_second(connection, job_type)
            connection.execute(sa.insert(runs), row)
            return _run(connection.execute(_select().where(runs.c.run_id == row["run_id"])).one())

    def adopt(self, run_id: str) -> Run:
        """Take over, as this process, a run that another one has started for it.

        Raises
        ------
        NotFound
            No such run is running.
        """
        me = this_process()
        who = {"host": me.host, "pid": me.pid, "process_started": me.started, "heartbeat_at": timestamp()}
        with self._ledger.writing("runs") as connection:
            _update_running(connection, run_id, **who)
            return _run(connection.execute(_select().where(runs.c.run_id == run_id)).one())

    def beat(self, run_id: str) -> None:
        """Tell other machines that the run is alive; at least once a minute."""
        with self._ledger.writing() as connection:
            connection.execute(
                sa.update(runs).where(runs.c.run_id == run_id).values(heartbeat_at=timestamp())
            )

    def cancelled_by(self, run_id: str) -> str | None:
        """Return who wants a run to end, None for nobody."""
        with self._ledger.reading() as connection:
            return connection.scalar(sa.select(runs.c.cancelled_by).where(runs.c.run_id == run_id))

    def cancel(self, run_id: str, by: str) -> None:
        """Ask a running run to end; its process does so at the next unit of work.

        Raises
        ------
        NotFound
            No such run is running.
        """
        with self._ledger.writing() as connection:
            _update_running(connection, run_id, cancelled_by=by)

    def finish(
        self,
        run_id: str,
        status: Status,
        *,
        items: tuple[int, int] | None = None,
        summary: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        """End a running run.

        Parameters
        ----------
        items : tuple of int, optional
            How many there were, and how many of them failed.

        Raises
        ------
        NotFound
            No such run is running: it was never started, has ended, or was taken for dead and marked failed.
        """
        total, failed = items or (None, None)
        values = {
            "status": status,
            "completed_at": timestamp(),
            "items_total": total,
            "items_failed": failed,
            "summary": None if summary is None else json.dumps(summary),
            "error": error,
        }
        with self._ledger.writing() as connection:
            _update_running(connection, run_id, **values)

    def fail_stale(self) -> None:
        """Mark the runs of dead processes failed; writes only when there are any."""
        with self._ledger.reading() as connection:
            if not _stale(connection):
                return
        with self._ledger.writing("runs") as connection:
            _fail_stale(connection)

    def running(self) -> list[Run]:
        """Return the runs that are running, the one that began first in front."""
        query = _select().where(runs.c.status == "running").order_by(runs.c.started_at)
        with self._ledger.reading() as connection:
            return [_run(row) for row in connection.execute(query)]

    def current(self, job_type: str) -> Run | None:
        """Return the running run of a job; ``fail_stale`` first sees to it that its process lives."""
        return next((run for run in self.history(job_type, limit=1) if run.status == "running"), None)

    def last(self, job_type: str) -> Run | None:
        """Return the run of a job that was started last."""
        return next(iter(self.history(job_type, limit=1)), None)

    def named(self, run_id: str) -> Run:
        """Return one run; ``NotFound`` when there is none of this id."""
        with self._ledger.reading() as connection:
            row = connection.execute(_select().where(runs.c.run_id == run_id)).one_or_none()
        if row is None:
            raise NotFound(f"no run {run_id}")
        return _run(row)

    def history(
        self,
        job_type: str | None = None,
        *,
        since: str | None = None,
        status: Status | None = None,
        portfolio_id: str | None = None,
        limit: int = 50,
    ) -> list[Run]:
        """Return the newest runs, of one job or of all, newest first.

        Parameters
        ----------
        portfolio_id : str, optional
            Only runs that are confined to this one portfolio.
        """
        query = _select().order_by(runs.c.started_at.desc()).limit(limit)
        if portfolio_id is not None:
            alone = f'"portfolio_ids": {json.dumps([portfolio_id])}'
            query = query.where(runs.c.scope.contains(alone, autoescape=True))
        if job_type is not None:
            query = query.where(runs.c.job_type == job_type)
        if since is not None:
            query = query.where(runs.c.started_at >= since)
        if status is not None:
            query = query.where(runs.c.status == status)
        with self._ledger.reading() as connection:
            return [_run(row) for row in connection.execute(query)]

    def tallies(self) -> dict[str, dict[Status, int]]:
        """Return how many runs of each job there are of each status."""
        columns = (runs.c.job_type, runs.c.status)
        query = sa.select(*columns, sa.func.count()).group_by(*columns).order_by(*columns)
        found: dict[str, dict[Status, int]] = {}
        with self._ledger.reading() as connection:
            for job_type, status, count in connection.execute(query):
                found.setdefault(job_type, {})[status] = count
        return found

    def spans(self, *, since: str, job_type: str | None = None) -> list[tuple[Status, str, str | None]]:
        """Return status, start and end of every run since a time, newest first."""
        columns = (runs.c.status, runs.c.started_at, runs.c.completed_at)
        query = sa.select(*columns).where(runs.c.started_at >= since).order_by(runs.c.started_at.desc())
        if job_type is not None:
            query = query.where(runs.c.job_type == job_type)
        with self._ledger.reading() as connection:
            return [tuple(row) for row in connection.execute(query)]


def _select() -> sa.Select[Any]:
    return sa.select(*(column for column in runs.c if column.name != "process_started"))


def _run(row: sa.Row[Any]) -> Run:
    values = dict(row._mapping)
    texts = {name: values[name] for name in ("summary", "scope")}
    parsed = {name: None if text is None else json.loads(text) for name, text in texts.items()}
    return Run(**{**values, **parsed})


def _update_running(connection: sa.Connection, run_id: str, **values: object) -> None:
    mine = (runs.c.run_id == run_id) & (runs.c.status == "running")
    if not connection.execute(sa.update(runs).where(mine).values(**values)).rowcount:
        raise NotFound(f"run {run_id} is not running; see the history for how it ended")


def _stale(connection: sa.Connection) -> list[sa.Row[Any]]:
    """Return the running runs whose process is dead."""
    running = connection.execute(sa.select(runs).where(runs.c.status == "running")).all()
    return [
        row
        for row in running
        if not is_alive(Process(row.host, row.pid, row.process_started), row.heartbeat_at)
    ]


def _fail_stale(connection: sa.Connection) -> None:
    for row in _stale(connection):
        error = f"process {row.pid} on {row.host} died in it; last heard of at {row.heartbeat_at}"
        values = {"status": "failed", "completed_at": timestamp(), "error": error}
        stale = (runs.c.run_id == row.run_id) & (runs.c.status == "running")
        connection.execute(sa.update(runs).where(stale).values(**values))
        begun = (run_phases.c.run_id == row.run_id) & (run_phases.c.status == "running")
        connection.execute(sa.update(run_phases).where(begun).values(status="failed"))


def _refuse_second(connection: sa.Connection, job_type: str) -> None:
    running = (runs.c.job_type == job_type) & (runs.c.status == "running")
    row = connection.execute(sa.select(runs).where(running)).one_or_none()
    if row is not None:
        raise Locked(
            f"{job_type} is already running since {row.started_at}, as process {row.pid} on {row.host} "
            f"(run {row.run_id}); wait for it, or end that process",
            owner=row.triggered_by,
            host=row.host,
            pid=row.pid,
        )
