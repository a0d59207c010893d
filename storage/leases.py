"""Leases: at most one live writer per layer, and nobody waits for a dead one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from uuid import uuid4

import sqlalchemy as sa

from storage.database import Database, leases
from storage.errors import Busy, LeaseLost, Locked, StorageError
from storage.processes import HEARTBEAT_SECONDS, Process, is_alive, this_process, timestamp


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write a layer; ``token`` tells this holding from every other one."""

    layer: str
    owner: str
    token: str


@contextmanager
def held(ledger: Database, layer: str, owner: str) -> Iterator[Lease]:
    """Hold the lease of a layer, with a heartbeat every 10 seconds.

    Raises
    ------
    Locked
        A live process holds it. One that is dead on this machine, or silent for 60 seconds on another, does
        not.
    """
    lease, done = Lease(layer, owner, uuid4().hex), Event()
    heart = Thread(target=_beat, args=(ledger, lease, done), name=f"lease-{layer}", daemon=True)
    try:
        _acquire(ledger, lease)
    except StorageError:
        raise
    except BaseException:  # an interrupt may come when the row is in the ledger already
        _release(ledger, lease)
        raise
    try:
        heart.start()
        yield lease
    finally:
        done.set()
        try:
            _release(ledger, lease)
        finally:
            if heart.is_alive():
                heart.join()


def check(connection: sa.Connection, lease: Lease) -> None:
    """Refuse to go on with a lease that was taken over; it cannot be before the transaction has ended."""
    query = sa.select(leases.c.token).where(leases.c.token == lease.token).with_for_update()
    if connection.execute(query).first() is None:
        raise LeaseLost(
            f"{lease.owner} lost the lease of the {lease.layer} layer to another process; start again"
        )


def _acquire(ledger: Database, lease: Lease) -> None:
    me, now, layer = this_process(), timestamp(), lease.layer
    with ledger.writing(f"lease of {layer}") as connection:
        row = connection.execute(sa.select(leases).where(leases.c.layer == layer)).one_or_none()
        if row is not None and is_alive(Process(row.host, row.pid, row.process_started), row.heartbeat_at):
            raise _locked(row)
        connection.execute(sa.delete(leases).where(leases.c.layer == layer))
        values = {
            "layer": layer,
            "token": lease.token,
            "owner": lease.owner,
            "acquired_at": now,
            "heartbeat_at": now,
        }
        who = {"host": me.host, "pid": me.pid, "process_started": me.started}
        connection.execute(sa.insert(leases).values(**values, **who))


def _release(ledger: Database, lease: Lease) -> None:
    with ledger.writing() as connection:
        connection.execute(sa.delete(leases).where(leases.c.token == lease.token))


def _beat(ledger: Database, lease: Lease, done: Event) -> None:
    while not done.wait(HEARTBEAT_SECONDS):
        try:
            with ledger.writing() as connection:
                mine = leases.c.token == lease.token
                connection.execute(sa.update(leases).where(mine).values(heartbeat_at=timestamp()))
        except Busy:  # the next beat comes soon enough, and publishing checks the lease itself
            continue


def _locked(row: sa.Row[tuple[str, ...]]) -> Locked:
    return Locked(
        f"the {row.layer} layer is being written by {row.owner} (process {row.pid} on {row.host}) since "
        f"{row.acquired_at}; wait for it, or end that process",
        owner=row.owner,
        host=row.host,
        pid=row.pid,
    )
