"""Routes of several portfolios as one: their books combined, and computed as one book."""

from typing import Annotated, Any, TypeVar

from litestar import get
from litestar.params import QueryParameter
from msgspec.structs import asdict, astuple

from engine.option_lots import GREEKS
from service.api.analytics import answers
from service.api.analytics.aggregate_records import (
    Aggregate,
    AggregateBeta,
    AggregateBreakdown,
    AggregateConcentration,
    AggregateCorrelations,
    AggregateFactors,
    AggregateSectors,
    AggregateStress,
    AggregateVolatility,
    Part,
    PartShare,
    ShareSummary,
)
from service.api.analytics.asked import quality_of
from service.api.analytics.betas import MARKET_BETA, factor_beta
from service.api.analytics.records import ProfitAndLoss, Served
from service.api.analytics.routes import Largest, Lookback, Overlap, check_overlap, chosen_scenarios
from service.api.analytics.served import plain, served
from service.api.auth import Caller
from service.api.resources import Resources
from service.composed import Together

PATH = "/analytics/aggregate"
TAGS = ["analytics of several portfolios"]
Ids = Annotated[
    list[str] | None,
    QueryParameter(name="portfolio_ids", max_items=200, description="All active portfolios when not given"),
]
A = TypeVar("A", bound=Aggregate)


def together(resources: Resources, caller: Caller, ids: list[str] | None) -> Together | None:
    """Return a caller's portfolios combined, None without any or without a book; ``NotFound`` for others'."""
    known = resources.ledger.portfolios
    if ids:
        portfolios = [known.get(caller.owner, each) for each in dict.fromkeys(ids)]
    else:
        portfolios = [each for each in known.of(caller.owner) if each.is_active]
    market = resources.market()
    if market is None or not portfolios:
        return None
    return resources.compositions.combined(portfolios, market, resources.live.accounts)


def base(found: Together) -> dict[str, Any]:
    """Fields that every aggregate has."""
    whole = found.whole
    return {
        **served(whole),
        "net_asset_value": plain(whole.valuation.nav),
        "total_value": plain(whole.valuation.net),
        "portfolio_count": len(found.parts),
        "portfolios": _parts(found),
    }


def _parts(found: Together) -> list[Part]:
    total = found.whole.valuation.weight_base
    return [
        Part(
            id=one.portfolio.portfolio_id,
            account_name=one.portfolio.account_name,
            account_type=one.portfolio.account_type,
            value=plain(one.valuation.nav),
            weight=plain(one.valuation.nav / total),
        )
        for one in found.parts
        if one.portfolio
    ]


def _profit_and_loss(found: Together) -> ProfitAndLoss:
    """Add up the portfolios' P&L; a sum is null when one of its terms is."""
    parts = [astuple(answers.profit_and_loss(one)) for one in found.parts]
    return ProfitAndLoss(*(None if None in terms else sum(terms) for terms in zip(*parts, strict=True)))


def nothing(kind: type[A]) -> A:
    """Return what is answered without portfolios, or as long as no session was ever computed."""
    return kind(portfolio_id=None, available=False, reasons=["no_calculations_available"])


def mirrored(kind: type[A], found: Together, answer: Served, formula: str) -> A:
    """Return the answer of one portfolio as that of the combined one."""
    own = {name: value for name, value in asdict(answer).items() if name in kind.__struct_fields__}
    return kind(**base(found) | own, formula=formula)


@get(f"{PATH}/overview", sync_to_thread=True, tags=TAGS)
def overview(resources: Resources, caller: Caller, ids: Ids = None) -> Aggregate:
    """Return value, exposures and P&L of several portfolios together."""
    found = together(resources, caller, ids)
    if found is None:
        return nothing(Aggregate)
    one = answers.overview(found.whole)
    metrics: dict[str, float | None] = {"cash_balance": one.cash_balance, "leverage": one.leverage}
    for part in (one.exposures, _profit_and_loss(found), one.position_count):
        metrics |= asdict(part) if part else {}
    metrics |= {name: getattr(one.greeks, name) for name in GREEKS}
    return Aggregate(**base(found), aggregate_metrics=metrics, formula="sum of positions over sum of NAV")


@get(f"{PATH}/breakdown", sync_to_thread=True, tags=TAGS)
def breakdown(resources: Resources, caller: Caller, ids: Ids = None) -> AggregateBreakdown:
    """Return what each portfolio is of the whole."""
    found = together(resources, caller, ids)
    if found is None:
        return nothing(AggregateBreakdown)
    shares = [
        PartShare(
            **asdict(part),
            weight_pct=None if part.weight is None else 100 * part.weight,
            contribution_dollars=part.value,
        )
        for part in _parts(found)
    ]
    weights = [each.weight for each in shares if each.weight is not None]
    summary = ShareSummary(
        total_weight=sum(weights) if len(weights) == len(shares) else None,
        average_value=plain(found.whole.valuation.nav / len(shares)),
    )
    fields = base(found) | {"portfolios": shares}
    return AggregateBreakdown(**fields, summary=summary, formula="NAV over sum of NAV")


@get(f"{PATH}/beta", sync_to_thread=True, tags=TAGS)
def beta(resources: Resources, caller: Caller, ids: Ids = None) -> AggregateBeta:
    """Return the market beta of several portfolios together."""
    found = together(resources, caller, ids)
    if found is None:
        return nothing(AggregateBeta)
    one = factor_beta(found.whole, found.whole.exposures.names.index(MARKET_BETA))
    fields = base(found) | {"available": one.beta is not None, "aggregate_metrics": {"beta": one.beta}}
    formula = "sum of value times beta over sum of NAV"
    return AggregateBeta(**fields | {"n_obs": one.n_obs}, aggregate_beta=one.beta, formula=formula)


@get(f"{PATH}/volatility", sync_to_thread=True, tags=TAGS)
def volatility(resources: Resources, caller: Caller, ids: Ids = None) -> AggregateVolatility:
    """Return the volatility of several portfolios together: of the sum, not a mean of volatilities."""
    found = together(resources, caller, ids)
    if found is None:
        return nothing(AggregateVolatility)
    answer = mirrored(
        AggregateVolatility, found, answers.volatility(found.whole), "volatility of the summed positions"
    )
    answer.aggregate_volatility = answer.data.realized_volatility_21d if answer.data else None
    answer.aggregate_metrics = {"volatility": answer.aggregate_volatility}
    return answer


@get(f"{PATH}/factor-exposures", sync_to_thread=True, tags=TAGS)
def factor_exposures(resources: Resources, caller: Caller, ids: Ids = None) -> AggregateFactors:
    """Return the exposure of several portfolios together to every factor."""
    found = together(resources, caller, ids)
    if found is None:
        return nothing(AggregateFactors)
    answer = answers.factor_exposures(found.whole, quality_of(resources, found.whole))
    return mirrored(AggregateFactors, found, answer, "sum of dollar exposures over sum of NAV")


@get(f"{PATH}/sector-exposure", sync_to_thread=True, tags=TAGS)
def sector_exposure(resources: Resources, caller: Caller, ids: Ids = None) -> AggregateSectors:
    """Return weights by sector of several portfolios together, against the benchmark."""
    found = together(resources, caller, ids)
    if found is None:
        return nothing(AggregateSectors)
    answer = answers.sector_exposure(found.whole, quality_of(resources, found.whole))
    return mirrored(AggregateSectors, found, answer, "sum of values by sector over sum of NAV")


@get(f"{PATH}/concentration", sync_to_thread=True, tags=TAGS)
def concentration(resources: Resources, caller: Caller, ids: Ids = None) -> AggregateConcentration:
    """Return how concentrated several portfolios are together."""
    found = together(resources, caller, ids)
    if found is None:
        return nothing(AggregateConcentration)
    answer = answers.concentration(found.whole, quality_of(resources, found.whole))
    return mirrored(AggregateConcentration, found, answer, "squared weights of the summed positions")


@get(f"{PATH}/correlation-matrix", sync_to_thread=True, tags=TAGS)
def correlation_matrix(
    resources: Resources,
    caller: Caller,
    ids: Ids = None,
    lookback_days: Lookback = 90,
    min_overlap: Overlap = 30,
    max_symbols: Largest = 25,
) -> AggregateCorrelations:
    """Return pairwise correlations of the largest positions of several portfolios together."""
    check_overlap(lookback_days, min_overlap)
    found = together(resources, caller, ids)
    if found is None:
        return nothing(AggregateCorrelations)
    answer = answers.correlation_matrix(
        found.whole,
        quality_of(resources, found.whole),
        lookback=lookback_days,
        min_overlap=min_overlap,
        max_symbols=max_symbols,
    )
    return mirrored(AggregateCorrelations, found, answer, "correlations of daily returns")


@get(f"{PATH}/stress-test", sync_to_thread=True, tags=TAGS)
def stress_test(
    resources: Resources, caller: Caller, ids: Ids = None, scenarios: str | None = None
) -> AggregateStress:
    """Return the stress scenarios on several portfolios together."""
    wanted = chosen_scenarios(scenarios)
    found = together(resources, caller, ids)
    if found is None:
        return nothing(AggregateStress)
    answer = answers.stress_test(found.whole, quality_of(resources, found.whole), scenarios=wanted)
    return mirrored(AggregateStress, found, answer, "scenarios on the summed positions")


HANDLERS = [
    overview,
    breakdown,
    beta,
    volatility,
    factor_exposures,
    sector_exposure,
    concentration,
    correlation_matrix,
    stress_test,
]
