"""What a source of market data answers: a protocol each for prices, profiles, statements; imports polars.

Outcomes are a closed set. A source never raises over what a provider does, and never says of a symbol that is
out of reach that it is gone.
"""

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol, TypeAlias

import polars as pl

Span: TypeAlias = tuple[date, date]  # first and last day, both included
Kind: TypeAlias = Literal[
    "no_data", "unknown_symbol", "delisted", "rate_limited", "auth", "blocked", "bad_payload", "transport"
]
# What a source says of a symbol; the other kinds say that the source itself could not answer.
FINAL: tuple[Kind, ...] = ("no_data", "unknown_symbol", "delisted")


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a source has of a symbol.

    Attributes
    ----------
    prices : pl.DataFrame
        ``symbol, session, open, high, low, close, adj_close, volume, source`` in canonical spelling, within
        the span asked for; unchecked, in any order.
    actions : pl.DataFrame
        ``symbol, session, kind, value, new_symbol, source``: the splits, dividends, renames and delistings
        that the payload itself shows. It may have no row.
    """

    prices: pl.DataFrame
    actions: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is nothing.

    Attributes
    ----------
    kind : str
        ``no_data`` (known, but not in the span), ``unknown_symbol``, ``delisted`` (before the span), or why
        the source could not answer: ``rate_limited``, ``auth``, ``blocked``, ``bad_payload``, ``transport``.
    message : str
        For a person, without any key.
    retry_after : float or None
        Seconds after which asking again makes sense, where the source says so.
    last_session : date or None
        Of a delisted symbol.
    """

    kind: Kind
    message: str
    retry_after: float | None = None
    last_session: date | None = None

    @property
    def is_outage(self) -> bool:
        """Whether the source could not answer, so that nothing is known of the symbol."""
        return self.kind not in FINAL


Outcome: TypeAlias = Fetched | Failed
Outcomes: TypeAlias = Generator[tuple[str, Outcome], None, None]
RowsOutcome: TypeAlias = pl.DataFrame | Failed
RowsOutcomes: TypeAlias = Generator[tuple[str, RowsOutcome], None, None]


class PriceSource(Protocol):
    """A source of daily prices."""

    @property
    def name(self) -> str:
        """What the source is called in messages."""

    def fetch(self, requests: Mapping[str, Span]) -> Outcomes:
        """Yield every symbol asked for exactly once, as it arrives; closing the iterator stops the work."""


class ProfileSource(Protocol):
    """A source of company profiles."""

    @property
    def name(self) -> str:
        """What the source is called in messages."""

    def fetch_profiles(self, symbols: Iterable[str]) -> RowsOutcomes:
        """Yield every symbol once with its row of the table ``profiles``, or why there is none."""


class FundamentalSource(Protocol):
    """A source of financial statements."""

    @property
    def name(self) -> str:
        """What the source is called in messages."""

    def fetch_fundamentals(self, symbols: Iterable[str]) -> RowsOutcomes:
        """Yield every symbol once with its rows of the table ``fundamentals``, or why there are none."""
