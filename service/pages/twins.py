"""The table that stands beside a chart: its frame as texts, each column in its own unit."""

from collections.abc import Callable
from typing import Any, NamedTuple

import polars as pl

from service.pages.formats import MISSING, money, number, percent

PERCENT = ("share", "portfolio", "benchmark", "active", "share_of_nav", "weight", "cumulative", "coverage")
RETURNS = ("return", "drawdown")
MONEY = ("nav", "impact", "direct", "exposure_dollar")


class Twin(NamedTuple):
    """Heads and cells; ``numeric`` says which columns are numbers."""

    heads: list[str]
    numeric: list[bool]
    rows: list[tuple[str, ...]]


def twin(table: pl.DataFrame, *, without: tuple[str, ...] = ()) -> Twin:
    """Return a chart's frame as texts."""
    table = table.drop(without, strict=False)
    texts = [list(map(_format(name), table[name].to_list())) for name in table.columns]
    return Twin(
        [name.replace("_", " ") for name in table.columns],
        [dtype.is_numeric() for dtype in table.dtypes],
        list(zip(*texts, strict=True)),
    )


def matrix(table: pl.DataFrame) -> Twin:
    """Return pairs ``symbol_1, symbol_2 · correlation`` as a square."""
    names = table["symbol_1"].unique(maintain_order=True).to_list()
    values = [number(value) for value in table["correlation"].to_list()]
    rows = [(name, *values[at * len(names) : (at + 1) * len(names)]) for at, name in enumerate(names)]
    return Twin(["", *names], [False, *(True for _ in names)], rows)


def _format(name: str) -> Callable[[Any], str]:
    if name in PERCENT:
        return percent
    if name in RETURNS:
        return lambda value: percent(value, 2)
    if name in MONEY:
        return money
    if name == "significant":
        return lambda value: MISSING if value is None else "yes" if value else "no"
    return lambda value: number(value, 3) if isinstance(value, float) else _text(value)


def _text(value: Any) -> str:
    return MISSING if value is None else str(value)
