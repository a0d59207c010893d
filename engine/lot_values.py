"""Lots of many portfolios on one session: what they are worth, and what they earned. Imports numpy alone."""

from dataclasses import dataclass

import numpy as np

from engine.lots import CASH, OPTION, PRIVATE, PUBLIC, Holding, LotPrices, Lots
from engine.quality import DEGRADED, OK, UNAVAILABLE, reason_bit
from engine.typing import BoolArray, DateArray, FloatArray, IntArray, MaskArray


@dataclass(frozen=True, slots=True)
class LotValues:
    """Lots at the session's close, ``(n_lots,)`` each, in currency.

    Attributes
    ----------
    is_open, is_closed : BoolArray
        Held at the close; sold in this snapshot. A lot that is neither has no part in it.
    quantity : FloatArray
        Signed, in shares of the session; of a closed lot, of its exit date.
    entry_price : FloatArray
        In shares of the session, as ``quantity``; 1 for cash.
    price : FloatArray
        Price used: at the session, or at the exit; NaN for none.
    market_value, unrealized_pnl : FloatArray
        Signed; NaN unless the lot is open and has a price.
    pnl, income : FloatArray
        ``pnl`` = price P&L + ``income`` since the previous snapshot. The price P&L of a lot without a price
        is 0; the next snapshot that has one makes it good.
    realized_pnl : FloatArray
        Of a closed lot, from entry to exit; 0 else.
    reference_price, reference_session : FloatArray, DateArray
        Price that the next snapshot's P&L counts from, in shares of this session, and the session that it is
        of: the last price used. Store both.
    reasons : MaskArray
    quality : IntArray
        Level of ``engine.quality``.
    """

    is_open: BoolArray
    is_closed: BoolArray
    quantity: FloatArray
    entry_price: FloatArray
    price: FloatArray
    market_value: FloatArray
    unrealized_pnl: FloatArray
    pnl: FloatArray
    income: FloatArray
    realized_pnl: FloatArray
    reference_price: FloatArray
    reference_session: DateArray
    reasons: MaskArray
    quality: IntArray


def value_lots(
    lots: Lots, prices: LotPrices, holding: Holding, prev: DateArray, session: np.datetime64
) -> LotValues:
    """Value lots as ``compute_snapshots`` says; ``prev`` is that of each lot's portfolio, ``(n_lots,)``."""
    cash = lots.kind == CASH
    in_shares = (lots.kind == PUBLIC) & ~prices.adjusted_only
    splits = in_shares | (lots.kind == OPTION)
    shares = np.where(splits, prices.split_since_entered, 1.0)
    quantity, entry = lots.quantity * shares, np.where(cash, 1.0, lots.entry_price / shares)
    before = _price_before(lots, prices, prev) / np.where(splits, prices.split, 1.0)
    unknown = ~cash & ~holding.at_entry & ~np.isfinite(before)
    reference = np.where(cash, 1.0, np.where(holding.at_entry | unknown, entry, before))
    price = np.where(holding.is_closed, _exit_price(lots, prices, reference), _price(lots, prices))
    price = np.where(holding.is_open | holding.is_closed, price, np.nan)
    size = quantity * lots.multiplier
    pays = holding.earns & in_shares & ~np.isnan(prices.dividend)
    income = np.where(pays, prices.dividend * size, 0.0)
    moved = np.where(holding.earns & ~np.isnan(price), (price - reference) * size, 0.0)
    valued = holding.is_open & ~np.isnan(price)
    kept = np.where(holding.earns & ~unknown, reference, np.nan)
    reasons = _reasons(lots, prices, holding, unknown)
    return LotValues(
        is_open=holding.is_open,
        is_closed=holding.is_closed,
        quantity=quantity,
        entry_price=entry,
        price=price,
        market_value=np.where(valued, price * size, np.nan),
        unrealized_pnl=np.where(valued, (price - entry) * size, np.nan),
        pnl=moved + income,
        income=income,
        realized_pnl=np.where(holding.is_closed, (price - entry) * size, 0.0),
        reference_price=np.where(valued, price, kept),
        reference_session=np.where(valued, session, lots.reference_session),
        reasons=reasons,
        quality=_quality(reasons),
    )


def _price_before(lots: Lots, prices: LotPrices, prev: DateArray) -> FloatArray:
    """Price that P&L counts from unless it is the entry price, in shares of ``prev``; NaN for none.

    A source of adjusted prices alone restates them at every split and dividend: what it says now of the
    session of the last price goes with what it says of today, the price once used does not.
    """
    public = lots.kind == PUBLIC
    restated = (
        public & prices.adjusted_only & (lots.reference_session == prev) & np.isfinite(prices.price_prev)
    )
    used = lots.held & np.isfinite(lots.reference_price) & ~restated
    return np.where(used, lots.reference_price, prices.price_prev)


def _price(lots: Lots, prices: LotPrices) -> FloatArray:
    unmarked = (lots.kind == PRIVATE) & np.isnan(prices.price)
    return np.where(lots.kind == CASH, 1.0, np.where(unmarked, lots.entry_price, prices.price))


def _exit_price(lots: Lots, prices: LotPrices, reference: FloatArray) -> FloatArray:
    close = np.where(np.isnan(prices.price_exit), reference, prices.price_exit)
    entered = np.where(np.isnan(lots.exit_price), close, lots.exit_price)
    return np.where(lots.kind == CASH, 1.0, entered)


def _reasons(lots: Lots, prices: LotPrices, holding: Holding, unknown: BoolArray) -> MaskArray:
    """Reasons of the lots that take part."""
    public, private, option = (lots.kind == kind for kind in (PUBLIC, PRIVATE, OPTION))
    is_open, closed = holding.is_open, holding.is_closed & (lots.kind != CASH)
    unpriced, no_exit = np.isnan(prices.price), np.isnan(lots.exit_price)
    lost = closed & no_exit & np.isnan(prices.price_exit)
    conditions = {
        "no_price": (is_open & public & unpriced) | lost,
        "option_not_priced": is_open & option & unpriced,
        "stale_price": is_open & public & ~unpriced & (prices.age > 0),
        "entry_price_mark": is_open & private & unpriced,
        "entry_price_reference": holding.earns & unknown & ~private,
        "exit_price_missing": closed & no_exit,
        "adjusted_only": (is_open | closed) & (public | option) & prices.adjusted_only,
        "price_return": holding.earns & public & ~prices.adjusted_only & np.isnan(prices.dividend),
    }
    reasons = np.where(is_open | closed, prices.reasons, 0).astype(np.uint32)
    for name, where in conditions.items():
        reasons |= np.where(where, np.uint32(reason_bit(name)), np.uint32(0))
    return reasons


def _quality(reasons: MaskArray) -> IntArray:
    missing = reasons & np.uint32(reason_bit("no_price") | reason_bit("option_not_priced")) > 0
    return np.where(missing, UNAVAILABLE, np.where(reasons > 0, DEGRADED, OK))
