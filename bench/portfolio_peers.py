"""A portfolio's exposures, volatility and stress results: composed by ridgeline, and in plain NumPy."""

from typing import NamedTuple

import numpy as np

from engine.analysis import portfolio_volatility
from engine.book import SymbolBook
from engine.composition import factor_exposures, holdings_of
from engine.risk import TO_MODEL
from engine.stress import SCENARIOS, direct_proxies, shocked_proxies, stress
from engine.typing import FloatArray, IntArray
from engine.valuation import Kind, Positions, value_positions


class Account(NamedTuple):
    """A portfolio on the book that values it."""

    book: SymbolBook
    positions: Positions


def make_account(book: SymbolBook, n_positions: int, *, seed: int = 5) -> Account:
    """Draw public positions in symbols that the book has a recent close of, long and short."""
    rng = np.random.default_rng(seed)
    priced = np.flatnonzero((book.close_age >= 0) & (book.close_age <= 5))
    rows = rng.permutation(priced)[:n_positions]
    n = len(rows)
    public: Kind = "public"
    quantity = np.where(rng.random(n) < 0.8, 1.0, -1.0) * np.floor(rng.uniform(10, 1000, n))
    symbols = tuple(book.symbols[row] for row in rows)
    return Account(book, Positions(symbols, quantity, book.close[rows], (public,) * n, np.full(n, np.nan)))


def composed(account: Account, _: IntArray) -> dict[str, FloatArray]:
    book, positions = account
    valuation = value_positions(book, positions)
    holdings, nav = holdings_of(valuation), valuation.weight_base
    exposures = factor_exposures(book, holdings, nav)
    volatility, stressed = portfolio_volatility(book, holdings, nav), stress(book, holdings)
    return {
        "exposure_dollar": exposures.exposure_dollar,
        "volatility": np.array([volatility.realized_21d, volatility.realized_63d, volatility.realized_252d]),
        "direct": stressed.direct,
        "correlated": stressed.correlated,
    }


def by_numpy(account: Account, _: IntArray) -> dict[str, FloatArray]:
    """Gather the rows, then a few matrix products; no forecast, no reasons, no coverage of each number."""
    book, positions = account
    rows = np.array([book.index[symbol] for symbol in positions.symbols])
    values = positions.quantity * book.close[rows]
    betas, returns, loadings = book.betas[rows], book.returns[rows, -546:], book.loadings[rows]
    weights, there = values / values.sum(), np.isfinite(returns)
    enough = there.sum(axis=1) >= 63
    weights, there, returns = weights[enough], there[enough], returns[enough]
    covered = np.abs(weights) @ there / np.abs(weights).sum()
    series = np.where(covered >= 0.95 - 1e-12, weights @ np.where(there, returns, 0.0), np.nan)
    dollar = values @ np.where(np.isfinite(loadings).all(axis=1)[:, None], loadings, 0.0)
    given = [shocked_proxies(scenario.shocks) for scenario in SCENARIOS]
    direct = np.array([direct_proxies(each) for each in given])
    correlated = np.array([_conditional(each, book.proxy_covariance) for each in given])
    exposures = np.nansum(values[:, None] * betas, axis=0)
    return {
        "exposure_dollar": np.where(np.isfinite(betas).any(axis=0), exposures, np.nan),
        "volatility": np.array([_volatility(series[-window:]) for window in (21, 63, 252)]),
        "direct": direct @ TO_MODEL.T @ dollar,
        "correlated": correlated @ TO_MODEL.T @ dollar,
    }


def _volatility(returns: FloatArray) -> float:
    enough = np.isfinite(returns).sum() >= -(-2 * len(returns) // 3)
    return float(np.nanstd(returns, ddof=1) * np.sqrt(252)) if enough else np.nan


def _conditional(given: dict[int, float], covariance: FloatArray) -> FloatArray:
    on: list[int] = [k for k in (0, 1) if k in given] or sorted(given)
    block = covariance[np.ix_(on, on)] * (1.0 if on[0] < 2 else 1.0 + 0.1 * np.eye(len(on)))
    moves = covariance[:, on] @ np.linalg.solve(block, [given[k] for k in on])
    moves[list(given)] = list(given.values())
    return np.asarray(moves)
