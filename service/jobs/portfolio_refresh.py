"""The portfolio refresh: a snapshot of every portfolio for each computed session that it lacks.

All portfolios that lack a session are taken at once, in parts that bound the memory. What is there already is
left as it is, unless it is forced. A portfolio that fails stops no other one: it is tried once more, and what
it fails with is recorded.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import partial
from threading import Event
from typing import Any, Literal

from service.alerts import alert
from service.errors import FailedError, UsageError
from service.jobs.progress import Progress
from service.jobs.refresh_phases import PHASES, Counts
from service.jobs.refresh_scope import Span, Work, drop, sessions_lacking, started
from service.jobs.refresh_sessions import take_missing
from service.jobs.symbol_wait import is_symbol_batch_running, wait_for_symbols
from service.jobs.tracker import BY_HAND, BatchRunTracker, Trigger, failing
from service.live_book import Market
from service.settings import Settings
from storage.portfolios import Portfolio
from storage.store import Store

JOB = "portfolio_refresh"
RETRY_SECONDS = 1.0
ALERT_SHARE = 0.10
ALL = 1_000_000
SAID = 20  # failures that the activity log tells; the ledger has them all


@dataclass(slots=True)
class RefreshOutcome:
    """What a refresh did.

    Attributes
    ----------
    remainder : int
        Sessions that are left to later runs.
    failed : dict of str to str
        What portfolios failed with, by their ids.
    lacking : list of str
        Sessions that were asked for, and that the symbol batch has not computed.
    """

    run_id: str
    status: Literal["completed", "partial", "failed"] = "completed"
    release: int = 0
    sessions: list[str] = field(default_factory=list)
    portfolios: int = 0
    snapshots: int = 0
    remainder: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def refresh_portfolios(
    store: Store,
    settings: Settings,
    progress: Progress,
    *,
    portfolio_ids: Sequence[str] | None = None,
    sessions: Span | None = None,
    force: bool = False,
    market: Market | None = None,
    trigger: Trigger = BY_HAND,
) -> RefreshOutcome:
    """Take the missing snapshots of the given portfolios, of all when not given, oldest sessions first.

    A refresh of all portfolios and sessions waits for a symbol batch that runs.

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
    FailedError
        None of the sessions is computed, every portfolio failed, the symbol batch took too long, or the
        refresh itself did; nothing was published.
    """
    _require_span(sessions, force=force)
    waits = portfolio_ids is None and sessions is None and is_symbol_batch_running(store.ledger)
    tracker = BatchRunTracker(store.ledger, watcher=progress)
    scope = None if portfolio_ids is None else {"portfolio_ids": list(portfolio_ids)}
    seconds = settings.portfolio_refresh_seconds + (settings.symbol_batch_seconds if waits else 0.0)
    tracker.start(JOB, PHASES, trigger=trigger, scope=scope, seconds=seconds)
    outcome = RefreshOutcome(tracker.run_id)
    with failing(tracker, outcome):
        if waits:
            wait_for_symbols(store.ledger, settings, tracker)
        with store.writing("portfolio", owner=JOB) as writer:
            work = Work(store, settings, tracker, writer, market)
            outcome.lacking = sessions_lacking(work, sessions)
            outcome.status = "partial" if outcome.lacking else "completed"
            chosen, limit = started(work, _chosen(store, portfolio_ids)), settings.backfill_sessions
            if force and sessions is not None:
                sessions = (sessions[0], max(sessions[1], drop(work, chosen, sessions[0])))
                limit = ALL  # some of what was there would be worse than all of it, or none
            _refreshed(work, outcome, chosen, sessions, limit)
            if outcome.snapshots:
                newest = max([date.fromisoformat(outcome.sessions[-1]), writer.base.session or date.min])
                writer.publish(session=newest, run_id=tracker.run_id)
            outcome.release = writer.base.number
    items = (outcome.portfolios, len(outcome.failed))
    tracker.complete(outcome.status, items=items, summary=outcome.as_dict())
    return outcome


def _require_span(sessions: Span | None, *, force: bool) -> None:
    if sessions is not None and sessions[0] > sessions[1]:
        raise UsageError(
            f"the first session {sessions[0]} is after the last one {sessions[1]}; exchange them"
        )
    if force and sessions is None:
        raise UsageError("say which sessions are to be taken again, the first one and the last one")


def _chosen(store: Store, portfolio_ids: Sequence[str] | None) -> list[Portfolio]:
    """Return the live portfolios among the given ones, by their ids: so their rows come sorted."""
    wanted = None if portfolio_ids is None else frozenset(portfolio_ids)
    live = store.ledger.portfolios.everyones()
    chosen = [each for each in live if wanted is None or each.portfolio_id in wanted]
    return sorted(chosen, key=lambda each: each.portfolio_id)


def _refreshed(
    work: Work, outcome: RefreshOutcome, chosen: Sequence[Portfolio], span: Span | None, limit: int
) -> None:
    """Take what is missing, what failed once more, and record what fails again."""
    counts = Counts(work.tracker)
    take = partial(take_missing, work, outcome, counts, span=span, limit=limit)
    failed = take(chosen)
    if failed:
        work.tracker.add_activity(f"{len(failed)} portfolios failed and are tried once more", "warning")
        Event().wait(RETRY_SECONDS)
        failed = take([each for each in chosen if each.portfolio_id in failed])
    counts.complete(
        f"{outcome.snapshots} snapshots" + (f", {len(failed)} portfolios failed" if failed else "")
    )
    outcome.failed = {portfolio_id: message for portfolio_id, (_, message) in failed.items()}
    done = [each.portfolio_id for each in chosen if each.portfolio_id not in failed]
    newest = date.fromisoformat(outcome.sessions[-1]) if outcome.sessions else None
    work.store.ledger.failures.record(outcome.run_id, JOB, newest, failed, succeeded=done)
    if failed:
        _tell(work, outcome)


def _tell(work: Work, outcome: RefreshOutcome) -> None:
    """Say what portfolios failed with; ``FailedError`` when it is all that lacked snapshots."""
    outcome.status, failed = "partial", outcome.failed
    for portfolio_id, message in list(failed.items())[:SAID]:
        work.tracker.add_activity(f"portfolio {portfolio_id} failed: {message}", "error")
    if len(failed) > ALERT_SHARE * outcome.portfolios:
        alert(work.settings, f"{len(failed)} of {outcome.portfolios} portfolios failed in the refresh")
    if not outcome.snapshots:
        raise FailedError(
            f"every portfolio that lacked snapshots failed; the first with: {next(iter(failed.values()))}"
        )
