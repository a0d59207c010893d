"""Answers that were made before, given again as long as nothing that they rest on has changed."""

from dataclasses import dataclass

from litestar.types import ASGIApp, Middleware, Receive, Scope, Send

from service import clock
from service.api.resources import Resources
from service.live_book import Accounts, Market


@dataclass(frozen=True, slots=True)
class Basis:
    """What the answers on a portfolio rest on; they are the same under the same ``etag``."""

    market: Market
    accounts: Accounts
    etag: str

    @property
    def headers(self) -> dict[str, str]:
        """Headers of an answer: the client's copy stands until the ``etag`` is another."""
        return {"etag": self.etag, "cache-control": "private, no-cache"}

    def key(self, scope: Scope) -> tuple[str, str, bytes]:
        """Return what the answer to a request is kept under."""
        return self.etag, scope["path"], scope["query_string"]


def basis_of(resources: Resources, owner: str, portfolio_id: str) -> Basis | None:
    """Return what a portfolio's answers rest on now, None as long as no session was ever computed.

    Raises
    ------
    NotFound
        The owner has no such portfolio.
    NotReadyError
        The first book is still being loaded.
    """
    revision = resources.ledger.portfolios.revision(owner, portfolio_id)
    market, accounts = resources.market(), resources.live.accounts
    if market is None:
        return None
    closed = clock.last_closed_session(resources.settings)
    etag = f'"{market.book.release}.{accounts.release}.{revision}.{closed:%Y%m%d}"'
    return Basis(market, accounts, etag)


class KeptAnswers:
    """Gives a kept answer, or says that the client's copy still stands; else lets the route make one."""

    def __init__(self, app: ASGIApp, resources: Resources) -> None:
        self._app, self._resources = app, resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request if its answer is there."""
        if scope.get("method") == "GET":
            basis = basis_of(self._resources, scope["auth"].owner, scope["path_params"]["portfolio_id"])
            if basis is not None:
                if (b"if-none-match", basis.etag.encode()) in scope["headers"]:
                    await _send(send, 304, basis)
                    return
                body = self._resources.answers.found(basis.key(scope))
                if body is not None:
                    await _send(send, 200, basis, body)
                    return
        await self._app(scope, receive, send)


async def _send(send: Send, status: int, basis: Basis, body: bytes = b"") -> None:
    headers = [(name.encode(), text.encode()) for name, text in basis.headers.items()]
    if body:
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def keeping(resources: Resources) -> Middleware:
    """Return the middleware for routes of one portfolio, whose answers are kept."""
    return lambda app: KeptAnswers(app, resources)
