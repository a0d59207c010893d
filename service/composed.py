"""Stored portfolios composed on the live book, each once per release and revision."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from threading import Lock
from typing import Any, TypeAlias, TypeVar

import numpy as np

from engine.analysis import Correlations, PortfolioVolatility, correlations, portfolio_volatility
from engine.composition import (
    FactorExposures,
    Holdings,
    ModelRisk,
    factor_exposures,
    holdings_of,
    model_risk,
)
from engine.concentration import Concentration, SectorWeights, concentration, sector_weights
from engine.stress import StressResult, stress
from engine.valuation import Positions, Valuation, joined, value_positions
from service.live_book import Accounts, Market
from service.lots import is_expired, positions_of
from service.splits import in_shares_of
from storage.ledger import Ledger
from storage.portfolios import Portfolio
from storage.position_queries import Position

T = TypeVar("T")
Snapshot: TypeAlias = dict[str, Any]  # a row of portfolio_snapshots
KEPT = 512


@dataclass(frozen=True)
class Composed:
    """A portfolio's open positions and what one release says about them, each part when it is asked for.

    ``equity`` is the account's net asset value by its newest ``snapshot``, as entered before the first one;
    None for the sum of its parts. ``expired`` are the symbols of options that are no longer in the book.
    """

    market: Market
    positions: Positions
    equity: float | None
    portfolio: Portfolio | None = None
    held: tuple[Position, ...] = ()
    snapshot: Snapshot | None = None
    expired: tuple[str, ...] = ()

    @cached_property
    def places(self) -> dict[str, int]:
        """Place of each stored position, by its id."""
        return {position.position_id: place for place, position in enumerate(self.held)}

    @cached_property
    def valuation(self) -> Valuation:
        """Lots at the book's closes."""
        market = self.market
        return value_positions(
            market.book, self.positions, equity=self.equity, option_rate=market.option_rate
        )

    @cached_property
    def holdings(self) -> Holdings:
        """Economic values by symbol."""
        return holdings_of(self.valuation)

    @cached_property
    def exposures(self) -> FactorExposures:
        """Exposure to each factor."""
        return factor_exposures(self.market.book, self.holdings, self.valuation.weight_base)

    @cached_property
    def volatility(self) -> PortfolioVolatility:
        """Volatility of today's weights."""
        return portfolio_volatility(self.market.book, self.holdings, self.valuation.weight_base)

    @cached_property
    def risk(self) -> ModelRisk:
        """Risk by the joint model."""
        return model_risk(self.market.book, self.holdings, self.valuation.weight_base)

    @cached_property
    def concentration(self) -> Concentration:
        """Concentration over symbols."""
        return concentration(self.positions, self.valuation)

    @cached_property
    def sectors(self) -> SectorWeights:
        """Weights by sector."""
        return sector_weights(self.market.book, self.positions, self.valuation, self.market.benchmark)

    @cached_property
    def stress(self) -> StressResult:
        """P&L in every scenario."""
        return stress(self.market.book, self.holdings)

    def correlations(self, lookback: int, min_overlap: int, max_symbols: int) -> Correlations:
        """Correlations of the largest holdings."""
        return correlations(
            self.market.book,
            self.holdings,
            lookback=lookback,
            min_overlap=min_overlap,
            max_symbols=max_symbols,
        )


def combined(composed: Sequence[Composed]) -> Composed:
    """Return several portfolios on one market as one: their positions side by side, their NAVs summed.

    Every number of it is computed anew, for volatility and the like are not means of the parts'.
    """
    positions = joined([one.positions for one in composed])
    nav = sum(one.valuation.nav for one in composed)
    held = tuple(chain.from_iterable(one.held for one in composed))
    expired = tuple(chain.from_iterable(one.expired for one in composed))
    return Composed(composed[0].market, positions, nav, held=held, expired=expired)


class Compositions:
    """Composes portfolios and keeps the newest results, and what was made of them; thread-safe."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._lock = ledger, Lock()
        self._kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def of(self, portfolio: Portfolio, market: Market, accounts: Accounts) -> Composed:
        """Compose a portfolio as the ledger had it when its revision was read, or later."""
        key = (portfolio.portfolio_id, portfolio.revision, market.book.release, accounts.release)
        snapshot = accounts.snapshots.get(portfolio.portfolio_id)
        return self.kept(key, lambda: self._compose(portfolio, market, snapshot))

    def found(self, key: tuple[Any, ...]) -> Any:
        """Return what is kept under a key, None for nothing."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def kept(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """Return what was made under a key, or make it; two threads may both make it."""
        found: T | None = self.found(key)
        if found is not None:
            return found
        made = make()
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return made

    def _compose(self, portfolio: Portfolio, market: Market, snapshot: Snapshot | None) -> Composed:
        stored = self._ledger.positions.of(portfolio.portfolio_id)
        stored = [each for each in stored if each.lot.exit_date is None]
        expired = tuple(each.lot.symbol for each in stored if is_expired(each.lot, market.session))
        held = tuple(each for each in stored if not is_expired(each.lot, market.session))
        places = {position.position_id: place for place, position in enumerate(held)}
        marks = {
            places[mark.position_id]: float(mark.price)
            for mark in self._ledger.positions.marks(portfolio.portfolio_id)
            if mark.position_id in places and mark.session <= market.session
        }
        started = portfolio.starting_session or market.session
        entered = np.array([each.entered_session or started for each in held], dtype="datetime64[D]")
        positions = positions_of([position.lot for position in held], marks)
        positions = in_shares_of(market.book.as_of, positions, entered, market.splits)
        equity = None if portfolio.starting_equity is None else float(portfolio.starting_equity)
        nav = equity if snapshot is None else snapshot["nav"]
        return Composed(market, positions, nav, portfolio, held, snapshot, expired)
