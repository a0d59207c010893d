"""A simulated market whose betas are known: fictional symbols beside the eight proxies, seeded."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice, product

import numpy as np
import polars as pl

from engine.factors import MODELS, PROXIES, STYLES
from engine.typing import DateArray, FloatArray

SOURCE = "simulated"
SECTORS = (
    "Communication Services",
    "Consumer Discretionary",
    "Consumer Staples",
    "Energy",
    "Financials",
    "Health Care",
    "Industrials",
    "Information Technology",
    "Materials",
    "Real Estate",
    "Utilities",
)
# Daily volatility of each proxy, in the order of PROXIES, and correlation of each with the market.
VOLATILITY = np.array([0.010, 0.009, 0.0098, 0.0115, 0.0125, 0.0102, 0.0130, 0.0078])
MARKET_CORRELATION = np.array([1.0, -0.30, 0.94, 0.95, 0.88, 0.97, 0.87, 0.91])
LAST_LETTERS = "QXVZJ"
SHORT_SHARE = 0.05
# One symbol in seven misses a price in thirty.
GAPPY_SHARE, GAP_SHARE = 0.15, 0.03
# Places of the symbols that something happens to.
SPLIT, PAYER, OLD_NAME, NEW_NAME, DELISTED = range(5)


@dataclass(frozen=True, slots=True)
class SimulatedMarket:
    """Prices and the truth behind them.

    Attributes
    ----------
    sessions : DateArray
    symbols : tuple of str
        ``(n_symbols,)`` the fictional ones.
    prices, profiles, actions, benchmark : pl.DataFrame
        As the files provider gives them, source ``simulated``.
    covariance : FloatArray
        ``(8, 8)`` daily population covariance of the proxies, in the order of ``PROXIES``.
    exposures : FloatArray
        ``(n_symbols, 8)`` true slopes of the returns on all eight proxies jointly.
    """

    sessions: DateArray
    symbols: tuple[str, ...]
    prices: pl.DataFrame
    profiles: pl.DataFrame
    actions: pl.DataFrame
    benchmark: pl.DataFrame
    covariance: FloatArray
    exposures: FloatArray

    def population_betas(self) -> FloatArray:
        """True slopes on the factors of every one-factor model ``(n_symbols, 6)``: cov(y, x) / var(x)."""
        names = list(PROXIES.values())
        legs = np.zeros((0, len(names)))
        for model in MODELS:
            if model.method == "ols":
                leg = np.zeros((1, len(names)))
                factor = model.factors[0]
                leg[0, names.index(factor.long)] = 1.0
                if factor.short:
                    leg[0, names.index(factor.short)] = -1.0
                legs = np.concatenate([legs, leg])
        with_proxies = self.exposures @ self.covariance
        return np.asarray((with_proxies @ legs.T) / np.diagonal(legs @ self.covariance @ legs.T))

    def style_slopes(self) -> FloatArray:
        """True slopes on the six style proxies jointly ``(n_symbols, 6)``, without a penalty."""
        at = [list(PROXIES).index(style) for style in STYLES]
        of_styles = self.covariance[np.ix_(at, at)]
        return np.asarray(np.linalg.solve(of_styles, (self.exposures @ self.covariance)[:, at].T).T)


def simulate(sessions: DateArray, *, n_symbols: int = 500, seed: int = 7) -> SimulatedMarket:
    """Simulate Gaussian returns r = exposures · proxies + own noise, and the prices they give.

    ``n_symbols`` is at least 5.

    One symbol splits 2:1, one pays a dividend, one is renamed, one is delisted, one in twenty has a short
    history, and one in seven misses prices. Each symbol has a generator of its own, so that it is the
    same whatever the number of symbols.
    """
    covariance = _proxy_covariance()
    rng = np.random.default_rng([seed, 0])
    proxies = rng.multivariate_normal(np.full(8, 2e-4), covariance, size=len(sessions), method="cholesky").T
    symbols = tuple(islice(_names(), n_symbols))
    if not DELISTED < n_symbols <= len(symbols):
        raise ValueError(f"{n_symbols} symbols cannot be named; ask for more than {DELISTED}, up to 6,000")
    drawn = [_draw(np.random.default_rng([seed, 1 + i]), proxies) for i in range(n_symbols)]
    exposures = np.array([each[0] for each in drawn])
    returns = np.concatenate([proxies, np.array([each[1] for each in drawn])])
    first = np.concatenate([np.full(8, 100.0), [each[2] for each in drawn]])
    present = np.concatenate([np.ones((8, len(sessions)), dtype=bool), np.array([each[3] for each in drawn])])
    # The renamed company goes on as itself.
    returns[8 + NEW_NAME], exposures[NEW_NAME], first[8 + NEW_NAME] = (
        returns[8 + OLD_NAME],
        exposures[OLD_NAME],
        first[8 + OLD_NAME],
    )
    adj_close = first[:, None] * np.cumprod(1.0 + returns, axis=1)
    close, actions = _with_actions(adj_close, sessions, symbols, present)
    names = (*PROXIES.values(), *symbols)
    return SimulatedMarket(
        sessions,
        symbols,
        _prices(names, sessions, close, adj_close, present),
        _profiles(names, sessions[0].item()),
        actions,
        _benchmark(sessions[0].item()),
        covariance,
        exposures,
    )


def _proxy_covariance() -> FloatArray:
    """Covariance of a common market and each proxy's own noise."""
    correlation = np.outer(MARKET_CORRELATION, MARKET_CORRELATION)
    np.fill_diagonal(correlation, 1.0)
    return correlation * np.outer(VOLATILITY, VOLATILITY)


def _names() -> Iterator[str]:
    """Pronounceable names of five letters, in a fixed order."""
    for last, *middle in product(LAST_LETTERS, "AEIOU", "RLNTSMDK", "AEIOU", "BVZGFP"):
        vowel, consonant, second, first = middle
        yield f"{first}{second}{consonant}{vowel}{last}"


def _draw(rng: np.random.Generator, proxies: FloatArray) -> tuple[FloatArray, FloatArray, float, np.ndarray]:
    """Exposures, returns, first price and present sessions of one symbol."""
    n_sessions = proxies.shape[1]
    exposures = np.concatenate([[rng.normal(0.9, 0.3), rng.normal(0.0, 0.15)], rng.normal(0.0, 0.25, 6)])
    returns = exposures @ proxies + rng.normal(0.0, rng.uniform(0.008, 0.02), n_sessions)
    gap_share = GAP_SHARE if rng.random() < GAPPY_SHARE else 0.0
    present = np.asarray(rng.random(n_sessions) >= gap_share)
    if rng.random() < SHORT_SHARE:
        present[: n_sessions - int(rng.integers(40, 200))] = False
    return exposures, np.maximum(returns, -0.9), float(rng.uniform(15.0, 250.0)), present


def _with_actions(
    adj_close: FloatArray, sessions: DateArray, symbols: tuple[str, ...], present: np.ndarray
) -> tuple[FloatArray, pl.DataFrame]:
    """Unadjusted closes, and the corporate actions that make the difference, all in mid-history."""
    close, middle = adj_close.copy(), len(sessions) // 2
    day, fictional, there = sessions[middle].item(), close[len(PROXIES) :], present[len(PROXIES) :]
    fictional[SPLIT, :middle] *= 2.0
    fictional[PAYER, :middle] /= 0.99
    there[OLD_NAME, middle:] = False
    there[NEW_NAME, :middle] = False
    there[DELISTED, middle:] = False
    rows = [
        (symbols[SPLIT], day, "split", 2.0, None),
        (symbols[PAYER], day, "dividend", 0.01 * float(fictional[PAYER, middle - 1]), None),
        (symbols[OLD_NAME], day, "rename", None, symbols[NEW_NAME]),
        (symbols[DELISTED], day, "delisting", None, None),
    ]
    types = (pl.String, pl.Date, pl.String, pl.Float64, pl.String)
    schema = dict(zip(("symbol", "session", "kind", "value", "new_symbol"), types, strict=True))
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return close, frame.with_columns(pl.lit(SOURCE).alias("source"))


def _prices(
    symbols: tuple[str, ...],
    sessions: DateArray,
    close: FloatArray,
    adj_close: FloatArray,
    present: np.ndarray,
) -> pl.DataFrame:
    row, column = np.nonzero(present)
    prices = close[row, column]
    return pl.DataFrame(
        {
            "symbol": pl.Series(symbols).gather(row.astype(np.uint32)),
            "session": pl.Series(sessions[column]).cast(pl.Date),
            "open": prices * 0.999,
            "high": prices * 1.004,
            "low": prices * 0.995,
            "close": prices,
            "adj_close": adj_close[row, column],
            "volume": np.round(1e6 * (1.0 + (row * 7919 + column * 104729) % 97 / 10.0)),
            "source": pl.Series([SOURCE]).new_from_index(0, len(row)),
        }
    )


def _profiles(symbols: tuple[str, ...], as_of: date) -> pl.DataFrame:
    n_proxies, n = len(PROXIES), len(symbols)
    fictional = [f"{symbol.capitalize()} Corporation" for symbol in symbols[n_proxies:]]
    sectors = [SECTORS[i % len(SECTORS)] for i in range(n - n_proxies)]
    return pl.DataFrame(
        {
            "symbol": symbols,
            "name": [f"{factor} proxy" for factor in PROXIES] + fictional,
            "sector": [None] * n_proxies + sectors,
            "industry": pl.Series([None] * n, dtype=pl.String),
            "asset_class": ["etf"] * n_proxies + ["equity"] * (n - n_proxies),
            "provider_beta": pl.Series([None] * n, dtype=pl.Float64),
            "market_cap": [None] * n_proxies + [1e9 * (1 + i % 50) for i in range(n - n_proxies)],
            "pe_ratio": [None] * n_proxies + [8.0 + i % 30 for i in range(n - n_proxies)],
            "dividend_yield": pl.Series([None] * n, dtype=pl.Float64),
            "as_of": [as_of] * n,
            "source": [SOURCE] * n,
        }
    )


def _benchmark(as_of: date) -> pl.DataFrame:
    n = len(SECTORS)
    columns = {"benchmark": ["SP500"] * n, "as_of": [as_of] * n, "sector": list(SECTORS)}
    return pl.DataFrame({**columns, "weight": [1.0 / n] * n})
