"""The simulated market is what it says: seeded, closed-form betas, and one of each corporate event."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from engine.factors import PROXIES
from engine.ingest_checks import check_prices
from service import clock
from service.providers.simulated import SECTORS, SimulatedMarket, simulate

SESSIONS = clock.sessions_until(date(2024, 6, 28), 600)


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return simulate(SESSIONS, n_symbols=200)


def wide(market: SimulatedMarket, column: str = "adj_close") -> dict[str, np.ndarray]:
    """Prices of each symbol on all sessions ``(n_sessions,)``, NaN where missing."""
    table = market.prices.pivot(on="symbol", index="session", values=column).sort("session")
    return {name: table[name].to_numpy() for name in table.columns[1:]}


def test_the_seed_decides_and_the_number_of_symbols_does_not(market: SimulatedMarket) -> None:
    again = simulate(SESSIONS, n_symbols=200)
    for name in ("prices", "profiles", "actions", "benchmark"):
        assert getattr(market, name).equals(getattr(again, name))
    fewer = simulate(SESSIONS, n_symbols=20)
    assert market.prices.join(fewer.prices, on=fewer.prices.columns, how="semi", nulls_equal=True).height == (
        fewer.prices.height
    )
    assert not simulate(SESSIONS, n_symbols=20, seed=8).prices.equals(fewer.prices)


def test_every_row_is_said_to_be_simulated(market: SimulatedMarket) -> None:
    for frame in (market.prices, market.profiles, market.actions):
        assert frame["source"].unique().to_list() == ["simulated"]


def test_names_are_distinct_and_no_proxy(market: SimulatedMarket) -> None:
    assert len(set(market.symbols) | set(PROXIES.values())) == 208
    assert all(len(name) == 5 and name.isalpha() and name.isupper() for name in market.symbols)
    assert set(market.prices["symbol"]) == {*market.symbols, *PROXIES.values()}


@pytest.mark.parametrize("n_symbols", [0, 4, 7000])
def test_a_market_of_an_impossible_size(n_symbols: int) -> None:
    with pytest.raises(ValueError, match=f"{n_symbols} symbols"):
        simulate(SESSIONS[:30], n_symbols=n_symbols)


def test_the_checks_find_nothing_wrong(market: SimulatedMarket) -> None:
    accepted, quarantine = check_prices(market.prices, SESSIONS)
    assert quarantine.is_empty()
    assert accepted["quality"].unique().to_list() == ["ok"]


def test_the_proxies_are_complete_and_have_their_covariance(market: SimulatedMarket) -> None:
    prices = wide(market)
    returns = np.array([np.diff(prices[p]) / prices[p][:-1] for p in PROXIES.values()])
    assert np.isfinite(returns).all()
    deviations = np.sqrt(np.diag(market.covariance))
    np.testing.assert_allclose(returns.std(axis=1), deviations, rtol=0.12)
    expected = market.covariance / np.outer(deviations, deviations)
    np.testing.assert_allclose(np.corrcoef(returns), expected, atol=0.12)
    assert np.linalg.eigvalsh(market.covariance).min() > 0


def test_population_slopes_are_what_least_squares_tends_to(market: SimulatedMarket) -> None:
    """Drawn once more from the covariance and the exposures, 400,000 sessions long."""
    rng = np.random.default_rng(1)
    proxies = np.linalg.cholesky(market.covariance) @ rng.standard_normal((8, 400_000))
    spy, tlt, vtv, vug, mtum, qual, iwm, usmv = proxies
    y = market.exposures[:6] @ proxies
    factors = (spy, tlt, vug - vtv, mtum - spy, iwm - spy, qual - spy)
    expected = np.array([[np.cov(row, x)[0, 1] / x.var(ddof=1) for x in factors] for row in y])
    np.testing.assert_allclose(market.population_betas()[:6], expected, atol=0.03)
    styles = np.array([vtv, vug, mtum, qual, iwm, usmv])
    joint = np.linalg.lstsq(styles.T, y.T, rcond=None)[0].T
    np.testing.assert_allclose(market.style_slopes()[:6], joint, atol=0.01)


def test_each_corporate_event_is_in_the_prices(market: SimulatedMarket) -> None:
    actions = {row["kind"]: row for row in market.actions.iter_rows(named=True)}
    assert set(actions) == {"split", "dividend", "rename", "delisting"}
    close, adjusted = wide(market, "close"), wide(market)
    for kind in ("split", "dividend"):
        row = actions[kind]
        at = int(np.searchsorted(SESSIONS, np.datetime64(row["session"])))
        ratio = close[row["symbol"]] / adjusted[row["symbol"]]
        there = np.isfinite(ratio[at:])
        np.testing.assert_allclose(ratio[at:][there], 1.0)
        before = close[row["symbol"]][at - 1]
        expected = row["value"] if kind == "split" else before / (before - row["value"])
        np.testing.assert_allclose(ratio[:at][np.isfinite(ratio[:at])], expected)
    ends = market.prices.group_by("symbol").agg(first=pl.col("session").min(), last=pl.col("session").max())
    first, last = (dict(ends.select("symbol", name).iter_rows()) for name in ("first", "last"))
    rename, delisting = actions["rename"], actions["delisting"]
    assert last[rename["symbol"]] < rename["session"] == first[rename["new_symbol"]]
    assert last[delisting["symbol"]] < delisting["session"]
    old, new = (adjusted[rename[name]] for name in ("symbol", "new_symbol"))
    step = new[np.isfinite(new)][0] / old[np.isfinite(old)][-1] - 1
    assert abs(step) < 0.15


def test_some_histories_are_short_and_some_have_gaps(market: SimulatedMarket) -> None:
    prices = wide(market)
    present = np.array([np.isfinite(prices[name]) for name in market.symbols[5:]])
    first = present.argmax(axis=1)
    assert 0.01 <= (first > 5).mean() <= 0.12
    gaps = 1 - present.sum(axis=1) / (len(SESSIONS) - first)
    assert 0.002 <= gaps.mean() <= 0.02


def test_profiles_and_benchmark(market: SimulatedMarket) -> None:
    sectors = dict(market.profiles.select("symbol", "sector").iter_rows())
    assert {sectors[symbol] for symbol in market.symbols} == set(SECTORS)
    assert {sectors[proxy] for proxy in PROXIES.values()} == {None}
    assert market.benchmark["weight"].sum() == pytest.approx(1.0)
    assert set(market.benchmark["sector"]) == set(SECTORS)
