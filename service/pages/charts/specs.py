"""Vega-Lite specs of the analytics answers, one function a chart; imports polars.

Each spec is a dict with its data inline: for ``rendering.svg``, and for a notebook as it is.
"""

import polars as pl

from engine.concentration import CASH
from service.api.analytics.history_records import ExposureHistory, PerformanceAnswer
from service.api.analytics.records import (
    ConcentrationAnswer,
    CorrelationMatrix,
    FactorExposuresAnswer,
    RiskAttribution,
    SectorExposure,
    StressTest,
)
from service.pages.charts import tables
from service.pages.charts.drawing import COLORS, STEPS, WIDTH, Mode, Spec, caption, chart, nothing
from service.pages.charts.marks import (
    DATES,
    LEVEL,
    MONEY,
    ONCE,
    ROW,
    SESSION,
    TICK,
    ZERO,
    bars,
    column,
    rows,
    share,
    signed,
)

SHARES = "Shares of variance, which add up to 100%. Below zero: a hedge."
BETA_WORDS = (
    "datum.beta === null ? 'no value' : format(datum.beta, '.2f') + ' ± ' + "
    "(datum.standard_error === null ? '?' : format(datum.high - datum.beta, '.2f'))"
)
IMPACT_WORDS = (
    "datum.impact === null ? 'no value' : format(datum.impact, '+,.0f') + "
    "(datum.share_of_nav === null ? '' : ' (' + format(datum.share_of_nav, '+.1%') + ')')"
)
ACTIVE_WORDS = (
    "datum.active === null ? 'no value' : format(datum.active, '+.1%') + "
    "' (' + format(datum.portfolio, '.1%') + ' against ' + format(datum.benchmark, '.1%') + ')'"
)
KNOWN = [{"filter": "datum.correlation !== null"}]
CROSS = "M-.5,-.5L.5,.5M-.5,.5L.5,-.5"
MAX_NUMBERED = 12  # symbols up to which a cell of the heatmap has room for its number


def performance(answer: PerformanceAnswer, mode: Mode = "light") -> Spec:
    """Value over time, and below it the drawdown."""
    table = tables.performance(answer)
    stored = bool(table["nav"].is_not_null().any())
    replayed = " of today's weights" if answer.basis == "todays_weights" else ""
    field, title = ("nav", "Net asset value") if stored else ("growth", f"Growth of 1{replayed}")
    says = "Drawdown is of returns: money paid in or out is none."
    lacking = tables.missing(table, "session", field) + tables.missing(table, "session", "drawdown")
    said = caption(answer, f"{title} and drawdown", says, lacking=sorted({*lacking}))
    if not table["growth"].is_not_null().any() and not stored:
        return nothing(said, answer.metadata.get("reason", "no_snapshots"), mode)
    value = {"field": field, "type": "quantitative", "title": None, "scale": {"zero": False}}
    value |= {"axis": MONEY} if stored else {}
    fall = {"field": "drawdown", "type": "quantitative", "title": "Drawdown", "axis": {"format": ".0%"}}
    unlabeled, color = SESSION | {"axis": DATES | {"labels": False}}, COLORS[mode].negative
    line = {"color": color, "strokeCap": "round"}
    area = {"type": "area", "color": color, "fillOpacity": 0.25, "line": line}
    panels = [
        {"width": WIDTH, "height": 150, "mark": "line", "encoding": {"x": unlabeled, "y": value}},
        {"width": WIDTH, "height": 70, "mark": area, "encoding": {"x": SESSION, "y": fall}},
    ]
    return chart(said, table, {"vconcat": panels}, mode)


def factor_betas(answer: FactorExposuresAnswer, mode: Mode = "light") -> Spec:
    """Betas with two standard errors either side; hollow and gray where these reach zero."""
    table = tables.factor_betas(answer)
    says = "Lines: ±2 standard errors. Hollow: zero lies within them, or they are not known."
    said = caption(answer, "Factor betas", says, lacking=tables.missing(table, "factor", "beta"))
    if not table["beta"].is_not_null().any():
        return nothing(said, "no_factor_betas", mode)
    colors = COLORS[mode]
    color = {"condition": {"test": "datum.significant", "value": colors.mark}, "value": colors.faded}
    fill = {"condition": {"test": "datum.significant", "value": colors.mark}, "value": colors.background}
    y = rows(table, "factor")
    low = {"field": "low", "type": "quantitative", "title": "Beta"}
    beta = {"field": "beta", "type": "quantitative", "title": "Beta"}
    point = {"type": "point", "filled": True, "size": 60, "opacity": 1}
    layers = [
        ZERO,
        {
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {"y": y, "x": low, "x2": {"field": "high"}, "color": color},
        },
        {"mark": point, "encoding": {"y": y, "x": beta, "stroke": color, "fill": fill}},
        column(y, BETA_WORDS),
    ]
    return chart(said, table, {"width": WIDTH, "height": ROW, "layer": layers}, mode)


def risk_by_factor(answer: RiskAttribution, mode: Mode = "light") -> Spec:
    """Shares of variance by factor, and what is specific."""
    table = tables.risk_by_factor(answer)
    said = caption(answer, "Risk by factor", SHARES, lacking=tables.missing(table, "source", "share"))
    if not table["share"].is_not_null().any():
        return nothing(said, "no_risk_model", mode)
    return chart(said, table, bars(table, "source", "share", mode), mode)


def risk_by_position(answer: RiskAttribution, mode: Mode = "light", *, largest: int = 20) -> Spec:
    """Shares of variance by position, the largest and the sum of the others."""
    table = tables.risk_by_position(answer, largest=largest)
    shares = answer.data.position_contribution if answer.data else {}
    lacking = [symbol for symbol, share in shares.items() if share is None]
    said = caption(
        answer, "Risk by position", f"{SHARES} The others: a number without a bar.", lacking=lacking
    )
    if not table["share"].is_not_null().any():
        return nothing(said, "no_risk_model", mode)
    body = bars(table, "position", "share", mode)
    body["layer"][0]["transform"] = [{"filter": "datum.n_positions === 1"}]
    return chart(said, table, body, mode)


def correlations(answer: CorrelationMatrix, mode: Mode = "light") -> Spec:
    """Heatmap of pairwise correlations, similar symbols side by side."""
    table = tables.correlations(answer)
    lacking = _uncorrelated(table)
    says = "Similar symbols stand side by side. ×: no value."
    said = caption(answer, "Correlations", says, lacking=lacking)
    if not table["correlation"].is_not_null().any():
        return nothing(said, answer.metadata.get("reason", "no_correlations"), mode)
    symbols = table["symbol_1"].unique(maintain_order=True).to_list()
    place = {"type": "nominal", "title": None, "scale": {"domain": symbols}, "axis": {"grid": False}}
    x, y = place | {"field": "symbol_2"}, place | {"field": "symbol_1"}
    numbered = len(symbols) <= MAX_NUMBERED
    layers = [*_cells(x, y, mode), *([_numbers(x, y, mode)] if numbered else [])]
    cells = {"step": 30 if numbered else 15}
    return chart(said, table, {"width": cells, "height": cells, "layer": layers}, mode)


def stress(answer: StressTest, mode: Mode = "light") -> Spec:
    """P&L of each scenario: correlated as bars, direct as ticks."""
    table = tables.stress(answer)
    known = table.filter(pl.col("impact").is_not_null()).sort("impact")
    ends = (
        f" Worst: {known['scenario'][0]} {known['impact'][0]:+,.0f};"
        f" best: {known['scenario'][-1]} {known['impact'][-1]:+,.0f}."
        if len(known)
        else ""
    )
    says = f"Bars: correlated impact. Ticks: direct impact.{ends}"
    lacking = tables.missing(table, "scenario", "impact")
    lacking += [f"{name} (direct)" for name in tables.missing(table, "scenario", "direct")]
    said = caption(answer, "Stress tests", says, lacking=lacking)
    if answer.coverage is None:  # of nothing: its P&L is 0 whatever happens
        return nothing(said, "no_positions", mode)
    if known.is_empty() and not table["direct"].is_not_null().any():
        return nothing(said, "no_stress_result", mode)
    body = bars(table, "scenario", "impact", mode, words=IMPACT_WORDS)
    tick = TICK | {"color": COLORS[mode].text}
    direct = {"field": "direct", "type": "quantitative"}
    body["layer"].append({"mark": tick, "encoding": {"y": rows(table, "scenario"), "x": direct}})
    return chart(said, table, body, mode)


def sectors(answer: SectorExposure, mode: Mode = "light") -> Spec:
    """Weights from the benchmark's to the portfolio's; its own alone without a benchmark."""
    table = tables.sectors(answer)
    compared = bool(answer.data and answer.data.benchmark_weights)
    cash = answer.data.portfolio_weights.get(CASH) if answer.data else None
    says = "From the benchmark (tick) to the portfolio (dot), and the difference."
    says = says if compared else "Weights of the portfolio; those of the benchmark are not known."
    says += "" if cash is None else f" Cash: {cash:.1%} of NAV."
    lacking = tables.missing(table, "sector", "active" if compared else "portfolio")
    said = caption(answer, "Sector weights", says, lacking=lacking)
    if not table["portfolio"].is_not_null().any():
        return nothing(said, "no_sector_weights", mode)
    if not compared:
        return chart(said, table, bars(table, "sector", "portfolio", mode), mode)
    y, color = rows(table, "sector"), signed("active", mode)
    benchmark, portfolio = share("benchmark"), share("portfolio")
    span = {"y": y, "x": benchmark, "x2": {"field": "portfolio"}, "color": color}
    tick = TICK | {"color": COLORS[mode].text}
    dot = {"type": "point", "filled": True, "size": 80, "opacity": 1}
    layers = [
        {"mark": {"type": "rule", "strokeWidth": 5}, "encoding": span},
        {"mark": tick, "encoding": {"y": y, "x": benchmark}},
        {"mark": dot, "encoding": {"y": y, "x": portfolio, "color": color}},
        column(y, ACTIVE_WORDS),
    ]
    return chart(said, table, {"width": WIDTH, "height": ROW, "layer": layers}, mode)


def concentration(answer: ConcentrationAnswer, mode: Mode = "light") -> Spec:
    """Cumulative weight of the positions, largest first, over the line of equal weights."""
    table = tables.concentration(answer)
    n_symbols, data = len(table), answer.data
    says = "Cumulative weight, largest first; dashed: equal weights."
    if data and None not in (data.top_3_concentration, data.top_10_concentration):
        says += f" Top 3: {data.top_3_concentration:.0%}, top 10: {data.top_10_concentration:.0%}."
    said = caption(answer, "Concentration", says)
    if not n_symbols:
        return nothing(said, answer.metadata.get("interpretation", "no_valued_positions"), mode)
    x = {"field": "rank", "type": "quantitative", "title": "Positions", "axis": {"tickMinStep": 1}}
    y = share("cumulative", "Weight") | {"scale": {"domain": [0, 1], "clamp": True}}
    equal = {"x": {"datum": 0}, "y": {"datum": 0}, "x2": {"datum": n_symbols}, "y2": {"datum": 1}}
    top = [{"filter": {"field": "rank", "oneOf": [1, 3, 10]}}]
    point = {"type": "point", "filled": True, "color": COLORS[mode].mark, "opacity": 1}
    layers = [
        {"data": ONCE, "mark": {"type": "rule", "strokeDash": [4, 3]}, "encoding": equal},
        {"mark": "line", "encoding": {"x": x, "y": y}},
        {"transform": top, "mark": point, "encoding": {"x": x, "y": y}},
    ]
    return chart(said, table, {"width": WIDTH, "height": 160, "layer": layers}, mode)


def exposure_history(answer: ExposureHistory, mode: Mode = "light") -> Spec:
    """Betas over time, a small panel for each factor on one scale."""
    table = tables.exposure_history(answer)
    gaps = table.filter(pl.col("beta").is_null()).group_by("factor", maintain_order=True)
    spans = gaps.agg(pl.len(), first=pl.col("session").min(), last=pl.col("session").max())
    lacking = [
        f"{factor} on {first}" if n == 1 else f"{factor} on {n} sessions from {first} to {last}"
        for factor, n, first, last in spans.iter_rows()
    ]
    said = caption(answer, "Factor betas over time", "All panels have one scale.", lacking=lacking)
    if not table["beta"].is_not_null().any():
        return nothing(said, answer.metadata.get("reason", "no_snapshots"), mode)
    x = SESSION | {"axis": DATES | {"tickCount": 2}}
    y = {"field": "beta", "type": "quantitative", "title": None}
    panel = {"width": 150, "height": 70, "layer": [LEVEL, {"mark": "line", "encoding": {"x": x, "y": y}}]}
    order = table["factor"].unique(maintain_order=True).to_list()
    facet = {"field": "factor", "type": "nominal", "sort": order, "title": None}
    return chart(said, table, {"facet": facet, "columns": 3, "spec": panel}, mode)


def _cells(x: Spec, y: Spec, mode: Mode) -> list[Spec]:
    """Cells of the heatmap, and a cross where there is none: nobody shall take it for a weak correlation."""
    colors = COLORS[mode]
    color = {
        "field": "correlation",
        "type": "quantitative",
        "scale": {"type": "threshold", "domain": list(STEPS), "range": list(colors.steps)},
        "legend": {"title": "Correlation", "format": ".2f"},
    }
    gap = [{"filter": "datum.correlation === null"}]
    cross = {
        "type": "point",
        "shape": CROSS,
        "size": 36,
        "strokeWidth": 1,
        "color": colors.note,
        "opacity": 1,
    }
    return [
        {"transform": KNOWN, "mark": "rect", "encoding": {"x": x, "y": y, "color": color}},
        {"transform": gap, "mark": cross, "encoding": {"x": x, "y": y}},
    ]


def _numbers(x: Spec, y: Spec, mode: Mode) -> Spec:
    """Numbers upon the cells of the heatmap, in the ink that each cell's color bears."""
    inks = COLORS[mode].on_steps
    tests = [
        {"test": f"datum.correlation < {step}", "value": ink} for step, ink in zip(STEPS, inks, strict=False)
    ]
    color = {"condition": tests, "value": inks[-1]}
    text = {"field": "correlation", "type": "quantitative", "format": ".2f"}
    mark = {"type": "text", "fontSize": 9}
    return {"transform": KNOWN, "mark": mark, "encoding": {"x": x, "y": y, "text": text, "color": color}}


def _uncorrelated(table: pl.DataFrame) -> list[str]:
    """Pairs without a value; a symbol that has none with any other is named once."""
    apart = table.filter(pl.col("symbol_1") != pl.col("symbol_2"))
    alone = apart.group_by("symbol_1", maintain_order=True).agg(pl.col("correlation").is_null().all())
    names = alone.filter(pl.col("correlation"))["symbol_1"].to_list()
    pairs = apart.filter(
        pl.col("correlation").is_null()
        & (pl.col("symbol_1") < pl.col("symbol_2"))
        & ~pl.col("symbol_1").is_in(names)
        & ~pl.col("symbol_2").is_in(names)
    )
    return [
        *(f"{name} with any other" for name in names),
        *(f"{one}–{other}" for one, other in pairs.select("symbol_1", "symbol_2").iter_rows()),
    ]
