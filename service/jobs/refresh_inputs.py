"""What a refresh goes on from: the newest snapshots, and the market of each session."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import polars as pl

from engine import prices_asof
from engine.book import SymbolBook
from engine.correlation_kernels import UnitSeries
from engine.diversification import unit_series
from engine.typing import DateArray
from service.jobs.snapshot_inputs import Holdings, Last, option_terms
from service.jobs.snapshot_options import Options
from service.live_book import Market, market_at
from service.names import Names
from service.settings import Settings
from storage.portfolios import Portfolio
from storage.releases import Release
from storage.store import Store
from storage.writer import Writer

SNAPSHOT = ("portfolio_id", "session", "nav", "cumulative_pnl", "cumulative_flow", "time_weighted_return")
LOT = ("portfolio_id", "position_id", "reference_price", "reference_session")


@dataclass(frozen=True, slots=True)
class Day:
    """The market of a session, and the returns that holdings are compared by."""

    market: Market
    units: UnitSeries


class Sources:
    """What snapshots are priced from: closes, and the market of each session; thread-safe.

    Attributes
    ----------
    closes : prices_asof.Market
    names : Names
        Renames up to the last of the sessions.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        release: Release,
        closes: prices_asof.Market,
        names: Names,
        computed: DateArray,
        known: Market | None,
    ) -> None:
        self.closes, self.names = closes, names
        self._computed, self._rate = computed, settings.option_rate

        # The book of the previous session prices what came in since, and that of today everything else.
        @lru_cache(maxsize=2)
        def day(session: date) -> Day:
            if known and (known.book.release, known.session) == (release.number, session):
                return Day(known, unit_series(known.book))
            market = market_at(store, release, session, option_rate=settings.option_rate)
            return Day(market, unit_series(market.book))

        self.day = day

    def options_of(self, held: Holdings) -> Options | None:
        """Return the options among lots with what prices them; None without any."""
        terms = option_terms(held)
        if terms is None:
            return None
        underlyings = self.closes.codes_of(held.lots["listed"])
        return Options(terms, underlyings, self.closes, self._book_of, self._rate)

    def _book_of(self, day: np.datetime64) -> SymbolBook | None:
        session = self.closes.sessions[self.closes.sessions <= day][-1:]
        known = np.isin(session, self._computed).any()
        return self.day(session[0].item()).market.book if known else None


def newest_snapshots(writer: Writer, portfolios: Sequence[Portfolio]) -> pl.DataFrame:
    """Return the newest snapshot of each portfolio that has any: one row, ``SNAPSHOT``."""
    ids = pl.DataFrame({"portfolio_id": [each.portfolio_id for each in portfolios]})
    keys = writer.read("portfolio_snapshots", columns=("portfolio_id", "session"))
    newest = (
        keys.join(ids, on="portfolio_id", how="semi").group_by("portfolio_id").agg(pl.col("session").max())
    )
    return _at(writer, "portfolio_snapshots", SNAPSHOT, newest)


def last_of(writer: Writer, snapshots: pl.DataFrame) -> Last:
    """Return the newest snapshots with the lots that were open in them."""
    keys = snapshots.select("portfolio_id", "session")
    lots = _at(writer, "position_values", (*LOT, "session"), keys)
    return Last(snapshots, lots.select(*LOT, pl.lit(True).alias("was_held")))


def _at(writer: Writer, table: str, columns: Sequence[str], keys: pl.DataFrame) -> pl.DataFrame:
    """Read the rows of portfolios on one session each, a session at a time: they are few, the rows many."""
    parts = [
        writer.read(table, columns=columns, sessions=(session, session)).join(
            keys.filter(pl.col("session") == session), on=["portfolio_id", "session"], how="semi"
        )
        for session in keys["session"].unique().sort().to_list()
    ]
    return pl.concat(parts) if parts else writer.read(table, columns=columns, sessions=(date.min, date.min))


def after(last: Last, snapshots: pl.DataFrame, lots: pl.DataFrame) -> Last:
    """Return the state after a session: its portfolios' rows take the place of all their older ones."""
    others = ~pl.col("portfolio_id").is_in(snapshots["portfolio_id"].implode())
    mine = lots.select(*LOT, pl.lit(True).alias("was_held"))
    return Last(
        pl.concat([last.snapshots.filter(others), snapshots.select(SNAPSHOT)], how="vertical_relaxed"),
        pl.concat([last.lots.filter(others), mine], how="vertical_relaxed"),
    )
