"""What of the nine phases belongs to the present: profiles, statements, last values, sectors."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import polars as pl

from service.book_loader import newest_profiles
from service.errors import FailedError
from service.ingest import ingest_table
from service.jobs.progress import Progress
from service.providers.configured import fundamental_source, profile_source
from service.providers.outcomes import Failed, RowsOutcomes
from service.settings import Settings
from storage.store import Store

UNPRICED_SHARE = 0.05  # of positions without a price, above which it is a warning
KEYS = {
    "profiles": ("symbol", "as_of"),
    "fundamentals": ("symbol", "period", "frequency", "statement", "item"),
}


@dataclass(frozen=True, slots=True)
class Present:
    """What the phases work on: a store, whom they tell, and the symbols and portfolios in question."""

    store: Store
    settings: Settings
    progress: Progress
    symbols: Sequence[str]
    portfolio_ids: Sequence[str]

    def profiles(self, phase_id: str) -> str:
        """Fetch the profiles of the symbols and store what is new; say what came of it."""
        source = profile_source(self.settings)
        if source is None:
            return "no source of profiles is configured"
        return self._stored(phase_id, "profiles", source.fetch_profiles(self.symbols))

    def fundamentals(self, phase_id: str) -> str:
        """Fetch the statements of the symbols and store what is new; say what came of it."""
        source = fundamental_source(self.settings)
        if source is None:
            return "no source of statements is configured"
        return self._stored(phase_id, "fundamentals", source.fetch_fundamentals(self.symbols))

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
        profiles = self.store.read("profiles")
        known = newest_profiles(profiles, profiles["as_of"].max()) if len(profiles) else profiles  # type: ignore[arg-type]
        sectors = dict(known.drop_nulls("sector").select("symbol", "sector").iter_rows())
        n_all, n_changed = self.store.ledger.position_sectors.restore(self.portfolio_ids, sectors)
        self.progress.update_phase_progress(phase_id, n_all)
        return f"{n_changed} of {n_all} positions have another sector than before"

    def _stored(self, phase_id: str, table: str, outcomes: RowsOutcomes) -> str:
        frames, failed = [], {}
        with closing(outcomes):
            for done, (symbol, outcome) in enumerate(outcomes, start=1):
                if isinstance(outcome, Failed):
                    failed[symbol] = outcome.message
                else:
                    frames.append(outcome)
                self.progress.update_phase_progress(phase_id, done)
        if frames:
            ingest_table(self.store, table, pl.concat(frames), KEYS[table])
        if failed and not frames:
            raise FailedError(f"none of {len(failed)} symbols could be had: {next(iter(failed.values()))}")
        lost = f"; {len(failed)} could not be had, {next(iter(failed))} among them" if failed else ""
        return f"{len(frames)} symbols{lost}"
