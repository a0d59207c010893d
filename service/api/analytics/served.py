"""What all answers of the analytics share: when, from what, how complete; and numbers for the wire."""

import math
from datetime import date
from typing import Any

import numpy as np

from engine.quality import reason_text
from engine.typing import FloatArray
from service.api.analytics.records import DataQuality, Excluded
from service.composed import Composed


def served(
    composed: Composed, coverage: float | None = None, reasons: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Fields that every answer carries."""
    valuation, positions = composed.valuation, composed.positions
    texts = reason_text(valuation.reasons).to_list()
    missing = np.isnan(valuation.market_value)
    excluded = [
        Excluded(symbol, text or "")
        for symbol, text, gone in zip(positions.symbols, texts, missing, strict=True)
        if gone
    ]
    found = {
        code
        for text, gone in zip(texts, missing, strict=True)
        if text and not gone
        for code in text.split(",")
    }
    found |= {*reasons, *(["partial_coverage"] if excluded else [])}
    if not valuation.nav > 0:
        found.add("nav_not_positive")
    if _valued_at(composed) != composed.market.session:
        found.add("stale_snapshot")
    return {
        "portfolio_id": composed.portfolio.portfolio_id if composed.portfolio else None,
        "available": True,
        "as_of": composed.market.session,
        "release": composed.market.book.release,
        "coverage": plain(valuation.coverage if coverage is None else coverage),
        "quality": "degraded" if found else "ok",
        "reasons": sorted(found),
        "excluded": [*excluded, *(Excluded(symbol, "expired") for symbol in composed.expired)],
    }


def _valued_at(composed: Composed) -> date | None:
    """Session that the net asset value is of: of the newest snapshot, before the first one of the start."""
    if composed.snapshot:
        session: date = composed.snapshot["session"]
        return session
    started = composed.portfolio and composed.equity is not None and composed.portfolio.starting_session
    return started or composed.market.session


def plain(value: float) -> float | None:
    """Return a number as Python's own, None for one that does not exist."""
    return float(value) if math.isfinite(value) else None


def fewest_of(n_obs: FloatArray) -> int | None:
    """Return the smallest of some numbers of observations, None without any."""
    known = n_obs[np.isfinite(n_obs)]
    return int(known.min()) if len(known) else None


def data_quality(composed: Composed, last_closed: date, sessions_behind: int) -> DataQuality:
    """Say how many positions an answer rests on, and how old it is."""
    n_total = len(composed.positions.symbols)
    n_valued = int(np.isfinite(composed.valuation.market_value).sum())
    session = composed.market.session
    return DataQuality(
        flag="complete" if n_valued == n_total else "partial",
        message=f"{n_valued} of {n_total} positions have a price",
        positions_analyzed=n_valued,
        positions_total=n_total,
        positions_skipped=n_total - n_valued,
        data_days=composed.volatility.n_obs,
        calculation_date=session,
        age_hours=24 * max(0, (last_closed - session).days),
        is_stale=sessions_behind > 1,
        is_current=sessions_behind == 0,
        should_recalculate=sessions_behind > 1,
    )


def position_id(composed: Composed, lot: int) -> str | None:
    """Id of a stored position, None for one that is not stored."""
    return composed.held[lot].position_id if composed.held else None
