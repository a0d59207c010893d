"""How far a portfolio is: the rich status and the simple one, both from what the ledger holds.

Nothing long runs for a portfolio of known symbols. Its nine phases are shown as what they are: done, or not
needed, or, for symbols that are still to be fetched, under way.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from service import clock
from service.live_book import Market
from service.onboarding import SECONDS_A_SYMBOL, unknown_symbols
from storage.ledger import Ledger
from storage.portfolios import Portfolio
from storage.symbol_queue import Job

Level: TypeAlias = Literal["info", "warning", "error"]
PhaseState: TypeAlias = Literal["pending", "running", "completed", "failed"]
SHOWN_ACTIVITIES = 50
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


class OverallProgress(msgspec.Struct):
    """How far the whole is; ``percent_complete`` stays below 100 until the end."""

    current_phase: str | None
    current_phase_name: str | None
    phases_completed: int
    phases_total: int
    percent_complete: int


class PhaseCount(msgspec.Struct):
    """Units done of the phase under way."""

    current: int
    total: int
    unit: str


class Activity(msgspec.Struct):
    """A line of the log."""

    timestamp: str
    message: str
    level: Level


class PhaseStatus(msgspec.Struct):
    """One of the nine phases."""

    phase_id: str
    phase_name: str
    status: PhaseState
    current: int
    total: int
    unit: str
    duration_seconds: float | None


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
    n_symbols: int
    n_positions: int
    pending: tuple[str, ...]
    failed: tuple[str, ...]
    jobs: tuple[Job, ...]
    has_book: bool


def standing(ledger: Ledger, market: Market | None, portfolio: Portfolio) -> Standing:
    """Look up where the symbols of a portfolio stand."""
    lots = [position.lot for position in ledger.positions.of(portfolio.portfolio_id)]
    everything = unknown_symbols(None, lots)
    unknown = unknown_symbols(market, lots)
    jobs = ledger.symbol_queue.jobs(everything)
    failed = tuple(symbol for symbol in unknown if symbol in jobs and jobs[symbol].status == "failed")
    return Standing(
        portfolio=portfolio,
        n_symbols=len(everything),
        n_positions=len(lots),
        pending=tuple(symbol for symbol in unknown if symbol not in failed),
        failed=failed,
        jobs=tuple(jobs[symbol] for symbol in everything if symbol in jobs),
        has_book=market is not None,
    )


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
    """Return the phases: those that fetch symbols run while some are pending."""
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
        activity_log=activity(known)[-SHOWN_ACTIVITIES:],
        phases=phases,
    )


def activity(known: Standing) -> list[Activity]:
    """Return all lines of the log, the oldest first."""
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
