"""One-date betas of the engine equal the slow answer, for every symbol that a market can hold."""

import naive
import numpy as np
import polars as pl
import pytest
from markets import PROXIES, make_market
from tolerance import assert_agree

from engine.factor_frames import factor_frame
from engine.factors import FACTOR_NAMES, MODELS
from engine.panel import build_panel
from engine.quality import REASONS
from engine.regression import fit_factors

MARKETS = {
    "full": {"seed": 11},
    "gaps": {"seed": 12, "gaps": 0.02},
    "holes": {"seed": 13, "gaps": 0.2},
    "collinear": {"seed": 14, "gaps": 0.02, "collinear": True},
    "fused": {"seed": 15, "gaps": 0.02, "fused": True},
    "no momentum": {"seed": 16, "without": ("MTUM",)},
    "no market": {"seed": 17, "without": ("SPY",)},
    "late momentum": {"seed": 21, "gaps": 0.02, "late": ("MTUM",)},
}
ENDS = (40, 95, 155, 210, 299)
MODEL_OF = [m for m, model in enumerate(MODELS) for _ in model.factors]


@pytest.fixture(scope="module", params=MARKETS)
def market(request):
    return make_market(**MARKETS[request.param])


def reasons_of(mask: int) -> set[str]:
    return {name for bit, name in enumerate(REASONS) if mask >> bit & 1}


def answers(fit, row: int, j: int) -> list[float]:
    m = MODEL_OF[j]
    return [fit.beta_raw[row, 0, j], fit.standard_error[row, 0, j], fit.r_squared[row, 0, m]]


def test_factor_names_are_the_table_in_its_order():
    assert FACTOR_NAMES == naive.FACTOR_NAMES


@pytest.mark.parametrize("at", ENDS)
def test_betas_errors_and_r_squared(market, at):
    panel = build_panel(market.frame(), market.sessions)
    returns = {s: naive.simple_returns(row) for s, row in zip(market.symbols, market.adj_close, strict=True)}
    fit = fit_factors(panel, first=at, last=at)
    assert fit.beta_raw.shape == (len(panel.symbols), 1, 12)
    assert fit.n_obs.shape == (len(panel.symbols), 1, len(MODELS))
    fitted = 0
    for row, symbol in enumerate(panel.symbols):
        expected = naive.factor_fits(returns, symbol, at)
        for j, name in enumerate(FACTOR_NAMES):
            beta, se, t, r2, n, reason = expected[name]
            what = f"{symbol} {name}"
            assert fit.n_obs[row, 0, MODEL_OF[j]] == n, what
            assert_agree(answers(fit, row, j), [beta, se, r2], what=what)
            if not np.isnan(t) and r2 < 1 - 1e-12:
                assert_agree(fit.t_stat[row, 0, j], t, what=what)
            fitted += reason is None
    assert at == ENDS[0] or fitted > 100 or "SPY" not in market.symbols


@pytest.mark.parametrize("at", ENDS)
def test_a_missing_beta_says_why(market, at):
    panel = build_panel(market.frame(), market.sessions)
    returns = {s: naive.simple_returns(row) for s, row in zip(market.symbols, market.adj_close, strict=True)}
    fit = fit_factors(panel, first=at, last=at)
    for row, symbol in enumerate(panel.symbols):
        for j, name in enumerate(FACTOR_NAMES):
            reason = naive.factor_fits(returns, symbol, at)[name][-1]
            found = reasons_of(int(fit.reasons[row, 0, MODEL_OF[j]])) - {"exact_fit"}
            assert found == ({reason} if reason else set()), f"{symbol} {name}"


def test_the_market_on_itself():
    market = make_market(22, gaps=0.02)
    panel = build_panel(market.frame(), market.sessions)
    fit = fit_factors(panel, first=299, last=299)
    row = panel.row("SPY")
    assert_agree(answers(fit, row, 0), [1.0, 0.0, 1.0], 1e-12)
    assert np.isnan(fit.t_stat[row, 0, 0])
    assert "exact_fit" in reasons_of(int(fit.reasons[row, 0, 0]))


def test_no_symbol_depends_on_its_neighbors(market):
    """The same bits alone with the proxies as among all others, whatever the row in the panel."""
    frame = market.frame()
    panel = build_panel(frame, market.sessions)
    whole = fit_factors(panel, first=299, last=299)
    for symbol in set(market.symbols) - set(PROXIES):
        alone = build_panel(frame.filter(frame["symbol"].is_in([symbol, *PROXIES])), market.sessions)
        fit = fit_factors(alone, first=299, last=299)
        a, b = alone.row(symbol), panel.row(symbol)
        for name in ("beta_raw", "standard_error", "r_squared", "n_obs", "reasons"):
            assert np.array_equal(getattr(fit, name)[a], getattr(whole, name)[b], equal_nan=True), (
                symbol,
                name,
            )
    twins = [whole.beta_raw[panel.row(symbol)] for symbol in ("TWIN_A", "TWIN_B")]
    assert np.array_equal(*twins, equal_nan=True)


@pytest.mark.parametrize("level", [1e-2, 1.0, 1e6])
def test_no_beta_depends_on_the_level_of_prices(level):
    market = make_market(18, gaps=0.02)
    frame = market.frame()
    base = fit_factors(build_panel(frame, market.sessions), first=299, last=299)
    scaled = frame.with_columns(frame["adj_close"] * level)
    fit = fit_factors(build_panel(scaled, market.sessions), first=299, last=299)
    for name in ("beta_raw", "standard_error", "r_squared", "n_obs", "reasons"):
        assert_agree(getattr(fit, name), getattr(base, name), what=name)


def test_nothing_after_the_session_is_read():
    market = make_market(19, gaps=0.02)
    frame = market.frame()
    past = fit_factors(build_panel(frame, market.sessions), first=200, last=200)
    cut = frame.filter(pl.col("session") <= market.sessions[200].item())
    known = build_panel(cut, market.sessions[:201])
    then = fit_factors(known, first=200, last=200)
    rows = [market.symbols.index(symbol) for symbol in known.symbols]
    assert np.array_equal(past.beta_raw[rows], then.beta_raw, equal_nan=True)


def test_stored_betas_are_clipped_and_say_so():
    market = make_market(20)
    panel = build_panel(market.frame(), market.sessions)
    fit = fit_factors(panel, first=215, last=215)
    frame = factor_frame(panel, fit, first=215)
    assert np.nanmax(np.abs(fit.beta_raw)) > 5
    assert frame["beta"].drop_nulls().abs().max() == 5
    clipped = frame.filter((frame["beta_raw"].abs() > 5).fill_null(False))
    assert clipped["reasons"].str.contains("clipped").all()
    assert set(clipped["quality"]) == {"degraded"}
    untouched = frame.filter((frame["beta_raw"].abs() <= 5).fill_null(False))
    assert (untouched["beta"] == untouched["beta_raw"]).all()
    missing = frame.filter(frame["beta_raw"].is_null())
    assert missing["reasons"].is_not_null().all() and set(missing["quality"]) == {"unavailable"}
    assert not frame["beta_raw"].is_nan().any()
