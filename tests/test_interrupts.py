"""Ctrl-C: one line, its own exit code, and nothing left behind, whatever a library makes of it."""

import importlib
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from shutil import copytree

import pytest

from service.cli import interrupts
from service.cli.app import run
from storage.store import open_store

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from service.cli import main; main()"]
LINE = "ridgeline: stopped; what is published stands, and nothing is half done\n"


@pytest.fixture
def listening(monkeypatch):
    """Ctrl-C as commands hear it, in this process."""
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(interrupts, "_last", float("-inf"))
    interrupts.listen()
    yield
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    signal.signal(signal.SIGINT, before)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def leases(path):
    with sqlite3.connect(f"file:{path / 'ledger.sqlite'}?mode=ro", uri=True) as ledger:
        found = ledger.execute("SELECT owner FROM leases").fetchall()
    ledger.close()
    return found


@pytest.mark.parametrize("pressed", [1, 5])
def test_a_job_that_is_stopped_releases_its_lease(sample_store, tmp_path, pressed):
    path = tmp_path / "store"
    copytree(sample_store, path)
    with open_store(path) as store:
        before = store.release()
    command = [*COMMAND, "backfill", "--from", "2023-06-01", "--to", "2024-06-27", "--store", str(path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as job:
        while not leases(path):
            assert job.poll() is None
            time.sleep(0.005)
        for _ in range(pressed):
            job.send_signal(signal.SIGINT)
            time.sleep(0.01)
        out, errors = job.communicate(timeout=60)
    assert (job.returncode, out, errors) == (130, "", LINE)
    assert leases(path) == []
    with open_store(path) as store:
        last = store.ledger.runs.history("symbol_batch")[0]
        assert (last.status, last.error) == ("failed", "stopped by Ctrl-C")
        assert store.release() == before


@pytest.mark.parametrize("command", [["status"], ["batch", "run"], ["--help"]])
def test_a_command_that_is_stopped_at_any_moment_shows_no_traceback(sample_store, tmp_path, command):
    path = tmp_path / "store"
    copytree(sample_store, path)
    given = command if command == ["--help"] else [*command, "--store", str(path)]
    for delay in (0.3, 0.6, 0.9):
        with subprocess.Popen(
            [*COMMAND, *given], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child:
            time.sleep(delay)
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=60)
        # Done before it was stopped, or ended by the kernel when nothing was left to do but to go.
        assert (child.returncode, errors) in [(130, LINE), (0, ""), (130, ""), (-signal.SIGINT, "")]
        assert leases(path) == []


@pytest.mark.parametrize("error", [RuntimeError, ImportError, OSError])
def test_what_a_library_makes_of_it_is_still_a_stop(listening, sample_store, monkeypatch, capsys, error):
    def interrupted(*_):
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException:
            raise error("Query interrupted") from None

    monkeypatch.setattr("service.status.store_status", interrupted)
    assert run(["status", "--store", str(sample_store)]) == 130
    assert capsys.readouterr().err == LINE


def test_an_import_is_finished_first(listening, tmp_path, monkeypatch):
    lines = "import signal, time\nsignal.raise_signal(signal.SIGINT)\ntime.sleep(0.1)\nwhole = True\n"
    (tmp_path / "stopped_while_imported.py").write_text(lines)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(interrupts.Stopped):
        importlib.import_module("stopped_while_imported")
        time.sleep(1.0)
    assert sys.modules.pop("stopped_while_imported").whole


def test_pressing_again_does_not_interrupt_the_clearing_up(listening, monkeypatch):
    cleared = []
    with pytest.raises(interrupts.Stopped):
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            cleared.append(True)
    assert cleared
    monkeypatch.setattr(interrupts, "PATIENCE", 0.0)
    with pytest.raises(interrupts.Stopped):
        signal.raise_signal(signal.SIGINT)
