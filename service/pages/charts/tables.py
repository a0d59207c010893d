"""The data of each chart as a frame, for the drawing and for the table beside it; imports polars and records.

Labels come first, in the order in which they are drawn. A number that does not exist is null.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from engine.concentration import CASH
from engine.factors import FACTOR_NAMES
from service.api.analytics.history_records import ExposureHistory, PerformanceAnswer
from service.api.analytics.records import (
    ConcentrationAnswer,
    CorrelationMatrix,
    FactorExposuresAnswer,
    RiskAttribution,
    SectorExposure,
    StressTest,
)

SIGNIFICANT = 2.0  # standard errors
ORDER = {name: place for place, name in enumerate(FACTOR_NAMES)}


def performance(answer: PerformanceAnswer) -> pl.DataFrame:
    """Session · nav, return, growth of 1, drawdown from its peak (≤ 0).

    Sessions without a return have no growth, and the next one goes on from before them. A loss of more than
    everything leaves nothing to compound: growth is null from that session on.
    """
    data = answer.data
    names = ("session", "nav", "return")
    nav = data.nav if data and data.nav else [None] * len(data.dates if data else ())
    columns = (data.dates, nav, data.returns) if data else ((), (), ())
    table = _frame(names, zip(*columns, strict=True), days=1)
    solvent = (pl.col("return").fill_null(0.0) >= -1.0).cast(pl.Int8).cum_min() == 1
    growth = pl.when(solvent).then((1.0 + pl.col("return")).cum_prod())
    peak = pl.max_horizontal(pl.col("growth").cum_max(), 1.0)
    return table.with_columns(growth=growth).with_columns(drawdown=pl.col("growth") / peak - 1.0)


def factor_betas(answer: FactorExposuresAnswer) -> pl.DataFrame:
    """Factor · beta, standard_error, low and high (two of them either side), significant, the rest."""
    names = ("factor", "beta", "standard_error", "exposure_dollar", "coverage")
    rows = (
        (each.name, each.beta, each.standard_error, each.exposure_dollar, each.coverage)
        for each in answer.factors
    )
    width = SIGNIFICANT * pl.col("standard_error")
    return _frame(names, rows).with_columns(
        low=pl.col("beta") - width,
        high=pl.col("beta") + width,
        significant=pl.col("beta").abs() > width,
    )


def risk_by_factor(answer: RiskAttribution) -> pl.DataFrame:
    """Source · share of variance; the factors by size, then what is specific to the positions."""
    data = answer.data
    shares = _by_size(data.factor_contribution) if data else []
    rows = [*shares, ("Specific", data.specific_share)] if data else []
    return _frame(("source", "share"), rows)


def risk_by_position(answer: RiskAttribution, *, largest: int = 20) -> pl.DataFrame:
    """Position · share of variance, n_positions: the largest, the others' sum, those without a value."""
    ranked = _by_size(answer.data.position_contribution) if answer.data else []
    known = [(symbol, share) for symbol, share in ranked if share is not None]
    rows: list[tuple[str, float | None, int]] = [(symbol, share, 1) for symbol, share in known[:largest]]
    if others := [share for _, share in known[largest:]]:
        rows.append((f"{len(others)} others", sum(others), len(others)))
    if unknown := len(ranked) - len(known):
        rows.append((f"{unknown} without a value", None, unknown))
    return _frame(("position", "share", "n_positions"), rows).cast({"n_positions": pl.Int64})


def correlations(answer: CorrelationMatrix) -> pl.DataFrame:
    """symbol_1, symbol_2 · correlation, all pairs, similar symbols side by side."""
    data = answer.data
    order = data.order if data else []
    rows = ((one, other, data.matrix[one][other] if data else None) for one in order for other in order)
    return _frame(("symbol_1", "symbol_2", "correlation"), rows, labels=2)


def stress(answer: StressTest) -> pl.DataFrame:
    """Scenario, category, severity, shocks · impact and direct impact in currency, share of NAV."""
    names = ("scenario", "category", "severity", "shocks", "impact", "direct", "share_of_nav")
    rows = (
        (
            each.name,
            each.category,
            each.severity,
            each.description,
            each.impact.dollar_impact,
            each.direct_dollar_impact,
            each.impact.percentage_impact,
        )
        for each in (answer.data.scenarios if answer.data else ())
    )
    return _frame(names, rows, labels=4).with_columns(pl.col("share_of_nav") / 100.0)


def sectors(answer: SectorExposure) -> pl.DataFrame:
    """Sector · portfolio, benchmark and active weight over NAV; cash is no sector.

    A sector that only one of the two has weighs 0 in the other; without a benchmark no weight is active.
    """
    data = answer.data
    held: Mapping[str, float | None] = data.portfolio_weights if data else {}
    benchmark: Mapping[str, float] = data.benchmark_weights if data else {}
    active: Mapping[str, float | None] = data.over_underweight if data else {}
    rows = [
        (name, held.get(name, 0.0), benchmark.get(name, 0.0) if benchmark else None, active.get(name))
        for name in sorted({*held, *benchmark} - {CASH})
    ]
    return _frame(("sector", "portfolio", "benchmark", "active"), rows).sort(
        pl.col("active").fill_null(pl.col("portfolio")), descending=True, maintain_order=True, nulls_last=True
    )


def concentration(answer: ConcentrationAnswer) -> pl.DataFrame:
    """Symbol · rank, weight, cumulative weight; the largest first."""
    weights = answer.data.position_weights if answer.data else {}
    table = _frame(("symbol", "weight"), weights.items())
    rank = pl.int_range(1, pl.len() + 1, dtype=pl.Int64)
    return table.with_columns(rank=rank, cumulative=pl.col("weight").cum_sum())


def exposure_history(answer: ExposureHistory) -> pl.DataFrame:
    """Session, factor · beta, standard_error; a factor that a session lacks is a row without a beta."""
    names = ("session", "factor", "beta", "standard_error")
    rows = ((each.session, each.factor, each.beta, each.standard_error) for each in answer.history)
    stored = _frame(names, rows, labels=2, days=1)
    factors = sorted(stored["factor"].unique(), key=lambda name: (ORDER.get(name, len(ORDER)), name))
    grid = stored.select(pl.col("session").unique().sort()).join(
        pl.DataFrame({"factor": factors}, schema={"factor": pl.String}), how="cross"
    )
    return grid.join(stored, on=["session", "factor"], how="left", maintain_order="left")


def missing(table: pl.DataFrame, label: str, value: str) -> list[str]:
    """Labels that have rows without a value, each once."""
    return table.filter(pl.col(value).is_null())[label].unique(maintain_order=True).cast(pl.String).to_list()


def _by_size(values: Mapping[str, float | None]) -> list[tuple[str, float | None]]:
    return sorted(values.items(), key=lambda item: (item[1] is None, -abs(item[1] or 0.0), item[0]))


def _frame(
    names: tuple[str, ...], rows: Iterable[tuple[Any, ...]], *, labels: int = 1, days: int = 0
) -> pl.DataFrame:
    """Frame of some labels, the first ``days`` of them sessions, and numbers; no number is NaN."""
    kinds = [
        pl.Date if place < days else pl.String if place < labels else pl.Float64
        for place in range(len(names))
    ]
    schema = dict(zip(names, kinds, strict=True))
    return pl.DataFrame(list(rows), schema=schema, orient="row").fill_nan(None)
