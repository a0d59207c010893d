"""The ledger's symbols: who is known, under which integer id, and what has to be computed again."""

from collections.abc import Iterable, Mapping
from datetime import date

import sqlalchemy as sa

from storage.database import Database, symbols
from storage.errors import NotFound
from storage.processes import timestamp


class Symbols:
    """Queries on the symbols of a ledger."""

    def __init__(self, ledger: Database) -> None:
        self._ledger = ledger

    def register(self, names: Iterable[str], source: str) -> dict[str, int]:
        """Give every symbol an id, in one transaction; one that is known keeps its id and its source.

        Ids are dense: panels are arrays indexed by them.
        """
        wanted = list(dict.fromkeys(names))
        with self._ledger.writing("symbols") as connection:
            ids = _ids(connection)
            fresh = [name for name in wanted if name not in ids]
            first = max(ids.values(), default=-1) + 1
            added = {name: first + at for at, name in enumerate(fresh)}
            if added:
                row = {"source": source, "is_active": True, "created_at": timestamp()}
                rows = [{"symbol_id": at, "symbol": name, **row} for name, at in added.items()]
                connection.execute(sa.insert(symbols), rows)
        ids |= added
        return {name: ids[name] for name in wanted}

    def ids(self) -> dict[str, int]:
        """Return the id of every symbol."""
        with self._ledger.reading() as connection:
            return _ids(connection)

    def sources(self) -> dict[str, str]:
        """Return the source under which each symbol was registered."""
        with self._ledger.reading() as connection:
            return dict(connection.execute(sa.select(symbols.c.symbol, symbols.c.source)).all())

    def active(self) -> set[str]:
        """Return the symbols that still trade, as far as is known."""
        with self._ledger.reading() as connection:
            return set(connection.scalars(sa.select(symbols.c.symbol).where(symbols.c.is_active)))

    def set_active(self, names: Iterable[str], *, is_active: bool) -> None:
        """Say of symbols whether they still trade; one that does not keeps its id and its history."""
        with self._ledger.writing() as connection:
            for name in sorted(names):
                _update(connection, name, is_active=is_active)

    def mark_recompute(self, marks: Mapping[str, date]) -> None:
        """Ask for symbols to be computed again from a session on; an earlier mark stays."""
        column = symbols.c.recompute_from
        with self._ledger.writing() as connection:
            for name, session in sorted(marks.items()):
                earlier = sa.case((column <= session, column), else_=session)
                _update(connection, name, recompute_from=earlier)

    def recompute_marks(self) -> dict[str, date]:
        """Return the session from which each marked symbol has to be computed again."""
        query = sa.select(symbols.c.symbol, symbols.c.recompute_from).where(
            symbols.c.recompute_from.is_not(None)
        )
        with self._ledger.reading() as connection:
            return dict(connection.execute(query).all())


def clear_marks(connection: sa.Connection, done: Mapping[str, date], resume: date | None) -> None:
    """Clear marks that a job fulfilled from the given sessions on, or move them on to where it stopped.

    One that was set earlier meanwhile stays.
    """
    for name, session in sorted(done.items()):
        fulfilled = (symbols.c.symbol == name) & (symbols.c.recompute_from >= session)
        connection.execute(sa.update(symbols).where(fulfilled).values(recompute_from=resume))


def _ids(connection: sa.Connection) -> dict[str, int]:
    found = connection.execute(sa.select(symbols.c.symbol, symbols.c.symbol_id))
    return dict(found.cursor.fetchall())  # as the driver has them: rows of SQLAlchemy's cost as much again


def _update(connection: sa.Connection, name: str, **values: object) -> None:
    changed = connection.execute(sa.update(symbols).where(symbols.c.symbol == name).values(**values))
    if not changed.rowcount:
        raise NotFound(f"symbol {name} is not registered; register it before changing it")
