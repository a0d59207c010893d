"""Many portfolios composed from the book at once; imports numpy.

What is said of one portfolio in ``engine.composition``, ``engine.volatility`` and ``engine.concentration``
holds for each of them: the numbers are those of one portfolio alone, to rounding.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.book import SymbolBook
from engine.composition import (
    SERIES_SESSIONS,
    FactorExposures,
    counting_returns,
    exposure_sums,
    weighted_returns,
)
from engine.lots import CASH, OPTION, PRIVATE, PUBLIC
from engine.option_lots import OPTION_MULTIPLIER, OPTION_RATE, OptionLots, OptionTerms, price_options
from engine.typing import FloatArray, IntArray
from engine.valuation import MAX_PRICE_AGE
from engine.volatility import har_forecast, realized_volatility, volatility_percentile, volatility_trend


@dataclass(frozen=True, slots=True)
class OpenLots:
    """Open lots of many portfolios, ``(n_lots,)`` each.

    Attributes
    ----------
    portfolio : IntArray
        Index of the lot's portfolio.
    kind : IntArray
        Of ``engine.lots``.
    rows : IntArray
        Row in the book of a public lot, or of an option's underlying; -1 for none.
    quantity, entry_price : FloatArray
        In shares of the book's session.
    terms : OptionTerms or None
        Of the options among the lots, in their order; None without any.
    """

    portfolio: IntArray
    kind: IntArray
    rows: IntArray
    quantity: FloatArray
    entry_price: FloatArray
    terms: OptionTerms | None


@dataclass(frozen=True, slots=True)
class ManyHoldings:
    """Economic values of portfolios by symbol.

    Attributes
    ----------
    starts : IntArray
        ``(n_portfolios + 1,)``: those of portfolio p are ``starts[p]`` up to ``starts[p + 1]``.
    rows, values : IntArray, FloatArray
        ``(n,)`` of the book, ascending in each portfolio, and in currency.
    unvalued : FloatArray
        ``(n_portfolios,)`` cost basis of lots without a value, absolute.
    nav : FloatArray
        ``(n_portfolios,)`` what weights are divided by; NaN where it is not positive.
    options : OptionLots or None
        All options with a price, ``option_portfolio`` ``(n_options,)`` of each.
    """

    starts: IntArray
    rows: IntArray
    values: FloatArray
    unvalued: FloatArray
    nav: FloatArray
    options: OptionLots | None
    option_portfolio: IntArray

    @property
    def portfolio(self) -> IntArray:
        """Portfolio of each holding ``(n,)``."""
        return np.repeat(np.arange(len(self.nav)), np.diff(self.starts))

    @property
    def gross(self) -> FloatArray:
        """Σ|E| of each portfolio, lots without a value included at their cost basis."""
        return self._sums(np.abs(self.values)) + self.unvalued

    def _sums(self, amounts: FloatArray) -> FloatArray:
        return np.bincount(self.portfolio, amounts, minlength=len(self.nav)).astype(np.float64, copy=False)


def holdings_of_many(
    book: SymbolBook, lots: OpenLots, nav: FloatArray, *, option_rate: float = OPTION_RATE
) -> ManyHoldings:
    """Value the lots at the book's closes, and sum their economic values by portfolio and symbol."""
    listed = ((lots.kind == PUBLIC) | (lots.kind == OPTION)) & (lots.rows >= 0)
    rows = np.where(listed, lots.rows, -1)
    age = np.append(book.close_age, -1)[rows]
    recent = listed & (age >= 0) & (age <= MAX_PRICE_AGE)
    spot = np.where(recent, np.append(book.close, np.nan)[rows], np.nan)
    value = np.where(lots.kind == PUBLIC, lots.quantity * spot, np.nan)
    options, chosen = None, np.flatnonzero(lots.kind == OPTION)
    if lots.terms is not None and len(chosen):
        quantity = lots.quantity[chosen]
        options, _ = price_options(book, lots.terms, chosen, quantity, spot[chosen], rate=option_rate)
        value[options.lots] = options.delta_value
    held = np.isfinite(value)
    keys, place = np.unique(lots.portfolio[held] * len(book.symbols) + rows[held], return_inverse=True)
    owner, row = np.divmod(keys, max(1, len(book.symbols)))
    lost = np.isnan(value) & (lots.kind != CASH) & (lots.kind != PRIVATE)
    cost = lots.quantity * lots.entry_price * np.where(lots.kind == OPTION, OPTION_MULTIPLIER, 1.0)
    unvalued = np.bincount(lots.portfolio[lost], np.abs(cost[lost]), minlength=len(nav))
    return ManyHoldings(
        starts=np.searchsorted(owner, np.arange(len(nav) + 1)),
        rows=row,
        values=np.bincount(place, value[held], minlength=len(keys)).astype(np.float64, copy=False),
        unvalued=unvalued.astype(np.float64, copy=False),
        nav=np.where(nav > 0, nav, np.nan),
        options=options,
        option_portfolio=np.zeros(0, np.int64) if options is None else lots.portfolio[options.lots],
    )


def exposures_of_many(book: SymbolBook, held: ManyHoldings) -> FactorExposures:
    """Compose factor exposures, ``(n_portfolios, n_factors)`` each, as ``factor_exposures`` does for one."""
    sums = exposure_sums(held.starts, held.rows, held.values, book.betas, book.standard_errors)
    dollar, variance, covered = sums
    nav, gross = held.nav[:, None], held.gross
    with np.errstate(divide="ignore", invalid="ignore"):
        dollar = np.where(covered > 0, dollar, np.nan)
        return FactorExposures(
            names=book.factor_names,
            exposure_dollar=dollar,
            beta=dollar / nav,
            standard_error=np.where(covered > 0, np.sqrt(variance), np.nan) / nav,
            coverage=covered / np.where(gross > 0, gross, np.nan)[:, None],
        )


@dataclass(frozen=True, slots=True)
class ManyVolatilities:
    """Volatility of today's weights, ``(n_portfolios,)`` each, annualized decimals; NaN or null for none."""

    realized_21d: FloatArray
    realized_63d: FloatArray
    forecast: FloatArray
    trend: pl.Series
    percentile: FloatArray


def volatilities_of_many(book: SymbolBook, held: ManyHoldings) -> ManyVolatilities:
    """Measure volatilities over replayed returns, as ``portfolio_volatility`` does for one."""
    first = max(0, len(book.sessions) - SERIES_SESSIONS)
    weights = held.values / held.nav[held.portfolio]
    sums = weighted_returns(held.starts, held.rows, weights, book.returns, first)
    returns, _ = counting_returns(*sums[:3])
    short, middle = realized_volatility(returns, 21), realized_volatility(returns, 63)
    return ManyVolatilities(
        realized_21d=short,
        realized_63d=middle,
        forecast=har_forecast(returns).volatility,
        trend=volatility_trend(short, middle),
        percentile=volatility_percentile(returns)[0],
    )


def herfindahl_of_many(
    portfolio: IntArray, symbol: IntArray, values: FloatArray, n_portfolios: int
) -> FloatArray:
    """Return Herfindahl–Hirschman indices ``(n_portfolios,)``; NaN without a valued position.

    Parameters
    ----------
    portfolio, symbol : IntArray
        ``(n_lots,)`` index of each lot's portfolio, and code of its own symbol.
    values : FloatArray
        ``(n_lots,)`` market values in currency, NaN for a lot that does not count.
    """
    counts = np.isfinite(values)
    width = int(symbol.max(initial=0)) + 1
    keys, place = np.unique(portfolio[counts] * width + symbol[counts], return_inverse=True)
    owner, size = keys // width, np.abs(np.bincount(place, values[counts], minlength=len(keys)))
    total = np.bincount(owner, size, minlength=n_portfolios)
    squares = np.bincount(owner, size * size, minlength=n_portfolios)
    with np.errstate(divide="ignore", invalid="ignore"):
        hhi: FloatArray = np.where(total > 0, 1e4 * squares / (total * total), np.nan)
    return hhi
