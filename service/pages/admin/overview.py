"""The operators' first page: how fresh, what runs, what ran, what failed; and the way to start a run."""

from collections.abc import Callable
from datetime import date
from typing import Any

from litestar import Request, Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.exceptions import NotFoundException
from litestar.response import Redirect

from service.admin.history import JobType
from service.admin.orders import portfolio_scope, snapshot_span, target_session
from service.api.auth import Caller
from service.api.problems import status_of
from service.api.resources import Resources
from service.errors import RidgelineError, UsageError
from service.pages.admin.parts import JOBS, quick_parts, slow_parts
from service.pages.html import page
from storage.errors import StorageError
from storage.runs import Run

ADMIN: dict[str, Any] = {"scope": "admin"}
PATIENT = {**ADMIN, "seconds": 60.0}  # a start by force waits for the run in its way


@get("/admin", sync_to_thread=True, opt=ADMIN, include_in_schema=False)
def overview(request: Request[Any, Any, Any], resources: Resources) -> Response[bytes]:
    """Show everything at a glance."""
    return _shown(request, resources)


@post("/admin/jobs/{job_type:str}/run", status_code=303, opt=PATIENT, include_in_schema=False)
async def start(
    request: Request[Any, Any, Any], resources: Resources, caller: Caller, job_type: str
) -> Response[Any]:
    """Start a run as the form says, and lead to it."""
    form = {name: str(value).strip() for name, value in (await request.form()).items()}
    return await sync_to_thread(_start, request, resources, caller, _job(job_type), form)


def _start(
    request: Request[Any, Any, Any],
    resources: Resources,
    caller: Caller,
    job_type: JobType,
    form: dict[str, str],
) -> Response[Any]:
    try:
        run = ORDERS[job_type](resources, caller, job_type, form)
    except (StorageError, RidgelineError) as error:
        return _shown(request, resources, status=status_of(error)[0], error=str(error))
    return Redirect(f"/admin/runs/{run.run_id}", status_code=303)


def _symbols(resources: Resources, caller: Caller, job_type: JobType, form: dict[str, str]) -> Run:
    session = target_session(resources.settings, _day(form.get("session", "")))
    return resources.jobs.start(job_type, by=caller.owner, session=session, force="force" in form)


def _portfolios(resources: Resources, caller: Caller, job_type: JobType, form: dict[str, str]) -> Run:
    chosen = [form["portfolio_id"]] if form.get("portfolio_id") else []
    days = _day(form.get("start_date", "")), _day(form.get("end_date", ""))
    again = any(days)
    span = snapshot_span(resources.ledger, resources.settings, chosen, days, force=again)
    scope = portfolio_scope(chosen, span, force=again)
    return resources.jobs.start(job_type, by=caller.owner, scope=scope, force="force" in form)


def _queue(resources: Resources, caller: Caller, job_type: JobType, form: dict[str, str]) -> Run:
    return resources.jobs.start(job_type, by=caller.owner, force="force" in form)


ORDERS: dict[JobType, Callable[[Resources, Caller, JobType, dict[str, str]], Run]] = {
    "symbol_batch": _symbols,
    "portfolio_refresh": _portfolios,
    "legacy_batch": _portfolios,
    "symbol_onboarding": _queue,
}


def _shown(
    request: Request[Any, Any, Any], resources: Resources, *, status: int = 200, error: str = ""
) -> Response[bytes]:
    parts = quick_parts(request, resources) | slow_parts(request, resources)
    return page(
        request,
        "admin.html",
        status=status,
        error=error,
        parts=parts,
        portfolios=resources.ledger.portfolios.everyones(),
        titles=JOBS,
    )


def _job(name: str) -> JobType:
    for job_type in ORDERS:
        if job_type == name:
            return job_type
    raise NotFoundException(f"no job {name} can be started")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise UsageError(f"{text} is no day; write it as 2024-06-28") from error


HANDLERS = [overview, start]
