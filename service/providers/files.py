"""Prices, profiles, actions and benchmark weights from CSV or Parquet files: the offline source.

A file that is not what it should be is refused as a whole, with the file, the row (the header is row 1) and
the column; values that are prices of the right type but cannot be true are left to the ingest checks.
"""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import TypeAlias

import polars as pl

from service.errors import InputError
from service.providers.cells import read_cells
from service.providers.outcomes import Failed, Fetched, Outcome, Outcomes, Span

SOURCE = "files"
DATE, SESSION = "date", "session"  # a file may call it either
SUFFIXES = (".csv", ".parquet")
SYMBOL = r"^[A-Z0-9._-]{1,100}$"
KINDS = ("split", "dividend", "rename", "delisting")
WEIGHT_TOLERANCE = 0.01

Types: TypeAlias = Mapping[str, type[pl.DataType]]

NUMBERS = ("open", "high", "low", "close", "adj_close", "volume")
PRICE_TYPES = {"session": pl.Date, "symbol": pl.String, **dict.fromkeys(NUMBERS, pl.Float64)}
PROFILE_TYPES = {
    "symbol": pl.String,
    **dict.fromkeys(("name", "sector", "industry", "asset_class"), pl.String),
    **dict.fromkeys(("provider_beta", "market_cap", "pe_ratio", "dividend_yield"), pl.Float64),
    "as_of": pl.Date,
}
ACTION_TYPES = {
    "symbol": pl.String,
    "session": pl.Date,
    "kind": pl.String,
    "value": pl.Float64,
    "new_symbol": pl.String,
}
BENCHMARK_TYPES = {"benchmark": pl.String, "as_of": pl.Date, "sector": pl.String, "weight": pl.Float64}


def read_prices(path: Path) -> pl.DataFrame:
    """Read ``date, symbol, close[, adj_close, open, high, low, volume]`` from a file or a folder of files.

    Returns
    -------
    pl.DataFrame
        ``symbol, session, open, high, low, close, adj_close, volume, source``; what a file does not have is
        null. Without any ``adj_close`` the close is taken as adjusted, by the ingest checks.

    Raises
    ------
    InputError
        A file cannot be read, lacks a column or holds a cell that is not of its column's type.
    """
    prices = _each(path, lambda file: _read(file, PRICE_TYPES, required=("session", "symbol", "close")))
    return prices.select("symbol", "session", *NUMBERS, _source())


def read_profiles(path: Path, *, as_of: date) -> pl.DataFrame:
    """Read one profile a row; only ``symbol`` is needed, and ``as_of`` fills in where a file has none."""

    def profiles(file: Path) -> pl.DataFrame:
        frame = _read(file, PROFILE_TYPES, required=("symbol",)).with_columns(
            pl.col("as_of").fill_null(as_of)
        )
        _refuse(file, frame, ~pl.struct("symbol", "as_of").is_first_distinct(), "symbol", "stands twice")
        return frame

    return _each(path, profiles).select(*PROFILE_TYPES, _source())


def read_actions(path: Path) -> pl.DataFrame:
    """Read corporate actions: ``symbol, date, kind[, value, new_symbol]``."""

    def actions(file: Path) -> pl.DataFrame:
        frame = _read(file, ACTION_TYPES, required=("symbol", "session", "kind"))
        kind, value = pl.col("kind"), pl.col("value")
        is_value = value.is_not_null() & value.is_finite() & (value > 0)
        has_value = kind.is_in(("split", "dividend"))
        _refuse(file, frame, ~kind.is_in(KINDS), "kind", f"is none of {', '.join(KINDS)}")
        _refuse(file, frame, has_value & ~is_value, "value", "must be above 0 for a split or a dividend")
        nameless = (kind == "rename") & pl.col("new_symbol").is_null()
        _refuse(file, frame, nameless, "new_symbol", "is missing; a rename needs it")
        return frame

    return _each(path, actions).select(*ACTION_TYPES, _source())


def read_benchmark(path: Path) -> pl.DataFrame:
    """Read sector weights: ``benchmark, as_of, sector, weight``; those of one date add up to 1."""
    weights = _each(path, lambda file: _read(file, BENCHMARK_TYPES, required=tuple(BENCHMARK_TYPES)))
    weights = weights.select(*BENCHMARK_TYPES)
    sums = weights.group_by("benchmark", "as_of").agg(pl.col("weight").sum())
    off = sums.filter(~pl.col("weight").is_between(1 - WEIGHT_TOLERANCE, 1 + WEIGHT_TOLERANCE))
    if not off.is_empty():
        benchmark, as_of, total = off.row(0)
        raise InputError(f"{path}: weights of {benchmark} on {as_of} add up to {total:.4f}; they must to 1")
    return weights


def _source() -> pl.Expr:
    return pl.lit(SOURCE).alias("source")


def _each(path: Path, read: Callable[[Path], pl.DataFrame]) -> pl.DataFrame:
    """Read a file, or every data file of a folder."""
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if not files:
            raise InputError(f"{path}: no {' or '.join(SUFFIXES)} file in this folder")
        return pl.concat([read(file) for file in files])
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: the name must end in {' or '.join(SUFFIXES)}")
    return read(path)


def _read(file: Path, types: Types, *, required: tuple[str, ...]) -> pl.DataFrame:
    """Read one file into the columns of ``types`` and ``row``, its number in the file."""
    raw = read_cells(file)
    raw = raw if SESSION in raw.columns else raw.rename({DATE: SESSION}, strict=False)
    missing = [name for name in required if name not in raw.columns]
    if missing:
        raise InputError(
            f"{file}: no column {', '.join(map(_given_name, missing))}; "
            f"it has {', '.join(raw.columns) or 'none'}"
        )
    known = [name for name in types if name in raw.columns]
    both = [DATE] if SESSION in known and DATE in raw.columns else []
    text = raw.select(known + both).with_columns(pl.col(pl.String).str.strip_chars().replace("", None))
    given = text.with_row_index("row", offset=2).filter(~pl.all_horizontal(pl.col(known).is_null()))
    if given.is_empty():
        raise InputError(f"{file}: no rows under the header")
    if both:
        _refuse_two_dates(file, given)
    typed = [_typed(file, given, name, types[name]) for name in known]
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in types.items() if name not in known]
    frame = given.select("row", *typed).with_columns(absent)
    for name in required:
        if name not in NUMBERS:  # a missing price is for the ingest checks to quarantine
            _refuse(file, frame, pl.col(name).is_null(), name, "is missing")
    for name in known:  # of the prices, too, the ingest checks judge what is not finite
        if types[name] is pl.Float64 and name not in NUMBERS:
            _refuse(file, frame, pl.col(name).is_infinite(), name, "is not a finite number")
    for name in ("symbol", "new_symbol"):
        if name in known:
            frame = frame.with_columns(pl.col(name).str.to_uppercase())
            _refuse(file, frame, ~pl.col(name).str.contains(SYMBOL), name, "is not 1–100 of A–Z 0–9 . _ -")
    return frame.select("row", *types)


def _refuse_two_dates(file: Path, given: pl.DataFrame) -> None:
    """Refuse a file whose dates and sessions differ: which of the two holds is not ours to say."""
    days = given.select("row", *(_typed(file, given, name, pl.Date) for name in (DATE, SESSION)))
    differ = days.filter(pl.col(DATE).ne_missing(pl.col(SESSION)))
    if not differ.is_empty():
        row, day, session = differ.row(0)
        raise InputError(
            f"{file}: row {row}: the columns date ({day}) and session ({session}) differ; keep one of the two"
        )


def _typed(file: Path, given: pl.DataFrame, name: str, dtype: type[pl.DataType]) -> pl.Series:
    """Cast a column; the first value that is not of its type is named."""
    values = given[name]
    is_text = values.dtype == pl.String
    if dtype == pl.Date and is_text:
        cast = values.str.to_date("%Y-%m-%d", strict=False)
    elif (
        values.dtype == pl.Null
        or (dtype == pl.Date and isinstance(values.dtype, pl.Date | pl.Datetime))
        or (dtype == pl.Float64 and (is_text or values.dtype.is_numeric()))
        or (dtype == pl.String and (is_text or values.dtype in (pl.Categorical, pl.Enum)))
    ):
        if isinstance(values.dtype, pl.Datetime):
            values = values.dt.replace_time_zone(
                None
            )  # the day where the time was told, not where UTC has it
        cast = values.cast(dtype, strict=False)
    else:
        raise InputError(
            f"{file}: column {_given_name(name)} holds {values.dtype}; it must hold {dtype.__name__}"
        )
    what = "is not a date YYYY-MM-DD" if dtype == pl.Date else "is not a number"
    _refuse(file, given, pl.lit(values.is_not_null() & cast.is_null()), name, what)
    return cast


def _refuse(file: Path, frame: pl.DataFrame, wrong: pl.Expr, column: str, what: str) -> None:
    """Refuse the file when a row is wrong, naming the first."""
    rows = frame.filter(wrong)
    if not rows.is_empty():
        row, value = rows.select("row", column).row(0)
        more = f" ({rows.height} such rows)" if rows.height > 1 else ""
        raise InputError(f"{file}: row {row}, column {_given_name(column)}: {value!r} {what}{more}")


def _given_name(column: str) -> str:
    return DATE if column == SESSION else column


class FilesSource:
    """The prices of a file or folder, as a source; ``InputError`` when they cannot be read."""

    name = SOURCE

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = read_prices(path).partition_by("symbol", as_dict=True)

    def fetch(self, requests: Mapping[str, Span]) -> Outcomes:
        """Yield every symbol with its prices in the span."""
        for symbol, span in requests.items():
            prices = self._known.get((symbol,))
            yield symbol, self._outcome(symbol, span, prices)

    def _outcome(self, symbol: str, span: Span, prices: pl.DataFrame | None) -> Outcome:
        if prices is None:
            return Failed("unknown_symbol", f"{self._path} has no price of {symbol}")
        within = prices.filter(pl.col("session").is_between(*span))
        if within.is_empty():
            return Failed("no_data", f"{self._path} has no price of {symbol} from {span[0]} to {span[1]}")
        return Fetched(within, no_actions())


def no_actions() -> pl.DataFrame:
    """Corporate actions of a source that shows none."""
    return pl.DataFrame(schema={**ACTION_TYPES, "source": pl.String})


def no_prices() -> pl.DataFrame:
    """Prices of a source that has none."""
    types = {"symbol": pl.String, "session": pl.Date, **dict.fromkeys(NUMBERS, pl.Float64)}
    return pl.DataFrame(schema={**types, "source": pl.String})
