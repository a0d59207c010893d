"""Options in snapshots: priced by the book of each session, as live analytics do, until they expire."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from engine.book import SymbolBook
from engine.lots import OPTION, LotPrices, Lots, Portfolios, holding_of
from engine.option_lots import OptionTerms
from engine.prices_asof import Market, split_factors
from engine.settlement import settled
from engine.typing import BoolArray, DateArray, FloatArray, IntArray, MaskArray
from engine.valuation import Kind, Positions, value_positions

BookOf: TypeAlias = Callable[[np.datetime64], SymbolBook | None]


@dataclass(frozen=True, slots=True)
class Options:
    """The options among all lots, and what they are priced from.

    Attributes
    ----------
    terms : OptionTerms
        ``(n_lots,)`` as entered.
    underlyings : IntArray
        ``(n_lots,)`` codes in ``market``, -1 for none.
    market : Market
    book_of : callable
        The book of the last session on or before a day, None when that one is not computed.
    rate : float
        Continuous, a year.
    """

    terms: OptionTerms
    underlyings: IntArray
    market: Market
    book_of: BookOf
    rate: float


def settle(options: Options, lots: Lots, session: np.datetime64) -> tuple[Lots, MaskArray]:
    """Let options that have expired leave the book; the reasons are those of their exit prices."""
    return settled(lots, options.terms, options.market, options.underlyings, session)


def with_options(
    options: Options, prices: LotPrices, lots: Lots, portfolios: Portfolios, session: np.datetime64
) -> LotPrices:
    """Put the options' prices among those of the other lots: now, at the previous snapshot, at the exit.

    The last two where nothing better is known: no price that the previous snapshot used, none entered.
    """
    holding, option = holding_of(lots, portfolios, session), lots.kind == OPTION
    prev, today = portfolios.prev[lots.portfolio], np.full(len(option), session)
    referred = lots.held & np.isfinite(lots.reference_price)
    exit_unknown = option & holding.is_closed & np.isnan(lots.exit_price)
    refers = option & holding.earns & ~holding.at_entry & ~referred
    now, reasons = _prices(options, lots, option & holding.is_open, today)
    then, _ = _prices(options, lots, refers, prev)
    last, reasons_last = _prices(options, lots, exit_unknown, lots.exit_date)
    return replace(
        prices,
        price=np.where(option, now, prices.price),
        price_prev=np.where(option, then, prices.price_prev),
        price_exit=np.where(option, last, prices.price_exit),
        reasons=prices.reasons | reasons | reasons_last,
    )


def terms_of(options: Options, lots: Lots, session: np.datetime64) -> OptionTerms:
    """Return the terms after the splits up to a session."""
    days = np.full(len(lots.kind), session)
    return options.terms.over_splits(
        split_factors(options.market, options.underlyings, lots.entered_session, days)
    )


def _prices(options: Options, lots: Lots, wanted: BoolArray, days: DateArray) -> tuple[FloatArray, MaskArray]:
    """Price some of the lots, each on a day of its own, ``(n_lots,)``; NaN for none, and the reasons."""
    price = np.full(len(wanted), np.nan)
    reasons = np.zeros(len(wanted), dtype=np.uint32)
    for day in np.unique(days[wanted]):
        rows, book = np.flatnonzero(wanted & (days == day)), options.book_of(day)
        if book is not None:
            terms = terms_of(options, lots, book.as_of).take(rows)
            value = value_positions(book, _contracts(terms), option_rate=options.rate)
            price[rows], reasons[rows] = value.price, value.reasons
    return price, reasons


def _contracts(terms: OptionTerms) -> Positions:
    """Return one contract of each of some terms."""
    n = len(terms.strike)
    nothing = np.full(n, np.nan)
    kind: Kind = "option"
    return Positions(("",) * n, np.ones(n), nothing, (kind,) * n, nothing, terms)
