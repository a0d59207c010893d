"""The six phases of the symbol batch, in their fixed order."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import polars as pl

from engine.factor_frames import factor_frame, provider_frame
from engine.factors import MODELS
from engine.metrics import symbol_metrics
from engine.panel import Panel
from engine.regression import fit_factors
from engine.risk import covariance_frame, loadings_frame, risk_models
from service.jobs.progress import Progress

PHASES = {
    "prices": ("Daily Price Collection", "symbols"),
    "market_beta": ("Market Beta", "symbols"),
    "ir_beta": ("Interest Rate Beta", "symbols"),
    "ridge_factors": ("Ridge Factors", "symbols"),
    "spread_factors": ("Spread Factors", "symbols"),
    "metrics": ("Daily Metrics", "symbols"),
}
FACTOR_SETS = {
    "market_beta": "market",
    "ir_beta": "rates",
    "ridge_factors": "style",
    "spread_factors": "spread",
}


class Phases:
    """Computes chunks of consecutive sessions and reports each phase as it goes.

    With one chunk the phases come one after the other; with several they go along side by side. A proxy that
    is ``lacking`` is said where its factors are, and what was ``fetched`` for the metrics with them.
    """

    def __init__(
        self, progress: Progress, total: int, unit: str, *, lacking: Sequence[str], fetched: Sequence[str]
    ) -> None:
        self._progress, self._total, self._unit = progress, total, unit
        self._lacking, self._fetched = lacking, fetched
        self._sessions, self._done = 0, 0
        self._begun: set[str] = set()

    def compute(
        self,
        panel: Panel,
        profiles: pl.DataFrame,
        events: pl.DataFrame,
        span: tuple[int, int],
        *,
        half_life: int,
    ) -> dict[str, pl.DataFrame]:
        """Compute the rows of all symbol tables for the panel's columns ``span``, first and last.

        ``profiles`` has one row a symbol, as known on these sessions; ``events`` the symbol and session of
        what explains a large move.
        """
        first, last = span
        self._sessions += last - first + 1
        self._done = self._total if self._unit == "symbols" else self._sessions
        factors, risk = [], {}
        for phase_id in FACTOR_SETS:
            with self._phase(phase_id):
                factors.append(_factors(panel, phase_id, span))
                if phase_id == "ridge_factors":
                    risk = _risk(panel, profiles, span, half_life)
        factors.append(_provided(panel, profiles, span))
        with self._phase("metrics"):
            columns = range(first, last + 1)
            metrics = [symbol_metrics(panel, profiles, at=at, events=events) for at in columns]
        return {"symbol_factors": pl.concat(factors), **risk, "symbol_metrics": pl.concat(metrics)}

    @contextmanager
    def _phase(self, phase_id: str) -> Iterator[None]:
        if phase_id not in self._begun:
            self._begun.add(phase_id)
            self._progress.start_phase(phase_id, PHASES[phase_id][0], self._total, self._unit)
        yield
        self._progress.update_phase_progress(phase_id, self._done)
        if self._done == self._total:
            summary = f"{self._sessions} session{'s' if self._sessions != 1 else ''}"
            if self._lacking and phase_id not in ("market_beta", "metrics"):
                summary += f"; without a price: {', '.join(self._lacking)}"
            if phase_id == "metrics":
                summary = "; ".join([summary, *self._fetched])
            self._progress.complete_phase(phase_id, success=True, summary=summary)


def _factors(panel: Panel, phase_id: str, span: tuple[int, int]) -> pl.DataFrame:
    models = [model for model in MODELS if model.factor_set == FACTOR_SETS[phase_id]]
    return factor_frame(panel, fit_factors(panel, models, first=span[0], last=span[1]), first=span[0])


def _risk(
    panel: Panel, profiles: pl.DataFrame, span: tuple[int, int], half_life: int
) -> dict[str, pl.DataFrame]:
    known = dict(profiles.select("symbol", "sector").iter_rows())
    sectors = [known.get(symbol) for symbol in panel.symbols]
    models = list(risk_models(panel, sectors, first=span[0], last=span[1], half_life=half_life))
    return {
        "risk_loadings": pl.concat(loadings_frame(panel, model) for model in models),
        "factor_covariance": pl.concat(covariance_frame(model) for model in models),
    }


def _provided(panel: Panel, profiles: pl.DataFrame, span: tuple[int, int]) -> pl.DataFrame:
    """Rows of the providers' own betas for the symbols active on each session."""
    betas = dict(profiles.drop_nulls("provider_beta").select("symbol", "provider_beta").iter_rows())
    given = np.array([betas.get(symbol, np.nan) for symbol in panel.symbols], dtype=np.float64)
    symbol, session = np.nonzero(panel.active(*span) & np.isfinite(given)[:, None])
    names = [panel.symbols[row] for row in symbol.tolist()]
    return provider_frame(names, given[symbol], panel.sessions[span[0] + session])
