"""What a vacuum deletes, and that no release and no reader misses anything."""

import os
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from shutil import copytree

import duckdb
import pytest
from polars.testing import assert_frame_equal
from stores import by_key, days, metrics, prices

from service.cli.app import run
from storage.errors import Corrupt, Locked
from storage.schemas import tables_of
from storage.store import open_store

SYMBOLS = ["A", "B"]
SESSIONS = days(date(2017, 1, 2), 30, step=9)  # three quarters
NOW = timedelta(0)
WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Releases 1 to 3: appended a session at a time, replaced twice over, and replaced once more."""
    path = tmp_path_factory.mktemp("filled") / "store"
    with open_store(path) as opened, opened.writing("symbol", owner="test") as writer:
        for session in SESSIONS:
            writer.append("prices", prices(SYMBOLS, [session]))
        writer.append("symbol_metrics", metrics(SYMBOLS, SESSIONS[0]))
        writer.publish()
        for close in (2.0, 3.0):
            writer.replace("prices", prices(SYMBOLS, SESSIONS, close))
        writer.publish()
        writer.replace("prices", prices(SYMBOLS, SESSIONS[:3], 4.0), sessions=(SESSIONS[0], SESSIONS[2]))
        writer.publish()
    return path


@pytest.fixture
def store(filled, tmp_path):
    """A copy, whose files keep their age."""
    with open_store(copytree(filled, tmp_path / "store")) as opened:
        yield opened


def data_files(store, table="prices"):
    return {path for path in (store.path / "lake" / table).iterdir() if path.is_file()}


def contents(store):
    return [
        by_key(table.name, store.read(table.name, release=release))
        for release in store.releases()
        for table in tables_of("symbol")
    ]


def named_by_releases(store, table="prices"):
    """The files of every release, as Delta itself lists them."""
    delta = pytest.importorskip("deltalake").DeltaTable
    folder = store.path / "lake" / table
    versions = {release.versions.get(table, 0) for release in store.releases()}
    return {folder / Path(uri).name for v in versions for uri in delta(str(folder), version=v).file_uris()}


def test_what_no_release_names_goes_and_every_release_stays(store):
    before, held = contents(store), named_by_releases(store)
    unnamed = data_files(store) - held
    assert len(unnamed) == 3  # the first of the two replacements, a file a quarter
    size = sum(path.stat().st_size for path in unnamed)
    done = store.vacuum(older_than=NOW)
    assert (done.files, done.size) == (3, size)
    assert data_files(store) == held
    for one, other in zip(contents(store), before, strict=True):
        assert_frame_equal(one, other)
    assert store.vacuum(older_than=NOW).files == 0
    with open_store(store.path) as fresh, fresh.writing("symbol", owner="next") as writer:
        writer.replace("prices", prices(SYMBOLS, SESSIONS, 5.0))
        writer.publish()
        assert set(fresh.read("prices")["close"]) == {5.0}


def test_what_a_killed_writer_left_goes(store):
    held = named_by_releases(store)
    with pytest.raises(KeyboardInterrupt), store.writing("symbol", owner="test") as writer:
        writer.replace("prices", prices(SYMBOLS, SESSIONS, 9.0))
        raise KeyboardInterrupt
    folder = store.path / "lake" / "prices"
    torn = [
        folder / "part-0.parquet",
        folder / "part-1.parquet#1",
        folder / "_delta_log" / "_commit_1.json.tmp",
    ]
    for path in torn:
        path.write_bytes(b"PAR1")
    log = {path.name for path in (folder / "_delta_log").iterdir()} - {torn[2].name}
    assert store.vacuum(older_than=NOW).files == 3 + 3 + len(torn)
    assert data_files(store) == held
    assert {path.name for path in (folder / "_delta_log").iterdir()} >= log
    assert not torn[2].exists()
    assert set(store.read("prices")["close"]) == {3.0, 4.0}


def test_what_is_young_stays(store):
    before = data_files(store)
    assert store.vacuum(older_than=WEEK).files == 0
    assert data_files(store) == before
    old = sorted(before - named_by_releases(store))[0]
    os.utime(old, (time.time() - 8 * 86_400,) * 2)
    assert store.vacuum(older_than=WEEK).files == 1
    assert data_files(store) == before - {old}


def test_readers_of_old_releases_read_on(store):
    """One holds the files of a release half read, one the catalog of another, one is another process."""
    with store.writing("symbol", owner="test") as writer:
        for session in SESSIONS:
            writer.append("symbol_metrics", metrics(SYMBOLS, session + timedelta(days=1)))
        writer.publish()
    old = store.releases()[1]
    frames = store.frames("prices", release=old, since={"close": SESSIONS[0]}, until=SESSIONS[-1])
    first = next(frames)
    child = f"""
from storage.store import open_store
with open_store({str(store.path)!r}) as store:
    release = store.release({old.number})
    print("pinned", flush=True)
    input()
    print(store.read("prices", release=release)["close"].sum())
"""
    with (
        subprocess.Popen(
            [sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path.cwd()
        ) as reader,
        duckdb.connect(str(store.catalog_path), read_only=True) as catalog,
    ):
        assert reader.stdout.readline() == b"pinned\n"
        with store.writing("symbol", owner="test") as writer:
            writer.replace("prices", prices(SYMBOLS, SESSIONS, 5.0))
            writer.publish()
        store.compact()
        assert store.vacuum(older_than=NOW).files > 0
        closes = [*first["close"], *(close for frame in frames for close in frame["close"])]
        expected = [4.0] * 6 + [3.0] * 54
        assert sorted(closes) == sorted(expected)
        query = "select sum(close) from prices"
        assert catalog.execute(query).fetchall() == [(sum(expected),)]
        answer, _ = reader.communicate(b"\n")
        assert float(answer) == sum(expected)


def test_a_log_with_a_hole_lets_nothing_be_deleted(store):
    before = data_files(store)
    (store.path / "lake" / "prices" / "_delta_log" / f"{5:020d}.json").unlink()
    with pytest.raises(Corrupt):
        store.vacuum(older_than=NOW)
    assert data_files(store) == before


def test_nothing_is_deleted_under_another_writer(store):
    with store.writing("symbol", owner="job"), pytest.raises(Locked, match="job"):
        store.vacuum(older_than=NOW)


def test_compact_vacuums_by_the_setting(store, monkeypatch, capsys):
    store.close()
    command = ["compact", "--store", str(store.path), "--json"]
    assert run(command) == 0
    assert '"deleted_files": 0' in capsys.readouterr().out
    monkeypatch.setenv("RIDGELINE_RETENTION_HOURS", "0")
    assert run(command) == 0
    assert '"deleted_files": 3' in capsys.readouterr().out
