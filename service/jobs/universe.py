"""Whose prices are collected: the symbols that trade, the factor proxies, and what renamed symbols became."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from engine.factors import PROXIES
from service import clock
from service.providers.outcomes import Span
from storage.store import Store

HISTORY_SESSIONS = 546  # of a symbol that is new
OVERLAP_SESSIONS = 5  # stored ones that are fetched again: a changed one tells of a restated history
RECENT = timedelta(days=15)
ENDINGS = ("rename", "delisting")
EPOCH = date(clock.FIRST_YEAR, 1, 1)


@dataclass(frozen=True, slots=True)
class Universe:
    """Symbols to collect.

    Attributes
    ----------
    names : tuple of str
        In ascending order.
    last : mapping of str to date
        Newest stored session of each symbol that has one.
    """

    names: tuple[str, ...]
    last: Mapping[str, date]

    def requests(self, target: date) -> dict[str, Span]:
        """Return the span that each symbol lacks up to a session, with what overlaps; none that has it."""
        starts = {
            last: clock.sessions_until(last, OVERLAP_SESSIONS)[0].item() for last in set(self.last.values())
        }
        new = clock.sessions_until(target, HISTORY_SESSIONS)[0].item()
        wanted = [name for name in self.names if self.last.get(name, EPOCH) < target]
        return {name: (starts[self.last[name]] if name in self.last else new, target) for name in wanted}


def universe(store: Store, target: date, *, among: Iterable[str] | None = None) -> Universe:
    """Return the symbols to collect up to a session, all or those ``among`` some and what these became.

    A symbol that was renamed or delisted after its newest price is inactive from now on, and one that has
    prices since, or that another one was renamed to, is active again.
    """
    ledger, endings, taken = store.ledger.symbols, *_endings(store, target)
    known, active, proxies = ledger.ids().keys(), ledger.active(), set(PROXIES.values())
    last = last_sessions(store, known | set(endings["new_symbol"].drop_nulls()), target)
    days = dict(endings.select("symbol", "session").iter_rows())
    ended = {name for name, day in days.items() if max(last.get(name, EPOCH), taken.get(name, EPOCH)) < day}
    back = (days.keys() - ended) & (known - active)
    ledger.set_active(ended & active, is_active=False)
    ledger.set_active(back, is_active=True)
    chosen = (active | back | proxies | days.keys()) if among is None else set(among)
    new = dict(endings.drop_nulls("new_symbol").select("symbol", "new_symbol").iter_rows())
    fresh = chosen
    while fresh := {new[name] for name in fresh & new.keys()} - chosen:
        chosen |= fresh
    return Universe(tuple(sorted(chosen - ended)), last)


def last_sessions(store: Store, names: Iterable[str], target: date) -> dict[str, date]:
    """Return the newest stored session of each symbol, up to a session; the newest months are read first."""
    release, recent = store.release(), (target - RECENT, target)
    rows = store.read("prices", release=release, columns=["symbol", "session"], sessions=recent)
    found = _bounds(rows, newest=True)
    older = [name for name in names if name not in found]
    if older:
        span = (EPOCH, target - RECENT)
        rows = store.read(
            "prices", release=release, columns=["symbol", "session"], sessions=span, symbols=older
        )
        found |= _bounds(rows, newest=True)
    return found


def first_sessions(store: Store, names: Iterable[str]) -> dict[str, date]:
    """Return the oldest stored session of each symbol that has one."""
    return _bounds(store.read("prices", columns=["symbol", "session"], symbols=names), newest=False)


def _bounds(rows: pl.DataFrame, *, newest: bool) -> dict[str, date]:
    session = pl.col("session")
    return dict(rows.group_by("symbol").agg(session.max() if newest else session.min()).iter_rows())


def _endings(store: Store, target: date) -> tuple[pl.DataFrame, dict[str, date]]:
    """Newest rename or delisting of each symbol, up to a session, and the newest rename to each."""
    actions = store.read("corporate_actions", sessions=(EPOCH, target))
    endings = actions.filter(pl.col("kind").is_in(ENDINGS)).sort("session")
    taken = endings.drop_nulls("new_symbol").select("new_symbol", "session").iter_rows()
    return endings.unique("symbol", keep="last"), dict(taken)
