"""Stress tests: 22 scenarios through the risk model, direct and correlated. Imports numpy alone.

A scenario shocks some proxies as returns and the interest rate as a yield change. Unshocked proxies follow
the market or stand still (*direct*), or take their mean given the shocked ones (*correlated*).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.book import SymbolBook
from engine.composition import Holdings, exposure_sums
from engine.factors import PROXIES
from engine.many_holdings import ManyHoldings
from engine.option_lots import OptionLots
from engine.risk import TO_MODEL
from engine.typing import FloatArray

DURATION, CONVEXITY = 16.5, 380.0
STYLE_RIDGE = 0.1
SHOCKS = tuple(PROXIES)
MARKET, RATES = SHOCKS.index("Market"), SHOCKS.index("Rates")
SEVERITIES = ((0.05, "base"), (0.10, "mild"), (0.20, "moderate"), (0.35, "severe"), (np.inf, "extreme"))


@dataclass(frozen=True, slots=True)
class Scenario:
    """Shocks by factor: proxy returns, and for ``Rates`` the change of the yield, decimals."""

    id: str
    name: str
    category: str
    shocks: Mapping[str, float] = field(default_factory=dict)

    @property
    def description(self) -> str:
        """The shocks in words."""
        parts = [
            f"yields {shock * 1e4:+.0f} bp" if name == "Rates" else f"{name} {shock:+.0%}"
            for name, shock in self.shocks.items()
        ]
        return ", ".join(parts)


def _scenario(category: str, scenario_id: str, name: str, **shocks: float) -> Scenario:
    names = {each.lower().replace(" ", "_"): each for each in SHOCKS}
    return Scenario(scenario_id, name, category, {names[key]: shock for key, shock in shocks.items()})


SCENARIOS = (
    _scenario("base", "market_up_5", "Market Up 5%", market=0.05),
    _scenario("base", "market_down_5", "Market Down 5%", market=-0.05),
    _scenario("base", "rates_up_50bp", "Rates Up 50 bp", rates=0.005),
    _scenario("base", "rates_down_50bp", "Rates Down 50 bp", rates=-0.005),
    _scenario("market", "market_up_10", "Market Up 10%", market=0.10),
    _scenario("market", "market_down_10", "Market Down 10%", market=-0.10),
    _scenario("market", "market_crash_35", "Market Crash 35%", market=-0.35),
    _scenario("market", "market_rally_25", "Market Rally 25%", market=0.25),
    _scenario("rates", "rates_up_25bp", "Rates Up 25 bp", rates=0.0025),
    _scenario("rates", "rates_down_25bp", "Rates Down 25 bp", rates=-0.0025),
    _scenario("rates", "rates_up_100bp", "Rates Up 100 bp", rates=0.01),
    _scenario("rates", "rates_down_100bp", "Rates Down 100 bp", rates=-0.01),
    _scenario("rates", "rate_spike_300bp", "Rate Spike 300 bp", rates=0.03),
    _scenario("rotation", "value_rotation_20", "Value Rotation", value=0.20, growth=-0.10),
    _scenario("rotation", "growth_rally_15", "Growth Rally", growth=0.15, momentum=0.10),
    _scenario("rotation", "small_cap_outperformance_10", "Small-Cap Outperformance", size=0.10),
    _scenario("rotation", "quality_flight_12", "Flight to Quality", quality=0.12, market=-0.05),
    _scenario("volatility", "vix_spike_150", "Volatility Spike", low_volatility=-0.25, market=-0.15),
    _scenario(
        "volatility",
        "liquidity_crisis",
        "Liquidity Crisis",
        market=-0.20,
        low_volatility=-0.30,
        quality=0.15,
        size=-0.10,
    ),
    _scenario(
        "historical",
        "financial_crisis_2008",
        "Financial Crisis 2008",
        market=-0.45,
        value=-0.30,
        size=-0.25,
        quality=0.20,
        low_volatility=-0.35,
    ),
    _scenario(
        "historical",
        "covid_crash_2020",
        "COVID Crash 2020",
        market=-0.35,
        growth=0.15,
        value=-0.40,
        size=-0.30,
        quality=0.10,
    ),
    _scenario(
        "historical",
        "dotcom_crash_2000",
        "Dot-com Crash 2000",
        market=-0.45,
        growth=-0.60,
        value=0.20,
        momentum=-0.50,
        quality=0.15,
    ),
)


def shocked_proxies(shocks: Mapping[str, float]) -> dict[int, float]:
    """Proxy number to its return: a yield change Δy moves the bond proxy by −D·Δy + ½·C·Δy²."""
    given = {SHOCKS.index(name): shock for name, shock in shocks.items()}
    if RATES in given:
        given[RATES] = -DURATION * given[RATES] + 0.5 * CONVEXITY * given[RATES] ** 2
    return given


def direct_proxies(given: Mapping[int, float]) -> FloatArray:
    """Return all proxies' moves ``(8,)``: unshocked styles follow the market, the others stand still."""
    market = given.get(MARKET, 0.0)
    proxies = np.full(len(SHOCKS), market)
    proxies[RATES] = 0.0
    proxies[list(given)] = list(given.values())
    return proxies


def correlated_proxies(given: Mapping[int, float], covariance: FloatArray) -> FloatArray:
    """Return all proxies' moves ``(8,)``: unshocked ones take their conditional mean under ``covariance``.

    Conditioned on the market and rates alone when one of them is shocked, else on the shocked styles with a
    tenth of their variances added: the proxies are near-collinear, and conditioning on all at once explodes.
    NaN when the covariance is missing.
    """
    condition = [k for k in (MARKET, RATES) if k in given] or sorted(given)
    block = covariance[np.ix_(condition, condition)]
    if condition[0] not in (MARKET, RATES):
        block = block + STYLE_RIDGE * np.diag(np.diag(block))
    if not np.isfinite(covariance).all():
        return np.full(len(SHOCKS), np.nan)
    proxies = covariance[:, condition] @ np.linalg.solve(block, [given[k] for k in condition])
    proxies[list(given)] = list(given.values())
    return proxies


def severity(given: Mapping[int, float]) -> str:
    """Severity by the largest absolute proxy return, a rate shock counting as its bond return."""
    largest = max(abs(shock) for shock in given.values())
    return next(name for limit, name in SEVERITIES if largest <= limit + 1e-12)


@dataclass(frozen=True, slots=True)
class StressResult:
    """P&L of the book in each scenario, in currency.

    Attributes
    ----------
    scenarios : tuple of Scenario
    severities : tuple of str
    direct, correlated : FloatArray
        ``(n_scenarios,)``.
    by_factor : FloatArray
        ``(n_scenarios, 8)`` correlated P&L by model factor; adds up to ``correlated``.
    by_symbol : FloatArray
        ``(n_scenarios, n)`` correlated P&L by holding, with the options on it; NaN for a symbol without
        loadings.
    proxies : FloatArray
        ``(n_scenarios, 8)`` correlated proxy returns.
    coverage : float
        Share of Σ|E| that has loadings.
    """

    scenarios: tuple[Scenario, ...]
    severities: tuple[str, ...]
    direct: FloatArray
    correlated: FloatArray
    by_factor: FloatArray
    by_symbol: FloatArray
    proxies: FloatArray
    coverage: float


def stress(book: SymbolBook, holdings: Holdings, scenarios: Sequence[Scenario] = SCENARIOS) -> StressResult:
    """Run the scenarios on the holdings: position P&L = E·Σ b f. No loss is capped at the book's equity.

    Options are revalued in full where their underlyings move by Σ b f; the factors share an option's P&L as
    they share that move.
    """
    given, direct, proxies = _moves(book, scenarios)
    shape = (len(given), len(SHOCKS))
    factors = proxies @ TO_MODEL.T
    loadings = book.loadings[holdings.rows]
    known = np.asarray(np.isfinite(loadings).all(axis=1))
    exposures = np.where(known[:, None], loadings, 0.0) * holdings.values[:, None]
    dollar = exposures.sum(axis=0)
    direct_pnl, by_factor, by_symbol = direct @ dollar, factors * dollar, factors @ exposures.T
    if holdings.options is not None:
        direct_pnl += _beyond_delta(book, holdings.options, direct)[0].sum(axis=1)
        pnl, shares = _beyond_delta(book, holdings.options, factors)
        by_factor += shares
        np.add.at(by_symbol.T, np.searchsorted(holdings.rows, holdings.options.rows), pnl.T)
    total = float(np.abs(holdings.values).sum()) + holdings.unvalued
    if total > 0 and not known.any():  # an impact of 0 would be a statement about a book that nobody knows
        direct_pnl, by_factor = np.full(len(given), np.nan), np.full(shape, np.nan)
    return StressResult(
        scenarios=tuple(scenarios),
        severities=tuple(severity(each) for each in given),
        direct=direct_pnl,
        correlated=by_factor.sum(axis=1),
        by_factor=by_factor,
        by_symbol=np.where(known, by_symbol, np.nan),
        proxies=proxies,
        coverage=float(np.abs(holdings.values[known]).sum()) / total if total > 0 else np.nan,
    )


def stress_of_many(
    book: SymbolBook, held: ManyHoldings, scenarios: Sequence[Scenario] = SCENARIOS
) -> tuple[FloatArray, FloatArray]:
    """Run the scenarios on portfolios: direct and correlated P&L ``(n_portfolios, n_scenarios)``.

    Each as ``stress`` has it for one portfolio, in currency; NaN where nobody knows a holding's loadings.
    """
    _, direct, proxies = _moves(book, scenarios)
    factors = proxies @ TO_MODEL.T
    known = np.asarray(np.isfinite(book.loadings).all(axis=1))
    loadings = np.where(known[:, None], book.loadings, np.nan)
    dollar, _, _ = exposure_sums(held.starts, held.rows, held.values, loadings, loadings)
    pnl = [dollar @ moves.T for moves in (direct, factors)]
    if held.options is not None:
        for result, moves in zip(pnl, (direct, factors), strict=True):
            np.add.at(result, held.option_portfolio, _beyond_delta(book, held.options, moves)[0].T)
    n_known = np.bincount(held.portfolio, known[held.rows], minlength=len(held.nav))
    unknown = ((held.gross > 0) & (n_known == 0))[:, None]
    return np.where(unknown, np.nan, pnl[0]), np.where(unknown, np.nan, pnl[1])


def _moves(
    book: SymbolBook, scenarios: Sequence[Scenario]
) -> tuple[list[dict[int, float]], FloatArray, FloatArray]:
    """Shocked proxies of each scenario, its direct model factors and its correlated proxies, ``(…, 8)``."""
    given = [shocked_proxies(scenario.shocks) for scenario in scenarios]
    shape = (len(given), len(SHOCKS))
    direct = np.array([direct_proxies(each) for each in given]).reshape(shape) @ TO_MODEL.T
    proxies = np.array([correlated_proxies(each, book.proxy_covariance) for each in given]).reshape(shape)
    return given, direct, proxies


def _beyond_delta(
    book: SymbolBook, options: OptionLots, factors: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """P&L of options that their deltas leave out, by lot ``(n_scenarios, n)`` and by factor ``(…, 8)``.

    0 for an option whose underlying has no loadings.
    """
    loadings = book.loadings[options.rows]
    known = np.asarray(np.isfinite(loadings).all(axis=1))
    loadings = np.where(known[:, None], loadings, 0.0)
    moves = factors @ loadings.T
    missed = options.slopes(moves) - options.delta_value
    return missed * moves, missed @ loadings * factors
