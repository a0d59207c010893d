"""The slow, obvious answer to every number of the symbol layer; never imports the code under test.

A series is a one-dimensional array with one entry a session, NaN where missing; ``at`` is the session asked
about, and nothing after it is looked at.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

NAN = math.nan
PROXIES = ("SPY", "TLT", "VTV", "VUG", "MTUM", "QUAL", "IWM", "USMV")
STYLES = {
    "Value": "VTV",
    "Growth": "VUG",
    "Momentum": "MTUM",
    "Quality": "QUAL",
    "Size": "IWM",
    "Low Volatility": "USMV",
}
ONE_FACTOR = {
    "Market Beta (90D)": ("SPY", None, 90, 30),
    "IR Beta": ("TLT", None, 90, 30),
    "Growth-Value Spread": ("VUG", "VTV", 180, 60),
    "Momentum Spread": ("MTUM", "SPY", 180, 60),
    "Size Spread": ("IWM", "SPY", 180, 60),
    "Quality Spread": ("QUAL", "SPY", 180, 60),
}
FACTOR_NAMES = (*list(ONE_FACTOR)[:2], *STYLES, *list(ONE_FACTOR)[2:])


@dataclass
class Fit:
    """A regression: slopes and their errors, or the reason why there are none."""

    beta: Sequence[float]
    se: Sequence[float]
    r2: float = NAN
    n: int = 0
    residual_variance: float = NAN
    reason: str | None = None

    @property
    def t(self) -> list[float]:
        return [b / s if s > 0 else NAN for b, s in zip(self.beta, self.se, strict=True)]


def no_fit(reason: str, n: int, k: int) -> Fit:
    return Fit([NAN] * k, [NAN] * k, n=n, reason=reason)


def simple_returns(prices: Sequence[float]) -> np.ndarray:
    returns = [NAN]
    for before, now in itertools.pairwise(prices):
        returns.append(now / before - 1.0 if before > 0 and now > 0 else NAN)
    return np.array(returns)


def window(series: np.ndarray, at: int, size: int) -> np.ndarray:
    return series[max(0, at - size + 1) : at + 1]


def present(values: np.ndarray) -> np.ndarray:
    return values[~np.isnan(values)]


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def sd(values: Sequence[float], ddof: int) -> float:
    m = mean(values)
    return math.sqrt(math.fsum((v - m) ** 2 for v in values) / (len(values) - ddof))


# --- factors ---------------------------------------------------------------------------------------------


def ols(y: np.ndarray, x: np.ndarray, min_observations: int) -> Fit:
    rows = [(a, b) for a, b in zip(y, x, strict=True) if not math.isnan(a) and not math.isnan(b)]
    n = len(rows)
    if len(present(x)) < min_observations:
        return no_fit("missing_proxy", n, 1)
    if n < min_observations:
        return no_fit("insufficient_history", n, 1)
    ys, xs = [a for a, _ in rows], [b for _, b in rows]
    if max(ys) == min(ys):
        return no_fit("constant_series", n, 1)
    if max(xs) == min(xs):
        return no_fit("constant_factor", n, 1)
    y_mean, x_mean = mean(ys), mean(xs)
    sxx = math.fsum((b - x_mean) ** 2 for b in xs)
    sxy = math.fsum((a - y_mean) * (b - x_mean) for a, b in rows)
    sst = math.fsum((a - y_mean) ** 2 for a in ys)
    beta = sxy / sxx
    sse = math.fsum((a - y_mean - beta * (b - x_mean)) ** 2 for a, b in rows)
    variance = sse / (n - 2)
    return Fit([beta], [math.sqrt(variance / sxx)], 1 - sse / sst, n, variance)


def ridge(
    y: np.ndarray, X: np.ndarray, penalty: float, min_observations: int, *, per_row: bool = False
) -> Fit:
    """``X (k, n_sessions)``; the penalty is on standardised columns, absolute or per complete row."""
    k = len(X)
    complete = [t for t in range(len(y)) if not math.isnan(y[t]) and not np.isnan(X[:, t]).any()]
    n = len(complete)
    if len(present(X.sum(axis=0))) < min_observations:
        return no_fit("missing_proxy", n, k)
    if n < min_observations:
        return no_fit("insufficient_history", n, k)
    y, X = y[complete], X[:, complete]
    if y.max() == y.min():
        return no_fit("constant_series", n, k)
    if any(x.max() == x.min() for x in X):
        return no_fit("constant_factor", n, k)
    scale = np.array([sd(x, 0) for x in X])
    Z = np.array([(x - mean(x)) / s for x, s in zip(X, scale, strict=True)]).T
    residual = y - mean(y)
    sst = math.fsum(residual**2)
    gram = Z.T @ Z
    inverse = np.linalg.inv(gram + (penalty * n if per_row else penalty) * np.eye(k))
    gamma = inverse @ (Z.T @ residual)
    residual = residual - Z @ gamma
    sse = math.fsum(residual**2)
    degrees = 1.0 + np.trace(inverse @ gram)
    variance = sse / (n - degrees)
    errors = np.sqrt(np.diag(variance * inverse @ gram @ inverse)) / scale
    return Fit(list(gamma / scale), list(errors), 1 - sse / sst, n, variance)


def factor_fits(returns: Mapping[str, np.ndarray], symbol: str, at: int) -> dict[str, tuple]:
    """Factor name -> (beta_raw, se, t, r2, n, reason) of one symbol at one session."""
    missing = np.full(at + 1, NAN)
    y = returns[symbol]
    answers = {}
    for name, (long, short, size, minimum) in ONE_FACTOR.items():
        x = returns.get(long, missing)
        if short:
            x = x[: at + 1] - returns.get(short, missing)[: at + 1]
        fit = ols(window(y, at, size), window(x, at, size), minimum)
        answers[name] = (fit.beta[0], fit.se[0], fit.t[0], fit.r2, fit.n, fit.reason)
    X = np.array([window(returns.get(proxy, missing), at, 90) for proxy in STYLES.values()])
    fit = ridge(window(y, at, 90), X, 1.0, 30)
    for j, name in enumerate(STYLES):
        answers[name] = (fit.beta[j], fit.se[j], fit.t[j], fit.r2, fit.n, fit.reason)
    return answers


# --- risk ------------------------------------------------------------------------------------------------


def risk_fit(returns: Mapping[str, np.ndarray], symbol: str, at: int) -> Fit:
    missing = np.full(at + 1, NAN)
    proxies = [window(returns.get(proxy, missing), at, 252) for proxy in PROXIES]
    market, rates, *styles = proxies
    X = np.array([market, rates, *(style - market for style in styles)])
    return ridge(window(returns[symbol], at, 252), X, 0.01, 90, per_row=True)


def risk_model(
    returns: Mapping[str, np.ndarray], sectors: Mapping[str, str | None], at: int
) -> dict[str, tuple]:
    """Symbol -> (loadings (8,), specific variance, proxied)."""
    fits = {symbol: risk_fit(returns, symbol, at) for symbol in sectors}
    fitted = [symbol for symbol, fit in fits.items() if fit.reason is None]
    floor = np.percentile([fits[s].residual_variance for s in fitted], 5)
    specific = {s: max(fits[s].residual_variance, floor) for s in fitted}
    answers = {}
    for symbol, sector in sectors.items():
        if symbol in specific:
            answers[symbol] = (np.array(fits[symbol].beta), specific[symbol], False)
            continue
        if fits[symbol].reason != "insufficient_history":
            answers[symbol] = (np.full(8, NAN), NAN, False)
            continue
        peers = [s for s in fitted if sector is not None and sectors[s] == sector]
        peers = peers if len(peers) >= 5 else fitted
        loadings = np.median([fits[s].beta for s in peers], axis=0)
        answers[symbol] = (loadings, float(np.median([specific[s] for s in peers])), True)
    return answers


def ewma_covariance(proxies: np.ndarray, half_life: float = 42, size: int = 252) -> tuple[np.ndarray, int]:
    """Zero-mean covariance ``(8, 8)`` of the last ``size`` columns, and the number of complete ones."""
    total, weights, n = np.zeros((len(proxies), len(proxies))), 0.0, 0
    last = proxies.shape[1] - 1
    for t in range(max(0, last - size + 1), last + 1):
        if np.isnan(proxies[:, t]).any():
            continue
        weight = 0.5 ** ((last - t) / half_life)
        total += weight * np.outer(proxies[:, t], proxies[:, t])
        weights += weight
        n += 1
    return total / weights, n


def model_covariance(proxy_covariance: np.ndarray) -> np.ndarray:
    """Covariance of market, rates and the six styles less the market, entry by entry."""
    S = proxy_covariance
    F = np.empty((8, 8))
    for i in range(8):
        for j in range(8):
            F[i, j] = S[i, j]
            F[i, j] -= S[0, j] if i > 1 else 0.0
            F[i, j] -= S[i, 0] if j > 1 else 0.0
            F[i, j] += S[0, 0] if i > 1 and j > 1 else 0.0
    return F


def attribution(
    weights: Sequence[float], loadings: np.ndarray, F: np.ndarray, specific: Sequence[float]
) -> tuple:
    """(daily variance, share of each factor, share of each position)."""
    full = loadings @ F @ loadings.T + np.diag(specific)
    variance = sum(wi * wj * full[i, j] for i, wi in enumerate(weights) for j, wj in enumerate(weights))
    exposures = [sum(w * row[k] for w, row in zip(weights, loadings, strict=True)) for k in range(8)]
    factors = [b * sum(F[k, m] * exposures[m] for m in range(8)) / variance for k, b in enumerate(exposures)]
    positions = [
        w * sum(full[i, j] * v for j, v in enumerate(weights)) / variance for i, w in enumerate(weights)
    ]
    return variance, factors, positions
