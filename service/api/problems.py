"""The one translator from errors to answers: RFC 9457 problems, and the onboarding family's envelope."""

import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import (
    ClientException,
    HTTPException,
    NotAuthorizedException,
    PermissionDeniedException,
    ValidationException,
)
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from service.api.resources import NotReadyError
from service.errors import ConflictError, RidgelineError, UsageError
from storage.errors import Busy, InvalidQuery, Locked, NotFound, Refused, StorageError, Taken, Unreachable

PROBLEM_JSON = "application/problem+json"
TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    422: "Invalid request",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available now",
}
log = logging.getLogger(__name__)


class Problem(msgspec.Struct, kw_only=True):
    """An error (RFC 9457); ``detail`` is a sentence, an object, or the list of invalid fields."""

    type: str
    title: str
    status: int
    code: str
    detail: Any


class EnvelopeBody(msgspec.Struct, omit_defaults=True):
    """An error of the onboarding routes; ``details`` has the errors of the CSV."""

    code: str
    message: str
    documentation_url: str
    details: dict[str, Any] | None = None


class Envelope(msgspec.Struct):
    """The onboarding routes' envelope of an error."""

    error: EnvelopeBody


class ApiError(Exception):
    """An answer with a status of its own; ``detail`` is a sentence or an object."""

    def __init__(self, status: int, code: str, detail: Any, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(str(detail))
        self.status, self.code, self.detail, self.headers = status, code, detail, headers


class OnboardingError(Exception):
    """An error in the envelope of the onboarding routes."""

    def __init__(self, status: int, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details


def invalid(*fields: tuple[tuple[str | int, ...], str]) -> ApiError:
    """Return the refusal of fields, each by its place in the request and what is wrong with it."""
    items = [{"loc": list(place), "msg": message, "type": "value_error"} for place, message in fields]
    return ApiError(422, "invalid_request", items)


def problem(
    request: Request[Any, Any, Any],
    status: int,
    code: str,
    detail: Any,
    headers: dict[str, str] | None = None,
) -> Response[Problem]:
    """Return an error as problem+json."""
    docs = request.app.state.resources.settings.docs_url
    body = Problem(
        type=f"{docs}/errors/{code}",
        title=TITLES.get(status, "Error"),
        status=status,
        code=code,
        detail=detail,
    )
    return Response(body, status_code=status, media_type=PROBLEM_JSON, headers=headers or {})


def handle_api(request: Request[Any, Any, Any], error: ApiError) -> Response[Problem]:
    """Answer an error that a handler raised."""
    return problem(request, error.status, error.code, error.detail, error.headers)


def handle_onboarding(request: Request[Any, Any, Any], error: OnboardingError) -> Response[Envelope]:
    """Answer an error of the onboarding family."""
    url = f"{request.app.state.resources.settings.docs_url}/errors/{error.code}"
    body = Envelope(EnvelopeBody(error.code, error.message, url, error.details))
    return Response(body, status_code=error.status)


def handle_unreadable(
    request: Request[Any, Any, Any], error: ClientException | UnicodeDecodeError
) -> Response[Problem]:
    """Answer a body that is not of its own type: broken multipart or JSON, text that is not UTF-8."""
    said = error.detail if isinstance(error, ClientException) else "it holds text that is not UTF-8"
    return problem(request, 422, "invalid_request", [{"loc": ["body"], "msg": said, "type": "value_error"}])


def handle_validation(request: Request[Any, Any, Any], error: ValidationException) -> Response[Problem]:
    """Answer wrong parameters and bodies with the list of them."""
    extra = error.extra if isinstance(error.extra, list) else []
    items = [
        {
            "loc": [item.get("source", "body"), item.get("key", "")],
            "msg": item["message"],
            "type": "value_error",
        }
        for item in extra
    ]
    detail = items or [{"loc": ["body"], "msg": error.detail, "type": "value_error"}]
    return problem(request, 422, "invalid_request", detail)


def handle_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """Answer what the framework refuses: unknown routes, methods, keys, sizes."""
    codes = {401: "not_authenticated", 403: "not_allowed", 404: "not_found", 405: "method_not_allowed"}
    if isinstance(error.extra, dict) and error.extra.get("scope") == "admin":
        codes[403] = "ERR_ADMIN_001"
    code = codes.get(error.status_code, "too_large" if error.status_code == 413 else "bad_request")
    return problem(request, error.status_code, code, error.detail, error.headers)


def handle_client(request: Request[Any, Any, Any], error: ClientException) -> Response[Problem]:
    """Answer what the client got wrong, sorted by whether its body can be read at all."""
    unreadable = error.status_code == 400
    return handle_unreadable(request, error) if unreadable else handle_http(request, error)


def handle_domain(request: Request[Any, Any, Any], error: StorageError | RidgelineError) -> Response[Problem]:
    """Answer errors of storage and service by whether the request or the moment is wrong."""
    status, code = status_of(error)
    headers = {"Retry-After": "5"} if status == 503 else None
    return problem(request, status, code, str(error), headers)


def handle_not_ready(request: Request[Any, Any, Any], error: NotReadyError) -> Response[Problem]:
    """Answer while there is no book."""
    return problem(request, 503, "initializing", str(error), {"Retry-After": "1"})


def handle_bug(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Answer what nobody foresaw; the log has the traceback, the answer has not."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(request, 500, "internal_error", "this is a fault of the service; its log says more")


def status_of(error: StorageError | RidgelineError) -> tuple[int, str]:
    """Return the status and the code of an error of storage or service."""
    table: dict[type[Exception], tuple[int, str]] = {
        NotFound: (404, "not_found"),
        Taken: (409, "taken"),
        Locked: (409, "locked"),
        Busy: (503, "busy"),
        Unreachable: (503, "unreachable"),
        InvalidQuery: (400, "invalid_query"),
        Refused: (400, "refused"),
        ConflictError: (409, "conflict"),
        UsageError: (400, "refused"),
    }
    return next((answer for kind, answer in table.items() if isinstance(error, kind)), (500, "failed"))


HANDLERS: dict[Any, Any] = {
    ApiError: handle_api,
    OnboardingError: handle_onboarding,
    ValidationException: handle_validation,
    NotAuthorizedException: handle_http,
    PermissionDeniedException: handle_http,
    ClientException: handle_client,
    UnicodeDecodeError: handle_unreadable,
    HTTPException: handle_http,
    NotReadyError: handle_not_ready,
    StorageError: handle_domain,
    RidgelineError: handle_domain,
    Exception: handle_bug,
}

PROBLEM_STATUSES = (400, 401, 403, 404, 409, 413, 422, 503)


def documented(handlers: Sequence[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """Give every route the errors that any route may answer with, for the OpenAPI document."""
    problems = {
        status: ResponseSpec(Problem, False, TITLES[status], media_type=PROBLEM_JSON)
        for status in PROBLEM_STATUSES
    }
    for handler in handlers:
        handler.responses = {**problems, **(handler.responses or {})}
    return list(handlers)


def envelopes(*statuses: int) -> dict[int, ResponseSpec]:
    """Return the document's entry for the onboarding family's own errors."""
    return {status: ResponseSpec(Envelope, False, TITLES[status]) for status in statuses}
