"""Positions of the ledger against a dictionary, through random histories."""

import random
import threading
from datetime import date, timedelta
from decimal import Decimal

import polars as pl
import pytest
from msgspec.structs import replace

from storage.errors import NotFound, Refused
from storage.portfolios import Portfolio
from storage.positions import Lot

DAY = date(2017, 11, 6)


@pytest.fixture
def portfolio_id(ledger):
    return ledger.portfolios.create("ann", Portfolio("Growth", "Broker 1")).portfolio_id


def random_lot(rng):
    kind = rng.choice(["PUBLIC", "PRIVATE"])
    price = Decimal(rng.randrange(1, 10**6)) / 100
    quantity = Decimal(rng.choice([-1, 1]) * rng.randrange(1, 10**9)) / 10**6
    return Lot(f"S{rng.randrange(20)}", quantity, price, DAY - timedelta(days=rng.randrange(99)), kind)


class History:
    """Does the same to the ledger and to dictionaries."""

    def __init__(self, ledger, portfolio_id, rng):
        self.ledger, self.portfolio_id, self.rng = ledger, portfolio_id, rng
        self.lots, self.notes, self.marks = {}, {}, {}

    def some(self):
        return self.rng.choice(list(self.lots))

    def add(self):
        lots = [random_lot(self.rng) for _ in range(self.rng.randrange(4))]
        ids = self.ledger.positions.add(self.portfolio_id, lots, entered_session=None, notes="bought")
        self.lots |= dict(zip(ids, lots, strict=True))
        self.notes |= dict.fromkeys(ids, "bought")

    def update(self):
        name, price = self.some(), Decimal(self.rng.randrange(1, 999))
        self.ledger.positions.update(self.portfolio_id, name, entry_price=price, notes="corrected")
        self.lots[name], self.notes[name] = replace(self.lots[name], entry_price=price), "corrected"

    def close(self):
        name, price = self.some(), Decimal(self.rng.randrange(1, 999))
        lot = self.lots[name]
        size = abs(lot.quantity)
        part = self.rng.choice([size, Decimal(self.rng.randrange(1, 10**9)) / 10**6])
        closing = (self.portfolio_id, name, DAY, price)
        if lot.exit_date is not None or part > size:
            with pytest.raises(Refused):
                self.ledger.positions.close(*closing, quantity=part)
            return
        signed = part if lot.quantity > 0 else -part
        closed = self.ledger.positions.close(*closing, quantity=part)
        if part == size:
            assert closed == name
        else:
            self.lots[name] = replace(lot, quantity=lot.quantity - signed)
            self.notes[closed] = self.notes[name]
            copies = {(closed, day): price for (owner, day), price in self.marks.items() if owner == name}
            self.marks |= copies
        self.lots[closed] = replace(lot, quantity=signed, exit_date=DAY, exit_price=price)

    def delete(self):
        names = {self.some(), self.some()}
        self.ledger.positions.delete(self.portfolio_id, names, hard=self.rng.random() < 0.5)
        for name in names:
            del self.lots[name], self.notes[name]
        self.marks = {key: price for key, price in self.marks.items() if key[0] not in names}

    def mark(self):
        name, price = self.some(), Decimal(self.rng.randrange(1, 10**8)) / 10**6
        session = DAY - timedelta(days=self.rng.randrange(3))
        self.ledger.positions.mark(self.portfolio_id, name, session, price)
        self.marks[name, session] = price

    def check(self):
        found = self.ledger.positions.of(self.portfolio_id)
        assert [position.position_id for position in found] == list(self.lots)
        assert [position.lot for position in found] == list(self.lots.values())
        assert [position.notes for position in found] == list(self.notes.values())
        marks = self.ledger.positions.marks(self.portfolio_id)
        assert {(mark.position_id, mark.session): mark.price for mark in marks} == self.marks
        is_open = [lot.exit_date is None for lot in self.lots.values()]
        assert self.ledger.positions.counts([self.portfolio_id]) == {self.portfolio_id: sum(is_open)}


@pytest.mark.parametrize("seed", range(3))
def test_random_histories(ledger, portfolio_id, seed):
    history = History(ledger, portfolio_id, random.Random(seed))
    for _ in range(60):
        doing = ["add", "add", "update", "close", "delete", "mark"] if history.lots else ["add"]
        getattr(history, history.rng.choice(doing))()
        history.check()
    assert len(history.lots) > 3


def test_positions_as_columns(ledger, portfolio_id):
    empty = ledger.positions.frame([portfolio_id])
    lots = [random_lot(random.Random(seed)) for seed in range(9)]
    lots[4] = replace(lots[4], exit_date=DAY, expiration_date=DAY)
    ids = ledger.positions.add(portfolio_id, lots, entered_session=DAY)
    frame = ledger.positions.frame([portfolio_id])
    assert frame.schema == empty.schema
    assert frame["position_id"].to_list() == ids
    assert frame["quantity"].to_list() == [float(lot.quantity) for lot in lots]
    assert frame["entry_date"].to_list() == [lot.entry_date for lot in lots]
    assert frame["exit_date"].to_list() == [lot.exit_date for lot in lots]
    assert frame.schema["strike_price"] == pl.Float64
    assert frame["strike_price"].null_count() == 9


def test_a_position_is_found_in_its_own_live_portfolio_alone(ledger, portfolio_id):
    [name] = ledger.positions.add(portfolio_id, [random_lot(random.Random(0))], entered_session=None)
    other = ledger.portfolios.create("ann", Portfolio("Other", "Broker 2")).portfolio_id
    assert ledger.positions.get(name).portfolio_id == portfolio_id
    for change in (
        lambda: ledger.positions.update(other, name, notes="mine"),
        lambda: ledger.positions.close(other, name, DAY),
        lambda: ledger.positions.mark(other, name, DAY, Decimal(1)),
        lambda: ledger.positions.delete(other, [name], hard=True),
    ):
        with pytest.raises(NotFound, match="in portfolio"):
            change()
    ledger.portfolios.delete(portfolio_id)
    with pytest.raises(NotFound, match="no position"):
        ledger.positions.get(name)


def test_what_cannot_be_is_refused(ledger, portfolio_id):
    lot = Lot("AAPL", Decimal(-5), Decimal(1), DAY, "PUBLIC")
    [name] = ledger.positions.add(portfolio_id, [lot], entered_session=DAY)
    with pytest.raises(Refused, match="was entered on 2017-11-06"):
        ledger.positions.close(portfolio_id, name, DAY - timedelta(days=1))
    with pytest.raises(Refused, match="cannot close 6 of 5 AAPL"):
        ledger.positions.close(portfolio_id, name, DAY, quantity=Decimal(6))
    with pytest.raises(Refused, match="cannot close -5 of 5"):
        ledger.positions.close(portfolio_id, name, DAY, quantity=Decimal(-5))
    with pytest.raises(Refused, match="no portfolio_id that could be changed"):
        ledger.positions.update(portfolio_id, name, portfolio_id="other")
    with pytest.raises(Refused, match="the ledger refused the row"):
        ledger.positions.update(portfolio_id, name, symbol=None)
    assert ledger.positions.get(name).lot == lot
    ledger.positions.close(portfolio_id, name, DAY)
    with pytest.raises(Refused, match="was closed on 2017-11-06"):
        ledger.positions.close(portfolio_id, name, DAY)


def test_no_share_is_closed_twice(ledger, portfolio_id):
    [name] = ledger.positions.add(
        portfolio_id, [Lot("AAPL", Decimal(5), Decimal(1), DAY, "PUBLIC")], entered_session=None
    )
    barrier, refused = threading.Barrier(8), []

    def close():
        barrier.wait()
        try:
            ledger.positions.close(portfolio_id, name, DAY, quantity=Decimal(1))
        except Refused as error:
            refused.append(error)

    threads = [threading.Thread(target=close) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lots = [position.lot for position in ledger.positions.of(portfolio_id)]
    assert len(refused) == 3
    assert [(lot.quantity, lot.exit_date) for lot in lots] == [(1, DAY)] * 5
    assert ledger.portfolios.revision("ann", portfolio_id) == 1 + 1 + 5
