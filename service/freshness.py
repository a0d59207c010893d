"""How fresh the prices are, in trading days: against the last session whose nightly batch was due."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, TypeAlias

import polars as pl

from engine.factors import PROXIES
from service import clock
from service.settings import Settings
from storage.store import Store

AlertLevel: TypeAlias = Literal["none", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far the newest prices lie behind.

    Attributes
    ----------
    latest_price_date : date or None
        Newest session with a price of the market proxy, without which no session is computed.
    due_session : date
        Newest session whose batch was due.
    staleness_status : str
        ``current``, ``stale_1d``, ``stale_2d`` …; ``no_prices`` in an empty store.
    trading_days_stale : int or None
        Sessions after the newest price up to the due one.
    next_expected_update : datetime
        When the next batch is due, in New York time.
    """

    latest_price_date: date | None
    due_session: date
    staleness_status: str
    trading_days_stale: int | None
    alert_level: AlertLevel
    next_expected_update: datetime


def freshness(store: Store, settings: Settings) -> Freshness:
    """Compare the newest price of the market with what the clock says was due."""
    due, upcoming = clock.due_session(settings), clock.next_due(settings)
    market = store.read("prices", columns=["session"], symbols=[PROXIES["Market"]])
    newest: date | None = market.select(pl.col("session").max()).item()
    if newest is None:
        return Freshness(None, due, "no_prices", None, "critical", upcoming)
    stale = max(0, len(clock.sessions_between(newest, due)) - 1)
    level: AlertLevel = "none" if stale == 0 else "warning" if stale == 1 else "critical"
    return Freshness(newest, due, f"stale_{stale}d" if stale else "current", stale, level, upcoming)
