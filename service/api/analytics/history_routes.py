"""Routes of what a portfolio was and did."""

from datetime import date
from functools import partial
from typing import Literal

from litestar import Response, get

from service.api.analytics import history
from service.api.analytics.asked import PATH, TAGS, Asked
from service.api.analytics.history_records import ExposureHistory, PerformanceAnswer, ReplayAnswer
from service.api.analytics.routes import DEPENDENCIES


@get(f"{PATH}/performance", tags=TAGS, dependencies=DEPENDENCIES)
async def performance(
    asked: Asked, basis: Literal["snapshots", "todays_weights"] = "snapshots"
) -> Response[PerformanceAnswer]:
    """Return performance statistics: of the stored snapshots, or of today's weights replayed."""
    if basis == "todays_weights":
        return await asked.answer(history.replayed_performance)
    return await asked.answer(partial(history.stored_performance, asked.resources.store))


@get(f"{PATH}/exposure-history", tags=TAGS, dependencies=DEPENDENCIES)
async def exposure_history(
    asked: Asked, start: date | None = None, end: date | None = None
) -> Response[ExposureHistory]:
    """Return the factor exposures that were stored, session by session."""
    store = asked.resources.store
    return await asked.answer(lambda composed: history.exposure_history(store, composed, start, end))


@get(f"{PATH}/replay", tags=TAGS, dependencies=DEPENDENCIES)
async def replay(asked: Asked, start: date, end: date) -> Response[ReplayAnswer]:
    """Return what a past window of sessions would do to today's book."""
    store = asked.resources.store
    return await asked.answer(lambda composed: history.replayed_window(store, composed, start, end))


HANDLERS = [performance, exposure_history, replay]
