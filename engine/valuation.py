"""What positions are worth: market value, exposures of the book, coverage. Imports numpy alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

import numpy as np

from engine.book import SymbolBook
from engine.option_lots import (
    OPTION_MULTIPLIER,
    OPTION_RATE,
    OptionLots,
    OptionTerms,
    joined_terms,
    no_terms,
    price_options,
)
from engine.quality import reason_bit
from engine.typing import BoolArray, FloatArray, IntArray, MaskArray

Kind = Literal["public", "cash", "private", "option"]

MAX_PRICE_AGE = 5


@dataclass(frozen=True, slots=True)
class Positions:
    """Open lots, column by column, ``(n_lots,)`` each.

    ``quantity`` is signed; ``entry_price`` is per share; ``manual_price`` is the owner's mark of a private
    position, NaN for none. ``options`` has the terms of the option lots: without them they have no price.
    """

    symbols: tuple[str, ...]
    quantity: FloatArray
    entry_price: FloatArray
    kinds: tuple[Kind, ...]
    manual_price: FloatArray
    options: OptionTerms | None = None

    def of_kind(self, kind: Kind) -> BoolArray:
        """Which lots are of a kind, ``(n_lots,)``."""
        return np.array([each == kind for each in self.kinds], dtype=np.bool_)

    def take(self, lots: Sequence[int] | IntArray) -> "Positions":
        """Return some of the lots, in the order given."""
        chosen = np.asarray(lots, dtype=np.int64)
        return Positions(
            symbols=tuple(self.symbols[lot] for lot in chosen.tolist()),
            quantity=self.quantity[chosen],
            entry_price=self.entry_price[chosen],
            kinds=tuple(self.kinds[lot] for lot in chosen.tolist()),
            manual_price=self.manual_price[chosen],
            options=None if self.options is None else self.options.take(chosen),
        )

    def over_splits(self, factors: FloatArray) -> "Positions":
        """Return the lots after splits into ``factors`` ``(n_lots,)`` new shares per old one, 1 for none."""
        return replace(
            self,
            quantity=self.quantity * factors,
            entry_price=self.entry_price / factors,
            options=None if self.options is None else self.options.over_splits(factors),
        )

    @property
    def listed(self) -> tuple[str, ...]:
        """Symbol whose close each lot is valued from: an option's underlying where it is known."""
        if self.options is None:
            return self.symbols
        pairs = zip(self.options.underlying, self.symbols, strict=True)
        return tuple(underlying or symbol for underlying, symbol in pairs)


def joined(parts: Sequence[Positions]) -> Positions:
    """Put positions side by side, at least one, as those of one book."""
    terms = None
    if any(part.options is not None for part in parts):
        terms = joined_terms([part.options or no_terms(len(part.symbols)) for part in parts])
    return Positions(
        symbols=tuple(chain.from_iterable(part.symbols for part in parts)),
        quantity=np.concatenate([part.quantity for part in parts]),
        entry_price=np.concatenate([part.entry_price for part in parts]),
        kinds=tuple(chain.from_iterable(part.kinds for part in parts)),
        manual_price=np.concatenate([part.manual_price for part in parts]),
        options=terms,
    )


@dataclass(frozen=True, slots=True)
class Valuation:
    """Lots valued as of the book's session, and the exposures they add up to.

    Attributes
    ----------
    rows : IntArray
        ``(n_lots,)`` row in the book that the economic value belongs to, an option's underlying; -1 for none.
    price, market_value, economic_value, unrealized_pnl, cost_basis : FloatArray
        ``(n_lots,)`` in currency, signed; NaN for a lot that has no price (``reasons`` says why). Economic
        value carries factor exposure and risk, of an option delta · spot · shares of the underlying; it is
        NaN too for cash and private lots, which have none.
    reasons : MaskArray
        ``(n_lots,)``.
    nav, cash, long, short, gross, net : float
        In currency. ``nav`` is the equity given, else the sum of all values; cash = nav − net.
    leverage : float
        gross / nav; NaN when nav ≤ 0, as are all weights.
    coverage : float
        Share of the book that has a value; a lot without one counts with its cost basis.
    options : OptionLots or None
        The option lots that have a price; None where no terms of options were given.
    """

    rows: IntArray
    price: FloatArray
    market_value: FloatArray
    economic_value: FloatArray
    unrealized_pnl: FloatArray
    cost_basis: FloatArray
    reasons: MaskArray
    nav: float
    cash: float
    long: float
    short: float
    gross: float
    net: float
    leverage: float
    coverage: float
    options: OptionLots | None = None

    @property
    def weight_base(self) -> float:
        """NAV as the divisor of weights: NaN when it is not positive."""
        return self.nav if self.nav > 0 else np.nan


def value_positions(
    book: SymbolBook, positions: Positions, *, equity: float | None = None, option_rate: float = OPTION_RATE
) -> Valuation:
    """Value every lot at the book's closes.

    A public lot takes the close at as_of, else the last one within five sessions (``stale_price``); cash
    lots have price 1 and are part of cash; a private lot takes its manual price, else its entry price
    (``entry_price_mark``); an option with known terms takes the model's price (``model_price``) at such a
    close of its underlying, discounted with ``option_rate``, continuous, a year. Whatever has no price is
    left out of every sum and keeps its reason.
    """
    rows = book.rows(positions.listed)
    price, reasons, options = _prices(book, positions, rows, option_rate)
    cash_lot, private, option = (positions.of_kind(kind) for kind in ("cash", "private", "option"))
    multiplier = np.where(option, OPTION_MULTIPLIER, 1.0)
    market_value = positions.quantity * price * multiplier
    cost_basis = positions.quantity * positions.entry_price * multiplier
    economic_value = np.where(cash_lot | private, np.nan, market_value)
    if options is not None:
        economic_value[options.lots] = options.delta_value
    valued = np.isfinite(market_value)
    nav = float(market_value[valued].sum()) if equity is None else float(equity)
    return Valuation(
        rows=rows,
        price=price,
        market_value=market_value,
        economic_value=economic_value,
        unrealized_pnl=market_value - cost_basis,
        cost_basis=cost_basis,
        reasons=reasons,
        nav=nav,
        **_sides(np.where(valued & ~cash_lot, market_value, 0.0), nav),
        coverage=_coverage(market_value, cost_basis),
        options=options,
    )


def _sides(held: FloatArray, nav: float) -> dict[str, float]:
    """Long, short, gross and net of the lots' values, 0 for none, and what is left of the NAV beside them."""
    long, short = float(held[held > 0].sum()), float(held[held < 0].sum())
    net, gross = long + short, long - short
    return {
        "cash": nav - net,
        "long": long,
        "short": short,
        "gross": gross,
        "net": net,
        "leverage": gross / nav if nav > 0 else np.nan,
    }


def _coverage(market_value: FloatArray, cost_basis: FloatArray) -> float:
    """Share of the book, by absolute value, that has one."""
    valued = np.isfinite(market_value)
    estimated = np.abs(np.where(valued, market_value, cost_basis))
    total = float(estimated.sum())
    return float(estimated[valued].sum()) / total if total > 0 else np.nan


def _prices(
    book: SymbolBook, positions: Positions, rows: IntArray, option_rate: float
) -> tuple[FloatArray, MaskArray, OptionLots | None]:
    """Price of each lot, NaN for none, the reasons that go with it, and the options among them."""
    public, cash, private, option = (positions.of_kind(k) for k in ("public", "cash", "private", "option"))
    terms = positions.options
    listed = public
    if terms is not None:
        listed = public | option & np.array([name != "" for name in terms.underlying], dtype=np.bool_)
    known = listed & (rows >= 0)
    age = np.where(known, _at(book.close_age, rows), -1)
    recent = known & (age >= 0) & (age <= MAX_PRICE_AGE)
    unmarked = private & np.isnan(positions.manual_price)
    price = np.where(recent, _at(book.close, rows), np.nan)
    price = np.where(cash, 1.0, price)
    price = np.where(private, np.where(unmarked, positions.entry_price, positions.manual_price), price)
    conditions = {
        "unknown_symbol": listed & (rows < 0),
        "no_price": known & ~recent,
        "stale_price": recent & (age > 0),
        "entry_price_mark": unmarked,
    }
    reasons = np.zeros(len(rows), dtype=np.uint32)
    for name, where in conditions.items():
        reasons |= np.where(where, np.uint32(reason_bit(name)), np.uint32(0))
    lots = np.flatnonzero(option)
    return price, reasons, _price_options(book, positions, lots, price, reasons, rate=option_rate)


def _price_options(
    book: SymbolBook,
    positions: Positions,
    lots: IntArray,
    price: FloatArray,
    reasons: MaskArray,
    *,
    rate: float,
) -> OptionLots | None:
    """Put the options' prices, NaN for none, in place of their underlyings' closes, and note the reasons."""
    terms, spot, options = positions.options, price[lots], None
    price[lots] = np.nan
    if terms is not None and len(lots):
        quantity = positions.quantity[lots]
        options, noted = price_options(book, terms.take(lots), lots, quantity, spot, rate=rate)
        price[options.lots] = options.values.price
        reasons[lots] |= noted
    unpriced = lots[np.isnan(price[lots])]
    reasons[unpriced] |= np.uint32(reason_bit("option_not_priced"))
    return options


def _at(values: np.ndarray, rows: IntArray) -> np.ndarray:
    """Values of the rows; what stands for row -1 is for the caller to leave out."""
    return values[rows] if len(values) else np.full(len(rows), np.nan)
