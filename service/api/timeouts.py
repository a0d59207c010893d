"""No request takes for ever: one that is too slow, in sending or in being answered, is ended."""

import asyncio

import msgspec
from litestar.enums import ScopeType
from litestar.middleware import DefineMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import PROBLEM_JSON, TITLES, Problem


class Timeout:
    """Ends a request after some seconds: 503 before its answer has begun, a closed connection after.

    A route with ``opt={"seconds": …}`` takes its own time; None is for streams, which end by themselves.
    """

    def __init__(self, app: ASGIApp, seconds: float, docs_url: str) -> None:
        self._app, self._seconds, self._docs_url = app, seconds, docs_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and watch the clock."""
        seconds = scope["route_handler"].opt.get("seconds", self._seconds)
        if scope["type"] != ScopeType.HTTP or seconds is None:
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(seconds):
                await self._app(scope, receive, watched)
        except TimeoutError:
            if begun:
                raise
            await _refuse(send, _refusal(seconds, self._docs_url))


def _refusal(seconds: float, docs_url: str) -> bytes:
    refusal = Problem(
        type=f"{docs_url}/errors/timeout",
        title=TITLES[503],
        status=503,
        code="timeout",
        detail=f"the request took more than {seconds:g} s; ask again, or for less",
    )
    return msgspec.json.encode(refusal)


async def _refuse(send: Send, body: bytes) -> None:
    headers = [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"retry-after", b"5"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def within(seconds: float, docs_url: str) -> DefineMiddleware:
    """Return the middleware that gives every request this long."""
    return DefineMiddleware(Timeout, seconds=seconds, docs_url=docs_url)
