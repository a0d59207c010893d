"""What a composed portfolio was and did, as wire records; reads the lake, so never on the event loop."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from engine.factors import PROXIES
from engine.panel import build_panel
from engine.performance import Performance, performance, relative
from engine.replay import replay
from engine.typing import DateArray, FloatArray
from service import clock
from service.api.analytics.history_records import (
    DrawdownRecord,
    ExposureHistory,
    ExposurePoint,
    PerformanceAnswer,
    PerformanceData,
    RelativeStatistics,
    ReplayAnswer,
    ReplayData,
    Statistics,
)
from service.api.analytics.served import plain, served
from service.api.problems import ApiError
from service.composed import Composed
from storage.store import Store

BENCHMARK = PROXIES["Market"]
MAX_REPLAY_SESSIONS = 1_000


def stored_performance(store: Store, composed: Composed) -> PerformanceAnswer:
    """Measure the returns of the stored snapshots."""
    rows = _stored(store, "portfolio_snapshots", composed).sort("session")
    sessions = rows["session"].to_numpy().astype("datetime64[D]")
    returns = rows["return"].fill_null(np.nan).to_numpy()
    return _performance(composed, "snapshots", sessions, returns, rows["nav"].to_list())


def replayed_performance(composed: Composed) -> PerformanceAnswer:
    """Measure today's weights over the book's sessions."""
    series = composed.volatility.series.returns
    sessions = composed.market.book.sessions[-len(series) :]
    return _performance(composed, "todays_weights", sessions, series, None)


def exposure_history(
    store: Store, composed: Composed, start: date | None, end: date | None
) -> ExposureHistory:
    """List the factor exposures that refreshes have stored."""
    rows = _stored(store, "portfolio_exposures", composed, start, end).sort("session", "factor")
    names = ("session", "factor", "beta", "exposure_dollar", "se", "coverage")
    points = [ExposurePoint(*row) for row in rows.select(names).iter_rows()]
    reason = {} if points else {"reason": "no_snapshots"}
    fields = served(composed) | {"available": bool(points), "n_obs": rows["session"].n_unique()}
    return ExposureHistory(**fields, history=points, metadata=reason)


def replayed_window(store: Store, composed: Composed, start: date, end: date) -> ReplayAnswer:
    """Apply a past window to today's holdings.

    Raises
    ------
    ApiError
        The window has no session with prices of the factor proxies, or too many sessions.
    """
    window = clock.sessions_between(start, end)
    if not 0 < len(window) <= MAX_REPLAY_SESSIONS:
        detail = f"{start} to {end} has {len(window)} sessions; give 1 to {MAX_REPLAY_SESSIONS}"
        raise ApiError(400, "replay_window", detail)
    book, rows = composed.market.book, composed.holdings.rows
    symbols = [book.symbols[row] for row in rows]
    own, proxies = _window_returns(store, composed, symbols, window)
    found = replay(composed.holdings, own, book.loadings[rows], proxies)
    total = float(found.pnl[-1])
    data = ReplayData(
        start=window[0].item(),
        end=window[-1].item(),
        dates=window.tolist(),
        pnl=found.pnl.tolist(),
        total_pnl=total,
        percentage_impact=plain(100 * total / composed.valuation.weight_base),
        by_symbol={name: plain(value) for name, value in zip(symbols, found.by_symbol, strict=True)},
        modeled_share={
            name: float(share) for name, share in zip(symbols, found.modeled, strict=True) if share > 0
        },
    )
    return ReplayAnswer(**served(composed, found.coverage) | {"n_obs": len(window)}, data=data)


def _window_returns(
    store: Store, composed: Composed, symbols: list[str], window: DateArray
) -> tuple[FloatArray, FloatArray]:
    """Return the returns of symbols and of the factor proxies over a window, ``(n, n_sessions)`` each."""
    start, end = window[0].item(), window[-1].item()
    before: date = clock.sessions_until(start, 2)[0].item()
    prices = store.read(
        "prices",
        release=composed.market.book.release,
        columns=("symbol", "session", "close", "adj_close", "volume"),
        symbols={*symbols, *PROXIES.values()},
        sessions=(before, end),
    )
    panel = build_panel(prices, clock.sessions_between(before, end))
    n, nothing = len(window), np.full(len(window), np.nan)

    def returns_of(names: Iterable[str]) -> FloatArray:
        places = [panel.row(name) for name in names]
        rows = [nothing if row is None else panel.returns[row, -n:] for row in places]
        return np.array(rows).reshape(-1, n)

    proxies = returns_of(PROXIES.values())
    if not np.isfinite(proxies).all():
        detail = f"the factor proxies lack prices between {start} and {end}; choose another window"
        raise ApiError(400, "replay_window", detail)
    return returns_of(symbols), proxies


def _stored(
    store: Store, table: str, composed: Composed, start: date | None = None, end: date | None = None
) -> pl.DataFrame:
    portfolio = composed.portfolio.portfolio_id if composed.portfolio else ""
    span = (start or date.min, end or date.max)
    return store.read(table, release=composed.stored, portfolios=[portfolio], sessions=span)


def _performance(
    composed: Composed, basis: str, sessions: DateArray, returns: FloatArray, nav: list[Any] | None
) -> PerformanceAnswer:
    found = performance(returns, sessions)
    exists = found.n_obs > 1
    versus = relative(returns, _market_returns(composed, sessions))
    data = PerformanceData(
        statistics=_statistics(found),
        relative=RelativeStatistics(
            benchmark=BENCHMARK,
            n_obs=versus.n_obs,
            beta=plain(versus.beta),
            alpha=plain(versus.alpha),
            r_squared=plain(versus.r_squared),
            tracking_error=plain(versus.tracking_error),
            information_ratio=plain(versus.information_ratio),
        ),
        dates=sessions.tolist(),
        returns=[plain(value) for value in returns],
        nav=nav,
    )
    reasons = () if exists else ("insufficient_history",)
    return PerformanceAnswer(
        **served(composed, reasons=reasons) | {"available": exists, "n_obs": found.n_obs},
        basis=basis,
        data=data if exists else None,
        metadata={} if exists else {"reason": "fewer_than_two_returns"},
    )


def _statistics(found: Performance) -> Statistics:
    depth = found.drawdown
    start, trough, recovery = (
        None if day is None else date.fromisoformat(str(day))
        for day in (depth.start, depth.trough, depth.recovery)
    )
    drawdown = DrawdownRecord(plain(depth.depth), start, trough, recovery)
    names = [name for name in Statistics.__struct_fields__ if name not in ("n_obs", "drawdown")]
    numbers = {name: plain(getattr(found, name)) for name in names}
    return Statistics(n_obs=found.n_obs, drawdown=drawdown, **numbers)


def _market_returns(composed: Composed, sessions: DateArray) -> FloatArray:
    """Market proxy's returns on some sessions; NaN where the book does not reach."""
    book = composed.market.book
    row = book.index.get(BENCHMARK)
    found = np.full(len(sessions), np.nan)
    if row is not None:
        at = np.searchsorted(book.sessions, sessions)
        inside = (at < len(book.sessions)) & (
            book.sessions[np.minimum(at, len(book.sessions) - 1)] == sessions
        )
        found[inside] = book.returns[row, at[inside]]
    return found
