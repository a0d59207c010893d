"""Routes of what a portfolio was and did."""

from datetime import date
from typing import Any, Literal

from litestar import Request, Response, get

from service.api.analytics import history
from service.api.analytics.history_records import ExposureHistory, PerformanceAnswer, ReplayAnswer
from service.api.analytics.routes import PATH, TAGS, answer
from service.api.auth import Caller
from service.api.resources import Resources
from service.composed import Composed


@get(f"{PATH}/performance", tags=TAGS)
async def performance(
    request: Request[Any, Any, Any],
    resources: Resources,
    caller: Caller,
    portfolio_id: str,
    basis: Literal["snapshots", "todays_weights"] = "snapshots",
) -> Response[PerformanceAnswer]:
    """Return performance statistics: of the stored snapshots, or of today's weights replayed."""

    def make(composed: Composed) -> PerformanceAnswer:
        if basis == "todays_weights":
            return history.replayed_performance(composed)
        return history.stored_performance(resources.store, composed)

    return await answer(request, resources, caller, portfolio_id, make)


@get(f"{PATH}/exposure-history", tags=TAGS)
async def exposure_history(
    request: Request[Any, Any, Any],
    resources: Resources,
    caller: Caller,
    portfolio_id: str,
    start: date | None = None,
    end: date | None = None,
) -> Response[ExposureHistory]:
    """Return the factor exposures that were stored, session by session."""

    def make(composed: Composed) -> ExposureHistory:
        return history.exposure_history(resources.store, composed, start, end)

    return await answer(request, resources, caller, portfolio_id, make)


@get(f"{PATH}/replay", tags=TAGS)
async def replay(
    request: Request[Any, Any, Any],
    resources: Resources,
    caller: Caller,
    portfolio_id: str,
    start: date,
    end: date,
) -> Response[ReplayAnswer]:
    """Return what a past window of sessions would do to today's book."""

    def make(composed: Composed) -> ReplayAnswer:
        return history.replayed_window(resources.store, composed, start, end)

    return await answer(request, resources, caller, portfolio_id, make)


HANDLERS = [performance, exposure_history, replay]
