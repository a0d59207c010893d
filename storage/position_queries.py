"""The ledger's positions: the lots of a portfolio, and the prices that people gave private ones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import sqlalchemy as sa
from msgspec.structs import replace

from storage import bulk
from storage.database import Database
from storage.errors import NotFound, Refused
from storage.ledger_tables import marks, portfolios, positions
from storage.positions import Lot
from storage.processes import timestamp
from storage.revisions import bump

LOT_FIELDS = Lot.__struct_fields__
OWN_FIELDS = (
    "position_id",
    "portfolio_id",
    "entered_session",
    "notes",
    "created_at",
    "updated_at",
    "sector",
)


@dataclass(frozen=True, slots=True)
class Position:
    """A lot in a portfolio.

    ``entered_session`` was the newest session of the book when it came in, ``sector`` is the one that it was
    tagged with last.
    """

    lot: Lot
    position_id: str
    portfolio_id: str
    entered_session: date | None
    notes: str | None
    created_at: str
    updated_at: str
    sector: str | None

    @property
    def tags(self) -> list[str]:
        """What it is tagged with: its sector."""
        return [] if self.sector is None else [self.sector]


@dataclass(frozen=True, slots=True)
class Mark:
    """What one unit of a position is worth from a session on, as its owner says."""

    position_id: str
    session: date
    price: Decimal


class PositionQueries:
    """Queries on the positions of a ledger; who asks has asked ``Portfolios.get`` for the portfolio."""

    def __init__(self, ledger: Database) -> None:
        self._ledger = ledger

    def of(self, portfolio_id: str) -> list[Position]:
        """Return the positions of a portfolio, open and closed, in the order of their entry."""
        query = _live().where(positions.c.portfolio_id == portfolio_id).order_by(positions.c.number)
        with self._ledger.reading() as connection:
            return [_position(row) for row in connection.execute(query).all()]

    def frame(self, portfolio_ids: Sequence[str]) -> pl.DataFrame:
        """Return the positions of portfolios as columns, sooner; quantities and prices as doubles.

        ``held_session`` is that of the last snapshot that had a closed part in the lot it was a part of.
        """
        query = _live().where(positions.c.portfolio_id.in_(portfolio_ids))
        ordered = query.order_by(positions.c.portfolio_id, positions.c.number)
        own = ("portfolio_id", "position_id", "entered_session", "held_session")
        columns = (positions.c[name] for name in (*own, *LOT_FIELDS))
        return self._ledger.frame(ordered.with_only_columns(*columns))

    def marks_frame(self, portfolio_ids: Sequence[str]) -> pl.DataFrame:
        """Return the marks of portfolios as columns: ``position_id, session, price``."""
        query = sa.select(marks).join(positions).where(positions.c.portfolio_id.in_(portfolio_ids))
        return self._ledger.frame(query.order_by(marks.c.position_id, marks.c.session))

    def get(self, position_id: str) -> Position:
        """Return one position; ``NotFound`` when it is deleted, in a deleted portfolio, or missing."""
        query = _live().join(portfolios).where(portfolios.c.deleted_at.is_(None))
        with self._ledger.reading() as connection:
            row = connection.execute(query.where(positions.c.position_id == position_id)).one_or_none()
        if row is None:
            raise NotFound(f"no position {position_id}")
        return _position(row)

    def counts(self, portfolio_ids: Sequence[str]) -> dict[str, int]:
        """Return how many open positions each portfolio has."""
        wanted = positions.c.portfolio_id.in_(portfolio_ids)
        query = (
            sa.select(positions.c.portfolio_id, sa.func.count())
            .where(wanted & positions.c.deleted_at.is_(None) & positions.c.exit_date.is_(None))
            .group_by(positions.c.portfolio_id)
        )
        with self._ledger.reading() as connection:
            found: dict[str, int] = dict(connection.execute(query).all())
        return dict.fromkeys(portfolio_ids, 0) | found

    def add(
        self,
        portfolio_id: str,
        lots: Sequence[Lot],
        *,
        entered_session: date | None,
        notes: str | None = None,
    ) -> list[str]:
        """Add lots to a portfolio, all or none, and return their ids."""
        with self._ledger.writing() as connection:
            bump(connection, portfolio_id)
            return insert(connection, portfolio_id, lots, entered_session=entered_session, notes=notes)

    def update(self, portfolio_id: str, position_id: str, /, **changes: Any) -> None:
        """Change fields of a lot, or its ``notes``."""
        if unknown := changes.keys() - {*LOT_FIELDS, "notes"}:
            raise Refused(f"a position has no {', '.join(sorted(unknown))} that could be changed")
        with self._ledger.writing() as connection:
            bump(connection, portfolio_id)
            _update(connection, portfolio_id, position_id, changes)

    def close(
        self,
        portfolio_id: str,
        position_id: str,
        exit_date: date,
        exit_price: Decimal | None = None,
        *,
        quantity: Decimal | None = None,
        held_session: date | None = None,
    ) -> str:
        """Close a position, or a part of it, and return the id of what is closed.

        Parameters
        ----------
        quantity : Decimal, optional
            How much to close, above 0 for a short position too; all when not given. What stays open keeps the
            id; the closed part becomes a position of its own, with the same marks.
        held_session : date, optional
            Session of the newest snapshot of the portfolio: it has a closed part as long as no other follows.

        Raises
        ------
        Refused
            The position is closed, smaller than the quantity, or was entered after the exit.
        """
        with self._ledger.writing() as connection:
            bump(connection, portfolio_id)
            position = _locked(connection, portfolio_id, position_id)
            part = _part(position.lot, quantity, exit_date)
            if part == position.lot.quantity:
                closed = {"exit_date": exit_date, "exit_price": exit_price}
                _update(connection, portfolio_id, position_id, closed)
                return position_id
            _update(connection, portfolio_id, position_id, {"quantity": position.lot.quantity - part})
            lot = replace(position.lot, quantity=part, exit_date=exit_date, exit_price=exit_price)
            entered = position.entered_session
            [new] = insert(connection, portfolio_id, [lot], entered_session=entered, notes=position.notes)
            _update(connection, portfolio_id, new, {"held_session": held_session})
            _copy_marks(connection, position_id, new)
            return new

    def delete(self, portfolio_id: str, position_ids: Iterable[str], *, hard: bool = False) -> None:
        """Delete positions, all or none: from sight, or (``hard``) with their marks and for good."""
        with self._ledger.writing() as connection:
            bump(connection, portfolio_id)
            for position_id in position_ids:
                _update(connection, portfolio_id, position_id, {"deleted_at": timestamp()})
                if hard:
                    connection.execute(sa.delete(marks).where(marks.c.position_id == position_id))
                    connection.execute(sa.delete(positions).where(positions.c.position_id == position_id))

    def mark(self, portfolio_id: str, position_id: str, session: date, price: Decimal) -> None:
        """Set what one unit is worth from a session on; the mark of that session is replaced."""
        this = (marks.c.position_id == position_id) & (marks.c.session == session)
        with self._ledger.writing() as connection:
            bump(connection, portfolio_id)
            _locked(connection, portfolio_id, position_id)
            connection.execute(sa.delete(marks).where(this))
            values = {"position_id": position_id, "session": session, "price": price}
            connection.execute(sa.insert(marks).values(**values))

    def marks(self, portfolio_id: str) -> list[Mark]:
        """Return the marks of a portfolio's positions, each position's in the order of sessions."""
        query = (
            sa.select(marks)
            .join(positions)
            .where((positions.c.portfolio_id == portfolio_id) & positions.c.deleted_at.is_(None))
            .order_by(positions.c.number, marks.c.session)
        )
        with self._ledger.reading() as connection:
            return [Mark(*row) for row in connection.execute(query)]


def insert(
    connection: sa.Connection,
    portfolio_id: str,
    lots: Sequence[Lot],
    *,
    entered_session: date | None,
    notes: str | None = None,
) -> list[str]:
    """Insert lots behind those that the portfolio has, and return their ids."""
    last = sa.select(sa.func.max(positions.c.number)).where(positions.c.portfolio_id == portfolio_id)
    first, now = (connection.scalar(last) or 0) + 1, timestamp()
    ids = bulk.new_ids(len(lots))
    common = {
        "portfolio_id": portfolio_id,
        "entered_session": entered_session,
        "notes": notes,
        "created_at": now,
        "updated_at": now,
    }
    columns: dict[str, Sequence[Any]] = {
        "position_id": ids,
        "number": range(first, first + len(lots)),
        **{name: [value] * len(lots) for name, value in common.items()},
        **{name: [getattr(lot, name) for lot in lots] for name in LOT_FIELDS},
    }
    bulk.insert(connection, positions, columns)
    return ids


def _live() -> sa.Select[Any]:
    columns = (positions.c[name] for name in (*OWN_FIELDS, *LOT_FIELDS))
    return sa.select(*columns).where(positions.c.deleted_at.is_(None))


def _position(row: Sequence[Any]) -> Position:
    n_own = len(OWN_FIELDS)
    return Position(Lot(*row[n_own:]), *row[:n_own])


def _this(portfolio_id: str, position_id: str) -> sa.ColumnElement[bool]:
    return (
        (positions.c.position_id == position_id)
        & (positions.c.portfolio_id == portfolio_id)
        & positions.c.deleted_at.is_(None)
    )


def _locked(connection: sa.Connection, portfolio_id: str, position_id: str) -> Position:
    """Return a position as it is now that its portfolio was bumped, and stays until the transaction ends."""
    row = connection.execute(_live().where(_this(portfolio_id, position_id))).one_or_none()
    if row is None:
        raise NotFound(f"no position {position_id} in portfolio {portfolio_id}")
    return _position(row)


def _update(
    connection: sa.Connection, portfolio_id: str, position_id: str, changes: Mapping[str, Any]
) -> None:
    query = sa.update(positions).where(_this(portfolio_id, position_id))
    if not connection.execute(query.values(updated_at=timestamp(), **changes)).rowcount:
        raise NotFound(f"no position {position_id} in portfolio {portfolio_id}")


def _part(lot: Lot, quantity: Decimal | None, exit_date: date) -> Decimal:
    """Return the signed quantity to close."""
    if lot.exit_date is not None:
        raise Refused(f"this lot of {lot.symbol} was closed on {lot.exit_date}; change its exit instead")
    if exit_date < lot.entry_date:
        raise Refused(f"this lot of {lot.symbol} was entered on {lot.entry_date}; give an exit from then on")
    size = abs(lot.quantity)
    closing = size if quantity is None else quantity
    if not 0 < closing <= size:
        raise Refused(f"cannot close {closing} of {size} {lot.symbol}; give a quantity above 0, up to {size}")
    return closing.copy_sign(lot.quantity)


def _copy_marks(connection: sa.Connection, source: str, target: str) -> None:
    columns = (sa.literal(target), marks.c.session, marks.c.price)
    rows = sa.select(*columns).where(marks.c.position_id == source)
    connection.execute(sa.insert(marks).from_select(["position_id", "session", "price"], rows))
