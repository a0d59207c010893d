"""Statistics of a daily return series; imports numpy and scipy.

Sessions without a return (NaN) are left out: the others follow one another. Returns are simple, in decimals;
a year has 252 sessions, and risk-free is a rate a year, taken off each session's return as rate/252.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from engine.quality import reason_bit
from engine.typing import DateArray, FloatArray

ANNUAL_SESSIONS = 252
MIN_RETURNS = 2
MIN_REGRESSION_RETURNS = 30
NOTHING = (np.nan,) * 13
ROUNDING = 1e-14  # of the largest return: below it a deviation is what subtraction leaves


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall of the wealth index, which starts at 1 before the first return.

    ``depth`` ≤ 0; ``start`` is the session of the peak (None: before the first return), ``trough`` that of
    the low, ``recovery`` the first one back at the peak (None: not yet).
    """

    depth: float
    start: np.datetime64 | None
    trough: np.datetime64 | None
    recovery: np.datetime64 | None


@dataclass(frozen=True, slots=True)
class Relative:
    """A series against a benchmark over the sessions of both, at least 30; NaN below.

    ``alpha`` is Jensen's, compounded over a year; ``tracking_error`` annualized; ``information_ratio`` mean
    active return over its deviation, annualized, NaN where the series keeps a fixed distance from the
    benchmark (empyrical divides by the rounding that is left). ``reasons`` is a mask of ``engine.quality``:
    ``insufficient_history``; ``constant_factor`` for a benchmark that never moves; ``constant_series`` with
    an ``r_squared`` of NaN.
    """

    beta: float
    alpha: float
    r_squared: float
    tracking_error: float
    information_ratio: float
    n_obs: int
    reasons: int = 0


@dataclass(frozen=True, slots=True)
class Performance:
    """Statistics of one series; NaN below two returns, and where a divisor is 0.

    A loss of more than everything leaves nothing to compound: growth, drawdown and Calmar are NaN then.

    Attributes
    ----------
    cumulative_return, annual_return : float
        Growth over the whole, and compounded a year (CAGR).
    volatility : float
        Standard deviation (ddof 1) · √252.
    sharpe, sortino, calmar : float
        Mean excess return over its deviation, and over the root mean square of the excess returns below 0,
        both annualized; annual return over the size of the deepest drawdown.
    value_at_risk_95, value_at_risk_99 : float
        Historical: the 5 % and 1 % quantiles of a session's return, as they are (losses below 0).
    conditional_var_95, conditional_var_99 : float
        Mean of the returns at or below those quantiles.
    skew, kurtosis : float
        Population moments; a normal distribution has a kurtosis of 0.
    hit_rate : float
        Share of returns above 0.
    drawdown : Drawdown
    reasons : int
        Mask of ``engine.quality``: ``insufficient_history``, ``constant_series``, or ``nav_not_positive``
        after a loss of more than everything.
    """

    n_obs: int
    cumulative_return: float
    annual_return: float
    volatility: float
    sharpe: float
    sortino: float
    calmar: float
    value_at_risk_95: float
    value_at_risk_99: float
    conditional_var_95: float
    conditional_var_99: float
    skew: float
    kurtosis: float
    hit_rate: float
    drawdown: Drawdown
    reasons: int = 0


def performance(returns: FloatArray, sessions: DateArray, *, risk_free: float = 0.0) -> Performance:
    """Measure a series of returns ``(n_sessions,)`` dated by ``sessions``."""
    there = np.isfinite(returns)
    used, days = returns[there], sessions[there]
    n_obs = len(used)
    unknown = Drawdown(np.nan, None, None, None)
    if n_obs < MIN_RETURNS:
        return Performance(n_obs, *NOTHING, unknown, reason_bit("insufficient_history"))
    solvent = bool((used >= -1.0).all())
    growth = float(_wealth(used)[-1]) if solvent else np.nan
    annual = _compounded(growth, ANNUAL_SESSIONS / n_obs)
    excess = used - risk_free / ANNUAL_SESSIONS
    root = np.sqrt(ANNUAL_SESSIONS)
    downside = float(np.sqrt(np.mean(np.minimum(excess, 0.0) ** 2)))
    drawdown = deepest_drawdown(used, days) if solvent else unknown
    low, lowest = (float(np.percentile(used, share)) for share in (5, 1))
    moves = bool(np.ptp(used) > 0)
    return Performance(
        n_obs=n_obs,
        cumulative_return=growth - 1.0,
        annual_return=annual,
        volatility=float(used.std(ddof=1) * root),
        sharpe=_over(excess.mean() * root, excess.std(ddof=1) if moves else 0.0),
        sortino=_over(excess.mean() * root, downside),
        calmar=_over(annual, abs(drawdown.depth)),
        value_at_risk_95=low,
        value_at_risk_99=lowest,
        conditional_var_95=float(used[used <= low].mean()),
        conditional_var_99=float(used[used <= lowest].mean()),
        skew=float(stats.skew(used)) if moves else np.nan,
        kurtosis=float(stats.kurtosis(used)) if moves else np.nan,
        hit_rate=float((used > 0).mean()),
        drawdown=drawdown,
        reasons=(0 if solvent else reason_bit("nav_not_positive"))
        | (0 if moves else reason_bit("constant_series")),
    )


def relative(returns: FloatArray, benchmark: FloatArray, *, risk_free: float = 0.0) -> Relative:
    """Measure a series against a benchmark, ``(n_sessions,)`` each, on the sessions that both have."""
    common = np.isfinite(returns) & np.isfinite(benchmark)
    y, x = returns[common], benchmark[common]
    n_obs = len(y)
    if n_obs < MIN_REGRESSION_RETURNS or not np.ptp(x) > 0:
        reason = "insufficient_history" if n_obs < MIN_REGRESSION_RETURNS else "constant_factor"
        return Relative(np.nan, np.nan, np.nan, np.nan, np.nan, n_obs, reason_bit(reason))
    dx, dy = x - x.mean(), y - y.mean()
    beta = float(dx @ dy / (dx @ dx))
    rate = risk_free / ANNUAL_SESSIONS
    alpha = float((y - rate).mean() - beta * (x - rate).mean())
    active, root = y - x, np.sqrt(ANNUAL_SESSIONS)
    deviation, moves = float(active.std(ddof=1)), bool(np.ptp(y) > 0)
    apart = deviation > ROUNDING * max(float(np.abs(x).max()), float(np.abs(y).max()))
    return Relative(
        beta=beta,
        alpha=_compounded(1.0 + alpha, ANNUAL_SESSIONS),
        r_squared=_over(float(dx @ dy) ** 2, float(dx @ dx) * float(dy @ dy) if moves else 0.0),
        tracking_error=float(deviation * root),
        information_ratio=_over(active.mean() * root, deviation if apart else 0.0),
        n_obs=n_obs,
        reasons=0 if moves else reason_bit("constant_series"),
    )


def deepest_drawdown(returns: FloatArray, sessions: DateArray) -> Drawdown:
    """Find the deepest fall of the wealth index of finite returns ``(n_sessions,)``, at least one.

    On the index of returns, so that money taken out is no drawdown. NaN when no double holds the index.
    """
    wealth = np.concatenate([[1.0], _wealth(returns)])
    if np.isnan(wealth[-1]):
        return Drawdown(np.nan, None, None, None)
    peaks = np.maximum.accumulate(wealth)
    falls = wealth / peaks - 1.0
    low = int(np.argmin(falls))
    if not falls[low] < 0:
        return Drawdown(0.0, None, None, None)
    peak = int(np.argmax(wealth[: low + 1]))
    back = np.flatnonzero(wealth[low:] >= peaks[low])
    return Drawdown(
        depth=float(falls[low]),
        start=sessions[peak - 1] if peak else None,
        trough=sessions[low - 1],
        recovery=sessions[low + back[0] - 1] if len(back) else None,
    )


def _wealth(returns: FloatArray) -> FloatArray:
    """Wealth index after each return; NaN from where it is beyond what a double holds."""
    with np.errstate(over="ignore", invalid="ignore"):
        index = np.cumprod(1.0 + returns)
    return np.where(np.isfinite(index), index, np.nan)


def _compounded(growth: float, periods: float) -> float:
    """Return of so many periods that each multiply by ``growth``; NaN beyond what a double holds."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.power(growth, periods)) - 1.0
    return total if growth >= 0.0 and np.isfinite(total) else np.nan


def _over(value: float, divisor: float) -> float:
    return float(value / divisor) if divisor > 0 else np.nan
