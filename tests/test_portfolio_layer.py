"""The portfolio layer beside the symbol layer: releases of its own, one catalog for both."""

import shutil
from datetime import date

import duckdb
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal
from stores import by_key, days, prices, rows

from storage.errors import InvalidFrame, Locked, NotFound, Refused
from storage.schemas import TABLES, tables_of
from storage.store import LAYERS, open_store

SESSIONS = days(date(2018, 3, 30), 4)  # crosses two quarters
PORTFOLIO_TABLES = [table.name for table in tables_of("portfolio")]


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store") as opened:
        yield opened


def snapshots(portfolios, sessions, nav=100.0):
    keys = [(portfolio, session) for portfolio in portfolios for session in sessions]
    names, dates = zip(*keys, strict=True)
    return rows(
        "portfolio_snapshots", portfolio_id=names, session=dates, nav=[nav + at for at in range(len(keys))]
    )


def publish_prices(store, sessions=SESSIONS, close=1.0):
    with store.writing("symbol", owner="test") as writer:
        writer.append("prices", prices(["A", "B"], sessions, close))
        return writer.publish(session=sessions[-1])


def publish_snapshots(store, frame, session=SESSIONS[-1]):
    with store.writing("portfolio", owner="refresh") as writer:
        writer.append("portfolio_snapshots", frame)
        return writer.publish(session=session)


def test_a_new_store_stands_on_one_empty_release(store):
    assert LAYERS == ("symbol", "portfolio")
    assert [store.release(layer=layer).number for layer in LAYERS] == [0, 0]
    assert [store.release(0, layer=layer).layer for layer in LAYERS] == list(LAYERS)
    assert [release.number for release in store.releases(layer="portfolio")] == [0]
    for name in PORTFOLIO_TABLES:
        assert store.read(name).schema == store.read(name, release=0).schema == TABLES[name].schema
        assert store.read(name).is_empty()


def test_each_layer_has_its_own_releases_numbered_together(store):
    first = publish_prices(store)
    portfolio = publish_snapshots(store, snapshots("xy", SESSIONS[:2]), SESSIONS[1])
    second = publish_prices(store, days(date(2018, 4, 3), 2))
    assert (first.number, portfolio.number, second.number) == (1, 2, 3)
    assert store.release() == second
    assert store.release(layer="portfolio") == portfolio == store.release(2)
    assert (portfolio.layer, portfolio.session) == ("portfolio", SESSIONS[1])
    assert set(portfolio.versions) <= set(PORTFOLIO_TABLES)
    assert [release.number for release in store.releases()] == [3, 1, 0]
    assert [release.number for release in store.releases(layer="portfolio")] == [2, 0]
    assert store.read("prices", release=first).height == 8
    assert store.read("prices").height == 12
    stored = by_key("portfolio_snapshots", store.read("portfolio_snapshots"))
    assert_frame_equal(stored, snapshots("xy", SESSIONS[:2]), check_column_order=False)
    with pytest.raises(Refused, match="release 2 is of the portfolio layer"):
        store.read("prices", release=2)
    with pytest.raises(Refused, match="release 1 is of the symbol layer"):
        store.read("position_values", release=1)


def test_both_layers_are_written_at_the_same_time(store):
    with (
        store.writing("portfolio", owner="refresh") as portfolio,
        store.writing("symbol", owner="x") as symbol,
    ):
        with pytest.raises(Locked, match="portfolio layer is being written by refresh"):
            store.writing("portfolio", owner="other").__enter__()
        portfolio.append("portfolio_snapshots", snapshots("x", SESSIONS))
        symbol.append("prices", prices(["A"], SESSIONS))
        portfolio.publish(session=SESSIONS[-1])
        assert store.release().number == 0
        symbol.publish(session=SESSIONS[-1])
    assert (store.release().number, store.release(layer="portfolio").number) == (2, 1)
    counts = store.sql("SELECT (SELECT count(*) FROM prices), (SELECT count(*) FROM portfolio_snapshots)")
    assert counts.row(0) == (4, 4)


def test_a_writer_keeps_to_its_layer(store):
    with store.writing("portfolio", owner="refresh") as writer:
        with pytest.raises(Refused, match="prices belongs to the symbol layer"):
            writer.append("prices", prices(["A"], SESSIONS))
        with pytest.raises(Refused, match="no rows by symbol"):
            writer.read("position_values", symbols=["A"])


def test_a_failed_refresh_leaves_no_trace_in_either_layer(store):
    publish_prices(store)
    publish_snapshots(store, snapshots("x", SESSIONS[:2]))
    before = DeltaTable(store.path / "lake" / "prices").version()
    with pytest.raises(ZeroDivisionError), store.writing("portfolio", owner="refresh") as writer:
        writer.append("portfolio_snapshots", snapshots("x", SESSIONS[2:]))
        raise ZeroDivisionError
    assert store.read("portfolio_snapshots").height == 2
    with store.writing("portfolio", owner="refresh") as writer:
        assert writer.read("portfolio_snapshots").height == 2
        writer.append("portfolio_snapshots", snapshots("x", SESSIONS[2:]))
        assert writer.publish().session == SESSIONS[-1]
    assert store.read("portfolio_snapshots").height == 4
    assert DeltaTable(store.path / "lake" / "prices").version() == before


def test_a_session_has_one_snapshot_unless_it_is_forced(store):
    first = publish_snapshots(store, snapshots("xy", SESSIONS))
    with store.writing("portfolio", owner="refresh") as writer:
        with pytest.raises(InvalidFrame, match="already holds 1 of the keys"):
            writer.append("portfolio_snapshots", snapshots("xz", SESSIONS[:1]))
        writer.append("portfolio_snapshots", snapshots("z", SESSIONS))
        forced = snapshots("xyz", SESSIONS[1:2], nav=7.0)
        writer.replace("portfolio_snapshots", forced, sessions=(SESSIONS[1], SESSIONS[1]))
        writer.publish()
    now = store.read("portfolio_snapshots", sessions=(SESSIONS[1], SESSIONS[1]))
    assert sorted(now["nav"]) == [7.0, 8.0, 9.0]
    assert store.read("portfolio_snapshots").height == 12
    assert sorted(store.read("portfolio_snapshots", release=first)["nav"]) == [100.0 + at for at in range(8)]


def test_position_values_are_keyed_by_lot(store):
    lots = rows(
        "position_values",
        portfolio_id=["x", "x"],
        session=[SESSIONS[0]] * 2,
        position_id=["1", "2"],
        symbol=["A", "A"],
        quantity=[1.0, -2.0],
        reference_session=[SESSIONS[0], None],
    )
    with store.writing("portfolio", owner="refresh") as writer:
        writer.append("position_values", lots)
        writer.publish()
    assert_frame_equal(store.read("position_values"), lots, check_column_order=False)


def test_small_files_of_closed_quarters_are_merged(store):
    for session in SESSIONS:
        publish_snapshots(store, snapshots("xy", [session]), session)
    before = store.release(layer="portfolio")
    after = store.compact("portfolio")
    assert after.number == before.number + 1
    old, new = (store.read("portfolio_snapshots", release=each) for each in (before, after))
    assert_frame_equal(by_key("portfolio_snapshots", old), by_key("portfolio_snapshots", new))
    assert store.release().number == 0


def test_analysts_see_the_newest_release_of_both_layers(store):
    publish_prices(store)
    publish_snapshots(store, snapshots("yx", SESSIONS))
    shown = store.sql("SELECT number, layer, session FROM release ORDER BY number")
    assert shown.rows() == [(1, "symbol", SESSIONS[-1]), (2, "portfolio", SESSIONS[-1])]
    history = store.sql("FROM portfolio_history('x')")
    assert history["session"].to_list() == SESSIONS
    assert set(history["portfolio_id"]) == {"x"}
    assert history.schema == TABLES["portfolio_snapshots"].schema
    assert store.sql('SELECT sum("return") FROM portfolio_snapshots').item() is None
    comments = dict(store.sql("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal").rows())
    assert {name: comments[name] for name in PORTFOLIO_TABLES} == {
        name: TABLES[name].comment for name in PORTFOLIO_TABLES
    }


def test_a_store_from_before_gets_the_tables(store):
    release = publish_prices(store)
    store.close()
    for name in PORTFOLIO_TABLES:
        shutil.rmtree(store.path / "lake" / name)
    with duckdb.connect(store.catalog_path) as catalog:
        catalog.execute("DROP MACRO TABLE portfolio_history")
        for name in PORTFOLIO_TABLES:
            catalog.execute(f"DROP VIEW {name}")
    with open_store(store.path) as opened:
        assert opened.release() == release
        assert opened.read("prices").height == opened.sql("FROM prices").height == 8
        for name in PORTFOLIO_TABLES:
            assert opened.sql(f"FROM {name}").schema == TABLES[name].schema
        assert publish_snapshots(opened, snapshots("x", SESSIONS)).number == release.number + 1
        assert opened.sql("FROM portfolio_history('x')").height == 4


def test_a_release_that_was_never_given_is_unknown_to_every_layer(store):
    for layer in LAYERS:
        with pytest.raises(NotFound, match="no release 9; the newest is 0"):
            store.release(9, layer=layer)
