"""The book that requests compute from: loaded at start, exchanged when a new release appears."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from threading import Lock
from typing import Any, Literal, TypeAlias

from engine import prices_asof
from engine.book import SymbolBook
from service.accounts import Accounts, newest_accounts
from service.book_loader import benchmark_weights, computed_sessions, load_book, newest_profiles
from service.names import Names, read_names
from service.splits import read_splits
from storage.processes import timestamp
from storage.releases import Release
from storage.store import Store

State: TypeAlias = Literal["initializing", "ready", "empty", "failed"]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Market:
    """One release as requests see it; whoever holds it finishes on it.

    Attributes
    ----------
    book : SymbolBook
    benchmark : dict of str to float
        Sector weights of the benchmark as of the book's session.
    profiles : dict of str to dict
        Newest profile of each symbol as of the book's session.
    option_rate : float
        Continuous rate a year that options are priced with.
    splits : prices_asof.Market
        Splits of all symbols up to the book's session.
    names : Names
        Renames of symbols up to the book's session.
    """

    book: SymbolBook
    benchmark: dict[str, float]
    profiles: dict[str, dict[str, Any]]
    option_rate: float
    splits: prices_asof.Market
    names: Names

    @property
    def session(self) -> date:
        """Session that the book is of."""
        day: date = self.book.as_of.item()  # type: ignore[assignment]
        return day

    def listed(self, symbol: str, named: date | None = None) -> str:
        """Return what the company is listed as that a symbol named on a day, on the book's when not given."""
        return self.names.on(self.session, symbol, named or self.session)


class LiveBook:
    """Holds the market of the newest release, and the newest snapshots of portfolios; thread-safe.

    Attributes
    ----------
    accounts : Accounts
        Of the newest release of the portfolio layer.
    state : State
        ``empty``: the store has no computed session, and there is nothing to wait for.
    market : Market or None
        None until the first one is loaded; a failed load keeps the one before.
    error : str or None
        What the last load failed with.
    prepare : callable or None
        Called with what was loaded before it is served; what it fails with is logged.
    """

    def __init__(self, store: Store, option_rate: float) -> None:
        self._store, self._lock, self._option_rate = store, Lock(), option_rate
        self.state: State = "initializing"
        self.market: Market | None = None
        self.accounts = Accounts()
        self.error: str | None = None
        self.prepare: Callable[[Market, Accounts], None] | None = None
        self.started_at: str | None = None
        self.completed_at: str | None = None
        self._release = -1

    def refresh(self) -> bool:
        """Load the newest releases if they are others, and serve them; whether the market changed."""
        with self._lock:
            try:
                accounts = newest_accounts(self._store, self.accounts)
                release = self._store.release()
                is_new = release.number != self._release
                self.started_at = timestamp() if is_new else self.started_at
                market = self._loaded(release) if is_new else self.market
            except Exception as error:  # whatever it is, what was served before still can be
                self.error = str(error)
                self.state = "ready" if self.market else "failed"
                log.exception("the newest release cannot be loaded")
                return False
            if market and (is_new or accounts is not self.accounts):
                self._prepare(market, accounts)
            self.accounts, self.error = accounts, None
            if is_new:
                self._release, self.completed_at = release.number, timestamp()
                self.market, self.state = market, "ready" if market else "empty"
            return is_new

    def _prepare(self, market: Market, accounts: Accounts) -> None:
        try:
            if self.prepare is not None:
                self.prepare(market, accounts)
        except Exception:  # it only saves others a wait
            log.exception("release %d is served unprepared", market.book.release)

    def _loaded(self, release: Release) -> Market | None:
        if not len(computed_sessions(self._store, release)):
            return None
        return market_at(self._store, release, option_rate=self._option_rate)


def market_at(store: Store, release: Release, asof: date | None = None, *, option_rate: float) -> Market:
    """Load the market as of the newest computed session, on or before a date when one is given."""
    book = load_book(store, release=release, asof=asof)
    on: date = book.as_of.item()  # type: ignore[assignment]
    known = newest_profiles(store.read("profiles", release=release), on)
    profiles = {row["symbol"]: row for row in known.iter_rows(named=True)}
    splits, names = read_splits(store, release, on), read_names(store, release, on)
    return Market(book, benchmark_weights(store, release, on), profiles, option_rate, splits, names)
