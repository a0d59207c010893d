"""A seeded market as the nightly run sees one: gaps, short histories, correlated proxies, and its store."""

import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from engine.factors import PROXIES
from engine.panel import Panel, simple_returns
from engine.typing import FloatArray
from service import clock
from service.ingest import ingest_prices, ingest_table
from service.providers.simulated import MARKET_CORRELATION, SECTORS, SOURCE, VOLATILITY
from storage.store import open_store

REAL_PRICES = Path(__file__).resolve().parents[2] / "shared" / "data" / "real_prices_2013_2017.parquet"
PARTIAL = 3  # exit code: a proxy lacks a price somewhere
LAST_SESSION = date(2024, 6, 28)
N_SESSIONS = 546
GAP_SHARE, SHORT_SHARE = 0.02, 0.10
SHORTEST, LONGEST = 10, 500  # sessions of a short history


@dataclass(frozen=True)
class Market:
    """One market twice: ``panel`` with gaps and short histories, ``complete`` before they were cut out."""

    panel: Panel
    complete: Panel

    def first(self, n_symbols: int, *, whole: bool = False) -> "Market":
        """Return the proxies and ``n_symbols`` others; only such as trade all year when ``whole``."""
        proxies = [row for row in map(self.panel.row, PROXIES.values()) if row is not None]
        year = np.isfinite(self.panel.adj_close[:, -253:]).mean(axis=1) > 0.9
        others = np.flatnonzero(year) if whole else np.arange(len(year))
        rows = np.sort(np.concatenate([proxies, np.setdiff1d(others, proxies)[:n_symbols]]))
        return Market(_rows(self.panel, rows), _rows(self.complete, rows))


def make_market(n_symbols: int, *, seed: int = 20) -> Market:
    """Draw ``n_symbols`` with fat-tailed returns on the eight proxies, over 546 exchange sessions."""
    rng = np.random.default_rng(seed)
    sessions = clock.sessions_until(LAST_SESSION, N_SESSIONS)
    proxies = _proxy_returns(rng)
    slopes = np.column_stack([rng.normal(0.9, 0.3, n_symbols), rng.normal(0.0, 0.2, (n_symbols, 7))])
    noise = rng.uniform(0.006, 0.025, (n_symbols, 1)) * rng.standard_t(5, (n_symbols, N_SESSIONS))
    returns = np.concatenate([proxies, slopes @ proxies + noise])
    names = [*PROXIES.values(), *(f"A{at:05d}" for at in range(n_symbols))]
    order = np.argsort(names)
    # Closes in cents; dividends of a half per cent a quarter make the adjusted closes full-length numbers.
    close = np.round(50.0 * np.cumprod(1.0 + np.maximum(returns, -0.5), axis=1), 2)[order]
    paid = 0.995 ** ((N_SESSIONS - 1 - np.arange(N_SESSIONS)) // 63)
    volume = np.floor(rng.lognormal(13, 1, close.shape))
    absent = _absent(rng, n_symbols)[order]
    symbols = tuple(names[at] for at in order)
    arrays = (close * paid, close, volume)
    cut = [np.where(absent, np.nan, array) for array in arrays]
    panel, complete = (Panel(symbols, sessions, a, c, v, simple_returns(a)) for a, c, v in (cut, arrays))
    return Market(panel, complete)


def fill_store(path: Path, panel: Panel) -> None:
    """Write the panel's prices and profiles to a new store, the way an ingest does, and compact it."""
    row, column = np.nonzero(np.isfinite(panel.adj_close))
    close = panel.close[row, column]
    prices = pl.DataFrame(
        {
            "symbol": pl.Series(panel.symbols).gather(row.astype(np.uint32)),
            "session": pl.Series(panel.sessions[column]).cast(pl.Date),
            "open": close,
            "high": close,
            "low": close,
            "close": close,
            "adj_close": panel.adj_close[row, column],
            "volume": panel.volume[row, column],
        }
    ).with_columns(pl.lit(SOURCE).alias("source"))
    with open_store(path) as store:
        ingest_table(store, "profiles", profiles(panel), ["symbol", "as_of"])
        ingest_prices(store, prices)
        store.compact()


def profiles(panel: Panel) -> pl.DataFrame:
    """Return a profile of every symbol of the panel, known from its first session on."""
    n = len(panel.symbols)
    nothing = pl.lit(None)
    return pl.DataFrame(
        {
            "symbol": panel.symbols,
            "name": panel.symbols,
            "sector": [SECTORS[at % len(SECTORS)] for at in range(n)],
            "asset_class": ["equity"] * n,
            "market_cap": np.full(n, 1e9),
            "pe_ratio": np.full(n, 15.0),
            "as_of": [panel.sessions[0].item()] * n,
            "source": [SOURCE] * n,
        }
    ).with_columns(
        nothing.cast(pl.String).alias("industry"),
        nothing.cast(pl.Float64).alias("provider_beta"),
        nothing.cast(pl.Float64).alias("dividend_yield"),
    )


def _proxy_returns(rng: np.random.Generator) -> FloatArray:
    correlation = np.outer(MARKET_CORRELATION, MARKET_CORRELATION)
    np.fill_diagonal(correlation, 1.0)
    root = np.linalg.cholesky(correlation * np.outer(VOLATILITY, VOLATILITY))
    return np.asarray(3e-4 + root @ rng.standard_t(5, (len(PROXIES), N_SESSIONS)) * np.sqrt(3 / 5))


def _absent(rng: np.random.Generator, n_symbols: int) -> np.ndarray:
    """Say which prices are cut out ``(n_proxies + n_symbols, n_sessions)``: none of the proxies."""
    gaps = rng.random((n_symbols, N_SESSIONS)) < GAP_SHARE
    begins = N_SESSIONS - rng.integers(SHORTEST, LONGEST, n_symbols)
    begins[rng.random(n_symbols) >= SHORT_SHARE] = 0
    gaps |= np.arange(N_SESSIONS) < begins[:, None]
    return np.concatenate([np.zeros((len(PROXIES), N_SESSIONS), dtype=bool), gaps])


def _rows(panel: Panel, rows: np.ndarray) -> Panel:
    arrays = (panel.adj_close, panel.close, panel.volume, panel.returns)
    return Panel(tuple(panel.symbols[row] for row in rows), panel.sessions, *(a[rows] for a in arrays))


def fill_real_store(path: Path) -> list[str]:
    """Bring the real prices to a store and compute it; its symbols, none where the files are not at hand."""
    if not REAL_PRICES.exists():
        return []
    command = [sys.executable, "-m", "service.cli"]
    for arguments in (["ingest", str(REAL_PRICES)], ["batch", "run"]):
        code = subprocess.call([*command, *arguments, "--store", str(path)], stdout=subprocess.DEVNULL)
        if code not in (0, PARTIAL):
            raise AssertionError(f"ridgeline {arguments[0]} ended with {code}")
    with open_store(path) as store:
        return sorted(store.ledger.symbols.ids())
