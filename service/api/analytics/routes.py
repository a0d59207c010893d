"""Routes of one portfolio's analytics: those without parameters are rows of a table."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, NamedTuple

from litestar import Response, get
from litestar.di import Provide
from litestar.exceptions import ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from engine.stress import SCENARIOS
from service.api.analytics import answers, betas
from service.api.analytics import beta_records as beta
from service.api.analytics import records as record
from service.api.analytics.asked import PATH, TAGS, Asked, asked
from service.api.problems import ApiError

Lookback = Annotated[int, Parameter(ge=30, le=365, description="Sessions to look back on")]
Overlap = Annotated[int, Parameter(ge=10, le=365, description="Common sessions below which a pair is null")]
Largest = Annotated[int, Parameter(ge=2, le=50, description="How many of the largest positions")]
SCENARIO_IDS = frozenset(scenario.id for scenario in SCENARIOS)
DEPENDENCIES = {"asked": Provide(asked)}


class Plain(NamedTuple):
    """A route without parameters; ``graded`` ones also take how complete and fresh the answer is."""

    tail: str
    answer: type[record.Served]
    make: Callable[..., record.Served]
    summary: str
    graded: bool = False
    deprecated: bool = False


PLAIN = (
    Plain("overview", record.Overview, answers.overview, "Return value, exposures and P&L."),
    Plain(
        "volatility",
        record.Volatility,
        answers.volatility,
        "Return realized, expected and model volatility.",
    ),
    Plain(
        "sector-exposure",
        record.SectorExposure,
        answers.sector_exposure,
        "Return weights by sector against the benchmark.",
        graded=True,
    ),
    Plain(
        "concentration",
        record.ConcentrationAnswer,
        answers.concentration,
        "Return how concentrated the book is.",
        graded=True,
    ),
    Plain(
        "risk",
        record.RiskAttribution,
        answers.risk,
        "Return the risk model's volatility, and each factor's and position's share of it.",
        graded=True,
    ),
    Plain(
        "beta-comparison",
        beta.BetaComparison,
        betas.beta_comparison,
        "Return calculated betas beside the provider's.",
    ),
    Plain(
        "beta-calculated-90d",
        beta.CalculatedBeta,
        betas.calculated_beta,
        "Return the weighted market beta over 90 sessions.",
    ),
    Plain(
        "beta-provider-1y",
        beta.ProviderBeta,
        betas.provider_beta,
        "Return the weighted beta of the profiles.",
    ),
    Plain(
        "market-beta",
        beta.MarketBeta,
        betas.market_beta,
        "Return the market beta, weighted and by regression of the portfolio's returns.",
    ),
    Plain(
        "spread-factors",
        beta.SpreadFactors,
        betas.spread_factors,
        "Return the exposure to the four spreads, in words too.",
    ),
    Plain(
        "risk-metrics",
        beta.RiskMetrics,
        betas.risk_metrics,
        "Return beta, volatility and drawdown; ask for volatility, risk and performance instead.",
        deprecated=True,
    ),
)


def plain_route(plain: Plain) -> HTTPRouteHandler:
    """Return the handler of a row of the table."""

    async def handler(asked: Asked) -> Response[Any]:
        return await (asked.graded(plain.make) if plain.graded else asked.answer(plain.make))

    handler.__name__ = plain.tail.replace("-", "_")
    handler.__doc__ = plain.summary
    handler.__annotations__["return"] = Response[plain.answer]  # type: ignore[name-defined] # for the document
    path = f"{PATH}/{plain.tail}"
    return get(path, tags=TAGS, dependencies=DEPENDENCIES, deprecated=plain.deprecated)(handler)


@get(f"{PATH}/factor-exposures", tags=TAGS, dependencies=DEPENDENCIES)
async def factor_exposures(
    asked: Asked,
    use_latest_successful: bool = True,  # noqa: ARG001 - there is no other
) -> Response[record.FactorExposuresAnswer]:
    """Return the exposure to every factor."""
    return await asked.graded(answers.factor_exposures)


@get(f"{PATH}/positions/factor-exposures", tags=TAGS, dependencies=DEPENDENCIES)
async def position_factor_exposures(
    asked: Asked,
    limit: Annotated[int, Parameter(ge=1, le=200)] = 50,
    offset: Annotated[int, Parameter(ge=0, le=1_000_000)] = 0,
    symbols: str | None = None,
) -> Response[beta.PositionFactorExposures]:
    """Return the betas of every position, a page of them; ``symbols`` is a comma-separated choice."""
    wanted = _split(symbols.upper() if symbols else symbols)
    make = partial(betas.position_factor_exposures, limit=limit, offset=offset, symbols=wanted)
    return await asked.graded(make)


@get(f"{PATH}/correlation-matrix", tags=TAGS, dependencies=DEPENDENCIES)
async def correlation_matrix(
    asked: Asked, lookback_days: Lookback = 90, min_overlap: Overlap = 30, max_symbols: Largest = 25
) -> Response[record.CorrelationMatrix]:
    """Return pairwise correlations of the largest positions."""
    check_overlap(lookback_days, min_overlap)
    make = partial(
        answers.correlation_matrix,
        lookback=lookback_days,
        min_overlap=min_overlap,
        max_symbols=max_symbols,
    )
    return await asked.graded(make)


@get(f"{PATH}/diversification-score", tags=TAGS, dependencies=DEPENDENCIES)
async def diversification_score(
    asked: Asked, lookback_days: Lookback = 90, min_overlap: Overlap = 30
) -> Response[record.DiversificationScore]:
    """Return the weighted average correlation of the positions."""
    check_overlap(lookback_days, min_overlap)
    make = partial(answers.diversification_score, lookback=lookback_days, min_overlap=min_overlap)
    return await asked.answer(make)


@get(f"{PATH}/stress-test", tags=TAGS, dependencies=DEPENDENCIES)
async def stress_test(asked: Asked, scenarios: str | None = None) -> Response[record.StressTest]:
    """Return the stress scenarios on today's book; ``scenarios`` is a comma-separated choice of ids."""
    return await asked.graded(partial(answers.stress_test, scenarios=chosen_scenarios(scenarios)))


def chosen_scenarios(text: str | None) -> frozenset[str] | None:
    """Return the scenarios of a comma-separated choice, None for all; 422 for one that does not exist."""
    wanted = _split(text)
    if wanted and (unknown := wanted - SCENARIO_IDS):
        raise ValidationException(
            f"no scenario {', '.join(sorted(unknown))}; ask without a choice for all ids"
        )
    return wanted


def check_overlap(lookback: int, min_overlap: int) -> None:
    """Refuse to ask for more common sessions than there are."""
    if min_overlap > lookback:
        raise ApiError(
            400, "min_overlap", f"min_overlap {min_overlap} is more than lookback_days {lookback}; lower it"
        )


def _split(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(part.strip() for part in text.split(",") if part.strip())


HANDLERS = [
    *map(plain_route, PLAIN),
    factor_exposures,
    position_factor_exposures,
    correlation_matrix,
    diversification_score,
    stress_test,
]
