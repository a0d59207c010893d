"""Routes of one portfolio's analytics: composed from the book, kept as encoded answers."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.concurrency import sync_to_thread
from litestar.exceptions import ValidationException
from litestar.params import Parameter

from engine.stress import SCENARIOS
from service import clock
from service.api.analytics import answers, betas
from service.api.analytics.beta_records import (
    BetaComparison,
    CalculatedBeta,
    MarketBeta,
    ProviderBeta,
    RiskMetrics,
    SpreadFactors,
)
from service.api.analytics.kept_answers import basis_of
from service.api.analytics.records import (
    ConcentrationAnswer,
    CorrelationMatrix,
    DataQuality,
    DiversificationScore,
    FactorExposuresAnswer,
    Overview,
    PositionFactorExposures,
    RiskAttribution,
    SectorExposure,
    Served,
    StressTest,
    Volatility,
)
from service.api.analytics.served import data_quality
from service.api.auth import Caller
from service.api.problems import ApiError
from service.api.resources import Resources
from service.composed import Composed

Lookback = Annotated[int, Parameter(ge=30, le=365, description="Sessions to look back on")]
Overlap = Annotated[int, Parameter(ge=10, le=365, description="Common sessions below which a pair is null")]
PATH = "/analytics/portfolio/{portfolio_id:str}"
TAGS = ["analytics"]
SCENARIO_IDS = frozenset(scenario.id for scenario in SCENARIOS)
encoder = msgspec.json.Encoder()


async def answer(
    request: Request[Any, Any, Any],
    resources: Resources,
    caller: Caller,
    portfolio_id: str,
    make: Callable[[Composed], Served],
) -> Response[Any]:
    """Answer from the book and keep the answer, or say that there is no book."""
    basis = basis_of(resources, caller.owner, portfolio_id)
    if basis is None:
        return Response(_nothing(portfolio_id))

    def encoded() -> bytes:
        portfolio = resources.ledger.portfolios.get(caller.owner, portfolio_id)
        return encoder.encode(make(resources.compositions.of(portfolio, basis.market, basis.accounts)))

    key = basis.key(request.scope)
    body = await sync_to_thread(lambda: resources.answers.kept(key, encoded))
    return Response(body, media_type=MediaType.JSON, headers=basis.headers)


def _nothing(portfolio_id: str) -> dict[str, Any]:
    """Return what is answered as long as no session was ever computed."""
    reason = "no_calculations_available"
    nothing = Served(portfolio_id=portfolio_id, available=False, reasons=[reason])
    return {**msgspec.structs.asdict(nothing), "metadata": {"reason": reason}}


def quality_of(resources: Resources, composed: Composed) -> DataQuality:
    """Say how fresh and how complete an answer is today."""
    closed = clock.last_closed_session(resources.settings)
    behind = len(clock.sessions_between(composed.market.session, closed)) - 1
    return data_quality(composed, closed, max(0, behind))


def chosen_scenarios(text: str | None) -> frozenset[str] | None:
    """Return the scenarios of a comma-separated choice, None for all; 422 for one that does not exist."""
    wanted = _split(text)
    if wanted and (unknown := wanted - SCENARIO_IDS):
        raise ValidationException(
            f"no scenario {', '.join(sorted(unknown))}; ask without a choice for all ids"
        )
    return wanted


def _split(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(part.strip() for part in text.split(",") if part.strip())


@get(f"{PATH}/overview", tags=TAGS)
async def overview(
    request: Request[Any, Any, Any], resources: Resources, caller: Caller, portfolio_id: str
) -> Response[Overview]:
    """Return value, exposures and P&L."""
    return await answer(request, resources, caller, portfolio_id, answers.overview)


@get(f"{PATH}/factor-exposures", tags=TAGS)
async def factor_exposures(
    request: Request[Any, Any, Any],
    resources: Resources,
    caller: Caller,
    portfolio_id: str,
    use_latest_successful: bool = True,  # noqa: ARG001 - there is no other
) -> Response[FactorExposuresAnswer]:
    """Return the exposure to every factor."""

    def make(composed: Composed) -> FactorExposuresAnswer:
        return answers.factor_exposures(composed, quality_of(resources, composed))

    return await answer(request, resources, caller, portfolio_id, make)


@get(f"{PATH}/positions/factor-exposures", tags=TAGS)
async def position_factor_exposures(
    request: Request[Any, Any, Any],
    resources: Resources,
    caller: Caller,
    portfolio_id: str,
    limit: Annotated[int, Parameter(ge=1, le=200)] = 50,
    offset: Annotated[int, Parameter(ge=0, le=1_000_000)] = 0,
    symbols: str | None = None,
) -> Response[PositionFactorExposures]:
    """Return the betas of every position, a page of them; ``symbols`` is a comma-separated choice."""

    def make(composed: Composed) -> PositionFactorExposures:
        wanted = _split(symbols.upper() if symbols else symbols)
        quality = quality_of(resources, composed)
        return answers.position_factor_exposures(
            composed, quality, limit=limit, offset=offset, symbols=wanted
        )

    return await answer(request, resources, caller, portfolio_id, make)


@get(f"{PATH}/correlation-matrix", tags=TAGS)
async def correlation_matrix(
    request: Request[Any, Any, Any],
    resources: Resources,
    caller: Caller,
    portfolio_id: str,
    lookback_days: Lookback = 90,
    min_overlap: Overlap = 30,
    max_symbols: Annotated[int, Parameter(ge=2, le=50)] = 25,
) -> Response[CorrelationMatrix]:
    """Return pairwise correlations of the largest positions."""
    check_overlap(lookback_days, min_overlap)

    def make(composed: Composed) -> CorrelationMatrix:
        return answers.correlation_matrix(
            composed,
            quality_of(resources, composed),
            lookback=lookback_days,
            min_overlap=min_overlap,
            max_symbols=max_symbols,
        )

    return await answer(request, resources, caller, portfolio_id, make)


@get(f"{PATH}/diversification-score", tags=TAGS)
async def diversification_score(
    request: Request[Any, Any, Any],
    resources: Resources,
    caller: Caller,
    portfolio_id: str,
    lookback_days: Lookback = 90,
    min_overlap: Overlap = 30,
) -> Response[DiversificationScore]:
    """Return the weighted average correlation of the positions."""
    check_overlap(lookback_days, min_overlap)

    def make(composed: Composed) -> DiversificationScore:
        return answers.diversification_score(composed, lookback=lookback_days, min_overlap=min_overlap)

    return await answer(request, resources, caller, portfolio_id, make)


@get(f"{PATH}/stress-test", tags=TAGS)
async def stress_test(
    request: Request[Any, Any, Any],
    resources: Resources,
    caller: Caller,
    portfolio_id: str,
    scenarios: str | None = None,
) -> Response[StressTest]:
    """Return the stress scenarios on today's book; ``scenarios`` is a comma-separated choice of ids."""
    wanted = chosen_scenarios(scenarios)

    def make(composed: Composed) -> StressTest:
        return answers.stress_test(composed, quality_of(resources, composed), scenarios=wanted)

    return await answer(request, resources, caller, portfolio_id, make)


@get(f"{PATH}/volatility", tags=TAGS)
async def volatility(
    request: Request[Any, Any, Any], resources: Resources, caller: Caller, portfolio_id: str
) -> Response[Volatility]:
    """Return realized, expected and model volatility."""
    return await answer(request, resources, caller, portfolio_id, answers.volatility)


@get(f"{PATH}/sector-exposure", tags=TAGS)
async def sector_exposure(
    request: Request[Any, Any, Any], resources: Resources, caller: Caller, portfolio_id: str
) -> Response[SectorExposure]:
    """Return weights by sector against the benchmark."""

    def make(composed: Composed) -> SectorExposure:
        return answers.sector_exposure(composed, quality_of(resources, composed))

    return await answer(request, resources, caller, portfolio_id, make)


@get(f"{PATH}/concentration", tags=TAGS)
async def concentration(
    request: Request[Any, Any, Any], resources: Resources, caller: Caller, portfolio_id: str
) -> Response[ConcentrationAnswer]:
    """Return how concentrated the book is."""

    def make(composed: Composed) -> ConcentrationAnswer:
        return answers.concentration(composed, quality_of(resources, composed))

    return await answer(request, resources, caller, portfolio_id, make)


@get(f"{PATH}/risk", tags=TAGS)
async def risk(
    request: Request[Any, Any, Any], resources: Resources, caller: Caller, portfolio_id: str
) -> Response[RiskAttribution]:
    """Return the risk model's volatility, and each factor's and position's share of it."""

    def make(composed: Composed) -> RiskAttribution:
        return answers.risk(composed, quality_of(resources, composed))

    return await answer(request, resources, caller, portfolio_id, make)


@get(f"{PATH}/beta-comparison", tags=TAGS)
async def beta_comparison(
    request: Request[Any, Any, Any], resources: Resources, caller: Caller, portfolio_id: str
) -> Response[BetaComparison]:
    """Return calculated betas beside the provider's."""
    return await answer(request, resources, caller, portfolio_id, betas.beta_comparison)


@get(f"{PATH}/beta-calculated-90d", tags=TAGS)
async def calculated_beta(
    request: Request[Any, Any, Any], resources: Resources, caller: Caller, portfolio_id: str
) -> Response[CalculatedBeta]:
    """Return the weighted market beta over 90 sessions."""
    return await answer(request, resources, caller, portfolio_id, betas.calculated_beta)


@get(f"{PATH}/beta-provider-1y", tags=TAGS)
async def provider_beta(
    request: Request[Any, Any, Any], resources: Resources, caller: Caller, portfolio_id: str
) -> Response[ProviderBeta]:
    """Return the weighted beta of the profiles."""
    return await answer(request, resources, caller, portfolio_id, betas.provider_beta)


@get(f"{PATH}/market-beta", tags=TAGS)
async def market_beta(
    request: Request[Any, Any, Any], resources: Resources, caller: Caller, portfolio_id: str
) -> Response[MarketBeta]:
    """Return the market beta, weighted and by regression of the portfolio's returns."""
    return await answer(request, resources, caller, portfolio_id, betas.market_beta)


@get(f"{PATH}/spread-factors", tags=TAGS)
async def spread_factors(
    request: Request[Any, Any, Any], resources: Resources, caller: Caller, portfolio_id: str
) -> Response[SpreadFactors]:
    """Return the exposure to the four spreads, in words too."""
    return await answer(request, resources, caller, portfolio_id, betas.spread_factors)


@get(f"{PATH}/risk-metrics", tags=TAGS, deprecated=True)
async def risk_metrics(
    request: Request[Any, Any, Any], resources: Resources, caller: Caller, portfolio_id: str
) -> Response[RiskMetrics]:
    """Return beta, volatility and drawdown; ask for volatility, risk and performance instead."""
    return await answer(request, resources, caller, portfolio_id, betas.risk_metrics)


def check_overlap(lookback: int, min_overlap: int) -> None:
    """Refuse to ask for more common sessions than there are."""
    if min_overlap > lookback:
        raise ApiError(
            400, "min_overlap", f"min_overlap {min_overlap} is more than lookback_days {lookback}; lower it"
        )


HANDLERS = [
    overview,
    factor_exposures,
    position_factor_exposures,
    correlation_matrix,
    diversification_score,
    stress_test,
    volatility,
    sector_exposure,
    concentration,
    risk,
    beta_comparison,
    calculated_beta,
    provider_beta,
    market_beta,
    spread_factors,
    risk_metrics,
]
