"""Options in a book, against one option at a time: values, deltas at the underlying, stress in full."""

import json
from dataclasses import replace

import naive_options
import naive_portfolio
import numpy as np
import pytest
from books import make_book
from markets import make_market
from option_books import NAN, NAT, forecastable, later, lots, naive_lot, option, ruined, shares, spot_of
from tolerance import assert_agree

from engine.analysis import analyze
from engine.composition import holdings_of
from engine.option_lots import OPTION_RATE
from engine.quality import reason_text
from engine.stress import SCENARIOS, stress
from engine.valuation import joined, value_positions
from service.analysis import describe

CASES = {"full": (81, 0.0), "gaps": (82, 0.003)}
MARKET_BETA = "Market Beta (90D)"


@pytest.fixture(scope="module", params=CASES)
def book(request):
    seed, gaps = CASES[request.param]
    made = make_book(make_market(seed, n_symbols=10, gaps=gaps), seed)
    betas = np.where(np.isnan(made.betas), 0.5, made.betas)
    return replace(made, betas=betas)


@pytest.fixture(scope="module")
def positions(book):
    """Stock and options, calls and puts, long and short, some on the same underlyings, some expired."""
    rng = np.random.default_rng(8)
    names = forecastable(book)
    assert len(names) >= 10
    rows = [shares(names[0], 100.0), shares(names[3], -40.0), shares("CASH_USD", 2e4, "cash", 1.0)]
    for name in [*names, *names[:4]]:
        strike = spot_of(book, name) * rng.uniform(0.7, 1.3)
        days = int(rng.choice([-20, 0, 1, 30, 400]))
        rows.append(option(name, float(rng.integers(-9, 10)), strike, later(book, days), rng.random() < 0.5))
    return lots(*rows)


def test_each_option_by_itself(book, positions):
    value = value_positions(book, positions)
    texts = reason_text(value.reasons).to_list()
    for lot in np.flatnonzero(positions.of_kind("option")):
        row, spot, case, price, delta = naive_lot(book, positions, lot)
        quantity = positions.quantity[lot]
        assert value.rows[lot] == row
        assert_agree(value.price[lot] / spot, price / spot, 1e-9)
        assert_agree(value.market_value[lot] / spot, 100 * quantity * price / spot, 1e-8)
        assert_agree(value.economic_value[lot] / spot, 100 * quantity * delta, 1e-7)
        assert_agree(value.unrealized_pnl[lot] / spot, 100 * quantity * (price - 1.5) / spot, 1e-8)
        codes = (texts[lot] or "").split(",")
        assert "model_price" in codes
        assert ("model_vol" in codes) == (case[1] > 0)
        assert ("stale_price" in codes) == (book.close_age[row] > 0)
        unknown = np.isnan(book.dividend_yields[row])
        assert ("no_dividend_yield" in codes) == (case[1] > 0 and bool(unknown))
    assert value.coverage == 1.0
    assert value.options.rate == OPTION_RATE == 0.04


def test_deltas_are_exposures_of_the_underlyings(book, positions):
    analysis = analyze(book, positions)
    expected = {}
    for lot, symbol in enumerate(positions.symbols):
        if positions.kinds[lot] == "option":
            row, spot, _, _, delta = naive_lot(book, positions, lot)
            expected[row] = expected.get(row, 0.0) + 100 * positions.quantity[lot] * delta * spot
        elif positions.kinds[lot] == "public":
            row = book.index[symbol]
            expected[row] = expected.get(row, 0.0) + positions.quantity[lot] * book.close[row]
    held = analysis.holdings
    assert held.rows.tolist() == sorted(expected)
    scale = max(abs(value) for value in expected.values())
    assert_agree(held.values / scale, [expected[row] / scale for row in sorted(expected)], 1e-9)
    beta = book.betas[held.rows, book.factor_names.index(MARKET_BETA)]
    place = analysis.exposures.names.index(MARKET_BETA)
    assert_agree(analysis.exposures.exposure_dollar[place] / scale, held.values @ beta / scale, 1e-9)


def test_stress_revalues_in_full(book, positions):
    value = value_positions(book, positions)
    result = stress(book, holdings_of(value))
    rows = holdings_of(value).rows
    scale = np.abs(holdings_of(value).values).max()
    options = {lot: naive_lot(book, positions, lot) for lot in np.flatnonzero(positions.of_kind("option"))}
    for s, scenario in enumerate(SCENARIOS):
        given = naive_portfolio.shocked_proxies(naive_portfolio.SCENARIOS[scenario.id])
        both = {
            "correlated": naive_portfolio.correlated_proxies(given, book.proxy_covariance),
            "direct": naive_portfolio.direct_proxies(given),
        }
        for name, proxies in both.items():
            pnl = dict.fromkeys(rows.tolist(), 0.0)
            for lot, symbol in enumerate(positions.symbols):
                if positions.kinds[lot] == "option":
                    row, spot, case, price, _ = options[lot]
                    (move,) = naive_portfolio.stress_pnl([1.0], book.loadings[[row]], proxies)
                    shocked = max(spot * (1 + move), 0.0)
                    moved = naive_options.price(shocked, *case) if shocked else ruined(case)
                    pnl[row] += 100 * positions.quantity[lot] * (moved - price)
                elif positions.kinds[lot] == "public":
                    row = book.index[symbol]
                    amount = positions.quantity[lot] * book.close[row]
                    pnl[row] += naive_portfolio.stress_pnl([amount], book.loadings[[row]], proxies)[0]
            total = sum(pnl.values())
            assert_agree(getattr(result, name)[s] / scale, total / scale, 1e-8, what=f"{scenario.id} {name}")
            if name == "correlated":
                assert_agree(result.by_symbol[s] / scale, [pnl[row] / scale for row in rows.tolist()], 1e-8)
                assert_agree(result.by_factor[s].sum() / scale, total / scale, 1e-8)


def known_beta(book, beta=1.0):
    """The book with every symbol's market beta and market loading the same, and no other loading."""
    loadings = np.zeros_like(book.loadings)
    loadings[:, 0] = beta
    betas = np.full_like(book.betas, beta)
    return replace(book, loadings=loadings, betas=betas)


def test_a_covered_call_has_less_market_beta(book):
    book = known_beta(book, 1.2)
    name = forecastable(book)[0]
    spot = spot_of(book, name)
    stock, call = shares(name, 100), option(name, -1, spot, later(book, 60), True)
    plain, covered = (analyze(book, lots(*rows), equity=300 * spot) for rows in ([stock], [stock, call]))
    _, _, _, _, delta = naive_lot(book, lots(call), 0)
    place = plain.exposures.names.index(MARKET_BETA)
    assert 0.2 < delta < 0.95
    assert_agree(plain.exposures.beta[place], 1.2 / 3, 1e-12)
    assert_agree(covered.exposures.beta[place], 1.2 / 3 * (1 - delta), 1e-9)
    assert covered.volatility.realized_63d == pytest.approx(plain.volatility.realized_63d * (1 - delta))
    assert covered.risk.volatility == pytest.approx(plain.risk.volatility * (1 - delta))
    crash = [scenario.id for scenario in SCENARIOS].index("market_crash_35")
    assert covered.stress.correlated[crash] > plain.stress.correlated[crash]


def test_a_long_put_gains_in_a_crash_more_than_its_delta_says(book):
    book = known_beta(book)
    name = forecastable(book)[1]
    spot = spot_of(book, name)
    positions = lots(option(name, 2, spot * 0.9, later(book, 90), False))
    _, _, case, price, delta = naive_lot(book, positions, 0)
    crash = [scenario.id for scenario in SCENARIOS].index("market_crash_35")
    result = analyze(book, positions, equity=100 * spot).stress
    expected = 200 * (naive_options.price(spot * 0.65, *case) - price)
    assert_agree(result.direct[crash] / spot, expected / spot, 1e-9)
    assert_agree(result.correlated[crash] / spot, expected / spot, 1e-9)
    by_delta = -0.35 * 200 * delta * spot
    assert expected > 1.5 * by_delta > 0
    assert_agree(result.by_factor[crash, 0] / spot, expected / spot, 1e-9)


def test_no_share_falls_below_nothing(book):
    book = known_beta(book, 4.0)
    name = forecastable(book)[1]
    spot = spot_of(book, name)
    put, call = (option(name, 1, spot, later(book, 365), is_call) for is_call in (False, True))
    crash = [scenario.id for scenario in SCENARIOS].index("market_crash_35")
    for row in (put, call):
        positions = lots(row)
        _, _, case, price, _ = naive_lot(book, positions, 0)
        found = analyze(book, positions, equity=100 * spot).stress.direct[crash]
        assert_agree(found / spot, 100 * (ruined(case) - price) / spot, 1e-9)


def test_what_cannot_be_priced_says_why(book):
    good = forecastable(book)[0]
    ages = book.close_age.copy()
    ages[book.index["SPY"]], ages[book.index["TLT"]] = 3, 6
    book = replace(book, close_age=ages)
    when, strike = later(book, 30), spot_of(book, good)
    positions = lots(
        option(good, 1, strike, when, True),
        option("SPY", 1, 100.0, when, True),
        option("TLT", 1, 100.0, when, True),
        option("NOSUCH", 1, 100.0, when, True),
        option("FLAT", 1, 40.0, when, True),
        option("FLAT", 1, 40.0, later(book, 0), False),
        option(good, 1, NAN, when, True),
        option(good, 1, strike, NAT, True),
        option(good, 1, 0.0, when, True),
        (*option("", 1, NAN, NAT, False),),
    )
    value = value_positions(book, positions)
    found = reason_text(value.reasons).to_list()
    perhaps = {"forecast_clipped", "stale_price", "no_dividend_yield"}
    assert set(found[0].split(",")) - perhaps == {"model_vol", "model_price"}
    assert {"stale_price", "model_vol", "model_price"} <= set(found[1].split(","))
    assert found[2:5] == [
        "no_price,option_not_priced",
        "unknown_symbol,option_not_priced",
        "constant_series,option_not_priced",
    ]
    assert (found[5], value.price[5]) == ("model_price", 40 - 37.25)
    assert [text.split(",")[-1] for text in found[6:]] == ["option_not_priced"] * 4
    priced = np.isfinite(value.price)
    assert np.flatnonzero(priced).tolist() == value.options.lots.tolist() == [0, 1, 5]
    assert np.isnan([value.market_value[~priced], value.economic_value[~priced]]).all()
    assert value.coverage < 1
    assert holdings_of(value).unvalued == pytest.approx(7 * 150.0)
    answer = describe(book, positions, analyze(book, positions, equity=1e4), {})
    json.dumps(answer, allow_nan=False)
    assert {"model_price", "model_vol", "partial_coverage"} <= set(answer["reasons"])


def test_missing_covariance_or_loadings(book, positions):
    nothing = np.full((8, 8), NAN)
    result = analyze(replace(book, proxy_covariance=nothing), positions).stress
    assert np.isnan(result.correlated).all()
    assert np.isfinite(result.direct).all()
    value = value_positions(book, positions)
    loadings = book.loadings.copy()
    lost = int(value.options.rows[0])
    loadings[lost] = NAN
    result = stress(replace(book, loadings=loadings), holdings_of(value))
    rows = holdings_of(value).rows
    assert np.isnan(result.by_symbol[:, rows == lost]).all()
    assert np.isfinite(result.by_symbol[:, rows != lost]).all()
    assert_agree(result.correlated, np.nansum(result.by_symbol, axis=1), 1e-9)
    assert result.coverage < 1


def test_terms_and_order_of_lots_change_nothing(book, positions):
    order = np.random.default_rng(1).permutation(len(positions.symbols))
    one, other = (analyze(book, each, equity=1e7) for each in (positions, positions.take(order)))
    assert_agree(other.valuation.market_value, one.valuation.market_value[order], 1e-12)
    assert_agree(one.exposures.beta, other.exposures.beta, 1e-9)
    assert_agree(one.stress.correlated, other.stress.correlated, 1e-9)
    stocks = positions.take(np.flatnonzero(~positions.of_kind("option")))
    with_terms, without = analyze(book, stocks), analyze(book, replace(stocks, options=None))
    assert with_terms.valuation.options is None
    assert np.array_equal(with_terms.stress.correlated, without.stress.correlated)


def test_positions_side_by_side(book, positions):
    stocks = replace(positions.take([0, 1]), options=None)
    whole = value_positions(book, joined([stocks, positions, stocks]))
    alone, own = value_positions(book, positions), value_positions(book, stocks)
    expected = np.concatenate([own.market_value, alone.market_value, own.market_value])
    assert_agree(whole.market_value, expected, 1e-12)
    assert (whole.options.lots == alone.options.lots + 2).all()
    assert joined([stocks, stocks]).options is None


def test_an_option_is_a_bucket_and_a_position_of_its_own(book):
    name = forecastable(book)[0]
    spot = spot_of(book, name)
    positions = lots(shares(name, 100), option(name, 2, spot, later(book, 50), True))
    analysis = analyze(book, positions, equity=500 * spot)
    _, _, _, price, _ = naive_lot(book, positions, 1)
    assert analysis.sectors.net["Options"] == pytest.approx(200 * price / (500 * spot))
    total = 100 * spot + 200 * price
    assert analysis.concentration.weights[positions.symbols[1]] == pytest.approx(200 * price / total)


def test_a_higher_rate_makes_calls_dearer(book):
    name = forecastable(book)[0]
    positions = lots(option(name, 1, spot_of(book, name), later(book, 365), True))
    cheap, dear = (value_positions(book, positions, option_rate=rate).price[0] for rate in (0.0, 0.1))
    assert dear > cheap


def test_a_dividend_yield_makes_calls_cheaper_and_is_missed_where_unknown(book):
    name = forecastable(book)[0]
    positions = lots(option(name, 1, spot_of(book, name), later(book, 365), True))
    found = {}
    for dividend_yield in (0.0, 0.05, NAN):
        yields = np.full(len(book.symbols), dividend_yield)
        value = value_positions(replace(book, dividend_yields=yields), positions)
        found[str(dividend_yield)] = value.price[0], reason_text(value.reasons)[0].split(",")
    assert found["0.05"][0] < found["0.0"][0] == found["nan"][0]
    assert ["no_dividend_yield" in codes for _, codes in found.values()] == [False, False, True]


def test_greeks_of_lots_and_of_the_portfolio(book, positions):
    answer = describe(book, positions, analyze(book, positions), {})
    totals = dict.fromkeys(("delta", "gamma", "theta", "vega", "rho"), 0.0)
    for lot, described in enumerate(answer["positions"]):
        assert ("greeks" in described) == (positions.kinds[lot] == "option")
        if "greeks" in described:
            _, spot, case, _, delta = naive_lot(book, positions, lot)
            expected = dict.fromkeys(totals, 0.0) | {"delta": delta}
            if case[1] > 0:
                expected = naive_options.greeks(spot, *case)
            for name in totals:
                whole = 100 * positions.quantity[lot] * expected[name]
                assert_agree(described["greeks"][name], whole, 1e-7, what=name)
                totals[name] += whole
    for name, total in totals.items():
        assert_agree(answer["overview"]["greeks"][name], total, 1e-7, what=name)
    none = describe(book, lots(shares("SPY", 1)), analyze(book, lots(shares("SPY", 1))), {})
    assert none["overview"]["greeks"] == dict.fromkeys(totals)
