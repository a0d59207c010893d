"""A portfolio's analysis as plain data, in the field names of the HTTP API."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.analysis import Correlations, PortfolioAnalysis, volatility_reasons
from engine.book import SymbolBook
from engine.concentration import CASH
from engine.option_lots import GREEKS
from engine.quality import reason_text
from engine.risk import FACTORS
from engine.valuation import Positions


def describe(
    book: SymbolBook,
    positions: Positions,
    analysis: PortfolioAnalysis,
    benchmark: dict[str, float],
    *,
    expired: Sequence[str] = (),
) -> dict[str, Any]:
    """Return everything the analysis says as dicts, lists and numbers; what is missing is None.

    ``expired`` are the symbols of options that were held, and are not among the positions.
    """
    excluded = _excluded(positions, analysis)
    valuation = analysis.valuation
    reasons = ["partial_coverage"] if excluded else []
    reasons += [] if valuation.nav > 0 else ["nav_not_positive"]
    reasons += _degraded(analysis)
    answer = {
        "as_of": str(book.as_of),
        "release": book.release,
        "quality": "degraded" if reasons else "ok",
        "reasons": sorted(set(reasons)),
        "coverage": valuation.coverage,
        "excluded": [*excluded, *({"symbol": symbol, "reason": "expired"} for symbol in expired)],
        "overview": _overview(positions, analysis),
        "positions": _positions(positions, analysis),
        "factor_exposures": _factor_exposures(analysis),
        "volatility": _volatility(book, analysis),
        "risk": _risk(book, analysis),
        "correlation_matrix": _correlation_matrix(book, analysis.correlations),
        "concentration": _concentration(analysis),
        "sector_exposure": _sector_exposure(analysis, benchmark),
        "stress_test": _stress_test(analysis),
    }
    plain: dict[str, Any] = to_plain(answer)
    return plain


def to_plain(value: Any) -> Any:
    """Return nested data with Python's own numbers, None for NaN and infinities."""
    if isinstance(value, dict):
        return {key: to_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _lot_reasons(analysis: PortfolioAnalysis) -> list[str | None]:
    return reason_text(analysis.valuation.reasons).to_list()


def _excluded(positions: Positions, analysis: PortfolioAnalysis) -> list[dict[str, Any]]:
    """Lots that no number contains, each with its reason."""
    lots = zip(positions.symbols, _lot_reasons(analysis), analysis.valuation.market_value, strict=True)
    return [{"symbol": symbol, "reason": reason} for symbol, reason, value in lots if math.isnan(value)]


def _degraded(analysis: PortfolioAnalysis) -> list[str]:
    """Reasons of valued lots, and of what the figures of the whole rest on."""
    valued = np.isfinite(analysis.valuation.market_value)
    texts = [text for text, here in zip(_lot_reasons(analysis), valued, strict=True) if text and here]
    found = [code for text in texts for code in text.split(",")]
    covered = analysis.exposures.coverage[np.isfinite(analysis.exposures.beta)]
    found += ["partial_coverage"] if len(covered) and covered.min() < 1 else []
    found += ["proxied"] if analysis.risk.proxied > 0 else []
    return [*found, *volatility_reasons(analysis.volatility)]


def _overview(positions: Positions, analysis: PortfolioAnalysis) -> dict[str, Any]:
    valuation = analysis.valuation
    base, market_value = valuation.weight_base, valuation.market_value
    held = np.isfinite(market_value) & ~positions.of_kind("cash")
    return {
        "net_asset_value": valuation.nav,
        "total_value": valuation.net,
        "cash_balance": valuation.cash,
        "leverage": valuation.leverage,
        "exposures": {
            "long_exposure": valuation.long,
            "short_exposure": valuation.short,
            "gross_exposure": valuation.gross,
            "net_exposure": valuation.net,
            "long_percentage": 100 * valuation.long / base,
            "short_percentage": 100 * valuation.short / base,
            "gross_percentage": 100 * valuation.gross / base,
            "net_percentage": 100 * valuation.net / base,
        },
        "pnl": {"unrealized_pnl": float(np.nansum(valuation.unrealized_pnl))},
        "position_count": {
            "total_positions": len(positions.symbols),
            "long_count": int((held & (market_value > 0)).sum()),
            "short_count": int((held & (market_value < 0)).sum()),
            "option_count": int(positions.of_kind("option").sum()),
        },
        "greeks": _total_greeks(analysis),
    }


def _greeks(analysis: PortfolioAnalysis) -> dict[int, dict[str, float]]:
    """Greeks of each priced option lot as held, contracts and multiplier included, by its place."""
    options = analysis.valuation.options
    if options is None:
        return {}
    rows = zip(options.lots.tolist(), *options.greeks.values(), strict=True)
    return {lot: dict(zip(GREEKS, values, strict=True)) for lot, *values in rows}


def _total_greeks(analysis: PortfolioAnalysis) -> dict[str, float | None]:
    lots = _greeks(analysis).values()
    return {name: sum(lot[name] for lot in lots) if lots else None for name in GREEKS}


def _positions(positions: Positions, analysis: PortfolioAnalysis) -> list[dict[str, Any]]:
    valuation = analysis.valuation
    rows = zip(
        positions.symbols,
        positions.kinds,
        positions.quantity,
        valuation.price,
        valuation.market_value,
        valuation.unrealized_pnl,
        valuation.market_value / valuation.weight_base,
        _lot_reasons(analysis),
        strict=True,
    )
    names = ("symbol", "kind", "quantity", "price", "market_value", "unrealized_pnl", "weight", "reasons")
    lots = [dict(zip(names, row, strict=True)) for row in rows]
    greeks = _greeks(analysis)
    for place, lot in enumerate(lots):
        if lot["kind"] == "option":
            lot["greeks"] = greeks.get(place)
        missing = math.isnan(lot["market_value"])
        lot["quality"] = "unavailable" if missing else "degraded" if lot["reasons"] else "ok"
        lot["reasons"] = lot["reasons"].split(",") if lot["reasons"] else []
    return lots


def _factor_exposures(analysis: PortfolioAnalysis) -> list[dict[str, Any]]:
    exposures = analysis.exposures
    columns = zip(
        exposures.names,
        exposures.beta,
        exposures.exposure_dollar,
        exposures.standard_error,
        exposures.coverage,
        strict=True,
    )
    names = ("name", "beta", "exposure_dollar", "standard_error", "coverage")
    return [dict(zip(names, column, strict=True)) for column in columns]


def _volatility(book: SymbolBook, analysis: PortfolioAnalysis) -> dict[str, Any]:
    volatility = analysis.volatility
    return {
        "realized_volatility_21d": volatility.realized_21d,
        "realized_volatility_63d": volatility.realized_63d,
        "realized_volatility_252d": volatility.realized_252d,
        "expected_volatility_21d": volatility.forecast.volatility[0],
        "volatility_trend": volatility.trend,
        "volatility_percentile": volatility.percentile,
        "n_obs": volatility.n_obs,
        "reasons": list(volatility_reasons(volatility)),
        "left_out": [book.symbols[row] for row in volatility.series.left_out],
    }


def _risk(book: SymbolBook, analysis: PortfolioAnalysis) -> dict[str, Any]:
    risk = analysis.risk
    symbols = [book.symbols[row] for row in analysis.holdings.rows]
    return {
        "volatility": risk.volatility,
        "specific_volatility": risk.specific_volatility,
        "factor_contribution": dict(zip(FACTORS, risk.factor_contribution, strict=True)),
        "position_contribution": dict(zip(symbols, risk.position_contribution, strict=True)),
        "coverage": risk.coverage,
        "proxied": [book.symbols[row] for row in analysis.holdings.rows if book.risk_proxied[row]],
    }


def _correlation_matrix(book: SymbolBook, correlations: Correlations) -> dict[str, Any]:
    symbols = [book.symbols[row] for row in correlations.rows]
    return {
        "matrix": {
            one: dict(zip(symbols, line, strict=True))
            for one, line in zip(symbols, correlations.matrix, strict=True)
        },
        "order": [symbols[place] for place in correlations.order],
        "average_correlation": correlations.average,
        "diversification_ratio": correlations.diversification_ratio,
        "effective_num_bets": correlations.effective_bets,
        "lookback_days": correlations.lookback,
        "min_overlap": correlations.min_overlap,
    }


def _concentration(analysis: PortfolioAnalysis) -> dict[str, Any]:
    concentration = analysis.concentration
    return {
        "hhi": concentration.hhi,
        "effective_num_positions": concentration.effective_num_positions,
        "top_3_concentration": concentration.top_3,
        "top_10_concentration": concentration.top_10,
        "total_positions": len(concentration.weights),
        "position_weights": concentration.weights,
    }


def _sector_exposure(analysis: PortfolioAnalysis, benchmark: dict[str, float]) -> dict[str, Any]:
    sectors, active = analysis.sectors, analysis.sectors.active
    return {
        "portfolio_weights": sectors.net,
        "gross_weights": sectors.gross,
        "benchmark_weights": benchmark,
        "over_underweight": active,
        "largest_overweight": max(active, key=lambda name: active[name], default=None),
        "largest_underweight": min(active, key=lambda name: active[name], default=None),
        "positions_by_sector": sectors.n_positions,
        "cash_weight": sectors.net[CASH],
    }


def _stress_test(analysis: PortfolioAnalysis) -> dict[str, Any]:
    result, nav, base = analysis.stress, analysis.valuation.nav, analysis.valuation.weight_base
    columns = zip(result.scenarios, result.severities, result.correlated, result.direct, strict=True)
    return {
        "scenarios": [
            {
                "id": scenario.id,
                "name": scenario.name,
                "description": scenario.description,
                "category": scenario.category,
                "severity": severity,
                "impact_type": "correlated",
                "impact": {
                    "dollar_impact": correlated,
                    "percentage_impact": 100 * correlated / base,
                    "new_portfolio_value": nav + correlated,
                },
                "direct_dollar_impact": direct,
            }
            for scenario, severity, correlated, direct in columns
        ],
        "portfolio_value": nav,
        "coverage": result.coverage,
    }
