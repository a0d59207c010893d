"""The sector that each position is tagged with, as the profile of what it holds had it last."""

from collections.abc import Callable, Sequence
from datetime import date

import sqlalchemy as sa

from storage.database import Database
from storage.ledger_tables import portfolios, positions
from storage.revisions import bump


class PositionSectors:
    """Queries on the sectors of a ledger's positions."""

    def __init__(self, ledger: Database) -> None:
        self._ledger = ledger

    def restore(
        self, portfolio_ids: Sequence[str], sector_of: Callable[[str, date | None], str | None]
    ) -> tuple[int, int]:
        """Tag the positions of portfolios with the sectors of symbols; options with their underlyings'.

        A position whose symbol has no sector keeps the one that it has.

        Parameters
        ----------
        portfolio_ids : sequence of str
        sector_of : callable
            Told a symbol, and the day of whose names it is; None for that of a portfolio that has no session.

        Returns
        -------
        n_positions, n_changed : int
            Open and closed positions looked at, and those whose sector is another now.
        """
        symbol = sa.func.coalesce(positions.c.underlying_symbol, positions.c.symbol)
        entered = sa.func.coalesce(positions.c.entered_session, portfolios.c.starting_session)
        columns = (
            *(positions.c.position_id, positions.c.portfolio_id, positions.c.sector, symbol),
            *(entered, positions.c.entry_date),
        )
        mine = positions.c.portfolio_id.in_(portfolio_ids) & positions.c.deleted_at.is_(None)
        live = sa.select(*columns).join(portfolios).where(mine & portfolios.c.deleted_at.is_(None))
        with self._ledger.writing() as connection:
            rows = connection.execute(live).all()
            changed: dict[tuple[str, str], list[str]] = {}
            for position_id, portfolio_id, before, held, session, entry in rows:
                sector = sector_of(held, session and max(session, entry))
                if sector not in (None, before):
                    changed.setdefault((portfolio_id, sector), []).append(position_id)
            for (_, sector), ids in changed.items():
                where = positions.c.position_id.in_(ids)
                connection.execute(sa.update(positions).where(where).values(sector=sector))
            for portfolio_id in {portfolio_id for portfolio_id, _ in changed}:
                bump(connection, portfolio_id)
        return len(rows), sum(map(len, changed.values()))
