"""The slow, obvious answer to every number of a portfolio; never imports the code under test."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from naive import NAN, PROXIES, model_covariance, sd

MARKET, RATES = 0, 1
SHOCKS = ("Market", "Rates", "Value", "Growth", "Momentum", "Quality", "Size", "Low Volatility")
SCENARIOS: dict[str, dict[str, float]] = {
    "market_up_5": {"Market": 0.05},
    "market_down_5": {"Market": -0.05},
    "rates_up_50bp": {"Rates": 0.0050},
    "rates_down_50bp": {"Rates": -0.0050},
    "market_up_10": {"Market": 0.10},
    "market_down_10": {"Market": -0.10},
    "market_crash_35": {"Market": -0.35},
    "market_rally_25": {"Market": 0.25},
    "rates_up_25bp": {"Rates": 0.0025},
    "rates_down_25bp": {"Rates": -0.0025},
    "rates_up_100bp": {"Rates": 0.0100},
    "rates_down_100bp": {"Rates": -0.0100},
    "rate_spike_300bp": {"Rates": 0.0300},
    "value_rotation_20": {"Value": 0.20, "Growth": -0.10},
    "growth_rally_15": {"Growth": 0.15, "Momentum": 0.10},
    "small_cap_outperformance_10": {"Size": 0.10},
    "quality_flight_12": {"Quality": 0.12, "Market": -0.05},
    "vix_spike_150": {"Low Volatility": -0.25, "Market": -0.15},
    "liquidity_crisis": {"Market": -0.20, "Low Volatility": -0.30, "Quality": 0.15, "Size": -0.10},
    "financial_crisis_2008": {
        "Market": -0.45,
        "Value": -0.30,
        "Size": -0.25,
        "Quality": 0.20,
        "Low Volatility": -0.35,
    },
    "covid_crash_2020": {"Market": -0.35, "Growth": 0.15, "Value": -0.40, "Size": -0.30, "Quality": 0.10},
    "dotcom_crash_2000": {
        "Market": -0.45,
        "Growth": -0.60,
        "Value": 0.20,
        "Momentum": -0.50,
        "Quality": 0.15,
    },
}


# --- weights, exposures, volatility ----------------------------------------------------------------------


def by_symbol(symbols: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for symbol, value in zip(symbols, values, strict=True):
        sums[symbol] = sums.get(symbol, 0.0) + value
    return sums


def factor_exposure(
    values: Sequence[float], betas: Sequence[float], errors: Sequence[float], nav: float
) -> dict:
    """Exposure to one factor from economic values per symbol; a missing beta lowers the coverage."""
    dollar = covered = total = variance = 0.0
    for value, beta, error in zip(values, betas, errors, strict=True):
        total += abs(value)
        if math.isnan(beta):
            continue
        dollar += value * beta
        covered += abs(value)
        variance += (value / nav * error) ** 2
    return {"dollar": dollar, "beta": dollar / nav, "coverage": covered / total, "se": math.sqrt(variance)}


def portfolio_returns(weights: Sequence[float], returns: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Daily returns of constant weights, NaN where under 95 % of the weight traded; and the rows left out."""
    short = [i for i, row in enumerate(returns) if np.sum(~np.isnan(row)) < 63]
    kept = [i for i in range(len(weights)) if i not in short]
    gross = sum(abs(weights[i]) for i in kept)
    series = np.full(returns.shape[1], NAN)
    for t in range(returns.shape[1]):
        traded = [i for i in kept if not math.isnan(returns[i, t])]
        if gross > 0 and sum(abs(weights[i]) for i in traded) >= 0.95 * gross:
            series[t] = sum(weights[i] * returns[i, t] for i in traded)
    return series, short


# --- correlation and diversification ---------------------------------------------------------------------


def log_returns(returns: np.ndarray) -> np.ndarray:
    return np.array([[math.log1p(r) for r in row] for row in returns])


def correlations(logs: np.ndarray, min_overlap: int) -> np.ndarray:
    """Pairwise-complete correlations; NaN under ``min_overlap`` common returns or without movement."""
    n = len(logs)
    matrix = np.full((n, n), NAN)
    for i in range(n):
        for j in range(n):
            both = [t for t in range(logs.shape[1]) if not math.isnan(logs[i, t] + logs[j, t])]
            x, y = [logs[i, t] for t in both], [logs[j, t] for t in both]
            if len(both) >= min_overlap and max(x) > min(x) and max(y) > min(y):
                x_mean, y_mean = math.fsum(x) / len(x), math.fsum(y) / len(y)
                sxy = math.fsum((a - x_mean) * (b - y_mean) for a, b in zip(x, y, strict=True))
                sxx = math.fsum((a - x_mean) ** 2 for a in x)
                syy = math.fsum((b - y_mean) ** 2 for b in y)
                matrix[i, j] = 1.0 if i == j else sxy / math.sqrt(sxx * syy)
    return matrix


def repaired(matrix: np.ndarray) -> np.ndarray:
    """Clip negative eigenvalues, rebuild, scale the diagonal back to 1; untouched when there is none."""
    values, vectors = np.linalg.eigh(matrix)
    if values.min() >= -1e-10:
        return matrix
    rebuilt = (vectors * np.maximum(values, 0.0)) @ vectors.T
    scale = 1 / np.sqrt(np.diag(rebuilt))
    return rebuilt * np.outer(scale, scale)


def average_correlation(matrix: np.ndarray, weights: Sequence[float]) -> float:
    top = bottom = 0.0
    for i in range(len(matrix)):
        for j in range(i):
            if not math.isnan(matrix[i, j]):
                top += weights[i] * weights[j] * matrix[i, j]
                bottom += weights[i] * weights[j]
    return top / bottom if bottom else NAN


def effective_bets(matrix: np.ndarray) -> float:
    values = np.linalg.eigvalsh(matrix)
    shares = [v / sum(values) for v in values if v > 0]
    return math.exp(-sum(p * math.log(p) for p in shares))


def diversification_ratio(weights: Sequence[float], returns: np.ndarray) -> float:
    """Weighted volatilities over the volatility of the whole, both over the sessions all symbols share."""
    common = returns[:, ~np.isnan(returns).any(axis=0)]
    alone = sum(abs(w) * sd(row, 1) for w, row in zip(weights, common, strict=True))
    together = sd([sum(w * r for w, r in zip(weights, day, strict=True)) for day in common.T], 1)
    return alone / together


def concentration(values: Sequence[float]) -> dict[str, float]:
    total = sum(abs(v) for v in values)
    shares = sorted((abs(v) / total for v in values), reverse=True)
    hhi = 10_000 * sum(s * s for s in shares)
    return {"hhi": hhi, "effective": 10_000 / hhi, "top_3": sum(shares[:3]), "top_10": sum(shares[:10])}


# --- stress ----------------------------------------------------------------------------------------------


def shocked_proxies(
    shocks: Mapping[str, float], duration: float = 16.5, convexity: float = 380.0
) -> dict[int, float]:
    """Proxy number -> its return; the rate shock is a yield change and becomes a bond return."""
    given = {SHOCKS.index(name): shock for name, shock in shocks.items()}
    if RATES in given:
        change = given[RATES]
        given[RATES] = -duration * change + 0.5 * convexity * change**2
    return given


def direct_proxies(given: Mapping[int, float]) -> list[float]:
    market = given.get(MARKET, 0.0)
    rest = [market, given.get(RATES, 0.0)] + [market] * (len(PROXIES) - 2)
    return [given.get(k, rest[k]) for k in range(len(PROXIES))]


def correlated_proxies(given: Mapping[int, float], covariance: np.ndarray) -> list[float]:
    known = [k for k in (MARKET, RATES) if k in given]
    penalty = 0.0
    if not known:
        known, penalty = sorted(given), 0.1
    block = np.array([[covariance[i, j] * (1 + penalty * (i == j)) for j in known] for i in known])
    weights = np.linalg.solve(block, [given[k] for k in known])
    expected = [
        sum(covariance[k, j] * w for j, w in zip(known, weights, strict=True)) for k in range(len(PROXIES))
    ]
    return [given.get(k, expected[k]) for k in range(len(PROXIES))]


def stress_pnl(values: Sequence[float], loadings: np.ndarray, proxies: Sequence[float]) -> list[float]:
    """P&L of each symbol: value times loadings times the factors' returns, styles over the market."""
    factors = [proxies[0], proxies[1], *(p - proxies[0] for p in proxies[2:])]
    return [
        value * sum(b * f for b, f in zip(row, factors, strict=True))
        for value, row in zip(values, loadings, strict=True)
    ]


def portfolio_variance(
    weights: Sequence[float], loadings: np.ndarray, covariance: np.ndarray, specific
) -> float:
    full = loadings @ model_covariance(covariance) @ loadings.T + np.diag(specific)
    return sum(a * b * full[i, j] for i, a in enumerate(weights) for j, b in enumerate(weights))
