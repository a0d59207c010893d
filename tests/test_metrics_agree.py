"""Metrics of every symbol equal the slow answer, and say what is missing."""

import naive
import naive_series
import numpy as np
import polars as pl
import pytest
from markets import make_market
from tolerance import assert_agree

from engine.metrics import symbol_metrics
from engine.panel import build_panel

ENDS = (3, 20, 64, 252, 300, 545, 699)
PROFILES = pl.DataFrame(
    {
        "symbol": ["S000", "SPY"],
        "market_cap": [1e9, None],
        "pe_ratio": [17.5, None],
        "sector": ["Energy", None],
    }
)


def expected_metrics(market, symbol: str, at: int) -> dict[str, float]:
    row = market.symbols.index(symbol)
    prices, close, volume = market.adj_close[row], market.close[row], market.volume[row]
    returns = naive.simple_returns(prices)
    return {
        **naive_series.period_returns(prices, market.sessions, at),
        **naive_series.price_range(prices, close, at),
        **naive_series.data_quality(prices, at),
        "realized_vol_21d": naive_series.realized_volatility(returns, at, 21),
        "realized_vol_63d": naive_series.realized_volatility(returns, at, 63),
        "realized_vol_252d": naive_series.realized_volatility(returns, at, 252),
        "expected_vol_21d": naive_series.har_forecast(returns, at)[1],
        "vol_percentile": naive_series.volatility_percentile(returns, at),
        "avg_volume_21d": naive_series.average_volume(volume, at),
    }


def symbols_of(market, at: int) -> list[str]:
    """Symbols with a price in the last 252 sessions."""
    return [s for s in market.symbols if (market.prices(s)[max(0, at - 251) : at + 1] > 0).any()]


@pytest.mark.parametrize("gaps", [0.0, 0.02, 0.2])
@pytest.mark.parametrize("at", ENDS)
def test_every_metric_of_every_symbol(gaps, at):
    market = make_market(71, n_symbols=4, n_sessions=700, gaps=gaps)
    frame = symbol_metrics(build_panel(market.frame(), market.sessions), PROFILES, at=at)
    assert frame["symbol"].to_list() == symbols_of(market, at)
    assert set(frame["session"]) == {market.sessions[at].item()}
    rows = {row["symbol"]: row for row in frame.to_dicts()}
    for symbol, row in rows.items():
        for name, expected in expected_metrics(market, symbol, at).items():
            value = np.nan if row[name] is None else row[name]
            # Volumes run to millions: held to the same number of digits.
            assert_agree(value, expected, what=f"{symbol} {name} at {at}")
        returns = naive.simple_returns(market.prices(symbol))
        assert row["vol_trend"] == naive_series.volatility_trend(returns, at), symbol


def test_missing_numbers_have_reasons():
    market = make_market(72, n_sessions=320, gaps=0.02)
    frame = symbol_metrics(build_panel(market.frame(), market.sessions), PROFILES, at=319)
    rows = {row["symbol"]: row for row in frame.to_dicts()}
    assert "stale_price" in rows["GONE"]["reasons"]
    assert "insufficient_history" in rows["NEW_020"]["reasons"]
    assert "suspect_move" in rows["TICK"]["reasons"]
    assert "gaps" in rows["SPARSE"]["reasons"]
    for symbol, row in rows.items():
        assert (row["quality"] == "ok") == (row["reasons"] is None), symbol
        numbers = [
            row[name] for name in ("return_1y", "realized_vol_252d", "expected_vol_21d", "vol_percentile")
        ]
        assert None not in numbers or row["reasons"], symbol


def test_profiles_are_joined_and_nothing_else_is_made_up():
    market = make_market(73, n_sessions=100)
    rows = symbol_metrics(build_panel(market.frame(), market.sessions), PROFILES, at=99).to_dicts()
    by_symbol = {row["symbol"]: (row["market_cap"], row["pe_ratio"], row["sector"]) for row in rows}
    assert by_symbol["S000"] == (1e9, 17.5, "Energy")
    assert by_symbol["S001"] == by_symbol["SPY"] == (None, None, None)


def test_the_year_to_date_starts_on_the_last_price_of_the_old_year():
    """The last session of the year has no price: the one before it is the reference, not a null."""
    market = make_market(74, n_symbols=1, n_sessions=300, quirks=False)
    newyear = int(np.flatnonzero(market.sessions >= np.datetime64("2020-01-01"))[0])
    row = market.symbols.index("S000")
    gap = {"symbol": "S000", "session": market.sessions[newyear - 1].item()}
    frame = market.frame().filter(
        ~((pl.col("symbol") == gap["symbol"]) & (pl.col("session") == gap["session"]))
    )
    metrics = symbol_metrics(build_panel(frame, market.sessions), PROFILES, at=newyear + 10).to_dicts()
    prices = market.adj_close[row]
    answer = next(m["return_ytd"] for m in metrics if m["symbol"] == "S000")
    assert_agree(answer, prices[newyear + 10] / prices[newyear - 2] - 1, 1e-12)


def test_no_metric_reads_the_future_or_depends_on_the_level_of_prices():
    market = make_market(75, n_sessions=620, gaps=0.02)
    frame = market.frame()
    base = symbol_metrics(build_panel(frame, market.sessions), PROFILES, at=560)
    cut = frame.filter(pl.col("session") <= market.sessions[560].item())
    assert base.equals(symbol_metrics(build_panel(cut, market.sessions[:561]), PROFILES, at=560))
    scaled = frame.with_columns(pl.col("adj_close", "close") * 1e-2)
    other = symbol_metrics(build_panel(scaled, market.sessions), PROFILES, at=560)
    for name in ("return_1y", "realized_vol_63d", "expected_vol_21d", "vol_percentile", "high_52w_distance"):
        a, b = (f[name].cast(pl.Float64).to_numpy() for f in (other, base))
        if name == "vol_percentile":
            # A rounding may move one volatility past another: one place in 252.
            assert_agree(a, b, 1.01 / 252, what=name)
        else:
            assert_agree(a, b, what=name)
