"""What a route of one portfolio's analytics is asked, and how it answers: from the book, kept as encoded."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from litestar import MediaType, Request, Response
from litestar.concurrency import sync_to_thread

from service import clock
from service.api.analytics.kept_answers import answered, asked_of, basis_of
from service.api.analytics.records import DataQuality, Served
from service.api.analytics.served import data_quality
from service.api.auth import Caller
from service.api.basis import Basis, Question
from service.api.resources import Resources
from service.composed import Composed
from service.settings import Settings

PATH = "/analytics/portfolio/{portfolio_id:str}"
TAGS = ["analytics"]
NOTHING = "no_calculations_available"
Make: TypeAlias = Callable[[Composed], Served]
encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for analytics of one of the caller's portfolios."""

    request: Request[Any, Any, Any]
    resources: Resources
    caller: Caller
    portfolio_id: str

    async def answer(self, make: Make) -> Response[Any]:
        """Answer from the book and keep the answer, or say that there is no book."""
        resources, owner, portfolio_id = self.resources, self.caller.owner, self.portfolio_id
        basis = basis_of(resources, owner, portfolio_id)
        if basis is None:
            nothing = Served(portfolio_id=portfolio_id, available=False, reasons=[NOTHING])
            return Response({**msgspec.structs.asdict(nothing), "metadata": {"reason": NOTHING}})

        def encoded(basis: Basis) -> bytes:
            portfolio = resources.ledger.portfolios.get(owner, portfolio_id)
            return encoder.encode(make(resources.compositions.of(portfolio, basis.market, basis.accounts)))

        question = Question(owner, portfolio_id, asked_of(self.request.scope), encoded)
        body = await sync_to_thread(answered, resources, basis, question)
        return Response(body, media_type=MediaType.JSON, headers=basis.headers)

    async def graded(self, make: Callable[[Composed, DataQuality], Served]) -> Response[Any]:
        """Answer with something that says how complete and how fresh it is."""
        resources = self.resources  # and not the request, which would be kept with the question
        return await self.answer(lambda composed: make(composed, quality_of(resources, composed)))


async def asked(
    request: Request[Any, Any, Any], resources: Resources, caller: Caller, portfolio_id: str
) -> Asked:
    """Provide what a route is asked."""
    return Asked(request, resources, caller, portfolio_id)


def quality_of(resources: Resources, composed: Composed) -> DataQuality:
    """Say how fresh and how complete an answer is today."""
    return quality_on(resources.settings, composed)


def quality_on(settings: Settings, composed: Composed) -> DataQuality:
    """Say how fresh and how complete a composition is by the settings' clock."""
    closed = clock.last_closed_session(settings)
    behind = len(clock.sessions_between(composed.market.session, closed)) - 1
    return data_quality(composed, closed, max(0, behind))
