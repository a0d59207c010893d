"""The page that shows how far a portfolio's set-up is, its log, and the way to try again."""

from typing import Any, Literal

import msgspec
from litestar import MediaType, Response, get, post
from litestar.response import Redirect

from service.admin.retrying import retry_failed
from service.api.analytics.asked import Asked
from service.api.problems import ApiError
from service.onboarding import retry_symbols
from service.onboarding_log import duration_text, log_json, log_name, log_text
from service.onboarding_status import RichStatus, Standing, rich_status, standing
from service.pages.html import page
from service.pages.sending import answer
from service.pages.setup_states import TERMINAL, state_of
from storage.errors import Locked, NotFound
from storage.portfolios import Portfolio
from storage.processes import timestamp

PATH = "/portfolios/{portfolio_id:str}/setup"


@get(PATH, sync_to_thread=True, include_in_schema=False)
def setup(asked: Asked) -> Response[bytes]:
    """Show the whole page; one that is not there (yet) is asked for a while."""
    return _progress(asked, "setup.html")


@get(f"{PATH}/progress", sync_to_thread=True, include_in_schema=False)
def progress(asked: Asked) -> Response[bytes]:
    """Return the parts of the page that change, for its script."""
    return _progress(asked, "progress.html")


@get(f"{PATH}/log", sync_to_thread=True, include_in_schema=False)
def log(asked: Asked, format: Literal["txt", "json"] = "txt") -> Response[bytes]:
    """Download the log."""
    known, now = _standing(asked), timestamp()
    headers = {"Content-Disposition": f'attachment; filename="{log_name(known, now, format)}"'}
    if format == "json":
        body = msgspec.json.encode(log_json(known, now))
        return answer(asked.request, body, MediaType.JSON, headers=headers)
    return answer(asked.request, log_text(known, now).encode(), MediaType.TEXT, headers=headers)


@post(f"{PATH}/retry", status_code=303, sync_to_thread=True, include_in_schema=False)
def retry(asked: Asked) -> Response[Any]:
    """Do the portfolio's own run again if it has failed, else queue again what could not be fetched."""
    known, resources = _standing(asked), asked.resources
    if known.run is not None and known.run.status == "failed":
        try:
            retry_failed(resources.jobs, known.run.batch_run_id, by=asked.caller.owner)
        except Locked as locked:
            raise ApiError(409, "ERR_BATCH_001", str(locked)) from locked
    elif deferred := retry_symbols(resources.ledger, resources.live.market, known.portfolio):
        raise ApiError(503, "queue_full", f"the queue has no room for {', '.join(deferred)}; try again later")
    return Redirect(f"/portfolios/{asked.portfolio_id}/setup", status_code=303)


def _entered(asked: Asked) -> Portfolio:
    return asked.resources.ledger.portfolios.get(asked.caller.owner, asked.portfolio_id)


def _standing(asked: Asked) -> Standing:
    resources = asked.resources
    return standing(resources.ledger, resources.settings, resources.live.market, _entered(asked))


def _progress(asked: Asked, template: str) -> Response[bytes]:
    try:
        known: Standing | None = _standing(asked)
    except NotFound:
        known = None
    status = rich_status(known) if known else _nothing(asked.portfolio_id)
    market = asked.resources.live.market
    return page(
        asked.request,
        template,
        status=200 if known else 404,
        portfolio_id=asked.portfolio_id,
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
