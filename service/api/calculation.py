"""Routes that bring a portfolio's stored history up to date, and say how that ended."""

from typing import Literal

import msgspec
from litestar import get, post

from service.api.auth import Caller
from service.api.problems import ApiError
from service.api.resources import Resources
from service.run_status import elapsed
from storage.errors import Locked, NotFound
from storage.runs import Run


class Started(msgspec.Struct):
    """A run; it has ended already when nothing was missing."""

    portfolio_id: str
    batch_run_id: str
    status: Literal["started"]
    message: str


class RunStatus(msgspec.Struct):
    """How a run stands; ``idle`` for one that nobody knows."""

    status: Literal["idle", "running", "completed", "failed"]
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
    run = run_of(resources, portfolio_id, run_id)
    if run is None:
        return RunStatus("idle", run_id, portfolio_id, None, None, 0)
    # Clients of old stop asking at "completed" and "failed" alone.
    status = "completed" if run.status == "partial" else run.status
    return RunStatus(status, run_id, portfolio_id, run.started_at, run.triggered_by, int(elapsed(run)))


def run_of(resources: Resources, portfolio_id: str, run_id: str) -> Run | None:
    """Return a run that was started for the portfolio; None for every other, which is not its owner's."""
    try:
        run = resources.ledger.runs.named(run_id)
    except NotFound:
        return None
    return run if portfolio_id in (run.scope or {}).get("portfolio_ids", ()) else None


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
