"""Lets people in to the pages: by the cookie of their session, or as they are where no key is needed.

The route says what it asks for as those of the HTTP interface do: ``opt={"scope": …}``, ``{"public": True}``.
"""

from http.cookies import CookieError, SimpleCookie
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import UploadFile
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.types import ASGIApp, Middleware, Receive, Scope, Send

from service.api.auth import READING, Caller, Doorkeeper
from service.pages.sessions import COOKIE, Session, Sessions

TOKEN = "form_token"  # noqa: S105 - the name of a field


class PageDoor:
    """Finds session and caller of a request for a page.

    ``NotAuthorizedException`` is raised when nobody is signed in, ``PermissionDeniedException`` for a key
    without the scope that the page needs.
    """

    def __init__(self, app: ASGIApp, doorkeeper: Doorkeeper, sessions: Sessions) -> None:
        self._app, self._doorkeeper, self._sessions = app, doorkeeper, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its session and caller."""
        session = self._sessions.read(_cookie(scope))
        scope["state"]["session"] = session or self._sessions.new()
        scope["state"]["is_new"] = session is None
        scope["auth"] = caller = self._caller(scope, session)
        opt = scope["route_handler"].opt
        if not opt.get("public"):
            reading = scope.get("method") in READING
            _require(caller, opt.get("scope", "read" if reading else "write"))
        await self._app(scope, receive, send)

    def _caller(self, scope: Scope, session: Session | None) -> Caller | None:
        if session and session.key_id:
            return self._doorkeeper.holder(session.key_id)
        return self._doorkeeper.visitor(scope)


def entering(doorkeeper: Doorkeeper, sessions: Sessions) -> Middleware:
    """Return the middleware of the pages; a function, for routers copy what they are given."""
    return lambda app: PageDoor(app, doorkeeper, sessions)


def session_of(request: ASGIConnection[Any, Any, Any, Any]) -> Session:
    """Return the session of a request."""
    session: Session = request.scope["state"]["session"]
    return session


def visitor_of(request: ASGIConnection[Any, Any, Any, Any]) -> Caller | None:
    """Return who looks at a public page, None for somebody who has not signed in."""
    caller: Caller | None = request.scope.get("auth")
    return caller


async def check_token(request: Request[Any, Any, Any]) -> None:
    """Refuse a form that no page of this session has shown."""
    if request.method in READING:
        return
    token = (await request.form()).get(TOKEN, "")
    sessions: Sessions = request.app.state.pages.sessions
    if isinstance(token, UploadFile) or not sessions.is_token(session_of(request), str(token)):
        raise PermissionDeniedException("this form is no longer valid; load its page again and send it anew")


def _require(caller: Caller | None, wanted: str) -> None:
    if caller is None:
        raise NotAuthorizedException("sign in with a key")
    if wanted not in caller.scopes:
        raise PermissionDeniedException(
            f"this needs a key with the scope {wanted!r}; sign in with one that has it"
        )


def _cookie(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"cookie":
            try:
                found = SimpleCookie(value.decode("latin-1")).get(COOKIE)
            except CookieError:
                continue
            if found is not None:
                return found.value
    return ""
