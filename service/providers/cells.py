"""The cells of one CSV or Parquet file, as they stand there."""

import csv
from pathlib import Path

import polars as pl

from service.errors import InputError


def read_cells(file: Path) -> pl.DataFrame:
    """Read a file with its header trimmed and in lower case; CSV cells stay text, null where empty.

    Raises
    ------
    InputError
        The file is empty or of another format, two columns have one name, or a row has more or fewer cells
        than the header.
    """
    try:
        raw = pl.read_parquet(file) if file.suffix.lower() == ".parquet" else _read_csv(file)
    except pl.exceptions.NoDataError as error:
        raise InputError(f"{file}: empty; write a header and rows") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{file}: cannot be read ({reason}); give a UTF-8 CSV or a Parquet file") from error
    names = [name.strip().casefold() for name in raw.columns]
    raw.columns = raw.columns if len(set(names)) < len(names) else names
    if raw.columns != names:
        raise InputError(f"{file}: two columns have one name; columns are {', '.join(raw.columns)}")
    return raw


def _read_csv(file: Path) -> pl.DataFrame:
    """Read a CSV file; polars fills a short row up and names no long one, so rows are counted here."""
    try:
        raw = pl.read_csv(file, infer_schema=False)
    except pl.exceptions.ComputeError:
        _refuse_ragged(file)
        raise
    if raw.to_series(-1).null_count():  # a row without its last cells looks like one that leaves it empty
        _refuse_ragged(file)
    return raw


def _refuse_ragged(file: Path) -> None:
    """Name the first row that has other than the header's number of cells; a blank line is no row."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            rows = csv.reader(text)
            header = next(row for row in rows if row)
            for number, row in enumerate(rows, start=2):
                if len(row) != len(header) and (len(row) > len(header) or any(map(str.strip, row))):
                    raise InputError(
                        f"{file}: row {number}: expected {len(header)} cells as in the header, found "
                        f"{len(row)}; give every row a cell a column, and quote a cell that holds a comma"
                    )
    except (UnicodeDecodeError, csv.Error, StopIteration):
        return  # what polars says of such a file stands
