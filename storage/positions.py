"""What a position is, as its owner entered it; imports msgspec, whose records are made soonest."""

from datetime import date
from decimal import Decimal

import msgspec


class Lot(msgspec.Struct, frozen=True):
    """A tax lot as entered.

    Attributes
    ----------
    symbol : str
        In capitals; an option's own symbol, not its underlying's.
    quantity : Decimal
        Signed, shares or contracts, at most 6 decimals.
    entry_price, exit_price, strike_price : Decimal
        Per share, in currency.
    entry_date, exit_date, expiration_date : date
        A lot with an exit date is closed.
    investment_class : str
        ``PUBLIC``, ``OPTIONS`` or ``PRIVATE``.
    option_type : str
        ``CALL`` or ``PUT``.
    """

    symbol: str
    quantity: Decimal
    entry_price: Decimal
    entry_date: date
    investment_class: str
    investment_subtype: str | None = None
    underlying_symbol: str | None = None
    strike_price: Decimal | None = None
    expiration_date: date | None = None
    option_type: str | None = None
    exit_date: date | None = None
    exit_price: Decimal | None = None
