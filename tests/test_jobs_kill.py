"""Ingest, batch and compaction killed at random moments: the release stands, the next run starts at once."""

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from service import clock
from service.cli.app import run
from service.providers.simulated import simulate
from storage.releases import Release
from storage.schemas import tables_of
from storage.store import Store, open_store

CYCLES = 11  # of three jobs each
TABLES = {table.name: table for table in tables_of("symbol")}
KILLS = 30
DAYS = clock.sessions_until(date(2024, 6, 28), 130)
EARLIEST, FIRST, LAST = DAYS[-CYCLES - 3].item(), DAYS[-CYCLES - 1].item(), DAYS[-1].item()
MARKET = simulate(DAYS, n_symbols=4 + CYCLES)
JOINING = MARKET.symbols[4:]
RIGHT = MARKET.prices.drop("source")
MENDED = (pl.col("symbol") == "IWM") & pl.col("session").is_in(pl.Series(DAYS[20 : 20 + CYCLES]).implode())
WRONG = RIGHT.with_columns(pl.when(MENDED).then(pl.col("close") * 1.02).otherwise("close").alias("close"))

# What each job imports before it does anything.
JOBS = {"ingest": "service.ingest", "batch": "service.jobs.symbol_batch", "compact": "storage.store"}
CHILD = """
import sys
import {module}
from service.cli.app import run
print("ready", flush=True)
sys.exit(run(sys.stdin.readline().split()))
"""

Victim = subprocess.Popen[str]


def base() -> pl.DataFrame:
    """All but the symbols that join, up to the first computed session, with prices that will be put right."""
    return WRONG.filter(~pl.col("symbol").is_in(JOINING) & (pl.col("session") <= FIRST))


def following(cycle: int) -> pl.DataFrame:
    """The next session of everybody, the whole past of a symbol that joins, and one old price put right."""
    symbol, session = pl.col("symbol"), pl.col("session")
    day = DAYS[-CYCLES + cycle].item()
    next_day = (session == day) & ~symbol.is_in(JOINING[cycle:])
    joins = (session <= day) & (symbol == JOINING[cycle])
    right = RIGHT.filter((symbol == "IWM") & (session == DAYS[20 + cycle].item()))
    return pl.concat([WRONG.filter(next_day | joins), right])


@pytest.fixture
def victims() -> Iterator[Callable[[str], Victim]]:
    """Start processes of a job that wait for their arguments: started one ahead, importing does not count."""
    started: list[Victim] = []

    def start(job: str) -> Victim:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        command = [sys.executable, "-c", CHILD.format(module=JOBS[job])]
        started.append(subprocess.Popen(command, text=True, **pipes))
        return started[-1]

    yield start
    for victim in started:
        victim.kill()
        victim.communicate()


def contents(store: Store, release: Release) -> dict[str, int]:
    """What a release holds, as one number a table that does not depend on how files lie."""
    frames = {name: store.read(name, release=release) for name in TABLES}
    return {name: int(frame.hash_rows(seed=1).sum()) if frame.height else 0 for name, frame in frames.items()}


def kill(victim: Victim, line: str, moment: Callable[[Victim], None]) -> bool:
    """Send a process its arguments and kill it at some moment; whether it was still at it."""
    assert victim.stdin is not None
    assert victim.stdout is not None
    assert victim.stdout.readline() == "ready\n"
    victim.stdin.write(line + "\n")
    victim.stdin.flush()
    moment(victim)
    alive = victim.poll() is None
    victim.kill()
    victim.wait()
    return alive


def test_killed_jobs_leave_the_release_and_start_again(
    tmp_path: Path, victims: Callable[[str], Victim], capsys: pytest.CaptureFixture[str]
) -> None:
    rng, path = random.Random(2017), tmp_path / "store"
    killed, midway, jobs = Counter[str](), 0, list(JOBS) * CYCLES
    base().write_parquet(tmp_path / "base.parquet")
    assert run(["ingest", str(tmp_path / "base.parquet"), "--store", str(path)]) == 0
    assert run(["batch", "run", "--store", str(path)]) == 0
    # Sessions in a row, so that no kernel is left for a victim to compile.
    assert run(["backfill", "--from", str(EARLIEST), "--to", str(FIRST), "--store", str(path)]) == 0
    upcoming = victims(jobs[0])
    for attempt, job in enumerate(jobs):
        file = tmp_path / f"{attempt // len(JOBS)}.parquet"
        if job == "ingest":
            following(attempt // len(JOBS)).write_parquet(file)
        line = f"{ {'ingest': f'ingest {file}', 'batch': 'batch run'}.get(job, job) } --store {path}"
        with open_store(path) as store:
            before = store.release()
            held = contents(store, before)
            victim, upcoming = upcoming, victims(jobs[(attempt + 1) % len(jobs)])
            alive = kill(victim, line, moment(rng, store, soon_after_a_commit=attempt % 2 == 1))
            killed[job] += alive
            after = store.release()
            midway += alive and is_ahead(store, after)
            assert after.number - before.number in (0, 1)
            assert contents(store, before) == held
            if after.number == before.number or job == "compact":
                assert contents(store, after) == held
        assert run(line.split()) == 0, capsys.readouterr().err
    assert killed.total() >= KILLS
    assert midway >= 5
    with open_store(path) as store, open_store(tmp_path / "undisturbed") as undisturbed:
        assert_as_if_nothing_had_happened(tmp_path, store, undisturbed)


def moment(rng: random.Random, store: Store, *, soon_after_a_commit: bool) -> Callable[[Victim], None]:
    """Wait at random, or until the job has begun to write and a little longer."""

    def wait(victim: Victim) -> None:
        if not soon_after_a_commit:
            time.sleep(rng.uniform(0.0, 0.6))
            return
        while victim.poll() is None and not is_ahead(store, store.release()):
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.1))

    return wait


def is_ahead(store: Store, release: Release) -> bool:
    """Whether a dead process left commits that no release names."""
    logs = {name: store.path / "lake" / name / "_delta_log" for name in TABLES}
    newest = {name: max(int(entry.stem) for entry in log.glob("*.json")) for name, log in logs.items()}
    return any(newest[name] > release.versions[name] for name in TABLES)


def assert_as_if_nothing_had_happened(folder: Path, store: Store, undisturbed: Store) -> None:
    """The same prices, ingested at once and computed in one go, give the same tables."""
    (folder / "all").mkdir()
    everything = RIGHT.filter(pl.col("symbol").is_in(store.read("prices")["symbol"].unique().implode()))
    everything.write_parquet(folder / "all" / "prices.parquet")
    there = str(undisturbed.path)
    assert run(["ingest", str(folder / "all"), "--store", there]) == 0
    assert run(["backfill", "--from", str(EARLIEST), "--to", str(LAST), "--store", there]) == 0
    for name, table in TABLES.items():
        found, expected = (each.read(name).sort(table.key) for each in (store, undisturbed))
        ids = [column for column in found.columns if column == "symbol_id"]
        assert_frame_equal(found.drop(ids), expected.drop(ids), rel_tol=1e-10, abs_tol=1e-10)
    assert store.ledger.symbols.recompute_marks() == {}
    assert {run.status for run in store.ledger.runs.history()} <= {"completed", "failed"}
