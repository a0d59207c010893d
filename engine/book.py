"""The symbol layer in memory: what every portfolio is composed from. Imports numpy alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.typing import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class SymbolBook:
    """Immutable arrays of one release for all symbols, as of one session.

    Attributes
    ----------
    release : int
    as_of : np.datetime64
    symbols : tuple of str
        ``(n_symbols,)``.
    sessions : DateArray
        ``(n_sessions,)`` ending at ``as_of``; 546 of them serve every number.
    returns : FloatArray
        ``(n_symbols, n_sessions)`` simple returns, decimals, NaN missing.
    close, close_age : FloatArray, IntArray
        ``(n_symbols,)`` last close at or before ``as_of`` in currency, and how many sessions old it is
        (0 at ``as_of``, -1 when there is none).
    betas, standard_errors : FloatArray
        ``(n_symbols, n_factors)`` of ``factor_names``, NaN missing; betas as stored, within ±5.
    r_squared, n_obs : FloatArray
        ``(n_symbols, n_factors)`` of the betas' regressions: R² in sample, and returns used; NaN missing.
    factor_names : tuple of str
    loadings, specific_variance, risk_proxied : FloatArray, FloatArray, BoolArray
        ``(n_symbols, 8)``, ``(n_symbols,)`` daily, and where medians stand in for a short history.
    risk_n_obs : FloatArray
        ``(n_symbols,)`` returns behind the loadings, NaN missing.
    proxy_covariance : FloatArray
        ``(8, 8)`` daily, raw proxies in the order of ``engine.factors.PROXIES``.
    sectors, asset_classes : tuple of str or None
        ``(n_symbols,)``.
    dividend_yields : FloatArray
        ``(n_symbols,)`` decimals a year by the newest profile, NaN unknown.
    index : mapping of str to int
        Row of each symbol.
    """

    release: int
    as_of: np.datetime64
    symbols: tuple[str, ...]
    sessions: np.ndarray
    returns: FloatArray
    close: FloatArray
    close_age: IntArray
    betas: FloatArray
    standard_errors: FloatArray
    r_squared: FloatArray
    n_obs: FloatArray
    factor_names: tuple[str, ...]
    loadings: FloatArray
    specific_variance: FloatArray
    risk_proxied: BoolArray
    risk_n_obs: FloatArray
    proxy_covariance: FloatArray
    sectors: tuple[str | None, ...]
    asset_classes: tuple[str | None, ...]
    dividend_yields: FloatArray
    index: Mapping[str, int]

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        n = len(self.symbols)
        shapes = {
            "returns": (n, len(self.sessions)),
            "close": (n,),
            "close_age": (n,),
            "betas": (n, len(self.factor_names)),
            "standard_errors": (n, len(self.factor_names)),
            "r_squared": (n, len(self.factor_names)),
            "n_obs": (n, len(self.factor_names)),
            "loadings": (n, 8),
            "specific_variance": (n,),
            "risk_proxied": (n,),
            "risk_n_obs": (n,),
            "proxy_covariance": (8, 8),
            "dividend_yields": (n,),
        }
        for name, shape in shapes.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"SymbolBook.{name} has shape {found}; {n} symbols need {shape}")

    def rows(self, symbols: Sequence[str]) -> IntArray:
        """Row of each symbol ``(n,)``, -1 for one that the book does not have."""
        index = self.index
        return np.array([index.get(symbol, -1) for symbol in symbols], dtype=np.int64)
