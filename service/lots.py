"""Lots as entered, brought to the columns that the engine values."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal, TypeAlias

import numpy as np

from engine.option_lots import OPTION_MULTIPLIER, OptionTerms
from engine.valuation import Kind, Positions
from storage.positions import Lot

PositionType: TypeAlias = Literal["LONG", "SHORT", "LC", "LP", "SC", "SP"]
CASH_PREFIX = "CASH_"
KINDS: dict[str, Kind] = {"OPTIONS": "option", "PRIVATE": "private"}


def kind_of(lot: Lot) -> Kind:
    """Tell how a lot is valued: by closes, as cash, by its owner's mark, or as an option."""
    if lot.investment_subtype == "CASH" or lot.symbol.startswith(CASH_PREFIX):
        return "cash"
    return KINDS.get(lot.investment_class, "public")


def priced_by(lot: Lot) -> str:
    """Return the symbol whose close a lot is valued by: an option's underlying where it is known."""
    return lot.underlying_symbol or lot.symbol


def position_type(lot: Lot) -> PositionType:
    """Name a lot's direction: of an option with its kind, by the first letters."""
    long = lot.quantity > 0
    if lot.investment_class != "OPTIONS":
        return "LONG" if long else "SHORT"
    if lot.option_type == "CALL":
        return "LC" if long else "SC"
    return "LP" if long else "SP"


def multiplier(lot: Lot) -> float:
    """Return how many units a price is of."""
    return OPTION_MULTIPLIER if kind_of(lot) == "option" else 1.0


def realized_pnl(lot: Lot, split_factor: float) -> float | None:
    """Return what closing a lot has earned since its entry, None for an open one and for no exit price.

    ``split_factor`` is how many shares of the exit's day one share entered has become.
    """
    if lot.exit_date is None or lot.exit_price is None:
        return None
    gain = float(lot.exit_price) * split_factor - float(lot.entry_price)
    return gain * float(lot.quantity) * multiplier(lot)


def is_expired(lot: Lot, session: date) -> bool:
    """Whether a lot is an option that no longer exists on a session; on its last day it still has a value."""
    expiration = lot.expiration_date if kind_of(lot) == "option" else None
    return expiration is not None and expiration < session


def open_lots(lots: Sequence[Lot], asof: date | None = None) -> list[Lot]:
    """Return the lots that are not closed; with a date, those that were held at its close."""
    if asof is None:
        return [lot for lot in lots if lot.exit_date is None]
    return [lot for lot in lots if lot.entry_date <= asof and (lot.exit_date is None or lot.exit_date > asof)]


def positions_of(lots: Sequence[Lot], marks: Mapping[int, float] | None = None) -> Positions:
    """Return lots as positions; ``marks`` has the owner's price of private lots, by their place."""
    manual = np.full(len(lots), np.nan)
    for place, price in (marks or {}).items():
        manual[place] = price
    kinds = tuple(kind_of(lot) for lot in lots)
    return Positions(
        symbols=tuple(lot.symbol for lot in lots),
        quantity=np.array([float(lot.quantity) for lot in lots], dtype=np.float64),
        entry_price=np.array([float(lot.entry_price) for lot in lots], dtype=np.float64),
        kinds=kinds,
        manual_price=manual,
        options=_terms_of(lots, kinds) if "option" in kinds else None,
    )


def _terms_of(lots: Sequence[Lot], kinds: Sequence[Kind]) -> OptionTerms:
    """Return the terms of the options among the lots; one whose type nobody entered has none."""
    known = [kind == "option" and lot.option_type is not None for lot, kind in zip(lots, kinds, strict=True)]
    options = [lot if here else None for lot, here in zip(lots, known, strict=True)]
    return OptionTerms(
        underlying=tuple(lot.underlying_symbol or "" if lot else "" for lot in options),
        strike=np.array([lot.strike_price if lot else None for lot in options], dtype=np.float64),
        expiration=np.array([lot.expiration_date if lot else None for lot in options], dtype="datetime64[D]"),
        is_call=np.array([bool(lot and lot.option_type == "CALL") for lot in options]),
        adjusted=np.zeros(len(lots), dtype=np.bool_),
    )
