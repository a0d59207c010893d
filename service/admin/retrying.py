"""Does again what a run failed on, and nothing else."""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple, get_args

from service.admin.history import JobType
from service.admin.starting import Jobs
from service.errors import ConflictError
from storage.ledger import Ledger
from storage.runs import Run

MOST_ITEMS = 10_000
SCOPES = {"symbol_batch": "symbols", "portfolio_refresh": "portfolio_ids"}


class Order(NamedTuple):
    """What is to be done again; without items it is the whole run as it was ordered."""

    job_type: JobType
    session: date | None
    scope: Mapping[str, Any] | None
    items: list[str]


def retry_failed(jobs: Jobs, run_id: str, *, by: str) -> tuple[Run, list[str]]:
    """Start a run for what a run failed on, and return it with the items.

    Raises
    ------
    NotFound
        There is no such run.
    ConflictError
        It is still running, or nothing has failed that no later run has mended.
    Locked
        The job is running already.
    """
    order = retry_of(jobs.ledger, run_id)
    return jobs.start(order.job_type, by=by, session=order.session, scope=order.scope), order.items


def retry_of(ledger: Ledger, run_id: str) -> Order:
    """Return what is to be done again; errors are those of ``retry_failed``."""
    ledger.runs.fail_stale()
    run = ledger.runs.named(run_id)
    if run.status == "running":
        raise ConflictError(f"run {run_id} is still running; wait for it, or cancel it")
    job_type: JobType = next(each for each in get_args(JobType) if each == run.job_type)
    items = _failed_items(ledger, run)
    if items and run.job_type == "symbol_onboarding":
        ledger.symbol_queue.enqueue(items)
        return Order(job_type, None, None, items)
    if items and run.job_type in SCOPES:
        return Order(job_type, run.session, {SCOPES[run.job_type]: items}, items)
    if run.status == "completed":
        raise ConflictError(f"run {run_id} has left nothing that failed")
    return Order(job_type, run.session, run.scope, [])


def _failed_items(ledger: Ledger, run: Run) -> list[str]:
    """Return the symbols or portfolios that a run failed on and no later one has mended."""
    if run.job_type == "symbol_onboarding":
        names = list((run.summary or {}).get("failed", {}))
        jobs = ledger.symbol_queue.jobs(names)
        return [name for name in names if name not in jobs or jobs[name].status == "failed"]
    found = ledger.failures.newest(run_id=run.run_id, is_open=True, limit=MOST_ITEMS)
    return sorted({failure.item_id for failure in found})
