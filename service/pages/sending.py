"""Bodies as answers to browsers: compressed, with the headers that every page carries."""

import gzip
from typing import Any

from litestar import Request, Response
from litestar.datastructures import Cookie

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Accept-Encoding",
}
COMPRESSION = 5


def answer(
    request: Request[Any, Any, Any],
    body: bytes,
    media_type: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    cookies: list[Cookie] | None = None,
) -> Response[bytes]:
    """Return a body, compressed for whoever takes it so; kept by nobody unless headers say otherwise."""
    sent = HEADERS | (headers or {})
    if "gzip" in request.headers.get("accept-encoding", ""):
        body, sent["Content-Encoding"] = gzip.compress(body, COMPRESSION, mtime=0), "gzip"
    return Response(body, status_code=status, media_type=media_type, headers=sent, cookies=cookies)


def compressed(
    request: Request[Any, Any, Any], body: bytes, media_type: str, *, headers: dict[str, str]
) -> Response[bytes]:
    """Return a body that is compressed already."""
    sent = HEADERS | {name.title(): text for name, text in headers.items()}
    if "gzip" in request.headers.get("accept-encoding", ""):
        sent["Content-Encoding"] = "gzip"
    else:
        body = gzip.decompress(body)
    return Response(body, media_type=media_type, headers=sent)
