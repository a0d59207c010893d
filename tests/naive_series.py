"""The slow, obvious volatilities and metrics of one series; never imports the code under test.

A series is a one-dimensional array with one entry a session, NaN where missing; ``at`` is the session asked
about, and nothing after it is looked at.
"""

import math

import numpy as np
from naive import NAN, mean, present, sd, simple_returns, window


def realized_volatility(returns: np.ndarray, at: int, size: int) -> float:
    values = present(window(returns, at, size))
    return sd(values, 1) * math.sqrt(252) if len(values) >= size * 2 / 3 else NAN


def har_rows(returns: np.ndarray, at: int) -> list[tuple[list[float], float]]:
    """Regressors and target of each of the last 504 origins that has all its 42 returns."""
    rows = []
    for origin in range(max(20, at - 21 - 503), at - 21 + 1):
        squares = returns[origin - 20 : origin + 22] ** 2
        if not np.isnan(squares).any():
            rows.append((har_regressors(squares[:21]), mean(squares[21:])))
    return rows


def har_regressors(squares: np.ndarray) -> list[float]:
    return [1.0, squares[-1], mean(squares[-5:]), mean(squares[-21:])]


def har_forecast(returns: np.ndarray, at: int) -> tuple[float, float]:
    """Annualised volatility of the next 21 sessions, before and after the clip to the 545 returns' own."""
    rows = har_rows(returns, at)
    now = window(returns, at, 21) ** 2
    if len(rows) < 126 or len(now) < 21 or np.isnan(now).any():
        return NAN, NAN
    X, y = np.array([row for row, _ in rows]), np.array([target for _, target in rows])
    scale = np.abs(X).max(axis=0)
    if (scale == 0).any():
        return NAN, NAN
    variance = float(np.array(har_regressors(now)) / scale @ np.linalg.lstsq(X / scale, y, rcond=None)[0])
    months = [mean(returns[t - 20 : t + 1] ** 2) for t in range(max(20, at - 524), at + 1)]
    clipped = min(max(variance, np.nanmin(months)), np.nanmax(months))
    return math.copysign(math.sqrt(abs(variance) * 252), variance), math.sqrt(clipped * 252)


def volatility_trend(returns: np.ndarray, at: int) -> str | None:
    short, long = realized_volatility(returns, at, 21), realized_volatility(returns, at, 63)
    if math.isnan(short) or math.isnan(long):
        return None
    if exceeds(short, 1.15 * long):
        return "increasing"
    return "decreasing" if exceeds(0.87 * long, short) else "stable"


def exceeds(one: float, other: float) -> bool:
    """More than a billionth above, and above what the rounding of prices makes of no volatility at all."""
    return one - other > max(1e-9 * other, 1e-14 * math.sqrt(252))


def volatility_percentile(returns: np.ndarray, at: int) -> float:
    """Share of 252 rolling volatilities at or below the last; up to a third of them may be missing."""
    if at < 271 or np.isnan(returns[: at - 270]).all():
        return NAN
    history = [realized_volatility(returns, t, 21) for t in range(at - 251, at + 1)]
    there = [v for v in history if not math.isnan(v)]
    if math.isnan(history[-1]) or len(there) < 168:
        return NAN
    return sum(not exceeds(v, history[-1]) for v in there) / len(there)


# --- metrics ---------------------------------------------------------------------------------------------


def period_returns(prices: np.ndarray, sessions: np.ndarray, at: int) -> dict[str, float]:
    """Last price over the last one on or before each reference session, less 1."""
    months, years = sessions.astype("datetime64[M]"), sessions.astype("datetime64[Y]")
    references = {"return_1w": at - 5, "return_1m": at - 21, "return_3m": at - 63, "return_1y": at - 252}
    references["return_mtd"] = max(t for t in range(-1, at) if t < 0 or months[t] < months[at])
    references["return_ytd"] = max(t for t in range(-1, at) if t < 0 or years[t] < years[at])
    answers = {"return_1d": float(simple_returns(prices)[at])}
    for name, reference in references.items():
        earlier = present(prices[: reference + 1]) if reference >= 0 else []
        answers[name] = present(prices[: at + 1])[-1] / earlier[-1] - 1 if len(earlier) else NAN
    return answers


def max_drawdown(prices: np.ndarray) -> float:
    peak, worst = -math.inf, 0.0
    for price in present(prices):
        peak = max(peak, price)
        worst = min(worst, price / peak - 1)
    return worst


def price_range(prices: np.ndarray, close: np.ndarray, at: int) -> dict[str, float]:
    """High and low of 252 adjusted closes, at the level of the last raw close, and the distances to them."""
    year = present(window(prices, at, 252))
    last = max(t for t in range(at + 1) if prices[t] > 0)
    level = close[last] / prices[last]
    return {
        "price": close[last],
        "high_52w": year.max() * level,
        "low_52w": year.min() * level,
        "high_52w_distance": prices[last] / year.max() - 1,
        "low_52w_distance": prices[last] / year.min() - 1,
        "max_drawdown_1y": max_drawdown(year),
    }


def data_quality(prices: np.ndarray, at: int) -> dict[str, float]:
    """How much of the last 252 sessions is there, how stale it is, how lively."""
    priced = [t for t in range(at + 1) if not math.isnan(prices[t])]
    year = range(max(0, at - 251), at + 1)
    moves = present(window(simple_returns(prices), at, 252))
    return {
        "n_obs": len(moves),
        "days_stale": at - priced[-1],
        "missing_sessions": sum(math.isnan(prices[t]) for t in year if t >= priced[0]),
        "zero_return_share": sum(m == 0 for m in moves) / len(moves) if len(moves) else NAN,
        "max_abs_return": max(abs(moves)) if len(moves) else NAN,
    }


def average_volume(volume: np.ndarray, at: int) -> float:
    values = present(window(volume, at, 21))
    return mean(values) if len(values) >= 14 else NAN
