"""Routes of the money that an owner puts into an account and takes out of it."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from io import StringIO
from math import ceil
from typing import Annotated, Any

from litestar import Response, delete, get, post, put
from litestar.params import Parameter
from msgspec import UNSET
from msgspec.structs import asdict

from service import clock
from service.api.auth import Caller
from service.api.equity_records import (
    EquityChangeDraft,
    EquityChangeEdit,
    EquityChangeItem,
    EquityChangePage,
    EquitySummary,
    Flows,
)
from service.api.problems import ApiError, invalid
from service.api.resources import Resources
from service.onboarding import MAX_EQUITY
from storage.equity_changes import EquityChange
from storage.errors import NotFound
from storage.portfolios import Portfolio

PATH = "/portfolios/{portfolio_id:str}/equity-changes"
TAGS = ["equity changes"]
EDITABLE, DELETABLE = timedelta(days=7), timedelta(days=30)
PERIODS = {"30d": 30, "90d": 90}
COLUMNS = ("id", "change_type", "amount", "change_date", "notes", "created_at", "updated_at")
MESSAGES = {
    "EQUITY_001": "the amount must be above zero",
    "EQUITY_002": "the date lies in the future",
    "EQUITY_003": "the withdrawal is larger than the account's equity",
    "EQUITY_004": "there is no such portfolio",
    "EQUITY_006": "a change can be edited for seven days after its entry",
    "EQUITY_007": "a change can be deleted for thirty days after its entry",
    "EQUITY_008": "there is no such equity change",
    "EQUITY_009": "this equity change is deleted",
    "EQUITY_010": "the format must be csv",
}


@get(PATH, sync_to_thread=True, tags=TAGS)
def listed(
    resources: Resources,
    caller: Caller,
    portfolio_id: str,
    page: Annotated[int, Parameter(ge=1)] = 1,
    page_size: Annotated[int, Parameter(ge=1, le=100)] = 25,
) -> EquityChangePage:
    """Return a page of a portfolio's equity changes, the newest date first."""
    _portfolio(resources, caller, portfolio_id)
    changes = resources.ledger.equity_changes.of(portfolio_id)
    chosen = changes[(page - 1) * page_size : page * page_size]
    n_pages = ceil(len(changes) / page_size)
    return EquityChangePage([_item(each) for each in chosen], page, page_size, len(changes), n_pages)


@post(PATH, status_code=201, sync_to_thread=True, tags=TAGS)
def create(
    resources: Resources, caller: Caller, portfolio_id: str, data: EquityChangeDraft
) -> EquityChangeItem:
    """Enter a contribution or a withdrawal."""
    portfolio = _portfolio(resources, caller, portfolio_id)
    draft = EquityChange(**asdict(data), created_by=caller.owner)
    _check(resources, portfolio, draft)
    return _item(resources.ledger.equity_changes.add(portfolio_id, draft))


@get(f"{PATH}/summary", sync_to_thread=True, tags=TAGS)
def summary(resources: Resources, caller: Caller, portfolio_id: str) -> EquitySummary:
    """Return what was put in and taken out, ever and in the last 30 and 90 days."""
    _portfolio(resources, caller, portfolio_id)
    changes = resources.ledger.equity_changes.of(portfolio_id)
    today, ever = clock.now(resources.settings).date(), _flows(changes)
    recent = {
        name: _flows([each for each in changes if each.change_date > today - timedelta(days=n_days)])
        for name, n_days in PERIODS.items()
    }
    last = _item(changes[0]) if changes else None
    return EquitySummary(portfolio_id, ever.contributions, ever.withdrawals, ever.net_flow, last, recent)


@get(f"{PATH}/export", sync_to_thread=True, media_type="text/csv", tags=TAGS)
def export(resources: Resources, caller: Caller, portfolio_id: str, format: str = "csv") -> Response[str]:
    """Download a portfolio's equity changes as CSV."""
    _portfolio(resources, caller, portfolio_id)
    if format != "csv":
        raise _refused("EQUITY_010")
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for change in resources.ledger.equity_changes.of(portfolio_id):
        row = asdict(_item(change))
        writer.writerow([str(change.amount) if name == "amount" else row[name] for name in COLUMNS])
    name = f"equity_changes_{portfolio_id[:8]}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text.getvalue(), media_type="text/csv", headers=headers)


@get(f"{PATH}/{{change_id:str}}", sync_to_thread=True, tags=TAGS)
def found(resources: Resources, caller: Caller, portfolio_id: str, change_id: str) -> EquityChangeItem:
    """Return one equity change that is not deleted."""
    _portfolio(resources, caller, portfolio_id)
    change = _existing(resources, portfolio_id, change_id)
    if change.deleted_at:
        raise _refused("EQUITY_008", 404)
    return _item(change)


@put(f"{PATH}/{{change_id:str}}", sync_to_thread=True, tags=TAGS)
def edit(
    resources: Resources, caller: Caller, portfolio_id: str, change_id: str, data: EquityChangeEdit
) -> EquityChangeItem:
    """Correct an equity change, within seven days of its entry."""
    portfolio = _portfolio(resources, caller, portfolio_id)
    change = _live(resources, portfolio_id, change_id)
    if clock.utc_now() > _entered(change) + EDITABLE:
        raise _refused("EQUITY_006")
    changes: dict[str, Any] = {name: value for name, value in asdict(data).items() if value is not UNSET}
    _check(resources, portfolio, replace(change, **changes))
    return _item(resources.ledger.equity_changes.update(portfolio_id, change_id, **changes))


@delete(f"{PATH}/{{change_id:str}}", status_code=204, sync_to_thread=True, tags=TAGS)
def remove(resources: Resources, caller: Caller, portfolio_id: str, change_id: str) -> None:
    """Delete an equity change from sight, within thirty days of its entry."""
    _portfolio(resources, caller, portfolio_id)
    change = _live(resources, portfolio_id, change_id)
    if clock.utc_now() > _entered(change) + DELETABLE:
        raise _refused("EQUITY_007")
    resources.ledger.equity_changes.delete(portfolio_id, change_id)


def _check(resources: Resources, portfolio: Portfolio, change: EquityChange) -> None:
    """Refuse a change that cannot have been."""
    if not change.amount.is_finite() or change.amount <= 0:
        raise _refused("EQUITY_001")
    if change.change_date > clock.now(resources.settings).date():
        raise _refused("EQUITY_002")
    if change.amount > MAX_EQUITY or change.amount != round(change.amount, 2):
        raise invalid((("body", "amount"), f"give at most {MAX_EQUITY:,} with at most 2 decimals"))
    if change.change_type == "WITHDRAWAL":
        equity = _equity_without(resources, portfolio, change.change_id)
        if equity is not None and change.amount > equity:
            raise _refused("EQUITY_003")


def _equity_without(resources: Resources, portfolio: Portfolio, change_id: str) -> Decimal | None:
    """Return the account's equity as if a change had not been; None when it was never entered.

    The newest snapshot's NAV contains the changes up to its session.
    """
    changes = resources.ledger.equity_changes.of(portfolio.portfolio_id)
    others = [each for each in changes if each.change_id != change_id]
    snapshot = resources.live.accounts.snapshots.get(portfolio.portfolio_id)
    if snapshot is None:
        return None if portfolio.starting_equity is None else portfolio.starting_equity + _net(others)
    contained = [each for each in changes if each.change_date <= snapshot["session"]]
    later = [each for each in others if each.change_date > snapshot["session"]]
    own = [each for each in contained if each.change_id == change_id]
    return Decimal(str(snapshot["nav"])) - _net(own) + _net(later)


def _portfolio(resources: Resources, caller: Caller, portfolio_id: str) -> Portfolio:
    try:
        return resources.ledger.portfolios.get(caller.owner, portfolio_id)
    except NotFound as error:
        raise _refused("EQUITY_004", 404) from error


def _existing(resources: Resources, portfolio_id: str, change_id: str) -> EquityChange:
    try:
        return resources.ledger.equity_changes.get(portfolio_id, change_id)
    except NotFound as error:
        raise _refused("EQUITY_008", 404) from error


def _live(resources: Resources, portfolio_id: str, change_id: str) -> EquityChange:
    change = _existing(resources, portfolio_id, change_id)
    if change.deleted_at:
        raise _refused("EQUITY_009")
    return change


def _refused(code: str, status: int = 400) -> ApiError:
    return ApiError(status, code, {"code": code, "message": MESSAGES[code]})


def _net(changes: Sequence[EquityChange]) -> Decimal:
    signed = (each.amount if each.change_type == "CONTRIBUTION" else -each.amount for each in changes)
    return sum(signed, Decimal(0))


def _flows(changes: Sequence[EquityChange]) -> Flows:
    put_in = sum((each.amount for each in changes if each.change_type == "CONTRIBUTION"), Decimal(0))
    net = _net(changes)
    return Flows(float(put_in), float(put_in - net), float(net))


def _entered(change: EquityChange) -> datetime:
    return datetime.fromisoformat(change.created_at)


def _until(change: EquityChange, span: timedelta) -> str:
    return (_entered(change) + span).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _item(change: EquityChange) -> EquityChangeItem:
    return EquityChangeItem(
        id=change.change_id,
        portfolio_id=change.portfolio_id,
        change_type=change.change_type,
        amount=float(change.amount),
        change_date=change.change_date,
        notes=change.notes,
        created_by_user_id=change.created_by,
        created_at=change.created_at,
        updated_at=change.updated_at,
        deleted_at=change.deleted_at,
        editable_until=_until(change, EDITABLE),
        deletable_until=_until(change, DELETABLE),
        is_deleted=change.deleted_at is not None,
    )


HANDLERS = [listed, create, summary, export, found, edit, remove]
