"""Values, exposures and coverage of small books, by hand."""

import json

import numpy as np
import pytest
from books import make_book
from markets import make_market

from engine.analysis import analyze
from engine.quality import reason_text
from engine.valuation import Positions, value_positions
from service.analysis import describe


@pytest.fixture(scope="module")
def book():
    return make_book(make_market(61, n_symbols=6), 61)


def lots(*rows):
    """Positions from (symbol, quantity, entry price, kind, manual price) rows."""
    symbols, quantity, entry, kinds, manual = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return Positions(
        symbols, np.array(quantity, float), np.array(entry, float), kinds, np.array(manual, float)
    )


def price(book, symbol):
    return float(book.close[book.index[symbol]])


NAN = float("nan")


def test_long_short_cash_and_private(book):
    spy, tlt = price(book, "SPY"), price(book, "TLT")
    positions = lots(
        ("SPY", 10, 90, "public", NAN),
        ("TLT", -5, 100, "public", NAN),
        ("CASH_USD", 250, 1, "cash", NAN),
        ("FUND", 2, 40, "private", 55),
        ("ART", 1, 30, "private", NAN),
    )
    value = value_positions(book, positions)
    assert value.market_value == pytest.approx([10 * spy, -5 * tlt, 250, 110, 30])
    assert value.nav == pytest.approx(10 * spy - 5 * tlt + 250 + 110 + 30)
    assert value.long == pytest.approx(10 * spy + 140)
    assert value.short == pytest.approx(-5 * tlt)
    assert value.gross == pytest.approx(value.long - value.short)
    assert value.cash == pytest.approx(250)
    assert value.leverage == pytest.approx(value.gross / value.nav)
    assert value.unrealized_pnl == pytest.approx([10 * (spy - 90), -5 * (tlt - 100), 0, 30, 0])
    assert np.isnan(value.economic_value[2:]).all()
    assert value.coverage == 1.0
    assert reason_text(value.reasons).to_list() == [None, None, None, None, "entry_price_mark"]


def test_what_has_no_price_is_left_out_and_counted(book):
    positions = lots(
        ("SPY", 1, 50, "public", NAN),
        ("NOSUCH", 3, 20, "public", NAN),
        ("SPY240621C00100000", 2, 1, "option", NAN),
        ("GONE", 4, 10, "public", NAN),
    )
    value = value_positions(book, positions)
    spy = price(book, "SPY")
    assert value.net == pytest.approx(spy)
    assert np.isnan(value.market_value[1:]).all()
    assert value.coverage == pytest.approx(spy / (spy + 60 + 200 + 40))
    assert reason_text(value.reasons).to_list() == [None, "unknown_symbol", "option_not_priced", "no_price"]


@pytest.mark.parametrize(
    ("age", "reason"), [(0, None), (1, "stale_price"), (5, "stale_price"), (6, "no_price")]
)
def test_a_close_serves_for_five_sessions(book, age, reason):
    ages = book.close_age.copy()
    ages[book.index["SPY"]] = age
    fields = {name: getattr(book, name) for name in book.__dataclass_fields__}
    older = type(book)(**{**fields, "close_age": ages})
    value = value_positions(older, lots(("SPY", 1, 50, "public", NAN)))
    assert reason_text(value.reasons).to_list() == [reason]
    assert np.isnan(value.market_value[0]) == (reason == "no_price")


def test_equity_makes_the_rest_cash(book):
    value = value_positions(book, lots(("SPY", 10, 90, "public", NAN)), equity=500.0)
    assert value.nav == 500.0
    assert value.cash == pytest.approx(500 - 10 * price(book, "SPY"))


def test_a_book_without_equity_has_dollars_but_no_weights(book):
    analysis = analyze(book, lots(("SPY", -10, 90, "public", NAN)))
    assert analysis.valuation.nav < 0
    assert np.isnan(analysis.valuation.leverage)
    assert np.isnan(analysis.exposures.beta).all()
    assert np.isfinite(analysis.exposures.exposure_dollar).any()
    assert np.isfinite(analysis.stress.correlated).all()
    answer = describe(book, lots(("SPY", -10, 90, "public", NAN)), analysis, {})
    assert "nav_not_positive" in answer["reasons"]
    assert answer["overview"]["exposures"]["long_percentage"] is None


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [("NOSUCH", 1, 1, "public", NAN)],
        [("SPY", -3, 90, "public", NAN)],
        [("SPY", 3, 90, "public", NAN)],
        [("CASH_USD", 100, 1, "cash", NAN)],
        [("FUND", 2, 40, "private", NAN)],
    ],
)
def test_every_small_book_is_described_in_valid_json(book, rows):
    positions = lots(*rows)
    for equity in (None, 1000.0):
        answer = describe(book, positions, analyze(book, positions, equity=equity), {})
        json.dumps(answer, allow_nan=False)
        assert len(answer["positions"]) == len(rows)


def test_sector_weights_and_cash_add_up_to_one(book):
    rows = [(symbol, 3, 10, "public", NAN) for symbol in book.symbols[:9]]
    positions = lots(*rows, ("FUND", 2, 40, "private", 55), ("CASH_USD", 90, 1, "cash", NAN))
    sectors = analyze(book, positions, equity=5000.0, benchmark={"Energy": 0.6, "Financials": 0.4}).sectors
    assert sum(sectors.net.values()) == pytest.approx(1.0)
    assert "Private" in sectors.net
    assert sectors.active["Financials"] == pytest.approx(sectors.net.get("Financials", 0.0) - 0.4)
    assert sum(sectors.active.values()) == pytest.approx(1.0 - sectors.net["Cash"] - 1.0)
