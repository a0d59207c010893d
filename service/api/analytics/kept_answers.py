"""Answers that were made before, given again as long as nothing that they rest on has changed.

What was asked for last is answered on a new release before it is served, so that nobody waits for it.
"""

import logging
from time import monotonic, sleep, thread_time

from litestar.types import ASGIApp, Middleware, Receive, Scope, Send

from service import clock
from service.accounts import Accounts
from service.api.basis import Basis, Question
from service.api.resources import Resources
from service.live_book import Market

AHEAD_SECONDS = 10.0  # that a release waits at most for the answers on it
PAUSE = 3.0  # after each of them, in processor seconds that it took
log = logging.getLogger(__name__)


def basis_of(resources: Resources, owner: str, portfolio_id: str) -> Basis | None:
    """Return what a portfolio's answers rest on now, None as long as no session was ever computed.

    Raises
    ------
    NotFound
        The owner has no such portfolio.
    NotReadyError
        The first book is still being loaded.
    """
    market = resources.market()
    revision = resources.ledger.portfolios.revision(owner, portfolio_id)
    if market is None:
        return None
    return _basis(resources, market, resources.live.accounts, portfolio_id, revision)


def _basis(
    resources: Resources, market: Market, accounts: Accounts, portfolio_id: str, revision: int
) -> Basis:
    closed, version = clock.last_closed_session(resources.settings), accounts.version_of(portfolio_id)
    return Basis(market, accounts, f'"{market.book.release}.{version}.{revision}.{closed:%Y%m%d}"')


def answer_ahead(resources: Resources, market: Market, accounts: Accounts) -> None:
    """Answer what was asked for last on what is about to be served; most of the time is left to requests."""
    until = monotonic() + AHEAD_SECONDS
    for question in resources.questions.newest():
        worked = thread_time()
        if monotonic() > until:
            log.info("what is not answered ahead by now is answered when it is asked for")
            break
        try:
            revision = resources.ledger.portfolios.revision(question.owner, question.portfolio_id)
            basis = _basis(resources, market, accounts, question.portfolio_id, revision)
            _kept(resources, basis, question)
        except Exception:  # its portfolio is gone, say: whoever asks again is told
            log.debug("%s is not answered ahead", question.asked[0], exc_info=True)
        sleep(PAUSE * (thread_time() - worked))


def answered(resources: Resources, basis: Basis, question: Question) -> bytes:
    """Answer a question, and keep the answer and the question."""
    body = _kept(resources, basis, question)
    resources.questions.kept(question.asked, lambda: question)
    return body


def _kept(resources: Resources, basis: Basis, question: Question) -> bytes:
    return resources.answers.kept((basis.etag, *question.asked), lambda: question.answer(basis))


def asked_of(scope: Scope) -> tuple[str, bytes]:
    """Return what a request asks: its path and its query."""
    return scope["path"], scope["query_string"]


class KeptAnswers:
    """Gives a kept answer, or says that the client's copy still stands; else lets the route make one."""

    def __init__(self, app: ASGIApp, resources: Resources) -> None:
        self._app, self._resources = app, resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request if its answer is there."""
        if scope.get("method") == "GET":
            basis = basis_of(self._resources, scope["auth"].owner, scope["path_params"]["portfolio_id"])
            if basis is not None:
                asked = asked_of(scope)
                self._resources.questions.found(asked)  # those asked for last are kept
                if (b"if-none-match", basis.etag.encode()) in scope["headers"]:
                    await _send(send, 304, basis)
                    return
                body = self._resources.answers.found((basis.etag, *asked))
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
