"""Many portfolios composed at once: each one's numbers are those of the portfolio alone."""

from dataclasses import replace

import numpy as np
import pytest
from books import make_book
from markets import make_market
from option_books import later
from tolerance import assert_agree

from engine.analysis import correlations, portfolio_volatility
from engine.composition import factor_exposures, holdings_of
from engine.concentration import concentration
from engine.diversification import LARGEST, STRONGEST, diversification_of_many, unit_series
from engine.lots import CASH, OPTION, PRIVATE, PUBLIC
from engine.many_holdings import (
    OpenLots,
    exposures_of_many,
    herfindahl_of_many,
    holdings_of_many,
    volatilities_of_many,
)
from engine.option_lots import OptionTerms
from engine.stress import stress, stress_of_many
from engine.valuation import Positions, value_positions

CASES = {"full": (71, 0.0), "gaps": (72, 0.02), "holes": (73, 0.2)}
KINDS = {"public": PUBLIC, "cash": CASH, "private": PRIVATE, "option": OPTION}
NAT = np.datetime64("NaT", "D")


def book_of(seed, gaps, n_symbols):
    """A book in which a symbol stands still, one has no loadings, and no two gaps are alike."""
    book = make_book(make_market(seed, n_symbols=n_symbols, gaps=gaps), seed)
    returns, loadings = book.returns.copy(), book.loadings.copy()
    returns[-1] = 0.0
    returns[-2, :-40] = np.nan
    returns[-3, :-10] = np.nan
    returns[-4, -90:] = np.where(np.arange(90) < 45, 0.0, returns[-4, -90:])  # still outside another's gaps
    returns[-5, -45:] = np.nan
    loadings[-6] = np.nan
    return replace(book, returns=returns, loadings=loadings)


def lot_of(book, rng):
    kind = rng.choice(["public", "public", "public", "cash", "private", "option"])
    listed = "NOSUCH" if rng.random() < 0.1 else str(rng.choice(book.symbols))
    strike = (
        1.0 if listed not in book.index else float(book.close[book.index[listed]]) * rng.uniform(0.7, 1.3)
    )
    known = kind == "option" and rng.random() < 0.9
    expiration = later(book, int(rng.integers(0, 200))).astype("datetime64[D]")
    name = {"public": listed, "cash": "CASH_USD", "private": f"FUND{rng.integers(3)}"}.get(
        kind, f"O {listed}"
    )
    return {
        "symbols": name,
        "quantity": float(rng.integers(1, 500) * rng.choice([1, 1, -1])),
        "entry_price": float(rng.uniform(5, 200)),
        "kinds": kind,
        "manual_price": float(rng.uniform(5, 200)) if kind == "private" else np.nan,
        "terms": (listed if known else "", strike if known else np.nan, expiration if known else NAT),
        "is_call": bool(rng.random() < 0.5),
    }


def positions_of(lots):
    def column(name):
        return [lot[name] for lot in lots]

    underlying, strike, expiration = zip(*column("terms"), strict=True) if lots else ((), (), ())
    terms = OptionTerms(
        tuple(underlying),
        np.array(strike, float),
        np.array(expiration, "datetime64[D]"),
        np.array(column("is_call"), bool),
        np.zeros(len(lots), bool),
    )
    numbers = (np.array(column(name), float) for name in ("quantity", "entry_price"))
    return Positions(
        tuple(column("symbols")), *numbers, tuple(column("kinds")), np.array(column("manual_price")), terms
    )


def together(book, accounts):
    """All lots in one column each, the accounts' lots mixed up."""
    rng = np.random.default_rng(3)
    owned = [(place, lot) for place, (lots, _) in enumerate(accounts) for lot in lots]
    owned = [owned[at] for at in rng.permutation(len(owned))]
    order = sorted(range(len(owned)), key=lambda at: owned[at][0])  # of one account they stay as they came
    mixed = [owned[at] for at in order]
    positions = positions_of([lot for _, lot in mixed])
    options = np.flatnonzero(positions.of_kind("option"))
    lots = OpenLots(
        portfolio=np.array([place for place, _ in mixed]),
        kind=np.array([KINDS[kind] for kind in positions.kinds]),
        rows=book.rows(positions.listed),
        quantity=positions.quantity,
        entry_price=positions.entry_price,
        terms=positions.options.take(options) if len(options) else None,
    )
    return lots, positions


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """A book, accounts of every kind of lot with their NAVs, and all of them at once."""
    seed, gaps = CASES[request.param]
    book = book_of(seed, gaps, 90)
    rng = np.random.default_rng(seed)
    accounts = [
        ([lot_of(book, rng) for _ in range(rng.integers(1, 80))], float(rng.choice([1e4, 1e6, -5e3, 0.0])))
        for _ in range(60)
    ]
    accounts += [([], 1e3), ([lot for lot in accounts[0][0] if lot["kinds"] == "cash"], 1e3)]
    lots, _ = together(book, accounts)
    nav = np.array([nav for _, nav in accounts])
    alone = []
    for lots_of_one, equity in accounts:
        positions = positions_of(lots_of_one)
        alone.append((positions, value_positions(book, positions, equity=equity)))
    return book, lots, holdings_of_many(book, lots, nav), alone


def test_holdings_and_exposures(case):
    book, _, held, alone = case
    found = exposures_of_many(book, held)
    for p, (_, valuation) in enumerate(alone):
        one = holdings_of(valuation)
        span = slice(held.starts[p], held.starts[p + 1])
        assert held.rows[span].tolist() == one.rows.tolist()
        assert_agree(held.values[span], one.values, 1e-10)
        assert_agree(held.unvalued[p], one.unvalued, 1e-10)
        expected = factor_exposures(book, one, valuation.weight_base)
        for name in ("exposure_dollar", "beta", "standard_error", "coverage"):
            assert_agree(getattr(found, name)[p], getattr(expected, name), 1e-10, what=f"{name} of {p}")


def test_volatilities(case):
    book, _, held, alone = case
    found = volatilities_of_many(book, held)
    for p, (_, valuation) in enumerate(alone):
        one = portfolio_volatility(book, holdings_of(valuation), valuation.weight_base)
        mine = (found.realized_21d[p], found.realized_63d[p], found.forecast[p], found.percentile[p])
        expected = (one.realized_21d, one.realized_63d, one.forecast.volatility[0], one.percentile)
        assert_agree(mine, expected, 1e-10, floor=1e-3)
        assert found.trend[p] == one.trend


def test_stress(case):
    book, _, held, alone = case
    direct, correlated = stress_of_many(book, held)
    for p, (_, valuation) in enumerate(alone):
        one = stress(book, holdings_of(valuation))
        assert_agree(direct[p], one.direct, 1e-10, floor=1e3)
        assert_agree(correlated[p], one.correlated, 1e-10, floor=1e3)


def test_concentration(case):
    alone = case[-1]
    symbols = {name: code for code, name in enumerate(sorted({s for p, _ in alone for s in p.symbols}))}
    owner = [p for p, (positions, _) in enumerate(alone) for _ in positions.symbols]
    codes = [symbols[name] for positions, _ in alone for name in positions.symbols]
    values = [
        np.nan if kind == "cash" else value
        for positions, valuation in alone
        for kind, value in zip(positions.kinds, valuation.market_value, strict=True)
    ]
    found = herfindahl_of_many(np.array(owner), np.array(codes), np.array(values), len(alone))
    assert_agree(found, [concentration(*one).hhi for one in alone], 1e-10)


def test_diversification(case):
    book, _, held, alone = case
    found = diversification_of_many(book, unit_series(book), held)
    n_pairs = 0
    for p, (_, valuation) in enumerate(alone):
        one = correlations(book, holdings_of(valuation), max_symbols=LARGEST)
        assert found.n_symbols[p] == len(one.rows)
        assert_agree(found.average[p], one.average, 1e-10, what=f"average of {p}")
        assert_agree(found.ratio[p], one.diversification_ratio, 1e-10, what=f"ratio of {p}")
        mine = np.flatnonzero(found.portfolio == p)
        size = np.abs(one.matrix[np.triu_indices(len(one.rows), k=1)])
        strongest = np.sort(size[np.isfinite(size)])[::-1][:STRONGEST]
        assert_agree(np.abs(found.correlation[mine]), strongest, 1e-10)
        place = {row: at for at, row in enumerate(one.rows.tolist())}
        for at in mine:
            i, j = place[found.row_1[at]], place[found.row_2[at]]
            assert i < j
            assert_agree(found.correlation[at], one.matrix[i, j], 1e-10)
            assert found.n_obs[at] == one.n_obs[i, j]
            n_pairs += 1
    assert n_pairs > 300


def test_no_portfolio_and_no_lot():
    book = book_of(5, 0.0, 20)
    nothing = np.zeros(0)
    none = OpenLots(*(nothing.astype(int),) * 3, nothing, nothing, None)
    for nav in (np.zeros(0), np.array([1e3, 1e3])):
        held = holdings_of_many(book, none, nav)
        assert exposures_of_many(book, held).beta.shape == (len(nav), len(book.factor_names))
        assert np.isnan(volatilities_of_many(book, held).realized_21d).all()
        assert stress_of_many(book, held)[0].tolist() == [[0.0] * 22] * len(nav)
        assert np.isnan(diversification_of_many(book, unit_series(book), held).average).all()
