"""Everything that a portfolio's page says, from one composition: made once, for page, charts and report."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import polars as pl

from service.api.analytics import answers, history
from service.api.analytics.history_records import PerformanceAnswer
from service.api.analytics.records import (
    DataQuality,
    FactorExposuresAnswer,
    Overview,
    Served,
    StressTest,
    Volatility,
)
from service.composed import Composed
from service.pages.charts import specs, tables
from service.pages.charts.drawing import Mode, Spec
from service.pages.lots import MARKET_BETA, LotRow, lot_rows
from service.pages.twins import Twin, matrix, twin
from storage.store import Store

LOOKBACK, MIN_OVERLAP, MAX_SYMBOLS = 90, 30, 25
WITHOUT = ("category", "severity", "shocks", "low", "high", "n_positions")


class Drawing(NamedTuple):
    """How a chart is made of an answer, and its table."""

    spec: Callable[..., Spec]
    table: Callable[..., pl.DataFrame]
    twin: Callable[[pl.DataFrame], Twin]


class Chart(NamedTuple):
    """A chart in words: its name in addresses, its title, what it says, and its table."""

    name: str
    title: str
    description: str
    table: Twin


def _plain(table: pl.DataFrame) -> Twin:
    return twin(table, without=WITHOUT)


DRAWINGS = {
    "performance": Drawing(specs.performance, tables.performance, _plain),
    "factor_betas": Drawing(specs.factor_betas, tables.factor_betas, _plain),
    "risk_by_factor": Drawing(specs.risk_by_factor, tables.risk_by_factor, _plain),
    "risk_by_position": Drawing(specs.risk_by_position, tables.risk_by_position, _plain),
    "correlations": Drawing(specs.correlations, tables.correlations, matrix),
    "stress": Drawing(specs.stress, tables.stress, _plain),
    "sectors": Drawing(specs.sectors, tables.sectors, _plain),
    "concentration": Drawing(specs.concentration, tables.concentration, _plain),
}


@dataclass(frozen=True)
class View:
    """The answers on a portfolio as it stands; each part is made when it is asked for, and kept."""

    store: Store
    composed: Composed
    quality: DataQuality

    @cached_property
    def overview(self) -> Overview:
        """Value, exposures and P&L."""
        return answers.overview(self.composed)

    @cached_property
    def volatility(self) -> Volatility:
        """Volatility of today's weights."""
        return answers.volatility(self.composed)

    @cached_property
    def performance(self) -> PerformanceAnswer:
        """What the stored snapshots have earned; before there are two, today's weights replayed."""
        stored = history.stored_performance(self.store, self.composed)
        return stored if stored.available else history.replayed_performance(self.composed)

    @cached_property
    def stress(self) -> StressTest:
        """All scenarios."""
        return answers.stress_test(self.composed, self.quality, scenarios=None)

    @cached_property
    def factors(self) -> FactorExposuresAnswer:
        """Exposure to every factor."""
        return answers.factor_exposures(self.composed, self.quality)

    @cached_property
    def lots(self) -> list[LotRow]:
        """The open lots, the largest first."""
        return lot_rows(self.composed)

    @cached_property
    def charted(self) -> dict[str, Served]:
        """The answer that each chart draws."""
        composed, quality = self.composed, self.quality
        risk = answers.risk(composed, quality)
        return {
            "performance": self.performance,
            "factor_betas": self.factors,
            "risk_by_factor": risk,
            "risk_by_position": risk,
            "correlations": answers.correlation_matrix(
                composed, quality, lookback=LOOKBACK, min_overlap=MIN_OVERLAP, max_symbols=MAX_SYMBOLS
            ),
            "stress": self.stress,
            "sectors": answers.sector_exposure(composed, quality),
            "concentration": answers.concentration(composed, quality),
        }

    @cached_property
    def charts(self) -> list[Chart]:
        """All charts in words, with their tables."""
        return [self._chart(name) for name in DRAWINGS]

    def spec(self, name: str, mode: Mode) -> dict[str, Any]:
        """Return what draws a chart."""
        return DRAWINGS[name].spec(self.charted[name], mode)

    def _chart(self, name: str) -> Chart:
        drawing, said = DRAWINGS[name], self.spec(name, "light")
        table = drawing.twin(drawing.table(self.charted[name]))
        return Chart(name, said["title"]["text"], said["description"], table)


def figures_of(view: View) -> dict[str, Any]:
    """Return what ``figures.html`` shows."""
    betas = view.factors.factors
    measured = view.performance.data
    return {
        "overview": view.overview,
        "volatility": view.volatility.data,
        "drawdown": measured.statistics.drawdown.depth if measured else None,
        "market_beta": next((each.beta for each in betas if each.name == MARKET_BETA), None),
    }
