"""A server on loopback that answers as every provider does, and misbehaves when told to."""

import json
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from time import monotonic
from urllib.parse import parse_qsl, unquote, urlsplit

from market_shapes import Listing, answer_of


@dataclass(frozen=True)
class Fault:
    """What to do in place of an answer: ``how`` is a status with a body, or a way to break off."""

    how: str = "answer"  # answer, reset, cut, hang, trickle, truncate
    status: int = 200
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    kind: str = "application/json"


HTML = Fault(body="<!DOCTYPE html><html><body>Are you a robot?</body></html>", kind="text/html")
EMPTY = Fault(body="[]")
RESET, CUT, HANG, TRICKLE, TRUNCATE = (Fault(how) for how in ("reset", "cut", "hang", "trickle", "truncate"))


def limited(retry_after: str | None = None) -> Fault:
    headers = () if retry_after is None else (("Retry-After", retry_after),)
    return Fault(status=429, body='{"detail": "Too many requests."}', headers=headers)


def answering(status: int, body: str = '{"error": "no"}') -> Fault:
    return Fault(status=status, body=body)


@dataclass
class Asked:
    """A request that arrived."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    at: float  # monotonic seconds


class MarketServer:
    """What the market holds, what it was asked, and how it shall fail next."""

    def __init__(self) -> None:
        self.listings: dict[str, Listing] = {}
        self.asked: list[Asked] = []
        self.faults: deque[Fault] = deque()  # one a request, then no more
        self.always: Callable[[Asked], Fault | None] = lambda _: None
        self.released = Event()
        self.url = ""

    def reset(self) -> None:
        """Forget everything but the address."""
        self.listings, self.asked, self.always = {}, [], lambda _: None
        self.faults.clear()

    def paths(self) -> list[str]:
        return [each.path for each in self.asked]


@contextmanager
def market_server() -> Iterator[MarketServer]:
    """Serve a market that has nothing in it yet, until the block ends."""
    market = MarketServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = Asked(unquote(parts.path), dict(parse_qsl(parts.query)), dict(self.headers), monotonic())
            market.asked.append(asked)
            fault = market.faults.popleft() if market.faults else market.always(asked)
            try:
                respond(self, market, asked, fault)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        market.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield market
        finally:
            market.released.set()
            server.shutdown()
            thread.join()


def respond(handler: BaseHTTPRequestHandler, market: MarketServer, asked: Asked, fault: Fault | None) -> None:
    how = fault.how if fault else "answer"
    if how == "reset":
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
        handler.close_connection = True
        return
    if how == "hang":
        market.released.wait(5)
        handler.close_connection = True
        return
    if fault and how == "answer":
        status, body, kind = fault.status, fault.body.encode(), fault.kind
    else:
        status, answer = answer_of(market.listings, market.url, asked.path, asked.query)
        body, kind = json.dumps(answer).encode(), "application/json"
    body = body[: len(body) // 2] if how == "truncate" else body
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in fault.headers if fault else ():
        handler.send_header(name, value)
    handler.end_headers()
    if how == "cut":
        handler.wfile.write(body[: len(body) // 2])
        handler.close_connection = True
    elif how == "trickle":
        for at in range(len(body)):
            handler.wfile.write(body[at : at + 1])
            if market.released.wait(0.02):
                return
    else:
        handler.wfile.write(body)
