"""How charts look: colors, captions, the frame of a spec; imports polars and the records."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, Literal, TypeAlias

import polars as pl

from service.api.analytics.records import Served

Spec: TypeAlias = dict[str, Any]
Mode: TypeAlias = Literal["light", "dark"]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
NAMED = 8
WIDTH, LINE = 420, 84  # pixels, and characters of a caption that fit above them and the labels
STEPS = (-0.75, -0.5, -0.25, 0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class Colors:
    """Colors of a mode: text 4.5:1 and marks 3:1 at least on the background.

    Blue against orange stays apart for every kind of color blindness, and no meaning hangs on it alone.
    ``steps`` are those of correlations from −1 to 1, ``on_steps`` the text upon each.
    """

    background: str
    text: str
    note: str
    grid: str
    mark: str
    positive: str
    negative: str
    faded: str
    steps: tuple[str, ...]
    on_steps: tuple[str, ...]


COLORS: dict[Mode, Colors] = {
    "light": Colors(
        background="#ffffff",
        text="#1b1f24",
        note="#57606a",
        grid="#d8dee4",
        mark="#0072b2",
        positive="#0072b2",
        negative="#c24e00",
        faded="#7d8590",
        steps=("#7a3300", "#b0500f", "#efb48c", "#eef0f2", "#9ecae8", "#2277b0", "#0b4571"),
        on_steps=("#ffffff", "#ffffff", "#1b1f24", "#1b1f24", "#1b1f24", "#ffffff", "#ffffff"),
    ),
    "dark": Colors(
        background="#12161c",
        text="#e6edf3",
        note="#a3adb8",
        grid="#333b45",
        mark="#56b4e9",
        positive="#56b4e9",
        negative="#f0883e",
        faded="#7d8590",
        steps=("#ffb070", "#e0803a", "#6b3d1a", "#262c34", "#1f4a68", "#3f93c8", "#8fd0f7"),
        on_steps=("#12161c", "#12161c", "#ffffff", "#ffffff", "#ffffff", "#12161c", "#12161c"),
    ),
}


def config(mode: Mode) -> Spec:
    """Vega-Lite configuration of a mode."""
    colors = COLORS[mode]
    axis = {
        "labelColor": colors.text,
        "titleColor": colors.note,
        "gridColor": colors.grid,
        "domainColor": colors.faded,
        "tickColor": colors.faded,
        # To measure a text takes longer than to draw a bar, and a limit has each measured once more.
        "labelLimit": 0,
    }
    return {
        "background": colors.background,
        "font": "sans-serif",
        "view": {"stroke": None},
        "axis": axis,
        "axisQuantitative": {"tickCount": 5},
        "header": {"labelColor": colors.text, "labelFontWeight": "bold", "title": None},
        "legend": {"labelColor": colors.text, "titleColor": colors.note},
        "title": {"color": colors.text, "subtitleColor": colors.note, "anchor": "start", "offset": 12},
        # A round cap draws the value that stands alone between two gaps.
        "line": {"color": colors.mark, "strokeWidth": 1.5, "strokeCap": "round"},
        "rule": {"color": colors.faded},
        "text": {"color": colors.text},
    }


@dataclass(frozen=True, slots=True)
class Caption:
    """What a chart says in words: title, what is drawn, what has no value, and what holds for the whole."""

    title: str
    says: str
    gaps: str
    whole: str


def caption(answer: Served, title: str, says: str, *, lacking: Sequence[str] = ()) -> Caption:
    """Say what is drawn, of when, and what is missing and why."""
    gaps = f"No value: {_some(lacking)}." if lacking else ""
    left_out = [f"{each.symbol} ({_words(each.reason)})" for each in answer.excluded]
    whole = [
        f"As of {answer.as_of}." if answer.as_of else "",
        _coverage(answer.coverage),
        f"Left out: {_some(left_out)}." if left_out else "",
        f"Limits: {_some([_words(code) for code in answer.reasons])}." if answer.reasons else "",
    ]
    return Caption(title, says, gaps, " ".join(filter(None, whole)))


def chart(said: Caption, table: pl.DataFrame, body: Spec, mode: Mode) -> Spec:
    """Return a whole spec: the table's rows inline, the drawing of them, the caption and the colors."""
    rows = table.with_columns(pl.col(pl.Date).cast(pl.String)).to_dicts()
    return _captioned(said, mode) | {"data": {"values": rows}} | body


def nothing(said: Caption, why: str, mode: Mode) -> Spec:
    """Return a spec that draws the words why there is nothing to draw."""
    words = f"Nothing to draw: {_words(why)}."
    mark = {"type": "text", "align": "left", "fontSize": 13}
    return _captioned(Caption(said.title, "", "", f"{words} {said.whole}".strip()), mode) | {
        "data": {"values": [{"words": words}]},
        "width": WIDTH,
        "height": 60,
        "mark": mark,
        "encoding": {"x": {"value": 0}, "text": {"field": "words", "type": "nominal"}},
    }


def _captioned(said: Caption, mode: Mode) -> Spec:
    lines = [*wrap(said.says, LINE), *wrap(said.gaps, LINE)]
    spoken = " ".join(filter(None, (f"{said.title}.", said.says, said.gaps, said.whole)))
    title = {"text": said.title, "subtitle": lines}
    return {"$schema": SCHEMA, "title": title, "description": spoken, "config": config(mode)}


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _words(code: str) -> str:
    return code.replace("_", " ").replace(",", ", ")


def _coverage(share: float | None) -> str:
    """Say how much of the book is in it; rounded down, so that 100% is said of the whole alone."""
    return f"Covers {math.floor(1000 * share) / 10:g}% of the book." if share is not None else ""
