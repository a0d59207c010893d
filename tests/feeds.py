"""A source of prices in memory, for one night after another: what it is asked is written down.

Prices are what a provider shows at the close of ``last``; anything may be put in their place.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

import polars as pl

from service.providers.outcomes import Failed, Fetched, Outcome, Outcomes, Span
from service.providers.simulated import SimulatedMarket
from service.providers.simulated_source import SimulatedSource
from service.providers.sources import Sources

Change: TypeAlias = Callable[[pl.DataFrame], pl.DataFrame]
FIELDS = ("open", "high", "low", "close", "adj_close")


@dataclass
class Feed:
    """The market as it is known at the close of a session; some symbols fail, at some a pause is made."""

    market: SimulatedMarket
    last: date
    failing: Mapping[str, Failed] = field(default_factory=dict)
    change: Change | None = None
    pauses: Mapping[str, float] = field(default_factory=dict)
    asked: dict[str, list[Span]] = field(default_factory=dict)
    name: str = "feed"

    def fetch(self, requests: Mapping[str, Span]) -> Outcomes:
        source = SimulatedSource(self.market, self.last)
        for symbol, outcome in source.fetch(requests):
            self.asked.setdefault(symbol, []).append(requests[symbol])
            time.sleep(self.pauses.get(symbol, 0.0))
            yield symbol, self.failing.get(symbol, self._changed(outcome))

    def sources(self) -> Sources:
        return Sources(prices=self)

    def _changed(self, outcome: Outcome) -> Outcome:
        if self.change is None or isinstance(outcome, Failed):
            return outcome
        return Fetched(self.change(outcome.prices), outcome.actions)


def scaled(
    symbol: str, factor: float, *, on: list[date] | None = None
) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """A change of one symbol's prices, on some sessions or on all."""
    mine = pl.col("symbol") == symbol
    where = mine if on is None else mine & pl.col("session").is_in(on)
    return lambda prices: prices.with_columns(
        pl.when(where).then(pl.col(name) * factor).otherwise(name).alias(name) for name in FIELDS
    )
