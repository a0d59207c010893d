"""What a composed portfolio says, as wire records: one function an answer."""

import math

import numpy as np

from engine.analysis import Correlations, volatility_reasons
from engine.concentration import CASH, UNCLASSIFIED
from engine.risk import FACTORS
from service.api.analytics.betas import factor_beta
from service.api.analytics.greeks import total_greeks
from service.api.analytics.records import (
    ConcentrationAnswer,
    ConcentrationData,
    CorrelationData,
    CorrelationMatrix,
    DataQuality,
    DiversificationScore,
    Exposures,
    FactorExposuresAnswer,
    Impact,
    Overview,
    PositionCount,
    ProfitAndLoss,
    RiskAttribution,
    RiskData,
    ScenarioResult,
    SectorData,
    SectorExposure,
    StressData,
    StressTest,
    Volatility,
    VolatilityData,
)
from service.api.analytics.served import fewest_of, plain, served
from service.book_loader import BENCHMARK
from service.composed import Composed

DIVERSIFIED, CONCENTRATED = 1500, 2500
MAX_CORRELATED = 1_000


def overview(composed: Composed) -> Overview:
    """Value, exposures and P&L."""
    valuation, positions, base = composed.valuation, composed.positions, composed.valuation.weight_base
    held = np.isfinite(valuation.market_value) & ~positions.of_kind("cash")
    unknown = any(each.lot.exit_price is None for each in composed.closed)
    started = composed.portfolio.starting_equity if composed.portfolio else None
    return Overview(
        **served(composed, reasons=("exit_price_missing",) if unknown else ()),
        equity_balance=None if started is None else float(started),
        net_asset_value=plain(valuation.nav),
        total_value=plain(valuation.net),
        cash_balance=plain(valuation.cash),
        leverage=plain(valuation.leverage),
        exposures=Exposures(
            *(plain(each) for each in (valuation.long, valuation.short, valuation.gross, valuation.net)),
            *(
                plain(100 * each / base)
                for each in (valuation.long, valuation.short, valuation.gross, valuation.net)
            ),
        ),
        pnl=profit_and_loss(composed),
        position_count=PositionCount(
            total_positions=len(positions.symbols),
            long_count=int((held & (valuation.market_value > 0)).sum()),
            short_count=int((held & (valuation.market_value < 0)).sum()),
            option_count=int(positions.of_kind("option").sum()),
        ),
        greeks=total_greeks(composed),
        last_updated=composed.portfolio.updated_at if composed.portfolio else None,
    )


def profit_and_loss(composed: Composed) -> ProfitAndLoss:
    """P&L of the account by its newest snapshot, and of its lots since their entries."""
    account = composed.snapshot or {}
    return ProfitAndLoss(
        total_pnl=account.get("cumulative_pnl"),
        unrealized_pnl=float(np.nansum(composed.valuation.unrealized_pnl)),
        realized_pnl=composed.realized_pnl if composed.portfolio else None,
        ytd_pnl=account.get("year_pnl"),
        mtd_pnl=account.get("month_pnl"),
    )


def factor_exposures(composed: Composed, quality: DataQuality) -> FactorExposuresAnswer:
    """Exposure to every factor."""
    exposures = composed.exposures
    factors = [factor_beta(composed, place) for place in range(len(exposures.names))]
    covered = exposures.coverage[np.isfinite(exposures.beta)]
    least = float(covered.min()) if len(covered) else 0.0
    fewest = [factor.n_obs for factor in factors if factor.n_obs]
    return FactorExposuresAnswer(
        **served(composed, least, reasons=("partial_coverage",) if least < 1 else ())
        | {"available": len(covered) > 0, "n_obs": min(fewest, default=None)},
        calculation_date=composed.market.session,
        data_quality=quality,
        factors=factors,
        metadata={"factor_model": "12 symbol betas", "calculation_method": "weighted_symbol_betas"},
    )


def correlation_matrix(
    composed: Composed, quality: DataQuality, *, lookback: int, min_overlap: int, max_symbols: int
) -> CorrelationMatrix:
    """Pairwise correlations of the largest positions."""
    found = composed.correlations(lookback, min_overlap, max_symbols)
    symbols = [composed.market.book.symbols[row] for row in found.rows]
    matrix = {
        one: {other: plain(value) for other, value in zip(symbols, line, strict=True)}
        for one, line in zip(symbols, found.matrix, strict=True)
    }
    return CorrelationMatrix(
        **served(composed) | {"available": len(symbols) > 1, "n_obs": _common(found)},
        data=CorrelationData(
            matrix=matrix,
            average_correlation=plain(found.average),
            order=[symbols[place] for place in found.order],
            effective_num_bets=plain(found.effective_bets),
            diversification_ratio=plain(found.diversification_ratio),
        )
        if len(symbols) > 1
        else None,
        data_quality=quality,
        metadata={"lookback_days": lookback, "min_overlap": min_overlap, "max_symbols": max_symbols}
        | ({} if len(symbols) > 1 else {"reason": "fewer_than_two_symbols"}),
    )


def _common(found: Correlations) -> int | None:
    """Fewest returns that a pair with a correlation has in common."""
    pairs = np.triu(np.isfinite(found.matrix), k=1)
    return fewest_of(found.n_obs[pairs].astype(np.float64))


def diversification_score(composed: Composed, *, lookback: int, min_overlap: int) -> DiversificationScore:
    """Weighted average correlation."""
    found = composed.correlations(lookback, min_overlap, MAX_CORRELATED)
    return DiversificationScore(
        **served(composed) | {"available": math.isfinite(found.average), "n_obs": _common(found)},
        portfolio_correlation=plain(found.average),
        duration_days=lookback,
        calculation_date=composed.market.session,
        symbols_included=len(found.rows),
        metadata={"min_overlap": min_overlap, "effective_num_bets": plain(found.effective_bets)},
    )


def stress_test(composed: Composed, quality: DataQuality, *, scenarios: frozenset[str] | None) -> StressTest:
    """All scenarios, or those asked for."""
    result, nav, base = composed.stress, composed.valuation.nav, composed.valuation.weight_base
    columns = zip(
        result.scenarios, result.severities, result.correlated, result.direct, result.by_factor, strict=True
    )
    found = [
        ScenarioResult(
            id=scenario.id,
            name=scenario.name,
            description=scenario.description,
            category=scenario.category,
            impact_type="correlated",
            impact=Impact(plain(correlated), plain(100 * correlated / base), plain(nav + correlated)),
            severity=severity,
            direct_dollar_impact=plain(direct),
            by_factor={name: plain(value) for name, value in zip(FACTORS, by_factor, strict=True)},
        )
        for scenario, severity, correlated, direct, by_factor in columns
        if scenarios is None or scenario.id in scenarios
    ]
    found.sort(key=lambda each: (each.category, each.name))
    return StressTest(
        **served(composed, result.coverage, reasons=("proxied",) if composed.risk.proxied > 0 else ())
        | {"n_obs": _modeled(composed)},
        data=StressData(found, plain(nav), composed.market.session),
        data_quality=quality,
        metadata={"scenarios_requested": sorted(scenarios)} if scenarios is not None else {},
    )


def _modeled(composed: Composed) -> int | None:
    """Fewest returns behind the loadings of what is held."""
    return fewest_of(composed.market.book.risk_n_obs[composed.holdings.rows])


def volatility(composed: Composed) -> Volatility:
    """Volatility of today's weights."""
    found = composed.volatility
    return Volatility(
        **served(composed, reasons=volatility_reasons(found))
        | {"available": math.isfinite(found.realized_21d), "n_obs": found.n_obs},
        calculation_date=composed.market.session,
        data=VolatilityData(
            realized_volatility_21d=plain(found.realized_21d),
            realized_volatility_63d=plain(found.realized_63d),
            realized_volatility_252d=plain(found.realized_252d),
            expected_volatility_21d=plain(found.forecast.volatility[0]),
            model_volatility=plain(composed.risk.volatility),
            volatility_trend=found.trend,
            volatility_percentile=plain(found.percentile),
            n_obs=found.n_obs,
        ),
        metadata={
            "forecast_model": "HAR",
            "left_out": [composed.market.book.symbols[row] for row in found.series.left_out],
        },
    )


def sector_exposure(composed: Composed, quality: DataQuality) -> SectorExposure:
    """Sectors against the benchmark."""
    sectors = composed.sectors
    active = {name: plain(value) for name, value in sectors.active.items()}
    known = {name: value for name, value in active.items() if value is not None}
    return SectorExposure(
        **served(composed),
        data=SectorData(
            portfolio_weights={name: plain(value) for name, value in sectors.net.items()},
            gross_weights={name: plain(value) for name, value in sectors.gross.items()},
            benchmark_weights=composed.market.benchmark,
            over_underweight=active,
            largest_overweight=max(known, key=lambda name: known[name], default=None),
            largest_underweight=min(known, key=lambda name: known[name], default=None),
            total_portfolio_value=plain(composed.valuation.nav),
            positions_by_sector=sectors.n_positions,
            unclassified_value=sectors.market_value.get(UNCLASSIFIED, 0.0),
            unclassified_count=sectors.n_positions.get(UNCLASSIFIED, 0),
        ),
        data_quality=quality,
        metadata={"benchmark": BENCHMARK, "cash_bucket": CASH},
    )


def concentration(composed: Composed, quality: DataQuality) -> ConcentrationAnswer:
    """How concentrated the book is."""
    found = composed.concentration
    hhi = found.hhi
    words = "diversified" if hhi < DIVERSIFIED else "concentrated" if hhi > CONCENTRATED else "moderate"
    exists = math.isfinite(hhi)
    return ConcentrationAnswer(
        **served(composed) | {"available": exists},
        data=ConcentrationData(
            hhi=plain(hhi),
            effective_num_positions=plain(found.effective_num_positions),
            top_3_concentration=plain(found.top_3),
            top_10_concentration=plain(found.top_10),
            total_positions=len(found.weights),
            position_weights=found.weights,
        ),
        data_quality=quality,
        metadata={"interpretation": words if exists else "no_valued_positions"},
    )


def risk(composed: Composed, quality: DataQuality) -> RiskAttribution:
    """Where the risk comes from."""
    found, book, rows = composed.risk, composed.market.book, composed.holdings.rows
    symbols = [book.symbols[row] for row in rows]
    return RiskAttribution(
        **served(composed, found.coverage, reasons=("proxied",) if found.proxied > 0 else ())
        | {"available": math.isfinite(found.volatility), "n_obs": _modeled(composed)},
        data=RiskData(
            volatility=plain(found.volatility),
            specific_volatility=plain(found.specific_volatility),
            specific_share=plain(1.0 - float(found.factor_contribution.sum())),
            factor_loadings={name: plain(v) for name, v in zip(FACTORS, found.factor_loadings, strict=True)},
            factor_contribution={
                name: plain(value) for name, value in zip(FACTORS, found.factor_contribution, strict=True)
            },
            position_contribution={
                symbol: plain(value)
                for symbol, value in zip(symbols, found.position_contribution, strict=True)
            },
            proxied_symbols=[book.symbols[row] for row in rows if book.risk_proxied[row]],
            proxied_share=plain(found.proxied),
        ),
        data_quality=quality,
        metadata={"factors": list(FACTORS)},
    )
