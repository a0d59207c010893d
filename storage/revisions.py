"""The revision of a portfolio: it grows with every change to the portfolio or to anything in it."""

import sqlalchemy as sa

from storage.errors import NotFound
from storage.ledger_tables import portfolios
from storage.processes import timestamp


def bump(connection: sa.Connection, portfolio_id: str) -> None:
    """Count a change to a portfolio; ``NotFound`` when it was never there or is deleted.

    The first statement of every change: from here on, other changes to the same portfolio wait for this one.
    """
    live = (portfolios.c.portfolio_id == portfolio_id) & portfolios.c.deleted_at.is_(None)
    values = {"revision": portfolios.c.revision + 1, "updated_at": timestamp()}
    if not connection.execute(sa.update(portfolios).where(live).values(**values)).rowcount:
        raise NotFound(f"no portfolio {portfolio_id}")
