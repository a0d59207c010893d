"""Everything that can be wrong with a file of positions, by its code."""

from collections.abc import Sequence

import msgspec

from service.errors import InputError

MESSAGES = {
    "ERR_CSV_001": "The file is larger than 10 MiB",
    "ERR_CSV_002": "The file's name must end in .csv",
    "ERR_CSV_003": "The file has no data rows",
    "ERR_CSV_004": "A required column is missing",
    "ERR_CSV_005": "The header cannot be read",
    "ERR_CSV_006": "The file is not a well-formed CSV file",
    "ERR_POS_001": "The symbol is missing",
    "ERR_POS_002": "The symbol is longer than 100 characters",
    "ERR_POS_003": "The symbol may hold letters, digits, '.', '_' and '-' alone",
    "ERR_POS_004": "The quantity is missing",
    "ERR_POS_005": "The quantity is not a plain number",
    "ERR_POS_006": "The quantity is zero",
    "ERR_POS_007": "The quantity has more than 6 decimals",
    "ERR_POS_008": "The entry price is missing",
    "ERR_POS_009": "The price is not a plain number",
    "ERR_POS_010": "The entry price must be above zero",
    "ERR_POS_011": "The price has too many decimals",
    "ERR_POS_012": "The entry date is missing",
    "ERR_POS_013": "The date is not of the form YYYY-MM-DD",
    "ERR_POS_014": "The entry date lies in the future",
    "ERR_POS_015": "The entry date is more than 100 years ago",
    "ERR_POS_016": "The investment class must be PUBLIC, OPTIONS or PRIVATE",
    "ERR_POS_017": "The investment subtype does not belong to the class",
    "ERR_POS_018": "The exit date is earlier than the entry date",
    "ERR_POS_019": "An option needs a valid underlying symbol",
    "ERR_POS_020": "An option needs a valid strike price",
    "ERR_POS_021": "An option needs an expiration date YYYY-MM-DD",
    "ERR_POS_022": "An option's type must be CALL or PUT",
    "ERR_POS_023": "The file has another lot of this symbol and entry date",
}
MENDING = {
    "ERR_CSV_001": "Split the file, or delete what is no position",
    "ERR_CSV_002": "Save it as CSV, and give it a name that ends in .csv",
    "ERR_CSV_003": "Add a row for each position below the header",
    "ERR_CSV_004": "Add the column; the template has them all",
    "ERR_CSV_005": "Begin the file with a row of column names, as the template does",
    "ERR_CSV_006": "Save it again as CSV, UTF-8, with as many cells in each row as the header has",
    "ERR_POS_001": "Enter a symbol, or fill in the four option columns",
    "ERR_POS_002": "Shorten it to the ticker",
    "ERR_POS_003": "Write the ticker alone, BRK.B for instance",
    "ERR_POS_004": "Enter the number of shares or contracts, negative for a short position",
    "ERR_POS_005": "Write digits with a point: 1250.5, without $, spaces or thousands separators",
    "ERR_POS_006": "Enter a number other than zero, or delete the row",
    "ERR_POS_007": "Round it to 6 decimals",
    "ERR_POS_008": "Enter what one share cost",
    "ERR_POS_009": "Write digits with a point: 158.25, without $ or thousands separators",
    "ERR_POS_010": "Enter what one share cost; short positions have a negative quantity",
    "ERR_POS_011": "Round it to as many decimals as are allowed",
    "ERR_POS_012": "Enter the day on which the lot was bought",
    "ERR_POS_013": "Write year, month and day: 2024-01-05",
    "ERR_POS_014": "Enter a day up to today",
    "ERR_POS_015": "Check the year",
    "ERR_POS_016": "Write one of the three, or leave the cell empty",
    "ERR_POS_017": "Write a subtype of that class, or leave the cell empty",
    "ERR_POS_018": "Exchange the two dates, or correct the one that is wrong",
    "ERR_POS_019": "Enter the ticker of what the option is on",
    "ERR_POS_020": "Enter the strike as a plain number above zero",
    "ERR_POS_021": "Write the day on which the option expires: 2026-01-16",
    "ERR_POS_022": "Write CALL or PUT",
    "ERR_POS_023": "Add the two rows up to one, or correct the date of one of them",
}


class RowError(msgspec.Struct, frozen=True):
    """One thing wrong; ``row`` counts from the header, which is 1, comment lines left out."""

    row: int | None
    symbol: str | None
    code: str
    message: str
    field: str | None


class CsvRefused(InputError):  # noqa: N818 - what happens to the file
    """The file is refused as a whole, with everything that is wrong with it in order."""

    def __init__(self, errors: Sequence[RowError]) -> None:
        self.errors = tuple(errors)
        super().__init__(f"{len(self.errors)} error(s)\n" + "\n".join(map(_line, self.errors)))


def file_error(code: str, more: str = "", *, field: str | None = None, row: int | None = None) -> CsvRefused:
    """Return the refusal of a file that has no rows to look at."""
    return CsvRefused([RowError(row, None, code, _sentence(code, more), field)])


def row_error(row: int, symbol: str, code: str, field: str, value: str = "") -> RowError:
    """Return one error of a row; ``value`` is what was found there."""
    return RowError(
        row, symbol or None, code, _sentence(code, f"found {value[:50]!r}" if value else ""), field
    )


def _sentence(code: str, more: str) -> str:
    return f"{MESSAGES[code]}{': ' if more else ''}{more}"


def _line(error: RowError) -> str:
    row = f"row {error.row}" if error.row else None
    place = ", ".join(filter(None, (row, error.symbol, error.field)))
    return f"{place + ': ' if place else ''}{error.message} ({error.code})"
