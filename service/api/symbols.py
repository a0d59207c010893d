"""Routes that say what is known of a symbol, and have its data fetched."""

from typing import Literal

import msgspec
import numpy as np
from litestar import Response, get, post

from engine.valuation import MAX_PRICE_AGE
from service.api.auth import Caller
from service.api.problems import ApiError, invalid
from service.api.resources import Resources
from service.csv_import.fields import CASH_PREFIX, SYMBOL
from service.csv_import.rows import MAX_SYMBOL
from service.live_book import Market

SECONDS = {"processing": 30, "pending": 60}
MIN_RETURNS = 30  # below which a symbol is too young for any factor


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
    return _status(resources, symbol.upper())


@post("/symbols/{symbol:str}/fetch", status_code=202, sync_to_thread=True, tags=["symbols"])
def fetch_symbol(resources: Resources, caller: Caller, symbol: str) -> Response[SymbolStatus]:
    """Queue a symbol that is unknown, or could not be fetched; 503 while the queue is full."""
    name = symbol.strip().upper()
    if len(name) > MAX_SYMBOL or not SYMBOL.fullmatch(name) or name.startswith(CASH_PREFIX):
        text = f"give a listed symbol: 1 to {MAX_SYMBOL} letters, digits, '.', '_' and '-'"
        raise invalid((("path", "symbol"), text))
    found = _status(resources, name)
    if found.status in ("unknown", "error") and found.factors_date is None:
        if resources.ledger.symbol_queue.enqueue([name], owner=caller.owner).deferred:
            text = f"as many symbols wait as may; ask for {name} again when some have arrived"
            raise ApiError(503, "queue_full", text, headers={"Retry-After": str(SECONDS["pending"])})
        found = _status(resources, name)
    return Response(found, headers={"Location": f"/api/v1/symbols/{name}/status"})


def _status(resources: Resources, name: str) -> SymbolStatus:
    market = resources.market()
    if market and name in market.book.index:
        return _known(market, name)
    job = resources.ledger.symbol_queue.jobs([name]).get(name)
    if job is None or job.status == "completed":
        return SymbolStatus(name, "unknown", f"{name} was never seen", None)
    if job.status == "failed":
        return SymbolStatus(name, "error", job.error or "its data could not be fetched", None)
    return SymbolStatus(name, job.status, f"{name} is {job.status}", SECONDS[job.status])


def _known(market: Market, name: str) -> SymbolStatus:
    """Say whether a symbol of the book has a fresh price, and factors unless it is too young for any."""
    book, row = market.book, market.book.index[name]
    as_of, age = str(book.as_of), int(book.close_age[row])
    if not 0 <= age <= MAX_PRICE_AGE:
        text = f"{name} has had no price in the last {MAX_PRICE_AGE} sessions"
        return SymbolStatus(name, "error", text, None, as_of)
    if np.isfinite(book.betas[row]).any():
        return SymbolStatus(name, "ready", f"{name} has prices and factors", None, as_of)
    if int(np.isfinite(book.returns[row]).sum()) < MIN_RETURNS:
        return SymbolStatus(name, "ready", f"{name} has prices, and too few for factors", None, as_of)
    return SymbolStatus(name, "error", f"{name} has prices, but no factors", None, as_of)


HANDLERS = [symbol_status, fetch_symbol]
