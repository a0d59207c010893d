"""Loadings, covariance and attribution of the risk model equal the slow answer."""

import naive
import numpy as np
import pytest
from markets import PROXIES, make_market
from tolerance import assert_agree

from engine.panel import build_panel
from engine.quality import reason_bit
from engine.risk import TO_MODEL, ewma_covariance, fit_risk_model

AT = 290
MARKETS = {
    "full": {"seed": 41},
    "gaps": {"seed": 42, "gaps": 0.02},
    "holes": {"seed": 43, "gaps": 0.2},
    "collinear": {"seed": 44, "gaps": 0.02, "collinear": True},
}


@pytest.fixture(scope="module", params=MARKETS)
def case(request):
    market = make_market(n_symbols=30, **MARKETS[request.param])
    returns = {s: naive.simple_returns(row) for s, row in zip(market.symbols, market.adj_close, strict=True)}
    # Tech has members enough, Rare has not, and some symbols have no sector at all.
    sectors = {s: (None, "Tech", "Tech", "Energy")[i % 4] for i, s in enumerate(market.symbols)}
    sectors |= {"NEW_020": "Tech", "NEW_045": "Rare", "NEW_061": None, "S000": "Rare"}
    return build_panel(market.frame(), market.sessions), returns, sectors


def test_loadings_and_specific_variance(case):
    panel, returns, sectors = case
    model = fit_risk_model(panel, [sectors[s] for s in panel.symbols], at=AT)
    expected = naive.risk_model(returns, sectors, AT)
    assert sum(proxied for *_, proxied in expected.values()) >= 3
    for row, symbol in enumerate(panel.symbols):
        loadings, specific, proxied = expected[symbol]
        assert_agree(model.loadings[row], loadings, what=symbol)
        assert_agree(model.specific_variance[row], specific, floor=1e-6, what=symbol)
        assert bool(model.reasons[row] & reason_bit("proxied")) == proxied, symbol
    assert np.isnan(model.loadings[panel.row("FLAT")]).all()
    floor = np.nanmin([specific for _, specific, _ in expected.values()])
    assert sum(np.isclose(model.specific_variance, floor, rtol=1e-12)) > 1


def test_the_future_changes_nothing(case):
    panel, _, sectors = case
    model = fit_risk_model(panel, [sectors[s] for s in panel.symbols], at=AT)
    cut = fit_risk_model(panel.until(AT), [sectors[s] for s in panel.symbols], at=AT)
    for name in ("loadings", "specific_variance", "proxy_covariance"):
        assert np.array_equal(getattr(model, name), getattr(cut, name), equal_nan=True), name


def test_covariance_ends_at_the_session(case):
    panel, returns, sectors = case
    proxies = np.array([returns[proxy] for proxy in PROXIES])
    expected, n_obs = naive.ewma_covariance(proxies[:, : AT + 1])
    covariance, found = ewma_covariance(np.ascontiguousarray(proxies[:, : AT + 1]))
    assert found == n_obs
    assert_agree(covariance, expected, 1e-12, floor=1e-4)
    model = fit_risk_model(panel, [sectors[s] for s in panel.symbols], at=AT)
    assert_agree(model.proxy_covariance, expected, 1e-12, floor=1e-4)


def test_half_life_is_a_setting():
    returns = np.array([naive.simple_returns(row) for row in make_market(45, quirks=False).adj_close])[-8:]
    expected, _ = naive.ewma_covariance(returns, half_life=10, size=100)
    covariance, _ = ewma_covariance(np.ascontiguousarray(returns), half_life=10, window=100)
    assert_agree(covariance, expected, 1e-12, floor=1e-4)


def test_styles_are_excess_returns():
    proxies = np.arange(8.0) + 1.0
    assert_agree(TO_MODEL @ proxies, [1, 2, 2, 3, 4, 5, 6, 7], 0.0)
    covariance, _ = naive.ewma_covariance(
        np.array([naive.simple_returns(row) for row in make_market(46, n_symbols=0, quirks=False).adj_close])
    )
    mapped = TO_MODEL @ covariance @ TO_MODEL.T
    assert_agree(mapped, naive.model_covariance(covariance), 1e-12, floor=1e-4)
