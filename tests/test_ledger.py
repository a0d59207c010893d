"""Symbols of the ledger, and its transactions."""

from datetime import date

import pytest

from storage import database
from storage.errors import Busy, NotFound
from storage.ledger import ledger_in


def test_ids_are_dense_and_stay(ledger):
    assert ledger.symbols.register(["SPY", "AAPL", "SPY"], "files") == {"SPY": 0, "AAPL": 1}
    assert ledger.symbols.register(["TLT", "AAPL"], "tiingo") == {"TLT": 2, "AAPL": 1}
    assert ledger.symbols.register([], "files") == {}
    assert ledger.symbols.ids() == {"SPY": 0, "AAPL": 1, "TLT": 2}
    assert ledger.symbols.sources() == {"SPY": "files", "AAPL": "files", "TLT": "tiingo"}


def test_inactive_symbols_keep_their_ids(ledger):
    ledger.symbols.register("BAC", "files")
    ledger.symbols.set_active(["B"], is_active=False)
    assert ledger.symbols.active() == ["A", "C"]
    assert set(ledger.symbols.ids()) == {"A", "B", "C"}
    with pytest.raises(NotFound, match="symbol Z is not registered"):
        ledger.symbols.set_active(["A", "Z"], is_active=False)
    assert ledger.symbols.active() == ["A", "C"]


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
    with ledger.writing("symbols") as connection:
        connection.exec_driver_sql("DELETE FROM symbols")
        assert ledger.symbols.ids() == {"A": 0}
        with pytest.raises(Busy, match="stayed locked"):
            ledger.symbols.register("B", "files")


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
