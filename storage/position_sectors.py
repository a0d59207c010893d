"""The sector that each position is tagged with, as the profile of what it holds had it last."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from storage.database import Database
from storage.ledger_tables import portfolios, positions
from storage.revisions import bump


class PositionSectors:
    """Queries on the sectors of a ledger's positions."""

    def __init__(self, ledger: Database) -> None:
        self._ledger = ledger

    def restore(self, portfolio_ids: Sequence[str], sectors: Mapping[str, str]) -> tuple[int, int]:
        """Tag the positions of portfolios with the sectors of symbols; options with their underlyings'.

        A position whose symbol has no sector keeps the one that it has.

        Returns
        -------
        n_positions, n_changed : int
            Open and closed positions looked at, and those whose sector is another now.
        """
        symbol = sa.func.coalesce(positions.c.underlying_symbol, positions.c.symbol)
        columns = (positions.c.position_id, positions.c.portfolio_id, symbol, positions.c.sector)
        mine = positions.c.portfolio_id.in_(portfolio_ids) & positions.c.deleted_at.is_(None)
        live = sa.select(*columns).join(portfolios).where(mine & portfolios.c.deleted_at.is_(None))
        with self._ledger.writing() as connection:
            rows = connection.execute(live).all()
            changed: dict[tuple[str, str], list[str]] = {}
            for position_id, portfolio_id, held, before in rows:
                if sectors.get(held, before) != before:
                    changed.setdefault((portfolio_id, sectors[held]), []).append(position_id)
            for (_, sector), ids in changed.items():
                where = positions.c.position_id.in_(ids)
                connection.execute(sa.update(positions).where(where).values(sector=sector))
            for portfolio_id in {portfolio_id for portfolio_id, _ in changed}:
                bump(connection, portfolio_id)
        return len(rows), sum(map(len, changed.values()))
