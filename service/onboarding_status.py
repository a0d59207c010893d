"""How far a portfolio is: the rich status and the simple one, both from what the ledger holds.

Nothing long runs for a portfolio of known symbols. Its nine phases are shown as what they are: done, or not
needed, or, for symbols that are still to be fetched, under way.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from service import clock
from service.live_book import Market
from service.onboarding import SECONDS_A_SYMBOL, unknown_symbols, valued_by
from service.progress_records import (
    SHOWN_ACTIVITIES,
    Activity,
    OverallProgress,
    PhaseCount,
    PhaseState,
    PhaseStatus,
    activities,
)
from service.run_status import RunStatus, run_status, seconds_between
from service.settings import Settings
from storage.ledger import Ledger
from storage.portfolios import Portfolio
from storage.run_log import KEPT
from storage.symbol_queue import Job

LEGACY = "legacy_batch"
PHASES = (
    ("phase_1", "Market Data Collection", "dates"),
    ("phase_1_5", "Factor Analysis", "symbols"),
    ("phase_1_75", "Symbol Metrics", "symbols"),
    ("phase_0", "Company Profile Sync", "symbols"),
    ("phase_2", "Fundamental Data Collection", "symbols"),
    ("phase_3", "P&L Calculation & Snapshots", "dates"),
    ("phase_4", "Position Market Value Updates", "dates"),
    ("phase_5", "Sector Tag Restoration", "positions"),
    ("phase_6", "Risk Analytics", "dates"),
)
FETCHING = ("phase_1", "phase_1_5", "phase_1_75")


class RichStatus(msgspec.Struct):
    """Progress of a portfolio's set-up, phase by phase."""

    portfolio_id: str
    status: Literal["running", "completed", "partial", "failed", "not_found"]
    started_at: str | None
    elapsed_seconds: int
    overall_progress: OverallProgress | None
    current_phase_progress: PhaseCount | None
    activity_log: list[Activity]
    phases: list[PhaseStatus] | None
    mode: Literal["v1_batch", "v2_instant"] = "v2_instant"


class SimpleStatus(msgspec.Struct):
    """Whether a portfolio's analytics are there."""

    portfolio_id: str
    status: Literal["ready", "pending", "error"]
    analytics_available: bool
    pending_symbols: list[str] | None
    estimated_seconds_remaining: int | None
    message: str
    failed_symbols: list[str]


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a portfolio's symbols: how many it holds, which still come, and which never did."""

    portfolio: Portfolio
    symbols: tuple[str, ...]
    n_positions: int
    pending: tuple[str, ...]
    failed: tuple[str, ...]
    jobs: tuple[Job, ...]
    has_book: bool
    run: RunStatus | None = None
    run_log: tuple[Activity, ...] = ()

    @property
    def n_symbols(self) -> int:
        """How many symbols its open lots are valued by."""
        return len(self.symbols)


def get_onboarding_status(
    ledger: Ledger, settings: Settings, market: Market | None, portfolio: Portfolio
) -> RichStatus:
    """Return the rich status of a portfolio: of its own run of nine phases, else of its symbols."""
    return rich_status(standing(ledger, settings, market, portfolio))


def standing(ledger: Ledger, settings: Settings, market: Market | None, portfolio: Portfolio) -> Standing:
    """Look up where the symbols of a portfolio stand, and how its own run of nine phases does.

    A run that has ended counts for as long as the setting ``run_status_seconds`` says; its log stays. A run
    of several portfolios is none of its own.
    """
    lots = [position.lot for position in ledger.positions.of(portfolio.portfolio_id)]
    everything = valued_by(market, lots)
    unknown = unknown_symbols(market, lots)
    jobs = ledger.symbol_queue.jobs(everything)
    run, lines = _own_run(ledger, settings, portfolio.portfolio_id)
    failed = tuple(symbol for symbol in unknown if symbol in jobs and jobs[symbol].status == "failed")
    return Standing(
        portfolio=portfolio,
        symbols=everything,
        n_positions=len(lots),
        pending=tuple(symbol for symbol in unknown if symbol not in failed),
        failed=failed,
        jobs=tuple(jobs[symbol] for symbol in everything if symbol in jobs),
        has_book=market is not None,
        run=run,
        run_log=lines,
    )


def _own_run(
    ledger: Ledger, settings: Settings, portfolio_id: str
) -> tuple[RunStatus | None, tuple[Activity, ...]]:
    ledger.runs.fail_stale()
    newest = next(iter(ledger.runs.history(LEGACY, portfolio_id=portfolio_id, limit=1)), None)
    if newest is None:
        return None, ()
    lines = tuple(activities(ledger.run_log.newest(newest.run_id, limit=KEPT)))
    ended = newest.completed_at
    is_shown = ended is None or seconds_between(ended, None) <= settings.run_status_seconds
    return run_status(ledger, newest) if is_shown else None, lines


def simple_status(known: Standing) -> SimpleStatus:
    """Return ``error`` when no symbol at all could be had, ``pending`` while some come, else ``ready``."""
    n_pending = len(known.pending)
    all_failed = known.n_symbols > 0 and len(known.failed) == known.n_symbols
    if all_failed:
        status, message = "error", f"No data could be found for {', '.join(known.failed)}."
    elif n_pending:
        status, message = "pending", f"Loading data for {n_pending} new symbol(s)..."
    else:
        status, message = "ready", "Your portfolio analytics are ready!"
        if known.failed:
            message += f" Without data, and left out: {', '.join(known.failed)}."
    return SimpleStatus(
        portfolio_id=known.portfolio.portfolio_id,
        status=status,  # type: ignore[arg-type]
        analytics_available=not all_failed and known.has_book and n_pending < max(known.n_symbols, 1),
        pending_symbols=list(known.pending) if status == "pending" else None,
        estimated_seconds_remaining=SECONDS_A_SYMBOL * n_pending if status == "pending" else None,
        message=message,
        failed_symbols=list(known.failed),
    )


def rich_status(known: Standing) -> RichStatus:
    """Return the phases of the portfolio's own run; else those of its symbols, which run while some pend."""
    if known.run is not None:
        return _status_of_run(known.portfolio, known.run)
    simple = simple_status(known)
    status = {"error": "failed", "pending": "running", "ready": "completed"}[simple.status]
    if status == "completed" and known.failed:
        status = "partial"
    done = known.n_symbols - len(known.pending)
    phases = [_phase(known, phase, status, done) for phase in PHASES]
    completed = sum(phase.status == "completed" for phase in phases)
    current = next((phase for phase in phases if phase.status == "running"), None)
    share = (completed + (done / max(known.n_symbols, 1) if current else 0.0)) / len(phases)
    finished = _finished(known)
    return RichStatus(
        portfolio_id=known.portfolio.portfolio_id,
        status=status,  # type: ignore[arg-type]
        started_at=known.portfolio.created_at,
        elapsed_seconds=_seconds(known.portfolio.created_at, None if status == "running" else finished),
        overall_progress=OverallProgress(
            current_phase=current.phase_id if current else None,
            current_phase_name=current.phase_name if current else None,
            phases_completed=completed,
            phases_total=len(phases),
            percent_complete=min(99, int(100 * share)) if status in ("running", "failed") else 100,
        ),
        current_phase_progress=PhaseCount(current.current, current.total, current.unit) if current else None,
        activity_log=_set_up(known)[-SHOWN_ACTIVITIES:],
        phases=phases,
    )


def _status_of_run(portfolio: Portfolio, run: RunStatus) -> RichStatus:
    return RichStatus(
        portfolio_id=portfolio.portfolio_id,
        status=run.status,
        started_at=run.started_at,
        elapsed_seconds=run.elapsed_seconds,
        overall_progress=run.overall_progress,
        current_phase_progress=run.current_phase_progress,
        activity_log=run.activity_log,
        phases=run.phases,
        mode="v1_batch",
    )


def activity(known: Standing) -> list[Activity]:
    """Return all lines of the log, those of the portfolio's own run among them, the oldest first."""
    return sorted([*_set_up(known), *known.run_log], key=lambda line: line.timestamp)


def _set_up(known: Standing) -> list[Activity]:
    portfolio = known.portfolio
    lines = [
        Activity(
            portfolio.created_at, f"Portfolio {portfolio.name!r} stored: {known.n_positions} lots", "info"
        )
    ]
    for job in known.jobs:
        lines.append(Activity(job.created_at, f"{job.symbol} is new; its data will be fetched", "info"))
        if job.status == "completed" and job.completed_at:
            lines.append(Activity(job.completed_at, f"{job.symbol} has arrived", "info"))
        if job.status == "failed" and job.completed_at:
            text = f"{job.symbol} could not be fetched: {job.error}; it is left out"
            lines.append(Activity(job.completed_at, text, "warning"))
    if simple_status(known).status == "ready":
        lines.append(Activity(_finished(known), "Analytics are ready", "info"))
    return sorted(lines, key=lambda line: line.timestamp)


def _phase(known: Standing, phase: tuple[str, str, str], status: str, done: int) -> PhaseStatus:
    phase_id, name, unit = phase
    state: PhaseState = "completed"
    if phase_id in FETCHING and status in ("running", "failed"):
        state = "failed" if status == "failed" else "running" if phase_id == FETCHING[0] else "pending"
    total = {"symbols": known.n_symbols, "positions": known.n_positions, "dates": 1}[unit]
    current = total if state == "completed" else 0
    if phase_id == FETCHING[0] and state == "running":
        unit, current, total = "symbols", done, known.n_symbols
    return PhaseStatus(phase_id, name, state, current, total, unit, None if state != "completed" else 0.0)


def _finished(known: Standing) -> str:
    """Return when the last thing happened."""
    ends = [job.completed_at for job in known.jobs if job.completed_at]
    return max([known.portfolio.created_at, *ends])


def _seconds(start: str, end: str | None) -> int:
    until = clock.utc_now() if end is None else datetime.fromisoformat(end)
    return int((until - datetime.fromisoformat(start)).total_seconds())
