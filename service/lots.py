"""Lots as entered, brought to the columns that the engine values."""

from collections.abc import Mapping, Sequence

import numpy as np

from engine.valuation import Kind, Positions
from storage.positions import Lot

CASH_PREFIX = "CASH_"


def kind_of(lot: Lot) -> Kind:
    """Tell how a lot is valued: by closes, as cash, by its owner's mark, or as an option."""
    if lot.investment_subtype == "CASH" or lot.symbol.startswith(CASH_PREFIX):
        return "cash"
    kinds: dict[str, Kind] = {"OPTIONS": "option", "PRIVATE": "private"}
    return kinds.get(lot.investment_class, "public")


def open_lots(lots: Sequence[Lot]) -> list[Lot]:
    """Return the lots that are not closed."""
    return [lot for lot in lots if lot.exit_date is None]


def positions_of(lots: Sequence[Lot], marks: Mapping[int, float] | None = None) -> Positions:
    """Return lots as positions; ``marks`` has the owner's price of private lots, by their place."""
    manual = np.full(len(lots), np.nan)
    for place, price in (marks or {}).items():
        manual[place] = price
    return Positions(
        symbols=tuple(lot.symbol for lot in lots),
        quantity=np.array([float(lot.quantity) for lot in lots], dtype=np.float64),
        entry_price=np.array([float(lot.entry_price) for lot in lots], dtype=np.float64),
        kinds=tuple(kind_of(lot) for lot in lots),
        manual_price=manual,
    )
