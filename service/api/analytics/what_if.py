"""A route that analyzes positions nobody has stored, or changes to those that are."""

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from litestar import post
from msgspec import Meta

from engine.valuation import Kind, Positions
from service.api.analytics import answers
from service.api.analytics.records import (
    ConcentrationAnswer,
    DataQuality,
    FactorExposuresAnswer,
    Overview,
    RiskAttribution,
    SectorExposure,
    StressTest,
    Volatility,
)
from service.api.analytics.routes import quality_of
from service.api.auth import Caller
from service.api.problems import ApiError
from service.api.resources import Resources
from service.composed import Composed
from service.live_book import Market

MAX_CHANGES = 5_000
Symbol = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")]
Amount = Annotated[float, Meta(ge=-1e12, le=1e12)]


class Trade(msgspec.Struct, forbid_unknown_fields=True):
    """A quantity of a symbol to add, negative to take away or sell short.

    ``entry_price`` is the book's close when not given; a private position needs one.
    """

    symbol: Symbol
    quantity: Amount
    entry_price: Annotated[float, Meta(gt=0, le=1e12)] | None = None
    kind: Literal["public", "private", "cash"] = "public"


class WhatIf(msgspec.Struct, forbid_unknown_fields=True):
    """Positions to analyze: ``trades`` alone, or on top of a stored portfolio, at the book's closes.

    ``equity_balance`` is the net asset value; that of the portfolio when not given, which trading at the
    closes does not change.
    """

    trades: Annotated[list[Trade], Meta(max_length=MAX_CHANGES)]
    portfolio_id: str | None = None
    equity_balance: Annotated[float, Meta(gt=0, le=1e12)] | None = None


class Analytics(msgspec.Struct):
    """All analytics of one book."""

    overview: Overview
    factor_exposures: FactorExposuresAnswer
    volatility: Volatility
    risk: RiskAttribution
    concentration: ConcentrationAnswer
    sector_exposure: SectorExposure
    stress_test: StressTest


class WhatIfAnswer(msgspec.Struct):
    """The stored portfolio as it is (null without one), and as it would be; nothing was written."""

    before: Analytics | None
    after: Analytics


@post("/analytics/what-if", status_code=200, sync_to_thread=True, opt={"scope": "read"}, tags=["analytics"])
def what_if(resources: Resources, caller: Caller, data: WhatIf) -> WhatIfAnswer:
    """Analyze positions that are not stored, or changes to a stored portfolio, without writing anything."""
    market = resources.market()
    if market is None:
        raise ApiError(409, "no_calculations_available", "nothing is computed yet; run the batch first")
    before = None
    if data.portfolio_id is not None:
        portfolio = resources.ledger.portfolios.get(caller.owner, data.portfolio_id)
        before = resources.compositions.of(portfolio, market, resources.live.accounts)
    equity = data.equity_balance
    if equity is None and before is not None:
        equity = before.valuation.nav
    after = Composed(market, _positions(market, before, data.trades), equity)
    shown = None if before is None else _analytics(resources, before)
    return WhatIfAnswer(shown, _analytics(resources, after))


def _analytics(resources: Resources, composed: Composed) -> Analytics:
    quality: DataQuality = quality_of(resources, composed)
    return Analytics(
        answers.overview(composed),
        answers.factor_exposures(composed, quality),
        answers.volatility(composed),
        answers.risk(composed, quality),
        answers.concentration(composed, quality),
        answers.sector_exposure(composed, quality),
        answers.stress_test(composed, quality, scenarios=None),
    )


def _positions(market: Market, before: Composed | None, trades: list[Trade]) -> Positions:
    """Return the positions held, and one more for each trade; what adds up to nothing is left out."""
    held = before.positions if before else Positions((), np.empty(0), np.empty(0), (), np.empty(0))
    book = market.book
    symbols = tuple(trade.symbol.upper() for trade in trades)
    rows = [book.index.get(symbol, -1) for symbol in symbols]
    closes = [float(book.close[row]) if row >= 0 else np.nan for row in rows]
    for trade in trades:
        if trade.kind == "private" and trade.entry_price is None:
            raise ApiError(422, "entry_price", f"{trade.symbol} is private and needs an entry_price")
    given = zip(trades, closes, strict=True)
    prices = [trade.entry_price if trade.entry_price is not None else close for trade, close in given]
    kinds: tuple[Kind, ...] = tuple(trade.kind for trade in trades)
    return _netted(
        Positions(
            symbols=(*held.symbols, *symbols),
            quantity=np.concatenate([held.quantity, [trade.quantity for trade in trades]]),
            entry_price=np.concatenate([held.entry_price, prices]),
            kinds=(*held.kinds, *kinds),
            manual_price=np.concatenate([held.manual_price, np.full(len(trades), np.nan)]),
        )
    )


def _netted(positions: Positions) -> Positions:
    """Leave out symbols whose lots cancel each other."""
    net: dict[tuple[str, Any], float] = {}
    for symbol, kind, quantity in zip(positions.symbols, positions.kinds, positions.quantity, strict=True):
        net[symbol, kind] = net.get((symbol, kind), 0.0) + float(quantity)
    kept = [
        place
        for place, key in enumerate(zip(positions.symbols, positions.kinds, strict=True))
        if abs(net[key]) > 1e-9
    ]
    return Positions(
        symbols=tuple(positions.symbols[place] for place in kept),
        quantity=positions.quantity[kept],
        entry_price=positions.entry_price[kept],
        kinds=tuple(positions.kinds[place] for place in kept),
        manual_price=positions.manual_price[kept],
    )


HANDLERS = [what_if]
