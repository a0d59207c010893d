"""A portfolio's analysis as tables for a person."""

from collections.abc import Callable
from typing import Any

from service.cli.output import console, print_fields, print_table

Answer = dict[str, Any]


def show_overview(answer: Answer) -> None:
    """Print value, exposures and what the numbers rest on."""
    overview = answer["overview"]
    title = f"Portfolio as of {answer['as_of']} (release {answer['release']})"
    counts = {"positions": overview["position_count"]["total_positions"]}
    figures = {name: value for name, value in overview.items() if not isinstance(value, dict)}
    quality = {"coverage": answer["coverage"], "quality": answer["quality"], "reasons": answer["reasons"]}
    print_fields(title, {**figures, **overview["exposures"], **overview["pnl"], **counts, **quality})


def show_missing(answer: Answer) -> None:
    """Print what no number contains, and why."""
    lots = [(lot["symbol"], lot["quality"], lot["reasons"]) for lot in answer["positions"] if lot["reasons"]]
    if lots:
        print_table("Missing or marked", ("symbol", "quality", "reasons"), lots)


def show_factors(answer: Answer) -> None:
    """Print the factor betas with two standard errors."""
    rows = [
        (f["name"], f["beta"], _twice(f["standard_error"]), f["exposure_dollar"], f["coverage"])
        for f in answer["factor_exposures"]
    ]
    print_table("Factor betas", ("factor", "beta", "± 2 se", "exposure $", "coverage"), rows)


def show_volatility(answer: Answer) -> None:
    """Print the realized, forecast and model volatility."""
    volatility = {name: value for name, value in answer["volatility"].items() if name != "left_out"}
    print_fields("Volatility", {**volatility, "risk_model_volatility": answer["risk"]["volatility"]})


def show_correlations(answer: Answer) -> None:
    """Print the five most and least correlated pairs, and the averages."""
    matrix = answer["correlation_matrix"]["matrix"]
    symbols = list(matrix)
    pairs = [
        (one, other, matrix[one][other])
        for at, one in enumerate(symbols)
        for other in symbols[at + 1 :]
        if matrix[one][other] is not None
    ]
    top = sorted(pairs, key=lambda pair: -abs(pair[2]))[:5]
    print_table("Top correlations", ("", "", "correlation"), top)
    names = ("average_correlation", "diversification_ratio", "effective_num_bets")
    print_fields("Diversification", {name: answer["correlation_matrix"][name] for name in names})


def show_concentration(answer: Answer) -> None:
    """Print concentration and sectors."""
    hidden = ("position_weights",)
    concentration = answer["concentration"]
    print_fields("Concentration", {name: v for name, v in concentration.items() if name not in hidden})
    sectors = answer["sector_exposure"]
    active = sectors["over_underweight"]
    rows = [(name, weight, active.get(name)) for name, weight in sectors["portfolio_weights"].items()]
    print_table("Sectors", ("sector", "net weight", "active"), sorted(rows, key=lambda row: -(row[1] or 0)))


def show_stress(answer: Answer) -> None:
    """Print every scenario's impact."""
    rows = [
        (s["name"], s["severity"], s["impact"]["dollar_impact"], s["impact"]["percentage_impact"])
        for s in answer["stress_test"]["scenarios"]
    ]
    print_table("Stress tests", ("scenario", "severity", "impact $", "impact %"), rows)


def banner(text: str) -> None:
    """Print a line nobody overlooks."""
    console.rule(f"[bold yellow]{text}")


def _twice(error: float | None) -> str:
    return "—" if error is None else f"± {2 * error:.4f}"


TABLES: tuple[Callable[[Answer], None], ...] = (
    show_overview,
    show_missing,
    show_factors,
    show_volatility,
    show_correlations,
    show_concentration,
    show_stress,
)
