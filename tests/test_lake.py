"""A table of the lake against the obvious model: a dictionary from key to row."""

import random
import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from stores import by_key, days, metrics, prices, rows

from storage import writes
from storage.errors import Corrupt, InvalidFrame, InvalidLocation, NotFound, Refused
from storage.schemas import TABLES
from storage.store import open_store

SYMBOLS = ["A", "B", "C", "D"]
SESSIONS = days(date(2017, 1, 2), 60, step=5)  # four quarters


@pytest.fixture
def store(empty_store, tmp_path):
    with open_store(shutil.copytree(empty_store, tmp_path / "store")) as opened:
        yield opened


def filled(store, frame=None):
    """Publish a frame of prices, quarter by quarter when it crosses them."""
    with store.writing("symbol", owner="test") as writer:
        writer.append("prices", prices(SYMBOLS, SESSIONS) if frame is None else frame)
        writer.publish()
    return store


def files(store, release=None):
    pinned = store.release(release)
    return store._lake.files(TABLES["prices"], pinned.versions["prices"])


def test_new_store_holds_every_table_empty(store):
    release = store.release()
    assert (release.number, release.session, set(release.versions.values())) == (0, None, {0})
    for name, table in TABLES.items():
        frame = store.read(name)
        assert frame.is_empty()
        assert frame.schema == table.schema


def test_unpublished_rows_show_to_their_writer_alone(store):
    with store.writing("symbol", owner="test") as writer:
        writer.append("prices", prices(["A"], SESSIONS[:3]))
        assert writer.read("prices", columns=["symbol"]).height == 3
        assert store.read("prices").is_empty()
        writer.publish()
    assert store.read("prices").height == 3


def test_files_are_sorted_and_never_cross_a_quarter(store):
    filled(store)
    assert len(files(store)) == 4
    for file in files(store):
        frame = pl.read_parquet(file.path)
        assert frame.equals(frame.sort("symbol", "session"))
        assert frame["session"].dt.truncate("1q").n_unique() == 1
        assert file.dates == (frame["session"].min(), frame["session"].max())


@pytest.mark.parametrize("sessions", [None, (SESSIONS[7], SESSIONS[40]), (SESSIONS[5], SESSIONS[5])])
@pytest.mark.parametrize("symbols", [None, ["B"], ["A", "Z"], []])
def test_read_equals_a_filter_of_everything(store, sessions, symbols):
    filled(store)
    expected = prices(SYMBOLS, SESSIONS).select("close", "session", "symbol")
    if sessions:
        expected = expected.filter(pl.col("session").is_between(*sessions))
    if symbols is not None:
        expected = expected.filter(pl.col("symbol").is_in(symbols))
    found = store.read("prices", columns=expected.columns, sessions=sessions, symbols=symbols)
    assert_frame_equal(by_key("prices", found), by_key("prices", expected))


def test_append_refuses_known_keys_and_writes_nothing(store):
    filled(store)
    again = prices(["A", "E"], [SESSIONS[50], date(2018, 1, 5)])
    with store.writing("symbol", owner="test") as writer:
        with pytest.raises(
            InvalidFrame, match=r"already holds 1 of the keys, first \(symbol A, session 2017-09"
        ):
            writer.append("prices", again)
        assert writer.read("prices").height == len(SYMBOLS) * len(SESSIONS)
        writer.append("prices", again.filter(symbol="E"))


def test_replace_refuses_rows_outside_its_range(store):
    filled(store)
    with store.writing("symbol", owner="test") as writer:
        with pytest.raises(InvalidFrame, match=r"symbol B.*outside"):
            writer.replace("prices", prices(["A", "B"], SESSIONS[:1]), symbols=["A"])
        with pytest.raises(InvalidFrame, match=r"2017-01-07.*outside"):
            writer.replace("prices", prices(["A"], SESSIONS[:2]), sessions=(SESSIONS[0], SESSIONS[0]))


def test_replace_leaves_files_without_selected_rows_alone(store):
    filled(store)
    before = {file.path for file in files(store)}
    with store.writing("symbol", owner="test") as writer:
        writer.replace("prices", prices(SYMBOLS, SESSIONS[3:5], 2.0), sessions=(SESSIONS[3], SESSIONS[4]))
        writer.publish()
    after = {file.path for file in files(store)}
    assert len(before & after) == 3
    assert len(after) == 4


@pytest.mark.parametrize("seed", range(4))
def test_random_histories_equal_a_dictionary(store, seed):
    rng = random.Random(seed)
    model: dict[tuple[str, date], float] = {}
    history = {0: {}}
    with store.writing("symbol", owner="test") as writer:
        for step in range(25):
            change(rng, writer, model, close=float(step))
            assert as_model(writer.read("prices")) == model
            if rng.random() < 0.3:
                history[writer.publish().number] = dict(model)
    for number, expected in history.items():
        assert as_model(store.read("prices", release=number)) == expected
        for file in files(store, number):
            frame = pl.read_parquet(file.path)
            assert frame.equals(frame.sort("symbol", "session"))


def change(rng, writer, model, *, close):
    """Append, replace, delete or compact; the same in the table and in the model."""
    symbols = sorted(rng.sample(SYMBOLS, rng.randint(1, 4)))
    first, last = sorted(rng.sample(range(len(SESSIONS)), 2))
    keys = {(symbol, session) for symbol in symbols for session in SESSIONS[first : last + 1]}
    by_symbol, by_session = rng.choice([(True, True), (True, False), (False, True)])
    match rng.choice(["append", "replace", "delete", "compact"]):
        case "append":
            fresh = dict.fromkeys(keys - model.keys(), close)
            if fresh:
                writer.append("prices", frame_of(fresh))
                model.update(fresh)
        case "compact":
            writer.compact()
        case operation:
            where = {
                "symbols": symbols if by_symbol else None,
                "sessions": (SESSIONS[first], SESSIONS[last]) if by_session else None,
            }
            for key in list(model):
                if (not by_symbol or key[0] in symbols) and (
                    not by_session or SESSIONS[first] <= key[1] <= SESSIONS[last]
                ):
                    del model[key]
            if operation == "delete":
                writer.delete("prices", **where)
            else:
                fresh = {key: close for key in keys if rng.random() < 0.7}
                writer.replace("prices", frame_of(fresh), **where)
                model.update(fresh)


def frame_of(model):
    names, sessions = zip(*model, strict=True) if model else ((), ())
    return rows("prices", symbol=list(names), session=list(sessions), close=list(model.values()))


def as_model(frame):
    found = {
        (symbol, session): close
        for symbol, session, close in frame.select("symbol", "session", "close").rows()
    }
    assert len(found) == frame.height
    return found


def test_tables_dated_otherwise_are_cut_by_their_own_date(store):
    weights = rows(
        "benchmark_weights",
        benchmark=["SP500"] * 3,
        as_of=[date(2017, 3, 31), date(2017, 6, 30), date(2017, 9, 29)],
        sector=["Energy"] * 3,
        weight=[0.1, 0.2, 0.3],
    )
    with store.writing("symbol", owner="test") as writer:
        writer.append("benchmark_weights", weights)
        writer.delete("benchmark_weights", sessions=(date(2017, 6, 1), date(2017, 6, 30)))
        writer.publish()
    found = store.read("benchmark_weights", sessions=(date(2017, 1, 1), date(2017, 6, 30)))
    assert found["weight"].to_list() == [0.1]
    with pytest.raises(Refused, match="no rows by symbol"):
        store.read("benchmark_weights", symbols=["A"])


def test_compaction_makes_one_file_of_a_closed_quarter_and_changes_no_answer(store):
    with store.writing("symbol", owner="test") as writer:
        for session in SESSIONS:
            writer.append("prices", prices(SYMBOLS, [session]))
        before = writer.publish()
    assert len(files(store)) == len(SESSIONS)
    answer = by_key("prices", store.read("prices"))
    release = store.compact()
    assert release.number == before.number + 1
    open_quarter = sum(session >= date(2017, 10, 1) for session in SESSIONS)
    assert len(files(store)) == 3 + open_quarter
    assert_frame_equal(by_key("prices", store.read("prices")), answer)
    assert_frame_equal(by_key("prices", store.read("prices", release=before)), answer)
    assert store.compact() == release


def test_many_commits_leave_a_checkpoint_and_every_release_readable(store):
    with store.writing("symbol", owner="test") as writer:
        for at, session in enumerate(days(date(2017, 1, 2), 54), start=1):
            writer.append("prices", prices(["A"], [session]))
            if at % 9 == 0:
                writer.publish()
    log = store.path / "lake" / "prices" / "_delta_log"
    assert [path.name for path in log.glob("*.checkpoint.parquet")] == [f"{54:020d}.checkpoint.parquet"]
    with open_store(store.path) as fresh:
        for release in fresh.releases():
            assert fresh.read("prices", release=release).height == 9 * release.number


def test_a_change_that_failed_half_way_is_never_published(store, monkeypatch):
    with store.writing("symbol", owner="test") as writer:
        writer.append("symbol_metrics", metrics(["A"], SESSIONS[0]))
        calls = iter(range(10))

        def interrupted(*arguments, **options):
            if next(calls) == 1:
                raise KeyboardInterrupt
            return write(*arguments, **options)

        write = writes.write_deltalake
        monkeypatch.setattr(writes, "write_deltalake", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.append("prices", prices(["A"], SESSIONS))
        with pytest.raises(Refused, match="prices failed half way"):
            writer.publish()
    assert store.release().number == 0


def test_unknown_columns_and_releases_are_refused(store):
    with pytest.raises(Refused, match="no column vwap"):
        store.read("prices", columns=["vwap"])
    with pytest.raises(NotFound, match="no release 9; the newest is 0"):
        store.read("prices", release=9)


def test_a_lost_file_is_told_apart_from_no_data(store):
    filled(store)
    Path(files(store)[0].path).unlink()
    with pytest.raises(Corrupt, match="prices cannot be read"):
        store.read("prices")


@pytest.mark.parametrize("name", ["50%", "a[b]", "st*r", "a|b"])
def test_paths_that_the_lake_cannot_hold_are_refused(tmp_path, name):
    with pytest.raises(InvalidLocation, match="may hold none of"):
        open_store(tmp_path / name)


@pytest.mark.parametrize("name", ["with space", "it's", "ünïcode", "a#b"])
def test_odd_paths_work(tmp_path, name):
    with open_store(tmp_path / name) as store:
        filled(store)
        assert store.read("prices").height == 240
        assert store.sql("SELECT count(*) AS n FROM prices")["n"].to_list() == [240]
