"""Option values, greeks and implied volatility: known values, independent answers, limits, identities."""

import itertools

import naive_options
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from tolerance import assert_agree

from engine.options import Contracts, implied_volatility, option_prices, option_values

GREEKS = ("delta", "gamma", "vega", "theta", "rho")
GRID = list(
    itertools.product(
        (40.0, 90.0, 100.0, 101.0, 250.0),
        (100.0,),
        (1 / 365, 0.25, 1.0, 5.0),
        (True, False),
        (0.05, 0.2, 1.5),
    )
)
RATE, YIELD = 0.05, 0.02


def contracts(strike, years, is_call):
    return Contracts(np.asarray(strike, float), np.asarray(years, float), np.asarray(is_call, bool))


def grid():
    spot, strike, years, is_call, volatility = (np.array(column) for column in zip(*GRID, strict=True))
    return contracts(strike, years, is_call), spot, volatility


def test_known_values():
    found = option_values(contracts(100, 1, True), np.array(100.0), np.array(0.2), rate=0.05)
    assert (round(float(found.price), 4), round(float(found.delta), 4)) == (10.4506, 0.6368)
    assert (round(float(found.gamma), 6), round(float(found.vega), 5)) == (0.018762, 0.37524)
    assert (round(float(found.theta), 5), round(float(found.rho), 5)) == (-0.01757, 0.53232)


@pytest.mark.parametrize("level", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize(("rate", "dividend_yield"), [(0.05, 0.0), (0.0, 0.0), (-0.01, 0.03), (0.04, 0.08)])
def test_like_the_formulas_one_by_one(level, rate, dividend_yield):
    terms, spot, volatility = grid()
    terms = contracts(terms.strike * level, terms.years, terms.is_call)
    found = option_values(terms, spot * level, volatility, rate=rate, dividend_yield=dividend_yield)
    cases = [(s * level, k * level, t, c, v, rate, dividend_yield) for s, k, t, c, v in GRID]
    prices = [naive_options.price(*case) for case in cases]
    assert_agree(found.price / level, np.array(prices) / level, 1e-12)
    expected = [naive_options.greeks(*case) for case in cases]
    for name in GREEKS:
        unit = {"delta": 1.0, "gamma": 1 / level}.get(name, level)
        values = np.array([each[name] for each in expected])
        assert_agree(getattr(found, name) / unit, values / unit, 1e-11, what=name)
    alone = option_prices(terms, spot * level, volatility, rate=rate, dividend_yield=dividend_yield)
    assert np.array_equal(alone, found.price)


def test_the_mean_payoff_over_all_outcomes():
    terms, spot, volatility = grid()
    found = option_prices(terms, spot, volatility, rate=RATE, dividend_yield=YIELD)
    expected = [naive_options.integral(s, k, t, c, v, RATE, YIELD) for s, k, t, c, v in GRID]
    assert_agree(found, expected, 1e-9)


def test_greeks_are_the_slopes_of_the_price():
    terms, spot, volatility = grid()
    keep = (volatility * np.sqrt(terms.years) > 0.02) & (abs(np.log(spot / terms.strike)) < 0.5)
    terms = contracts(terms.strike[keep], terms.years[keep], terms.is_call[keep])
    spot, volatility = spot[keep], volatility[keep]
    found = option_values(terms, spot, volatility, rate=RATE, dividend_yield=YIELD)

    def price(d_spot=0.0, d_volatility=0.0, d_years=0.0, d_rate=0.0):
        moved = contracts(terms.strike, terms.years + d_years, terms.is_call)
        at = (spot + d_spot, volatility + d_volatility)
        return option_prices(moved, *at, rate=RATE + d_rate, dividend_yield=YIELD)

    def slope(name, step):
        return (price(**{name: step}) - price(**{name: -step})) / (2 * step)

    bend = (price(d_spot=0.02) - 2 * price() + price(d_spot=-0.02)) / 0.02**2
    assert_agree(found.delta, slope("d_spot", 1e-3), 1e-5)
    assert_agree(found.gamma, bend, 1e-4, floor=0.1)
    assert_agree(found.vega, slope("d_volatility", 1e-5) / 100, 1e-6)
    assert_agree(found.theta, -slope("d_years", 1e-6) / 365, 1e-6)
    assert_agree(found.rho, slope("d_rate", 1e-5) / 100, 1e-6)


sizes = st.floats(0.01, 1e5)
years = st.floats(1e-4, 30)
volatilities = st.floats(1e-3, 5)
rates = st.floats(-0.05, 0.2)


@given(sizes, st.floats(0.05, 20), years, volatilities, rates, rates)
def test_parity_bounds_and_homogeneity(spot, moneyness, years, volatility, rate, dividend_yield):
    strike = spot * moneyness
    both = contracts([strike] * 2, years, [True, False])
    at = (np.array(spot), np.array(volatility))
    found = option_values(both, *at, rate=rate, dividend_yield=dividend_yield)
    asset, cash = spot * np.exp(-dividend_yield * years), strike * np.exp(-rate * years)
    large = asset + cash
    assert abs(found.price[0] - found.price[1] - (asset - cash)) <= 1e-13 * large
    assert (found.price >= np.maximum([asset - cash, cash - asset], 0) - 1e-13 * large).all()
    assert (found.price <= np.array([asset, cash]) * (1 + 1e-12)).all()
    assert abs(found.delta[0] - found.delta[1] - asset / spot) <= 1e-12 * max(1, asset / spot)
    assert found.gamma[0] == found.gamma[1] >= 0
    assert found.vega[0] == found.vega[1] >= 0
    scaled = contracts([3 * strike] * 2, years, [True, False])
    thrice = option_prices(scaled, 3 * at[0], at[1], rate=rate, dividend_yield=dividend_yield)
    assert np.allclose(thrice, 3 * found.price, rtol=1e-9, atol=1e-12 * large)


def test_far_from_the_strike_and_almost_certain():
    terms = contracts([100.0] * 4, 1.0, [True, False, True, False])
    deep = option_values(terms, np.array([1e6, 1e-6, 1e-6, 1e6]), np.array(0.2), rate=RATE)
    cash = 100 * np.exp(-RATE)
    assert_agree(deep.price, [1e6 - cash, cash - 1e-6, 0, 0], 1e-12)
    assert_agree(deep.delta, [1, -1, 0, 0], 1e-12)
    for tiny in (0.0, 1e-12, 1e-300):
        calm = option_values(terms, np.array([120.0, 80, 80, 120]), np.array(tiny), rate=RATE)
        assert_agree(calm.price, [120 - cash, cash - 80, 0, 0], 1e-12)
        assert_agree([calm.gamma, calm.vega], np.zeros((2, 4)), 1e-12)
        assert_agree(calm.theta[:2], [-RATE * cash / 365, RATE * cash / 365], 1e-12)
    still = option_values(
        contracts([100.0] * 2, 1.0, [True, False]), np.array(100.0), np.array(0.0), rate=0.0
    )
    assert still.price.tolist() == [0, 0]
    wild = option_prices(terms, np.array(100.0), np.array(1e9), rate=RATE)
    assert_agree(wild, [100, cash, 100, cash], 1e-12)
    ruined = option_values(terms, np.array(0.0), np.array(0.2), rate=RATE)
    assert_agree(ruined.price, [0, cash, 0, cash], 1e-12)
    assert ruined.delta.tolist() == [0, -1, 0, -1]


@pytest.mark.parametrize("years", [0.0, -1 / 365, -3.0])
def test_at_expiration_the_payoff_is_left(years):
    spot = np.array([90.0, 100, 110, 90, 100, 110])
    terms = contracts([100.0] * 6, years, [True] * 3 + [False] * 3)
    found = option_values(terms, spot, np.array(0.3), rate=RATE, dividend_yield=YIELD)
    assert found.price.tolist() == [0, 0, 10, 10, 0, 0]
    assert found.delta.tolist() == [0, 0, 1, -1, 0, 0]
    for name in GREEKS[1:]:
        assert getattr(found, name).tolist() == [0] * 6
    soon = option_prices(contracts([100.0] * 6, 1e-12, terms.is_call), spot, np.array(0.3), rate=RATE)
    assert_agree(soon, found.price, 1e-4)


@pytest.mark.parametrize("years", [1.0, 0.0])
@pytest.mark.parametrize("missing", range(6))
def test_what_is_missing_stays_missing(missing, years):
    values = [np.array([100.0, 100.0]) for _ in range(6)]
    values[2][:], values[3][:], values[4][:], values[5][:] = years, 0.2, RATE, YIELD
    values[missing][0] = np.nan
    spot, strike, term, volatility, rate, dividend_yield = values
    terms = contracts(strike, term, [True, True])
    found = option_values(terms, spot, volatility, rate=rate, dividend_yield=dividend_yield)
    for name in ("price", *GREEKS):
        assert np.isnan(getattr(found, name)).tolist() == [True, False], name


@pytest.mark.parametrize(("spot", "strike", "volatility"), [(-1, 100, 0.2), (100, 0, 0.2), (100, 100, -0.2)])
def test_what_makes_no_sense_is_not_a_number(spot, strike, volatility):
    found = option_values(contracts(strike, 1, True), np.array(float(spot)), np.array(volatility), rate=RATE)
    assert np.isnan([found.price, found.delta, found.gamma, found.vega, found.theta, found.rho]).all()


def test_implied_volatility_returns_what_the_price_was_made_of():
    terms, spot, volatility = grid()
    found = option_values(terms, spot, volatility, rate=RATE, dividend_yield=YIELD)
    implied = implied_volatility(terms, spot, found.price, rate=RATE, dividend_yield=YIELD)
    again = option_prices(terms, spot, implied, rate=RATE, dividend_yield=YIELD)
    solved = np.isfinite(implied)
    assert_agree(again[solved], found.price[solved], 1e-13)
    sharp = found.vega > 1e-4
    assert sharp.sum() > 70
    assert_agree(implied[sharp], volatility[sharp], 1e-9)
    # Where nothing is found, the price is no more than the exercise is worth today.
    asset, cash = spot * np.exp(-YIELD * terms.years), terms.strike * np.exp(-RATE * terms.years)
    lower = np.maximum(np.where(terms.is_call, asset - cash, cash - asset), 0)
    assert (found.price[~solved] - lower[~solved] <= 1e-12).all()


def test_implied_volatility_like_a_search_one_by_one():
    rng = np.random.default_rng(3)
    spot, strike, years = rng.uniform(50, 150, 60), rng.uniform(50, 150, 60), rng.uniform(0.05, 3, 60)
    is_call = rng.random(60) < 0.5
    quoted = [
        naive_options.price(s, k, t, c, 0.3, RATE) * 1.02 + 0.05
        for s, k, t, c in zip(spot, strike, years, is_call, strict=True)
    ]
    found = implied_volatility(contracts(strike, years, is_call), spot, np.array(quoted), rate=RATE)
    for i, price in enumerate(quoted):
        case = (spot[i], strike[i], years[i], is_call[i])
        expected = brentq(
            lambda v, c=case, p=price: naive_options.price(*c, v, RATE) - p, 1e-3, 20, xtol=1e-14
        )
        assert_agree(found[i], expected, 1e-9)


@given(st.floats(0.2, 5), years, st.floats(0.01, 4), st.booleans())
def test_implied_volatility_reprices(spot, years, volatility, is_call):
    terms = contracts([1.0], years, [is_call])
    price = option_prices(terms, np.array([spot]), np.array(volatility), rate=RATE)
    implied = implied_volatility(terms, np.array([spot]), price, rate=RATE)
    if np.isfinite(implied).all():
        assert_agree(option_prices(terms, np.array([spot]), implied, rate=RATE), price, 1e-14)
    else:
        bounds = [naive_options.price(spot, 1.0, years, is_call, v, RATE) for v in (1e-9, 1e3)]
        assert min(abs(price - bound) for bound in bounds) <= 1e-14


def test_no_volatility_makes_such_a_price():
    cash = 100 * np.exp(-RATE)
    terms = contracts([100.0] * 7, [1, 1, 1, 1, 1, 0, 1], [True, True, True, False, False, True, True])
    spot = np.array([120.0, 120, 120, 80, 80, 120, 120])
    price = np.array([120 - cash - 0.01, 120, 121, cash, cash - 80 - 0.01, 20, np.nan])
    assert np.isnan(implied_volatility(terms, spot, price, rate=RATE)).all()
    nothing = contracts([], [], [])
    assert implied_volatility(nothing, np.empty(0), np.empty(0), rate=RATE).shape == (0,)
