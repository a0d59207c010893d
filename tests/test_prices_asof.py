"""Closes, splits and dividends as of days, against plain loops."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from tolerance import assert_agree

from engine.prices_asof import (
    closes_asof,
    dividends_per_share,
    is_adjusted_only,
    market_of,
    split_factors,
)

SESSIONS = np.busday_offset("2016-12-01", np.arange(70), roll="forward").astype("datetime64[D]")
DAYS = [date(2016, 12, 1) + timedelta(days=at) for at in range(95)]
SYMBOLS = ["A", "B", "C", "D", "NONE"]
PRICE_TYPES = {"symbol": pl.String, "session": pl.Date, "close": pl.Float64, "quality": pl.String}
ACTION_TYPES = {"symbol": pl.String, "session": pl.Date, "kind": pl.String, "value": pl.Float64}
NO_DAY = np.datetime64("NaT", "D")


def history(seed):
    """Prices and actions as (symbol, day, ...) rows; D has adjusted prices alone, A a suspect one."""
    rng = np.random.default_rng(seed)
    prices, actions = [], []
    for symbol in SYMBOLS[:4]:
        here = rng.random(len(SESSIONS)) > 0.2
        start = rng.integers(10, 50)
        here[start : start + 9] = False
        kinds = np.where(
            rng.random(len(SESSIONS)) < 0.1, "suspect", "adjusted_only" if symbol == "D" else "ok"
        )
        prices += [
            (symbol, SESSIONS[at].item(), float(rng.uniform(1, 100)), str(kinds[at]))
            for at in np.flatnonzero(here)
        ]
        for kind, values in (("split", (2.0, 0.1, 1.5)), ("dividend", (0.3, 1.0, 2.0))):
            days = rng.choice(len(DAYS), 4, replace=False)
            actions += [(symbol, DAYS[at], kind, float(rng.choice(values))) for at in days]
        both = DAYS[int(rng.integers(len(DAYS)))]
        actions = [row for row in actions if row[:2] != (symbol, both)]
        actions += [(symbol, both, "split", 3.0), (symbol, both, "dividend", 0.5)]
    return prices, actions


def frames(prices, actions, rng):
    first = pl.DataFrame(prices, PRICE_TYPES, orient="row").sample(fraction=1, shuffle=True, seed=1)
    second = pl.DataFrame(actions, ACTION_TYPES, orient="row").sample(fraction=1, shuffle=True, seed=2)
    rename = pl.DataFrame([("A", DAYS[3], "rename", None)], ACTION_TYPES, orient="row")
    return first, pl.concat([second, rename])


def split(actions, symbol, since, until):
    if until < since:
        return 1 / split(actions, symbol, until, since)
    return np.prod([v for s, d, kind, v in actions if (s, kind) == (symbol, "split") and since < d <= until])


def dividends(actions, symbol, since, until):
    """Paid to the shares of ``until``: a dividend of before a split is spread over what the share became."""
    sign, (low, high) = (1, (since, until)) if since <= until else (-1, (until, since))
    paid = [(d, v) for s, d, kind, v in actions if (s, kind) == (symbol, "dividend") and low < d <= high]
    return sign * sum(value / split(actions, symbol, day, until) for day, value in paid)


def close(prices, actions, symbol, day):
    at = sum(session <= day for session in SESSIONS.tolist()) - 1
    for age in range(min(5, at) + 1):
        for name, session, price, _ in prices:
            if (name, session) == (symbol, SESSIONS[at - age].item()):
                factor = 1.0 if symbol == "D" else split(actions, symbol, session, day)
                return price / factor, age
    return np.nan, -1


@pytest.mark.parametrize("seed", range(6))
def test_every_pair_of_days_is_what_a_loop_finds(seed):
    rng = np.random.default_rng(seed)
    prices, actions = history(seed)
    market = market_of(*frames(prices, actions, rng), SESSIONS)
    names = rng.choice(SYMBOLS, 400).tolist()
    since = [DAYS[at] for at in rng.integers(0, len(DAYS), 400)]
    until = [DAYS[at] for at in rng.integers(0, len(DAYS), 400)]
    codes = market.codes_of(pl.Series(names))
    froms, tos = np.array(since, dtype="datetime64[D]"), np.array(until, dtype="datetime64[D]")
    found, age = closes_asof(market, codes, tos)
    expected = [close(prices, actions, name, day) for name, day in zip(names, until, strict=True)]
    assert_agree(found, [price for price, _ in expected], 1e-12)
    assert age.tolist() == [each for _, each in expected]
    triples = list(zip(names, since, until, strict=True))
    assert_agree(split_factors(market, codes, froms, tos), [split(actions, *each) for each in triples], 1e-12)
    paid = dividends_per_share(market, codes, froms, tos)
    assert_agree(paid, [dividends(actions, *each) for each in triples], 1e-12)


def test_adjusted_prices_are_told_by_the_newest_row_that_tells():
    days = [SESSIONS[at].item() for at in (2, 4, 6, 8)]
    quality = ["suspect", "adjusted_only", "suspect", "ok"]
    prices = pl.DataFrame({"symbol": "X", "session": days, "close": 1.0, "quality": quality})
    market = market_of(prices, pl.DataFrame(schema=ACTION_TYPES), SESSIONS)
    asked = SESSIONS[[1, 2, 4, 6, 7, 8, 9]]
    found = is_adjusted_only(market, np.zeros(len(asked), dtype=int), asked)
    assert found.tolist() == [False, True, True, True, True, False, False]
    assert is_adjusted_only(market, np.array([-1]), asked[:1]).tolist() == [False]


def test_no_rows_no_day_and_a_later_price_are_no_price():
    actions = pl.DataFrame(schema=ACTION_TYPES)
    market = market_of(pl.DataFrame(schema=PRICE_TYPES), actions, SESSIONS)
    nobody = market.codes_of(pl.Series(["A"]))
    assert nobody.tolist() == [-1]
    assert np.isnan(closes_asof(market, nobody, SESSIONS[5:6])[0]).all()
    assert dividends_per_share(market, nobody, SESSIONS[5:6], SESSIONS[9:10]).tolist() == [0.0]
    rows = [("A", SESSIONS[6].item(), 5.0, "ok"), ("A", date(2016, 12, 3), 7.0, "ok")]  # a Saturday
    market = market_of(pl.DataFrame(rows, PRICE_TYPES, orient="row"), actions, SESSIONS)
    asked = np.array([NO_DAY, SESSIONS[5], SESSIONS[6], SESSIONS[12]])
    price, age = closes_asof(market, np.zeros(4, dtype=int), asked)
    assert_agree(price, [np.nan, np.nan, 5.0, np.nan])
    assert age.tolist() == [-1, -1, 0, -1]
    assert split_factors(market, np.zeros(1, dtype=int), asked[:1], asked[1:2]).tolist() == [1.0]


def test_a_source_without_dividends_says_nothing_about_any():
    prices, actions = history(3)
    splits = [row for row in actions if row[2] == "split"]
    given = frames(prices, splits, None)
    codes = np.array([0, 3, -1])
    since, until = SESSIONS[[5, 6, 7]], SESSIONS[[20, 30, 40]]
    assert np.isnan(
        dividends_per_share(market_of(*given, SESSIONS, dividends_known=False), codes, since, until)
    ).all()
    assert dividends_per_share(market_of(*given, SESSIONS), codes, since, until).tolist() == [0.0] * 3


def test_a_day_after_the_sessions_is_refused():
    market = market_of(pl.DataFrame(schema=PRICE_TYPES), pl.DataFrame(schema=ACTION_TYPES), SESSIONS)
    with pytest.raises(ValueError, match="sessions end"):
        closes_asof(market, np.array([0]), SESSIONS[-1:] + 1)


def test_other_symbols_and_later_rows_change_no_bit():
    prices, actions = history(9)
    day = SESSIONS[40]
    whole = market_of(*frames(prices, actions, None), SESSIONS)
    for symbol in SYMBOLS[:4]:
        mine = [
            [row for row in rows if row[0] == symbol and row[1] <= day.item()] for rows in (prices, actions)
        ]
        alone = market_of(*frames(*mine, None), SESSIONS[:41])
        answers = []
        for market in (whole, alone):
            codes, days = market.codes_of(pl.Series([symbol])), np.array([day])
            paid = dividends_per_share(market, codes, SESSIONS[20:21], days)
            answers.append((*closes_asof(market, codes, days), paid))
        assert all(np.array_equal(one, other, equal_nan=True) for one, other in zip(*answers, strict=True))
