"""A route that analyzes positions nobody has stored, or changes to those that are."""

from typing import Annotated

import msgspec
from litestar import post
from msgspec import Meta

from service.api.analytics import answers
from service.api.analytics.asked import quality_of
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
from service.api.auth import Caller
from service.api.problems import ApiError, invalid
from service.api.resources import Resources
from service.composed import Composed
from service.errors import UsageError
from service.what_if import Trade, traded

MAX_CHANGES = 5_000


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
    try:
        after = traded(market, before, data.trades, data.equity_balance)
    except UsageError as error:
        raise invalid((("body", "trades"), str(error))) from error
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


HANDLERS = [what_if]
