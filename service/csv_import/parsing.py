"""An upload as lots: the one entrance to the import."""

from collections.abc import Iterator
from datetime import date
from operator import itemgetter
from typing import Literal, TypeAlias

from service.csv_import.errors import CsvRefused, RowError, file_error
from service.csv_import.fields import COLUMNS, REQUIRED
from service.csv_import.holdings import PRICE_DECIMALS, holdings_rows
from service.csv_import.reading import Record, read_records
from service.csv_import.rows import Row, Rules
from storage.positions import Lot

Format: TypeAlias = Literal["template", "auto"]


def parse_positions(
    content: bytes, filename: str, *, today: date, layout: Format = "template", as_of: date | None = None
) -> tuple[Lot, ...]:
    """Read every lot of a file, the closed ones too.

    Parameters
    ----------
    content : bytes
        The file as uploaded.
    filename : str
        Its name; must end in ``.csv``.
    today : date
        Entry dates after it are refused.
    layout : Format
        ``template``: the columns of the template. ``auto``: a broker's holdings, known by its header; lots of
        one symbol and date may then appear more than once.
    as_of : date, optional
        Entry date of holdings whose export has none.

    Raises
    ------
    CsvRefused
        Anything is wrong: every error of every row, in order. Nothing is read in part.
    """
    records = read_records(content, filename)
    if layout == "auto":
        rules = Rules(today, price_decimals=PRICE_DECIMALS, refuse_duplicates=False)
        rows = list(holdings_rows(records, as_of=as_of))
    else:
        rules = Rules(today)
        rows = list(_template_rows(records))
    if not rows:
        raise file_error("ERR_CSV_003", "write one row a position under the header")
    for number, row in rows:
        rules.check(number, row)
    return rules.finished()


def _header(record: Record) -> list[str]:
    """Return the template's names of the columns, others as they are."""
    known = {name.casefold(): name for name in COLUMNS}
    header = [known.get(cell.casefold(), cell) for cell in record.cells]
    if twice := [name for name in COLUMNS if header.count(name) > 1]:
        raise file_error("ERR_CSV_005", f"it names {', '.join(twice)} twice", row=record.number)
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise CsvRefused(
            [RowError(None, None, "ERR_CSV_004", f"The column {name!r} is missing", name) for name in missing]
        )
    return header


def _template_rows(records: list[Record]) -> Iterator[tuple[int, Row]]:
    header = _header(records[0])
    width = len(header)
    # One place more than the header has stands for the columns that the file lacks.
    pick = itemgetter(*(header.index(name) if name in header else width for name in COLUMNS))
    for number, cells in records[1:]:
        if len(cells) > width:
            found = f"row {number} has {len(cells)} cells, the header {width}; quote cells with commas"
            raise file_error("ERR_CSV_006", found, row=number)
        yield number, Row._make(pick(cells + [""] * (width + 1 - len(cells))))
