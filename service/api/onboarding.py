"""Routes that take a portfolio in and say how far it is."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import MediaType, Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.exceptions import ValidationException
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation
from litestar.params import Body

from service.api.auth import Caller
from service.api.problems import OnboardingError, envelopes
from service.api.resources import Resources
from service.csv_import.reading import MAX_BYTES
from service.csv_import.template import csv_template
from service.onboarding import MAX_DESCRIPTION, Created, Form, OnboardingRefused, create_portfolio
from service.onboarding_log import log_json, log_name, log_text
from service.onboarding_status import (
    RichStatus,
    SimpleStatus,
    Standing,
    get_onboarding_status,
    simple_status,
    standing,
)
from storage.errors import NotFound
from storage.portfolios import Portfolio
from storage.processes import timestamp

# The form's other fields and the multipart frame around the file.
MAX_BODY = MAX_BYTES + 64 * 1024


class PortfolioForm(msgspec.Struct, kw_only=True):
    """The multipart form. Text fields are checked one after the other, and the first fault is answered."""

    portfolio_name: str = ""
    account_name: str = ""
    account_type: str = ""
    equity_balance: str = ""
    description: str | None = None
    csv_file: UploadFile | None = None
    format: Literal["template", "auto"] = "template"
    as_of: date | None = None


class NextStep(msgspec.Struct):
    """What a client does next."""

    action: str
    endpoint: str
    description: str


class CreatedPortfolio(msgspec.Struct):
    """A stored portfolio; ``pending_symbols`` are new, and join its analytics when they arrive.

    ``warnings`` tell what was stored and yet looks wrong.
    """

    portfolio_id: str
    portfolio_name: str
    account_name: str
    account_type: str
    equity_balance: float
    positions_imported: int
    positions_failed: int
    total_positions: int
    message: str
    next_step: NextStep
    status: Literal["ready", "pending"]
    pending_symbols: list[str]
    snapshot_date: date | None
    price_date: date | None
    warnings: list[str]


@post(
    "/onboarding/create-portfolio",
    request_max_body_size=MAX_BODY,
    tags=["onboarding"],
    responses=envelopes(400, 409),
)
async def create(
    resources: Resources,
    caller: Caller,
    data: Annotated[PortfolioForm, Body(media_type=RequestEncodingType.MULTI_PART)],
) -> CreatedPortfolio:
    """Check a form and its CSV, and store the portfolio, all or nothing."""
    file = data.csv_file
    if data.description and (len(data.description) > MAX_DESCRIPTION or "\0" in data.description):
        raise ValidationException(f"description must have at most {MAX_DESCRIPTION} characters, and no NUL")
    form = Form(
        portfolio_name=data.portfolio_name,
        account_name=data.account_name,
        account_type=data.account_type,
        equity_balance=data.equity_balance,
        description=data.description,
        csv=await file.read() if file else None,
        filename=file.filename if file else "",
        layout=data.format,
        as_of=data.as_of,
    )
    return await sync_to_thread(_created, resources, caller, form)


def _created(resources: Resources, caller: Caller, form: Form) -> CreatedPortfolio:
    try:
        made = stored(resources, caller, form)
    except OnboardingRefused as refused:
        raise _envelope(refused) from refused
    return _answer(made)


def stored(resources: Resources, caller: Caller, form: Form) -> Created:
    """Store a portfolio, whose first snapshot is taken in a while; ``OnboardingRefused`` names its fault."""
    market = resources.market()
    made = create_portfolio(resources.ledger, resources.settings, market, owner=caller.owner, form=form)
    resources.snapshots.expect(made.portfolio.portfolio_id)
    return made


def _answer(made: Created) -> CreatedPortfolio:
    portfolio, n_lots = made.portfolio, len(made.lots)
    waiting = f"; waiting for data of {', '.join(made.unknown)}" if made.unknown else ""
    return CreatedPortfolio(
        portfolio_id=portfolio.portfolio_id,
        portfolio_name=portfolio.name,
        account_name=portfolio.account_name,
        account_type=portfolio.account_type,
        equity_balance=float(portfolio.starting_equity or 0),
        positions_imported=n_lots,
        positions_failed=0,
        total_positions=n_lots,
        message=f"Portfolio created with {n_lots} positions{waiting}",
        next_step=NextStep(
            action="calculate",
            endpoint=f"/api/v1/portfolios/{portfolio.portfolio_id}/calculate",
            description="Brings its stored history up to date; its analytics are there already",
        ),
        status="pending" if made.unknown else "ready",
        pending_symbols=list(made.unknown),
        snapshot_date=portfolio.starting_session,
        price_date=portfolio.starting_session,
        warnings=[
            f"{lot.symbol} has an exit price and no exit date; it counts as open"
            for lot in made.lots
            if lot.exit_price is not None and lot.exit_date is None
        ],
    )


def _envelope(refused: OnboardingRefused) -> OnboardingError:
    status = 409 if refused.reason == "ERR_PORT_001" else 400
    if refused.csv is None:
        return OnboardingError(status, refused.reason, refused.message)
    errors = [msgspec.to_builtins(error) for error in refused.csv.errors]
    found = {"errors": errors, "total_errors": len(errors)}
    nested = {
        "code": "ERR_CSV_VALIDATION",
        "message": f"CSV validation failed with {len(errors)} error(s)",
        "details": found,
    }
    return OnboardingError(status, refused.reason, refused.message, {"error": nested, **found})


@get(
    "/onboarding/status/{portfolio_id:str}",
    sync_to_thread=True,
    tags=["onboarding"],
    responses=envelopes(400, 404),
)
def status(
    resources: Resources, caller: Caller, portfolio_id: str, view: Literal["v1", "v2"] | None = None
) -> RichStatus | SimpleStatus:
    """Say how far a portfolio is: phase by phase (v1), or whether its analytics are there (v2)."""
    if (view or resources.settings.status_view) == "v2":
        return simple_status(_standing(resources, caller, portfolio_id))
    portfolio = _portfolio(resources, caller, portfolio_id)
    return get_onboarding_status(resources.ledger, resources.settings, resources.live.market, portfolio)


@get(
    "/onboarding/status/{portfolio_id:str}",
    sync_to_thread=True,
    tags=["onboarding"],
    responses=envelopes(400, 404),
)
def simple(resources: Resources, caller: Caller, portfolio_id: str) -> SimpleStatus:
    """Say whether a portfolio's analytics are there."""
    return simple_status(_standing(resources, caller, portfolio_id))


@dataclass
class LogOperation(Operation):
    """Documents that the log is text or JSON."""

    def __post_init__(self) -> None:
        """Add the second type of the answer."""
        answer = (self.responses or {}).get("200")
        if isinstance(answer, OpenAPIResponse):
            answer.content = {"text/plain": OpenAPIMediaType(), "application/json": OpenAPIMediaType()}


@get(
    "/onboarding/status/{portfolio_id:str}/logs",
    sync_to_thread=True,
    tags=["onboarding"],
    responses=envelopes(400, 404),
    operation_class=LogOperation,
)
def logs(
    resources: Resources, caller: Caller, portfolio_id: str, format: Literal["txt", "json"] = "txt"
) -> Response[Any]:
    """Download the log of a portfolio's set-up."""
    known, now = _standing(resources, caller, portfolio_id), timestamp()
    headers = {"Content-Disposition": f'attachment; filename="{log_name(known, now, format)}"'}
    if format == "json":
        return Response(log_json(known, now), headers=headers)
    return Response(log_text(known, now), media_type=MediaType.TEXT, headers=headers)


@get(
    "/onboarding/csv-template",
    sync_to_thread=False,
    media_type="text/csv",
    tags=["onboarding"],
    opt={"public": True},
)
def template() -> Response[str]:
    """Download the CSV template."""
    headers = {
        "Content-Disposition": 'attachment; filename="portfolio_template.csv"',
        "Cache-Control": "max-age=3600",
    }
    return Response(csv_template(), media_type="text/csv", headers=headers)


def _standing(resources: Resources, caller: Caller, portfolio_id: str) -> Standing:
    portfolio = _portfolio(resources, caller, portfolio_id)
    return standing(resources.ledger, resources.settings, resources.live.market, portfolio)


def _portfolio(resources: Resources, caller: Caller, portfolio_id: str) -> Portfolio:
    try:
        UUID(portfolio_id)
    except ValueError as error:
        raise OnboardingError(400, "invalid_portfolio_id", "the portfolio id must be a UUID") from error
    try:
        return resources.ledger.portfolios.get(caller.owner, portfolio_id.lower())
    except NotFound as error:
        raise OnboardingError(404, "portfolio_not_found", f"there is no portfolio {portfolio_id}") from error


HANDLERS = [create, status, logs, template]
