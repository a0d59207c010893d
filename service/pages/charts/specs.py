"""Vega-Lite specs of the analytics answers, one function a chart; imports polars, the tables and the drawing.

Each spec is a dict with its data inline: for ``drawing.svg``, and for a notebook as it is.
"""

import polars as pl

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

ROW, GAP = {"step": 20}, 10
MAX_NUMBERED = 12  # symbols up to which a cell of the heatmap has room for its number
ZERO = {"mark": "rule", "encoding": {"x": {"datum": 0}}}
LEVEL = {"mark": "rule", "encoding": {"y": {"datum": 0}}}
# Sessions are days without a zone: the local one of a server would move them to the day before.
SESSION = {"field": "session", "type": "temporal", "scale": {"type": "utc"}, "title": None}


def performance(answer: PerformanceAnswer, mode: Mode = "light") -> Spec:
    """Value over time, and below it the drawdown."""
    table = tables.performance(answer)
    stored = bool(table["nav"].is_not_null().any())
    field, title = ("nav", "Net asset value") if stored else ("growth", "Growth of 1, today's weights")
    says = "Drawdown is of returns: money paid in or out is none."
    lacking = tables.missing(table, "session", field) + tables.missing(table, "session", "drawdown")
    said = caption(answer, f"{title} and drawdown", says, lacking=list(dict.fromkeys(lacking)))
    if not table["growth"].is_not_null().any() and not stored:
        return nothing(said, answer.metadata.get("reason", "no_snapshots"), mode)
    value = {"field": field, "type": "quantitative", "title": None, "scale": {"zero": False}}
    fall = {"field": "drawdown", "type": "quantitative", "title": "Drawdown", "axis": {"format": ".0%"}}
    color = COLORS[mode].negative
    area = {
        "type": "area",
        "color": color,
        "fillOpacity": 0.25,
        "line": {"color": color, "strokeCap": "round"},
    }
    panels = [
        {"width": WIDTH, "height": 150, "mark": "line", "encoding": {"x": SESSION, "y": value}},
        {"width": WIDTH, "height": 70, "mark": area, "encoding": {"x": SESSION, "y": fall}},
    ]
    return chart(said, table, {"vconcat": panels}, mode)


def factor_betas(answer: FactorExposuresAnswer, mode: Mode = "light") -> Spec:
    """Betas with two standard errors either side; hollow and gray where these reach zero."""
    table = tables.factor_betas(answer)
    says = "Lines: ±2 standard errors. Hollow: not told from zero."
    said = caption(answer, "Factor betas", says, lacking=tables.missing(table, "factor", "beta"))
    if not table["beta"].is_not_null().any():
        return nothing(said, "no_factor_betas", mode)
    colors = COLORS[mode]
    color = {"condition": {"test": "datum.significant", "value": colors.mark}, "value": colors.faded}
    fill = {"condition": {"test": "datum.significant", "value": colors.mark}, "value": colors.background}
    y = _rows(table, "factor")
    low = {"field": "low", "type": "quantitative", "title": "Beta"}
    beta = {"field": "beta", "type": "quantitative", "title": "Beta"}
    point = {"type": "point", "filled": True, "size": 60, "opacity": 1}
    words = (
        "datum.beta === null ? 'no value' : format(datum.beta, '.2f') + "
        "(datum.standard_error === null ? ' (no error)' : ' ± ' + format(2 * datum.standard_error, '.2f'))"
    )
    layers = [
        ZERO,
        {
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {"y": y, "x": low, "x2": {"field": "high"}, "color": color},
        },
        {"mark": point, "encoding": {"y": y, "x": beta, "stroke": color, "fill": fill}},
        _column(y, words),
    ]
    return chart(said, table, {"width": WIDTH, "height": ROW, "layer": layers}, mode)


def risk_by_factor(answer: RiskAttribution, mode: Mode = "light") -> Spec:
    """Shares of variance by factor, and what is specific."""
    table = tables.risk_by_factor(answer)
    says = "Shares of variance, which add up to 100 %. Below zero: a hedge."
    said = caption(answer, "Risk by factor", says, lacking=tables.missing(table, "source", "share"))
    if not table["share"].is_not_null().any():
        return nothing(said, "no_risk_model", mode)
    return chart(said, table, _bars(table, "source", "share", mode), mode)


def risk_by_position(answer: RiskAttribution, mode: Mode = "light", *, largest: int = 20) -> Spec:
    """Shares of variance by position, the largest and the sum of the others."""
    table = tables.risk_by_position(answer, largest=largest)
    shares = answer.data.position_contribution if answer.data else {}
    lacking = [symbol for symbol, share in shares.items() if share is None]
    says = "Shares of variance, which add up to 100 %. Below zero: a hedge."
    said = caption(answer, "Risk by position", says, lacking=lacking)
    if not table["share"].is_not_null().any():
        return nothing(said, "no_risk_model", mode)
    return chart(said, table, _bars(table, "position", "share", mode), mode)


def correlations(answer: CorrelationMatrix, mode: Mode = "light") -> Spec:
    """Heatmap of pairwise correlations, similar symbols side by side; a pair without a value stays empty."""
    table = tables.correlations(answer)
    pairs = table.filter(pl.col("correlation").is_null() & (pl.col("symbol_1") < pl.col("symbol_2")))
    lacking = [f"{one}–{other}" for one, other in pairs.select("symbol_1", "symbol_2").iter_rows()]
    says = "Similar symbols stand side by side. Empty cell: no value."
    said = caption(answer, "Correlations", says, lacking=lacking)
    if not table["correlation"].is_not_null().any():
        return nothing(said, answer.metadata.get("reason", "no_correlations"), mode)
    symbols, colors = table["symbol_1"].unique(maintain_order=True).to_list(), COLORS[mode]
    place = {"type": "nominal", "title": None, "scale": {"domain": symbols}, "axis": {"grid": False}}
    x, y = place | {"field": "symbol_2"}, place | {"field": "symbol_1"}
    color = {
        "field": "correlation",
        "type": "quantitative",
        "scale": {"type": "threshold", "domain": list(STEPS), "range": list(colors.steps)},
        "legend": {"title": "Correlation", "format": ".2f"},
    }
    known = [{"filter": "datum.correlation !== null"}]
    tests = [
        {"test": f"datum.correlation < {step}", "value": ink}
        for step, ink in zip(STEPS, colors.on_steps, strict=False)
    ]
    number = {"field": "correlation", "type": "quantitative", "format": ".2f"}
    ink = {"condition": tests, "value": colors.on_steps[-1]}
    layers = [
        # Draws nothing, but a symbol whose every pair is missing keeps its row.
        {"mark": {"type": "rect", "opacity": 0}, "encoding": {"x": x, "y": y}},
        {"transform": known, "mark": "rect", "encoding": {"x": x, "y": y, "color": color}},
        {
            "transform": known,
            "mark": {"type": "text", "fontSize": 9},
            "encoding": {"x": x, "y": y, "text": number, "color": ink},
        },
    ]
    cells, layers = ({"step": 30}, layers) if len(symbols) <= MAX_NUMBERED else ({"step": 15}, layers[:2])
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
    says = f"Bars: other factors move along. Ticks: they stand still or follow the market.{ends}"
    said = caption(answer, "Stress tests", says, lacking=tables.missing(table, "scenario", "impact"))
    if known.is_empty():
        return nothing(said, "no_stress_result", mode)
    words = (
        "datum.impact === null ? 'no value' : format(datum.impact, '+,.0f') + "
        "(datum.share_of_nav === null ? '' : ' (' + format(datum.share_of_nav, '+.1%') + ')')"
    )
    body = _bars(table, "scenario", "impact", mode, words=words)
    tick = {"type": "tick", "color": COLORS[mode].text, "thickness": 2}
    direct = {"field": "direct", "type": "quantitative"}
    body["layer"].append({"mark": tick, "encoding": {"y": _rows(table, "scenario"), "x": direct}})
    return chart(said, table, body, mode)


def sectors(answer: SectorExposure, mode: Mode = "light") -> Spec:
    """Weights of the portfolio beside the benchmark's, and the difference."""
    table = tables.sectors(answer)
    cash = answer.data.portfolio_weights.get("Cash") if answer.data else None
    of_cash = "" if cash is None else f" Cash: {cash:.1%} of NAV."
    says = f"Left: portfolio (bar) and benchmark (tick). Right: the difference.{of_cash}"
    said = caption(answer, "Sector weights", says, lacking=tables.missing(table, "sector", "active"))
    if not table["portfolio"].is_not_null().any():
        return nothing(said, "no_sector_weights", mode)
    colors, y = COLORS[mode], _rows(table, "sector")
    tick = {"type": "tick", "color": colors.text, "thickness": 3}
    layers = [
        {"mark": {"type": "bar", "color": colors.faded}, "encoding": {"y": y, "x": _share("portfolio")}},
        {"mark": tick, "encoding": {"y": y, "x": _share("benchmark")}},
    ]
    weights = {"width": WIDTH // 2, "height": ROW, "layer": layers}
    active = _bars(table, "sector", "active", mode) | {"width": WIDTH // 2}
    return chart(said, table, {"hconcat": [weights, active]}, mode)


def concentration(answer: ConcentrationAnswer, mode: Mode = "light") -> Spec:
    """Cumulative weight of the positions, largest first, over the line of equal weights."""
    table = tables.concentration(answer)
    n_symbols, data = len(table), answer.data
    number = data.effective_num_positions if data else None
    says = "Cumulative weight, largest first; gray: equal weights."
    says += f" As spread as {number:.1f} equal positions." if number is not None else ""
    said = caption(answer, "Concentration", says)
    if not n_symbols:
        return nothing(said, answer.metadata.get("interpretation", "no_valued_positions"), mode)
    x = {"field": "rank", "type": "quantitative", "title": "Positions", "axis": {"tickMinStep": 1}}
    y = _share("cumulative", "Weight")
    equal = {"x": {"datum": 0}, "y": {"datum": 0}, "x2": {"datum": n_symbols}, "y2": {"datum": 1}}
    words = "'top ' + datum.rank + ': ' + format(datum.cumulative, '.0%')"
    named = [{"filter": {"field": "rank", "oneOf": [3, 10]}}, {"calculate": words, "as": "words"}]
    label = {"type": "text", "align": "left", "baseline": "top", "dx": 4, "dy": 4}
    layers = [
        {"mark": {"type": "rule", "strokeDash": [4, 3]}, "encoding": equal},
        {"mark": {"type": "line", "point": n_symbols <= 30}, "encoding": {"x": x, "y": y}},
        {"transform": named, "mark": label, "encoding": {"x": x, "y": y, "text": {"field": "words"}}},
    ]
    return chart(said, table, {"width": WIDTH, "height": 160, "layer": layers}, mode)


def exposure_history(answer: ExposureHistory, mode: Mode = "light") -> Spec:
    """Betas over time, a small panel for each factor on one scale."""
    table = tables.exposure_history(answer)
    lacking = [
        f"{factor} on {session}"
        for session, factor in table.filter(pl.col("beta").is_null()).select("session", "factor").iter_rows()
    ]
    said = caption(answer, "Factor betas over time", "All panels have one scale.", lacking=lacking)
    if not table["beta"].is_not_null().any():
        return nothing(said, answer.metadata.get("reason", "no_snapshots"), mode)
    x = SESSION | {"axis": {"tickCount": 3}}
    y = {"field": "beta", "type": "quantitative", "title": None}
    panel = {"width": 150, "height": 70, "layer": [LEVEL, {"mark": "line", "encoding": {"x": x, "y": y}}]}
    order = table["factor"].unique(maintain_order=True).to_list()
    facet = {"field": "factor", "type": "nominal", "sort": order, "title": None}
    return chart(said, table, {"facet": facet, "columns": 3, "spec": panel}, mode)


def _bars(table: pl.DataFrame, label: str, value: str, mode: Mode, *, words: str | None = None) -> Spec:
    """Bars from zero, colored by sign, with the signed number beside each, or that there is none."""
    colors, y = COLORS[mode], _rows(table, label)
    share = f"datum.{value} === null ? 'no value' : format(datum.{value}, '+.1%')"
    below = {"test": f"datum.{value} < 0", "value": colors.negative}
    color = {"condition": below, "value": colors.positive}
    x = {"field": value, "type": "quantitative", "title": None} if words else _share(value)
    bar = {"mark": "bar", "encoding": {"y": y, "x": x, "color": color}}
    layers = [bar, ZERO, _column(y, words or share)]
    return {"width": WIDTH, "height": ROW, "layer": layers}


def _rows(table: pl.DataFrame, label: str) -> Spec:
    """Rows in the order of the table: the scale names them all, for one without a value would lose its row."""
    names = table[label].to_list()
    return {"field": label, "type": "nominal", "title": None, "scale": {"domain": names}}


def _share(field: str, title: str | None = None) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, "axis": {"format": "%"}}


def _column(y: Spec, words: str) -> Spec:
    """Words in a column at the right edge, where no bar hides them."""
    return {
        "transform": [{"calculate": words, "as": "words"}],
        "mark": {"type": "text", "align": "left"},
        "encoding": {"y": y, "x": {"value": {"expr": f"width + {GAP}"}}, "text": {"field": "words"}},
    }
