"""The page that shows how far a portfolio's set-up is, its log, and the way to try again."""

from typing import Any, Literal

import msgspec
from litestar import MediaType, Request, Response, get, post
from litestar.response import Redirect

from service.api.auth import Caller
from service.api.problems import ApiError
from service.api.resources import Resources
from service.onboarding import retry_symbols
from service.onboarding_log import duration_text, log_json, log_name, log_text
from service.onboarding_status import RichStatus, Standing, rich_status, standing
from service.pages.html import page
from service.pages.sending import answer
from service.pages.setup_states import TERMINAL, state_of
from storage.errors import NotFound
from storage.processes import timestamp

PATH = "/portfolios/{portfolio_id:str}/setup"


@get(PATH, sync_to_thread=True, include_in_schema=False)
def setup(
    request: Request[Any, Any, Any], resources: Resources, caller: Caller, portfolio_id: str
) -> Response[bytes]:
    """Show the whole page; one that is not there (yet) is asked for a while."""
    return _progress(request, resources, caller, portfolio_id, "setup.html")


@get(f"{PATH}/progress", sync_to_thread=True, include_in_schema=False)
def progress(
    request: Request[Any, Any, Any], resources: Resources, caller: Caller, portfolio_id: str
) -> Response[bytes]:
    """Return the parts of the page that change, for its script."""
    return _progress(request, resources, caller, portfolio_id, "progress.html")


@get(f"{PATH}/log", sync_to_thread=True, include_in_schema=False)
def log(
    request: Request[Any, Any, Any],
    resources: Resources,
    caller: Caller,
    portfolio_id: str,
    format: Literal["txt", "json"] = "txt",
) -> Response[bytes]:
    """Download the log."""
    known, now = _standing(resources, caller, portfolio_id), timestamp()
    headers = {"Content-Disposition": f'attachment; filename="{log_name(known, now, format)}"'}
    if format == "json":
        return answer(request, msgspec.json.encode(log_json(known, now)), MediaType.JSON, headers=headers)
    return answer(request, log_text(known, now).encode(), MediaType.TEXT, headers=headers)


@post(f"{PATH}/retry", status_code=303, sync_to_thread=True, include_in_schema=False)
def retry(resources: Resources, caller: Caller, portfolio_id: str) -> Response[Any]:
    """Queue again what could not be fetched."""
    portfolio = resources.ledger.portfolios.get(caller.owner, portfolio_id)
    if deferred := retry_symbols(resources.ledger, resources.live.market, portfolio):
        raise ApiError(503, "queue_full", f"the queue has no room for {', '.join(deferred)}; try again later")
    return Redirect(f"/portfolios/{portfolio_id}/setup", status_code=303)


def _standing(resources: Resources, caller: Caller, portfolio_id: str) -> Standing:
    portfolio = resources.ledger.portfolios.get(caller.owner, portfolio_id)
    return standing(resources.ledger, resources.settings, resources.live.market, portfolio)


def _progress(
    request: Request[Any, Any, Any],
    resources: Resources,
    caller: Caller,
    portfolio_id: str,
    template: str,
) -> Response[bytes]:
    try:
        known: Standing | None = _standing(resources, caller, portfolio_id)
    except NotFound:
        known = None
    status = rich_status(known) if known else _nothing(portfolio_id)
    market = resources.live.market
    return page(
        request,
        template,
        status=200 if known else 404,
        portfolio_id=portfolio_id,
        progress=status,
        state=state_of(status.status, known.portfolio.name if known else ""),
        terminal=status.status in TERMINAL,
        elapsed=duration_text(status.elapsed_seconds),
        pending=known.pending if known else (),
        failed=known.failed if known else (),
        price_date=market.session if market else None,
    )


def _nothing(portfolio_id: str) -> RichStatus:
    return RichStatus(portfolio_id, "not_found", None, 0, None, None, [], None)


HANDLERS = [setup, progress, log, retry]
