"""What companies are listed as on a session: the renames of symbols, read from the lake and followed.

A symbol may name one company after another. A lot is of the company that its symbol named on the day on which
it was entered, and follows that company from name to name.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl

from engine.typing import DateArray
from engine.valuation import Positions
from storage.releases import Release
from storage.store import Store


class Rename(NamedTuple):
    """A company gives up a symbol for another one; ``session`` is the first one under the new one."""

    symbol: str
    session: date
    new_symbol: str


class Delisting(NamedTuple):
    """A company is not listed any more from ``session`` on; its symbol may name another one later."""

    symbol: str
    session: date


class Leave(NamedTuple):
    """A company leaves a symbol, which names another company from ``reused`` on, None for no other one."""

    session: date
    new_symbol: str
    reused: date | None


@dataclass(frozen=True, slots=True)
class Names:
    """Renames up to a session.

    Attributes
    ----------
    leaves : mapping of str to tuple of Leave
        Of each symbol that was ever given up, by session.
    """

    leaves: Mapping[str, tuple[Leave, ...]]

    def on(self, session: date, symbol: str, named: date) -> str:
        """Return what the company is listed as on a session that a symbol named on a day.

        A symbol names the company that has left it until another one has it: who enters the old name after
        the rename means the same company.
        """
        known = self.leaves.get(symbol, ())
        leave = next((each for each in known if each.reused is None or named < each.reused), None)
        while leave is not None and leave.session <= session:
            symbol = leave.new_symbol
            known = self.leaves.get(symbol, ())
            later = known[bisect_right(known, leave.session, key=lambda each: each.session) :]
            leave = next(iter(later), None)  # later than the one before: a circle of names ends
        return symbol

    def left_by_others(self, symbol: str, session: date) -> date | None:
        """Return when another company than that of a session was the last to leave a symbol, None for never.

        One that is renamed to what it was called before is the same.
        """
        gone = [
            leave.session
            for leave in self.leaves.get(symbol, ())
            if leave.session <= session
            and self.on(session, symbol, leave.session - timedelta(days=1)) != symbol
        ]
        return max(gone, default=None)

    def given_up(self, session: date) -> set[str]:
        """Return the symbols that a company has left by a session."""
        return {symbol for symbol, known in self.leaves.items() if known[0].session <= session}

    def reached(self, symbols: Iterable[str]) -> set[str]:
        """Return symbols with all that companies under them may be listed as later."""
        found, fresh = set[str](), set(symbols)
        while fresh:
            found |= fresh
            fresh = {each.new_symbol for name in fresh for each in self.leaves.get(name, ())} - found
        return found


def read_renames(store: Store, release: Release, until: date) -> list[Rename]:
    """Read all renames up to a session, in their order."""
    renames = _actions(store, release, until, "rename").filter(pl.col("symbol") != pl.col("new_symbol"))
    return [Rename(*row) for row in renames.select(Rename._fields).iter_rows()]


def read_delistings(store: Store, release: Release, until: date) -> list[Delisting]:
    """Read all delistings up to a session, in their order."""
    delistings = _actions(store, release, until, "delisting")
    return [Delisting(*row) for row in delistings.select(Delisting._fields).iter_rows()]


def _actions(store: Store, release: Release, until: date, kind: str) -> pl.DataFrame:
    actions = store.read("corporate_actions", release=release, sessions=(date.min, until))
    return actions.filter(pl.col("kind") == kind).sort("session", "symbol")


def read_begun(store: Store, release: Release, on: date) -> dict[str, date]:
    """Read since when symbols name the companies that they name on a session, where others had them before.

    What a symbol has from before is of another company.
    """
    names = read_names(store, release, on)
    again = {name for name, leaves in names.leaves.items() if any(leave.reused for leave in leaves)}
    left = {name: names.left_by_others(name, on) for name in again}
    return {name: session for name, session in left.items() if session is not None}


def named_anew(store: Store, release: Release, until: date) -> DateArray:
    """Return the sessions up to one from which some symbol names another company than before, ascending."""
    names = read_names(store, release, until)
    taken = {rename.session for rename in read_renames(store, release, until)}
    reused = {leave.reused for leaves in names.leaves.values() for leave in leaves if leave.reused}
    return np.array(sorted(taken | reused), dtype="datetime64[D]")


def read_names(store: Store, release: Release, on: date) -> Names:
    """Read the names of companies up to a session.

    A symbol names another company from the next rename to it on, else from its next price on. A company that
    was delisted before another one took its symbol is listed as nothing that has a price from then on.
    """
    renames = read_renames(store, release, on)
    if not renames:
        return Names({})
    span = (renames[0].session, on)
    left = {rename.symbol for rename in renames}
    prices = store.read("prices", release=release, columns=("symbol", "session"), symbols=left, sessions=span)
    priced = {name: days["session"].sort().to_list() for (name,), days in prices.group_by("symbol")}
    return names_of([*renames, *_dead(renames, read_delistings(store, release, on))], priced)


def _dead(renames: Sequence[Rename], delistings: Iterable[Delisting]) -> list[Rename]:
    """Delistings of symbols that another company took later, as renames to nothing in that session."""
    found = []
    for symbol, session in delistings:
        later = (each for each in renames if each.session >= session and symbol in (each[0], each[2]))
        if (other := next(later, None)) and other.new_symbol == symbol:
            found.append(Rename(symbol, other.session, f"{symbol} (delisted {session})"))
    return found


def names_of(renames: Iterable[Rename], priced: Mapping[str, Sequence[date]]) -> Names:
    """Return the names by renames, and by the ascending sessions with prices of symbols."""
    given_up, taken = defaultdict[str, list[Rename]](list), defaultdict[str, list[date]](list)
    for rename in sorted(renames, key=lambda each: each.session):
        given_up[rename.symbol].append(rename)
        taken[rename.new_symbol].append(rename.session)
    leaves: dict[str, tuple[Leave, ...]] = {}
    for name, mine in given_up.items():
        ends = [rename.session for rename in mine[1:]] + [date.max]
        leaves[name] = tuple(
            Leave(
                each.session, each.new_symbol, _reused(each.session, end, taken[name], priced.get(name, ()))
            )
            for each, end in zip(mine, ends, strict=True)
        )
    return Names(leaves)


def _reused(left: date, end: date, taken: Sequence[date], priced: Sequence[date]) -> date | None:
    by_rename = next((day for day in taken if left <= day < end), None)
    return by_rename or next((day for day in priced if left <= day), None)


def in_names_of(session: date, positions: Positions, named: Sequence[date], names: Names) -> Positions:
    """List lots under the names of a session: public ones, and the underlyings of options.

    ``named`` are the days of whose names their symbols are, ``(n_lots,)``.
    """
    if not names.leaves:
        return positions

    def listed(symbols: Sequence[str], kind: str) -> tuple[str, ...]:
        lots = zip(symbols, positions.kinds, named, strict=True)
        return tuple(names.on(session, each, day) if of == kind else each for each, of, day in lots)

    terms = positions.options
    return replace(
        positions,
        symbols=listed(positions.symbols, "public"),
        options=None if terms is None else replace(terms, underlying=listed(terms.underlying, "option")),
    )
