"""Signing in with an API key, and out; the key itself is not kept."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.response import Redirect

from service.api.resources import Resources
from service.pages.html import page, session_cookie, sessions_of
from service.pages.sessions import Session


@get("/login", sync_to_thread=False, opt={"public": True}, include_in_schema=False)
def login(request: Request[Any, Any, Any], next: str = "/") -> Response[Any]:
    """Ask for a key."""
    return page(request, "login.html", next=_path(next), error="")


@post("/login", status_code=303, opt={"public": True}, include_in_schema=False)
async def enter(request: Request[Any, Any, Any], resources: Resources) -> Response[Any]:
    """Exchange a key for the cookie of a new session."""
    form = await request.form()
    wanted, secret = _path(str(form.get("next", "/"))), str(form.get("key", "")).strip()
    key = await sync_to_thread(resources.ledger.api_keys.find, secret)
    if key is None:
        error = "No valid key is this one. Check that it was copied whole, or ask for another."
        return page(request, "login.html", status=401, next=wanted, error=error)
    return _sent(request, wanted, sessions_of(request).new(key.key_id))


@post("/logout", status_code=303, sync_to_thread=False, opt={"public": True}, include_in_schema=False)
def leave(request: Request[Any, Any, Any]) -> Response[Any]:
    """End the session in this browser."""
    return _sent(request, "/login", sessions_of(request).new())


def _sent(request: Request[Any, Any, Any], path: str, session: Session) -> Response[Any]:
    return Redirect(path, status_code=303, cookies=[session_cookie(request, session)])


def _path(text: str) -> str:
    """Return a path of this site, the first page for everything else."""
    inside = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if inside else "/"


HANDLERS = [login, enter, leave]
