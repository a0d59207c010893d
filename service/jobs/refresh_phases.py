"""The five phases of a refresh, for portfolios that are taken together on one session."""

from dataclasses import replace
from threading import Lock

import numpy as np
import polars as pl

from engine.diversification import diversification_of_many
from engine.lots import Portfolios
from engine.many_holdings import exposures_of_many, holdings_of_many, volatilities_of_many
from engine.snapshot import compute_snapshots
from engine.stress import stress_of_many
from engine.typing import IntArray
from service.jobs import snapshot_rows as rows
from service.jobs.progress import Progress
from service.jobs.refresh_inputs import Sources
from service.jobs.refresh_parts import Part
from service.jobs.snapshot_inputs import lots_of, portfolios_of, prices_of
from service.jobs.snapshot_names import listed_on
from service.jobs.snapshot_options import settle, terms_of, with_options

PHASES = {
    "snapshots": ("P&L Calculation & Snapshots", "portfolios"),
    "exposures": ("Factor Exposures", "portfolios"),
    "volatility": ("Volatility", "portfolios"),
    "correlations": ("Correlations", "portfolios"),
    "stress": ("Stress Tests", "portfolios"),
}
TABLES = (
    "portfolio_snapshots",
    "position_values",
    "portfolio_exposures",
    "stress_results",
    "correlations",
    "diversification",
)


class Counts:
    """Reports how many snapshots each phase has done, of all that are to be taken; thread-safe.

    Parts of the portfolios go through the phases side by side.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress, self._total, self._lock = progress, 0, Lock()
        self._done: dict[str, int] = {}

    def begin(self, total: int) -> None:
        """Begin every phase; again for what is tried once more changes nothing."""
        if self._done:
            return
        self._total, self._done = total, dict.fromkeys(PHASES, 0)
        for phase_id, (name, unit) in PHASES.items():
            self._progress.start_phase(phase_id, name, total, unit)

    def add(self, phase_id: str, n: int) -> None:
        """Report ``n`` more; those of a part that is taken again after a failure count once."""
        with self._lock:
            self._done[phase_id] = min(self._total, self._done[phase_id] + n)
            self._progress.update_phase_progress(phase_id, self._done[phase_id])

    def complete(self, summary: str) -> None:
        """End every phase that has begun."""
        for phase_id in self._done:
            self._progress.complete_phase(phase_id, success=True, summary=summary)


def rows_of(part: Part, session: np.datetime64, sources: Sources, counts: Counts) -> dict[str, pl.DataFrame]:
    """Take the snapshots of a session that portfolios lack, and return the rows of every table, if any.

    Raises
    ------
    ValueError
        Something stored of a portfolio is not what it should be.
    """
    part = replace(part, held=listed_on(session, part.held, sources.names))
    portfolios = portfolios_of(part.held, part.last, session)
    lacking = (part.held.starts <= session) & (np.isnat(portfolios.prev) | (portfolios.prev < session))
    if not lacking.any():
        return {}
    # Portfolios that have this session already are computed along as first ones, and give no rows.
    portfolios.prev[~lacking] = np.datetime64("NaT")
    taken = _taken(part, portfolios, np.flatnonzero(lacking), session, sources)
    day = sources.day(session.item())
    market, which = day.market, len(taken.which)
    counts.add("snapshots", which)
    lots, nav = rows.open_lots(taken, market), taken.snapshots.nav[taken.which]
    holdings = holdings_of_many(market.book, lots, nav, option_rate=market.option_rate)
    exposures = exposures_of_many(market.book, holdings)
    counts.add("exposures", which)
    volatilities = volatilities_of_many(market.book, holdings)
    counts.add("volatility", which)
    spread = diversification_of_many(market.book, day.units, holdings)
    counts.add("correlations", which)
    stressed = stress_of_many(market.book, holdings)
    counts.add("stress", which)
    return {
        "portfolio_snapshots": rows.snapshot_rows(taken, exposures, volatilities),
        "position_values": rows.position_rows(taken),
        "portfolio_exposures": rows.exposure_rows(taken, exposures),
        "stress_results": rows.stress_rows(taken, holdings, stressed),
        "correlations": rows.correlation_rows(taken, market, spread),
        "diversification": rows.diversification_rows(taken, spread),
    }


def _taken(
    part: Part, portfolios: Portfolios, which: IntArray, session: np.datetime64, sources: Sources
) -> rows.Taken:
    held, lots, terms = part.held, lots_of(part.held, part.last), None
    options = sources.options_of(held)
    if options is None:
        prices = prices_of(sources.closes, held, lots, portfolios, session)
    else:
        lots, reasons = settle(options, lots, session)
        prices = replace(prices_of(sources.closes, held, lots, portfolios, session), reasons=reasons)
        prices = with_options(options, prices, lots, portfolios, session)
        terms = terms_of(options, lots, session)
    snapshots = compute_snapshots(lots, prices, portfolios, session)
    lost = which[~np.isfinite(snapshots.nav[which])]
    if len(lost):
        raise ValueError(
            f"portfolio {part.portfolios[lost[0]].portfolio_id} has no NAV on {session}: look at its "
            f"snapshot of {portfolios.prev[lost[0]]}, and at its equity and equity changes in the ledger"
        )
    return rows.Taken(session, held, which, lots, snapshots, part.last, terms)
