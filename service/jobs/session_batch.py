"""Computes sessions of the symbol layer under its lease, a portion at a time."""

from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

import numpy as np
import polars as pl

from engine.factors import PROXIES
from engine.panel import Panel
from engine.quality import EVENTS
from engine.typing import DateArray
from service import clock
from service.book_loader import HISTORY_SESSIONS, load_panel, newest_profiles
from service.errors import FailedError
from service.jobs.progress import Progress
from service.jobs.symbol_phases import Phases
from service.jobs.work_list import Work, portions
from service.names import named_anew
from service.settings import Settings
from storage.store import Store
from storage.writer import Writer

# Symbol-sessions whose frames are in memory at once.
CHUNK_SIZE = 30_000


@dataclass(slots=True)
class Outcome:
    """What a run did.

    Attributes
    ----------
    sessions : list of str
        The computed ones; ``recomputed`` of them had been computed before.
    remainder : int
        Sessions, missing or stale, that are left to later runs.
    symbols : int
        Symbols with a price in the panel of the last portion.
    missing_proxies : list of str
        Factor proxies without a price on some computed session.
    skipped : dict of str to str
        Why a session could not be computed.
    prices : dict of str to int
        What became of the symbols: how many were ``asked`` for, ``arrived``, ``restated`` (fetched anew from
        their beginning), ``ended`` (renamed or delisted) and ``failed``; empty without a source.
    fetched : list of str
        What came of profiles and statements, where there is a source of them.
    late : str or None
        The session that closed last, when the market has no price on it yet.
    """

    run_id: str
    status: Literal["completed", "partial", "failed"] = "completed"
    release: int = 0
    sessions: list[str] = field(default_factory=list)
    recomputed: int = 0
    remainder: int = 0
    symbols: int = 0
    missing_proxies: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    prices: dict[str, int] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    late: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SessionBatch:
    """Sessions being computed: what is read, where it is written and who is told."""

    store: Store
    settings: Settings
    tracker: Progress
    writer: Writer
    outcome: Outcome

    def compute(self, work: Work) -> None:
        """Compute all sessions of the work, a portion at a time, which bounds the memory."""
        n_symbols = len(self.store.ledger.symbols.ids())
        profiles = self.store.read("profiles", release=self.writer.base)
        actions = self.store.read("corporate_actions", release=self.writer.base)
        events = actions.filter(pl.col("kind").is_in(EVENTS)).select("symbol", "session")
        changes = self._changes(profiles, np.union1d(work.new, work.again)[-1].item())
        unit = "symbols" if work.n_sessions == 1 else "dates"
        total = n_symbols if unit == "symbols" else work.n_sessions
        lacking, fetched = self.outcome.missing_proxies, self.outcome.fetched
        phases = Phases(self.tracker, total, unit, lacking=lacking, fetched=fetched)
        for sessions, is_new in portions(work, max(1, CHUNK_SIZE // max(1, n_symbols)), changes):
            history = clock.sessions_until(sessions[0].item(), HISTORY_SESSIONS)
            days = np.union1d(history, sessions)
            panel = load_panel(self.store, self.writer.base, days, n_fits=len(sessions))
            try:
                usable = self._usable(panel, sessions, work.target)
            except FailedError as error:
                self.tracker.complete_phase("prices", success=False, summary=str(error))
                raise
            if not self.outcome.symbols and not fetched:  # else they ended before something was fetched
                self.tracker.complete_phase("prices", True, f"{n_symbols} symbols")
            self._account(panel, usable, is_new=is_new)
            span = (panel.column(sessions[0]), panel.column(sessions[-1]))
            known = newest_profiles(profiles, sessions[0].item())
            tables = phases.compute(panel, known, events, span, half_life=self.settings.half_life)
            self._write(tables, sessions, usable, is_new=is_new)

    def _changes(self, profiles: pl.DataFrame, until: date) -> DateArray:
        """Sessions from which other profiles hold, or symbols name other companies, ascending."""
        known = profiles["as_of"].unique().to_numpy().astype("datetime64[D]")
        return np.union1d(known, named_anew(self.store, self.writer.base, until))

    def _usable(self, panel: Panel, sessions: DateArray, target: np.datetime64 | None) -> DateArray:
        """Leave out sessions on which too few active symbols have a price; the target must not be one."""
        first, last = panel.column(sessions[0]), panel.column(sessions[-1])
        active = panel.active(first, last)
        priced = active & np.isfinite(panel.adj_close[:, first : last + 1])
        coverage = priced.sum(axis=0) / active.sum(axis=0)
        thin = coverage < self.settings.coverage_threshold
        for session, share in zip(sessions[thin], coverage[thin], strict=True):
            needed = f"{self.settings.coverage_threshold:.0%} must"
            reason = (
                f"only {share:.0%} of the active symbols have a price, {needed}; ingest the missing prices"
            )
            if session == target:
                raise FailedError(f"{session}: {reason} and run again")
            self.outcome.skipped[str(session)] = reason
            self.tracker.add_activity(f"{session} skipped: {reason}", "warning")
        usable: DateArray = sessions[~thin]
        return usable

    def _write(
        self, tables: dict[str, pl.DataFrame], sessions: DateArray, usable: DateArray, *, is_new: bool
    ) -> None:
        """Append new sessions and replace those computed before; a skipped one has no rows afterwards."""
        for table, frame in tables.items():
            kept = frame.filter(pl.col("session").is_in(pl.Series(usable, dtype=pl.Date).implode()))
            if is_new:
                self.writer.append(table, kept)
            else:
                self.writer.replace(table, kept, sessions=(sessions[0].item(), sessions[-1].item()))

    def _account(self, panel: Panel, usable: DateArray, *, is_new: bool) -> None:
        outcome = self.outcome
        outcome.sessions += [str(session) for session in usable]
        outcome.recomputed += 0 if is_new else len(usable)
        outcome.symbols = len(panel.symbols)
        at = [panel.column(session) for session in usable]
        for proxy in PROXIES.values():
            row = panel.row(proxy)
            lacking = bool(at) and (row is None or not np.isfinite(panel.adj_close[row, at]).all())
            if lacking and proxy not in outcome.missing_proxies:
                outcome.missing_proxies.append(proxy)
                self.tracker.add_activity(f"the factor proxy {proxy} lacks prices", "warning")
