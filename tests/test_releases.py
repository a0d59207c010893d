"""Releases: whole over several tables, numbered in order, and untouched by whoever dies."""

import multiprocessing
import os
from datetime import date

import pytest
import sqlalchemy as sa
from deltalake import DeltaTable
from stores import metrics, prices

from storage import releases
from storage.database import leases
from storage.errors import InvalidLocation, LeaseLost, NotFound, Refused
from storage.store import open_store

DAY = date(2017, 11, 6)
SYMBOLS = ["A", "B"]


@pytest.fixture
def store(tmp_path, ledger_url):
    with open_store(tmp_path / "store", ledger_url=ledger_url) as opened:
        yield opened


def delta(store, table="prices"):
    return DeltaTable(store.path / "lake" / table)


def log_entry(store, version):
    return store.path / "lake" / "prices" / "_delta_log" / f"{version:020d}.json"


def publish_both(store, value, **options):
    """One release whose two tables hold the same value."""
    with store.writing("symbol", owner="test") as writer:
        writer.replace("prices", prices(SYMBOLS, [DAY], value))
        writer.replace("symbol_metrics", metrics(SYMBOLS, DAY, value))
        return writer.publish(**options)


def values(store, release=None):
    pinned = release if release is not None else store.release()
    close = store.read("prices", release=pinned, columns=["close"])["close"]
    price = store.read("symbol_metrics", release=pinned, columns=["price"])["price"]
    return {*close, *price}


def test_releases_are_numbered_and_stay_readable(store):
    run = store.ledger.runs.start("symbol_batch")
    first = publish_both(store, 1.0, session=DAY, run_id=run.run_id)
    second = publish_both(store, 2.0)
    assert (first.number, first.session, first.run_id) == (1, DAY, run.run_id)
    assert (second.number, second.session, second.run_id) == (2, DAY, None)
    assert values(store) == {2.0}
    assert values(store, 1) == values(store, first) == {1.0}
    assert [release.number for release in store.releases()] == [2, 1, 0]
    assert store.release(1) == first
    assert first.created_at.endswith("Z")


def test_all_that_a_release_names_is_forced_to_disk_before_it_is_published(store, monkeypatch):
    forced, released = set(), []
    fsync, add = os.fsync, releases.add

    def recorded_fsync(descriptor):
        forced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def recorded_add(connection, draft):
        released.append(set(forced))
        return add(connection, draft)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(releases, "add", recorded_add)
    publish_both(store, 1.0)
    for table in ("prices", "symbol_metrics"):
        folder = store.path / "lake" / table
        added = [
            folder,
            folder / "_delta_log",
            folder / "_delta_log" / f"{1:020d}.json",
            *folder.glob("*.parquet"),
        ]
        assert len(added) == 4
        assert {path.stat().st_ino for path in added} <= released[0]


def test_an_unknown_run_is_refused(store):
    with pytest.raises(Refused, match="the ledger refused"):
        publish_both(store, 1.0, run_id="nobody")
    assert store.release().number == 0


def test_a_failed_writer_leaves_no_trace(store):
    publish_both(store, 1.0)
    with pytest.raises(ZeroDivisionError), store.writing("symbol", owner="test") as writer:
        writer.replace("prices", prices(SYMBOLS, [DAY], 2.0))
        raise ZeroDivisionError
    assert values(store) == {1.0}
    with store.writing("symbol", owner="test") as writer:
        assert set(writer.read("prices")["close"]) == {1.0}
        writer.append("symbol_metrics", metrics(["C"], DAY))
        release = writer.publish()
    assert delta(store).history(1)[0]["operation"] == "RESTORE"
    assert set(store.read("prices", release=release)["close"]) == {1.0}


def test_a_table_is_restored_once(store):
    publish_both(store, 1.0)
    with store.writing("symbol", owner="test") as writer:
        writer.append("prices", prices(["C"], [DAY]))
    versions = []
    for _ in range(3):
        with store.writing("symbol", owner="test"):
            versions.append(delta(store).version())
    assert versions == [3, 3, 3]
    assert publish_both(store, 2.0).versions["prices"] == 4
    assert values(store) == {2.0}


@pytest.mark.parametrize("torn", ["", '{"commitInfo":{"timest', "\0" * 100])
def test_a_torn_log_entry_is_removed(store, torn):
    release = publish_both(store, 1.0)
    log_entry(store, release.versions["prices"] + 1).write_text(torn)
    log_entry(store, release.versions["prices"] + 2).write_text(log_entry(store, 1).read_text())
    assert values(store) == {1.0}
    publish_both(store, 2.0)
    assert values(store) == {2.0}
    assert values(store, release) == {1.0}
    assert delta(store).version() == release.versions["prices"] + 1


def test_a_torn_checkpoint_of_a_dead_writer_is_removed(store):
    publish_both(store, 1.0)
    with store.writing("symbol", owner="test") as writer:
        writer.append("prices", prices(["C"], [DAY]))
    delta(store).create_checkpoint()
    log = log_entry(store, 0).parent
    next(log.glob("*.checkpoint.parquet")).write_bytes(b"PAR1")
    publish_both(store, 2.0)
    assert values(store) == {2.0}
    assert not list(log.glob("*.checkpoint.parquet"))


def test_a_writer_that_lost_its_lease_publishes_nothing(store):
    with store.writing("symbol", owner="slow") as writer:
        writer.append("prices", prices(SYMBOLS, [DAY]))
        with store.ledger.writing() as connection:
            connection.execute(sa.delete(leases))
        with store.writing("symbol", owner="quick") as other:
            other.append("prices", prices(SYMBOLS, [DAY], 2.0))
            other.publish()
        with pytest.raises(LeaseLost, match="slow lost the lease"):
            writer.publish()
        with pytest.raises(LeaseLost, match="another process wrote to prices"):
            writer.append("prices", prices(["C"], [DAY]))
    assert store.release().number == 1
    assert set(store.read("prices")["close"]) == {2.0}


def test_publishing_clears_the_marks_it_fulfills(store):
    symbols = store.ledger.symbols
    symbols.register("ABC", "files")
    symbols.mark_recompute({"A": DAY, "B": DAY, "C": DAY})
    read = symbols.recompute_marks()
    symbols.mark_recompute({"B": date(2017, 1, 3)})
    with store.writing("symbol", owner="test") as writer:
        writer.publish(recomputed={name: read[name] for name in "AB"})
    assert symbols.recompute_marks() == {"B": date(2017, 1, 3), "C": DAY}


def test_marks_fulfilled_in_part_move_on(store):
    symbols, later = store.ledger.symbols, date(2017, 12, 1)
    symbols.register("ABC", "files")
    symbols.mark_recompute({"A": DAY, "B": DAY, "C": DAY})
    read = symbols.recompute_marks()
    symbols.mark_recompute({"B": date(2017, 1, 3)})
    with store.writing("symbol", owner="test") as writer:
        writer.publish(recomputed={name: read[name] for name in "AB"}, resume=later)
    assert symbols.recompute_marks() == {"A": later, "B": date(2017, 1, 3), "C": DAY}


def test_another_ledgers_lake_is_refused_and_left_alone(store, tmp_path):
    publish_both(store, 1.0)
    before = delta(store).version()
    foreign = sa.URL.create("sqlite", database=str(tmp_path / "other.sqlite"))
    with pytest.raises(InvalidLocation, match="the ledger of this store is another one"):
        open_store(store.path, ledger_url=str(foreign))
    assert (delta(store).version(), values(store)) == (before, {1.0})


def test_a_ledger_whose_lake_is_elsewhere_is_refused(store, tmp_path):
    publish_both(store, 1.0)
    url = store.ledger.engine.url.render_as_string(hide_password=False)
    with pytest.raises(InvalidLocation, match="in another folder"):
        open_store(tmp_path / "moved", ledger_url=url)


def test_releases_of_an_unknown_layer_are_refused(store):
    with pytest.raises(NotFound, match="no layer 'lunch'"), store.writing("lunch", owner="test"):
        pass


def publish_again_and_again(path, ledger_url, n_releases):
    with open_store(path, ledger_url=ledger_url) as store:
        for value in range(1, n_releases + 1):
            publish_both(store, float(value))


def test_readers_see_whole_releases_while_another_process_publishes(store, ledger_url):
    publish_both(store, 0.5)
    context = multiprocessing.get_context("spawn")
    writer = context.Process(target=publish_again_and_again, args=(store.path, ledger_url, 12))
    writer.start()
    seen = []
    while writer.is_alive():
        release = store.release()
        found = values(store, release)
        assert len(found) == 1
        assert not seen or release.number >= seen[-1]
        seen.append(release.number)
    writer.join()
    assert writer.exitcode == 0
    assert store.release().number == 13
    assert len(set(seen)) > 3
