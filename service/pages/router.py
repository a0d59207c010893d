"""All pages under one door, with one translator of errors."""

from litestar import Router

from service.api.auth import Doorkeeper
from service.pages import assets, login, portfolios
from service.pages.door import check_token, entering
from service.pages.errors import HANDLERS
from service.pages.sessions import Sessions

FAMILIES = (assets, login, portfolios)


def pages(doorkeeper: Doorkeeper, sessions: Sessions) -> Router:
    """Return the routes of the pages."""
    return Router(
        "/",
        route_handlers=[handler for family in FAMILIES for handler in family.HANDLERS],
        middleware=[entering(doorkeeper, sessions)],
        before_request=check_token,
        exception_handlers=HANDLERS,
    )
