"""Seeded test markets: price panels with everything that real data does to them. Imports numpy and polars.

Every market holds the eight proxies, ordinary symbols and, unless told otherwise, the quirks:

========  ==========================================================
FLAT      a constant price
HALT      trades, then stands still from the middle of the panel on
TICK      one price 10,000 times its neighbors
TWIN_A/B  the same prices twice
NEW_n     only the last n returns exist
GONE      no price in the last 30 sessions
SPARSE    every fifth price missing
========  ==========================================================
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

PROXIES = ("SPY", "TLT", "VTV", "VUG", "MTUM", "QUAL", "IWM", "USMV")
SHORT = (20, 45, 61, 100)
# Daily returns of the eight proxies, July 2013 to November 2017: standard deviations and correlations.
DEVIATIONS = np.array([75.3, 78.2, 75.2, 81.0, 82.6, 74.9, 99.1, 62.9]) * 1e-4
CORRELATIONS = np.array(
    [
        [1.0, -0.354, 0.974, 0.957, 0.904, 0.966, 0.855, 0.913],
        [-0.354, 1.0, -0.375, -0.311, -0.261, -0.345, -0.336, -0.175],
        [0.974, -0.375, 1.0, 0.896, 0.845, 0.942, 0.834, 0.9],
        [0.957, -0.311, 0.896, 1.0, 0.926, 0.946, 0.837, 0.882],
        [0.904, -0.261, 0.845, 0.926, 1.0, 0.898, 0.776, 0.885],
        [0.966, -0.345, 0.942, 0.946, 0.898, 1.0, 0.821, 0.91],
        [0.855, -0.336, 0.834, 0.837, 0.776, 0.821, 1.0, 0.739],
        [0.913, -0.175, 0.9, 0.882, 0.885, 0.91, 0.739, 1.0],
    ]
)


@dataclass(frozen=True)
class Market:
    """Prices ``(n_symbols, n_sessions)``, NaN where missing; rows follow ``symbols``, which ascend."""

    symbols: tuple[str, ...]
    sessions: np.ndarray
    adj_close: np.ndarray
    close: np.ndarray
    volume: np.ndarray

    def frame(self) -> pl.DataFrame:
        """Long prices, missing ones left out, in an order that means nothing."""
        rows, columns = np.nonzero(~np.isnan(self.adj_close))
        order = np.random.default_rng(0).permutation(len(rows))
        rows, columns = rows[order], columns[order]
        return pl.DataFrame(
            {
                "symbol": np.array(self.symbols)[rows],
                "session": self.sessions[columns],
                **{name: getattr(self, name)[rows, columns] for name in ("close", "adj_close", "volume")},
            }
        )

    def prices(self, symbol: str) -> np.ndarray | None:
        """Adjusted closes of one symbol ``(n_sessions,)``; None when the market does not have it."""
        return self.adj_close[self.symbols.index(symbol)] if symbol in self.symbols else None


def make_market(
    seed: int, *, n_symbols: int = 12, n_sessions: int = 300, gaps: float = 0.0, **kinds
) -> Market:
    """Draw a market.

    ``gaps`` is the share of prices missing, a tenth of it among the proxies. Kinds: ``quirks=False`` leaves
    the odd symbols out, ``without=(…)`` names proxies to leave out, ``late=(…)`` those that start a third of
    the way in, ``collinear=True`` makes SPY all but the mean of VTV and VUG, ``fused=True`` makes QUAL a copy
    of VTV.
    """
    rng = np.random.default_rng(seed)
    factors = _proxy_returns(
        rng, n_sessions, **{k: v for k, v in kinds.items() if k in ("collinear", "fused")}
    )
    series = dict(zip(PROXIES, _compound(factors), strict=True))
    for i in range(n_symbols):
        series[f"S{i:03d}"] = _compound(_symbol_returns(rng, factors)) * 10.0 ** rng.uniform(-2, 6)
    for name, prices in series.items():
        share = gaps / 10 if name in PROXIES else gaps
        series[name] = np.where(rng.random(n_sessions) < share, np.nan, prices)
    if kinds.get("quirks", True):
        series |= _quirks(rng, factors)
    for name in kinds.get("without", ()):
        del series[name]
    for name in kinds.get("late", ()):
        series[name][: n_sessions // 3] = np.nan
    return _market(rng, series)


def _market(rng: np.random.Generator, series: dict[str, np.ndarray]) -> Market:
    symbols = tuple(sorted(series))
    adj_close = np.array([series[symbol] for symbol in symbols])
    n_sessions = adj_close.shape[1]
    sessions = np.busday_offset("2019-01-02", np.arange(n_sessions), roll="forward")
    # Each symbol splits 3 for 1 at a session of its own; before it the raw close is three times the adjusted.
    split = rng.integers(0, n_sessions, size=(len(symbols), 1))
    close = adj_close * np.where(np.arange(n_sessions) < split, 3.0, 1.0)
    volume = np.where(np.isnan(adj_close), np.nan, np.floor(rng.lognormal(13, 1, adj_close.shape)))
    return Market(symbols, sessions, adj_close, close, volume)


def _proxy_returns(rng, n_sessions: int, *, collinear: bool = False, fused: bool = False) -> np.ndarray:
    """Daily returns ``(8, n_sessions)``, fat-tailed, of the proxies' real correlations."""
    shocks = rng.standard_t(5, size=(8, n_sessions)) * np.sqrt(3 / 5)
    returns = DEVIATIONS[:, None] * (np.linalg.cholesky(CORRELATIONS) @ shocks) + 3e-4
    if collinear:
        returns[0] = (returns[2] + returns[3]) / 2 + 2e-4 * rng.standard_normal(n_sessions)
    if fused:
        returns[5] = returns[2]
    return returns


def _symbol_returns(rng, factors: np.ndarray) -> np.ndarray:
    own = rng.uniform(0.004, 0.03) * rng.standard_t(5, size=factors.shape[1])
    tilts = rng.normal(0, 0.5, size=6) @ (factors[2:] - factors[0])
    return rng.uniform(-0.2, 1.8) * factors[0] + rng.normal(0, 0.2) * factors[1] + tilts + own


def _compound(returns: np.ndarray) -> np.ndarray:
    return 100.0 * np.cumprod(1.0 + np.maximum(returns, -0.9), axis=-1)


def _quirks(rng, factors: np.ndarray) -> dict[str, np.ndarray]:
    n_sessions = factors.shape[1]
    at = np.arange(n_sessions)
    halt, tick, twin, sparse, gone = (_compound(_symbol_returns(rng, factors)) for _ in range(5))
    quirks = {
        "FLAT": np.full(n_sessions, 37.25),
        "HALT": np.where(at < n_sessions // 2, halt, halt[n_sessions // 2]),
        "TICK": np.where(at == n_sessions * 2 // 3, tick * 1e4, tick),
        "TWIN_A": twin,
        "TWIN_B": twin.copy(),
        "SPARSE": np.where(rng.random(n_sessions) < 0.2, np.nan, sparse),
        "GONE": np.where(at < n_sessions - 30, gone, np.nan),
    }
    for n in SHORT:
        prices = _compound(_symbol_returns(rng, factors))
        quirks[f"NEW_{n:03d}"] = np.where(at < n_sessions - n - 1, np.nan, prices)
    return quirks
