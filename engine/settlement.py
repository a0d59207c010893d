"""Options that expire in a book: when they leave it, and for what. Imports numpy alone."""

from dataclasses import replace

import numpy as np

from engine.lots import OPTION, Lots
from engine.option_lots import OptionTerms
from engine.options import Contracts, option_prices
from engine.prices_asof import Market, closes_asof, split_factors
from engine.quality import reason_bit
from engine.typing import IntArray, MaskArray


def settled(
    lots: Lots, terms: OptionTerms, market: Market, underlyings: IntArray, session: np.datetime64
) -> tuple[Lots, MaskArray]:
    """Let options that outlived their expiration leave the book on the day after it, for what exercise pays.

    On its last day an option is still there, at the same price. It pays by its underlying's close of that
    day, else the last one within five sessions (``stale_price``); without one the exit price is missing. A
    price that its owner entered for a later exit stays.

    Parameters
    ----------
    terms : OptionTerms
        ``(n_lots,)`` as entered.
    underlyings : IntArray
        ``(n_lots,)`` codes in the market, -1 for none.

    Returns
    -------
    lots : Lots
        With exit dates and exit prices of the options that have expired by the session.
    reasons : MaskArray
        ``(n_lots,)`` of these prices.
    """
    sold = lots.exit_date <= terms.expiration
    expired = (lots.kind == OPTION) & terms.expired(session) & ~sold
    last_day = np.where(expired, terms.expiration, np.datetime64("NaT", "D"))
    gone = np.where(expired, last_day + 1, lots.exit_date)
    spot, age = closes_asof(market, underlyings, last_day)
    nothing = np.zeros(len(spot))
    strike = terms.strike / split_factors(market, underlyings, lots.entered_session, last_day)
    paid = option_prices(Contracts(strike, nothing, terms.is_call), spot, nothing, rate=0.0)
    paid /= split_factors(market, underlyings, last_day, gone)
    settles = expired & np.isnan(lots.exit_price)
    stale = np.where(settles & (age > 0), np.uint32(reason_bit("stale_price")), np.uint32(0))
    return replace(lots, exit_date=gone, exit_price=np.where(settles, paid, lots.exit_price)), stale
