"""What the pages keep between requests; made once, held by the application."""

import gzip
from dataclasses import dataclass
from typing import Any

from litestar import Request

from service.api.analytics.asked import Asked, quality_of
from service.api.analytics.kept_answers import basis_of
from service.api.basis import Basis
from service.memo import Memo
from service.pages.charts.drawing import Mode
from service.pages.charts.renderer import Renderer
from service.pages.sessions import Sessions
from service.pages.views import View

VIEWS, SVG_BYTES = 64, 32 << 20


@dataclass(frozen=True, slots=True)
class Kept:
    """Sessions, the process that renders charts, and what was made before (charts compressed)."""

    sessions: Sessions
    renderer: Renderer
    views: Memo[View]
    svgs: Memo[bytes]


def make_kept(secret: bytes) -> Kept:
    """Return a new one; its renderer starts with the first chart."""
    return Kept(Sessions(secret), Renderer(), Memo(VIEWS), Memo(SVG_BYTES, size_of=len))


def kept_of(request: Request[Any, Any, Any]) -> Kept:
    """Return what the application keeps."""
    kept: Kept = request.app.state.pages
    return kept


def view_of(asked: Asked) -> tuple[View, Basis] | None:
    """Return a portfolio's view and what it rests on, None as long as no session was ever computed."""
    resources, owner, portfolio_id = asked.resources, asked.caller.owner, asked.portfolio_id
    basis = basis_of(resources, owner, portfolio_id)
    if basis is None:
        return None

    def made() -> View:
        portfolio = resources.ledger.portfolios.get(owner, portfolio_id)
        composed = resources.compositions.of(portfolio, basis.market, basis.accounts)
        return View(resources.store, composed, quality_of(resources, composed))

    return kept_of(asked.request).views.kept((portfolio_id, basis.etag), made), basis


def compressed_svg(kept: Kept, view: View, key: tuple[str, str], name: str, mode: Mode) -> bytes:
    """Return a chart, compressed; ``key`` is the portfolio's id and the tag of what the view rests on."""
    return kept.svgs.kept(
        (*key, name, mode), lambda: gzip.compress(kept.renderer.svg(view.spec(name, mode)).encode(), mtime=0)
    )
