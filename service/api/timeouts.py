"""No request takes for ever: one that is too slow, in sending or in being answered, is ended."""

import asyncio

from litestar.enums import ScopeType
from litestar.middleware import DefineMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send


class Timeout:
    """Ends a request after some seconds: 503 before its answer has begun, a closed connection after."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and watch the clock."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(self._seconds):
                await self._app(scope, receive, watched)
        except TimeoutError:
            if begun:
                raise
            await _refuse(send, self._seconds)


async def _refuse(send: Send, seconds: float) -> None:
    body = (
        b'{"type":"/docs/errors/timeout","title":"Not available now","status":503,"code":"timeout",'
        b'"detail":"the request took more than %d s"}' % seconds
    )
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def within(seconds: float) -> DefineMiddleware:
    """Return the middleware that gives every request this long."""
    return DefineMiddleware(Timeout, seconds=seconds)
