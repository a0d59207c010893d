"""What belongs to an owner: a position by its id, with the portfolio that it is in."""

from storage.errors import NotFound
from storage.ledger import Ledger
from storage.portfolios import Portfolio
from storage.position_queries import Position


def owned_position(ledger: Ledger, owner: str, position_id: str) -> tuple[Portfolio, Position]:
    """Return a position of an owner; ``NotFound`` for a foreign, a deleted and a missing one alike."""
    position = ledger.positions.get(position_id)
    try:
        return ledger.portfolios.get(owner, position.portfolio_id), position
    except NotFound as error:
        raise NotFound(f"no position {position_id}") from error
