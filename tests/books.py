"""Seeded symbol books and positions for the portfolio tests: returns of a test market, made-up fits."""

import naive
import numpy as np
from markets import PROXIES, Market

from engine.book import SymbolBook
from engine.factors import FACTOR_NAMES

SECTORS = ("Energy", "Financials", "Health Care", None)
BOOK_FACTORS = (*FACTOR_NAMES, "Provider Beta (1Y)")


def make_book(market: Market, seed: int) -> SymbolBook:
    """Book of a market at its last session; a twentieth of the betas is missing."""
    rng = np.random.default_rng(seed)
    n, last = len(market.symbols), len(market.sessions) - 1
    returns = np.array([naive.simple_returns(row) for row in market.adj_close])
    priced = [np.flatnonzero(~np.isnan(row))[-1] for row in market.close]
    betas = rng.normal(0.8, 0.6, (n, len(BOOK_FACTORS)))
    betas[rng.random(betas.shape) < 0.05] = np.nan
    loadings = rng.normal(0, 0.4, (n, 8))
    loadings[:, 0] += 1
    proxies = np.array([naive.simple_returns(market.prices(proxy)) for proxy in PROXIES])
    return SymbolBook(
        release=7,
        as_of=market.sessions[-1],
        symbols=market.symbols,
        sessions=market.sessions,
        returns=returns,
        close=np.array([row[at] for row, at in zip(market.close, priced, strict=True)]),
        close_age=np.array([last - at for at in priced]),
        betas=betas,
        standard_errors=np.where(np.isnan(betas), np.nan, rng.uniform(0.02, 0.3, betas.shape)),
        r_squared=np.where(np.isnan(betas), np.nan, rng.uniform(0, 1, betas.shape)),
        n_obs=np.where(np.isnan(betas), np.nan, rng.integers(30, 181, betas.shape)),
        factor_names=BOOK_FACTORS,
        loadings=loadings,
        specific_variance=rng.uniform(1e-5, 4e-4, n),
        risk_proxied=rng.random(n) < 0.1,
        risk_n_obs=rng.integers(90, 253, n).astype(np.float64),
        proxy_covariance=naive.ewma_covariance(proxies)[0],
        sectors=tuple(SECTORS[i % 4] if s not in PROXIES else None for i, s in enumerate(market.symbols)),
        asset_classes=tuple("etf" if s in PROXIES else "equity" for s in market.symbols),
        dividend_yields=np.where(np.arange(n) % 4 == 0, np.nan, rng.uniform(0, 0.06, n)),
        index={symbol: row for row, symbol in enumerate(market.symbols)},
    )
