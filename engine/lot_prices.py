"""What the market says about the lots of a snapshot; imports numpy and polars."""

import numpy as np
import polars as pl

from engine.lots import OPTION, PUBLIC, LotPrices, Lots, Portfolios, holding_of
from engine.prices_asof import Market, closes_asof, dividends_per_share, is_adjusted_only, split_factors


def lot_prices(
    market: Market, lots: Lots, symbols: pl.Series, portfolios: Portfolios, session: np.datetime64
) -> LotPrices:
    """Look up closes, splits and dividends of public lots, and the splits of options' underlyings.

    Lots of other kinds than public have no price here.

    Parameters
    ----------
    market : Market
        Reaches back to five sessions before the earliest ``prev`` and the earliest exit that is to be booked;
        its actions to the earliest ``entered_session``.
    symbols : pl.Series
        ``(n_lots,)`` strings, in the order of ``lots``; of options the underlyings.
    """
    holding = holding_of(lots, portfolios, session)
    listed = np.where((lots.kind == PUBLIC) | (lots.kind == OPTION), market.codes_of(symbols), -1)
    codes = np.where(lots.kind == PUBLIC, listed, -1)
    today = np.full(len(codes), session)
    price, age = closes_asof(market, codes, today)
    return LotPrices(
        price=price,
        age=age,
        price_prev=closes_asof(market, codes, portfolios.prev[lots.portfolio])[0],
        price_exit=closes_asof(market, codes, np.minimum(lots.exit_date, today))[0],
        split=split_factors(market, listed, holding.since, holding.until),
        split_since_entered=split_factors(market, listed, lots.entered_session, holding.until),
        dividend=dividends_per_share(market, codes, holding.since, holding.until),
        adjusted_only=is_adjusted_only(market, listed, today),
        reasons=np.zeros(len(codes), dtype=np.uint32),
    )
