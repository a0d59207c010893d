"""Whether the service lives, and what it serves from; no key needed."""

from typing import Any

import msgspec
from litestar import Request, Response, get

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
    """The in-memory book."""

    initialized: bool
    initializing: bool
    ready: bool
    alive: bool
    init_error: str | None
    init_started_at: str | None
    init_completed_at: str | None
    symbols_cached: int
    dates_cached: int


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


@get("/health/ready", sync_to_thread=False, tags=["health"])
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
    book = _resources(request).live
    market, is_ready = book.market, book.state in ("ready", "empty")
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
            symbols_cached=len(market.book.symbols) if market else 0,
            dates_cached=len(market.book.sessions) if market else 0,
        ),
    )


def _resources(request: Request[Any, Any, Any]) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


HANDLERS = [health, live, ready, status]
