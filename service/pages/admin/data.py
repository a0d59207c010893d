"""How good the stored data are: stale, missing, set aside, with gaps, with jumps."""

from typing import Any

from litestar import Request, Response, get

from service.admin.data_quality import data_quality
from service.admin.operations import data_freshness
from service.api.resources import Resources
from service.pages.admin.overview import ADMIN
from service.pages.html import page

KINDS = {
    "missing_prices": "Without a price on the newest session",
    "missing_factors": "Without a beta of our own",
    "stale": "With an old newest price",
    "gap_suspects": "That skipped sessions",
    "jump_suspects": "Jumps without a known event",
    "quarantined": "Values set aside",
}


@get("/admin/data", sync_to_thread=True, opt=ADMIN, include_in_schema=False)
def data(request: Request[Any, Any, Any], resources: Resources) -> Response[bytes]:
    """Show what is wrong with the data."""
    return page(
        request,
        "admin_data.html",
        fresh=data_freshness(resources.store, resources.settings),
        kinds=KINDS,
        report=data_quality(resources.store),
    )


HANDLERS = [data]
