"""Templates as pages: what each may use, and the session that its forms belong to."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Request, Response
from litestar.datastructures import Cookie

from service.api.auth import Caller
from service.pages.assets import asset_url
from service.pages.door import TOKEN, session_of, visitor_of
from service.pages.formats import FILTERS
from service.pages.sending import answer
from service.pages.sessions import COOKIE, SECONDS, Session, Sessions
from service.settings import Settings


class Entry(NamedTuple):
    """A page that the head of every page leads to, for callers with a scope."""

    title: str
    path: str
    scope: str
    is_on: Callable[[Settings], bool] = lambda _: True


NAVIGATION = (
    Entry("Portfolios", "/", "read"),
    Entry("New portfolio", "/onboarding", "write"),
    Entry("Admin", "/admin", "admin"),
    Entry("SQL", "/sql", "sql", lambda settings: settings.sql_page),
)

templates = Environment(
    loader=PackageLoader("service.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.filters.update(FILTERS)
templates.globals.update(asset_url=asset_url, token_name=TOKEN)


def page(
    request: Request[Any, Any, Any], template: str, *, status: int = 200, **values: Any
) -> Response[bytes]:
    """Render a template as a page, with values of its own and those that ``fragment`` adds."""
    body = fragment(request, template, **values).encode()
    is_new = request.scope["state"]["is_new"]
    cookies = [session_cookie(request, session_of(request))] if is_new else []
    return answer(request, body, MediaType.HTML, status=status, cookies=cookies)


def fragment(request: Request[Any, Any, Any], template: str, **values: Any) -> str:
    """Render a template with values of its own and those that every page has.

    These are ``caller``, ``navigation`` as far as they may go, ``here`` (the path), ``form_token`` and
    ``signed_in``.
    """
    caller, session = visitor_of(request), session_of(request)
    known = {
        "caller": caller,
        "here": request.url.path,
        "navigation": _navigation(request, caller),
        "form_token": sessions_of(request).token(session),
        "signed_in": bool(session.key_id),
    }
    return templates.get_template(template).render(known | values)


def _navigation(request: Request[Any, Any, Any], caller: Caller | None) -> list[Entry]:
    settings: Settings = request.app.state.resources.settings
    return [each for each in NAVIGATION if caller and each.scope in caller.scopes and each.is_on(settings)]


def sessions_of(request: Request[Any, Any, Any]) -> Sessions:
    """Return what knows the sessions of this service."""
    sessions: Sessions = request.app.state.pages.sessions
    return sessions


def session_cookie(request: Request[Any, Any, Any], session: Session) -> Cookie:
    """Return the cookie of a session: for this site alone, and out of reach of scripts."""
    return Cookie(
        key=COOKIE,
        value=sessions_of(request).cookie(session),
        max_age=SECONDS,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
