"""Newest snapshots of portfolios, brought along from release to release, against the whole table."""

from datetime import date
from shutil import copytree

import pytest
from refreshing import LAST, START, enter, refresh

from service.accounts import Accounts, newest_accounts
from storage.store import open_store


@pytest.fixture
def ten_store(ten_sessions, tmp_path):
    return copytree(ten_sessions, tmp_path / "store")


def whole(store):
    """The newest row of each portfolio and what it earned in its month and its year, one by one."""
    found = {}
    rows = store.read("portfolio_snapshots").sort("portfolio_id", "session").to_dicts()
    for row in rows:
        mine = [each for each in rows if each["portfolio_id"] == row["portfolio_id"]]
        new = mine[-1]

        def earned(start, mine=mine):
            before = [each["cumulative_pnl"] for each in mine if each["session"] < start]
            return before[-1] if before else 0.0

        month = new["cumulative_pnl"] - earned(new["session"].replace(day=1))
        year = new["cumulative_pnl"] - earned(date(new["session"].year, 1, 1))
        found[row["portfolio_id"]] = {**new, "month_pnl": month, "year_pnl": year}
    return found


def test_only_what_a_run_was_confined_to_gets_another_version(ten_store):
    with open_store(ten_store) as store:
        assert newest_accounts(store, Accounts()).snapshots == {}
        one, other, late = (enter(store, name) for name in ("One", "Other", "Late"))
        refresh(store, portfolio_ids=[one, other])
        refresh(store, portfolio_ids=[late], sessions=(START, START))
        first = newest_accounts(store, Accounts())
        assert first.snapshots == whole(store)
        assert first.snapshots[late]["session"] == START
        assert newest_accounts(store, first) is first
        refresh(store, portfolio_ids=[other], sessions=(LAST, LAST), force=True)
        second = newest_accounts(store, first)
        assert second.snapshots == whole(store)
        same, touched = {one, late}, {other}
        assert all(second.version_of(each) == first.version_of(each) for each in same)
        assert all(second.version_of(each) == second.release.number for each in touched)
        refresh(store)
        third = newest_accounts(store, second)
        assert third.snapshots == whole(store)
        assert third.snapshots[late]["session"] == LAST
        assert {third.version_of(each) for each in (*same, *touched)} == {third.release.number}


def test_a_release_without_a_run_touches_all(ten_store):
    with open_store(ten_store) as store:
        portfolio_id = enter(store)
        refresh(store, portfolio_ids=[portfolio_id])
        before = newest_accounts(store, Accounts())
        with store.writing("portfolio", owner="test") as writer:
            writer.publish(session=LAST)
        after = newest_accounts(store, before)
        assert after.snapshots == before.snapshots
        assert after.version_of(portfolio_id) > before.version_of(portfolio_id)


def test_runs_between_two_looks_all_count(ten_store):
    with open_store(ten_store) as store:
        ids = [enter(store, name) for name in ("One", "Other", "Third")]
        before = newest_accounts(store, Accounts())
        for portfolio_id in ids[:2]:
            refresh(store, portfolio_ids=[portfolio_id])
        after = newest_accounts(store, before)
        assert after.snapshots == whole(store)
        assert len({after.version_of(each) for each in ids}) == 3
        assert after.version_of(ids[2]) == before.version_of(ids[2])
        assert after.touched.keys() == set(ids[:2])
