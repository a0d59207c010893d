"""One live writer per layer and one live run per job; nobody waits for a dead one."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from stores import days, prices

from storage.database import leases, runs
from storage.errors import Locked, NotFound
from storage.leases import held
from storage.processes import Process, is_alive, this_process, timestamp
from storage.store import open_store

HOLD = """
import sys, time
from storage.store import open_store
with open_store(sys.argv[1], ledger_url=sys.argv[2]) as store:
    store.ledger.runs.start("symbol_batch", triggered_by="cron")
    with store.writing("symbol", owner="nightly"):
        print("held", flush=True)
        time.sleep(60)
"""


@pytest.fixture
def store(tmp_path, ledger_url):
    with open_store(tmp_path / "store", ledger_url=ledger_url) as opened:
        yield opened


@pytest.fixture
def holder(store, ledger_url):
    """A process that holds the lease and runs a job."""
    command = [sys.executable, "-c", HOLD, str(store.path), ledger_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def ago(seconds):
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def set_owner(store, table, **values):
    with store.ledger.writing() as connection:
        connection.execute(sa.update(table).values(**values))


def test_a_live_owner_is_named(store, holder):
    with pytest.raises(Locked, match=f"by nightly .process {holder.pid} on .* wait") as caught:
        store.compact()
    assert (caught.value.owner, caught.value.host) == ("nightly", socket.gethostname())
    assert caught.value.pid == holder.pid


def test_a_stopped_owner_lives(store, holder):
    holder.send_signal(signal.SIGSTOP)
    set_owner(store, leases, heartbeat_at=ago(3600))
    with pytest.raises(Locked):
        store.compact()


def test_a_killed_owner_is_taken_over_at_once(store, holder):
    holder.kill()
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
    with store.writing("symbol", owner="next") as writer:
        writer.append("prices", prices(["A"], [date(2017, 11, 6)]))
        assert writer.publish().number == 1
    run = store.ledger.runs.start("symbol_batch")
    stale, current = store.ledger.runs.history()[1], store.ledger.runs.current("symbol_batch")
    assert current == run
    assert (stale.status, stale.triggered_by) == ("failed", "cron")
    assert f"process {holder.pid} on {socket.gethostname()} died" in stale.error


def test_a_recycled_pid_is_not_the_owner(store):
    with held(store.ledger, "symbol", "first"):
        with pytest.raises(Locked), held(store.ledger, "symbol", "second"):
            pass
        set_owner(store, leases, process_started="an earlier boot/17")
        with held(store.ledger, "symbol", "third") as lease:
            assert lease.owner == "third"


def test_an_owner_on_another_machine_is_judged_by_its_heartbeat(store):
    with held(store.ledger, "symbol", "remote"):
        set_owner(store, leases, host="elsewhere", heartbeat_at=ago(50))
        with pytest.raises(Locked, match="elsewhere"), held(store.ledger, "symbol", "here"):
            pass
        set_owner(store, leases, heartbeat_at=ago(61))
        with held(store.ledger, "symbol", "here"):
            pass


def test_the_heart_beats(store, monkeypatch):
    monkeypatch.setattr("storage.leases.HEARTBEAT_SECONDS", 0.05)
    with held(store.ledger, "symbol", "me"):
        set_owner(store, leases, heartbeat_at=ago(100))
        first = beat = ago(100)
        deadline = datetime.now(UTC) + timedelta(seconds=5)
        while beat <= first and datetime.now(UTC) < deadline:
            with store.ledger.reading() as connection:
                beat = connection.scalar(sa.select(leases.c.heartbeat_at))
        assert beat > ago(10)
    with store.ledger.reading() as connection:
        assert connection.execute(sa.select(leases)).all() == []


def test_processes_are_told_apart():
    me = this_process()
    assert is_alive(me, timestamp())
    assert not is_alive(Process(me.host, 2**22 + 1, me.started), timestamp())
    assert me.pid == os.getpid()


def test_one_run_per_job(store):
    job = store.ledger.runs
    first = job.start("symbol_batch", session=date(2017, 11, 6), triggered_by="cron")
    assert job.current("symbol_batch") == first
    with pytest.raises(Locked, match=f"symbol_batch is already running .*{first.run_id}"):
        job.start("symbol_batch")
    other = job.start("portfolio_refresh")
    job.finish(first.run_id, "partial", items=(10, 2), summary={"phases": ["prices"]}, error="2 failed")
    with pytest.raises(NotFound, match="is not running"):
        job.finish(first.run_id, "completed")
    done = job.named(first.run_id)
    assert (done.status, done.items_total, done.items_failed) == ("partial", 10, 2)
    assert done.summary == {"phases": ["prices"]}
    assert done.completed_at >= done.started_at
    assert job.current("symbol_batch") is None
    assert job.last("symbol_batch") == done
    assert job.last("legacy_batch") is None
    assert job.history() == [other, done]
    assert job.history(limit=1) == [other]


def test_a_run_on_another_machine_lives_by_its_heartbeat(store):
    job = store.ledger.runs
    run = job.start("symbol_batch")
    set_owner(store, runs, host="elsewhere", heartbeat_at=ago(100))
    job.beat(run.run_id)
    with pytest.raises(Locked):
        job.start("symbol_batch")
    set_owner(store, runs, heartbeat_at=ago(61))
    job.fail_stale()
    assert job.named(run.run_id).status == "failed"


def race(path, ledger_url, first_day):
    """Three threads that write two days each; exit code 1 when two ever write at once."""
    alone = path / "writing"
    sessions = iter(days(first_day, 1000))
    lock, failures = threading.Lock(), []

    def work():
        done = 0
        while done < 2:
            try:
                with (
                    open_store(path, ledger_url=ledger_url) as store,
                    store.writing("symbol", owner="racer") as writer,
                ):
                    os.close(os.open(alone, os.O_CREAT | os.O_EXCL))
                    with lock:
                        session = next(sessions)
                    writer.append("prices", prices(["A"], [session]))
                    writer.publish()
                    alone.unlink()
                    done += 1
            except Locked:
                time.sleep(0.01)  # opening again at once takes the processor from whoever holds the lease
            except Exception as error:
                failures.append(repr(error))
                raise

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.exit("\n".join(failures) or 0)


def test_writers_of_two_processes_take_turns(tmp_path, ledger_url):
    path = tmp_path / "store"  # the two processes create the store too, at once
    path.mkdir()
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=race, args=(path, ledger_url, date(year, 1, 1))) for year in (2016, 2017)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    with open_store(path, ledger_url=ledger_url) as store:
        assert store.release().number == 12
        assert store.read("prices").height == 12
