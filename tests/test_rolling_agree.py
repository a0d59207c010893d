"""A history of ten years equals the one-date answers of each of its sessions: nothing drifts."""

from dataclasses import replace

import naive
import numpy as np
import pytest
from markets import make_market
from tolerance import assert_agree

from engine.factors import FACTOR_NAMES, MODELS
from engine.panel import build_panel
from engine.regression import fit_factors

NUMBERS = ("beta_raw", "standard_error", "r_squared")


MARKETS = {
    "full": {},
    "gaps": {"gaps": 0.02},
    "holes": {"gaps": 0.2},
    "late momentum": {"gaps": 0.02, "late": ("MTUM",)},
    "collinear": {"collinear": True},
}


@pytest.fixture(scope="module", params=MARKETS)
def decade(request):
    market = make_market(31, n_symbols=6, n_sessions=2520, **MARKETS[request.param])
    return market, build_panel(market.frame(), market.sessions)


def test_every_session_of_ten_years_equals_its_one_date_answer(decade):
    _, panel = decade
    rolling = fit_factors(panel, first=0, last=2519)
    assert rolling.beta_raw.shape == (len(panel.symbols), 2520, 12)
    steps = range(0, 2520) if np.isnan(panel.adj_close).mean() < 0.1 else range(0, 2520, 3)
    for t in steps:
        once = fit_factors(panel, first=t, last=t)
        for name in NUMBERS:
            assert_agree(
                getattr(rolling, name)[:, t], getattr(once, name)[:, 0], 1e-10, what=f"{name} at {t}"
            )
        for name in ("n_obs", "reasons"):
            assert np.array_equal(getattr(rolling, name)[:, t], getattr(once, name)[:, 0]), f"{name} at {t}"


def test_rolling_equals_the_slow_answer_where_it_is_hardest(decade):
    """The bad tick enters at 1680 and leaves 90 and 180 sessions later; the halt begins at 1260."""
    market, panel = decade
    rolling = fit_factors(panel, first=0, last=2519)
    returns = {s: naive.simple_returns(row) for s, row in zip(market.symbols, market.adj_close, strict=True)}
    for symbol in ("TICK", "HALT", "SPARSE", "S000", "NEW_061", "GONE", "SPY"):
        for t in (
            29,
            30,
            31,
            1349,
            1350,
            1351,
            1439,
            1441,
            1679,
            1681,
            1770,
            1771,
            1772,
            1861,
            1900,
            2500,
            2519,
        ):
            expected = naive.factor_fits(returns, symbol, t)
            row = panel.row(symbol)
            for j, name in enumerate(FACTOR_NAMES):
                answer = [rolling.beta_raw[row, t, j], rolling.standard_error[row, t, j]]
                assert_agree(answer, expected[name][:2], what=f"{symbol} {name} at {t}")


def test_a_window_shorter_than_a_block_of_sessions(decade):
    _, panel = decade
    models = [replace(model, window=40, min_observations=20) for model in MODELS[:2]]
    rolling = fit_factors(panel, models, first=300, last=500)
    for t in range(300, 501):
        once = fit_factors(panel, models, first=t, last=t)
        assert_agree(rolling.beta_raw[:, t - 300], once.beta_raw[:, 0], 1e-10, what=f"beta_raw at {t}")
        assert np.array_equal(rolling.n_obs[:, t - 300], once.n_obs[:, 0]), f"n_obs at {t}"


@pytest.mark.parametrize("n_sessions", [2, 65, 91, 97, 129, 181])
def test_a_history_of_any_length_ends_on_its_one_date_answer(decade, n_sessions):
    """Chunks of a single session among them, whose windows must be counted like those of the others."""
    _, panel = decade
    last = 1200
    rolling, once = (fit_factors(panel, first=at, last=last) for at in (last - n_sessions + 1, last))
    for name in NUMBERS:
        assert_agree(getattr(rolling, name)[:, -1], getattr(once, name)[:, 0], 1e-10, what=name)
    assert np.array_equal(rolling.n_obs[:, -1], once.n_obs[:, 0])


def test_a_part_of_the_history_is_the_same_part(decade):
    _, panel = decade
    whole = fit_factors(panel, first=0, last=2519)
    part = fit_factors(panel, first=1777, last=1999)
    for name in NUMBERS:
        assert_agree(getattr(part, name), getattr(whole, name)[:, 1777:2000], 1e-10, what=name)
