"""A composed portfolio's lots as rows: for the page, its filters, and files to take away."""

import io
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from engine.quality import reason_text
from service.api.analytics.served import plain, position_id
from service.composed import Composed

MARKET_BETA = "Market Beta (90D)"
KINDS = ("public", "option", "private", "cash")
TEXTS = ("position_id", "symbol", "kind", "sector", "quality", "reasons")
QUALITIES = ("ok", "degraded", "unavailable")


class LotRow(NamedTuple):
    """A lot at the book's close: quantity in shares of that day; what does not exist is None."""

    position_id: str | None
    symbol: str
    kind: str
    sector: str | None
    quantity: float
    price: float | None
    market_value: float | None
    weight: float | None
    unrealized_pnl: float | None
    market_beta: float | None
    quality: str
    reasons: str | None


class Filter(msgspec.Struct, frozen=True):
    """Which lots are shown: of a quality, of a kind, with a text in symbol or sector; all by default."""

    quality: str = ""
    kind: str = ""
    find: str = ""

    def of(self, rows: Iterable[LotRow]) -> list[LotRow]:
        """Return the rows that pass."""
        text = self.find.strip().lower()
        return [
            row
            for row in rows
            if self.quality in ("", row.quality)
            and self.kind in ("", row.kind)
            and (text in row.symbol.lower() or text in (row.sector or "").lower())
        ]


def lot_rows(composed: Composed) -> list[LotRow]:
    """Return all open lots, the largest first, those without a value last."""
    held, found = composed.positions, composed.valuation
    rows = [
        LotRow(position_id(composed, lot), *row)
        for lot, row in enumerate(
            zip(
                held.symbols,
                held.kinds,
                _sectors(composed),
                held.quantity.tolist(),
                map(plain, found.price),
                map(plain, found.market_value),
                map(plain, found.market_value / found.weight_base),
                map(plain, found.unrealized_pnl),
                _betas(composed),
                _qualities(composed),
                reason_text(found.reasons).to_list(),
                strict=True,
            )
        )
    ]
    return sorted(rows, key=lambda row: (row.market_value is None, -abs(row.market_value or 0), row.symbol))


def as_csv(rows: Sequence[LotRow]) -> bytes:
    """Return rows as a CSV file."""
    return _frame(rows).write_csv().encode()


def as_parquet(rows: Sequence[LotRow]) -> bytes:
    """Return rows as a Parquet file."""
    out = io.BytesIO()
    _frame(rows).write_parquet(out)
    return out.getvalue()


def _frame(rows: Sequence[LotRow]) -> pl.DataFrame:
    kinds = {name: pl.String if name in TEXTS else pl.Float64 for name in LotRow._fields}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def _sectors(composed: Composed) -> list[str | None]:
    sectors, index = composed.market.book.sectors, composed.market.book.index
    return [sectors[index[name]] if name in index else None for name in composed.positions.listed]


def _betas(composed: Composed) -> list[float | None]:
    book = composed.market.book
    betas = book.betas[:, book.factor_names.index(MARKET_BETA)]
    return [plain(betas[row]) if row >= 0 else None for row in composed.valuation.rows.tolist()]


def _qualities(composed: Composed) -> list[Any]:
    values = composed.valuation.market_value.tolist()
    clean = np.asarray(composed.valuation.reasons) == 0
    return [
        "unavailable" if math.isnan(value) else "ok" if fine else "degraded"
        for value, fine in zip(values, clean, strict=True)
    ]
