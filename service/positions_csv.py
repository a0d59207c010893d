"""Reads positions from a CSV in the columns of the import template."""

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from engine.valuation import Kind, Positions
from service.errors import InputError

REQUIRED = ("Symbol", "Quantity", "Entry Price Per Share", "Entry Date")
OPTION_FIELDS = ("Underlying Symbol", "Strike Price", "Expiration Date", "Option Type")
SYMBOL = re.compile(r"[A-Za-z0-9._-]{1,100}")
ROOT = re.compile(r"[A-Za-z]{1,6}")
OCC_SYMBOL = re.compile(r"[A-Z]{1,6}\d{6}[CP]\d{8}")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
CASH_PREFIX = "CASH_"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a row; ``row`` counts from the header, which is 1."""

    row: int
    field: str
    message: str

    def __str__(self) -> str:
        return f"row {self.row}, {self.field}: {self.message}"


def read_positions(path: Path) -> Positions:
    """Read open lots; closed ones (with an exit date) are left out.

    Raises
    ------
    InputError
        The file cannot be read, or rows are wrong: all problems at once, in order.
    """
    rows = list(_rows(path))
    if not rows:
        raise InputError(f"{path}: no data rows; write one row a position under the header")
    problems = [problem for number, row in rows for problem in _problems(number, row)]
    if problems:
        raise InputError(f"{path}: {len(problems)} problem(s)\n" + "\n".join(map(str, problems)))
    lots = [row for _, row in rows if not row.get("Exit Date")]
    return Positions(
        symbols=tuple(symbol_of(row) for row in lots),
        quantity=np.array([float(row["Quantity"]) for row in lots], dtype=np.float64),
        entry_price=np.array([float(row["Entry Price Per Share"]) for row in lots], dtype=np.float64),
        kinds=tuple(kind_of(row) for row in lots),
        manual_price=np.full(len(lots), np.nan),
    )


def symbol_of(row: dict[str, str]) -> str:
    """Symbol of a row; the OCC symbol of an option whose row gives none."""
    if row["Symbol"]:
        return row["Symbol"].upper()
    underlying, strike, expiration, option_type = (row[field] for field in OPTION_FIELDS)
    day = date.fromisoformat(expiration)
    return f"{underlying.upper()}{day:%y%m%d}{option_type[0].upper()}{round(1000 * float(strike)):08d}"


def kind_of(row: dict[str, str]) -> Kind:
    """Tell what a row is from its class, else from its symbol and option fields."""
    symbol = symbol_of(row)
    stated, subtype = row.get("Investment Class", "").upper(), row.get("Investment Subtype", "").upper()
    if symbol.startswith(CASH_PREFIX) or subtype == "CASH":
        return "cash"
    if stated in ("OPTIONS", "PRIVATE"):
        return "option" if stated == "OPTIONS" else "private"
    if not stated and (OCC_SYMBOL.fullmatch(symbol) or any(row.get(field) for field in OPTION_FIELDS[:3])):
        return "option"
    return "public"


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield data rows with their numbers, trimmed, under the template's names of the columns."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a readable CSV file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8") from error
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    try:
        records = list(csv.reader(lines, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV file ({error}); check its quotes") from error
    while records and not any(cell.strip() for cell in records[0]):
        records.pop(0)
    if not records:
        raise InputError(f"{path}: empty; write a header with {', '.join(REQUIRED)}")
    known = {name.lower(): name for name in (*REQUIRED, *OPTION_FIELDS, "Investment Class")}
    known |= {name.lower(): name for name in ("Investment Subtype", "Exit Date", "Exit Price Per Share")}
    header = [known.get(cell.strip().lower(), cell.strip()) for cell in records[0]]
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)} in the header; the template has all four")
    for number, record in enumerate(records[1:], start=2):
        cells = [cell.strip() for cell in record]
        if len(cells) > len(header):
            raise InputError(
                f"{path}: row {number} has {len(cells)} cells, the header {len(header)}; quote commas"
            )
        if any(cells):
            yield number, dict(zip(header, cells + [""] * (len(header) - len(cells)), strict=True))


def _problems(number: int, row: dict[str, str]) -> Iterator[Problem]:
    if not row["Symbol"] and row.get("Underlying Symbol"):
        yield from _option_problems(number, row)
    elif not SYMBOL.fullmatch(row["Symbol"]):
        yield Problem(number, "Symbol", f"{row['Symbol']!r} is not 1–100 of A–Z 0–9 . _ -")
    quantity, price = _number(row["Quantity"]), _number(row["Entry Price Per Share"])
    if quantity is None or quantity == 0:
        yield Problem(number, "Quantity", f"{row['Quantity']!r} is not a number other than 0")
    if price is None or price <= 0:
        yield Problem(number, "Entry Price Per Share", f"{row['Entry Price Per Share']!r} is not above 0")
    for field in ("Entry Date", "Exit Date"):
        if (row.get(field) or field == "Entry Date") and not _is_date(row[field]):
            yield Problem(number, field, f"{row[field]!r} is not a date YYYY-MM-DD")
    stated = row.get("Investment Class", "").upper()
    if stated not in ("", "PUBLIC", "OPTIONS", "PRIVATE"):
        yield Problem(number, "Investment Class", f"{stated!r} is none of PUBLIC, OPTIONS, PRIVATE")


def _option_problems(number: int, row: dict[str, str]) -> Iterator[Problem]:
    """What keeps a row without a symbol from naming its option."""
    underlying, strike, expiration, option_type = (row.get(field, "") for field in OPTION_FIELDS)
    if not ROOT.fullmatch(underlying):
        yield Problem(number, "Underlying Symbol", f"{underlying!r} is not 1–6 letters")
    if not 0 < (_number(strike) or 0) < 1e5:
        yield Problem(number, "Strike Price", f"{strike!r} is not above 0 and below 100,000")
    if not _is_date(expiration):
        yield Problem(number, "Expiration Date", f"{expiration!r} is not a date YYYY-MM-DD")
    if option_type.upper() not in ("CALL", "PUT"):
        yield Problem(number, "Option Type", f"{option_type!r} is neither CALL nor PUT")


def _number(text: str) -> float | None:
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) else None


def _is_date(text: str) -> bool:
    try:
        return bool(DATE.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False
