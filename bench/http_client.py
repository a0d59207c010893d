"""A client that costs little: many connections on one loop, answers parsed in C, every latency kept."""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from httptools import HttpResponseParser


class Answer(NamedTuple):
    """One answer, and the seconds from its request's first byte to its own last one."""

    status: int
    seconds: float
    body: bytes


class _Connection(asyncio.Protocol):
    """One request at a time over a connection that stays open."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if not self._answered.done():
            self._answered.set_exception(error or ConnectionError("the service hung up"))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._answered.set_result(self._parser.get_status_code())

    async def ask(self, request: bytes) -> Answer:
        """Send a whole request and wait for its answer."""
        self._answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._body.clear()
        start = time.perf_counter()
        self._transport.write(request)
        status = await self._answered
        seconds = time.perf_counter() - start
        body = b"".join(self._body)
        self._parser = HttpResponseParser(self)
        return Answer(status, seconds, body)

    def close(self) -> None:
        self._transport.close()


def ask_all(port: int, shares: Sequence[Sequence[bytes]]) -> list[Answer]:
    """Send a share's requests one after the other, all shares at once over a connection each."""

    async def worked_off(requests: Sequence[bytes]) -> list[Answer]:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, "127.0.0.1", port)
        try:
            return [await connection.ask(request) for request in requests]
        finally:
            connection.close()

    async def all_shares() -> list[Answer]:
        found = await asyncio.gather(*map(worked_off, shares))
        return [answer for answers in found for answer in answers]

    return asyncio.run(all_shares())


def request(method: str, path: str, body: bytes = b"", content_type: str = "") -> bytes:
    """Return a request's bytes."""
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if body:
        head += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body
