"""Whether the service lives, and what it serves from; no key needed."""

from typing import Any

import msgspec
import numpy as np
from litestar import Request, Response, get
from litestar.openapi.datastructures import ResponseSpec

from service.api.resources import Resources


class Status(msgspec.Struct):
    """A word."""

    status: str


class Ready(msgspec.Struct):
    """Whether requests can be answered; ``release`` and ``symbols`` of the book they are answered from."""

    status: str
    release: int | None = None
    symbols: int | None = None
    as_of: str | None = None
    message: str | None = None


class BookStatus(msgspec.Struct):
    """The in-memory book, and how many analytics were answered from what was made before, or made anew."""

    initialized: bool
    initializing: bool
    ready: bool
    alive: bool
    init_error: str | None
    init_started_at: str | None
    init_completed_at: str | None
    symbols_cached: int
    dates_cached: int
    price_cache_stats: dict[str, int]
    factor_cache_entries: int
    db_fallback_count: int
    cache_hit_count: int


class HealthStatus(msgspec.Struct):
    """The book's state in full."""

    status: str
    symbol_cache: BookStatus
    ready: bool


@get("/health", sync_to_thread=False, tags=["health"])
def health() -> Status:
    """Say that the service answers."""
    return Status("healthy")


@get("/health/live", sync_to_thread=False, tags=["health"])
def live() -> Status:
    """Say that the process lives."""
    return Status("alive")


@get(
    "/health/ready",
    sync_to_thread=False,
    tags=["health"],
    responses={503: ResponseSpec(Ready, False, "The first book is being loaded")},
)
def ready(request: Request[Any, Any, Any]) -> Response[Ready]:
    """Answer 200 once a book is loaded or there is known to be none, 503 before."""
    book = _resources(request).live
    if book.state in ("initializing", "failed"):
        waiting = Ready(status="initializing", message=book.error or "the first book is being loaded")
        return Response(waiting, status_code=503)
    market = book.market
    if market is None:
        return Response(Ready(status="ready", symbols=0, message="the store has no computed session yet"))
    here = market.book
    return Response(Ready("ready", here.release, len(here.symbols), str(here.as_of)))


@get("/health/status", sync_to_thread=False, tags=["health"])
def status(request: Request[Any, Any, Any]) -> HealthStatus:
    """Describe the book, and why it could not be loaded."""
    resources = _resources(request)
    book, answers = resources.live, resources.answers
    is_ready, here = book.state in ("ready", "empty"), book.market.book if book.market else None
    return HealthStatus(
        status="healthy" if is_ready else book.state,
        ready=is_ready,
        symbol_cache=BookStatus(
            initialized=book.completed_at is not None,
            initializing=book.state == "initializing",
            ready=is_ready,
            alive=True,
            init_error=book.error,
            init_started_at=book.started_at,
            init_completed_at=book.completed_at,
            symbols_cached=len(here.symbols) if here else 0,
            dates_cached=len(here.sessions) if here else 0,
            price_cache_stats={"returns": int(np.isfinite(here.returns).sum()) if here else 0},
            factor_cache_entries=int(np.isfinite(here.betas).sum()) if here else 0,
            db_fallback_count=answers.misses,
            cache_hit_count=answers.hits,
        ),
    )


def _resources(request: Request[Any, Any, Any]) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


HANDLERS = [health, live, ready, status]
