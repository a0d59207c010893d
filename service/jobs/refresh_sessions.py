"""Sessions that portfolios lack, one after the other, and on each all portfolios at once, in parts."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import chain
from os import cpu_count
from typing import Protocol

import numpy as np
import polars as pl

from engine.typing import DateArray
from service.book_loader import computed_sessions
from service.jobs.refresh_inputs import Sources, after, newest_snapshots
from service.jobs.refresh_parts import Failed, Part, load, narrowed, portions
from service.jobs.refresh_phases import TABLES, Counts, rows_of
from service.jobs.refresh_scope import Span, Work
from service.jobs.snapshot_inputs import listed_symbols, read_market
from service.names import read_names
from storage.portfolios import Portfolio

THREADS = min(4, cpu_count() or 1)
ROWS_AT_ONCE = 3_000_000  # in memory before they are written


class Summed(Protocol):
    """What is told of a refresh."""

    sessions: list[str]
    portfolios: int
    snapshots: int
    remainder: int


def take_missing(
    work: Work,
    outcome: Summed,
    counts: Counts,
    portfolios: Sequence[Portfolio],
    *,
    span: Span | None,
    limit: int,
) -> dict[str, tuple[str, str]]:
    """Take the snapshots within a span that portfolios lack, the oldest ``limit`` sessions of them.

    Returns what portfolios failed with: the kind of the error and its words, by their ids. The sessions of
    such a portfolio from that one on are left out, those before it are taken.
    """
    release = work.store.release()
    computed = computed_sessions(work.store, release)
    if not portfolios or not len(computed):
        return {}
    newest = newest_snapshots(work.writer, portfolios)
    first = _first_lacking(portfolios, newest)
    begin, end = map(np.datetime64, span or (date.min, date.max))
    sessions = computed[(computed >= max(begin, first.min())) & (computed <= end)]
    due = sessions[:limit]
    behind = [each for each, day in zip(portfolios, first, strict=True) if len(due) and day <= due[-1]]
    outcome.remainder = len(sessions) - len(due)
    outcome.portfolios = max(outcome.portfolios, len(behind))
    if not behind:
        return {}
    failed = Failed()
    parts = [
        part
        for portion in portions(work.store.ledger, behind)
        for part in failed.each(portion, lambda some: load(work.store.ledger, work.writer, some, newest))
    ]
    names = read_names(work.store, release, due[-1].item())
    symbols = names.reached(symbol for part in parts for symbol in listed_symbols(part.held))
    earliest = min(
        [due[0].item(), *(part.last.snapshots["session"].min() or due[0].item() for part in parts)]
    )
    closes = read_market(work.store, release, symbols, (earliest, due[-1].item()))
    sources = Sources(work.store, work.settings, release, closes, names, computed, work.market)
    counts.begin(int((len(due) - np.searchsorted(due, first)).sum()))
    _Sessions(work, outcome, sources, counts, failed).take(parts, due)
    return failed.errors


def _first_lacking(portfolios: Sequence[Portfolio], newest: pl.DataFrame) -> DateArray:
    """Day from which on each portfolio lacks snapshots ``(n_portfolios,)``."""
    last = dict(newest.select("portfolio_id", "session").iter_rows())
    starts = np.array([each.starting_session for each in portfolios], dtype="datetime64[D]")
    done = np.array([last.get(each.portfolio_id) for each in portfolios], dtype="datetime64[D]")
    return np.where(np.isnat(done), starts, np.maximum(starts, done + 1))


@dataclass(frozen=True, slots=True)
class _Sessions:
    """Sessions that are being taken."""

    work: Work
    outcome: Summed
    sources: Sources
    counts: Counts
    failed: Failed

    def take(self, parts: list[Part], due: DateArray) -> None:
        """Take the sessions, oldest first, and write their rows."""
        written: dict[str, list[pl.DataFrame]] = {table: [] for table in TABLES}
        with ThreadPoolExecutor(THREADS) as pool:
            for number, session in enumerate(due, start=1):
                self.sources.day(session.item())  # once, before all threads ask for it
                done = [*chain.from_iterable(pool.map(lambda part: self._part(part, session), parts))]  # noqa: B023 - read at once
                parts, taken = [part for part, _ in done], 0
                for _, frames in done:
                    taken += len(frames.get("portfolio_snapshots", ()))
                    for table, frame in frames.items():
                        written[table].append(frame)
                if taken:
                    self._account(str(session), taken, number == len(due))
                if number == len(due) or sum(len(f) for f in chain(*written.values())) > ROWS_AT_ONCE:
                    self._write(pool, written)

    def _part(self, part: Part, session: np.datetime64) -> list[tuple[Part, dict[str, pl.DataFrame]]]:
        """Take one part on a session; come back in smaller parts, without those that failed."""

        def taken(portfolios: Sequence[Portfolio]) -> tuple[Part, dict[str, pl.DataFrame]]:
            mine = part if len(portfolios) == len(part.portfolios) else self._narrowed(part, portfolios)
            frames = rows_of(mine, session, self.sources, self.counts)
            if not frames:
                return mine, frames
            then = after(mine.last, frames["portfolio_snapshots"], frames["position_values"])
            return Part(mine.held, then), frames

        return self.failed.each(part.portfolios, taken)

    def _narrowed(self, part: Part, portfolios: Sequence[Portfolio]) -> Part:
        return narrowed(self.work.store.ledger, part, portfolios)

    def _account(self, session: str, taken: int, is_last: bool) -> None:
        if session not in self.outcome.sessions:
            self.outcome.sessions.append(session)
            self.outcome.sessions.sort()
        self.outcome.snapshots += taken
        number = len(self.outcome.sessions)
        if number == 1 or number % 5 == 0 or is_last:
            self.work.tracker.add_activity(f"{session}: {taken} snapshots")

    def _write(self, pool: ThreadPoolExecutor, written: dict[str, list[pl.DataFrame]]) -> None:
        """Write the rows of every table, several tables side by side."""
        whole = [(table, pl.concat(frames)) for table, frames in written.items() if frames]
        for frames in written.values():
            frames.clear()
        list(pool.map(lambda item: self.work.writer.append(*item), whole))
