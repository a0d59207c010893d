"""The same answers from libraries that the field trusts: statsmodels, scikit-learn, SciPy, pandas.

Series are one-dimensional and end at the session asked about.
"""

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import optimize, stats
from sklearn.covariance import empirical_covariance
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.preprocessing import StandardScaler


def ols(y: np.ndarray, x: np.ndarray) -> dict[str, float]:
    """Statsmodels' regression of y on x with a constant, over the rows where both are present."""
    rows = ~np.isnan(y) & ~np.isnan(x)
    # A constant of size 1 beside returns of 1e-2 costs digits that centering x keeps; the slope is the same.
    design = sm.add_constant(x[rows] - x[rows].mean(), has_constant="add")
    fit = sm.OLS(y[rows], design).fit()
    return {"beta": fit.params[1], "se": fit.bse[1], "t": fit.tvalues[1], "r2": fit.rsquared, "n": rows.sum()}


def ridge(y: np.ndarray, X: np.ndarray, penalty: float, *, per_row: bool = False) -> dict:
    """Scikit-learn's ridge by SVD on standardised ``X (k, n_sessions)``; errors from the hat matrix."""
    rows = ~np.isnan(y) & ~np.isnan(X).any(axis=0)
    n = int(rows.sum())
    penalty = penalty * n if per_row else penalty
    scaler = StandardScaler()
    Z = scaler.fit_transform(X[:, rows].T)
    model = Ridge(alpha=penalty, solver="svd").fit(Z, y[rows])
    residual = y[rows] - model.predict(Z)
    # Ridge is least squares on rows extended by sqrt(penalty) I: an SVD answers it, no Gram is formed.
    extended = np.vstack([Z, np.sqrt(penalty) * np.eye(Z.shape[1])])
    slopes = np.linalg.pinv(extended)[:, :n]
    hat = np.full((n, n), 1 / n) + Z @ slopes
    variance = residual @ residual / (n - np.trace(hat))
    errors = np.sqrt(variance * np.sum(slopes**2, axis=1)) / scaler.scale_
    beta = model.coef_ / scaler.scale_
    r2 = model.score(Z, y[rows])
    return {"beta": beta, "se": errors, "t": beta / errors, "r2": r2, "n": n, "variance": variance}


def ridge_by_descent(y: np.ndarray, X: np.ndarray, penalty: float) -> np.ndarray:
    """Slopes that minimise the penalised sum of squares, found without the normal equations."""
    rows = ~np.isnan(y) & ~np.isnan(X).any(axis=0)
    Z = stats.zscore(X[:, rows], axis=1).T
    extended = np.vstack([Z, np.sqrt(penalty) * np.eye(Z.shape[1])])
    target = np.concatenate([y[rows] - y[rows].mean(), np.zeros(Z.shape[1])])
    return optimize.lsq_linear(extended, target, method="bvls", tol=1e-15).x / X[:, rows].std(axis=1)


def ewma_covariance(proxies: np.ndarray, half_life: float = 42, size: int = 252) -> np.ndarray:
    """Weighted second moments of the complete columns among the last ``size``."""
    last = pd.DataFrame(proxies[:, -size:].T)
    age = np.arange(len(last))[::-1]
    complete = last.notna().all(axis=1).to_numpy()
    weights = 0.5 ** (age[complete] / half_life)
    scaled = last[complete].to_numpy() * np.sqrt(weights / weights.mean())[:, None]
    return empirical_covariance(scaled, assume_centered=True)


def rolling_volatility(returns: np.ndarray, size: int) -> np.ndarray:
    """Annualised standard deviation of every window with two thirds of its returns."""
    minimum = -(-2 * size // 3)
    windows = np.lib.stride_tricks.sliding_window_view(np.r_[np.full(size - 1, np.nan), returns], size)
    frame = pd.DataFrame(windows.T)
    return frame.std(ddof=1).where(frame.count() >= minimum).to_numpy() * np.sqrt(252)


def har_forecast(returns: np.ndarray) -> tuple[float, float]:
    """Annualised forecast of the next 21 sessions' volatility, before and after the clip."""
    squares = pd.Series(returns) ** 2
    week, month = squares.rolling(5, min_periods=5).mean(), squares.rolling(21, min_periods=21).mean()
    table = pd.DataFrame({"day": squares, "week": week, "month": month, "target": month.shift(-21)})
    used = table.iloc[:-21].iloc[-504:].dropna()
    if len(used) < 126 or table.iloc[-1, :3].isna().any():
        return np.nan, np.nan
    regressors = ["day", "week", "month"]
    fit = LinearRegression().fit(used[regressors], used["target"])
    variance = float(fit.predict(table.iloc[[-1]][regressors])[0])
    seen = month.iloc[-525:]
    clipped = float(np.clip(variance, seen.min(), seen.max()))
    return float(np.sign(variance) * np.sqrt(abs(variance) * 252)), np.sqrt(clipped * 252)


def volatility_percentile(returns: np.ndarray) -> float:
    """SciPy's weak percentile of the last rolling 21-session volatility among the last 252."""
    history = rolling_volatility(returns, 21)[-252:]
    first = pd.Series(returns).first_valid_index()
    if first is None or len(returns) - first < 272 or np.isnan(history[-1]) or np.isnan(history).sum() > 84:
        return np.nan
    return stats.percentileofscore(history, history[-1], kind="weak", nan_policy="omit") / 100


def max_drawdown(prices: np.ndarray) -> float:
    series = pd.Series(prices).dropna()
    return float((series / series.cummax() - 1).min())


def correlations(logs: np.ndarray, min_overlap: int) -> np.ndarray:
    return pd.DataFrame(logs.T).corr(min_periods=min_overlap).to_numpy()


def effective_bets(matrix: np.ndarray) -> float:
    values = np.clip(np.linalg.svd(matrix, compute_uv=False), 0, None)
    return float(np.exp(stats.entropy(values)))


def conditional_mean(given: dict[int, float], covariance: np.ndarray, penalty: float) -> np.ndarray:
    """Most likely returns of all proxies given some: minimise xᵀΣ⁻¹x, through the precision."""
    known = sorted(given)
    shrunk = covariance.copy()
    shrunk[known, known] *= 1 + penalty
    precision = np.linalg.inv(shrunk)
    rest = [k for k in range(len(covariance)) if k not in given]
    answer = np.zeros(len(covariance))
    answer[known] = [given[k] for k in known]
    answer[rest] = np.linalg.solve(
        precision[np.ix_(rest, rest)], -precision[np.ix_(rest, known)] @ answer[known]
    )
    return answer
