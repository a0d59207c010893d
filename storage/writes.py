"""Changes to one Delta table: append, replace, compact, a quarter at a time; imports deltalake."""

from collections.abc import Iterable
from datetime import date
from itertools import groupby
from typing import Any, TypeAlias

import polars as pl
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError

from storage.errors import InvalidFrame, LeaseLost
from storage.lake import NO_HOOKS, Files, Lake, needing_room
from storage.scan import Selection, read_files
from storage.schemas import conform, first_key
from storage.table import Table

Span: TypeAlias = tuple[date, date]
Quarter: TypeAlias = tuple[int, int]

# LZ4 decodes a price panel up to three times as fast as zstd-3 and takes a fifth more space. With 131,072
# rows a dictionary of doubles fits the writer's limit of 1 MiB, and groups small enough to skip by symbol.
PARQUET = WriterProperties(compression="LZ4_RAW", max_row_group_size=131_072)
# Nobody else may commit while the lease is held: a commit that finds another one is refused, not rebased.
ALONE = CommitProperties(max_commit_retries=0)
ONE_FILE = 1 << 40  # bytes; the writer would split a quarter into several files
COMMIT: dict[str, Any] = {"commit_properties": ALONE, "post_commithook_properties": NO_HOOKS}
OPTIONS: dict[str, Any] = {"writer_properties": PARQUET, "target_file_size": ONE_FILE, **COMMIT}
EVERYTHING = Selection()


def append(lake: Lake, table: Table, delta: DeltaTable, frame: pl.DataFrame) -> None:
    """Add rows whose keys are new.

    Raises
    ------
    InvalidFrame
        The frame breaks the table's contract, or holds a key that the table has; nothing is written.
    """
    parts = _by_quarter(table, conform(table, frame))
    files = lake.files_of(table, delta)
    for part in parts:
        _refuse_known_keys(table, files, part)
    for part in parts:
        _commit(table, delta, part, None)


def replace(lake: Lake, table: Table, delta: DeltaTable, frame: pl.DataFrame, wanted: Selection) -> None:
    """Put the frame's rows in the place of all selected ones; an empty frame deletes them.

    Delta's own overwrite would do it in one commit, but merges every file it touches into one, unsorted. Here
    each quarter becomes one sorted file in a commit of its own, and files that hold no selected row stay.

    Raises
    ------
    InvalidFrame
        The frame breaks the table's contract, or holds rows outside the selection; nothing is written.
    """
    frame = conform(table, frame)
    outside = frame.filter(~wanted.rows(table))
    if not outside.is_empty():
        raise InvalidFrame(
            f"{table.name}: row {first_key(table, outside)} lies outside the range to be replaced"
        )
    new = {_quarter(part[table.date][0]): part for part in _by_quarter(table, frame)}
    old = _files_by_quarter(lake.files_of(table, delta))
    for quarter in sorted(new.keys() | old.keys()):
        _replace_quarter(table, delta, old.get(quarter, ()), new.get(quarter, frame.clear()), wanted)


def compact(lake: Lake, table: Table, delta: DeltaTable) -> int:
    """Make every closed quarter one sorted file, and return how many had to be.

    A quarter is closed when the table has rows of a later one. Holds one quarter in memory.
    """
    quarters = _files_by_quarter(lake.files_of(table, delta))
    scattered = [files for quarter, files in sorted(quarters.items())[:-1] if len(files) > 1]
    for files in scattered:
        rows = read_files(table, files, EVERYTHING).sort(table.key)
        _commit(table, delta, rows, _hull(file.dates for file in files))
    return len(scattered)


def _replace_quarter(
    table: Table, delta: DeltaTable, files: Files, new: pl.DataFrame, wanted: Selection
) -> None:
    spans = [file.dates for file in files if wanted.meets(file)]
    if not spans:
        if not new.is_empty():
            _commit(table, delta, new, None)
        return
    if not new.is_empty():
        spans.append(_dates(table, new))
    span, inside = _closed_span(files, _hull(spans))
    kept = read_files(table, inside, EVERYTHING).filter(~wanted.rows(table))
    _commit(table, delta, pl.concat([kept, new]).sort(table.key), span)


def _closed_span(files: Files, span: Span) -> tuple[Span, Files]:
    """Widen a range of dates until no file lies partly in it; return it with the files in it."""
    while True:
        inside = tuple(file for file in files if file.dates[0] <= span[1] and file.dates[1] >= span[0])
        wider = _hull([span, *(file.dates for file in inside)])
        if wider == span:
            return span, inside
        span = wider


def _commit(table: Table, delta: DeltaTable, rows: pl.DataFrame, span: Span | None) -> None:
    """Commit sorted rows as one file, in the place of everything within a span of dates when there is one."""
    predicate = None
    if span is not None:
        predicate = f"\"{table.date}\" >= '{span[0]}' AND \"{table.date}\" <= '{span[1]}'"
    try:
        with needing_room(table):
            if predicate is None:
                write_deltalake(delta, rows, mode="append", **OPTIONS)
            elif rows.is_empty():
                delta.delete(predicate, **COMMIT)
            else:
                write_deltalake(delta, rows, mode="overwrite", predicate=predicate, **OPTIONS)
    except CommitFailedError as error:
        raise LeaseLost(
            f"another process wrote to {table.name} meanwhile: {error}; start the job again"
        ) from error


def _refuse_known_keys(table: Table, files: Files, part: pl.DataFrame) -> None:
    """Compare keys in the files that overlap the part's dates and symbols."""
    symbols = frozenset(part["symbol"].unique()) if table.by_symbol else None
    stored = read_files(table, files, Selection(_dates(table, part), symbols), table.key)
    known = part.join(stored, on=table.key, how="semi")
    if not known.is_empty():
        raise InvalidFrame(
            f"{table.name} already holds {known.height} of the keys, first {first_key(table, known)}; "
            "replace the range instead of appending to it"
        )


def _by_quarter(table: Table, frame: pl.DataFrame) -> list[pl.DataFrame]:
    quarters = frame.group_by(pl.col(table.date).dt.truncate("1q"), maintain_order=True)
    return [part for _, part in quarters]


def _files_by_quarter(files: Files) -> dict[Quarter, Files]:
    ordered = sorted(files, key=lambda file: file.dates)
    return {
        quarter: tuple(group) for quarter, group in groupby(ordered, key=lambda file: _quarter(file.dates[0]))
    }


def _dates(table: Table, frame: pl.DataFrame) -> Span:
    """Return the first and the last date of a frame that is not empty."""
    days = pl.col(table.date)
    first, last = frame.select(first=days.min(), last=days.max()).row(0)
    return first, last


def _hull(spans: Iterable[Span]) -> Span:
    firsts, lasts = zip(*spans, strict=True)
    return min(firsts), max(lasts)


def _quarter(day: date) -> Quarter:
    return day.year, (day.month - 1) // 3
