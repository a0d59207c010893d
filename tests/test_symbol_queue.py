"""The symbol queue of the ledger: one open job a symbol, one worker a job, none lost with its worker."""

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from storage.errors import NotFound
from storage.ledger_tables import symbol_queue

CLAIM = """
import sys
from storage.ledger import ledger_at
print(*(job.symbol for job in ledger_at(sys.argv[1]).symbol_queue.claim(2)))
"""


@pytest.fixture
def queue(ledger):
    return ledger.symbol_queue


def names(jobs):
    return [job.symbol for job in jobs]


def together(n_threads, work):
    barrier, errors = threading.Barrier(n_threads), []

    def run(number):
        barrier.wait()
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_symbol_has_one_open_job(queue):
    first = queue.enqueue(["B", "A", "B"], owner="ann")
    again = queue.enqueue(["A", "C"], owner="bob")
    assert names(first.jobs) == ["A", "B"]
    assert queue.jobs("ABC")["A"].owner == "ann"
    assert {job.symbol: job.job_id for job in again.jobs}["A"] == queue.jobs("A")["A"].job_id
    assert queue.counts() == {"pending": 3, "processing": 0, "completed": 0, "failed": 0}
    assert names(queue.pending(limit=2)) == ["A", "B"]
    assert queue.jobs("XYZ") == {}
    assert queue.enqueue([]).jobs == ()


def test_a_full_queue_says_whom_it_defers(queue):
    many = [f"S{at:02}" for at in range(60)]
    found = queue.enqueue(many)
    assert len(found.jobs) == 50
    assert list(found.deferred) == many[50:]
    assert queue.enqueue([many[0], "X"]).deferred == ("X",)
    for job in queue.claim(2):
        queue.complete(job.job_id)
    assert queue.enqueue([many[0], "X", "Y"]).deferred == ("Y",)
    assert queue.enqueue(["Y"], capacity=53).deferred == ()


def test_a_job_ends_well_or_fails_at_the_third_attempt(queue):
    queue.enqueue(["A", "B"])
    good, bad = queue.claim(5)
    assert (good.status, good.attempts) == ("processing", 1)
    assert good.started_at is not None
    queue.complete(good.job_id)
    assert queue.jobs("A")["A"].completed_at is not None
    for attempt in (1, 2):
        queue.fail(bad.job_id, f"no prices {attempt}")
        assert queue.jobs("B")["B"].status == "pending"
        [bad] = queue.claim(5)
    queue.fail(bad.job_id, "no prices 3")
    failed = queue.jobs("B")["B"]
    assert (failed.status, failed.attempts, failed.error) == ("failed", 3, "no prices 3")
    assert queue.claim(5) == []
    assert queue.counts() == {"pending": 0, "processing": 0, "completed": 1, "failed": 1}
    with pytest.raises(NotFound, match="doesn't work on job"):
        queue.fail(bad.job_id, "again")
    queue.enqueue(["B"])
    retried = queue.jobs("B")["B"]
    assert (retried.status, retried.attempts, retried.error) == ("pending", 0, None)
    assert queue.counts()["failed"] == 0


def test_four_threads_enqueue_the_same_symbols(queue):
    together(4, lambda number: queue.enqueue([f"S{at}" for at in range(number, 40 + number)]))
    assert queue.counts()["pending"] == 43
    together(4, lambda number: queue.enqueue([f"T{number}{at}" for at in range(20)]))
    assert queue.counts()["pending"] == 50


def test_four_threads_claim_no_job_twice(queue):
    queue.enqueue([f"S{at}" for at in range(50)])
    taken = []

    def work(_):
        while jobs := queue.claim(3):
            taken.extend(jobs)

    together(4, work)
    assert len(taken) == len({job.job_id for job in taken}) == 50
    assert {job.attempts for job in taken} == {1}


def test_a_dead_workers_jobs_are_pending_again(queue, ledger_url):
    queue.enqueue(["A", "B", "C"])
    done = subprocess.run(
        [sys.executable, "-c", CLAIM, ledger_url], stdout=subprocess.PIPE, check=True, text=True
    )
    assert done.stdout.split() == ["A", "B"]
    stale = queue.jobs("A")["A"]
    with pytest.raises(NotFound, match="doesn't work on job"):
        queue.complete(stale.job_id)
    queue.resume()
    assert "died in it" in queue.jobs("A")["A"].error
    claimed = queue.claim(9)
    assert {job.symbol: job.attempts for job in claimed} == {"A": 2, "B": 2, "C": 1}
    queue.resume()
    assert queue.counts()["processing"] == 3


def test_a_symbol_that_kills_its_workers_fails(queue, ledger, ledger_url):
    queue.enqueue(["A"])
    for _ in range(3):
        subprocess.run([sys.executable, "-c", CLAIM, ledger_url], stdout=subprocess.DEVNULL, check=True)
    assert queue.claim(1) == []
    assert queue.jobs("A")["A"].status == "failed"


def test_a_worker_elsewhere_lives_by_its_heartbeat(queue, ledger):
    def elsewhere(seconds):
        beat = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
        with ledger.writing() as connection:
            connection.execute(sa.update(symbol_queue).values(host="elsewhere", heartbeat_at=beat))

    queue.enqueue(["A"])
    queue.claim(1)
    elsewhere(50)
    queue.beat()  # not its own
    assert queue.claim(1) == []
    elsewhere(61)
    [job] = queue.claim(1)
    assert job.attempts == 2
    queue.beat()
    with ledger.reading() as connection:
        assert connection.scalar(sa.select(symbol_queue.c.heartbeat_at)) >= job.started_at
