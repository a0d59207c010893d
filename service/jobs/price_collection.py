"""Collects prices: what each symbol lacks, with an overlap, and a whole history where the overlap changed.

What has arrived is stored portion by portion: a run that is cut short leaves it behind, and the next one asks
for the rest alone. A history is stored as a whole or not at all: half of a split is worse than none.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from time import monotonic

import numpy as np
import polars as pl

from engine.price_changes import lacking, restated
from engine.quality import EVENTS
from service import clock
from service.errors import RidgelineError
from service.ingest import ingest_prices, ingest_table
from service.ingest_writes import ACTION_KEY
from service.jobs.progress import Progress
from service.jobs.renames import continued, inherit
from service.jobs.symbol_phases import PHASES
from service.jobs.universe import ENDINGS, first_sessions, universe
from service.providers.files import no_actions, no_prices
from service.providers.outcomes import Failed, Fetched, PriceSource, Span
from storage.store import Store

PHASE = "prices"
SET_ASIDE = "could not be kept; the table quarantine says why"
PORTION_SECONDS = 60.0
PORTION_ROWS = 1_000_000


@dataclass(slots=True)
class Collected:
    """What became of the symbols.

    Attributes
    ----------
    symbols : int
        How many there are; ``asked`` of them lacked prices.
    answered : set of str
        Those that lacked nothing, and those of which something came.
    last : mapping of str to date
        Newest stored session of each symbol, afterwards.
    newest : dict of str to date
        Newest session that arrived of each symbol.
    restated : set of str
        Those whose whole history was fetched anew.
    ended : set of str
        Those that turned out to be renamed or delisted.
    failed : dict of str to (str, str)
        Kind and words of each failure.
    """

    symbols: int = 0
    asked: int = 0
    answered: set[str] = field(default_factory=set)
    last: Mapping[str, date] = field(default_factory=dict)
    newest: dict[str, date] = field(default_factory=dict)
    restated: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    failed: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def succeeded(self) -> set[str]:
        """Symbols that nothing is wrong with any more."""
        return (self.answered | self.ended) - self.failed.keys()


def collect_prices(
    store: Store,
    source: PriceSource,
    progress: Progress,
    *,
    target: date,
    symbols: Sequence[str] | None = None,
) -> Collected:
    """Fetch and store what symbols lack up to a session, those of the whole universe when none are given.

    Then renamed companies have their history under the new symbol, too. A symbol that fails is named in the
    answer and stops no other.
    """
    wanted = universe(store, target, among=symbols)
    progress.start_phase(PHASE, PHASES[PHASE][0], len(wanted.names), "symbols")
    requests = wanted.requests(target)
    done = Collected(len(wanted.names), len(requests), set(wanted.names) - requests.keys())
    fetching = _Fetching(store, source, progress, target, wanted.last, done, len(wanted.names))
    fetching.fetch(requests)
    after = universe(store, target, among=symbols) if fetching.saw_ending else wanted
    known = set(wanted.names)
    new = {name: span for name, span in after.requests(target).items() if name not in known}
    done.symbols, done.asked = done.symbols + len(new), done.asked + len(new)
    firsts = first_sessions(store, done.restated) if done.restated else {}
    again: dict[str, Span] = {name: (first, target) for name, first in firsts.items()}
    fetching.fetch(again | new, firsts=firsts)
    kept = universe(store, target, among=symbols) if done.newest else after
    done.ended, done.last = set(wanted.names) - set(kept.names), kept.last
    for name, newest in done.newest.items():
        if kept.last.get(name, newest) < newest or name not in kept.last:
            done.failed[name] = ("bad_payload", f"its price on {newest} {SET_ASIDE}")
    inherit(store, target)
    return done


@dataclass(slots=True)
class _Fetching:
    """Takes outcomes as they arrive, and stores them by portions."""

    store: Store
    source: PriceSource
    progress: Progress
    target: date
    last: Mapping[str, date]
    done: Collected
    n_symbols: int
    saw_ending: bool = False
    _waiting: dict[str, Fetched] = field(default_factory=dict)
    _n_rows: int = 0
    _stored_at: float = field(default_factory=monotonic)

    def fetch(self, requests: Mapping[str, Span], *, firsts: Mapping[str, date] | None = None) -> None:
        """Fetch spans; with ``firsts`` they are whole histories, which begin on these stored sessions."""
        if not requests:
            return
        before, whole = self.n_symbols - len(requests), firsts is not None
        try:
            with closing(self.source.fetch(requests)) as outcomes:
                for n_done, (symbol, outcome) in enumerate(outcomes, start=1):
                    self._take(symbol, outcome, None if firsts is None else firsts.get(symbol))
                    self.progress.update_phase_progress(PHASE, self.n_symbols if whole else before + n_done)
                    if self._n_rows >= PORTION_ROWS or monotonic() - self._stored_at >= PORTION_SECONDS:
                        self._store_portion(whole=whole)
        except RidgelineError:  # cancelled, or out of time: what has arrived need not be fetched again
            self._store_portion(whole=whole)
            raise
        self._store_portion(whole=whole)

    def _take(self, symbol: str, outcome: Fetched | Failed, first: date | None) -> None:
        if isinstance(outcome, Failed):
            last = outcome.last_session or self.last.get(symbol)
            if outcome.kind != "delisted" or symbol not in self.last or last is None:
                self.done.failed[symbol] = (outcome.kind, outcome.message)
                return
            outcome = Fetched(pl.DataFrame(), _delisting(symbol, last, self.source.name))
        if first is not None:
            begins = outcome.prices.select(pl.col("session").min()).item() if outcome.prices.height else None
            late = begins is None or begins > first
            whole = continued(self.store, outcome, symbol, self.target) if late else outcome
            if whole is None:
                what = f"its history since {first} changed, and {self.source.name} has it from {begins} on"
                self.done.failed[symbol] = ("bad_payload", f"{what}; ingest it from elsewhere")
                return
            outcome = whole
        self.done.answered.add(symbol)
        self._waiting[symbol] = outcome
        self._n_rows += outcome.prices.height

    def _store_portion(self, *, whole: bool) -> None:
        """Store what waits; symbols whose stored past has changed wait for their whole history instead."""
        frames = list(self._waiting.values())
        self._waiting, self._n_rows, self._stored_at = {}, 0, monotonic()
        actions = pl.concat([no_actions(), *(each.actions for each in frames if each.actions.height)])
        prices = pl.concat([no_prices(), *(each.prices for each in frames if each.prices.height)])
        self.saw_ending |= bool(actions["kind"].is_in(ENDINGS).any())
        if not whole:
            prices, actions = self._without_restated(prices, actions)
        newest = prices.filter(pl.col("session") <= self.target).group_by("symbol")
        self.done.newest |= dict(newest.agg(pl.col("session").max()).iter_rows())
        if prices.height:
            ingest_prices(self.store, prices, actions=actions, last_session=self.target)
        elif actions.height:
            ingest_table(self.store, "corporate_actions", actions, ACTION_KEY)

    def _without_restated(
        self, prices: pl.DataFrame, actions: pl.DataFrame
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Leave out what is stored already, from whichever source, and all of the symbols to fetch anew."""
        release = self.store.release()
        first = prices["session"].min()
        span = (first if isinstance(first, date) else self.target, self.target)
        stored = self.store.read("prices", release=release, sessions=span)
        known = self.store.read("corporate_actions", release=release)
        news = actions.join(known, on=[*ACTION_KEY, "value", "new_symbol"], how="anti", nulls_equal=True)
        events = news.filter(pl.col("kind").is_in(EVENTS))
        changed = (restated(prices, stored) | set(events["symbol"])) & self.last.keys()
        self.done.restated |= changed
        other = ~pl.col("symbol").is_in(changed)
        return lacking(prices.filter(other), stored), news.filter(other)


def _delisting(symbol: str, last: date, source: str) -> pl.DataFrame:
    """Say that a symbol ended after a session."""
    after = clock.sessions_between(last, last + timedelta(days=30))
    row = {"symbol": symbol, "session": after[after > np.datetime64(last)][0].item(), "kind": "delisting"}
    return no_actions().vstack(
        pl.DataFrame({**row, "value": None, "new_symbol": None, "source": source}, schema=no_actions().schema)
    )
