"""Does again what a run failed on, and nothing else."""

from typing import Any, get_args

from service.admin.history import JobType
from service.admin.starting import Jobs
from service.errors import ConflictError
from storage.ledger import Ledger
from storage.runs import Run

MOST_ITEMS = 10_000
SCOPES = {"symbol_batch": "symbols", "portfolio_refresh": "portfolio_ids"}


def retry_failed(jobs: Jobs, run_id: str, *, by: str) -> tuple[Run, list[str]]:
    """Start a run for the items that a run failed on, and return it with them.

    A run that has failed as a whole is done again as it was ordered; the items are none then.

    Raises
    ------
    NotFound
        There is no such run.
    ConflictError
        It is still running, or nothing has failed that no later run has mended.
    Locked
        The job is running already.
    """
    jobs.ledger.runs.fail_stale()
    run = jobs.ledger.runs.named(run_id)
    if run.status == "running":
        raise ConflictError(f"run {run_id} is still running; wait for it, or cancel it")
    job_type: JobType = next(each for each in get_args(JobType) if each == run.job_type)
    items = _failed_items(jobs.ledger, run)
    if items and run.job_type == "symbol_onboarding":
        jobs.ledger.symbol_queue.enqueue(items)
        return jobs.start(job_type, by=by), items
    if items and run.job_type in SCOPES:
        scope: dict[str, Any] = {SCOPES[run.job_type]: items}
        return jobs.start(job_type, by=by, session=run.session, scope=scope), items
    if run.status == "completed":
        raise ConflictError(f"run {run_id} has left nothing that failed")
    return jobs.start(job_type, by=by, session=run.session, scope=run.scope), []


def _failed_items(ledger: Ledger, run: Run) -> list[str]:
    """Return the symbols or portfolios that a run failed on and no later one has mended."""
    if run.job_type == "symbol_onboarding":
        names = list((run.summary or {}).get("failed", {}))
        jobs = ledger.symbol_queue.jobs(names)
        return [name for name in names if name not in jobs or jobs[name].status == "failed"]
    found = ledger.failures.newest(run_id=run.run_id, is_open=True, limit=MOST_ITEMS)
    return sorted({failure.item_id for failure in found})
