"""The betas as users of pandas, statsmodels, scikit-learn and NumPy compute them, a symbol at a time.

Each takes a panel and the rows of the symbols to answer for, and returns arrays by name whose first axis is
the symbol; NaN where the model has too few observations.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import statsmodels.api as sm
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from statsmodels.regression.rolling import RollingOLS

from engine.factors import MODELS, Model
from engine.panel import Panel
from engine.typing import FloatArray, IntArray

STYLE = tuple(model for model in MODELS if model.method == "ridge")
N_FACTORS = sum(len(model.factors) for model in MODELS)
N_FITS = 366


def proxies_of(panel: Panel, model: Model) -> FloatArray:
    """Factor returns of a model, one column a factor: ``(n_sessions, n_factors)``."""

    def returns(symbol: str | None) -> FloatArray | float:
        row = panel.row(symbol) if symbol else None
        return 0.0 if row is None else panel.returns[row]

    return np.column_stack([returns(factor.long) - returns(factor.short) for factor in model.factors])


def _spans() -> Iterator[tuple[int, Model, slice]]:
    at = 0
    for m, model in enumerate(MODELS):
        yield m, model, slice(at, at + len(model.factors))
        at += len(model.factors)


def _blank(n_symbols: int, *inner: int) -> dict[str, FloatArray]:
    factors, models = (n_symbols, *inner, N_FACTORS), (n_symbols, *inner, len(MODELS))
    shapes = {"beta": factors, "se": factors, "t": factors, "r2": models, "n": models}
    return {name: np.full(shape, np.nan) for name, shape in shapes.items()}


def symbol_by_symbol(panel: Panel, rows: IntArray) -> dict[str, FloatArray]:
    """For each symbol and model: align, drop missing rows, fit. No errors of the ridge slopes."""
    answer = _blank(len(rows))
    factors = [pd.DataFrame(proxies_of(panel, model), index=panel.sessions) for model in MODELS]
    for i, row in enumerate(rows):
        y = pd.Series(panel.returns[row], index=panel.sessions, name="y")
        for m, model, span in _spans():
            frame = pd.concat([y, factors[m]], axis=1, join="inner").iloc[-model.window :].dropna()
            answer["n"][i, m] = len(frame)
            if len(frame) < model.min_observations:
                continue
            target, features = frame["y"], frame.drop(columns="y")
            if model.method == "ols":
                fit = sm.OLS(target, sm.add_constant(features)).fit()
                answer["beta"][i, span] = fit.params.iloc[1:]
                answer["se"][i, span] = fit.bse.iloc[1:]
                answer["t"][i, span] = fit.tvalues.iloc[1:]
                answer["r2"][i, m] = fit.rsquared
            else:
                scaler = StandardScaler()
                scaled = scaler.fit_transform(features)
                ridge = Ridge(alpha=model.l2_penalty).fit(scaled, target)
                answer["beta"][i, span] = ridge.coef_ / scaler.scale_
                answer["r2"][i, m] = ridge.score(scaled, target)
    return answer


def style_by_scikit_learn(panel: Panel, rows: IntArray) -> dict[str, FloatArray]:
    (model,) = STYLE
    X, betas = proxies_of(panel, model)[-model.window :], np.full((len(rows), len(model.factors)), np.nan)
    for i, row in enumerate(rows):
        y = panel.returns[row, -model.window :]
        there = np.isfinite(y)
        if there.sum() >= model.min_observations:
            scaler = StandardScaler()
            ridge = Ridge(alpha=model.l2_penalty).fit(scaler.fit_transform(X[there]), y[there])
            betas[i] = ridge.coef_ / scaler.scale_
    return {"beta": betas}


def style_by_lstsq(panel: Panel, rows: IntArray) -> dict[str, FloatArray]:
    """Ridge as least squares on rows extended by √λ I."""
    (model,) = STYLE
    X, p = proxies_of(panel, model)[-model.window :], len(model.factors)
    betas, penalty = np.full((len(rows), p), np.nan), np.sqrt(model.l2_penalty) * np.eye(p)
    for i, row in enumerate(rows):
        y = panel.returns[row, -model.window :]
        there = np.isfinite(y)
        if there.sum() >= model.min_observations:
            x, scale = X[there] - X[there].mean(axis=0), X[there].std(axis=0)
            target = np.concatenate([y[there] - y[there].mean(), np.zeros(p)])
            betas[i] = np.linalg.lstsq(np.vstack([x / scale, penalty]), target)[0] / scale
    return {"beta": betas}


def _rolling(panel: Panel, rows: IntArray, *, params_only: bool) -> dict[str, FloatArray]:
    answer = _blank(len(rows), N_FITS)
    for m, model, span in _spans():
        n_rows = N_FITS + model.window - 1
        X = sm.add_constant(proxies_of(panel, model)[-n_rows:])
        for i, row in enumerate(rows):
            peer = RollingOLS(
                panel.returns[row, -n_rows:],
                X,
                window=model.window,
                min_nobs=model.min_observations,
                missing="drop",  # the rows of a window that have gaps; "skip" would drop the windows
            )
            fit = peer.fit(params_only=params_only)
            answer["beta"][i, :, span] = fit.params[-N_FITS:, 1:]
            if not params_only:
                answer["se"][i, :, span] = fit.bse[-N_FITS:, 1:]
                answer["t"][i, :, span] = fit.tvalues[-N_FITS:, 1:]
                answer["r2"][i, :, m] = fit.rsquared[-N_FITS:]
    return {"beta": answer["beta"]} if params_only else {k: v for k, v in answer.items() if k != "n"}


def rolling_ols(panel: Panel, rows: IntArray) -> dict[str, FloatArray]:
    return _rolling(panel, rows, params_only=False)


def rolling_ols_params(panel: Panel, rows: IntArray) -> dict[str, FloatArray]:
    return _rolling(panel, rows, params_only=True)
