"""One provider over HTTP: its client, windows, retries and circuit breaker; what all providers share.

Retries stand here because they have to share one deadline with the rate windows, give a turn to the circuit
breaker, and end when nobody waits; the retry libraries wait less than they were told when time runs short,
instead of giving up.
"""

import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite
from random import uniform
from threading import Event
from typing import TypeVar

import httpx
import polars as pl

from service.providers.budget import Budget, StoppedError
from service.providers.circuit_breaker import CircuitBreaker
from service.providers.outcomes import Failed
from service.providers.rate_windows import RateWindows
from service.providers.redaction import keep_secret, redacted
from service.providers.replies import EXCERPT, Reply, UnansweredError
from service.providers.standings import Standing, know

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")
UNREADABLE = (pl.exceptions.PolarsError, ArithmeticError, ValueError)  # what parsing nonsense raises
RETRIED = ("transport", "rate_limited")
OUTAGES = ("transport", "blocked")
WRONG_KEY = 401  # stands for all symbols; 402 and 403 may say that the plan does not have this one
MAX_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a provider is waited for.

    Attributes
    ----------
    seconds : float
        For one symbol, everything included.
    request_seconds : float
        For a request that stands still.
    concurrency, tries : int
        Requests at a time; tries of each.
    backoff_seconds, max_backoff_seconds : float
        Wait before the second try, doubled before each further one, and its bound; half of it is left to
        chance.
    outages, open_seconds : int, float
        Failed tries in a row after which the provider is left alone, and for how long.
    """

    seconds: float = 60.0
    request_seconds: float = 15.0
    concurrency: int = 5
    tries: int = 4
    backoff_seconds: float = 0.5
    max_backoff_seconds: float = 8.0
    outages: int = 10
    open_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Access:
    """Where a provider answers, what it wants to see, its key among it, and how often it may be asked."""

    url: str
    rates: tuple[str, ...]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Question:
    """One request, and how many the provider counts it as."""

    path: str
    params: Mapping[str, str]
    cost: int = 1


class Remote:
    """A provider that is asked over HTTP; safe to share between threads."""

    def __init__(self, name: str, access: Access, patience: Patience) -> None:
        self.name, self._access, self._patience = name, access, patience
        if access.key:
            keep_secret(access.key)
        self._ssl = httpx.create_ssl_context()
        self._windows = RateWindows(access.rates)
        self._breaker = CircuitBreaker(patience.outages, patience.open_seconds)
        know(self)

    def standing(self) -> Standing:
        """Return what may still be asked, and whether anybody does."""
        outages, left_alone = self._breaker.standing()
        return Standing(self.name, self._windows.windows(), outages, left_alone)

    def each(
        self, wanted: Mapping[str, T], answer: Callable[["Asking", str, T], R]
    ) -> Generator[tuple[str, R | Failed], None, None]:
        """Answer several symbols at a time and yield each as it arrives; no further ones than are taken."""
        stop, waiting = Event(), iter(wanted.items())
        running: dict[Future[R | Failed], str] = {}

        def start(n: int) -> None:
            for symbol, what in islice(waiting, n):
                ask = Asking(self, client, Budget(self._patience.seconds, stop))
                logged = copy_context().run  # what a worker logs belongs to the run that asks
                running[pool.submit(logged, _answered, ask, answer, symbol, what)] = symbol

        with self._connected() as client, ThreadPoolExecutor(self._patience.concurrency) as pool:
            try:
                start(self._patience.concurrency)
                while running:
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        symbol = running.pop(future)
                        start(1)
                        yield symbol, future.result()
            finally:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def asking(self) -> Iterator["Asking"]:
        """Open a conversation that is about no single symbol."""
        with self._connected() as client:
            yield Asking(self, client, Budget(self._patience.seconds, Event()))

    def get(self, client: httpx.Client, request: Question, budget: Budget) -> Reply:
        """Ask until there is an answer, or no time or try left; ``UnansweredError`` then."""
        attempt = 1
        while True:
            self._admit(request.cost, budget)
            answer = self._tried(client, request, budget)
            if isinstance(answer, Reply):
                return answer
            if not self._waited(answer, attempt, budget):
                raise UnansweredError(answer)
            attempt += 1

    def _admit(self, cost: int, budget: Budget) -> None:
        """Wait for a place in the rate windows; ``UnansweredError`` when now is not the time to ask."""
        if left_alone := self._breaker.wait():
            what = f"{self.name} is left alone after {self._patience.outages} outages in a row"
            raise UnansweredError(Failed("transport", what, retry_after=left_alone))
        if full := self._windows.acquire(cost, budget):
            what = f"{self.name} may not be asked more often now ({', '.join(self._access.rates)})"
            raise UnansweredError(Failed("rate_limited", what, retry_after=full if isfinite(full) else None))

    def _waited(self, refusal: Failed, attempt: int, budget: Budget) -> bool:
        """Wait before the next try; False when there is none."""
        patience = self._patience
        longest = min(patience.max_backoff_seconds, patience.backoff_seconds * 2 ** (attempt - 1))
        seconds = refusal.retry_after
        if seconds is None:
            seconds = uniform(longest / 2, longest)  # noqa: S311 - spreads tries, hides nothing
        if refusal.kind == "rate_limited":
            self._windows.pause(seconds)
        if refusal.kind not in RETRIED or attempt == patience.tries or seconds >= budget.left():
            return False
        budget.sleep(seconds)
        return True

    def _tried(self, client: httpx.Client, request: Question, budget: Budget) -> Reply | Failed:
        """Ask once, and tell the circuit breaker how it went."""
        try:
            reply = self._sent(client, request, budget)
            refusal = reply.refusal()
            is_outage = refusal is not None and (refusal.kind in OUTAGES or reply.status == WRONG_KEY)
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            refusal = Failed("transport", redacted(f"{self.name} could not be reached: {said}"))
            is_outage = True
        except UnansweredError as error:
            refusal, is_outage = error.failed, error.failed.kind in OUTAGES
        if is_outage and self._breaker.fail():
            alone = f"{self.name} is left alone for {self._patience.open_seconds:g} s"
            log.warning("%s after %d outages in a row", alone, self._patience.outages)
        if refusal is None or not refusal.is_outage:
            self._breaker.succeed()
        return reply if refusal is None else refusal

    def _sent(self, client: httpx.Client, request: Question, budget: Budget) -> Reply:
        """Send one request and read its answer, within the time and the size that it may have."""
        seconds = max(0.001, min(self._patience.request_seconds, budget.left()))
        with client.stream(
            "GET", request.path, params=dict(request.params) or None, timeout=seconds
        ) as response:
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise UnansweredError(
                        Failed("bad_payload", f"{self.name} answered more than {MAX_BYTES} bytes")
                    )
                if not budget.left():
                    raise UnansweredError(
                        Failed("transport", f"{self.name} had not ended its answer in time")
                    )
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        retry_after = response.headers.get("Retry-After")
        return Reply(self.name, response.status_code, kind, bytes(body), retry_after)

    def _connected(self) -> httpx.Client:
        return httpx.Client(
            base_url=self._access.url,
            headers={"Accept": "application/json", **self._access.headers},
            params=dict(self._access.params),
            limits=httpx.Limits(max_connections=self._patience.concurrency),
            verify=self._ssl,
        )


@dataclass(frozen=True, slots=True)
class Asking:
    """A conversation with a provider about one symbol, within its time."""

    remote: Remote
    client: httpx.Client
    budget: Budget

    def get(self, kind: type[T], path: str, params: Mapping[str, str] | None = None, *, cost: int = 1) -> T:
        """Return an answer decoded as a type; ``UnansweredError`` when there is none."""
        return self.remote.get(self.client, Question(path, params or {}, cost), self.budget).decode(kind)


def _answered(ask: Asking, answer: Callable[[Asking, str, T], R], symbol: str, what: T) -> R | Failed:
    name = ask.remote.name
    try:
        return answer(ask, symbol, what)
    except UnansweredError as error:
        return error.failed
    except StoppedError:
        return Failed("transport", f"{name} was not waited for")
    except UNREADABLE as error:
        return Failed(
            "bad_payload", redacted(f"{name} answered what makes no table ({str(error)[:EXCERPT]})")
        )
