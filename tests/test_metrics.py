"""Edges of the symbol metrics: references, stale and halted symbols, quality, locality, price level."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engine.metrics import COLUMNS, symbol_metrics
from engine.panel import Panel, simple_returns
from engine.typing import DateArray, FloatArray

NO_PROFILES = pl.DataFrame(schema={"symbol": pl.String})


def weekdays(n_sessions: int, start: str = "2020-01-01") -> DateArray:
    days = np.arange(np.datetime64(start), np.datetime64(start) + 2 * n_sessions + 7)
    return days[np.is_busday(days)][:n_sessions]


def panel_of(prices: FloatArray, *, close: FloatArray | None = None, start: str = "2020-01-01") -> Panel:
    symbols = tuple(f"S{i:02d}" for i in range(len(prices)))
    sessions = weekdays(prices.shape[1], start)
    volume = np.where(np.isnan(prices), np.nan, 1000.0)
    close = prices if close is None else close
    return Panel(symbols, sessions, prices, close, volume, simple_returns(prices))


def random_prices(n_symbols: int = 6, n_sessions: int = 560, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    return 100.0 * np.exp(np.cumsum(rng.normal(0, 0.01, (n_symbols, n_sessions)), axis=1))


def metrics(panel: Panel, at: int | None = None) -> dict[str, dict[str, object]]:
    at = len(panel.sessions) - 1 if at is None else at
    return {row["symbol"]: row for row in symbol_metrics(panel, NO_PROFILES, at=at).to_dicts()}


def test_returns_look_back_5_21_63_and_252_sessions_and_to_month_and_year_end() -> None:
    prices = np.arange(1.0, 301.0)[None, :]  # session k has price k + 1
    panel = panel_of(prices)  # 2020-01-01 … 2021-02-23
    row = metrics(panel)["S00"]
    month_end = panel.column(np.datetime64("2021-01-29")) + 1
    year_end = panel.column(np.datetime64("2020-12-31")) + 1
    assert row["session"] == date(2021, 2, 23)
    assert row["price"] == 300.0
    assert row["return_1d"] == 300.0 / 299.0 - 1.0
    for name, reference in (
        ("return_1w", 295), ("return_1m", 279), ("return_3m", 237), ("return_1y", 48),
        ("return_mtd", month_end), ("return_ytd", year_end),
    ):  # fmt: skip
        assert row[name] == 300.0 / reference - 1.0, name


def test_a_reference_without_price_takes_the_one_before_it() -> None:
    prices = np.arange(1.0, 41.0)[None, :].copy()
    prices[0, [33, 34]] = np.nan  # five sessions back, and the session before that
    assert metrics(panel_of(prices))["S00"]["return_1w"] == 40.0 / 33.0 - 1.0


def test_no_price_on_or_before_the_reference_is_null_with_a_reason() -> None:
    prices = random_prices(1, 300)
    prices[0, :290] = np.nan
    row = metrics(panel_of(prices))["S00"]
    assert row["return_1w"] is not None
    assert row["return_1m"] is None
    assert row["return_1y"] is None
    assert row["first_session"] == weekdays(300)[290].item()
    assert (row["n_obs"], row["missing_sessions"]) == (9, 0)
    assert (row["quality"], row["reasons"]) == ("degraded", "insufficient_history")


def test_the_first_month_and_year_of_a_panel_have_no_reference() -> None:
    row = metrics(panel_of(random_prices(1, 10), start="2020-01-01"))["S00"]
    assert row["return_mtd"] is None
    assert row["return_ytd"] is None


def test_a_stale_symbol_keeps_its_last_price_and_says_so() -> None:
    prices = random_prices(1, 560)
    prices[0, -3:] = np.nan
    row = metrics(panel_of(prices))["S00"]
    assert row["price"] == prices[0, -4]
    assert row["return_1d"] is None
    assert row["return_1w"] == prices[0, -4] / prices[0, -6] - 1.0
    assert (row["days_stale"], row["missing_sessions"], row["n_obs"]) == (3, 3, 249)
    assert row["last_session"] == weekdays(560)[-4].item()
    assert row["expected_vol_21d"] is None
    assert (row["quality"], row["reasons"]) == ("degraded", "stale_price,gaps")


def test_a_symbol_leaves_with_its_last_price_252_sessions_back() -> None:
    prices = random_prices(3, 560)
    prices[1, -251:] = np.nan  # last price in the first of the 252 sessions
    prices[2, -252:] = np.nan
    rows = metrics(panel_of(prices))
    assert list(rows) == ["S00", "S01"]
    assert rows["S01"]["days_stale"] == 251
    assert metrics(panel_of(np.full((2, 30), np.nan))) == {}


def test_a_halted_symbol_moves_exactly_zero() -> None:
    row = metrics(panel_of(np.full((1, 560), 12.34)))["S00"]
    for name in ("return_1d", "return_1y", "realized_vol_21d", "realized_vol_252d", "max_drawdown_1y",
                 "high_52w_distance", "low_52w_distance", "max_abs_return"):  # fmt: skip
        assert row[name] == 0.0, name
    assert row["zero_return_share"] == 1.0
    assert row["expected_vol_21d"] is None
    assert (row["vol_trend"], row["vol_percentile"]) == ("stable", 1.0)
    assert (row["quality"], row["reasons"]) == ("degraded", "constant_series")


def test_high_low_and_drawdown_are_those_of_252_sessions_at_the_level_of_the_close() -> None:
    prices = np.full((1, 300), 100.0)
    prices[0, 47] = 150.0  # session 48 is the first of the last 252
    prices[0, 48:60] = 120.0
    prices[0, 60:80] = 60.0
    prices[0, 80:] = 80.0
    row = metrics(panel_of(prices, close=prices / 4.0))["S00"]
    assert (row["price"], row["high_52w"], row["low_52w"]) == (20.0, 30.0, 15.0)
    assert row["high_52w_distance"] == pytest.approx(20 / 30 - 1, abs=1e-15)
    assert row["low_52w_distance"] == pytest.approx(20 / 15 - 1, abs=1e-15)
    assert row["max_drawdown_1y"] == -0.5
    assert row["max_abs_return"] == 0.5
    assert row["reasons"] is None


def test_a_large_move_is_named() -> None:
    prices = random_prices(1, 560)
    prices[0, 500:] *= 1.7
    row = metrics(panel_of(prices))["S00"]
    assert row["max_abs_return"] == pytest.approx(0.7, abs=0.1)
    assert row["reasons"] == "suspect_move"


def test_a_split_or_dividend_on_the_session_explains_a_large_move() -> None:
    prices = random_prices(3, 560)
    prices[:, 500:] *= 1.7
    prices[1, 530:] *= 0.4  # a second large move, which nothing explains
    panel = panel_of(prices)
    day, before = (panel.sessions[at].item() for at in (500, 499))
    symbols, days = ["S00", "S00", "S01", "S02", "OTHER"], [day, before, day, before, day]
    events = pl.DataFrame({"symbol": symbols, "session": days})
    frame = symbol_metrics(panel, NO_PROFILES, at=559, events=events)
    rows = {row["symbol"]: row for row in frame.to_dicts()}
    returns = np.abs(panel.returns[:, -252:])
    others = np.delete(returns, [500 - 308, 499 - 308], axis=1)
    assert (rows["S00"]["max_abs_return"], rows["S00"]["reasons"]) == (others[0].max(), None)
    assert rows["S01"]["max_abs_return"] == returns[1, 530 - 308]
    assert rows["S02"]["max_abs_return"] == returns[2, 500 - 308]
    assert rows["S01"]["reasons"] == rows["S02"]["reasons"] == "suspect_move"
    plain = symbol_metrics(panel, NO_PROFILES, at=559)
    alike = [name for name in frame.columns if name not in ("max_abs_return", "reasons", "quality")]
    assert frame.select(alike).equals(plain.select(alike))


def test_events_after_the_session_and_long_before_it_change_nothing() -> None:
    prices = random_prices(2, 600)
    prices[0, 300:] *= 1.7
    prices[1, 580:] *= 1.7
    panel = panel_of(prices)
    events = pl.DataFrame({"symbol": panel.symbols, "session": panel.sessions[[300, 580]].tolist()})
    for at in (299, 579):
        expected = symbol_metrics(panel, NO_PROFILES, at=at)
        assert symbol_metrics(panel, NO_PROFILES, at=at, events=events).equals(expected)
    assert metrics(panel, 551)["S00"]["reasons"] == "suspect_move"
    assert symbol_metrics(panel, NO_PROFILES, at=551, events=events)["reasons"].to_list() == [None, None]


def test_average_volume_needs_14_of_21() -> None:
    panel = panel_of(random_prices(2, 560))
    panel.volume[0, -21:-14] = np.nan
    panel.volume[0, -1] = 15000.0
    panel.volume[1, -21:-13] = np.nan
    rows = metrics(panel)
    assert rows["S00"]["avg_volume_21d"] == 2000.0
    assert rows["S00"]["quality"] == "ok"
    assert rows["S01"]["avg_volume_21d"] is None
    assert rows["S01"]["reasons"] == "missing_volume"


def test_one_session_has_a_price_and_nothing_else() -> None:
    row = metrics(panel_of(np.array([[7.0]])))["S00"]
    assert (row["price"], row["n_obs"], row["high_52w"], row["max_drawdown_1y"]) == (7.0, 0, 7.0, 0.0)
    assert row["zero_return_share"] is None
    assert row["max_abs_return"] is None
    assert row["quality"] == "unavailable"


def test_an_empty_panel_has_the_columns() -> None:
    frame = symbol_metrics(panel_of(np.empty((0, 30))), NO_PROFILES, at=29)
    assert frame.shape == (0, len(COLUMNS))
    full = symbol_metrics(panel_of(random_prices(1)), NO_PROFILES, at=559)
    assert frame.schema == full.schema


def test_profiles_are_joined_by_symbol_and_may_lack_symbols() -> None:
    profiles = pl.DataFrame(
        {"symbol": ["S01", "ZZZ"], "sector": ["Energy", "Utilities"], "market_cap": [5, 6]}
    )
    frame = symbol_metrics(panel_of(random_prices(2)), profiles, at=559)
    assert frame["sector"].to_list() == [None, "Energy"]
    assert frame["market_cap"].to_list() == [None, 5.0]
    assert frame["pe_ratio"].to_list() == [None, None]
    with pytest.raises(pl.exceptions.ComputeError):
        symbol_metrics(panel_of(random_prices(2)), pl.concat([profiles, profiles]), at=559)


@pytest.mark.parametrize("level", [1e-4, 1e4])  # prices of 1e-2 and 1e6
def test_the_level_of_prices_changes_no_ratio(level: float) -> None:
    prices = random_prices()
    prices[np.random.default_rng(1).random(prices.shape) < 0.02] = np.nan
    levels = ["price", "high_52w", "low_52w"]
    expected = symbol_metrics(panel_of(prices), NO_PROFILES, at=559)
    scaled = symbol_metrics(panel_of(prices * level), NO_PROFILES, at=559)
    assert_frame_equal(scaled.drop(levels), expected.drop(levels), abs_tol=1e-11, rel_tol=0)
    assert_frame_equal(scaled.select(pl.col(levels) / level), expected.select(levels), rel_tol=1e-12)


@pytest.mark.parametrize("at", [30, 300, 559])
def test_later_sessions_and_other_symbols_change_no_bit(at: int) -> None:
    prices = random_prices(19, 600)
    prices[np.random.default_rng(1).random(prices.shape) < 0.02] = np.nan
    panel = panel_of(prices)
    expected = symbol_metrics(panel, NO_PROFILES, at=at)
    cut = panel_of(prices[:, : at + 1].copy())
    assert symbol_metrics(cut, NO_PROFILES, at=at).equals(expected)
    for i in (0, 7, 18):
        alone = Panel(
            panel.symbols[i : i + 1], panel.sessions, *(a[i : i + 1] for a in
            (panel.adj_close, panel.close, panel.volume, panel.returns)),
        )  # fmt: skip
        row = expected.filter(pl.col("symbol") == panel.symbols[i])
        assert symbol_metrics(alone, NO_PROFILES, at=at).equals(row)
