"""Positions for the wire: what was entered, and what the book says that it is worth."""

from service.api.analytics.served import plain
from service.api.position_records import PositionItem
from service.composed import Composed
from service.lots import position_type, realized_pnl
from storage.position_queries import Position


def item(position: Position, composed: Composed | None, closed_id: str | None = None) -> PositionItem:
    """Return a position for the wire, without values when it is closed or there is no book."""
    lot, split_factor = position.lot, composed.split_factor(position) if composed else 1.0
    values = _values(position, composed)
    return PositionItem(
        id=position.position_id,
        portfolio_id=position.portfolio_id,
        symbol=lot.symbol,
        quantity=float(lot.quantity),
        split_factor=split_factor,
        entry_price=float(lot.entry_price),
        entry_date=lot.entry_date,
        position_type=position_type(lot),
        investment_class=lot.investment_class,
        investment_subtype=lot.investment_subtype,
        notes=position.notes,
        underlying_symbol=lot.underlying_symbol,
        strike_price=None if lot.strike_price is None else float(lot.strike_price),
        expiration_date=lot.expiration_date,
        last_price=values[0],
        market_value=values[1],
        unrealized_pnl=values[2],
        realized_pnl=realized_pnl(lot, split_factor),
        exit_price=None if lot.exit_price is None else float(lot.exit_price),
        exit_date=lot.exit_date,
        created_at=position.created_at,
        updated_at=position.updated_at,
        closed_position_id=closed_id,
    )


def _values(position: Position, composed: Composed | None) -> tuple[float | None, ...]:
    """Price, market value and unrealized P&L."""
    place = composed.places.get(position.position_id) if composed else None
    if composed is None or place is None:
        return None, None, None
    found = composed.valuation
    return tuple(plain(each[place]) for each in (found.price, found.market_value, found.unrealized_pnl))
