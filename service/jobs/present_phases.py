"""What of the nine phases belongs to the present: profiles, statements, last values, sectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from service.jobs.progress import Progress
from service.jobs.reference_data import Table, refresh_table
from service.names import read_names
from service.onboarding_status import PHASES
from service.providers.sources import configured_sources
from service.settings import Settings
from storage.store import Store

NAMES = {phase_id: name for phase_id, name, _ in PHASES}
UNPRICED_SHARE = 0.05  # of positions without a price, above which it is a warning


@dataclass(frozen=True, slots=True)
class Present:
    """What the phases work on: a store, whom they tell, and the symbols and portfolios in question."""

    store: Store
    settings: Settings
    progress: Progress
    symbols: Sequence[str]
    portfolio_ids: Sequence[str]

    def profiles(self, phase_id: str) -> str:
        """Fetch the profiles that are of an earlier day, and say what came of it."""
        return self._fetched("profiles", phase_id)

    def fundamentals(self, phase_id: str) -> str:
        """Fetch the statements that are of an earlier day, and say what came of it."""
        return self._fetched("fundamentals", phase_id)

    def values(self, phase_id: str) -> str:
        """Count the positions that the newest snapshots have a price of."""
        columns = ["portfolio_id", "session", "symbol", "price"]
        rows = self.store.read("position_values", columns=columns, portfolios=self.portfolio_ids)
        newest = rows.filter(pl.col("session") == pl.col("session").max().over("portfolio_id"))
        lacking = newest.filter(pl.col("price").is_null())
        self.progress.update_phase_progress(phase_id, 1)
        summary = f"{len(newest) - len(lacking)} of {len(newest)} positions have a price"
        if len(lacking) > UNPRICED_SHARE * len(newest):
            names = ", ".join(lacking["symbol"].unique().sort().head(20))
            self.progress.add_activity(f"{summary}; without one: {names}", "warning")
        return summary

    def sectors(self, phase_id: str) -> str:
        """Tag the positions with the sectors of the newest profiles."""
        n_all, n_changed = restore_sectors(self.store, self.portfolio_ids)
        self.progress.update_phase_progress(phase_id, n_all)
        return f"{n_changed} of {n_all} positions have another sector than before"

    def _fetched(self, table: Table, phase_id: str) -> str:
        store, settings, progress = self.store, self.settings, self.progress
        sources, phase = configured_sources(settings), (phase_id, NAMES[phase_id])
        return refresh_table(table, store, settings, sources, progress, self.symbols, phase=phase)


def restore_sectors(store: Store, portfolio_ids: Sequence[str]) -> tuple[int, int]:
    """Tag positions with the sectors of the newest profiles; return how many there are and have changed."""
    release = store.release()
    known = store.read("profiles", release=release, columns=["symbol", "as_of", "sector"]).sort("as_of")
    newest = known.unique("symbol", keep="last").drop_nulls("sector")
    sectors = dict(newest.select("symbol", "sector").iter_rows())
    on = release.session or date.min
    names = read_names(store, release, on)

    def sector_of(symbol: str, named: date | None) -> str | None:
        return sectors.get(names.on(on, symbol, named or on))

    return store.ledger.position_sectors.restore(portfolio_ids, sector_of)
