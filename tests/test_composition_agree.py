"""Portfolio exposures, series, risk and stress equal the slow answers, lot by lot and symbol by symbol."""

from dataclasses import replace

import naive_portfolio
import naive_series
import numpy as np
import pytest
from books import make_book
from markets import make_market
from tolerance import assert_agree

from engine.analysis import analyze
from engine.composition import factor_exposures, holdings_of, model_risk, portfolio_series
from engine.stress import SCENARIOS, correlated_proxies, direct_proxies, shocked_proxies, stress
from engine.valuation import Positions, value_positions

CASES = {"full": (51, 0.0), "gaps": (52, 0.02), "holes": (53, 0.2)}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """A book, positions of long and short lots (some symbols twice), and their values by symbol."""
    seed, gaps = CASES[request.param]
    book = make_book(make_market(seed, n_symbols=20, gaps=gaps), seed)
    rng = np.random.default_rng(seed)
    held = rng.choice([s for s, age in zip(book.symbols, book.close_age, strict=True) if age <= 5], 12)
    n = len(held)
    positions = Positions(
        symbols=tuple(held.tolist()),
        quantity=rng.integers(1, 500, n) * rng.choice([1.0, 1.0, -1.0], n),
        entry_price=rng.uniform(5, 200, n),
        kinds=("public",) * n,
        manual_price=np.full(n, np.nan),
    )
    equity = 2 * float(np.abs(positions.quantity * book.close[book.rows(held)]).sum())
    values = naive_portfolio.by_symbol(held.tolist(), positions.quantity * book.close[book.rows(held)])
    return book, positions, equity, dict(sorted(values.items(), key=lambda item: book.index[item[0]]))


def test_factor_exposures(case):
    book, positions, equity, values = case
    valuation = value_positions(book, positions, equity=equity)
    found = factor_exposures(book, holdings_of(valuation), equity)
    rows = [book.index[symbol] for symbol in values]
    for k, name in enumerate(book.factor_names):
        expected = naive_portfolio.factor_exposure(
            list(values.values()), book.betas[rows, k], book.standard_errors[rows, k], equity
        )
        assert_agree(found.exposure_dollar[k], expected["dollar"], 1e-10, what=name)
        assert_agree(found.beta[k], expected["beta"], 1e-10, what=name)
        assert_agree(found.coverage[k], expected["coverage"], 1e-12, what=name)
        assert_agree(found.standard_error[k], expected["se"], 1e-10, what=name)


def test_portfolio_series_and_volatility(case):
    book, positions, equity, values = case
    analysis = analyze(book, positions, equity=equity)
    rows = [book.index[symbol] for symbol in values]
    weights = np.array(list(values.values())) / equity
    expected, short = naive_portfolio.portfolio_returns(weights, book.returns[rows][:, -546:])
    series = portfolio_series(book, holdings_of(value_positions(book, positions, equity=equity)), equity)
    assert_agree(series.returns, expected, 1e-12, floor=1e-3)
    assert series.left_out.tolist() == [rows[i] for i in short]
    at = len(expected) - 1
    found = analysis.volatility
    for window, value in ((21, found.realized_21d), (63, found.realized_63d), (252, found.realized_252d)):
        assert_agree(value, naive_series.realized_volatility(expected, at, window), 1e-10, floor=1e-2)
    assert_agree(found.forecast.volatility[0], naive_series.har_forecast(expected, at)[0], 1e-9, floor=1e-2)
    assert found.trend == naive_series.volatility_trend(expected, at)


def test_model_risk_and_its_contributions(case):
    book, positions, equity, values = case
    risk = model_risk(book, holdings_of(value_positions(book, positions, equity=equity)), equity)
    rows = [book.index[symbol] for symbol in values]
    weights = np.array(list(values.values())) / equity
    variance = naive_portfolio.portfolio_variance(
        weights, book.loadings[rows], book.proxy_covariance, book.specific_variance[rows]
    )
    assert_agree(risk.volatility**2 / 252, variance, 1e-10, floor=1e-5)
    specific = risk.specific_volatility**2 / risk.volatility**2
    assert_agree(risk.factor_contribution.sum() + specific, 1.0, 1e-12)
    assert_agree(risk.position_contribution.sum(), 1.0, 1e-12)


def test_concentration(case):
    book, positions, equity, values = case
    found = analyze(book, positions, equity=equity).concentration
    expected = naive_portfolio.concentration(list(values.values()))
    assert_agree(found.hhi, expected["hhi"], 1e-12)
    assert_agree(found.effective_num_positions, expected["effective"], 1e-12)
    assert_agree([found.top_3, found.top_10], [expected["top_3"], expected["top_10"]], 1e-12)


def test_stress_of_every_scenario(case):
    book, positions, equity, values = case
    result = stress(book, holdings_of(value_positions(book, positions, equity=equity)))
    rows = [book.index[symbol] for symbol in values]
    dollars = list(values.values())
    for s, scenario in enumerate(SCENARIOS):
        shocks = naive_portfolio.SCENARIOS[scenario.id]
        given = naive_portfolio.shocked_proxies(shocks)
        correlated = naive_portfolio.correlated_proxies(given, book.proxy_covariance)
        pnl = naive_portfolio.stress_pnl(dollars, book.loadings[rows], correlated)
        direct = naive_portfolio.stress_pnl(
            dollars, book.loadings[rows], naive_portfolio.direct_proxies(given)
        )
        assert_agree(result.by_symbol[s], pnl, 1e-9, what=scenario.id)
        assert_agree(result.correlated[s], sum(pnl), 1e-9, what=scenario.id)
        assert_agree(result.direct[s], sum(direct), 1e-9, what=scenario.id)
        assert_agree(result.by_factor[s].sum(), sum(pnl), 1e-9, what=scenario.id)


def test_stress_of_a_book_without_loadings_is_unknown_and_of_an_empty_one_nothing(case):
    book, positions, equity, _ = case
    book = replace(book, loadings=np.full_like(book.loadings, np.nan))
    result = stress(book, holdings_of(value_positions(book, positions, equity=equity)))
    for numbers in (result.direct, result.correlated, result.by_factor, result.by_symbol):
        assert np.isnan(numbers).all()
    assert result.coverage == 0
    empty = Positions((), np.empty(0), np.empty(0), (), np.empty(0))
    result = stress(book, holdings_of(value_positions(book, empty, equity=equity)))
    assert not result.direct.any()
    assert not result.correlated.any()


def test_the_scenarios_are_the_known_ones():
    assert {scenario.id: dict(scenario.shocks) for scenario in SCENARIOS} == naive_portfolio.SCENARIOS
    assert len(SCENARIOS) == 22


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.id)
def test_shocked_proxies(scenario):
    covariance = make_book(make_market(54, n_symbols=2), 54).proxy_covariance
    given = shocked_proxies(scenario.shocks)
    assert given == pytest.approx(naive_portfolio.shocked_proxies(dict(scenario.shocks)))
    assert_agree(direct_proxies(given), naive_portfolio.direct_proxies(given), 1e-12)
    expected = naive_portfolio.correlated_proxies(given, covariance)
    assert_agree(correlated_proxies(given, covariance), expected, 1e-9)


def test_lots_and_their_order_do_not_matter(case):
    book, positions, equity, _ = case
    order = np.arange(len(positions.symbols))[::-1]
    turned = Positions(
        tuple(positions.symbols[i] for i in order),
        positions.quantity[order],
        positions.entry_price[order],
        tuple(positions.kinds[i] for i in order),
        positions.manual_price[order],
    )
    one, other = (analyze(book, each, equity=equity) for each in (positions, turned))
    assert_agree(one.exposures.beta, other.exposures.beta, 1e-12)
    assert_agree(one.risk.volatility, other.risk.volatility, 1e-12)
    assert_agree(one.stress.correlated, other.stress.correlated, 1e-10)
