"""The page that takes a portfolio in: a form and a CSV, and everything that is wrong with them."""

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from litestar import Request, Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.datastructures import UploadFile
from litestar.response import Redirect

from service.api.auth import Caller
from service.api.onboarding import MAX_BODY, stored
from service.api.resources import Resources
from service.csv_import.errors import MENDING, RowError
from service.csv_import.template import csv_template
from service.onboarding import (
    ACCOUNT_TYPES,
    MAX_ACCOUNT_NAME,
    MAX_DESCRIPTION,
    MAX_NAME,
    Form,
    OnboardingRefused,
)
from service.pages.html import page
from service.pages.sending import answer

SHOWN_ERRORS = 500
FIELDS = {
    "ERR_PORT_009": "account_type",
    "ERR_PORT_011": "account_name",
    "ERR_PORT_010": "account_name",
    "ERR_PORT_001": "account_name",
    "ERR_PORT_002": "portfolio_name",
    "ERR_PORT_003": "portfolio_name",
    "ERR_PORT_004": "equity_balance",
    "ERR_PORT_005": "equity_balance",
    "ERR_PORT_006": "equity_balance",
    "ERR_PORT_007": "csv_file",
    "ERR_PORT_008": "csv_file",
}
EMPTY = {
    "portfolio_name": "",
    "account_name": "",
    "account_type": "taxable",
    "equity_balance": "",
    "description": "",
    "format": "template",
    "as_of": "",
}
LIMITS = {"portfolio_name": MAX_NAME, "account_name": MAX_ACCOUNT_NAME, "description": MAX_DESCRIPTION}


class Wrong(NamedTuple):
    """What is wrong with a form: a sentence for each field to blame, the code, and the errors of the file."""

    faults: dict[str, str]
    code: str = ""
    rows: Sequence[RowError] = ()


@get("/onboarding", sync_to_thread=False, opt={"scope": "write"}, include_in_schema=False)
def empty_form(request: Request[Any, Any, Any], resources: Resources) -> Response[bytes]:
    """Show the form."""
    return _form(request, resources, EMPTY, Wrong({}))


@post("/onboarding", status_code=303, request_max_body_size=MAX_BODY, include_in_schema=False)
async def upload(request: Request[Any, Any, Any], resources: Resources, caller: Caller) -> Response[Any]:
    """Store the portfolio and lead to its set-up, or show the form again with what is wrong."""
    sent = await request.form()
    fields = {name: str(sent.get(name, default)) for name, default in EMPTY.items()}
    file = sent.get("csv_file")
    chosen = file if isinstance(file, UploadFile) and file.filename else None
    if faults := _faults(fields):
        return _form(request, resources, fields, Wrong(faults))
    form = Form(
        portfolio_name=fields["portfolio_name"],
        account_name=fields["account_name"],
        account_type=fields["account_type"],
        equity_balance=fields["equity_balance"].translate(str.maketrans("", "", "$, ")),
        description=fields["description"] or None,
        csv=await chosen.read() if chosen else None,
        filename=chosen.filename if chosen else "",
        layout="auto" if fields["format"] == "auto" else "template",
        as_of=date.fromisoformat(fields["as_of"]) if fields["as_of"] else None,
    )
    try:
        made = await sync_to_thread(stored, resources, caller, form)
    except OnboardingRefused as refused:
        return _form(request, resources, fields, _refused(refused))
    return Redirect(f"/portfolios/{made.portfolio.portfolio_id}/setup", status_code=303)


@get("/onboarding/portfolio_template.csv", sync_to_thread=False, include_in_schema=False)
def template(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Download the CSV template."""
    headers = {"Content-Disposition": 'attachment; filename="portfolio_template.csv"'}
    return answer(request, csv_template().encode(), "text/csv", headers=headers)


def _faults(fields: dict[str, str]) -> dict[str, str]:
    """Return what is wrong with the fields that the set-up itself does not check."""
    faults = {}
    if len(fields["description"]) > MAX_DESCRIPTION:
        faults["description"] = f"The description must have at most {MAX_DESCRIPTION} characters"
    try:
        date.fromisoformat(fields["as_of"] or "2000-01-01")
    except ValueError:
        faults["as_of"] = "Write year, month and day: 2024-01-05"
    return faults


def _refused(refused: OnboardingRefused) -> Wrong:
    rows = refused.csv.errors if refused.csv else ()
    return Wrong({FIELDS[refused.reason]: refused.message}, refused.reason, rows)


def _form(
    request: Request[Any, Any, Any], resources: Resources, fields: dict[str, str], wrong: Wrong
) -> Response[bytes]:
    market, rows = resources.live.market, wrong.rows
    taken = wrong.code == "ERR_PORT_001"
    return page(
        request,
        "onboarding.html",
        status=409 if taken else 400 if wrong.faults else 200,
        fields=fields,
        faults=wrong.faults,
        code=wrong.code,
        rows=rows[:SHOWN_ERRORS],
        n_errors=len(rows),
        n_rows=len({each.row for each in rows if each.row is not None}),
        mending=MENDING,
        account_types=ACCOUNT_TYPES,
        limits=LIMITS,
        price_date=market.session if market else None,
        docs=resources.settings.docs_url,
    )


HANDLERS = [empty_form, upload, template]
