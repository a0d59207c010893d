"""Tables out of what providers answer, and how they spell symbols; imports polars."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from service.csv_import.fields import OCC_SYMBOL
from service.providers.files import NUMBERS, no_actions
from service.providers.outcomes import Failed, Fetched, Outcome, Span
from service.providers.replies import UnansweredError

SPELLED = re.compile(r"[A-Z0-9][A-Z0-9._-]*")
DAY = pl.col("session").str.slice(0, 10).str.to_date("%Y-%m-%d")


def is_option(symbol: str) -> bool:
    """Whether a symbol is that of an option contract, by the OCC's spelling."""
    return OCC_SYMBOL.fullmatch(symbol) is not None


def dashed(symbol: str) -> str:
    """Spell ``BRK.B`` as ``BRK-B``."""
    return symbol.replace(".", "-")


def answerable(provider: str, symbol: str, *, options: bool = False) -> Failed | None:
    """Return why a provider need not be asked for a symbol, if so."""
    if not SPELLED.fullmatch(symbol):
        return Failed("unknown_symbol", f"{provider} has no {symbol}: it is spelled like no symbol")
    if is_option(symbol) and not options:
        return Failed("unknown_symbol", f"{provider} has no option contracts, so no {symbol}")
    return None


def columns_of(rows: Sequence[Any], fields: Mapping[str, str]) -> dict[str, list[Any]]:
    """Return columns out of records, given the field that each column comes from."""
    return {column: [getattr(row, field) for row in rows] for column, field in fields.items()}


def prices_frame(source: str, symbol: str, columns: Mapping[str, Sequence[Any] | pl.Series]) -> pl.DataFrame:
    """Return prices by column as the checks want them.

    ``session`` is text that begins ``YYYY-MM-DD``, or a series of dates; a number that is not there is null.
    """
    is_date = isinstance(columns["session"], pl.Series)
    types = {name: pl.Float64 for name in NUMBERS if name in columns}
    frame = pl.DataFrame(
        dict(columns), schema_overrides=types if is_date else {"session": pl.String, **types}
    )
    day = pl.col("session") if is_date else DAY
    missing = (pl.lit(None, pl.Float64).alias(name) for name in NUMBERS if name not in columns)
    named = (pl.lit(symbol).alias("symbol"), pl.lit(source).alias("source"))
    order = ("symbol", "session", *NUMBERS, "source")
    return frame.with_columns(day.alias("session"), *missing, *named).select(order)


def actions_frame(source: str, symbol: str, rows: Iterable[tuple[str, str, float]]) -> pl.DataFrame:
    """Return corporate actions given as day, kind and value, one of a kind a day.

    What is no amount is left out, and what is said twice; different dividends of a day add up.
    """
    schema = {"session": pl.String, "kind": pl.String, "value": pl.Float64}
    value = pl.col("value")
    frame = pl.DataFrame(list(rows), schema=schema, orient="row").unique(maintain_order=True)
    frame = frame.filter(value.is_finite() & (value > 0)).with_columns(DAY)
    of_a_day = pl.when(pl.col("kind").first() == "split").then(value.product()).otherwise(value.sum())
    frame = frame.group_by("session", "kind", maintain_order=True).agg(of_a_day.alias("value"))
    named = {"symbol": pl.lit(symbol), "new_symbol": pl.lit(None, pl.String), "source": pl.lit(source)}
    return frame.with_columns(**named).select(no_actions().columns)


def echoed(provider: str, asked: str, answered: Iterable[str | None]) -> None:
    """Check the symbols that an answer is about; ``UnansweredError`` when one is not the symbol asked for."""
    others = sorted({str(symbol).upper() for symbol in answered if symbol is not None} - {asked.upper()})
    if others:
        what = f"{provider} was asked for {asked} and answered {', '.join(others[:3])}"
        raise UnansweredError(Failed("bad_payload", what))


def within(
    source: str, symbol: str, span: Span, prices: pl.DataFrame, actions: pl.DataFrame | None = None
) -> Outcome:
    """Keep what lies in the span that was asked for: a live bar of today has not closed yet."""
    inside = pl.col("session").is_between(*span)
    kept = prices.filter(inside)
    happened = no_actions() if actions is None else actions.filter(inside)
    if kept.is_empty() and happened.is_empty():
        return no_data(source, symbol, span)
    return Fetched(kept, happened)


def no_data(source: str, symbol: str, span: Span) -> Failed:
    """Return the failure of a symbol that is known, but not in the span."""
    return Failed("no_data", f"{source} has no price of {symbol} from {span[0]} to {span[1]}")
