"""The ledger's portfolios: accounts of an owner, entered with their lots at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from storage.database import Database
from storage.errors import NotFound, Refused, Taken
from storage.ledger_tables import portfolios
from storage.position_queries import insert
from storage.positions import Lot
from storage.processes import timestamp
from storage.revisions import bump

ENTERED = frozenset(
    {
        "name",
        "account_name",
        "account_type",
        "starting_equity",
        "description",
        "currency",
        "is_active",
        "starting_session",
    }
)


@dataclass(frozen=True, slots=True)
class Portfolio:
    """A portfolio; fields from ``portfolio_id`` on are given by the ledger, and empty in a draft.

    Attributes
    ----------
    starting_equity : Decimal or None
        Net asset value of the account when it was entered.
    starting_session : date or None
        Session of the first snapshot.
    revision : int
        Grows with every change to the portfolio or to anything in it.
    """

    name: str
    account_name: str
    account_type: str = "taxable"
    starting_equity: Decimal | None = None
    description: str | None = None
    currency: str = "USD"
    is_active: bool = True
    starting_session: date | None = None
    portfolio_id: str = ""
    owner: str = ""
    revision: int = 0
    created_at: str = ""
    updated_at: str = ""
    deleted_at: str | None = None


# Built once: every request that reads a portfolio begins with one of them.
OWNED = sa.select(portfolios).where(
    (portfolios.c.portfolio_id == sa.bindparam("id"))
    & (portfolios.c.owner == sa.bindparam("owner"))
    & portfolios.c.deleted_at.is_(None)
)
TAKEN = sa.select(portfolios.c.portfolio_id).where(
    (portfolios.c.owner == sa.bindparam("owner"))
    & (portfolios.c.account_name == sa.bindparam("account_name"))
    & portfolios.c.deleted_at.is_(None)
)
REVISION = OWNED.with_only_columns(portfolios.c.revision)


class Portfolios:
    """Queries on the portfolios of a ledger."""

    def __init__(self, ledger: Database) -> None:
        self._ledger = ledger
        self._revision = ledger.prepared(REVISION)
        self._taken = ledger.prepared(TAKEN)

    def create(self, owner: str, draft: Portfolio, lots: Sequence[Lot] = ()) -> Portfolio:
        """Enter a portfolio and its lots, all or nothing.

        Raises
        ------
        Taken
            The owner has a live portfolio of this account name.
        """
        now = timestamp()
        portfolio = replace(
            draft, portfolio_id=str(uuid4()), owner=owner, revision=1, created_at=now, updated_at=now
        )
        with self._ledger.writing() as connection:
            with _naming(portfolio.account_name):
                connection.execute(sa.insert(portfolios).values(**asdict(portfolio)))
            insert(connection, portfolio.portfolio_id, lots, entered_session=draft.starting_session)
        return portfolio

    def get(self, owner: str, portfolio_id: str) -> Portfolio:
        """Return a portfolio of an owner; ``NotFound`` for a foreign, a deleted and a missing one alike.

        Here and in ``revision`` alone ownership is checked: whoever asks for what is in a portfolio asks for
        it here first.
        """
        with self._ledger.reading() as connection:
            row = connection.execute(OWNED, {"owner": owner, "id": portfolio_id}).one_or_none()
        if row is None:
            raise NotFound(f"no portfolio {portfolio_id}")
        return _portfolio(row)

    def revision(self, owner: str, portfolio_id: str) -> int:
        """Return how often a portfolio or anything in it was changed; ``NotFound`` as in ``get``."""
        found = self._revision(owner=owner, id=portfolio_id)
        if found is None:
            raise NotFound(f"no portfolio {portfolio_id}")
        return int(found)

    def is_taken(self, owner: str, account_name: str) -> bool:
        """Whether the owner has a live portfolio of an account name; ``create`` has the last word."""
        return self._taken(owner=owner, account_name=account_name) is not None

    def of(self, owner: str) -> list[Portfolio]:
        """Return the portfolios of an owner, the inactive ones too, oldest first."""
        return self._all(_live().where(portfolios.c.owner == owner))

    def everyones(self) -> list[Portfolio]:
        """Return the portfolios of all owners, oldest first; for jobs."""
        return self._all(_live())

    def update(self, portfolio_id: str, /, **changes: Any) -> None:
        """Change fields that were entered; ``Taken`` as in ``create``."""
        if unknown := changes.keys() - ENTERED:
            raise Refused(f"{', '.join(sorted(unknown))} cannot be changed; {', '.join(sorted(ENTERED))} can")
        with self._ledger.writing() as connection:
            _change(connection, portfolio_id, changes)

    def delete(self, portfolio_id: str) -> str:
        """Delete a portfolio and all in it from sight, and free its account name; return the time."""
        now = timestamp()
        with self._ledger.writing() as connection:
            _change(connection, portfolio_id, {"deleted_at": now})
        return now

    def _all(self, query: sa.Select[Any]) -> list[Portfolio]:
        ordered = query.order_by(portfolios.c.created_at, portfolios.c.portfolio_id)
        with self._ledger.reading() as connection:
            return [_portfolio(row) for row in connection.execute(ordered)]


def _live() -> sa.Select[Any]:
    return sa.select(portfolios).where(portfolios.c.deleted_at.is_(None))


def _portfolio(row: sa.Row[Any]) -> Portfolio:
    return Portfolio(**row._mapping)


def _change(connection: sa.Connection, portfolio_id: str, changes: dict[str, Any]) -> None:
    bump(connection, portfolio_id)
    if changes:
        this = portfolios.c.portfolio_id == portfolio_id
        with _naming(changes.get("account_name", "")):
            connection.execute(sa.update(portfolios).where(this).values(**changes))


@contextmanager
def _naming(account_name: str) -> Iterator[None]:
    """Say in words what the one constraint says that two portfolios of an owner can break."""
    try:
        yield
    except IntegrityError as error:
        if "one_live_portfolio" not in str(error.orig) and "account_name" not in str(error.orig):
            raise
        raise Taken(f"there is an account {account_name!r} already; choose another name") from error
