"""Live values over splits since lots were entered: against the same holdings in the shares of today."""

from datetime import date
from decimal import Decimal
from shutil import copytree

import naive_options
import naive_series
import numpy as np
import polars as pl
import pytest
from naive import simple_returns
from tolerance import assert_agree

from engine.quality import reason_text
from service.api.position_answers import item
from service.book_loader import load_book
from service.composed import Compositions
from service.live_book import LiveBook
from service.portfolio_view import analyze_stored
from service.settings import Settings
from storage.portfolios import Portfolio
from storage.positions import Lot
from storage.store import open_store

BEFORE, SPLIT, LAST = date(2024, 2, 5), date(2024, 2, 6), date(2024, 6, 28)  # BARAQ splits 2 for 1
EXPIRATION = date(2024, 12, 20)


@pytest.fixture
def store(sample_store, tmp_path):
    copytree(sample_store, tmp_path / "store")
    with open_store(tmp_path / "store") as store:
        yield store


def stock(symbol, quantity, price):
    return Lot(symbol, Decimal(quantity), Decimal(price), date(2024, 1, 5), "PUBLIC")


def call(underlying, quantity, strike, expiration=EXPIRATION):
    terms = {"strike_price": Decimal(strike), "expiration_date": expiration, "option_type": "CALL"}
    name = f"{underlying}-{strike}-{expiration}"
    entered = date(2024, 1, 5)
    return Lot(
        name, Decimal(quantity), Decimal("3"), entered, "OPTIONS", underlying_symbol=underlying, **terms
    )


def composed(store, lots, *, name="Main", start=None):
    """A portfolio of lots, each with the session that it was entered on, on the live book."""
    draft = Portfolio(name, name, starting_equity=Decimal(100_000), starting_session=start)
    portfolio = store.ledger.portfolios.create("ann", draft)
    for lot, entered in lots:
        store.ledger.positions.add(portfolio.portfolio_id, [lot], entered_session=entered)
    live = LiveBook(store, Settings().option_rate)
    live.refresh()
    portfolio = store.ledger.portfolios.get("ann", portfolio.portfolio_id)
    return Compositions(store.ledger).of(portfolio, live.market, live.accounts)


def history(store, symbol):
    return store.read("prices", symbols=[symbol]).sort("session")


def change(store, table, frame):
    with store.writing("symbol", owner="test") as writer:
        writer.replace(table, frame)
        writer.publish(session=LAST)


def split_of(store, symbol, session, value):
    actions = store.read("corporate_actions")
    split = actions.filter(pl.col("kind") == "split").with_columns(
        pl.lit(symbol).alias("symbol"), pl.lit(session).alias("session"), pl.lit(value).alias("value")
    )
    change(store, "corporate_actions", pl.concat([actions, split]))


def test_shares_entered_before_a_split(store):
    close = history(store, "BARAQ")["close"][-1]
    lots = [
        (stock("BARAQ", "10", "120"), BEFORE),
        (stock("BARAQ", "10", "120"), SPLIT),
        (stock("BARAQ", "-6", "130"), date(2023, 12, 1)),
        (stock("SPY", "5", "100"), BEFORE),
    ]
    found = composed(store, lots)
    value, shares = found.valuation, [20.0, 10.0, -12.0, 5.0]
    assert found.positions.quantity.tolist() == shares
    assert_agree(value.market_value[:3], np.array(shares[:3]) * close, 1e-12)
    assert_agree(value.cost_basis, [1200, 1200, -780, 500], 1e-12)
    assert_agree(found.holdings.values.sum(), value.market_value.sum(), 1e-12)
    assert value.unrealized_pnl[0] == pytest.approx(20 * close - 1200)
    for position, factor in zip(found.held, (2.0, 1.0, 2.0, 1.0), strict=True):
        shown = item(position, found)
        assert (shown.quantity, shown.split_factor) == (float(position.lot.quantity), factor)
        assert shown.market_value == pytest.approx(shown.quantity * factor * shown.last_price)


def test_what_is_closed_has_earned_over_a_split(store):
    lots = [(stock("BARAQ", "10", "120"), BEFORE), (stock("SPY", "-4", "50"), BEFORE)]
    portfolio_id = composed(store, lots).portfolio.portfolio_id
    one, other = (each.position_id for each in store.ledger.positions.of(portfolio_id))
    store.ledger.positions.close(portfolio_id, one, BEFORE, Decimal(125), quantity=Decimal(4))
    store.ledger.positions.close(portfolio_id, one, LAST, Decimal(70))
    store.ledger.positions.close(portfolio_id, other, LAST, Decimal(55))
    live = LiveBook(store, Settings().option_rate)
    live.refresh()
    portfolio = store.ledger.portfolios.get("ann", portfolio_id)
    found = Compositions(store.ledger).of(portfolio, live.market, live.accounts)
    shown = {each.lot.quantity: item(each, found) for each in store.ledger.positions.of(portfolio_id)}
    gains = {float(quantity): each.realized_pnl for quantity, each in shown.items()}
    assert gains == {4.0: 4 * (125 - 120), 6.0: 12 * 70 - 6 * 120, -4.0: -4 * (55 - 50)}
    assert [shown[each].split_factor for each in (4, 6, -4)] == [1.0, 2.0, 1.0]


def test_without_an_entered_session_the_portfolios_own_counts(store):
    lots = [(stock("BARAQ", "10", "120"), None)]
    assert composed(store, lots, start=BEFORE).positions.quantity.tolist() == [20.0]
    assert composed(store, lots, name="Newer", start=SPLIT).positions.quantity.tolist() == [10.0]
    assert composed(store, lots, name="No start").positions.quantity.tolist() == [10.0]


def test_adjusted_prices_have_their_splits_in_them(store):
    prices = store.read("prices")
    mine = pl.col("symbol") == "BARAQ"
    quality = pl.when(mine).then(pl.lit("adjusted_only")).otherwise("quality").alias("quality")
    change(store, "prices", prices.with_columns(quality))
    lots = [(stock("BARAQ", "10", "120"), BEFORE), (call("BARAQ", "1", "100"), BEFORE)]
    found = composed(store, lots)
    assert found.positions.quantity.tolist() == [10.0, 2.0]  # a strike is in no price
    assert found.positions.entry_price[0] == 120.0


def test_an_option_over_a_split(store):
    split_of(store, "SPY", SPLIT, 2.0)
    given = (("3", "220", BEFORE), ("6", "110", SPLIT), ("-1", "220", BEFORE))
    found = composed(store, [(call("SPY", quantity, strike), entered) for quantity, strike, entered in given])
    rows = history(store, "SPY")
    returns = simple_returns(rows["adj_close"].to_numpy())
    volatility = naive_series.har_forecast(returns, len(returns) - 1)[1]
    years = (EXPIRATION - LAST).days / 365
    price = naive_options.price(rows["close"][-1], 110.0, years, True, volatility, 0.04)
    assert_agree(found.valuation.market_value, [600 * price, 600 * price, -200 * price], 1e-9)
    assert_agree(found.valuation.unrealized_pnl[0], 600 * price - 900, 1e-9)
    codes = [text.split(",") for text in reason_text(found.valuation.reasons)]
    assert ["split_adjusted" in each for each in codes] == [True, False, True]


def test_a_close_from_before_a_split(store):
    today = (pl.col("symbol") == "BERAQ") & (pl.col("session") == LAST)
    change(store, "prices", store.read("prices").filter(~today))
    split_of(store, "BERAQ", LAST, 4.0)
    before = history(store, "BERAQ")["close"][-1]
    book = load_book(store)
    row = book.index["BERAQ"]
    assert (book.close[row], book.close_age[row]) == (pytest.approx(before / 4), 1)
    found = composed(store, [(stock("BERAQ", "10", "40"), date(2024, 6, 27))])
    assert found.valuation.market_value[0] == pytest.approx(10 * before)


def test_an_option_is_gone_after_its_last_day(store):
    lots = [
        (call("SPY", "2", "1", date(2024, 6, 27)), BEFORE),
        (call("SPY", "2", "1", LAST), BEFORE),
        (stock("SPY", "5", "100"), BEFORE),
    ]
    found = composed(store, lots)
    spot = history(store, "SPY")["close"][-1]
    assert_agree(found.valuation.market_value, [200 * (spot - 1), 5 * spot], 1e-12)
    assert found.expired == ("SPY-1-2024-06-27",)
    assert (found.valuation.coverage, len(found.held)) == (1.0, 2)
    answer = analyze_stored(store, Settings(), "ann", found.portfolio.portfolio_id)
    assert answer["excluded"] == [{"symbol": "SPY-1-2024-06-27", "reason": "expired"}]
    assert answer["overview"]["position_count"]["option_count"] == 1
    assert "partial_coverage" not in answer["reasons"]
