"""Metrics of every symbol on one session, with their data quality; imports numpy and polars."""

from typing import Any, TypeAlias

import numpy as np
import polars as pl

from engine.metric_kernels import YEAR, first_priced, priced_columns, year_of_prices, year_of_returns
from engine.panel import Panel
from engine.quality import DEGRADED, OK, QUALITY, UNAVAILABLE, reason_bit, reason_text
from engine.typing import BoolArray, DateArray, FloatArray, Int32Array, IntArray, MaskArray
from engine.volatility import har_forecast, realized_volatility, volatility_percentile, volatility_trend

Columns: TypeAlias = dict[str, Any]  # name -> (n_symbols,) array

SUSPECT_MOVE = 0.5
HISTORY_SESSIONS = 546  # whatever else the panel holds: a number must not depend on it
VOLUME_WINDOW, VOLUME_MIN_OBSERVATIONS = 21, 14
HORIZONS = {"return_1w": 5, "return_1m": 21, "return_3m": 63, "return_1y": YEAR}
PERIODS = {"return_mtd": "datetime64[M]", "return_ytd": "datetime64[Y]"}
VOLATILITIES = {"realized_vol_21d": 21, "realized_vol_63d": 63, "realized_vol_252d": YEAR}
PROFILE_COLUMNS = {"market_cap": pl.Float64, "pe_ratio": pl.Float64, "sector": pl.String}
NEEDS_HISTORY = (*HORIZONS, *PERIODS, *VOLATILITIES, "vol_percentile")
COLUMNS = (
    "symbol",
    "session",
    "price",
    "return_1d",
    "return_1w",
    "return_1m",
    "return_3m",
    "return_mtd",
    "return_ytd",
    "return_1y",
    "realized_vol_21d",
    "realized_vol_63d",
    "realized_vol_252d",
    "expected_vol_21d",
    "vol_trend",
    "vol_percentile",
    "max_drawdown_1y",
    "high_52w",
    "low_52w",
    "high_52w_distance",
    "low_52w_distance",
    "avg_volume_21d",
    "market_cap",
    "pe_ratio",
    "sector",
    "first_session",
    "last_session",
    "n_obs",
    "days_stale",
    "missing_sessions",
    "zero_return_share",
    "max_abs_return",
    "quality",
    "reasons",
)


def symbol_metrics(
    panel: Panel, profiles: pl.DataFrame, *, at: int, events: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Compute the metrics of every symbol that has a price in the last 252 sessions.

    A return is P_t / P_ref − 1 of adjusted closes: P_t the last one at ``at`` or before, P_ref the last one
    on or before the reference session (5, 21, 63, 252 sessions earlier; the last session of the previous
    month or year), null when the panel holds none. ``return_1d`` is the return of ``at`` itself. ``price`` is
    the unadjusted close of P_t; the 52-week high and low are adjusted closes brought to its level. ``n_obs``
    counts the returns of the last 252 sessions, ``missing_sessions`` those sessions without a price since the
    symbol's first one among those read, ``days_stale`` the sessions since P_t. ``max_abs_return`` leaves out
    returns that an event explains; above 0.5 it is suspect. Quality is ``ok`` without reasons,
    ``unavailable`` without any return.

    Parameters
    ----------
    panel : Panel
        ``(n_symbols, n_sessions)``; the 546 sessions up to ``at`` are read, no others.
    profiles : pl.DataFrame
        One row per ``symbol`` with ``market_cap``, ``pe_ratio`` and ``sector``; a lacking column is null.
    at : int
        Column of the session.
    events : pl.DataFrame, optional
        ``symbol, session`` of splits and other known reasons of a large move.

    Returns
    -------
    pl.DataFrame
        ``COLUMNS``, in the panel's order of symbols; returns, annual volatilities, drawdown and distances
        are decimals.
    """
    panel = panel.until(at, HISTORY_SESSIONS)
    at = len(panel.sessions) - 1
    references = _references(panel.sessions)
    priced = priced_columns(panel.adj_close, np.array([at, *references.values()]))
    last = priced[:, 0]
    volatilities, reasons = _volatilities(panel.returns)
    columns = {
        **_returns(panel, priced, list(references)),
        **volatilities,
        **_year(panel, last),
    }
    if events is not None:
        _leave_out(events, panel, columns["max_abs_return"])
    reasons |= _reasons(columns)
    frame = pl.DataFrame(
        [
            pl.Series("symbol", panel.symbols, dtype=pl.String),
            pl.repeat(panel.sessions[at], len(last), eager=True).alias("session"),
            *(pl.Series(name, values, nan_to_null=True) for name, values in columns.items()),
            volatility_trend(columns["realized_vol_21d"], columns["realized_vol_63d"]),
            _quality(reasons, columns["n_obs"]),
            reason_text(reasons),
        ]
    )
    return _with_profiles(frame.filter(pl.Series(last > max(at - YEAR, -1))), profiles).select(COLUMNS)


def _references(sessions: DateArray) -> dict[str, int]:
    """Return the reference column of each return to the last session, -1 before the first."""
    at = len(sessions) - 1
    columns = {name: max(at - horizon, -1) for name, horizon in HORIZONS.items()}
    for name, period in PERIODS.items():
        start = sessions[at].astype(period).astype("datetime64[D]")
        columns[name] = int(np.searchsorted(sessions, start)) - 1
    return columns


def _returns(panel: Panel, priced: IntArray, names: list[str]) -> Columns:
    """Return the last close, the session's return and those since every reference."""
    prices = _gathered(panel.adj_close, priced)
    since = prices[:, :1] / prices[:, 1:] - 1.0
    return {
        "price": panel.close_at(priced[:, 0]),
        "return_1d": panel.returns[:, -1],
        **dict(zip(names, since.T, strict=True)),
    }


def _gathered(values: FloatArray, columns: IntArray) -> FloatArray:
    """Values of each row at its own columns ``(n_symbols, k)``, NaN where a column is -1."""
    picked = np.take_along_axis(values, np.maximum(columns, 0), axis=1)
    return np.where(columns >= 0, picked, np.nan)


def _volatilities(returns: FloatArray) -> tuple[Columns, MaskArray]:
    """Volatility columns, and the reasons that go with the forecast and the percentile."""
    share, gaps = volatility_percentile(returns)
    forecast = har_forecast(returns)
    columns = {name: realized_volatility(returns, window) for name, window in VOLATILITIES.items()}
    reasons = forecast.reasons | _mask(gaps, "gaps")
    return {**columns, "expected_vol_21d": forecast.volatility, "vol_percentile": share}, reasons


def _year(panel: Panel, last: IntArray) -> Columns:
    """Return what the last 252 sessions show, the high and low at the level of the last close."""
    high, low, worst, n_priced = year_of_prices(panel.adj_close)
    n_obs, zero_share, largest = year_of_returns(panel.returns)
    latest = _gathered(panel.adj_close, last[:, None])[:, 0]
    scale = panel.close_at(last) / latest
    return {
        "max_drawdown_1y": worst - 1.0,
        "high_52w": high * scale,
        "low_52w": low * scale,
        "high_52w_distance": latest / high - 1.0,
        "low_52w_distance": latest / low - 1.0,
        "avg_volume_21d": _mean_volume(panel.volume[:, -VOLUME_WINDOW:]),
        "n_obs": n_obs.astype(np.int32),
        "zero_return_share": zero_share,
        "max_abs_return": largest,
        **_sessions(panel, last, n_priced),
    }


def _leave_out(events: pl.DataFrame, panel: Panel, largest: FloatArray) -> None:
    """Measure the largest returns anew, in place, where one of the last 252 sessions has an event for it."""
    first = max(0, len(panel.sessions) - YEAR)
    days = pl.Series(panel.sessions[first:].astype("datetime64[D]"))
    columns = pl.DataFrame({"session": days, "column": np.arange(first, len(panel.sessions))})
    symbols = pl.Series("symbol", panel.symbols, dtype=pl.String)
    rows = symbols.to_frame().with_row_index("row")
    places = events.join(columns, on="session").join(rows, on="symbol")
    row, column = places["row"].to_numpy(), places["column"].to_numpy()
    explained = np.unique(row[np.abs(panel.returns[row, column]) == largest[row]])
    for each in explained:
        returns = panel.returns[each : each + 1].copy()
        returns[0, column[row == each]] = np.nan
        largest[each] = year_of_returns(returns)[2, 0]


def _sessions(panel: Panel, last: IntArray, n_priced: FloatArray) -> Columns:
    """Return first and last priced session, sessions since, and sessions between without a price."""
    first, n_sessions = first_priced(panel.adj_close), len(panel.sessions)
    return {
        "first_session": panel.sessions[first],
        "last_session": panel.sessions[last],
        "days_stale": (n_sessions - 1 - last).astype(np.int32),
        "missing_sessions": (np.minimum(YEAR, n_sessions - first) - n_priced).astype(np.int32),
    }


def _mean_volume(volume: FloatArray) -> FloatArray:
    """Mean of the volumes that exist ``(n_symbols,)``, NaN below 14."""
    present = ~np.isnan(volume)
    n_present = present.sum(axis=1)
    mean = np.where(present, volume, 0.0).sum(axis=1) / np.maximum(n_present, 1)
    return np.where(n_present >= VOLUME_MIN_OBSERVATIONS, mean, np.nan)


def _reasons(columns: Columns) -> MaskArray:
    """Reasons that the columns themselves show; every null metric of ``NEEDS_HISTORY`` gives one."""
    short = np.isnan(np.array([columns[name] for name in NEEDS_HISTORY])).any(axis=0)
    # A history too short for a volume is too short for a volatility as well, and says so.
    no_volume = np.isnan(columns["avg_volume_21d"]) & ~np.isnan(columns["realized_vol_21d"])
    return (
        _mask(short, "insufficient_history")
        | _mask(columns["days_stale"] > 0, "stale_price")
        | _mask(columns["missing_sessions"] > 0, "gaps")
        | _mask(columns["max_abs_return"] > SUSPECT_MOVE, "suspect_move")
        | _mask(no_volume, "missing_volume")
    )


def _mask(where: BoolArray, reason: str) -> MaskArray:
    return where.astype(np.uint32) * np.uint32(reason_bit(reason))


def _quality(reasons: MaskArray, n_obs: Int32Array) -> pl.Series:
    level = np.where(n_obs == 0, UNAVAILABLE, np.where(reasons, DEGRADED, OK))
    return pl.Series("quality", QUALITY, dtype=pl.String).gather(level.astype(np.uint32))


def _with_profiles(frame: pl.DataFrame, profiles: pl.DataFrame) -> pl.DataFrame:
    absent = [
        pl.lit(None, dtype).alias(c) for c, dtype in PROFILE_COLUMNS.items() if c not in profiles.columns
    ]
    known = profiles.with_columns(absent).select(
        "symbol", *(pl.col(c).cast(t) for c, t in PROFILE_COLUMNS.items())
    )
    return frame.join(known, on="symbol", how="left", validate="m:1", maintain_order="left")
