"""A disk that is full: a clear failure, the release before stands, and the next run completes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from test_nightly import AT, DAYS, MARKET, NEW, SETTINGS

from storage.store import Store, open_store

ROOT = Path(__file__).parents[1]
SIZE = "8m"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own; skips where nobody may mount one."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(mounted)]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no mount here: {error}")
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    yield mounted
    subprocess.run(["umount", "--lazy", str(mounted)], check=True)


def night(store: Path, day: date, ledger: str) -> tuple[int, str]:
    """Exit code and message of a batch in a process of its own: one that cannot record its end must end."""
    given = {f"RIDGELINE_{name}": value for name, value in SETTINGS.items()}
    environment = {**os.environ, **given, "RIDGELINE_NY_TIME": f"{day}T21:00", "RIDGELINE_LEDGER": ledger}
    command = [sys.executable, "-m", "service.cli", "batch", "run", "--store", str(store)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def leave(disk: Path, free: int) -> Path:
    """Fill a disk up to some bytes."""
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * max(0, shutil.disk_usage(disk).free - free))
    return ballast


def tables(store: Store) -> dict[str, int]:
    return {name: store.read(name).height for name in ("prices", "symbol_factors", "symbol_metrics")}


@pytest.mark.parametrize("where", ["beside the lake", "elsewhere"])
def test_a_full_disk_fails_clearly_and_a_rerun_completes(disk: Path, tmp_path: Path, where: str) -> None:
    path = disk / "store"
    ledger = f"sqlite:///{tmp_path if where == 'elsewhere' else path}/ledger.sqlite"
    path.mkdir()
    with open_store(path, ledger_url=ledger) as store:
        store.ledger.symbols.register([name for name in MARKET.symbols if name != NEW], "simulated")
    assert night(path, DAYS[AT - 6], ledger)[0] == 0
    with open_store(path, ledger_url=ledger) as store:
        before, held = store.release(), tables(store)
    for free in (0, 90_000, 200_000):
        ballast = leave(disk, free)
        code, said = night(path, DAYS[AT - 5], ledger)
        assert code == 4, said
        assert "ridgeline: " in said  # what writes Parquet may say a word of its own before
        assert "room" in said or "No space left" in said or "disk" in said
        assert "Traceback" not in said
        ballast.unlink()
        with open_store(path, ledger_url=ledger) as store:
            assert store.release().session == before.session
            assert {name: store.read(name, release=before).height for name in held} == held
    assert night(path, DAYS[AT - 5], ledger)[0] == 0
    with open_store(path, ledger_url=ledger) as store:
        assert store.release().session == DAYS[AT - 5]
        assert store.read("factor_covariance")["session"].unique().sort().to_list() == DAYS[AT - 6 : AT - 4]
