"""Quality levels and reason codes of every stored and served number; imports numpy and polars.

A number's reasons are a bit mask (uint32): bit i stands for ``REASONS[i]``. In frames they are one string
column of comma-separated codes in this order, null when there is none.
"""

import numpy as np
import polars as pl

from engine.typing import MaskArray

QUALITY = ("ok", "degraded", "unavailable")
OK, DEGRADED, UNAVAILABLE = range(3)

REASONS = (
    "insufficient_history",  # fewer observations than the number's minimum
    "constant_series",  # the series never moves in the window
    "constant_factor",  # the factor never moves over the rows used
    "missing_proxy",  # the factor itself has fewer returns in the window than the minimum
    "collinear_factors",  # the factors of one model cannot be told apart
    "clipped",  # the raw beta lies outside the stored range
    "proxied",  # sector or universe medians stand in for a short history
    "stale_price",  # the price is older than as_of
    "gaps",  # sessions are missing inside the window
    "suspect_move",  # a large move without a known event
    "adjusted_only",  # the source has one price column, taken as adjusted
    "forecast_clipped",  # the forecast left the range seen in its window
    "exact_fit",  # no residual is left: the standard error is 0, t undefined
    "missing_volume",  # fewer than two thirds of the volumes in the window
    "unknown_symbol",  # the symbol layer has never seen it
    "no_price",  # no close within the last five sessions
    "option_not_priced",  # an option without a quote or a model price
    "entry_price_mark",  # a private position without a mark of its own, valued at its entry price
    "nav_not_positive",  # weights and percentages of such a book mean nothing
    "partial_coverage",  # part of the book has no such number and is left out
    "entry_price_reference",  # no price at the previous snapshot: P&L counts from the entry price
    "exit_price_missing",  # sold at a price that nobody entered: the close of the day stands in
    "price_return",  # the source has no dividends: P&L leaves them out
    "stale_snapshot",  # NAV and P&L are of an earlier session than the book
    "model_vol",  # the underlying's forecast stands in for a volatility implied by a quote
    "model_price",  # an option without a quote, valued by the model
    "expired",  # an option after its last day: no longer part of the book
    "split_adjusted",  # an option's terms were adjusted for splits of its underlying since they were entered
    "no_dividend_yield",  # an option whose underlying's profile has none, priced as if it paid nothing
)

EVENTS = ("split", "dividend")  # kinds of corporate action that explain a large move on their session


def reason_bit(name: str) -> int:
    """Return the mask of one reason code; ``ValueError`` for an unknown one."""
    return 1 << REASONS.index(name)


def reason_text(masks: MaskArray) -> pl.Series:
    """Spell out reason masks ``(n,)`` as comma-separated codes ``(n,)``; null where a mask is 0."""
    distinct, place = _distinct(masks)
    texts = [
        ",".join(code for bit, code in enumerate(REASONS) if mask >> bit & 1) or None
        for mask in distinct.tolist()
    ]
    return pl.Series("reasons", texts, dtype=pl.String).gather(place.astype(np.uint32, copy=False))


def _distinct(masks: MaskArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct masks, and the place of each one ``(n,)`` among them."""
    if masks.max(initial=0) > 4 * len(masks) + 65_536:
        return np.unique(masks, return_inverse=True)
    seen = np.bincount(masks, minlength=1)  # far cheaper than sorting unless the largest is very large
    distinct = np.flatnonzero(seen)
    place = np.zeros(len(seen), dtype=np.uint32)
    place[distinct] = np.arange(len(distinct))
    return distinct, place[masks]


def quality_text(levels: np.ndarray) -> pl.Series:
    """Spell out quality levels ``(n,)`` of integers."""
    return pl.Series("quality", QUALITY, dtype=pl.String).gather(levels.astype(np.uint32))
