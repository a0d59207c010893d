"""The simulated market as a source: what a provider would show of it at the close of a session."""

from collections.abc import Iterable, Mapping
from datetime import date

import polars as pl

from service.providers.outcomes import Failed, Fetched, Outcome, Outcomes, RowsOutcomes, Span
from service.providers.simulated import SOURCE, SimulatedMarket


class SimulatedSource:
    """A market as it is known at the close of ``last``; what comes later is settled, but not shown.

    A split or a dividend changes the adjusted closes of the whole history once it is known, as it does with
    any provider; before, they are the closes.
    """

    name = SOURCE

    def __init__(self, market: SimulatedMarket, last: date) -> None:
        shown = pl.col("session") <= last
        to_come = market.actions.filter(~shown & pl.col("kind").is_in(("split", "dividend")))["symbol"]
        adjusted = pl.when(pl.col("symbol").is_in(to_come.implode())).then("close").otherwise("adj_close")
        prices = market.prices.filter(shown).with_columns(adjusted.alias("adj_close"))
        self._prices = prices.partition_by("symbol", as_dict=True)
        self._actions = market.actions.filter(shown)
        self._profiles = market.profiles

    def fetch(self, requests: Mapping[str, Span]) -> Outcomes:
        """Yield every symbol with its prices and corporate actions in the span."""
        for symbol, span in requests.items():
            yield symbol, self._outcome(symbol, span)

    def fetch_profiles(self, symbols: Iterable[str]) -> RowsOutcomes:
        """Yield every symbol with its profile."""
        for symbol in symbols:
            found = self._profiles.filter(pl.col("symbol") == symbol)
            yield symbol, Failed("unknown_symbol", _unknown(symbol)) if found.is_empty() else found

    def _outcome(self, symbol: str, span: Span) -> Outcome:
        known = self._prices.get((symbol,))
        if known is None:
            return Failed("unknown_symbol", _unknown(symbol))
        within = pl.col("session").is_between(*span)
        prices = known.filter(within)
        actions = self._actions.filter((pl.col("symbol") == symbol) & within)
        if prices.height or actions.height:
            return Fetched(prices, actions)
        ended = self._actions.filter(
            (pl.col("symbol") == symbol) & pl.col("kind").is_in(("rename", "delisting"))
        )
        if ended.height and ended["session"].item() <= span[1]:
            last: date = known["session"].max()  # type: ignore[assignment]
            return Failed("delisted", f"{symbol} was last traded on {last}", last_session=last)
        return Failed("no_data", f"{symbol} was not traded from {span[0]} to {span[1]}")


def _unknown(symbol: str) -> str:
    return f"the simulated market has no {symbol}"
