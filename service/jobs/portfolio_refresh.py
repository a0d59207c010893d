"""The portfolio refresh: a snapshot of every portfolio for each computed session that it lacks.

All portfolios that lack a session are taken at once. What is there already is left as it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import polars as pl

from engine import prices_asof
from engine.book import SymbolBook
from engine.snapshot import compute_snapshots
from engine.typing import DateArray
from service.book_loader import computed_sessions
from service.errors import UsageError
from service.jobs import snapshot_rows as rows
from service.jobs.progress import Progress
from service.jobs.snapshot_inputs import (
    Holdings,
    Last,
    lots_of,
    option_terms,
    portfolios_of,
    prices_of,
    read_holdings,
    read_market,
)
from service.jobs.snapshot_options import Options, settle, terms_of, with_options
from service.jobs.tracker import BY_HAND, BatchRunTracker, Trigger, failing
from service.live_book import Market, market_at
from service.settings import Settings
from storage.portfolios import Portfolio
from storage.releases import Release
from storage.store import Store
from storage.writer import Writer

JOB = "portfolio_refresh"
PHASES = {"snapshots": ("P&L Calculation & Snapshots", "dates")}
SNAPSHOT = ("portfolio_id", "session", "nav", "cumulative_pnl", "cumulative_flow", "time_weighted_return")
LOT = ("portfolio_id", "position_id", "reference_price", "reference_session")
TABLES = (
    "portfolio_snapshots",
    "position_values",
    "portfolio_exposures",
    "stress_results",
    "correlations",
)


@dataclass(slots=True)
class RefreshOutcome:
    """What a refresh did; ``remainder`` counts sessions that are left to later runs."""

    run_id: str
    status: Literal["completed", "partial", "failed"] = "completed"
    release: int = 0
    sessions: list[str] = field(default_factory=list)
    portfolios: int = 0
    snapshots: int = 0
    remainder: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def refresh_portfolios(
    store: Store,
    settings: Settings,
    progress: Progress,
    *,
    portfolio_ids: Sequence[str] | None = None,
    sessions: tuple[date, date] | None = None,
    force: bool = False,
    market: Market | None = None,
    trigger: Trigger = BY_HAND,
) -> RefreshOutcome:
    """Take the missing snapshots of the given portfolios, of all when not given, oldest sessions first.

    Parameters
    ----------
    sessions : tuple of date, optional
        First and last session that snapshots are taken of; all that are computed when not given.
    force : bool
        Take those from the first one on again, every later one that is stored included, for each snapshot
        stands on the one before. What was stored stays readable in the earlier releases.
    market : Market, optional
        One that is loaded already, for its session need not be read again.

    Raises
    ------
    Locked
        A live process is refreshing already.
    UsageError
        ``force`` without sessions, sessions that end before they begin, or sessions to take again that begin
        before a portfolio's first snapshot.
    """
    if sessions is not None and sessions[0] > sessions[1]:
        raise UsageError(
            f"the first session {sessions[0]} is after the last one {sessions[1]}; exchange them"
        )
    if force and sessions is None:
        raise UsageError("say which sessions are to be taken again, the first one and the last one")
    tracker = BatchRunTracker(store.ledger, watcher=progress)
    scope = None if portfolio_ids is None else {"portfolio_ids": list(portfolio_ids)}
    tracker.start(JOB, PHASES, trigger=trigger, scope=scope, seconds=settings.portfolio_refresh_seconds)
    outcome = RefreshOutcome(tracker.run_id)
    with failing(tracker, outcome), store.writing("portfolio", owner=JOB) as writer:
        wanted = [
            each
            for each in store.ledger.portfolios.everyones()
            if portfolio_ids is None or each.portfolio_id in portfolio_ids
        ]
        refresh = _Refresh(store, settings, tracker, writer, outcome, market)
        if force and sessions is not None:
            sessions = (sessions[0], max(sessions[1], refresh.drop(wanted, sessions[0])))
        refresh.take(wanted, sessions)
        if outcome.snapshots:
            writer.publish(session=date.fromisoformat(outcome.sessions[-1]), run_id=tracker.run_id)
        outcome.release = writer.base.number
    tracker.complete(outcome.status, items=(outcome.portfolios, 0), summary=outcome.as_dict())
    return outcome


@dataclass(frozen=True, slots=True)
class _Sources:
    """What snapshots are priced from: closes, options (None without any), and the market of each session."""

    closes: prices_asof.Market
    options: Options | None
    market_of: Callable[[date], Market]


@dataclass(frozen=True, slots=True)
class _Refresh:
    """A refresh under way."""

    store: Store
    settings: Settings
    progress: Progress
    writer: Writer
    outcome: RefreshOutcome
    market: Market | None

    def drop(self, portfolios: Sequence[Portfolio], first: date) -> date:
        """Drop what is stored of portfolios from a session on; return the last session that had been."""
        early = [each for each in portfolios if each.starting_session and each.starting_session > first]
        if early:
            raise UsageError(
                f"portfolio {early[0].portfolio_id} has its first snapshot on {early[0].starting_session}, "
                f"and nothing is computed before it; begin there instead of on {first}"
            )
        ids = [each.portfolio_id for each in portfolios]
        stored = self.writer.read("portfolio_snapshots", columns=("portfolio_id", "session"))
        mine = stored.filter((pl.col("session") >= first) & pl.col("portfolio_id").is_in(ids))
        for table in TABLES:
            self.writer.delete(table, sessions=(first, date.max), portfolios=ids)
        return first if mine.is_empty() else mine["session"].max()  # type: ignore[return-value]

    def take(self, portfolios: Sequence[Portfolio], span: tuple[date, date] | None = None) -> None:
        """Take the snapshots of every session within a span that some portfolio lacks."""
        release = self.store.release()
        computed = computed_sessions(self.store, release)
        if not portfolios or not len(computed):
            return
        held = read_holdings(self.store.ledger, [self._started(each, computed[-1]) for each in portfolios])
        last = self._last(held)
        lacking = _lacking(held, last, computed)
        if span is not None:
            first, until = map(np.datetime64, span)
            lacking &= (computed >= first) & (computed <= until)
        sessions = computed[lacking.any(axis=0)]
        due = sessions[: self.settings.backfill_sessions]
        self.outcome.remainder = len(sessions) - len(due)
        self.outcome.portfolios = int(lacking.any(axis=1).sum())
        if not len(due):
            return
        earliest = min([due[0].item(), *last.snapshots["session"]])
        sources = self._sources(held, release, computed, (earliest, due[-1].item()))
        self.progress.start_phase("snapshots", "P&L Calculation & Snapshots", len(due), "dates")
        frames: dict[str, list[pl.DataFrame]] = {}
        for number, session in enumerate(due, start=1):
            which = np.flatnonzero(lacking[:, np.searchsorted(computed, session)])
            taken = _taken(held, last, which, session, sources)
            for table, frame in _rows(taken, sources.market_of).items():
                frames.setdefault(table, []).append(frame)
            last = _after(last, frames["portfolio_snapshots"][-1], frames["position_values"][-1])
            self.outcome.sessions.append(str(session))
            self.outcome.snapshots += len(which)
            self.progress.update_phase_progress("snapshots", number)
        for table, parts in frames.items():
            self.writer.append(table, pl.concat(parts))
        self.progress.complete_phase("snapshots", success=True, summary=f"{self.outcome.snapshots} snapshots")

    def _started(self, portfolio: Portfolio, newest: np.datetime64) -> Portfolio:
        """Return a portfolio with a first session: the newest one, for a portfolio from before any."""
        if portfolio.starting_session is None:
            self.store.ledger.portfolios.update(portfolio.portfolio_id, starting_session=newest.item())
            return self.store.ledger.portfolios.get(portfolio.owner, portfolio.portfolio_id)
        return portfolio

    def _last(self, held: Holdings) -> Last:
        ids = [portfolio.portfolio_id for portfolio in held.portfolios]
        snapshots = self.writer.read("portfolio_snapshots", columns=SNAPSHOT)
        mine = snapshots.filter(pl.col("portfolio_id").is_in(ids)).sort("session")
        newest = mine.unique("portfolio_id", keep="last")
        lots = self.writer.read("position_values", columns=(*LOT, "session"))
        held_then = lots.join(newest, on=["portfolio_id", "session"], how="semi")
        return Last(newest, held_then.select(*LOT, pl.lit(True).alias("was_held")))

    def _sources(
        self, held: Holdings, release: Release, computed: DateArray, span: tuple[date, date]
    ) -> _Sources:
        closes = read_market(self.store, release, held.lots, *span)

        # The book of the previous session prices what came in since, and that of today everything else.
        @lru_cache(maxsize=2)
        def market_of(session: date) -> Market:
            known = self.market
            if known and (known.book.release, known.session) == (release.number, session):
                return known
            return market_at(self.store, release, session, option_rate=self.settings.option_rate)

        def book_of(day: np.datetime64) -> SymbolBook | None:
            session = closes.sessions[closes.sessions <= day][-1:]
            return market_of(session[0].item()).book if np.isin(session, computed).any() else None

        terms, options = option_terms(held), None
        if terms is not None:
            underlyings = closes.codes_of(held.lots["listed"])
            options = Options(terms, underlyings, closes, book_of, self.settings.option_rate)
        return _Sources(closes, options, market_of)


def _taken(
    held: Holdings, last: Last, which: np.ndarray, session: np.datetime64, sources: _Sources
) -> rows.Taken:
    lots, options, terms = lots_of(held, last), sources.options, None
    portfolios = portfolios_of(held, last, session)
    # Portfolios that have this session already are computed along as first ones, and give no rows.
    others = np.ones(len(held.portfolios), dtype=bool)
    others[which] = False
    portfolios.prev[others] = np.datetime64("NaT")
    if options is None:
        prices = prices_of(sources.closes, held, lots, portfolios, session)
    else:
        lots, reasons = settle(options, lots, session)
        prices = replace(prices_of(sources.closes, held, lots, portfolios, session), reasons=reasons)
        prices = with_options(options, prices, lots, portfolios, session)
        terms = terms_of(options, lots, session)
    snapshots = compute_snapshots(lots, prices, portfolios, session)
    return rows.Taken(session, held, which, lots, snapshots, last, terms)


def _lacking(held: Holdings, last: Last, computed: DateArray) -> np.ndarray:
    """Which computed sessions each portfolio lacks ``(n_portfolios, n_sessions)``."""
    newest = dict(last.snapshots.select("portfolio_id", "session").iter_rows())
    after = np.array(
        [newest.get(portfolio.portfolio_id) for portfolio in held.portfolios], dtype="datetime64[D]"
    )
    begun = computed[None, :] >= held.starts[:, None]
    lacking: np.ndarray = begun & (np.isnat(after)[:, None] | (computed[None, :] > after[:, None]))
    return lacking


def _rows(taken: rows.Taken, market_of_day: Callable[[date], Market]) -> dict[str, pl.DataFrame]:
    day: date = taken.session.item()  # type: ignore[assignment]
    composed = rows.compose(taken, market_of_day(day))
    return {
        "portfolio_snapshots": rows.snapshot_rows(taken, composed),
        "position_values": rows.position_rows(taken),
        "portfolio_exposures": rows.exposure_rows(taken, composed),
        "stress_results": rows.stress_rows(taken, composed),
        "correlations": rows.correlation_rows(taken, composed),
    }


def _after(last: Last, snapshots: pl.DataFrame, lots: pl.DataFrame) -> Last:
    """Return the state after a session: its portfolios' rows take the place of all their older ones."""
    others = ~pl.col("portfolio_id").is_in(snapshots["portfolio_id"].implode())
    mine = lots.select(*LOT, pl.lit(True).alias("was_held"))
    return Last(
        pl.concat([last.snapshots.filter(others), snapshots.select(SNAPSHOT)], how="vertical_relaxed"),
        pl.concat([last.lots.filter(others), mine], how="vertical_relaxed"),
    )
