"""Net asset value and P&L of many portfolios on one session; imports numpy alone.

NAV = NAV of the previous snapshot + price P&L + income + flows. Every figure of a lot is an array over the
lots of all portfolios, and every figure of a portfolio a sum over its lots.
"""

from dataclasses import dataclass

import numpy as np

from engine.lot_values import LotValues, value_lots
from engine.lots import CASH, LotPrices, Lots, Portfolios, holding_of
from engine.quality import DEGRADED, OK, REASONS, UNAVAILABLE, reason_bit
from engine.typing import BoolArray, FloatArray, IntArray, MaskArray


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Portfolios at the session's close, ``(n_portfolios,)`` each, in currency.

    Attributes
    ----------
    nav : FloatArray
        NAV of the previous snapshot + ``pnl`` + ``flow``. The first one is the starting equity, without one
        the sum of all values.
    cash : FloatArray
        nav − net: what is lent against the book shows as negative.
    long, short, gross, net : FloatArray
        Sums of signed market values over lots; cash lots are in none.
    pnl, income : FloatArray
        ``pnl`` contains ``income``; 0 in a first snapshot.
    flow : FloatArray
        Contributions − withdrawals, at the close; 0 in a first snapshot.
    simple_return : FloatArray
        pnl / NAV of the previous snapshot; NaN when that is not positive, and in a first snapshot.
    unrealized_pnl, realized_pnl : FloatArray
        Of the open lots with a price since entry; of the lots closed in this snapshot since entry.
    n_positions : IntArray
        Open lots but for cash.
    coverage : FloatArray
        Share of the book with a price; a lot without one counts with its cost. NaN without lots.
    reasons : MaskArray
        Of all lots that take part, and of the portfolio.
    quality : IntArray
        Level of ``engine.quality``.
    lots : LotValues
    """

    session: np.datetime64
    nav: FloatArray
    cash: FloatArray
    long: FloatArray
    short: FloatArray
    gross: FloatArray
    net: FloatArray
    pnl: FloatArray
    income: FloatArray
    flow: FloatArray
    simple_return: FloatArray
    unrealized_pnl: FloatArray
    realized_pnl: FloatArray
    n_positions: IntArray
    coverage: FloatArray
    reasons: MaskArray
    quality: IntArray
    lots: LotValues


def compute_snapshots(
    lots: Lots, prices: LotPrices, portfolios: Portfolios, session: np.datetime64
) -> Snapshots:
    """Take the snapshots of all portfolios on a session, each since its own previous one.

    A lot's price P&L is (P − P_ref)·q·multiplier. P is the price at the session; for a lot sold since, the
    exit price, else the close of the exit date, else P_ref. P_ref is the entry price of a lot bought since
    the previous snapshot; of one that it had, the last price used; else the price at ``prev``, be it known
    only now; else the entry price. Splits multiply q and divide P_ref and the entry price. Income is the
    dividend per share times q: shorts pay. Cash lots stand at 1.

    Parameters
    ----------
    lots : Lots
        Of all portfolios, closed ones as well: the days say which take part.
    prices : LotPrices
        ``(n_lots,)``, in the order of ``lots``.
    portfolios : Portfolios
    session : np.datetime64
        Later than every ``prev``.
    """
    if not np.all(np.isnat(portfolios.prev) | (portfolios.prev < session)):
        raise ValueError(f"a portfolio has a snapshot at or after {session} already")
    holding = holding_of(lots, portfolios, session)
    values = value_lots(lots, prices, holding, portfolios.prev[lots.portfolio], session)
    return _summed(lots, values, portfolios, session)


def _summed(lots: Lots, values: LotValues, portfolios: Portfolios, session: np.datetime64) -> Snapshots:
    def total(amounts: FloatArray) -> FloatArray:
        sums = np.bincount(lots.portfolio, amounts, minlength=len(portfolios.prev))
        return sums.astype(np.float64, copy=False)  # integers without a lot

    valued, cash_lot = ~np.isnan(values.market_value), lots.kind == CASH
    worth = np.where(valued, values.market_value, 0.0)
    held = np.where(cash_lot, 0.0, worth)
    long, short = total(np.maximum(held, 0.0)), total(np.minimum(held, 0.0))
    pnl, net = total(values.pnl), long + short
    nav, flow, simple_return = _rolled(portfolios, pnl, total(worth))
    unpriced = values.is_open & ~valued
    cost = np.abs(np.where(unpriced, lots.quantity * lots.entry_price * lots.multiplier, 0.0))
    priced_size = total(np.abs(worth))
    size = priced_size + total(cost)
    reasons = _reasons(lots, values, portfolios.nav_prev, nav)
    return Snapshots(
        session=session,
        nav=nav,
        cash=nav - net,
        long=long,
        short=short,
        gross=long - short,
        net=net,
        pnl=pnl,
        income=total(values.income),
        flow=flow,
        simple_return=simple_return,
        unrealized_pnl=total(np.where(valued, values.unrealized_pnl, 0.0)),
        realized_pnl=total(values.realized_pnl),
        n_positions=total(np.where(values.is_open & ~cash_lot, 1.0, 0.0)).astype(np.int64),
        coverage=np.divide(priced_size, size, out=np.full(len(nav), np.nan), where=size > 0),
        reasons=reasons,
        quality=np.where(np.isnan(nav), UNAVAILABLE, np.where(reasons > 0, DEGRADED, OK)),
        lots=values,
    )


def _rolled(
    portfolios: Portfolios, pnl: FloatArray, worth: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """NAV, flow and return of each portfolio; ``worth`` is the sum of its values, cash lots included."""
    first, before = np.isnat(portfolios.prev), portfolios.nav_prev
    start = np.where(np.isnan(before), worth, before)
    flow = np.where(first, 0.0, portfolios.flow)
    nav = np.where(first, start, before + pnl + flow)
    earned = np.divide(pnl, before, out=np.full(len(pnl), np.nan), where=~first & (before > 0))
    return nav, flow, earned


def _reasons(lots: Lots, values: LotValues, nav_prev: FloatArray, nav: FloatArray) -> MaskArray:
    """Reasons of each portfolio: those of its lots, and its own."""

    def has(which: BoolArray) -> BoolArray:
        return np.bincount(lots.portfolio[which], minlength=len(nav)) > 0

    seen = int(np.bitwise_or.reduce(values.reasons, initial=0))
    conditions = {
        name: has(values.reasons & np.uint32(1 << bit) > 0)
        for bit, name in enumerate(REASONS)
        if seen >> bit & 1
    }
    conditions["nav_not_positive"] = (nav <= 0) | (nav_prev <= 0)
    conditions["partial_coverage"] = has(values.is_open & np.isnan(values.market_value))
    reasons = np.zeros(len(nav), dtype=np.uint32)
    for name, where in conditions.items():
        reasons |= np.where(where, np.uint32(reason_bit(name)), np.uint32(0))
    return reasons
