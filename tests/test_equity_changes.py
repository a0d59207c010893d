"""Equity changes of the ledger."""

from datetime import date
from decimal import Decimal

import pytest

from storage.equity_changes import EquityChange
from storage.errors import NotFound, Refused
from storage.portfolios import Portfolio


@pytest.fixture
def portfolio_id(ledger):
    return ledger.portfolios.create("ann", Portfolio("Growth", "Broker 1")).portfolio_id


def add(ledger, portfolio_id, day, amount="10.25", kind="CONTRIBUTION"):
    draft = EquityChange(kind, Decimal(amount), date(2017, 11, day), "ann", "wire")
    made = ledger.equity_changes.add(portfolio_id, draft)
    assert ledger.equity_changes.get(portfolio_id, made.change_id) == made
    return made


def test_changes_are_listed_newest_first(ledger, portfolio_id):
    early, late = add(ledger, portfolio_id, 3), add(ledger, portfolio_id, 7, kind="WITHDRAWAL")
    later = add(ledger, portfolio_id, 7, "0.000001")
    assert ledger.equity_changes.of(portfolio_id) == [later, late, early]
    assert (late.change_type, late.amount, late.created_by) == ("WITHDRAWAL", Decimal("10.25"), "ann")
    assert later.amount == Decimal("0.000001")


def test_a_deleted_change_is_only_shown_when_asked_for(ledger, portfolio_id):
    change = add(ledger, portfolio_id, 3)
    deleted = ledger.equity_changes.delete(portfolio_id, change.change_id)
    assert deleted.deleted_at is not None
    assert ledger.equity_changes.of(portfolio_id) == []
    assert ledger.equity_changes.of(portfolio_id, with_deleted=True) == [deleted]
    assert ledger.equity_changes.get(portfolio_id, change.change_id) == deleted
    for change_again in (ledger.equity_changes.delete, ledger.equity_changes.update):
        with pytest.raises(NotFound, match="no equity change"):
            change_again(portfolio_id, change.change_id)


def test_only_what_was_entered_can_be_changed(ledger, portfolio_id):
    change = add(ledger, portfolio_id, 3)
    changed = ledger.equity_changes.update(portfolio_id, change.change_id, amount=Decimal(3), notes=None)
    assert (changed.amount, changed.notes, changed.change_date) == (3, None, change.change_date)
    with pytest.raises(Refused, match="created_by cannot be changed"):
        ledger.equity_changes.update(portfolio_id, change.change_id, created_by="bob")
    with pytest.raises(Refused, match="the ledger refused the row"):
        ledger.equity_changes.update(portfolio_id, change.change_id, change_type="GIFT")


def test_a_change_is_found_in_its_own_portfolio_alone(ledger, portfolio_id):
    change = add(ledger, portfolio_id, 3)
    other = ledger.portfolios.create("ann", Portfolio("Other", "Broker 2")).portfolio_id
    for ask in (ledger.equity_changes.get, ledger.equity_changes.update, ledger.equity_changes.delete):
        with pytest.raises(NotFound):
            ask(other, change.change_id)
