"""The first page: an owner's portfolios with what each is worth."""

from typing import Any

from litestar import Request, Response, get

from service.api.auth import Caller
from service.api.portfolios import portfolio_list
from service.api.resources import Resources
from service.pages.html import page


@get("/", sync_to_thread=True, include_in_schema=False)
def home(request: Request[Any, Any, Any], resources: Resources, caller: Caller) -> Response[bytes]:
    """Show the caller's portfolios."""
    found = portfolio_list(resources, caller.owner, include_inactive=True)
    market = resources.live.market
    return page(request, "portfolios.html", found=found, as_of=market.session if market else None)


HANDLERS = [home]
