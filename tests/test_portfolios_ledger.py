"""Portfolios of the ledger: entered whole or not at all, seen by their owner alone."""

import threading
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from storage.equity_changes import EquityChange
from storage.errors import NotFound, Refused, Taken
from storage.portfolios import Portfolio
from storage.positions import Lot
from storage.store import open_store

DRAFT = Portfolio("Growth", "Broker 1", "ira", Decimal("1000000.5"), description="long only")
STOCK = Lot("AAPL", Decimal(100), Decimal("172.50"), date(2017, 11, 6), "PUBLIC", "STOCK")
SHORT_PUT = Lot(
    "SPY171215P00250000",
    Decimal(-2),
    Decimal("1.05"),
    date(2017, 11, 7),
    "OPTIONS",
    "PUT",
    "SPY",
    Decimal(250),
    date(2017, 12, 15),
    "PUT",
)
CLOSED = changed(STOCK, exit_date=date(2017, 11, 8), exit_price=Decimal("175.999999"))
LOTS = [STOCK, SHORT_PUT, CLOSED]


def lots_of(ledger, portfolio):
    return [position.lot for position in ledger.positions.of(portfolio.portfolio_id)]


def test_what_is_entered_is_what_is_found(ledger):
    made = ledger.portfolios.create("ann", DRAFT, LOTS)
    assert replace(made, portfolio_id="", owner="", revision=0, created_at="", updated_at="") == DRAFT
    assert (made.owner, made.revision) == ("ann", 1)
    assert ledger.portfolios.get("ann", made.portfolio_id) == made
    assert ledger.portfolios.of("ann") == [made]
    assert lots_of(ledger, made) == LOTS
    assert ledger.positions.counts([made.portfolio_id, "none"]) == {made.portfolio_id: 2, "none": 0}


def test_a_bad_lot_refuses_the_whole(ledger):
    bad = changed(STOCK, quantity=Decimal("0.0000001"))
    with pytest.raises(Refused, match="more than 6 decimals"):
        ledger.portfolios.create("ann", DRAFT, [*LOTS, bad])
    assert ledger.portfolios.everyones() == []
    ledger.portfolios.create("ann", DRAFT)


def test_foreign_deleted_and_missing_look_alike(ledger):
    mine = ledger.portfolios.create("ann", DRAFT)
    deleted = ledger.portfolios.create("bob", DRAFT)
    ledger.portfolios.delete(deleted.portfolio_id)
    for portfolio_id in (mine.portfolio_id, deleted.portfolio_id, "nobody's"):
        with pytest.raises(NotFound) as caught:
            ledger.portfolios.get("bob", portfolio_id)
        assert str(caught.value) == f"no portfolio {portfolio_id}"
        with pytest.raises(NotFound, match=f"no portfolio {portfolio_id}"):
            ledger.portfolios.revision("bob", portfolio_id)
    assert ledger.portfolios.of("bob") == []
    assert ledger.portfolios.everyones() == [mine]
    for gone in (deleted.portfolio_id, "nobody's"):
        for change in (ledger.portfolios.update, ledger.portfolios.delete):
            with pytest.raises(NotFound, match="no portfolio"):
                change(gone)
        with pytest.raises(NotFound, match="no portfolio"):
            ledger.positions.add(gone, LOTS, entered_session=None)


def test_account_names_are_unique_among_an_owners_live_portfolios(ledger):
    first = ledger.portfolios.create("ann", DRAFT)
    ledger.portfolios.create("bob", DRAFT)
    with pytest.raises(Taken, match="an account 'Broker 1' already"):
        ledger.portfolios.create("ann", DRAFT)
    second = ledger.portfolios.create("ann", replace(DRAFT, account_name="Broker 2"))
    with pytest.raises(Taken, match="'Broker 1'"):
        ledger.portfolios.update(second.portfolio_id, account_name="Broker 1")
    ledger.portfolios.delete(first.portfolio_id)
    ledger.portfolios.update(second.portfolio_id, account_name="Broker 1")
    ledger.portfolios.create("ann", replace(DRAFT, account_name="Broker 2"))


def test_one_of_many_that_enter_the_same_account_wins(ledger):
    barrier, outcomes = threading.Barrier(6), []

    def enter():
        barrier.wait()
        try:
            outcomes.append(ledger.portfolios.create("ann", DRAFT, LOTS))
        except Taken as error:
            outcomes.append(error)

    threads = [threading.Thread(target=enter) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = [outcome for outcome in outcomes if isinstance(outcome, Portfolio)]
    assert len(outcomes) == 6
    assert ledger.portfolios.of("ann") == [winner]
    assert lots_of(ledger, winner) == LOTS


def test_what_the_ledger_gave_cannot_be_changed(ledger):
    made = ledger.portfolios.create("ann", DRAFT)
    ledger.portfolios.update(made.portfolio_id, name="Value", is_active=False, description=None)
    changed = ledger.portfolios.get("ann", made.portfolio_id)
    assert (changed.name, changed.is_active, changed.description) == ("Value", False, None)
    for field in ("owner", "revision", "portfolio_id", "deleted_at", "nonsense"):
        with pytest.raises(Refused, match=f"^{field} cannot be changed"):
            ledger.portfolios.update(made.portfolio_id, **{field: "bob"})


def test_every_change_counts_once(ledger):
    portfolio_id = ledger.portfolios.create("ann", DRAFT, LOTS).portfolio_id
    first, *_ = ledger.positions.of(portfolio_id)
    draft = EquityChange("CONTRIBUTION", Decimal(5), date(2017, 11, 6), "ann")
    money = ledger.equity_changes.add(portfolio_id, draft)
    assert ledger.portfolios.revision("ann", portfolio_id) == 2
    changes = [
        lambda: ledger.portfolios.update(portfolio_id, name="Value"),
        lambda: ledger.positions.add(portfolio_id, LOTS, entered_session=None),
        lambda: ledger.positions.update(portfolio_id, first.position_id, notes="watch"),
        lambda: ledger.positions.mark(portfolio_id, first.position_id, date(2017, 11, 6), Decimal(7)),
        lambda: ledger.positions.close(
            portfolio_id, first.position_id, date(2017, 11, 9), quantity=Decimal(1)
        ),
        lambda: ledger.positions.delete(portfolio_id, [first.position_id]),
        lambda: ledger.equity_changes.update(portfolio_id, money.change_id, amount=Decimal(6)),
        lambda: ledger.equity_changes.delete(portfolio_id, money.change_id),
    ]
    for revision, change in enumerate(changes, start=3):
        change()
        assert ledger.portfolios.revision("ann", portfolio_id) == revision
    with pytest.raises(NotFound):
        ledger.positions.delete(portfolio_id, ["none"])
    assert ledger.portfolios.revision("ann", portfolio_id) == 2 + len(changes)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0.0000001", "more than 6 decimals"),
        ("1." + 40 * "0" + "1", "more than 6 decimals"),
        ("1e-400", "more than 6 decimals"),
        ("9223372036854.775808", "too large"),
        ("-1e999", "too large"),
        ("NaN", "not a number"),
        ("Infinity", "not a number"),
    ],
)
def test_money_that_does_not_fit_is_refused(ledger, value, message):
    with pytest.raises(Refused, match=message):
        ledger.portfolios.create("ann", replace(DRAFT, starting_equity=Decimal(value)))
    with pytest.raises(Refused, match=message):
        ledger.portfolios.create("ann", DRAFT, [changed(STOCK, quantity=Decimal(value))])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(micros=st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=5))
def test_money_that_fits_comes_back_exactly(ledger, micros):
    values = [Decimal(f"{number}E-6") for number in micros]
    made = ledger.portfolios.create("ann", DRAFT, [changed(STOCK, quantity=value) for value in values])
    assert [lot.quantity for lot in lots_of(ledger, made)] == values
    ledger.portfolios.delete(made.portfolio_id)


def test_analysts_see_live_portfolios_and_no_keys(tmp_path, ledger_url):
    with open_store(tmp_path / "store", ledger_url=ledger_url) as store:
        made = store.ledger.portfolios.create("ann", DRAFT, LOTS)
        gone = store.ledger.portfolios.create("bob", DRAFT, LOTS)
        first, *_ = store.ledger.positions.of(made.portfolio_id)
        store.ledger.positions.delete(made.portfolio_id, [first.position_id])
        store.ledger.portfolios.delete(gone.portfolio_id)
        store.ledger.api_keys.create("ann", "cron", ["read"])
        store.write_catalog()
        found = store.sql("SELECT owner, starting_equity, typeof(starting_equity) FROM portfolios")
        assert found.rows() == [("ann", 1000000.5, "DOUBLE")]
        lots = store.sql("SELECT symbol, quantity, exit_date, exit_price, strike_price FROM positions")
        assert lots.rows() == [
            (SHORT_PUT.symbol, -2.0, None, None, 250.0),
            ("AAPL", 100.0, date(2017, 11, 8), 175.999999, None),
        ]
        assert "api_keys" not in store.sql("SHOW TABLES")["name"].to_list()
