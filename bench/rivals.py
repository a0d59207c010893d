"""The one table of rivals: the same question put to every library, for agreement and for timing.

A call takes a subject and the rows of it to answer for, and returns arrays by name whose first axis is the
row. Ridgeline answers for every symbol of a panel whatever the rows; slow rivals are given a sample, and time
is counted by unit. Rivals are written the way their users write them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bench import factor_peers, portfolio_peers
from bench.factor_peers import N_FITS, STYLE
from engine.correlation import pairwise_correlation
from engine.factors import MODELS
from engine.panel import Panel
from engine.regression import FactorFit, fit_factors
from engine.typing import FloatArray, IntArray

Answer = dict[str, FloatArray]
Call = Callable[[Any, IntArray], Answer]

OURS = "ridgeline"
LOOKBACK, MIN_OVERLAP = 252, 30
# RollingOLS has no penalty: for the history the joint model is fitted without one.
UNPENALIZED = tuple(replace(model, l2_penalty=0.0) for model in MODELS)


def _answer(fit: FactorFit) -> Answer:
    numbers = (fit.beta_raw, fit.standard_error, fit.t_stat, fit.r_squared, fit.n_obs)
    return dict(zip(("beta", "se", "t", "r2", "n"), numbers, strict=True))


def all_betas(panel: Panel, _: IntArray) -> Answer:
    last = len(panel.sessions) - 1
    return {name: each[:, 0] for name, each in _answer(fit_factors(panel, first=last, last=last)).items()}


def style_betas(panel: Panel, _: IntArray) -> Answer:
    last = len(panel.sessions) - 1
    fit = fit_factors(panel, STYLE, first=last, last=last)
    return {name: each[:, 0] for name, each in _answer(fit).items()}


def history(panel: Panel, _: IntArray) -> Answer:
    last = len(panel.sessions) - 1
    return _answer(fit_factors(panel, UNPENALIZED, first=last - N_FITS + 1, last=last))


def correlation(panel: Panel, rows: IntArray) -> Answer:
    return {"correlation": pairwise_correlation(panel.returns[rows, -LOOKBACK:], MIN_OVERLAP)[0]}


def correlation_by_pandas(panel: Panel, rows: IntArray) -> Answer:
    frame = pd.DataFrame(panel.returns[rows, -LOOKBACK:].T)
    return {"correlation": frame.corr(min_periods=MIN_OVERLAP).to_numpy()}


def correlation_by_numpy(panel: Panel, rows: IntArray) -> Answer:
    return {"correlation": np.asarray(np.corrcoef(panel.returns[rows, -LOOKBACK:]))}


BETAS = "12 betas with se, t, R², n; one session"
STYLES = "6 style betas; one session"
HISTORY = "7 models with se, t, R²; rolling history"
GAPS = "pairwise correlation, 2 % gaps"
NO_GAPS = "pairwise correlation, no gaps"
PORTFOLIO = "exposures, volatility, stress of a portfolio"

RIVALS: dict[str, dict[str, Call]] = {
    BETAS: {OURS: all_betas, "pandas + statsmodels + scikit-learn": factor_peers.symbol_by_symbol},
    STYLES: {
        OURS: style_betas,
        "scikit-learn": factor_peers.style_by_scikit_learn,
        "numpy lstsq": factor_peers.style_by_lstsq,
    },
    HISTORY: {
        OURS: history,
        "statsmodels RollingOLS": factor_peers.rolling_ols,
        "statsmodels RollingOLS, params_only": factor_peers.rolling_ols_params,
    },
    GAPS: {OURS: correlation, "pandas DataFrame.corr": correlation_by_pandas},
    NO_GAPS: {OURS: correlation, "numpy corrcoef": correlation_by_numpy},
    PORTFOLIO: {OURS: portfolio_peers.composed, "numpy": portfolio_peers.by_numpy},
}

TARGETS = {
    (BETAS, "pandas + statsmodels + scikit-learn"): 20_000,
    (STYLES, "scikit-learn"): 1_000,
    (HISTORY, "statsmodels RollingOLS"): 500,
    (GAPS, "pandas DataFrame.corr"): 15,
}
