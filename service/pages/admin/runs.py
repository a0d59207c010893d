"""One run: its phases and the end of its log, what it failed on, and what may be done about it."""

from typing import Any, Literal

import msgspec
from litestar import MediaType, Request, Response, get, post
from litestar.response import Redirect

from service.admin.retrying import retry_failed
from service.admin.run_log import log_file, log_text
from service.api.auth import Caller
from service.api.problems import status_of
from service.api.resources import Resources
from service.errors import RidgelineError
from service.pages.admin.overview import ADMIN
from service.pages.admin.parts import JOBS, run_parts
from service.pages.html import page
from service.pages.sending import answer
from storage.errors import NotFound, StorageError

PATH = "/admin/runs/{run_id:str}"


@get(PATH, sync_to_thread=True, opt=ADMIN, include_in_schema=False)
def run(request: Request[Any, Any, Any], resources: Resources, run_id: str) -> Response[bytes]:
    """Show a run."""
    return _shown(request, resources, run_id)


@get(f"{PATH}/log", sync_to_thread=True, opt=ADMIN, include_in_schema=False)
def log(
    request: Request[Any, Any, Any], resources: Resources, run_id: str, format: Literal["txt", "json"] = "txt"
) -> Response[bytes]:
    """Download a run's whole log."""
    headers = {"Content-Disposition": f'attachment; filename="{run_id}_log.{format}"'}
    if format == "json":
        body = msgspec.json.encode(log_file(resources.ledger, run_id))
        return answer(request, body, MediaType.JSON, headers=headers)
    return answer(request, log_text(resources.ledger, run_id).encode(), MediaType.TEXT, headers=headers)


@post(f"{PATH}/cancel", status_code=303, sync_to_thread=True, opt=ADMIN, include_in_schema=False)
def cancel(
    request: Request[Any, Any, Any], resources: Resources, caller: Caller, run_id: str
) -> Response[Any]:
    """Ask a run to end."""
    try:
        resources.jobs.cancel(run_id, by=caller.owner)
    except NotFound:
        raise
    except (StorageError, RidgelineError) as error:
        return _shown(request, resources, run_id, status=status_of(error)[0], error=str(error))
    return Redirect(f"/admin/runs/{run_id}", status_code=303)


@post(f"{PATH}/retry", status_code=303, sync_to_thread=True, opt=ADMIN, include_in_schema=False)
def retry(
    request: Request[Any, Any, Any], resources: Resources, caller: Caller, run_id: str
) -> Response[Any]:
    """Do again what a run failed on, in a run that this leads to."""
    try:
        begun, _ = retry_failed(resources.jobs, run_id, by=caller.owner)
    except NotFound:
        raise
    except (StorageError, RidgelineError) as error:
        return _shown(request, resources, run_id, status=status_of(error)[0], error=str(error))
    return Redirect(f"/admin/runs/{begun.run_id}", status_code=303)


def _shown(
    request: Request[Any, Any, Any],
    resources: Resources,
    run_id: str,
    *,
    status: int = 200,
    error: str = "",
) -> Response[bytes]:
    found = resources.ledger.runs.named(run_id)
    return page(
        request,
        "admin_run.html",
        status=status,
        error=error,
        is_running=found.status == "running",
        parts=run_parts(run_id)(request, resources),
        run_id=run_id,
        title=next(title for name, title in JOBS.items() if name == found.job_type),
    )


HANDLERS = [run, log, cancel, retry]
