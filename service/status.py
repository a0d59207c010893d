"""What a store holds, how fresh it is, and how its jobs ended."""

from typing import Any

import polars as pl

from service import clock
from service.settings import Settings
from storage.store import Store


def store_status(store: Store, settings: Settings) -> dict[str, Any]:
    """Describe the newest release: its session, symbols, quarantine, marks, and the last runs.

    ``trading_days_stale`` counts the exchange sessions since the newest price.
    """
    release = store.release()
    prices = store.read("prices", release=release, columns=["session"])["session"]
    newest = prices.max()
    closed = clock.last_closed_session(settings)
    stale = None if newest is None else max(0, len(clock.sessions_between(newest, closed)) - 1)  # type: ignore[arg-type]
    quarantined = store.read("quarantine", release=release, columns=["reason"])
    return {
        "store": str(store.path),
        "release": release.number,
        "computed_session": release.session,
        "latest_price_date": newest,
        "last_closed_session": closed,
        "trading_days_stale": stale,
        "symbols": len(store.ledger.symbols.ids()),
        "price_rows": len(prices),
        "quarantined": dict(quarantined.group_by("reason").agg(pl.len()).sort("reason").iter_rows()),
        "to_recompute": sorted(store.ledger.symbols.recompute_marks()),
        "last_runs": [
            {
                "run_id": run.run_id,
                "job_type": run.job_type,
                "status": run.status,
                "started_at": run.started_at,
                "completed_at": run.completed_at,
                "error": run.error,
            }
            for run in store.ledger.runs.history(limit=5)
        ],
    }
