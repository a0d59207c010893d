"""How a book is spread: concentration by symbol, weights by sector. Imports numpy alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.book import SymbolBook
from engine.valuation import Positions, Valuation

UNCLASSIFIED, ETFS, CASH, PRIVATE, OPTIONS = "Unclassified", "ETFs", "Cash", "Private", "Options"


@dataclass(frozen=True, slots=True)
class Concentration:
    """Concentration over symbols, with shares w = |ΣV| of a symbol / Σ of those; cash is none.

    ``hhi`` = 10,000·Σw² (Herfindahl–Hirschman, 0–10,000), ``effective_num_positions`` = 10,000/hhi, ``top_3``
    and ``top_10`` shares; NaN without a valued position.
    """

    hhi: float
    effective_num_positions: float
    top_3: float
    top_10: float
    weights: dict[str, float]


def concentration(positions: Positions, valuation: Valuation) -> Concentration:
    """Measure the concentration of the valued positions, largest share first in ``weights``."""
    counted = np.isfinite(valuation.market_value) & ~positions.of_kind("cash")
    values: dict[str, float] = {}
    for lot in np.flatnonzero(counted).tolist():
        symbol = positions.symbols[lot]
        values[symbol] = values.get(symbol, 0.0) + float(valuation.market_value[lot])
    total = sum(abs(value) for value in values.values())
    if not total > 0:
        return Concentration(np.nan, np.nan, np.nan, np.nan, {})
    weights = {symbol: abs(value) / total for symbol, value in values.items()}
    ordered = dict(sorted(weights.items(), key=lambda item: (-item[1], item[0])))
    shares = np.array(list(ordered.values()))
    hhi = 1e4 * float(shares @ shares)
    return Concentration(hhi, 1e4 / hhi, float(shares[:3].sum()), float(shares[:10].sum()), ordered)


@dataclass(frozen=True, slots=True)
class SectorWeights:
    """Weights over NAV by sector: ``net`` adds up to 1 with the cash bucket, ``gross`` leaves cash out.

    ``active`` = net − benchmark over the sectors of either; empty without a benchmark.
    """

    net: dict[str, float]
    gross: dict[str, float]
    market_value: dict[str, float]
    n_positions: dict[str, int]
    active: dict[str, float]


def sector_weights(
    book: SymbolBook, positions: Positions, valuation: Valuation, benchmark: Mapping[str, float]
) -> SectorWeights:
    """Sum market values by sector; ETFs, private positions, options and cash are buckets of their own."""
    net: dict[str, float] = {}
    gross: dict[str, float] = {}
    count: dict[str, int] = {}
    for lot in np.flatnonzero(np.isfinite(valuation.market_value)).tolist():
        sector = _bucket(book, positions.kinds[lot], int(valuation.rows[lot]))
        if sector != CASH:
            value = float(valuation.market_value[lot])
            net[sector] = net.get(sector, 0.0) + value
            gross[sector] = gross.get(sector, 0.0) + abs(value)
            count[sector] = count.get(sector, 0) + 1
    net[CASH] = valuation.cash
    base = valuation.weight_base
    weights = {sector: value / base for sector, value in net.items()}
    sectors = sorted({*weights, *benchmark} - {CASH}) if benchmark else []
    return SectorWeights(
        net=weights,
        gross={sector: value / base for sector, value in gross.items()},
        market_value=net,
        n_positions=count,
        active={sector: weights.get(sector, 0.0) - benchmark.get(sector, 0.0) for sector in sectors},
    )


def _bucket(book: SymbolBook, kind: str, row: int) -> str:
    named = {"cash": CASH, "private": PRIVATE, "option": OPTIONS}
    if kind in named:
        return named[kind]
    if book.asset_classes[row] == "etf":
        return ETFS
    return book.sectors[row] or UNCLASSIFIED
