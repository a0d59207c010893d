"""Stored portfolios composed on the live book, each once per release and revision."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import chain
from typing import TypeVar

import numpy as np

from engine.analysis import (
    Correlations,
    PortfolioVolatility,
    analyze,
    correlations,
    portfolio_volatility,
)
from engine.composition import (
    FactorExposures,
    Holdings,
    ModelRisk,
    factor_exposures,
    holdings_of,
    model_risk,
)
from engine.concentration import Concentration, SectorWeights, concentration, sector_weights
from engine.factors import PROXIES
from engine.stress import StressResult, stress
from engine.valuation import Kind, Positions, Valuation, joined, value_positions
from service.accounts import Accounts, Snapshot
from service.live_book import Market
from service.lots import is_expired, positions_of, priced_by, realized_pnl
from service.memo import Memo
from service.names import in_names_of
from service.splits import in_shares_of
from storage.ledger import Ledger
from storage.portfolios import Portfolio
from storage.position_queries import Position
from storage.releases import Release

T = TypeVar("T")
KEPT = 512


@dataclass(frozen=True)
class Composed:
    """A portfolio's open positions and what one release says about them, each part when it is asked for.

    ``equity`` is the account's net asset value by its newest ``snapshot``, as entered before the first one;
    None for the sum of its parts. ``stored`` is the release of the portfolio layer that the snapshot is of,
    None where nobody looked. ``expired`` are the symbols of options that are no longer in the book, and
    ``closed`` the positions that their owner has closed.
    """

    market: Market
    positions: Positions
    equity: float | None
    portfolio: Portfolio | None = None
    held: tuple[Position, ...] = ()
    snapshot: Snapshot | None = None
    expired: tuple[str, ...] = ()
    closed: tuple[Position, ...] = ()
    stored: Release | None = None

    @cached_property
    def realized_pnl(self) -> float:
        """What the closed positions whose exit price is known have earned since their entry."""
        gains = [realized_pnl(position.lot, self.split_factor(position)) for position in self.closed]
        return sum(gain for gain in gains if gain is not None)

    @cached_property
    def places(self) -> dict[str, int]:
        """Place of each stored position, by its id."""
        return {position.position_id: place for place, position in enumerate(self.held)}

    def split_factor(self, position: Position) -> float:
        """Shares of the book's session, or of a closed lot's last one, per share of a lot as entered."""
        if (place := self.places.get(position.position_id)) is not None:
            return float(self.positions.quantity[place]) / float(position.lot.quantity)
        until, lots = self._until(position), positions_of([position.lot])
        lots = in_names_of(until, lots, [self._named(position)], self.market.names)
        if lots.listed[0] not in self.market.splits.codes:
            return 1.0
        entered = np.array([_entered(position, self.portfolio, self.market)], dtype="datetime64[D]")
        then = in_shares_of(np.datetime64(until), lots, entered, self.market.splits)
        return float(then.quantity[0] / lots.quantity[0])

    def listed(self, position: Position) -> str:
        """Symbol that a lot is valued by in the book's session, of a closed lot in its last one."""
        symbol, named = priced_by(position.lot), self._named(position)
        return self.market.names.on(self._until(position), symbol, named)

    def _named(self, position: Position) -> date:
        return _named(position, self.portfolio, self.market)

    def _until(self, position: Position) -> date:
        return min(position.lot.exit_date or self.market.session, self.market.session)

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


def rehearse(market: Market) -> None:
    """Compute everything once: after an installation, whoever asks first would wait for the compiler."""
    symbols = tuple(PROXIES.values())
    one, no_mark = np.ones(len(symbols)), np.full(len(symbols), np.nan)
    public: Kind = "public"
    held = Positions(symbols, one, one, (public,) * len(symbols), no_mark)
    analyze(market.book, held, benchmark=market.benchmark, option_rate=market.option_rate)


@dataclass(frozen=True, slots=True)
class Together:
    """Portfolios, each and all in one."""

    parts: tuple[Composed, ...]
    whole: Composed


class Compositions:
    """Composes portfolios and keeps the newest; thread-safe."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._made: Memo[Composed] = Memo(KEPT)

    def of(self, portfolio: Portfolio, market: Market, accounts: Accounts) -> Composed:
        """Compose a portfolio as the ledger had it when its revision was read, or later."""
        key = (*_version(portfolio, accounts), market.book.release)
        return self._made.kept(key, lambda: self._compose(portfolio, market, accounts))

    def combined(self, portfolios: Sequence[Portfolio], market: Market, accounts: Accounts) -> Together:
        """Compose portfolios, each and all in one."""
        parts = tuple(self.of(each, market, accounts) for each in portfolios)
        key = (tuple(_version(each, accounts) for each in portfolios), market.book.release)
        return Together(parts, self._made.kept(key, lambda: combined(parts)))

    def _compose(self, portfolio: Portfolio, market: Market, accounts: Accounts) -> Composed:
        stored = self._ledger.positions.of(portfolio.portfolio_id)
        closed = tuple(each for each in stored if each.lot.exit_date is not None)
        stored = [each for each in stored if each.lot.exit_date is None]
        expired = tuple(each.lot.symbol for each in stored if is_expired(each.lot, market.session))
        held = tuple(each for each in stored if not is_expired(each.lot, market.session))
        places = {position.position_id: place for place, position in enumerate(held)}
        marks = {
            places[mark.position_id]: float(mark.price)
            for mark in self._ledger.positions.marks(portfolio.portfolio_id)
            if mark.position_id in places and mark.session <= market.session
        }
        entered = np.array([_entered(each, portfolio, market) for each in held], dtype="datetime64[D]")
        named = [_named(each, portfolio, market) for each in held]
        positions = positions_of([position.lot for position in held], marks)
        positions = in_names_of(market.session, positions, named, market.names)
        positions = in_shares_of(market.book.as_of, positions, entered, market.splits)
        equity = None if portfolio.starting_equity is None else float(portfolio.starting_equity)
        snapshot = accounts.snapshots.get(portfolio.portfolio_id)
        nav = equity if snapshot is None else snapshot["nav"]
        return Composed(market, positions, nav, portfolio, held, snapshot, expired, closed, accounts.release)


def _version(portfolio: Portfolio, accounts: Accounts) -> tuple[str, int, int]:
    """What changes with a portfolio: its id, what was entered, what refreshes have stored."""
    return portfolio.portfolio_id, portfolio.revision, accounts.version_of(portfolio.portfolio_id)


def _entered(position: Position, portfolio: Portfolio | None, market: Market) -> date:
    """Session in whose shares a lot was entered."""
    started = portfolio.starting_session if portfolio else None
    return position.entered_session or started or market.session


def _named(position: Position, portfolio: Portfolio | None, market: Market) -> date:
    """Day of whose names a lot's symbol is: that in whose shares it was entered, or of a later trade."""
    return max(_entered(position, portfolio, market), position.lot.entry_date)
