"""Errors as pages: the statuses of the HTTP interface, in words, and the way to sign in."""

import logging
from typing import Any
from urllib.parse import quote

from litestar import Request, Response
from litestar.exceptions import HTTPException, NotAuthorizedException
from litestar.response import Redirect

from service.api.problems import HANDLERS as INTERFACE
from service.api.problems import TITLES, ApiError, status_of
from service.api.resources import NotReadyError
from service.errors import RidgelineError
from service.pages.html import page
from storage.errors import StorageError

log = logging.getLogger(__name__)


def handle_stranger(request: Request[Any, Any, Any], _: NotAuthorizedException) -> Response[Any]:
    """Send somebody who has not signed in to where they can, and back afterwards."""
    wanted = request.url.path if request.method == "GET" else "/"
    return Redirect(f"/login?next={quote(wanted)}", status_code=303)


def handle_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Show what the framework or a page refuses."""
    return _shown(request, error.status_code, error.detail)


def handle_api(request: Request[Any, Any, Any], error: ApiError) -> Response[bytes]:
    """Show what a function shared with the HTTP interface refuses."""
    return _shown(request, error.status, str(error.detail))


def handle_domain(request: Request[Any, Any, Any], error: StorageError | RidgelineError) -> Response[bytes]:
    """Show errors of storage and service."""
    return _shown(request, status_of(error)[0], str(error))


def handle_not_ready(request: Request[Any, Any, Any], error: NotReadyError) -> Response[bytes]:
    """Show that there is no book yet."""
    return _shown(request, 503, f"{error}; load this page again in a moment")


def handle_bug(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Show that the service is at fault; its log has the traceback."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _shown(request, 500, "this is a fault of the service; its log says more")


def _shown(request: Request[Any, Any, Any], status: int, detail: str) -> Response[bytes]:
    return page(request, "error.html", status=status, title=TITLES.get(status, "Error"), detail=detail)


# The nearest class of an error decides, whichever layer names it: all that the interface names is named here.
HANDLERS: dict[Any, Any] = {
    **{kind: handle_http for kind in INTERFACE if issubclass(kind, HTTPException)},
    NotAuthorizedException: handle_stranger,
    HTTPException: handle_http,
    ApiError: handle_api,
    NotReadyError: handle_not_ready,
    StorageError: handle_domain,
    RidgelineError: handle_domain,
    Exception: handle_bug,
}
