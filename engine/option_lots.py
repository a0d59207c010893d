"""Option lots of a book, priced by the model and revalued in a shock. Imports numpy alone.

Spot is the underlying's close, volatility its forecast of the next 21 sessions, the dividend yield its
profile's, and time runs in calendar days from the book's session.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from engine.book import SymbolBook
from engine.options import CALENDAR_DAYS, Contracts, OptionValues, option_prices, option_values
from engine.quality import reason_bit
from engine.typing import BoolArray, DateArray, FloatArray, IntArray, MaskArray
from engine.volatility import har_forecast

OPTION_MULTIPLIER = 100.0
OPTION_RATE = 0.04
GREEKS = ("delta", "gamma", "theta", "vega", "rho")
SMALLEST_MOVE = 1e-6  # a P&L over less of a move is all rounding

MODEL_PRICE = np.uint32(reason_bit("model_price"))
MODEL_VOL = np.uint32(reason_bit("model_vol"))
SPLIT_ADJUSTED = np.uint32(reason_bit("split_adjusted"))
NO_YIELD = np.uint32(reason_bit("no_dividend_yield"))


@dataclass(frozen=True, slots=True)
class OptionTerms:
    """Terms of the option lots among positions, ``(n_lots,)`` each.

    ``underlying`` is empty, ``strike`` NaN and ``expiration`` NaT for a lot that is no option, or whose terms
    nobody knows. ``adjusted``: a split since the lot was entered has changed its strike.
    """

    underlying: tuple[str, ...]
    strike: FloatArray
    expiration: DateArray
    is_call: BoolArray
    adjusted: BoolArray

    def take(self, lots: Sequence[int] | IntArray) -> "OptionTerms":
        """Return the terms of some lots, in their order."""
        chosen = np.asarray(lots, dtype=np.int64)
        underlying = tuple(self.underlying[lot] for lot in chosen.tolist())
        return OptionTerms(
            underlying,
            self.strike[chosen],
            self.expiration[chosen],
            self.is_call[chosen],
            self.adjusted[chosen],
        )

    def over_splits(self, factors: FloatArray) -> "OptionTerms":
        """Return the terms after splits into ``factors`` ``(n_lots,)`` new shares per old one.

        The strike is divided; the contracts, still on 100 shares, are the caller's to multiply. The clearing
        house does this in whole splits. In others it changes what a contract delivers, to the same worth, and
        it rounds strikes, which is left out.
        """
        return replace(self, strike=self.strike / factors, adjusted=self.adjusted | (factors != 1.0))

    def expired(self, session: np.datetime64) -> BoolArray:
        """Which lots are gone by a session ``(n_lots,)``; on its last day an option still has a value."""
        return self.expiration < session


def no_terms(n_lots: int) -> OptionTerms:
    """Return terms of lots none of which is an option."""
    return OptionTerms(
        ("",) * n_lots,
        np.full(n_lots, np.nan),
        np.full(n_lots, np.datetime64("NaT", "D")),
        np.zeros(n_lots, dtype=np.bool_),
        np.zeros(n_lots, dtype=np.bool_),
    )


def joined_terms(parts: Sequence[OptionTerms]) -> OptionTerms:
    """Put terms side by side, at least one."""
    return OptionTerms(
        tuple(chain.from_iterable(part.underlying for part in parts)),
        np.concatenate([part.strike for part in parts]),
        np.concatenate([part.expiration for part in parts]),
        np.concatenate([part.is_call for part in parts]),
        np.concatenate([part.adjusted for part in parts]),
    )


@dataclass(frozen=True, slots=True)
class OptionLots:
    """Option lots that have a model price, ``(n,)`` each.

    Attributes
    ----------
    lots : IntArray
        Place of each among the positions, ascending.
    rows : IntArray
        Its underlying's row in the book.
    shares : FloatArray
        Signed: contracts · 100.
    contracts : Contracts
    spot, volatility : FloatArray
        Close of the underlying, in currency, and its volatility, decimals a year; 0 at expiration, where it
        has no part in the value.
    dividend_yield : FloatArray
        Of the underlying, continuous, a year; 0 where nobody knows it.
    values : OptionValues
        Price and greeks of one share.
    rate : float
        Continuous, a year.
    """

    lots: IntArray
    rows: IntArray
    shares: FloatArray
    contracts: Contracts
    spot: FloatArray
    volatility: FloatArray
    dividend_yield: FloatArray
    values: OptionValues
    rate: float

    @property
    def delta_value(self) -> FloatArray:
        """Value of the underlying that moves as each lot does, in currency."""
        return self.values.delta * self.spot * self.shares

    @property
    def greeks(self) -> dict[str, FloatArray]:
        """Each of ``GREEKS`` of the lots as held, ``(n,)``: that of one share times the shares, signed."""
        return {name: getattr(self.values, name) * self.shares for name in GREEKS}

    def pnl(self, moves: FloatArray) -> FloatArray:
        """Revalue each lot in full where its underlying moves by ``moves`` ``(n_scenarios, n)``, decimals.

        Volatility and time stay; no underlying falls below 0. Returns P&L in currency, of the same shape.
        """
        spot = self.spot * np.maximum(1.0 + moves, 0.0)
        moved = option_prices(
            self.contracts, spot, self.volatility, rate=self.rate, dividend_yield=self.dividend_yield
        )
        return self.shares * (moved - self.values.price)

    def slopes(self, moves: FloatArray) -> FloatArray:
        """P&L in full over the move that makes it, ``(n_scenarios, n)``: ``delta_value`` for no move."""
        still = np.abs(moves) < SMALLEST_MOVE
        return np.where(still, self.delta_value, self.pnl(moves) / np.where(still, 1.0, moves))


def price_options(
    book: SymbolBook,
    terms: OptionTerms,
    lots: IntArray,
    quantity: FloatArray,
    spot: FloatArray,
    *,
    rate: float = OPTION_RATE,
) -> tuple[OptionLots, MaskArray]:
    """Price the option lots at places ``lots`` of the positions.

    ``terms``, ``quantity`` (signed contracts) and ``spot`` (NaN for none) are of these lots alone, ``(n,)``.
    An expired option is worth what exercise pays at the spot. Returns the lots that have a price, and the
    reasons of all of them ``(n,)``; without a forecast there is no price, and its reasons say why.
    """
    rows = book.rows(terms.underlying)
    years = (terms.expiration - book.as_of) / np.timedelta64(1, "D") / CALENDAR_DAYS
    known = (rows >= 0) & (spot > 0) & (terms.strike > 0) & np.isfinite(years)
    alive = known & (years > 0)
    volatility, reasons = _forecasts(book, rows, alive)
    priced = known & np.isfinite(volatility)
    contracts = Contracts(terms.strike[priced], years[priced], terms.is_call[priced])
    living, dividend_yield = priced & alive, book.dividend_yields[rows[priced]]
    reasons |= np.where(priced, MODEL_PRICE, 0) | np.where(living, MODEL_VOL, 0)
    reasons[priced] |= np.where(living[priced] & np.isnan(dividend_yield), NO_YIELD, 0)
    reasons |= np.where(priced & terms.adjusted, SPLIT_ADJUSTED, 0)
    dividend_yield = np.nan_to_num(dividend_yield)
    found = OptionLots(
        lots=lots[priced],
        rows=rows[priced],
        shares=quantity[priced] * OPTION_MULTIPLIER,
        contracts=contracts,
        spot=spot[priced],
        volatility=volatility[priced],
        dividend_yield=dividend_yield,
        values=option_values(
            contracts, spot[priced], volatility[priced], rate=rate, dividend_yield=dividend_yield
        ),
        rate=rate,
    )
    return found, reasons


def _forecasts(book: SymbolBook, rows: IntArray, alive: BoolArray) -> tuple[FloatArray, MaskArray]:
    """Forecast the volatility of the living lots' underlyings, 0 for the others; say why one is missing."""
    volatility = np.zeros(len(rows))
    reasons = np.zeros(len(rows), dtype=np.uint32)
    distinct, place = np.unique(rows[alive], return_inverse=True)
    forecast = har_forecast(book.returns[distinct])
    volatility[alive] = forecast.volatility[place]
    reasons[alive] = forecast.reasons[place]
    return volatility, reasons
