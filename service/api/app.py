"""The application: routes under their prefixes, one door, one translator of errors, a book kept fresh."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Router
from litestar.concurrency import sync_to_thread
from litestar.datastructures import State
from litestar.di import Provide

from service.accounts import Accounts
from service.api import (
    calculation,
    docs,
    equity_changes,
    health,
    metrics,
    onboarding,
    portfolios,
    position_changes,
    positions,
    sql,
    symbols,
)
from service.api.admin import events as admin_events
from service.api.admin import runs as admin_runs
from service.api.admin import views as admin_views
from service.api.analytics import aggregates, calculating, history_routes, what_if
from service.api.analytics import routes as analytics
from service.api.analytics.kept_answers import answer_ahead, keeping
from service.api.auth import Caller, Doorkeeper, admitting, caller_of
from service.api.data import portfolios as data_portfolios
from service.api.data import positions as data_positions
from service.api.data import prices as data_prices
from service.api.document import DecimalsAreNumbers, openapi
from service.api.problems import HANDLERS, documented
from service.api.resources import Resources
from service.api.timeouts import within
from service.composed import rehearse
from service.live_book import Market
from service.pages.kept import make_kept
from service.pages.router import pages

MAX_BODY = 1024 * 1024
FAMILIES = (
    onboarding,
    calculation,
    calculating,
    symbols,
    what_if,
    aggregates,
    portfolios,
    positions,
    position_changes,
    equity_changes,
    data_portfolios,
    data_positions,
    data_prices,
)
ADMIN_FAMILIES = (admin_runs, admin_views, admin_events)
KEPT_FAMILIES = (analytics, history_routes)
log = logging.getLogger(__name__)


def create_app(resources: Resources, *, open_to_all: bool = False) -> Litestar:
    """Return the application on the given resources.

    Parameters
    ----------
    open_to_all : bool
        Whether requests need no key as long as the ledger has none; for a service on loopback.
    """
    first, kept, admin = (
        documented([handler for family in families for handler in family.HANDLERS])
        for families in (
            (*FAMILIES, *(sql,) * resources.settings.sql_page),
            KEPT_FAMILIES,
            ADMIN_FAMILIES,
        )
    )
    doorkeeper = Doorkeeper(resources.ledger, open_to_all=open_to_all)
    kept_pages = make_kept(resources.secret)
    admitted, measured = [admitting(doorkeeper)], metrics.Metrics(resources)
    return Litestar(
        route_handlers=[
            Router("/", route_handlers=[*health.HANDLERS, *metrics.HANDLERS, *documented(docs.HANDLERS)]),
            Router("/api/v1", route_handlers=first, middleware=admitted),
            Router("/api/v1", route_handlers=kept, middleware=[*admitted, keeping(resources)]),
            Router("/api/v1/admin", route_handlers=admin, middleware=admitted, opt={"scope": "admin"}),
            Router("/api/v2", route_handlers=documented([onboarding.simple]), middleware=admitted),
            pages(doorkeeper, kept_pages.sessions, resources.settings),
        ],
        dependencies={
            "resources": Provide(_resources, sync_to_thread=False),
            "caller": Provide(_caller, sync_to_thread=False),
        },
        exception_handlers=HANDLERS,
        lifespan=[_background],
        logging_config=None,  # whoever runs the application says where its log goes
        middleware=[
            metrics.measuring(measured),
            within(resources.settings.request_seconds, resources.settings.docs_url),
        ],
        openapi_config=openapi(),
        plugins=[DecimalsAreNumbers()],
        request_max_body_size=MAX_BODY,
        state=State(
            {"resources": resources, "pages": kept_pages, "doorkeeper": doorkeeper, "metrics": measured}
        ),
    )


def _resources(state: State) -> Resources:
    resources: Resources = state.resources
    return resources


def _caller(request: Request[Any, Any, Any]) -> Caller:
    return caller_of(request)


@asynccontextmanager
async def _background(app: Litestar) -> AsyncIterator[None]:
    """Load the book, exchange it when a batch publishes, and take first snapshots.

    Runs and symbols that dead processes have left behind are cleared up first.
    """
    resources: Resources = app.state.resources
    await sync_to_thread(resources.ledger.runs.fail_stale)
    await sync_to_thread(resources.ledger.symbol_queue.resume)

    def prepare(market: Market, accounts: Accounts) -> None:
        if resources.live.market is None:
            rehearse(market)
        answer_ahead(resources, market, accounts)

    resources.live.prepare = prepare

    async def watch() -> None:
        while True:
            if await sync_to_thread(resources.live.refresh) and resources.live.market:
                book = resources.live.market.book
                log.info(
                    "release %d of %s is served: %d symbols", book.release, book.as_of, len(book.symbols)
                )
            await asyncio.sleep(resources.settings.release_seconds)

    tasks = [asyncio.create_task(watch()), asyncio.create_task(resources.snapshots.follow())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        app.state.pages.renderer.close()
