"""Reads the files of a table version, but not those that cannot hold what is asked; imports polars."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

import polars as pl

from storage.errors import Corrupt, Refused
from storage.table import Table


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file, with the range of its dates and symbols (``("", "")`` in a table without symbols)."""

    path: str
    dates: tuple[date, date]
    symbols: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows within a range of dates, both ends included, of some symbols and portfolios; None: any."""

    sessions: tuple[date, date] | None = None
    symbols: frozenset[str] | None = None
    portfolios: frozenset[str] | None = None

    def meets(self, file: DataFile) -> bool:
        """Whether the file may hold a selected row."""
        if self.sessions and (file.dates[0] > self.sessions[1] or file.dates[1] < self.sessions[0]):
            return False
        low, high = file.symbols
        return self.symbols is None or any(low <= symbol <= high for symbol in self.symbols)

    def covers(self, file: DataFile) -> bool:
        """Whether every row of the file is selected."""
        inside = (
            self.sessions is None or self.sessions[0] <= file.dates[0] <= file.dates[1] <= self.sessions[1]
        )
        return inside and self.symbols is None and self.portfolios is None

    def rows(self, table: Table) -> pl.Expr:
        """Return the condition that selects the rows of a table."""
        conditions = [pl.lit(True)]
        if self.sessions:
            conditions.append(pl.col(table.date).is_between(*self.sessions))
        if self.symbols is not None:
            conditions.append(pl.col("symbol").is_in(sorted(self.symbols)))
        if self.portfolios is not None:
            conditions.append(pl.col("portfolio_id").is_in(sorted(self.portfolios)))
        return pl.all_horizontal(conditions)


def selection(
    table: Table,
    sessions: tuple[date, date] | None,
    symbols: Iterable[str] | None,
    portfolios: Iterable[str] | None = None,
) -> Selection:
    """Return what is asked of a table; ``Refused`` when it has no symbols or portfolios to ask for."""
    if symbols is not None and not table.by_symbol:
        raise Refused(f"{table.name} has no rows by symbol; select by sessions alone")
    if portfolios is not None and "portfolio_id" not in table.key:
        raise Refused(f"{table.name} has no rows by portfolio; select by sessions alone")
    names, ids = (None if each is None else frozenset(each) for each in (symbols, portfolios))
    return Selection(sessions, names, ids)


def data_files(table: Table, root: str, actions: pl.DataFrame) -> tuple[DataFile, ...]:
    """Return the files behind flattened Delta add actions, oldest dates first."""
    names = actions["path"].to_list()
    dates = zip(actions[f"min.{table.date}"].to_list(), actions[f"max.{table.date}"].to_list(), strict=True)
    if table.by_symbol:
        symbols = zip(actions["min.symbol"].to_list(), actions["max.symbol"].to_list(), strict=True)
    else:
        symbols = zip([""] * len(names), [""] * len(names), strict=True)
    files = (DataFile(f"{root}/{name}", *ranges) for name, *ranges in zip(names, dates, symbols, strict=True))
    return tuple(sorted(files, key=lambda file: (file.dates, file.path)))


def read_files(
    table: Table, files: Iterable[DataFile], wanted: Selection, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Read the selected rows of some files, in the order of the files.

    A file wholly inside the selection is read without a filter: on a panel of millions of rows a mask and the
    copy behind it would cost as much as the decoding.
    """
    names = _column_names(table, columns)
    met = [file for file in files if wanted.meets(file)]
    inside = [file.path for file in met if wanted.covers(file)]
    cut = [file.path for file in met if not wanted.covers(file)]
    parts = []
    if inside:
        parts.append(_scan(table, inside).select(names))
    if cut:
        parts.append(_scan(table, cut).filter(wanted.rows(table)).select(names))
    if not parts:
        return pl.DataFrame(schema=table.schema).select(names)
    return _collected(table, pl.concat(parts))


def read_whole(
    table: Table, files: Iterable[DataFile], since: Mapping[str, date], until: date
) -> Iterator[pl.DataFrame]:
    """Yield whole files with the columns whose date they reach.

    Files that begin in one month come together: small ones at once, large ones while they are still in cache.
    """

    def columns_and_month(file: DataFile) -> tuple[tuple[str, ...], int]:
        return tuple(name for name, first in since.items() if file.dates[1] >= first), file.dates[0].month

    _column_names(table, list(since))
    met = [file for file in files if file.dates[0] <= until and file.dates[1] >= min(since.values())]
    for (names, _), group in groupby(met, key=columns_and_month):
        yield _collected(table, _scan(table, [file.path for file in group]).select(names))


def _collected(table: Table, rows: pl.LazyFrame) -> pl.DataFrame:
    try:
        return rows.collect()
    except (OSError, pl.exceptions.ComputeError) as error:
        raise Corrupt(f"{table.name} cannot be read: {error}; restore its folder from a backup") from error


def _column_names(table: Table, columns: Sequence[str] | None) -> list[str]:
    if columns is None:
        return list(table.schema)
    unknown = [name for name in columns if name not in table.schema]
    if unknown:
        raise Refused(f"{table.name} has no column {', '.join(unknown)}; it has {', '.join(table.schema)}")
    return list(columns)


def _scan(table: Table, paths: list[str]) -> pl.LazyFrame:
    return pl.scan_parquet(paths, glob=False, schema=table.schema)
