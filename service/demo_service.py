"""The demo's second half: the same store served on loopback, and a client that onboards the sample."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from service.api.app import create_app
from service.api.resources import make_resources
from service.client import Client
from service.serve import bind
from service.settings import Settings
from storage.store import Store

ANSWERS = (
    "overview",
    "factor-exposures",
    "correlation-matrix",
    "stress-test",
    "volatility",
    "sector-exposure",
    "concentration",
    "risk",
)
READY_SECONDS = 60.0


@contextmanager
def served(store: Store) -> Iterator[str]:
    """Serve a store on a free port of loopback, in a thread of this process; gives the URL."""
    settings = Settings(port=0)
    bound = bind(settings)
    app = create_app(make_resources(store, settings), open_to_all=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    try:
        _wait_until_ready(url)
        yield url
    finally:
        server.should_exit = True
        thread.join()


def onboard(store: Store, sample: Path, equity: float) -> tuple[dict[str, Any], dict[str, float]]:
    """Onboard a CSV over HTTP and ask for its analytics; the status, and milliseconds of each step."""
    took: dict[str, float] = {}

    def timed(step: str, call: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        answer = call()
        took[step] = 1e3 * (time.perf_counter() - start)
        return answer

    with served(store) as url, Client(url) as client:
        portfolio_id = timed(
            "POST create-portfolio, durable",
            lambda: client.create_portfolio(sample, name="Sample", account="Demo", equity=equity),
        )
        for tail in ANSWERS:
            timed(f"  GET {tail}", lambda tail=tail: client.analytics(portfolio_id, tail))  # type: ignore[misc]
        timed("GET overview again", lambda: client.analytics(portfolio_id, "overview"))
        return client.status(portfolio_id), took


def _wait_until_ready(url: str) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        try:
            if httpx.get(f"{url}/health/ready").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise TimeoutError(f"the service at {url} did not get ready in {READY_SECONDS:.0f} s")
