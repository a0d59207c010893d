"""The pieces of the operators' pages that change while a page is open, each rendered by itself."""

from collections.abc import Callable
from typing import Any, TypeAlias

from litestar import Request

from service.admin.current import NoRun, job_status
from service.admin.durations import usual_seconds
from service.admin.history import JobType, history, run_detail
from service.admin.operations import cache_status, data_freshness, failures, symbol_queue
from service.admin.providers import provider_status
from service.api.resources import Resources
from service.pages.html import fragment
from service.run_status import RunStatus, run_status

Asked: TypeAlias = Request[Any, Any, Any]
Parts: TypeAlias = dict[str, str]
JOBS: dict[JobType, str] = {
    "symbol_batch": "Symbol batch",
    "portfolio_refresh": "Portfolio refresh",
    "legacy_batch": "All nine phases",
    "symbol_onboarding": "Symbol onboarding",
}
SHOWN_RUNS, SHOWN_FAILURES, DAYS = 30, 50, 90


def quick_parts(request: Asked, resources: Resources) -> Parts:
    """Render how each job stands, and what may be done about it."""
    shown: Parts = {}
    for job_type in JOBS:
        run = job_status(resources.ledger, job_type)
        job, actions = _job(request, resources, run, on_run_page=False)
        shown |= {f"job-{job_type}": job, f"actions-{job_type}": actions}
    return shown


def slow_parts(request: Asked, resources: Resources) -> Parts:
    """Render what changes when a run ends: cards, history and failures."""
    ledger, settings = resources.ledger, resources.settings
    fresh = data_freshness(resources.store, settings)
    return {
        "cards": fragment(
            request,
            "admin_cards.html",
            fresh=fresh,
            book=cache_status(resources.live),
            queue=symbol_queue(ledger),
        ),
        "history": fragment(
            request,
            "admin_history.html",
            found=history(ledger, days=DAYS, limit=SHOWN_RUNS),
            usual=usual_seconds(ledger),
            titles=JOBS,
        ),
        "providers": fragment(request, "admin_providers.html", rows=provider_status(ledger, settings)),
        "failures": fragment(
            request,
            "admin_failures.html",
            rows=failures(ledger, is_open=True, limit=SHOWN_FAILURES),
            titles=JOBS,
            next_batch=fresh.next_expected_update,
        ),
    }


def run_parts(run_id: str) -> Callable[[Asked, Resources], Parts]:
    """Return what renders one run: how it stands, what may be done, the end of its log, what it failed on."""

    def parts(request: Asked, resources: Resources) -> Parts:
        ledger = resources.ledger
        ledger.runs.fail_stale()
        run = run_status(ledger, ledger.runs.named(run_id))
        job, actions = _job(request, resources, run, on_run_page=True)
        detail = run_detail(ledger, run_id)
        found = failures(ledger, run_id=run_id, limit=SHOWN_FAILURES)
        batch = data_freshness(resources.store, resources.settings).next_expected_update if found else ""
        return {
            "run": job,
            "actions": actions,
            "facts": fragment(
                request, "admin_facts.html", detail=detail, usual=usual_seconds(ledger).get(run_id)
            ),
            "log": fragment(request, "admin_log.html", lines=run.activity_log),
            "failures": fragment(request, "admin_failures.html", rows=found, titles=JOBS, next_batch=batch),
        }

    return parts


def _job(
    request: Asked, resources: Resources, run: RunStatus | NoRun, *, on_run_page: bool
) -> tuple[str, str]:
    """Render a run, and the ways to end it or to do it again."""
    over = isinstance(run, RunStatus) and run.status != "running"
    values = {
        "run": run,
        "title": next(title for name, title in JOBS.items() if name == run.job_type),
        "on_run_page": on_run_page,
        "has_failures": over and failures(resources.ledger, run_id=run.batch_run_id, is_open=True, limit=1),
    }
    return fragment(request, "admin_job.html", **values), fragment(request, "admin_actions.html", **values)
