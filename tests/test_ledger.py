"""Symbols of the ledger, and its transactions."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import psycopg
import pytest
import sqlalchemy as sa
from postgres import free_port

from storage import database
from storage.errors import Busy, InvalidLocation, NotFound, Unreachable
from storage.ledger import ledger_at, ledger_in


def test_ids_are_dense_and_stay(ledger):
    assert ledger.symbols.register(["SPY", "AAPL", "SPY"], "files") == {"SPY": 0, "AAPL": 1}
    assert ledger.symbols.register(["TLT", "AAPL"], "tiingo") == {"TLT": 2, "AAPL": 1}
    assert ledger.symbols.register([], "files") == {}
    assert ledger.symbols.ids() == {"SPY": 0, "AAPL": 1, "TLT": 2}
    assert ledger.symbols.sources() == {"SPY": "files", "AAPL": "files", "TLT": "tiingo"}


def test_the_earliest_mark_stays(ledger):
    ledger.symbols.register("AB", "files")
    for day in (3, 1, 2):
        ledger.symbols.mark_recompute({"A": date(2017, 11, day)})
    assert ledger.symbols.recompute_marks() == {"A": date(2017, 11, 1)}
    with pytest.raises(NotFound):
        ledger.symbols.mark_recompute({"B": date(2017, 11, 1), "Z": date(2017, 11, 1)})
    assert "B" not in ledger.symbols.recompute_marks()


def test_a_reader_never_waits_and_a_second_writer_is_told(ledger, monkeypatch):
    monkeypatch.setattr(database, "BUSY_MILLISECONDS", 50)
    ledger.symbols.register("A", "files")
    with ThreadPoolExecutor(1) as another, ledger.writing("symbols") as connection:
        connection.exec_driver_sql("DELETE FROM symbols")
        assert another.submit(ledger.symbols.ids).result() == {"A": 0}
        with pytest.raises(Busy, match="stayed locked"):
            another.submit(ledger.symbols.register, "B", "files").result()


def test_a_transaction_within_another_is_part_of_it(ledger):
    ledger.symbols.register("A", "files")
    with pytest.raises(NotFound), ledger.writing():
        ledger.symbols.register("B", "files")
        assert ledger.symbols.ids() == {"A": 0, "B": 1}
        ledger.symbols.mark_recompute({"Z": date(2017, 11, 1)})
    assert ledger.symbols.ids() == {"A": 0}
    with ledger.writing():
        ledger.symbols.register("B", "files")
        ledger.symbols.mark_recompute({"B": date(2017, 11, 1)})
    assert ledger.symbols.recompute_marks() == {"B": date(2017, 11, 1)}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "no such URL"),
        ("mysql://me:secret@here/ledger", "cannot live in mysql"),
        ("postgresql:///x?host=%", "does not serve"),
    ],
)
def test_a_ledger_that_cannot_be_is_named(url, message):
    with pytest.raises((InvalidLocation, Unreachable), match=message) as caught:
        ledger_at(url)
    assert "secret" not in str(caught.value)


def test_a_server_that_does_not_answer_may_later():
    with pytest.raises(Unreachable, match=r"does not serve: .*refused"):
        ledger_at(f"postgresql://me:secret@127.0.0.1:{free_port()}/ledger")


def test_a_connection_that_the_server_dropped_is_replaced(postgres_url):
    ledger = ledger_at(postgres_url)
    ledger.symbols.register("A", "files")
    with psycopg.connect(postgres_url, autocommit=True) as other:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
    assert ledger.symbols.ids() == {"A": 0}
    ledger.close()


def test_a_reader_sees_one_state(ledger):
    ledger.symbols.register("A", "files")
    with ledger.reading() as connection:
        count = sa.select(sa.func.count()).select_from(database.symbols)
        before = connection.scalar(count)
        ledger.symbols.register("B", "files")
        assert connection.scalar(count) == before == 1


def test_threads_register_dense_ids(ledger):
    def work(first):
        for at in range(10):
            ledger.symbols.register([f"S{first + at}"], "files")

    threads = [threading.Thread(target=work, args=(5 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ledger.symbols.ids().values()) == list(range(25))


def test_the_ledger_is_its_owners_alone(tmp_path):
    ledger_in(tmp_path / "ledger.sqlite").close()
    assert (tmp_path / "ledger.sqlite").stat().st_mode & 0o777 == 0o600


def test_the_file_is_durable(tmp_path):
    with ledger_in(tmp_path / "ledger.sqlite").reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
