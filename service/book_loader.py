"""Builds the engine's arrays from a release of the store."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from engine.book import SymbolBook
from engine.factor_frames import PROVIDER_FACTOR
from engine.factors import FACTOR_NAMES, PROXIES
from engine.panel import Panel, panel_of_ids
from engine.prices_asof import is_adjusted_only, split_factors
from engine.risk import FACTORS, SPECIFIC
from engine.typing import DateArray, FloatArray, IntArray
from service import clock
from service.errors import FailedError, UsageError
from service.names import read_begun
from service.splits import read_splits
from storage.releases import Release
from storage.store import Store

HISTORY_SESSIONS = 546
BENCHMARK = "SP500"
CLOSES, VOLUMES = 252, 21  # sessions of them that a metric looks back on
BOOK_FACTORS = (*FACTOR_NAMES, PROVIDER_FACTOR)


def load_panel(store: Store, release: Release, sessions: DateArray, *, n_fits: int = 1) -> Panel:
    """Load the price panel of a release on consecutive exchange sessions, to compute the last ``n_fits``.

    Of each symbol it has the company that it names on the first of these.
    """
    n_closes, n_volumes = (min(len(sessions), window + n_fits - 1) for window in (CLOSES, VOLUMES))
    days: list[date] = sessions.tolist()
    since = {
        **dict.fromkeys(("symbol_id", "session", "adj_close"), days[0]),
        "close": days[-n_closes],
        "volume": days[-n_volumes],
    }
    frames = store.frames("prices", release=release, since=since, until=days[-1])
    names = {symbol_id: name for name, symbol_id in store.ledger.symbols.ids().items()}
    begun = {name: np.datetime64(day) for name, day in read_begun(store, release, days[-n_fits]).items()}
    return panel_of_ids(frames, names, sessions, n_closes=n_closes, n_volumes=n_volumes, begun=begun)


def computed_sessions(store: Store, release: Release) -> DateArray:
    """Sessions that the symbol layer is computed for, ascending."""
    sessions = store.read("factor_covariance", release=release, columns=["session"])["session"]
    return sessions.unique().sort().to_numpy().astype("datetime64[D]")


def newest_profiles(profiles: pl.DataFrame, on: date) -> pl.DataFrame:
    """Newest profile of each symbol that was known on a date, one row a symbol."""
    return profiles.filter(pl.col("as_of") <= on).sort("as_of").unique("symbol", keep="last").sort("symbol")


def benchmark_weights(store: Store, release: Release, on: date) -> dict[str, float]:
    """Newest sector weights of ``BENCHMARK`` on or before a date; empty when there are none."""
    mine = (pl.col("benchmark") == BENCHMARK) & (pl.col("as_of") <= on)
    known = store.read("benchmark_weights", release=release).filter(mine)
    newest = known.filter(pl.col("as_of") == pl.col("as_of").max())
    return dict(zip(newest["sector"], newest["weight"], strict=True))


def load_book(store: Store, *, asof: date | None = None, release: Release | None = None) -> SymbolBook:
    """Load the book of a release as of the newest computed session on or before a date.

    Raises
    ------
    FailedError
        Nothing is computed yet.
    UsageError
        Nothing is computed as early as that.
    """
    release = release or store.release()
    computed = computed_sessions(store, release)
    if not len(computed):
        raise FailedError(f"{store.path} has no computed session; run `ridgeline batch run` first")
    sessions = computed if asof is None else computed[computed <= np.datetime64(asof)]
    if not len(sessions):
        raise UsageError(f"nothing is computed on or before {asof}; the first session is {computed[0]}")
    last: date = sessions[-1].item()
    panel = load_panel(store, release, clock.sessions_until(last, HISTORY_SESSIONS))
    columns = np.arange(len(panel.sessions))
    priced = np.where(panel.adj_close > 0, columns, -1).max(axis=1)
    known = newest_profiles(store.read("profiles", release=release), last)
    profiles = {row["symbol"]: row for row in known.iter_rows(named=True)}
    return SymbolBook(
        release=release.number,
        as_of=sessions[-1],
        symbols=panel.symbols,
        sessions=panel.sessions,
        returns=panel.returns,
        close=_closes(store, release, panel, priced),
        close_age=columns[-1] - priced,
        **_regressions(store, release, panel, last),
        factor_names=BOOK_FACTORS,
        **_risk_model(store, release, panel, last),
        proxy_covariance=_covariance(store, release, last),
        sectors=tuple(profiles.get(symbol, {}).get("sector") for symbol in panel.symbols),
        asset_classes=tuple(profiles.get(symbol, {}).get("asset_class") for symbol in panel.symbols),
        dividend_yields=_numbers(profiles.get(symbol, {}).get("dividend_yield") for symbol in panel.symbols),
        index={symbol: row for row, symbol in enumerate(panel.symbols)},
    )


def _closes(store: Store, release: Release, panel: Panel, priced: IntArray) -> FloatArray:
    """Last close of each symbol, in shares of the last session: one from before a split is divided by it."""
    last = panel.sessions[-1]
    stale = np.flatnonzero((priced >= 0) & (priced < len(panel.sessions) - 1))
    close = panel.close_at(priced)
    splits = read_splits(store, release, last.item())
    codes = splits.codes_of(pl.Series([panel.symbols[row] for row in stale], dtype=pl.String))
    today = np.full(len(stale), last)
    factor = split_factors(splits, codes, panel.sessions[priced[stale]], today)
    close[stale] /= np.where(is_adjusted_only(splits, codes, today), 1.0, factor)
    return close


def _numbers(values: Iterable[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _regressions(store: Store, release: Release, panel: Panel, session: date) -> dict[str, Any]:
    columns = {"betas": "beta", "standard_errors": "se", "r_squared": "r2", "n_obs": "n_obs"}
    frame = store.read(
        "symbol_factors",
        release=release,
        columns=["symbol", "factor", *columns.values()],
        sessions=(session, session),
    )
    return {field: _matrix(frame, panel, BOOK_FACTORS, column) for field, column in columns.items()}


def _risk_model(store: Store, release: Release, panel: Panel, session: date) -> dict[str, Any]:
    frame = store.read("risk_loadings", release=release, sessions=(session, session))
    matrix = _matrix(frame, panel, (*FACTORS, SPECIFIC), "loading")
    proxied = set(frame.filter(pl.col("reasons").str.contains("proxied"))["symbol"])
    return {
        "loadings": np.ascontiguousarray(matrix[:, :-1]),
        "specific_variance": np.ascontiguousarray(matrix[:, -1]),
        "risk_proxied": np.array([symbol in proxied for symbol in panel.symbols], dtype=np.bool_),
        "risk_n_obs": _matrix(frame, panel, (SPECIFIC,), "n_obs")[:, 0],
    }


def _covariance(store: Store, release: Release, session: date) -> FloatArray:
    frame = store.read("factor_covariance", release=release, sessions=(session, session))
    proxies = list(PROXIES.values())
    matrix = np.full((len(proxies), len(proxies)), np.nan)
    for one, other, value in frame.select("factor_1", "factor_2", "covariance").iter_rows():
        if value is not None:
            matrix[proxies.index(one), proxies.index(other)] = value
    return matrix


def _matrix(frame: pl.DataFrame, panel: Panel, factors: tuple[str, ...], value: str) -> FloatArray:
    """Spread a long frame's values over ``(n_symbols, n_factors)``, NaN where there is no row."""
    rows = {symbol: row for row, symbol in enumerate(panel.symbols)}
    columns = {factor: column for column, factor in enumerate(factors)}
    placed = frame.select(
        pl.col("symbol").replace_strict(rows, default=None, return_dtype=pl.Int64).alias("row"),
        pl.col("factor").replace_strict(columns, default=None, return_dtype=pl.Int64).alias("column"),
        pl.col(value).alias("value"),
    ).drop_nulls()
    matrix = np.full((len(rows), len(columns)), np.nan)
    matrix[placed["row"].to_numpy(), placed["column"].to_numpy()] = placed["value"].to_numpy()
    return matrix
