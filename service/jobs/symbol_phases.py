"""The six phases of the symbol batch, in their fixed order."""

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
    "prices": "Daily Price Collection",
    "market_beta": "Market Beta",
    "ir_beta": "Interest Rate Beta",
    "ridge_factors": "Ridge Factors",
    "spread_factors": "Spread Factors",
    "metrics": "Daily Metrics",
}
FACTOR_SETS = {
    "market_beta": "market",
    "ir_beta": "rates",
    "ridge_factors": "style",
    "spread_factors": "spread",
}


class Phases:
    """Computes chunks of consecutive sessions and reports each phase as it goes."""

    def __init__(self, progress: Progress, total: int, unit: str) -> None:
        self._progress, self._total, self._unit, self._done = progress, total, unit, 0
        for phase_id, name in PHASES.items():
            progress.start_phase(phase_id, name, total, unit)

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
        n_sessions = last - first + 1
        self._done = self._total if self._unit == "symbols" else self._done + n_sessions
        self._advance("prices")
        factors = [self._factors(panel, phase_id, span) for phase_id in FACTOR_SETS]
        factors.append(_provided(panel, profiles, span))
        risk = _risk(panel, profiles, span, half_life)
        metrics = [symbol_metrics(panel, profiles, at=at, events=events) for at in range(first, last + 1)]
        self._advance("metrics")
        return {"symbol_factors": pl.concat(factors), **risk, "symbol_metrics": pl.concat(metrics)}

    def complete(self, n_sessions: int, missing_proxies: list[str]) -> None:
        """End every phase; a missing proxy is said where its factors are."""
        for phase_id in PHASES:
            summary = f"{n_sessions} session{'s' if n_sessions != 1 else ''}"
            if missing_proxies and phase_id not in ("prices", "market_beta", "metrics"):
                summary += f"; without a price: {', '.join(missing_proxies)}"
            self._progress.complete_phase(phase_id, success=True, summary=summary)

    def fail(self, reason: str) -> None:
        """End the first phase as failed: the prices do not suffice."""
        self._progress.complete_phase("prices", success=False, summary=reason)

    def _factors(self, panel: Panel, phase_id: str, span: tuple[int, int]) -> pl.DataFrame:
        models = [model for model in MODELS if model.factor_set == FACTOR_SETS[phase_id]]
        frame = factor_frame(panel, fit_factors(panel, models, first=span[0], last=span[1]), first=span[0])
        self._advance(phase_id)
        return frame

    def _advance(self, phase_id: str) -> None:
        self._progress.update_phase_progress(phase_id, self._done)


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
