"""Bytes of an upload as numbered CSV records: size, name, encoding, comments, blank rows."""

import csv
import io
from typing import NamedTuple

from service.csv_import.errors import file_error

MAX_BYTES = 10 * 1024 * 1024
MAX_ROWS = 20_000
MAX_LINES = 200_000  # comments and blank ones included: a file of nothing else would be read for seconds


class Record(NamedTuple):
    """A row of the file, trimmed; ``number`` counts from the header, which is 1."""

    number: int
    cells: list[str]


def read_records(content: bytes, filename: str) -> list[Record]:
    """Return the records from the first row that is not blank on, the header included.

    Comment lines are dropped before anything is counted; blank rows are left out, those of bare commas keep
    their number.

    Raises
    ------
    CsvRefused
        Too large, another extension, not UTF-8, not CSV, nothing in it, or too many rows.
    """
    if len(content) > MAX_BYTES:
        raise file_error("ERR_CSV_001", f"it has {len(content):,} bytes, {MAX_BYTES:,} are allowed")
    if not filename.lower().endswith(".csv"):
        raise file_error("ERR_CSV_002", f"it is named {filename[:100]!r}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise file_error("ERR_CSV_006", f"byte {error.start} is not UTF-8; save it as UTF-8") from error
    if text.count("\n") + text.count("\r") - text.count("\r\n") > MAX_LINES:
        raise file_error("ERR_CSV_006", f"more than {MAX_LINES:,} lines; leave out comments and blank lines")
    records = _numbered(text)
    if not records:
        raise file_error("ERR_CSV_003", "it is empty")
    return records


def _numbered(text: str) -> list[Record]:
    lines = (line for line in io.StringIO(text, newline="") if not line.lstrip().startswith("#"))
    records: list[Record] = []
    number = 0
    try:
        for cells in csv.reader(lines, strict=True):
            trimmed = [cell.strip() for cell in cells]
            blank = not any(trimmed)
            if not cells or (blank and not records):
                continue
            number += 1
            if number > MAX_ROWS + 1:
                raise file_error("ERR_CSV_006", f"more than {MAX_ROWS:,} rows; split the account", row=number)
            if not blank:
                records.append(Record(number, trimmed))
    except csv.Error as error:
        raise file_error("ERR_CSV_006", f"{error}, in or after row {number + 1}; check the quotes") from error
    return records
