"""Tables out of what providers answer, and how they spell symbols; imports polars."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise
from math import isfinite
from typing import Any, TypeAlias

import polars as pl

from service.csv_import.fields import OCC_SYMBOL
from service.providers.files import NUMBERS, no_actions, no_prices
from service.providers.outcomes import Failed, Fetched, Outcome, Span
from service.providers.replies import UnansweredError

SPELLED = re.compile(r"[A-Z0-9][A-Z0-9._-]*")
NO_ACTIONS = no_actions()
PRICES, ACTIONS = no_prices().schema, NO_ACTIONS.schema
# Currency per share: a cent is paid out as a dividend, less comes of rounding.
LEAST_PAYMENT = 0.006
Action: TypeAlias = tuple[date, str, float]


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


def day_of(text: str) -> date:
    """Read a day or a time stamp that begins with one; ``ValueError`` for anything else."""
    return date.fromisoformat(text[:10])


def columns_of(rows: Sequence[Any], fields: Mapping[str, str]) -> dict[str, list[Any]]:
    """Return columns out of records, given the field that each column comes from."""
    return {column: [getattr(row, field) for row in rows] for column, field in fields.items()}


def found(
    source: str,
    symbol: str,
    span: Span,
    priced: tuple[Sequence[date], Mapping[str, Sequence[Any]]],
    happened: Iterable[Action] = (),
) -> Outcome:
    """Return what a source has of a symbol, or that it has nothing.

    What lies outside the span asked for is left out: a live bar of today has not closed yet.

    Parameters
    ----------
    source, symbol : str
    span : (date, date)
    priced : (sequence of date, mapping of str to sequence)
        Days, in any order, and numbers by column of the prices; ``ValueError`` when they are not as many.
    happened : iterable of (date, str, float), optional
        Corporate actions: day, kind and value.
    """
    days, columns = priced
    kept = [at for at, day in enumerate(days) if span[0] <= day <= span[1]]
    actions = [action for action in happened if span[0] <= action[0] <= span[1]]
    if not kept and not actions:
        return no_data(source, symbol, span)
    n = len(kept)
    numbers = {name: _taken(columns[name], kept, len(days)) for name in NUMBERS if name in columns}
    rows = {
        "symbol": [symbol] * n,
        "session": _taken(days, kept, len(days)),
        **{name: numbers.get(name, [None] * n) for name in NUMBERS},
        "source": [source] * n,
    }
    return Fetched(pl.DataFrame(rows, schema=PRICES), _actions(source, symbol, actions))


def is_adjusted_within(days: Sequence[date], columns: Mapping[str, Sequence[Any]]) -> bool:
    """Whether the adjustment of closes changes between two of the days: then something happened there."""
    rows = sorted(zip(days, columns["close"], columns["adj_close"], strict=True), key=lambda row: row[0])
    ratios = [(close, adjusted / close) for _, close, adjusted in rows if close and adjusted]
    return any(
        abs(ratio / before - 1.0) * close > LEAST_PAYMENT for (_, before), (close, ratio) in pairwise(ratios)
    )


def _taken(column: Sequence[Any], kept: list[int], n_days: int) -> Sequence[Any]:
    if len(column) != n_days:
        raise ValueError(f"{len(column)} values for {n_days} days")
    return column if len(kept) == n_days else [column[at] for at in kept]


def _actions(source: str, symbol: str, rows: list[Action]) -> pl.DataFrame:
    """Return corporate actions, one of a kind a day.

    What is no amount is left out, and what is said twice; different dividends of a day add up.
    """
    of_a_day: dict[tuple[date, str], float] = {}
    for day, kind, value in dict.fromkeys(rows):
        if isfinite(value) and value > 0:
            before = of_a_day.get((day, kind))
            both = value if before is None else before * value if kind == "split" else before + value
            of_a_day[day, kind] = both
    told = [(symbol, day, kind, value, None, source) for (day, kind), value in of_a_day.items()]
    return pl.DataFrame(told, schema=ACTIONS, orient="row") if told else NO_ACTIONS


def echoed(provider: str, asked: str, answered: Iterable[str | None]) -> None:
    """Check the symbols that an answer is about; ``UnansweredError`` when one is not the symbol asked for."""
    others = sorted({str(symbol).upper() for symbol in answered if symbol is not None} - {asked.upper()})
    if others:
        what = f"{provider} was asked for {asked} and answered {', '.join(others[:3])}"
        raise UnansweredError(Failed("bad_payload", what))


def no_data(source: str, symbol: str, span: Span) -> Failed:
    """Return the failure of a symbol that is known, but not in the span."""
    return Failed("no_data", f"{source} has no price of {symbol} from {span[0]} to {span[1]}")
