"""The stylesheet and the scripts: read once, and kept by browsers under a name that changes with them."""

import zlib
from functools import cache
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException

from service.pages.sending import answer

FOLDER = Path(__file__).parent / "static"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@cache
def content(name: str) -> bytes:
    """Return an asset."""
    return (FOLDER / name).read_bytes()


@cache
def asset_url(name: str) -> str:
    """Return where an asset is found; another address once its content is another."""
    return f"/static/{zlib.crc32(content(name)):08x}/{name}"


@get("/static/{version:str}/{name:str}", sync_to_thread=False, opt={"public": True}, include_in_schema=False)
def asset(request: Request[Any, Any, Any], version: str, name: str) -> Response[bytes]:  # noqa: ARG001 - for the browser's cache
    """Return an asset."""
    kind = Path(name).suffix
    if kind not in TYPES or name not in {path.name for path in FOLDER.iterdir()}:
        raise NotFoundException("there is no such file")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return answer(request, content(name), TYPES[kind], headers=headers)


HANDLERS = [asset]
