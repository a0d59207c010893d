"""What positions are worth: market value, exposures of the book, coverage. Imports numpy alone."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.book import SymbolBook
from engine.quality import reason_bit
from engine.typing import BoolArray, FloatArray, IntArray, MaskArray

Kind = Literal["public", "cash", "private", "option"]

MAX_PRICE_AGE = 5
OPTION_MULTIPLIER = 100.0


@dataclass(frozen=True, slots=True)
class Positions:
    """Open lots, column by column, ``(n_lots,)`` each.

    ``quantity`` is signed; ``entry_price`` is per share; ``manual_price`` is the owner's mark of a private
    position, NaN for none.
    """

    symbols: tuple[str, ...]
    quantity: FloatArray
    entry_price: FloatArray
    kinds: tuple[Kind, ...]
    manual_price: FloatArray

    def of_kind(self, kind: Kind) -> BoolArray:
        """Which lots are of a kind, ``(n_lots,)``."""
        return np.array([each == kind for each in self.kinds], dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Valuation:
    """Lots valued as of the book's session, and the exposures they add up to.

    Attributes
    ----------
    rows : IntArray
        ``(n_lots,)`` row in the book, -1 for none.
    price, market_value, economic_value, unrealized_pnl, cost_basis : FloatArray
        ``(n_lots,)`` in currency, signed; NaN for a lot that has no price (``reasons`` says why). Economic
        value carries factor exposure and risk; it is NaN too for cash and private lots, which have none.
    reasons : MaskArray
        ``(n_lots,)``.
    nav, cash, long, short, gross, net : float
        In currency. ``nav`` is the equity given, else the sum of all values; cash = nav − net.
    leverage : float
        gross / nav; NaN when nav ≤ 0, as are all weights.
    coverage : float
        Share of the book that has a value; a lot without one counts with its cost basis.
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

    @property
    def weight_base(self) -> float:
        """NAV as the divisor of weights: NaN when it is not positive."""
        return self.nav if self.nav > 0 else np.nan


def value_positions(book: SymbolBook, positions: Positions, *, equity: float | None = None) -> Valuation:
    """Value every lot at the book's closes.

    A public lot takes the close at as_of, else the last one within five sessions (``stale_price``); cash
    lots have price 1 and are part of cash; a private lot takes its manual price, else its entry price
    (``entry_price_mark``). Whatever has no price is left out of every sum and keeps its reason.
    """
    rows = book.rows(positions.symbols)
    price, reasons = _prices(book, positions, rows)
    cash_lot, private, option = (positions.of_kind(kind) for kind in ("cash", "private", "option"))
    multiplier = np.where(option, OPTION_MULTIPLIER, 1.0)
    market_value = positions.quantity * price * multiplier
    cost_basis = positions.quantity * positions.entry_price * multiplier
    valued = np.isfinite(market_value)
    held = np.where(valued & ~cash_lot, market_value, 0.0)
    long, short = float(held[held > 0].sum()), float(held[held < 0].sum())
    net, gross = long + short, long - short
    nav = float(market_value[valued].sum()) if equity is None else float(equity)
    estimated = np.abs(np.where(valued, market_value, cost_basis))
    total = float(estimated.sum())
    return Valuation(
        rows=rows,
        price=price,
        market_value=market_value,
        economic_value=np.where(cash_lot | private, np.nan, market_value),
        unrealized_pnl=market_value - cost_basis,
        cost_basis=cost_basis,
        reasons=reasons,
        nav=nav,
        cash=nav - net,
        long=long,
        short=short,
        gross=gross,
        net=net,
        leverage=gross / nav if nav > 0 else np.nan,
        coverage=float(estimated[valued].sum()) / total if total > 0 else np.nan,
    )


def _prices(book: SymbolBook, positions: Positions, rows: IntArray) -> tuple[FloatArray, MaskArray]:
    """Price of each lot, NaN for none, and the reasons that go with it."""
    public, cash, private, option = (positions.of_kind(k) for k in ("public", "cash", "private", "option"))
    known = public & (rows >= 0)
    age = np.where(known, _at(book.close_age, rows), -1)
    recent = known & (age >= 0) & (age <= MAX_PRICE_AGE)
    unmarked = private & np.isnan(positions.manual_price)
    price = np.where(recent, _at(book.close, rows), np.nan)
    price = np.where(cash, 1.0, price)
    price = np.where(private, np.where(unmarked, positions.entry_price, positions.manual_price), price)
    conditions = {
        "unknown_symbol": public & (rows < 0),
        "no_price": known & ~recent,
        "stale_price": recent & (age > 0),
        "option_not_priced": option,
        "entry_price_mark": unmarked,
    }
    reasons = np.zeros(len(rows), dtype=np.uint32)
    for name, where in conditions.items():
        reasons |= np.where(where, np.uint32(reason_bit(name)), np.uint32(0))
    return price, reasons


def _at(values: np.ndarray, rows: IntArray) -> np.ndarray:
    """Values of the rows; what stands for row -1 is for the caller to leave out."""
    return values[rows] if len(values) else np.full(len(rows), np.nan)
