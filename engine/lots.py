"""What the snapshots of many portfolios are made from: lots, their prices, portfolios. Imports numpy alone.

All arrays are columnar: one entry a lot over all portfolios, in any order, or one entry a portfolio.
"""

from dataclasses import dataclass

import numpy as np

from engine.typing import BoolArray, DateArray, FloatArray, IntArray, MaskArray

PUBLIC, CASH, PRIVATE, OPTION = range(4)


@dataclass(frozen=True, slots=True)
class Lots:
    """Tax lots, ``(n_lots,)`` each.

    Attributes
    ----------
    portfolio : IntArray
        Index of the lot's portfolio.
    kind : IntArray
        ``PUBLIC``, ``CASH``, ``PRIVATE`` or ``OPTION``.
    quantity, entry_price : FloatArray
        Signed shares or contracts, and currency per share; both in shares of ``entered_session``.
    multiplier : FloatArray
        Shares per contract of an option, 1 else.
    entered_session : DateArray
        Newest session of the book when the lot came into the system: no earlier snapshot has it.
    entry_date, exit_date : DateArray
        Days of the trades; ``exit_date`` is NaT for an open lot.
    exit_price : FloatArray
        Currency per share of the exit date, NaN when nobody entered it.
    held : BoolArray
        Whether the previous snapshot had the lot open, with a price or without.
    reference_price : FloatArray
        ``LotValues.reference_price`` of the previous snapshot: in shares of its session; NaN for none.
    reference_session : DateArray
        ``LotValues.reference_session`` of the previous snapshot; NaT for none.
    """

    portfolio: IntArray
    kind: IntArray
    quantity: FloatArray
    multiplier: FloatArray
    entry_price: FloatArray
    entered_session: DateArray
    entry_date: DateArray
    exit_date: DateArray
    exit_price: FloatArray
    held: BoolArray
    reference_price: FloatArray
    reference_session: DateArray


@dataclass(frozen=True, slots=True)
class Portfolios:
    """Portfolios that get a snapshot, ``(n_portfolios,)`` each.

    Attributes
    ----------
    prev : DateArray
        Session of the previous snapshot, NaT before the first one.
    nav_prev : FloatArray
        NAV of the previous snapshot; before the first one the starting equity, NaN for none.
    flow : FloatArray
        Contributions − withdrawals after ``prev``, up to and including the session; in currency.
    """

    prev: DateArray
    nav_prev: FloatArray
    flow: FloatArray


@dataclass(frozen=True, slots=True)
class LotPrices:
    """What the market says about each lot, ``(n_lots,)`` each; ``engine.lot_prices`` looks it up.

    ``since`` and ``until`` are those of ``Holding``. Public lots take splits and dividends, options the
    splits of their underlyings; what stands there for others does not matter.

    Attributes
    ----------
    price : FloatArray
        Price at the session: a public lot's close within five sessions, an option's quote or model price, the
        owner's mark of a private lot; NaN for none.
    age : IntArray
        Sessions since that price.
    price_prev : FloatArray
        Price at ``prev`` as known now, in shares of ``prev``; of a private lot the mark it was entered with.
    price_exit : FloatArray
        Close, or model price, at the exit date, in shares of that date.
    split : FloatArray
        Shares at ``until`` per share at ``since``.
    split_since_entered : FloatArray
        Shares at ``until`` per share at ``entered_session``.
    dividend : FloatArray
        Dividends over (since, until] in currency per share at ``until``; NaN: the source knows none.
    adjusted_only : BoolArray
        The symbol's, or the underlying's, only price is an adjusted one: splits and dividends are in it
        already, but a strike is in no price.
    reasons : MaskArray
        What a model says of the price at the session or the exit, whichever counts.
    """

    price: FloatArray
    age: IntArray
    price_prev: FloatArray
    price_exit: FloatArray
    split: FloatArray
    split_since_entered: FloatArray
    dividend: FloatArray
    adjusted_only: BoolArray
    reasons: MaskArray


@dataclass(frozen=True, slots=True)
class Holding:
    """How each lot takes part in the snapshot of a session, ``(n_lots,)`` each.

    Attributes
    ----------
    is_open : BoolArray
        Held at the session's close.
    is_closed : BoolArray
        Leaves the book with this snapshot. A sale that became known late leaves it late: ``until`` is then
        before ``since``, and takes splits and dividends back that were booked after the sale.
    at_entry : BoolArray
        Bought since the previous snapshot: P&L counts from the entry price.
    earns : BoolArray
        Whether it has P&L: open or closed, and not of a first snapshot.
    since, until : DateArray
        Splits and dividends of the days in (since, until] are booked with this snapshot.
    """

    is_open: BoolArray
    is_closed: BoolArray
    at_entry: BoolArray
    earns: BoolArray
    since: DateArray
    until: DateArray


def holding_of(lots: Lots, portfolios: Portfolios, session: np.datetime64) -> Holding:
    """Tell which lots a snapshot has and which leave it, and over which days.

    A lot has no part in a session before its entry, or before it came into the system. One that was sold at
    or before ``prev``, and that the previous snapshot did not have, never was in our books.
    """
    prev = portfolios.prev[lots.portfolio]
    first = np.isnat(prev)
    here = (lots.entered_session <= session) & (lots.entry_date <= session)
    sold = lots.exit_date <= session
    is_closed = here & sold & ~first & (lots.held | (lots.exit_date > prev))
    at_entry = ~first & ~lots.held & (lots.entry_date > prev)
    is_open = here & ~sold
    since = np.where(first, session, np.where(at_entry, lots.entry_date, prev))
    until = np.where(is_closed, lots.exit_date, session)
    return Holding(is_open, is_closed, at_entry, (is_open | is_closed) & ~first, since, until)
