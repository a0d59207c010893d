"""The ledger's equity changes: money that an owner put into an account or took out of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Literal, TypeAlias
from uuid import uuid4

import polars as pl
import sqlalchemy as sa

from storage.database import Database
from storage.errors import NotFound, Refused
from storage.ledger_tables import equity_changes
from storage.processes import timestamp
from storage.revisions import bump

ChangeType: TypeAlias = Literal["CONTRIBUTION", "WITHDRAWAL"]
ENTERED = frozenset({"change_type", "amount", "change_date", "notes"})


@dataclass(frozen=True, slots=True)
class EquityChange:
    """A contribution or a withdrawal; fields from ``change_id`` on are given by the ledger, empty in a draft.

    Attributes
    ----------
    amount : Decimal
        Above 0 for both.
    """

    change_type: ChangeType
    amount: Decimal
    change_date: date
    created_by: str
    notes: str | None = None
    change_id: str = ""
    portfolio_id: str = ""
    created_at: str = ""
    updated_at: str = ""
    deleted_at: str | None = None


class EquityChanges:
    """Queries on the equity changes of a ledger; who asks has asked ``Portfolios.get`` for the portfolio."""

    def __init__(self, ledger: Database) -> None:
        self._ledger = ledger

    def of(self, portfolio_id: str, *, with_deleted: bool = False) -> list[EquityChange]:
        """Return the changes of a portfolio, the newest date first."""
        query = sa.select(equity_changes).where(equity_changes.c.portfolio_id == portfolio_id)
        if not with_deleted:
            query = query.where(equity_changes.c.deleted_at.is_(None))
        ordered = query.order_by(equity_changes.c.change_date.desc(), equity_changes.c.created_at.desc())
        with self._ledger.reading() as connection:
            return [_change(row) for row in connection.execute(ordered)]

    def frame(self, portfolio_ids: Sequence[str]) -> pl.DataFrame:
        """Return the changes of portfolios that are not deleted as columns; amounts as doubles, above 0."""
        wanted = equity_changes.c.portfolio_id.in_(portfolio_ids) & equity_changes.c.deleted_at.is_(None)
        columns = (
            equity_changes.c[name] for name in ("portfolio_id", "change_type", "amount", "change_date")
        )
        return self._ledger.frame(sa.select(*columns).where(wanted))

    def get(self, portfolio_id: str, change_id: str) -> EquityChange:
        """Return one change, a deleted one too; ``NotFound`` when the portfolio has none of this id."""
        with self._ledger.reading() as connection:
            return _one(connection, portfolio_id, change_id)

    def add(self, portfolio_id: str, draft: EquityChange) -> EquityChange:
        """Enter a change."""
        now = timestamp()
        change = replace(
            draft, change_id=str(uuid4()), portfolio_id=portfolio_id, created_at=now, updated_at=now
        )
        with self._ledger.writing() as connection:
            bump(connection, portfolio_id)
            connection.execute(sa.insert(equity_changes).values(**asdict(change)))
        return change

    def update(self, portfolio_id: str, change_id: str, /, **changes: Any) -> EquityChange:
        """Change what was entered; ``NotFound`` when the change is deleted or missing."""
        if unknown := changes.keys() - ENTERED:
            raise Refused(f"{', '.join(sorted(unknown))} cannot be changed; {', '.join(sorted(ENTERED))} can")
        return self._update(portfolio_id, change_id, changes)

    def delete(self, portfolio_id: str, change_id: str) -> EquityChange:
        """Delete a change from sight; ``NotFound`` when it is deleted or missing."""
        return self._update(portfolio_id, change_id, {"deleted_at": timestamp()})

    def _update(self, portfolio_id: str, change_id: str, changes: dict[str, Any]) -> EquityChange:
        live = _this(portfolio_id, change_id) & equity_changes.c.deleted_at.is_(None)
        values = {"updated_at": timestamp(), **changes}
        with self._ledger.writing() as connection:
            bump(connection, portfolio_id)
            if not connection.execute(sa.update(equity_changes).where(live).values(**values)).rowcount:
                raise NotFound(f"no equity change {change_id} in portfolio {portfolio_id}")
            return _one(connection, portfolio_id, change_id)


def _this(portfolio_id: str, change_id: str) -> sa.ColumnElement[bool]:
    return (equity_changes.c.change_id == change_id) & (equity_changes.c.portfolio_id == portfolio_id)


def _one(connection: sa.Connection, portfolio_id: str, change_id: str) -> EquityChange:
    query = sa.select(equity_changes).where(_this(portfolio_id, change_id))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"no equity change {change_id} in portfolio {portfolio_id}")
    return _change(row)


def _change(row: sa.Row[Any]) -> EquityChange:
    return EquityChange(**row._mapping)
