"""Past windows applied to a book with options, against one lot and one session at a time."""

import naive_options
import numpy as np
import pytest
from books import make_book
from markets import PROXIES, make_market
from option_books import forecastable, later, lots, naive_lot, option, ruined, shares, spot_of
from tolerance import assert_agree

from engine.composition import holdings_of
from engine.replay import replay
from engine.valuation import value_positions


@pytest.fixture(scope="module", params=[(91, 0.0), (92, 0.01)], ids=["full", "gaps"])
def book(request):
    seed, gaps = request.param
    return make_book(make_market(seed, n_symbols=8, gaps=gaps), seed)


@pytest.fixture(scope="module")
def window(book):
    """Thirty sessions of returns of every symbol, wild ones and missing ones among them."""
    rng = np.random.default_rng(4)
    returns = rng.normal(0, 0.04, (len(book.symbols), 30))
    returns[rng.random(returns.shape) < 0.1] = np.nan
    returns[3, 5] = -1.0
    return returns, rng.normal(0, 0.02, (len(PROXIES), 30))


def positions_of(book):
    rng = np.random.default_rng(2)
    names = forecastable(book)
    rows = [shares(names[0], 100.0), shares(names[1], -40.0), shares("CASH_USD", 2e4, "cash", 1.0)]
    for name in [*names, *names[:3]]:
        strike = spot_of(book, name) * rng.uniform(0.8, 1.2)
        days = int(rng.choice([0, 2, 45, 300]))
        rows.append(option(name, float(rng.integers(-5, 6)), strike, later(book, days), rng.random() < 0.5))
    return lots(*rows)


def growth_of(book, row, returns, proxies):
    """What one unit of a symbol has become after each session."""
    market, rates, *styles = proxies
    growth, found = 1.0, []
    for t in range(returns.shape[1]):
        factors = [market[t], rates[t], *(style[t] - market[t] for style in styles)]
        modeled = sum(b * f for b, f in zip(book.loadings[row], factors, strict=True))
        growth *= 1 + (modeled if np.isnan(returns[row, t]) else returns[row, t])
        found.append(growth)
    return found


def test_options_are_revalued_in_full_at_every_session(book, window):
    returns, proxies = window
    positions = positions_of(book)
    held = holdings_of(value_positions(book, positions))
    found = replay(held, returns[held.rows], book.loadings[held.rows], proxies)
    pnl, by_row = np.zeros(30), dict.fromkeys(held.rows.tolist(), 0.0)
    for lot, kind in enumerate(positions.kinds):
        quantity = positions.quantity[lot]
        if kind == "cash":
            continue
        if kind == "option":
            row, spot, case, price, _ = naive_lot(book, positions, lot)
            worth = [
                100 * quantity * ((naive_options.price(spot * g, *case) if g > 0 else ruined(case)) - price)
                for g in growth_of(book, row, returns, proxies)
            ]
        else:
            row = book.index[positions.symbols[lot]]
            worth = [quantity * book.close[row] * (g - 1) for g in growth_of(book, row, returns, proxies)]
        pnl += worth
        by_row[row] += worth[-1]
    scale = np.abs(held.values).max()
    assert_agree(found.pnl / scale, pnl / scale, 1e-8)
    assert_agree(found.by_symbol / scale, [by_row[row] / scale for row in held.rows.tolist()], 1e-8)
    assert_agree(found.modeled, np.isnan(returns[held.rows]).mean(axis=1), 1e-12)
    assert found.coverage == 1.0


def test_a_long_put_never_loses_more_than_it_costs(book):
    name = forecastable(book)[0]
    put = lots(option(name, 1, spot_of(book, name), later(book, 90), False))
    value = value_positions(book, put)
    held = holdings_of(value)
    boom = np.full((1, 30), 0.05)
    found = replay(held, boom, book.loadings[held.rows], np.zeros((len(PROXIES), 30)))
    by_delta = held.values[0] * (1.05**30 - 1)
    assert by_delta < -value.market_value[0]
    cost = value.market_value[0]
    assert_agree(found.pnl[-1] / cost, -1.0, 1e-9)
    assert (found.pnl >= -cost * (1 + 1e-12)).all()


def test_an_option_whose_underlying_has_neither_returns_nor_loadings(book):
    name = forecastable(book)[0]
    rows = [shares("SPY", 10.0), option(name, 3, spot_of(book, name), later(book, 30), True)]
    held = holdings_of(value_positions(book, lots(*rows)))
    lost = held.rows == book.index[name]
    returns = np.where(lost[:, None], np.nan, 0.01)
    loadings = np.where(lost[:, None], np.nan, book.loadings[held.rows])
    found = replay(held, np.broadcast_to(returns, (2, 5)), loadings, np.zeros((len(PROXIES), 5)))
    assert np.isnan(found.by_symbol).tolist() == lost.tolist()
    assert_agree(found.pnl[-1], 10 * spot_of(book, "SPY") * (1.01**5 - 1), 1e-9)
    assert 0 < found.coverage < 1
