"""How answers are printed: one JSON document, or tables for a person."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec
import polars as pl
from rich.console import Console
from rich.table import Table

from service.analysis import to_plain

# Wide where nobody looks: a pipe or a file gets whole lines.
WIDTH = None if sys.stdout.isatty() else 160
console = Console(width=WIDTH)


def print_json(answer: Any) -> None:
    """Print one JSON document on stdout."""
    encoded = msgspec.json.encode(to_plain(answer), enc_hook=str)
    sys.stdout.write(msgspec.json.format(encoded, indent=2).decode() + "\n")
    sys.stdout.flush()  # a service prints where it listens, and goes on


def records(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame as dicts; dates as ISO text, NaN as None."""
    texts = frame.with_columns(pl.col(pl.Date, pl.Datetime).cast(pl.String))
    return [to_plain(row) for row in texts.iter_rows(named=True)]


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; numbers to the right, at four significant places."""
    console.print(title, style="bold", highlight=False, soft_wrap=True)
    table = Table(header_style="bold", box=None, show_header=any(columns))
    lines = [[text(value) for value in row] for row in rows]
    samples = [[row[column] for row in lines] for column in range(len(columns))]
    for name, sample in zip(columns, samples, strict=True):
        numeric = all(each.strip("+-%,.0123456789e±—ms ") == "" for each in sample)
        table.add_column(name, justify="right" if numeric and sample else "left", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    console.print(table)
    console.print()


def print_fields(title: str, fields: Mapping[str, Any]) -> None:
    """Print names and values below each other."""
    print_table(title, ("", ""), [(name.replace("_", " "), value) for name, value in fields.items()])


def text(value: Any) -> str:
    """Text of one cell: a dash for what is missing."""
    if value is None:
        return "—"
    if isinstance(value, float):
        if value != value:  # noqa: PLR0124 - NaN
            return "—"
        return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.4f}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return ", ".join(map(text, value)) or "—"
    return str(value)
