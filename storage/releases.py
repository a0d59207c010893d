"""Releases: one ledger row names a version of every table of a layer, and so publishes them all at once."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import sqlalchemy as sa

from storage.database import Database, releases
from storage.errors import NotFound
from storage.leases import Lease, check
from storage.processes import timestamp
from storage.symbols import clear_marks


@dataclass(frozen=True, slots=True)
class Release:
    """A published state of a layer.

    Attributes
    ----------
    number : int
        Grows with every release of any layer; 0 is the empty store, where every layer begins.
    session : date or None
        Newest session that the layer is computed for.
    versions : dict of str to int
        Delta version of each table; one that it does not name is empty, at version 0.
    """

    number: int
    layer: str
    session: date | None
    created_at: str
    run_id: str | None
    versions: dict[str, int]


def newest(connection: sa.Connection, layer: str) -> Release | None:
    """Return the newest release of a layer, None in a ledger that has no store yet."""
    row = connection.execute(_of_layer(layer).limit(1)).one_or_none()
    return None if row is None else _release(row, layer)


def numbered(connection: sa.Connection, number: int, layer: str) -> Release:
    """Return the release of a number, of whatever layer it is; ``NotFound`` when there is none.

    Number 0 is of the layer asked for.
    """
    row = connection.execute(sa.select(releases).where(releases.c.number == number)).one_or_none()
    if row is None:
        last = connection.scalar(sa.select(sa.func.max(releases.c.number)))
        raise NotFound(f"no release {number}; the newest is {last}")
    return _release(row, layer if number == 0 else row.layer)


def history(connection: sa.Connection, layer: str, after: int = -1) -> list[Release]:
    """Return the releases of a layer with a number above ``after``, newest first, down to the empty store."""
    query = _of_layer(layer).where(releases.c.number > after)
    return [_release(row, layer) for row in connection.execute(query)]


def add(connection: sa.Connection, draft: Release) -> Release:
    """Insert a draft as the next release.

    The number is given here, under the lock "releases", so a higher one never appears before a lower one.
    """
    last = connection.scalar(sa.select(sa.func.max(releases.c.number)))
    release = replace(draft, number=0 if last is None else last + 1, created_at=timestamp())
    connection.execute(sa.insert(releases).values(**asdict(release)))
    return release


def publish(
    ledger: Database, lease: Lease, draft: Release, recomputed: Mapping[str, date], resume: date | None
) -> Release:
    """Publish a draft under a lease, and clear the recompute marks that it fulfills, in one transaction.

    Marks that it fulfills up to the session ``resume`` alone are moved there.

    Raises
    ------
    LeaseLost
        The lease was taken over; nothing is published.
    """
    with ledger.writing("releases") as connection:
        check(connection, lease)
        clear_marks(connection, recomputed, resume)
        return add(connection, draft)


def _of_layer(layer: str) -> sa.Select[Any]:
    mine = (releases.c.layer == layer) | (releases.c.number == 0)
    return sa.select(releases).where(mine).order_by(releases.c.number.desc())


def _release(row: sa.Row[Any], layer: str) -> Release:
    release = Release(**row._mapping)
    return release if release.layer == layer else replace(release, layer=layer, versions={})
