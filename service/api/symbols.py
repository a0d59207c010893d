"""Routes that say what is known of a symbol."""

from typing import Literal

import msgspec
from litestar import get

from service.api.resources import Resources

SECONDS = {"processing": 30, "pending": 60}


class SymbolStatus(msgspec.Struct):
    """Whether a symbol's data are there, and when they will be."""

    symbol: str
    status: Literal["ready", "processing", "pending", "error", "unknown"]
    message: str
    estimated_seconds: int | None
    factors_date: str | None = None


@get("/symbols/{symbol:str}/status", sync_to_thread=True, tags=["symbols"])
def symbol_status(resources: Resources, symbol: str) -> SymbolStatus:
    """Say whether a symbol's prices and factors are there."""
    name, market = symbol.upper(), resources.market()
    if market and name in market.book.index:
        return SymbolStatus(name, "ready", f"{name} has prices and factors", None, str(market.book.as_of))
    job = resources.ledger.symbol_queue.jobs([name]).get(name)
    if job is None or job.status == "completed":
        return SymbolStatus(name, "unknown", f"{name} was never seen", None)
    if job.status == "failed":
        return SymbolStatus(name, "error", job.error or "its data could not be fetched", None)
    return SymbolStatus(name, job.status, f"{name} is {job.status}", SECONDS[job.status])


HANDLERS = [symbol_status]
