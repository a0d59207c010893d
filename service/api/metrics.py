"""What Prometheus scrapes: requests as they are answered, and the state of store and jobs when it asks."""

import ipaddress
import time
from collections.abc import Iterator
from typing import Any

from litestar import Request, Response, get
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, NotAuthorizedException, PermissionDeniedException
from litestar.types import ASGIApp, Message, Middleware, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Counter, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.api.auth import secret_of
from service.api.problems import status_of
from service.api.resources import NotReadyError, Resources
from service.errors import RidgelineError
from service.run_status import seconds_between
from storage.errors import StorageError

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
JOBS = ("symbol_batch", "portfolio_refresh", "symbol_onboarding", "legacy_batch")
FORWARDED = (b"forwarded", b"x-forwarded-for")


class Metrics:
    """The metrics of one application."""

    def __init__(self, resources: Resources) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "path", "status")
        self._requests = Counter(
            "ridgeline_http_requests", "Requests answered", labels, registry=self._registry
        )
        self._seconds = Histogram(
            "ridgeline_http_request_seconds",
            "Seconds until an answer was sent",
            ("method", "path"),
            registry=self._registry,
            buckets=BUCKETS,
        )
        self._registry.register(_State(resources))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(method, path, status).inc()
        self._seconds.labels(method, path).observe(seconds)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)


class _State(Collector):
    """The state of store, queue and runs, looked up at every scrape."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def describe(self) -> list[Metric]:
        """Say nothing beforehand: names are known when they are collected."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Look everything up."""
        ledger, market = self._resources.ledger, self._resources.live.market
        book = market.book if market else None
        release = book.release if book else 0
        yield GaugeMetricFamily("ridgeline_release", "Release that requests are answered from", release)
        n_symbols = len(book.symbols) if book else 0
        yield GaugeMetricFamily("ridgeline_symbols", "Symbols in the in-memory book", n_symbols)
        queue = GaugeMetricFamily(
            "ridgeline_symbol_queue", "Symbols by state of their job", labels=["status"]
        )
        for status, count in ledger.symbol_queue.counts().items():
            queue.add_metric([status], count)
        yield queue
        yield from self._runs()

    def _runs(self) -> Iterator[Metric]:
        ledger = self._resources.ledger
        ledger.runs.fail_stale()
        counts = GaugeMetricFamily("ridgeline_runs", "Runs by job and status", labels=["job", "status"])
        took = GaugeMetricFamily(
            "ridgeline_last_run_seconds", "Duration of the last run that ended", labels=["job"]
        )
        for job, tally in ledger.runs.tallies().items():
            for status, count in tally.items():
                counts.add_metric([job, status], count)
        for job in JOBS:
            last = next((run for run in ledger.runs.history(job, limit=2) if run.completed_at), None)
            if last is not None:
                took.add_metric([job], seconds_between(last.started_at, last.completed_at))
        yield counts
        yield took


class Measured:
    """Counts and times every request, under the pattern of its route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note how it was answered."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:  # a middleware's; it is translated further out
            status = _status_of(error)
            raise
        finally:
            took = time.perf_counter() - start
            self._metrics.answered(scope["method"], scope["path_template"], status, took)


def _status_of(error: Exception) -> int:
    if isinstance(error, HTTPException):
        return error.status_code
    if isinstance(error, NotReadyError):
        return 503
    return status_of(error)[0] if isinstance(error, StorageError | RidgelineError) else 500


def measuring(metrics: Metrics) -> Middleware:
    """Return the middleware that feeds metrics."""
    return lambda app: Measured(app, metrics)


@get("/metrics", sync_to_thread=True, include_in_schema=False)
def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return the metrics to whoever asks from this machine, or with a key of the scope admin."""
    state = request.app.state
    if not _is_local(request):
        caller = state.doorkeeper.caller(secret_of(request.scope))
        if caller is None:
            raise NotAuthorizedException("give a valid key in X-API-Key or as a Bearer token")
        if "admin" not in caller.scopes:
            raise PermissionDeniedException(
                "this needs a key with the scope 'admin'", extra={"scope": "admin"}
            )
    return Response(state.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _is_local(request: Request[Any, Any, Any]) -> bool:
    """Whether a request comes from this machine, and not through a proxy on it."""
    if request.client is None or any(name in FORWARDED for name, _ in request.scope["headers"]):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


HANDLERS = [metrics]
