"""Routes that bring a portfolio's stored history up to date, and say how that ended."""

from datetime import datetime
from typing import Literal

import msgspec
from litestar import get, post

from service import clock
from service.api.auth import Caller
from service.api.problems import ApiError
from service.api.resources import Resources
from storage.errors import Locked, NotFound


class Started(msgspec.Struct):
    """A run; it has ended already when nothing was missing."""

    portfolio_id: str
    batch_run_id: str
    status: Literal["started"]
    message: str


class RunStatus(msgspec.Struct):
    """How a run stands; ``idle`` for one that nobody knows."""

    status: Literal["idle", "running", "completed", "partial", "failed"]
    batch_run_id: str
    portfolio_id: str
    started_at: str | None
    triggered_by: str | None
    elapsed_seconds: int


@post("/portfolios/{portfolio_id:str}/calculate", status_code=200, sync_to_thread=True, tags=["portfolios"])
def calculate(resources: Resources, caller: Caller, portfolio_id: str) -> Started:
    """Take the snapshots that a portfolio lacks; does nothing when none is missing."""
    return _calculated(resources, caller, portfolio_id)


@post(
    "/portfolio/{portfolio_id:str}/calculate",
    status_code=200,
    sync_to_thread=True,
    tags=["portfolios"],
    deprecated=True,
)
def calculate_alias(resources: Resources, caller: Caller, portfolio_id: str) -> Started:
    """Take the snapshots that a portfolio lacks, under a path of old."""
    return _calculated(resources, caller, portfolio_id)


@get("/portfolios/{portfolio_id:str}/batch-status/{run_id:str}", sync_to_thread=True, tags=["portfolios"])
def batch_status(resources: Resources, caller: Caller, portfolio_id: str, run_id: str) -> RunStatus:
    """Say how a run of a portfolio stands."""
    resources.ledger.portfolios.get(caller.owner, portfolio_id)
    try:
        run = resources.ledger.runs.named(run_id)
    except NotFound:
        return RunStatus("idle", run_id, portfolio_id, None, None, 0)
    end = datetime.fromisoformat(run.completed_at) if run.completed_at else clock.utc_now()
    elapsed = int((end - datetime.fromisoformat(run.started_at)).total_seconds())
    return RunStatus(run.status, run_id, portfolio_id, run.started_at, run.triggered_by, elapsed)


def _calculated(resources: Resources, caller: Caller, portfolio_id: str) -> Started:
    resources.ledger.portfolios.get(caller.owner, portfolio_id)
    resources.market()
    try:
        outcome = resources.snapshots.take([portfolio_id], triggered_by=caller.owner)
    except Locked as locked:
        raise ApiError(409, "ERR_BATCH_001", str(locked)) from locked
    message = f"{outcome.snapshots} snapshot(s) taken" if outcome.snapshots else "Nothing was missing"
    return Started(portfolio_id, outcome.run_id, "started", message)


HANDLERS = [calculate, calculate_alias, batch_status]
