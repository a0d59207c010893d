"""Writers killed at random moments: what was released stays whole, and the next writer starts at once."""

import os
import random
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from stores import metrics, prices, rows

from storage.store import open_store

KILLS = 20
ORIGIN = date(2016, 1, 1)
SYMBOLS = [f"S{i}" for i in range(40)]
WEEKS = [ORIGIN + timedelta(days=7 * week) for week in range(39)]  # three quarters

CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from test_storage_kill import advance
from storage.store import open_store
print("ready", flush=True)
sys.stdin.readline()
with open_store(sys.argv[2]) as store:
    while True:
        advance(store, owner="victim")
"""


def advance(store, *, owner):
    """Release two tables replaced by the next value and a row appended to a third; compact now and then."""
    with store.writing("symbol", owner=owner) as writer:
        value = value_of(writer.base) + 1
        writer.replace("prices", prices(SYMBOLS, WEEKS, float(value)))
        writer.append("symbol_factors", factor(value))
        writer.replace("symbol_metrics", metrics(SYMBOLS, ORIGIN, float(value)))
        release = writer.publish(session=ORIGIN + timedelta(days=value))
    if value % 3 == 0:
        release = store.compact(owner=owner)
        store.vacuum(older_than=timedelta(0), owner=owner)
    return release


def factor(value):
    session = ORIGIN + timedelta(days=30 * value)
    return rows("symbol_factors", symbol=["S0"], session=[session], factor=["Value"], beta=[float(value)])


def value_of(release):
    return (release.session - ORIGIN).days if release.session else 0


def assert_whole(store, release):
    value = value_of(release)
    closes = store.read("prices", release=release)["close"].to_list()
    assert closes == [float(value)] * (len(SYMBOLS) * len(WEEKS) if value else 0)
    assert store.read("symbol_metrics", release=release)["price"].to_list() == [float(value)] * (
        len(SYMBOLS) if value else 0
    )
    betas = store.read("symbol_factors", release=release)["beta"]
    assert sorted(betas) == [float(k) for k in range(1, value + 1)]


@pytest.fixture
def victims(tmp_path):
    """Start writers one ahead, so that importing does not count; each runs when it is sent a line."""
    started = []

    def start():
        command = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(tmp_path / "store")]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        return started[-1]

    yield start
    for victim in started:
        victim.kill()
        victim.communicate()


@pytest.mark.parametrize("kills", [KILLS, pytest.param(500, marks=pytest.mark.slow)])
def test_killed_writers_leave_whole_releases(tmp_path, victims, kills):
    rng = random.Random(2017)
    in_midwork = 0
    with open_store(tmp_path / "store") as store:
        seen = [store.release()]
        following = victims()
        for attempt in range(kills):
            victim, following = following, victims()
            assert victim.stdout.readline() == b"ready\n"
            victim.stdin.write(b"go\n")
            victim.stdin.flush()
            if attempt % 2:  # every second one dies soon after a commit
                while not is_ahead(store, store.release()):
                    assert victim.poll() is None
                time.sleep(rng.uniform(0.0, 0.1))
            else:
                time.sleep(rng.uniform(0.1, 0.7))
            victim.kill()
            os.waitid(os.P_PID, victim.pid, os.WEXITED | os.WNOWAIT)  # dead, and nobody has reaped it
            release = store.release()
            assert release.number >= seen[-1].number
            assert_whole(store, release)
            in_midwork += is_ahead(store, release)
            seen += [release, advance(store, owner="next")]
            assert seen[-1].number > release.number
            assert_whole(store, seen[-1])
            counted = store.sql(
                "SELECT count(*) AS n, max(close) AS close FROM prices, release WHERE layer = 'symbol'"
            )
            assert counted.row(0) == (len(SYMBOLS) * len(WEEKS), float(value_of(seen[-1])))
        for release in store.releases():
            assert_whole(store, release)
    assert in_midwork > kills // 5


def is_ahead(store, release):
    """Whether a dead writer left commits that no release names."""
    log = store.path / "lake" / "prices" / "_delta_log"
    return max(int(entry.stem) for entry in log.glob("*.json")) > release.versions["prices"]
