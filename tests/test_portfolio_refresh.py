"""The portfolio refresh on a real store: snapshots of missing sessions, once each, that add up."""

from datetime import date
from decimal import Decimal
from shutil import copytree

import numpy as np
import polars as pl
import pytest
from refreshing import LAST, START, closes, enter, refresh, snapshots

from service.cli.progress import TerminalProgress
from service.errors import UsageError
from service.jobs.portfolio_refresh import refresh_portfolios
from service.settings import Settings
from storage.equity_changes import EquityChange
from storage.portfolios import Portfolio
from storage.store import open_store


@pytest.fixture
def store(ten_sessions, tmp_path):
    copytree(ten_sessions, tmp_path / "store")
    with open_store(tmp_path / "store") as store:
        yield store


def test_every_missing_session_once(store):
    portfolio_id = enter(store)
    first = refresh(store)
    assert first.status == "completed"
    assert (first.sessions[0], first.sessions[-1]) == (str(START), str(LAST))
    assert first.snapshots == len(first.sessions) == 10
    rows = snapshots(store, portfolio_id)
    assert rows["session"].to_list()[0] == START
    assert rows["previous_session"].to_list()[1:] == rows["session"].to_list()[:-1]
    again = refresh(store)
    assert (again.snapshots, again.release) == (0, first.release)


def test_nav_is_the_starting_equity_and_what_the_lots_earned(store):
    portfolio_id = enter(store)
    refresh(store)
    rows = snapshots(store, portfolio_id)
    spy, other = closes(store, "SPY"), closes(store, "BERAQ")
    days = rows["session"].to_list()
    assert rows["nav"][0] == 50_000
    for before, day, pnl in zip(days, days[1:], rows["pnl"][1:], strict=False):
        expected = 100 * (spy[day] - spy[before]) - 50 * (other[day] - other[before])
        assert abs(pnl - expected) < 1e-6 * max(1, abs(expected))
    assert np.allclose(rows["nav"], 50_000 + np.cumsum(rows["pnl"]))
    assert np.allclose(rows["cumulative_pnl"], np.cumsum(rows["pnl"]))
    growth = rows["nav"][-1] / rows["nav"][0] - 1
    assert abs(rows["time_weighted_return"][-1] - growth) < 1e-12
    assert rows["return"][0] is None
    assert rows["quality"].to_list() == ["degraded"] * len(rows)  # NOSUCH has no price
    assert rows["market_beta"].null_count() == 0


def test_a_flow_is_no_return_and_a_late_one_is_booked_next(store):
    portfolio_id, other = enter(store), enter(store, "Other")
    changes = store.ledger.equity_changes
    flow = EquityChange("CONTRIBUTION", Decimal(10_000), date(2024, 6, 20), "ann")
    changes.add(portfolio_id, flow)
    refresh(store)
    rows, plain = snapshots(store, portfolio_id), snapshots(store, other)
    assert np.allclose(rows["pnl"], plain["pnl"])
    booked = dict(rows.filter(pl.col("flow") != 0).select("session", "flow").iter_rows())
    assert booked == {date(2024, 6, 20): 10_000.0}
    assert np.isclose(rows["nav"][-1], plain["nav"][-1] + 10_000)


def test_a_mark_of_a_private_lot_earns_when_it_changes(store):
    portfolio_id = enter(store)
    fund = next(p for p in store.ledger.positions.of(portfolio_id) if p.lot.symbol == "HARBOR_FUND")
    store.ledger.positions.mark(portfolio_id, fund.position_id, date(2024, 6, 21), Decimal(2600))
    refresh(store)
    values = store.read("position_values").filter(pl.col("position_id") == fund.position_id).sort("session")
    earned = dict(values.filter(pl.col("pnl") != 0).select("session", "pnl").iter_rows())
    assert earned == {date(2024, 6, 21): 400.0}
    assert set(values["market_value"].to_list()) == {10_000.0, 10_400.0}


def test_a_store_without_dividends_says_so(store):
    enter(store)
    with_dividends = refresh(store)
    rows = store.read("position_values").filter(pl.col("symbol") == "SPY").sort("session")
    assert with_dividends.status == "completed"
    assert rows["reasons"].null_count() == len(rows)
    with store.writing("symbol", owner="test") as writer:
        actions = writer.read("corporate_actions")
        writer.replace("corporate_actions", actions.filter(pl.col("kind") != "dividend"))
        writer.publish(session=LAST)
    other = enter(store, "Other")
    refresh(store)
    rows = store.read("position_values", portfolios=[other]).filter(pl.col("symbol") == "SPY").sort("session")
    assert rows["reasons"].to_list() == [None] + ["price_return"] * (len(rows) - 1)
    assert rows["quality"].to_list() == ["ok"] + ["degraded"] * (len(rows) - 1)
    found = snapshots(store, other)
    assert found["income"].to_list() == [0.0] * len(found)
    assert ["price_return" in text for text in found["reasons"]] == [False] + [True] * (len(found) - 1)


def test_a_new_session_goes_on_from_the_stored_one(store):
    one, other = enter(store), enter(store, "Late", start=date(2024, 6, 20))
    limited = Settings(backfill_sessions=3)
    with TerminalProgress() as progress:
        first = refresh_portfolios(store, limited, progress)
    assert (len(first.sessions), first.remainder) == (3, 7)
    refresh(store)
    assert len(snapshots(store, one)) == 10
    late = snapshots(store, other)
    assert (late["session"][0], late["nav"][0], len(late)) == (date(2024, 6, 20), 50_000.0, 7)
    whole = snapshots(store, one)
    assert np.allclose(whole["nav"], 50_000 + np.cumsum(whole["pnl"]))


def test_a_lot_that_is_closed_between_two_missing_sessions_earns_once(store):
    exit_date = date(2024, 6, 20)
    header = "Symbol,Quantity,Entry Price Per Share,Entry Date,Exit Date,Exit Price Per Share"
    csv = f"{header}\nSPY,100,100,2024-01-05,{exit_date},98.5\nBERAQ,-50,60.00,2024-02-05,,\n"
    whole = enter(store, csv=csv)
    refresh(store)
    stepwise = enter(store, "Stepwise", csv=csv)
    for _ in range(10):
        with TerminalProgress() as progress:
            refresh_portfolios(store, Settings(backfill_sessions=1), progress)
    rows = snapshots(store, whole)
    assert np.array_equal(rows["nav"], snapshots(store, stepwise)["nav"])
    spy, other, nav = closes(store, "SPY"), closes(store, "BERAQ"), 50_000.0
    for before, day, found in zip(rows["session"], rows["session"][1:], rows["nav"][1:], strict=False):
        nav -= 50 * (other[day] - other[before])
        if before < exit_date:
            nav += 100 * ((98.5 if day >= exit_date else spy[day]) - spy[before])
        assert abs(found - nav) < 1e-6
    assert rows["realized_pnl"].to_list().count(0.0) == len(rows) - 1


def test_a_part_whose_sale_became_known_late_earns_what_its_price_was_better(store):
    portfolio_id, other = enter(store), enter(store, "Other")
    with TerminalProgress() as progress:
        refresh_portfolios(store, Settings(backfill_sessions=6), progress)
    sold_on = snapshots(store, portfolio_id)["session"][-1]
    spy = next(p for p in store.ledger.positions.of(portfolio_id) if p.lot.symbol == "SPY")
    close = closes(store, "SPY")[sold_on]
    sale = {"quantity": Decimal(30), "held_session": sold_on}
    store.ledger.positions.close(portfolio_id, spy.position_id, sold_on, Decimal(str(close)) + 2, **sale)
    refresh(store)
    sold, plain = (
        snapshots(store, each).filter(pl.col("session") > sold_on) for each in (portfolio_id, other)
    )
    prices = [closes(store, "SPY")[day] for day in [sold_on, *sold["session"]]]
    kept = plain["pnl"].to_numpy() - 30 * np.diff(prices)
    assert np.allclose(sold["pnl"].to_numpy() - kept, [30 * 2, 0, 0, 0], atol=1e-6)
    assert np.isclose(sold["realized_pnl"][0], 30 * (close + 2 - 100))


def test_one_portfolio_alone(store):
    one, other = enter(store), enter(store, "Other")
    refresh(store, portfolio_ids=[one])
    assert len(snapshots(store, one)) == 10
    assert snapshots(store, other).is_empty()


def test_a_portfolio_without_lots_keeps_its_nav(store):
    draft = Portfolio("Empty", "Empty", starting_equity=Decimal(1000), starting_session=START)
    portfolio_id = store.ledger.portfolios.create("ann", draft).portfolio_id
    refresh(store)
    rows = snapshots(store, portfolio_id)
    assert set(rows["nav"]) == set(rows["cash"]) == {1000.0}


def test_exposures_and_stress_are_stored_beside(store):
    portfolio_id = enter(store)
    refresh(store)
    for table, n_rows in (("portfolio_exposures", 13), ("stress_results", 22), ("correlations", 1)):
        assert len(store.read(table).filter(pl.col("portfolio_id") == portfolio_id)) == 10 * n_rows
    history = store.sql(f"select count(*) from portfolio_history('{portfolio_id}')")
    assert history.item() == 10


def test_sessions_taken_again_stay_readable_in_the_release_before(store):
    one, other = enter(store), enter(store, "Other")
    first = refresh(store)
    lots = store.ledger.positions.of(one)
    spy = next(lot for lot in lots if lot.lot.symbol == "SPY")
    store.ledger.positions.update(one, spy.position_id, quantity=Decimal(200))
    again = refresh(store, portfolio_ids=[one], sessions=(date(2024, 6, 20), date(2024, 6, 21)), force=True)
    assert again.sessions[0] == "2024-06-20" and again.sessions[-1] == str(LAST)
    old = store.read("portfolio_snapshots", release=first.release).sort("portfolio_id", "session")
    new = store.read("portfolio_snapshots").sort("portfolio_id", "session")
    assert len(old) == len(new) == 20
    kept = (pl.col("portfolio_id") == other) | (pl.col("session") < date(2024, 6, 20))
    assert new.filter(kept).equals(old.filter(kept))
    changed = new.filter(~kept)["pnl"] - old.filter(~kept)["pnl"]
    close = closes(store, "SPY")
    days = snapshots(store, one)["session"].to_list()
    moves = [
        100 * (close[day] - close[days[at - 1]]) for at, day in enumerate(days) if day >= date(2024, 6, 20)
    ]
    assert np.allclose(changed, moves)
    for table in ("position_values", "portfolio_exposures", "stress_results", "correlations"):
        keys = store.read(table).select("portfolio_id", "session").unique()
        assert len(keys) == 20


def test_sessions_to_take_again_must_be_said_and_not_begin_before_the_first_snapshot(store):
    enter(store)
    with pytest.raises(UsageError, match="say which"):
        refresh(store, force=True)
    with pytest.raises(UsageError, match="exchange"):
        refresh(store, sessions=(LAST, START))
    with pytest.raises(UsageError, match="first snapshot on 2024-06-14"):
        refresh(store, sessions=(date(2024, 6, 13), LAST), force=True)
    assert store.read("portfolio_snapshots").is_empty()


def test_a_range_of_sessions_alone(store):
    portfolio_id = enter(store)
    refresh(store, sessions=(START, date(2024, 6, 20)))
    assert snapshots(store, portfolio_id)["session"][-1] == date(2024, 6, 20)
