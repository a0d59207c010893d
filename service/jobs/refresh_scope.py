"""Which portfolios and sessions a refresh takes, and what it drops when it takes them again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

import numpy as np
import polars as pl

from service import clock
from service.book_loader import computed_sessions
from service.errors import FailedError, UsageError
from service.jobs.refresh_inputs import newest_snapshots
from service.jobs.refresh_phases import TABLES
from service.jobs.tracker import BatchRunTracker
from service.live_book import Market
from service.settings import Settings
from storage.portfolios import Portfolio
from storage.store import Store
from storage.writer import Writer

Span: TypeAlias = tuple[date, date]


@dataclass(frozen=True, slots=True)
class Work:
    """What a refresh reads, where it writes and whom it tells."""

    store: Store
    settings: Settings
    tracker: BatchRunTracker
    writer: Writer
    market: Market | None


def sessions_lacking(work: Work, span: Span | None) -> list[str]:
    """Return the sessions asked for that no symbol batch has computed, and say so.

    Raises
    ------
    FailedError
        It is all of them.
    """
    computed = computed_sessions(work.store, work.store.release())
    if span is None:
        if not len(computed):
            work.tracker.add_activity("no session is computed yet: there is nothing to take", "warning")
        return []
    until = min(span[1], clock.last_closed_session(work.settings))
    asked = clock.sessions_between(span[0], max(span[0], until))
    missing = np.setdiff1d(asked, computed)
    if len(missing) == len(asked):
        raise FailedError(
            f"no session from {span[0]} to {span[1]} is computed; `ridgeline batch run` or "
            "`ridgeline backfill` computes them, once there are prices"
        )
    found = [str(each) for each in missing]
    if found:
        work.tracker.add_activity(f"not computed, so without snapshots: {', '.join(found[:5])}", "warning")
    return found


def started(work: Work, portfolios: Sequence[Portfolio]) -> list[Portfolio]:
    """Give portfolios from before any session a first one, the newest; those stay out while there is none."""
    new = {each.portfolio_id for each in portfolios if each.starting_session is None}
    if not new:
        return list(portfolios)
    computed, ledger = computed_sessions(work.store, work.store.release()), work.store.ledger
    ready = [each for each in portfolios if each.portfolio_id not in new]
    if not len(computed):
        return ready
    with ledger.writing():
        for portfolio_id in new:
            ledger.portfolios.update(portfolio_id, starting_session=computed[-1].item())
    begun = [each for each in ledger.portfolios.everyones() if each.portfolio_id in new]
    return sorted([*ready, *begun], key=lambda each: each.portfolio_id)


def drop(work: Work, portfolios: Sequence[Portfolio], first: date) -> date:
    """Drop what is stored of portfolios from a session on; return the last session that had been.

    Raises
    ------
    UsageError
        A portfolio has its first snapshot after that session.
    """
    early = [each for each in portfolios if each.starting_session and each.starting_session > first]
    if early:
        raise UsageError(
            f"portfolio {early[0].portfolio_id} has its first snapshot on {early[0].starting_session}, "
            f"and nothing is computed before it; begin there instead of on {first}"
        )
    newest = newest_snapshots(work.writer, portfolios).filter(pl.col("session") >= first)
    if newest.is_empty():
        return first
    for table in TABLES:
        work.writer.delete(table, sessions=(first, date.max), portfolios=newest["portfolio_id"])
    last: date = newest["session"].max()  # type: ignore[assignment]
    return last
