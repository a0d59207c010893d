"""The factor table: which models explain a symbol's returns, over which window; imports numpy alone.

A new factor is a row in ``MODELS`` (and in ``PROXIES`` when it needs a proxy of its own).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.panel import Panel
from engine.typing import FloatArray

BETA_LIMIT = 5.0

PROXIES = {
    "Market": "SPY",
    "Rates": "TLT",
    "Value": "VTV",
    "Growth": "VUG",
    "Momentum": "MTUM",
    "Quality": "QUAL",
    "Size": "IWM",
    "Low Volatility": "USMV",
}
STYLES = tuple(name for name in PROXIES if name not in ("Market", "Rates"))


@dataclass(frozen=True, slots=True)
class Factor:
    """A factor's daily return: that of ``long``, less that of ``short`` when there is one."""

    name: str
    long: str
    short: str | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """One regression of a symbol's returns on its factors, jointly, with an intercept.

    ``l2_penalty`` is λ on standardised factors: absolute, or per observation (λ = ``l2_penalty``·n) when
    ``penalty_per_observation``. An ``ols`` model has one factor and no penalty.
    """

    factor_set: str
    factors: tuple[Factor, ...]
    window: int
    min_observations: int
    method: Literal["ols", "ridge"] = "ols"
    l2_penalty: float = 0.0
    penalty_per_observation: bool = False


def _spread(name: str, long: str, short: str) -> Model:
    return Model("spread", (Factor(name, PROXIES[long], PROXIES[short]),), 180, 60)


MODELS = (
    Model("market", (Factor("Market Beta (90D)", PROXIES["Market"]),), 90, 30),
    Model("rates", (Factor("IR Beta", PROXIES["Rates"]),), 90, 30),
    Model("style", tuple(Factor(style, PROXIES[style]) for style in STYLES), 90, 30, "ridge", 1.0),
    _spread("Growth-Value Spread", "Growth", "Value"),
    _spread("Momentum Spread", "Momentum", "Market"),
    _spread("Size Spread", "Size", "Market"),
    _spread("Quality Spread", "Quality", "Market"),
)
FACTOR_NAMES = tuple(factor.name for model in MODELS for factor in model.factors)

RISK_MODEL = Model(
    "risk",
    (
        Factor("Market", PROXIES["Market"]),
        Factor("Rates", PROXIES["Rates"]),
        *(Factor(style, PROXIES[style], PROXIES["Market"]) for style in STYLES),
    ),
    252,
    90,
    "ridge",
    0.01,
    penalty_per_observation=True,
)


def factor_returns(panel: Panel, models: Sequence[Model] = MODELS) -> FloatArray:
    """Return the daily returns of every factor of the models, in table order.

    Returns
    -------
    FloatArray
        ``(n_factors, n_sessions)`` decimals, NaN where a proxy has no return or is not in the panel.
    """
    missing = np.full(len(panel.sessions), np.nan)

    def of(symbol: str) -> FloatArray:
        row = panel.row(symbol)
        return missing if row is None else panel.returns[row]

    factors = [factor for model in models for factor in model.factors]
    return np.array([of(f.long) - of(f.short) if f.short else of(f.long) for f in factors]).reshape(
        len(factors), len(panel.sessions)
    )
