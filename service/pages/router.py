"""All pages under one door, with one translator of errors."""

from litestar import Router
from litestar.di import Provide

from service.api.analytics.asked import asked
from service.api.auth import Doorkeeper
from service.pages import assets, login, onboarding, portfolio, portfolios, setup, sql, what_if
from service.pages.admin import data, overview, runs, streams
from service.pages.door import check_token, entering
from service.pages.errors import HANDLERS
from service.pages.sessions import Sessions
from service.settings import Settings

OPERATORS = (overview, runs, data, streams)
FAMILIES = (assets, login, portfolios, onboarding, setup, portfolio, what_if, *OPERATORS)


def pages(doorkeeper: Doorkeeper, sessions: Sessions, settings: Settings) -> Router:
    """Return the routes of the pages that are on."""
    families = (*FAMILIES, sql) if settings.sql_page else FAMILIES
    return Router(
        "/",
        route_handlers=[handler for family in families for handler in family.HANDLERS],
        middleware=[entering(doorkeeper, sessions)],
        dependencies={"asked": Provide(asked)},
        before_request=check_token,
        exception_handlers=HANDLERS,
    )
