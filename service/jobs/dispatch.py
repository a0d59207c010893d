"""Does the job that a run of the ledger was started for: its kind and scope stand in its row."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from typing import Any, Protocol

import msgspec

from service.errors import UsageError
from service.jobs import orchestrator, portfolio_refresh, symbol_batch, symbol_onboarding
from service.jobs.progress import Progress
from service.jobs.tracker import Phases, Trigger, begin
from service.providers.sources import configured_sources
from service.settings import Settings
from storage.errors import NotFound
from storage.ledger import Ledger
from storage.runs import Run, Status
from storage.store import Store

PHASES: dict[str, Phases] = {
    module.JOB: module.PHASES for module in (symbol_batch, portfolio_refresh, symbol_onboarding, orchestrator)
}


class Ended(Protocol):
    """What every job answers."""

    run_id: str

    @property
    def status(self) -> Status:
        """How it ended."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""


def begun(
    ledger: Ledger,
    job_type: str,
    *,
    by: str,
    session: date | None = None,
    scope: Mapping[str, Any] | None = None,
) -> Run:
    """Begin a run that some process takes over; ``Locked`` while the job is running."""
    return begin(ledger, job_type, PHASES[job_type], session=session, triggered_by=by, scope=scope)


def run_job(store: Store, settings: Settings, progress: Progress, run: Run) -> Ended:
    """Take over a run that was begun for it, and do its job; one that cannot be taken over has failed."""
    try:
        return _done(store, settings, progress, run)
    except BaseException as error:
        with suppress(NotFound):  # the job itself has ended the run
            store.ledger.runs.finish(run.run_id, "failed", error=str(error) or repr(error))
        raise


def _done(store: Store, settings: Settings, progress: Progress, run: Run) -> Ended:
    scope, trigger = run.scope or {}, Trigger(run.triggered_by, run.run_id)
    ids = scope.get("portfolio_ids")
    sessions, force = _span(scope), bool(scope.get("force"))
    if run.job_type == symbol_batch.JOB:
        if not scope.get("backfill", True):
            settings = msgspec.structs.replace(settings, backfill_sessions=1)
        return symbol_batch.run_symbol_batch(
            store, settings, progress, session=run.session, symbols=scope.get("symbols"), trigger=trigger
        )
    if run.job_type == portfolio_refresh.JOB:
        return portfolio_refresh.refresh_portfolios(
            store, settings, progress, portfolio_ids=ids, sessions=sessions, force=force, trigger=trigger
        )
    if run.job_type == symbol_onboarding.JOB:
        sources = configured_sources(settings)
        return symbol_onboarding.process_symbols(store, settings, progress, sources, trigger=trigger)
    if run.job_type == orchestrator.JOB:
        return orchestrator.run_all_phases(
            store, settings, progress, portfolio_ids=ids, sessions=sessions, force=force, trigger=trigger
        )
    raise UsageError(f"run {run.run_id} is a {run.job_type}, and no job is of that kind")


def _span(scope: dict[str, Any]) -> tuple[date, date] | None:
    if "sessions" not in scope:
        return None
    first, last = map(date.fromisoformat, scope["sessions"])
    return first, last
