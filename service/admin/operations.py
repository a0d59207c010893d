"""What stands between runs: how fresh prices are, what failed, what waits, what the book holds."""

from dataclasses import asdict
from typing import Any, Literal

import msgspec
import numpy as np

from service import clock
from service.freshness import freshness
from service.live_book import LiveBook, Market
from service.settings import Settings
from storage.failures import Failure
from storage.ledger import Ledger
from storage.store import Store

SHOWN_PENDING = 20


class DataFreshness(msgspec.Struct):
    """The newest price of the market beside the session whose batch was due last; null without any price."""

    latest_price_date: str | None
    status: str
    staleness_status: str
    trading_days_stale: int | None
    alert_level: Literal["none", "warning", "critical"]
    due_session: str
    next_expected_update: str


class FailureRow(msgspec.Struct):
    """What a run could not do for one symbol or portfolio; ``resolved_at`` is null until a later run does."""

    id: str
    batch_run_id: str
    batch_type: str
    batch_date: str | None
    item_id: str
    error_type: str
    error_message: str
    retry_count: int
    created_at: str
    updated_at: str
    resolved_at: str | None


class PendingSymbol(msgspec.Struct):
    """A symbol that waits to be fetched."""

    symbol: str
    queued_at: str


class SymbolQueueStatus(msgspec.Struct):
    """Symbols that wait, are fetched, or could not be; the oldest twenty that wait."""

    pending_count: int
    processing_count: int
    failed_count: int
    pending_symbols: list[PendingSymbol]


class CacheStatus(msgspec.Struct):
    """The in-memory book; the estimate counts its arrays."""

    symbols_cached: int
    latest_price_date: str | None
    last_refresh: str | None
    memory_estimate_mb: float
    release: int | None
    error: str | None


def data_freshness(store: Store, settings: Settings) -> DataFreshness:
    """Say how many trading days the newest price is behind."""
    found = freshness(store, settings)
    newest = found.latest_price_date
    return DataFreshness(
        latest_price_date=None if newest is None else str(newest),
        status=found.staleness_status,
        staleness_status=found.staleness_status,
        trading_days_stale=found.trading_days_stale,
        alert_level=found.alert_level,
        due_session=str(found.due_session),
        next_expected_update=clock.timestamp(found.next_expected_update),
    )


def failures(
    ledger: Ledger,
    *,
    batch_type: str | None = None,
    since: str | None = None,
    run_id: str | None = None,
    is_open: bool = False,
    limit: int = 50,
) -> list[FailureRow]:
    """List what runs failed on, the latest first; with ``is_open`` only what no later run has mended."""
    found = ledger.failures.newest(batch_type, since=since, is_open=is_open, run_id=run_id, limit=limit)
    return [_failure(each) for each in found]


def symbol_queue(ledger: Ledger) -> SymbolQueueStatus:
    """Count the symbols of the queue, and name the oldest that wait."""
    counts = ledger.symbol_queue.counts()
    waiting = ledger.symbol_queue.pending(limit=SHOWN_PENDING)
    return SymbolQueueStatus(
        counts["pending"],
        counts["processing"],
        counts["failed"],
        [PendingSymbol(job.symbol, job.created_at) for job in waiting],
    )


def cache_status(live: LiveBook) -> CacheStatus:
    """Describe the book that requests are answered from."""
    market = live.market
    return CacheStatus(
        symbols_cached=len(market.book.symbols) if market else 0,
        latest_price_date=str(market.session) if market else None,
        last_refresh=live.completed_at,
        memory_estimate_mb=round(_bytes_of(market) / 1e6, 3) if market else 0.0,
        release=market.book.release if market else None,
        error=live.error,
    )


def _failure(failure: Failure) -> FailureRow:
    fields: dict[str, Any] = asdict(failure)
    session = fields.pop("batch_date")
    return FailureRow(
        id=fields.pop("failure_id"),
        batch_run_id=fields.pop("run_id"),
        batch_date=None if session is None else str(session),
        **fields,
    )


def _bytes_of(market: Market) -> int:
    arrays = (getattr(market.book, name) for name in type(market.book).__dataclass_fields__)
    return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
