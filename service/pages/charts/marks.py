"""Pieces that several charts are drawn with: bars, axes, columns of words; imports polars and the drawing."""

import polars as pl

from service.pages.charts.drawing import COLORS, WIDTH, Mode, Spec

ROW, GAP, DAY = {"step": 20}, 10, 86_400_000
BAR: Spec = {"type": "bar", "height": {"band": 0.55}}
# Longer than the bar, to be seen upon it.
TICK: Spec = {"type": "tick", "thickness": 2, "opacity": 1, "height": {"band": 0.9}}
# A rule that inherits the data is drawn anew for each of its rows.
ONCE: Spec = {"values": [{}]}
ZERO: Spec = {"data": ONCE, "mark": "rule", "encoding": {"x": {"datum": 0}}}
LEVEL: Spec = {"data": ONCE, "mark": "rule", "encoding": {"y": {"datum": 0}}}
MONEY: Spec = {"labelExpr": "replace(format(datum.value, '~s'), 'G', 'B')"}
DATES: Spec = {"format": "%Y-%m-%d", "tickCount": 5, "tickMinStep": DAY, "labelOverlap": "greedy"}
# Sessions are days without a zone: the local one of a server would move them to the day before.
SESSION: Spec = {
    "field": "session",
    "type": "temporal",
    "scale": {"type": "utc"},
    "title": None,
    "axis": DATES,
}


def bars(table: pl.DataFrame, label: str, value: str, mode: Mode, *, words: str | None = None) -> Spec:
    """Bars from zero, colored by sign, with the signed number beside each, or that there is none."""
    y = rows(table, label)
    percent = f"datum.{value} === null ? 'no value' : format(datum.{value}, '+.1%')"
    x = share(value) | ({"axis": MONEY} if words else {})
    bar = {"mark": BAR, "encoding": {"y": y, "x": x, "color": signed(value, mode)}}
    return {"width": WIDTH, "height": ROW, "layer": [bar, ZERO, column(y, words or percent)]}


def signed(value: str, mode: Mode) -> Spec:
    """Color of a number by its sign."""
    below = {"test": f"datum.{value} < 0", "value": COLORS[mode].negative}
    return {"condition": below, "value": COLORS[mode].positive}


def rows(table: pl.DataFrame, label: str) -> Spec:
    """A row for each label of the table: without a scale that names them, one without a value has none."""
    names = table[label].to_list()
    return {"field": label, "type": "nominal", "title": None, "scale": {"domain": names}}


def share(field: str, title: str | None = None) -> Spec:
    """A channel of decimals, written as percentages."""
    return {"field": field, "type": "quantitative", "title": title, "axis": {"format": "%"}}


def column(y: Spec, words: str) -> Spec:
    """Words in a column at the right edge of a panel, where no bar hides them."""
    return {
        "transform": [{"calculate": words, "as": "words"}],
        "mark": {"type": "text", "align": "left"},
        "encoding": {"y": y, "x": {"value": WIDTH + GAP}, "text": {"field": "words"}},
    }
