"""Edges of the command line that once gave a wrong number, a file nobody asked for, or a traceback."""

import json
from datetime import date, datetime
from shutil import copytree
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from service.book_loader import benchmark_weights
from service.cli.app import run
from service.portfolio_view import read_positions
from storage.store import open_store

HEADER = "Symbol,Quantity,Entry Price Per Share,Entry Date,Exit Date\n"


@pytest.fixture
def ridgeline(capsys):
    def answer(*arguments, code=0):
        capsys.readouterr()
        assert run([*map(str, arguments), "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return answer


def test_another_benchmark_does_not_mix_in(ridgeline, tmp_path):
    weights = tmp_path / "weights.csv"
    rows = "SP500,2024-01-02,Energy,0.4\nSP500,2024-01-02,Financials,0.6\nNDX,2024-01-03,Energy,1.0\n"
    weights.write_text(f"benchmark,as_of,sector,weight\n{rows}")
    ridgeline("ingest-benchmark", weights, "--store", tmp_path / "store")
    with open_store(tmp_path / "store") as store:
        found = benchmark_weights(store, store.release(), date(2024, 6, 3))
    assert found == {"Energy": 0.4, "Financials": 0.6}


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("hour", [0, 23])
def test_a_time_keeps_the_day_it_was_told(ridgeline, tmp_path, zone, hour):
    days = [date(2024, 6, day) for day in (3, 4, 5)]
    times = [datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo(zone)) for day in days]
    prices = pl.DataFrame({"date": times, "symbol": "SPY", "close": 1.0}).with_columns(
        pl.col("date").dt.convert_time_zone(zone)
    )
    prices.write_parquet(tmp_path / "prices.parquet")
    ridgeline("ingest", tmp_path / "prices.parquet", "--store", tmp_path / "store")
    with open_store(tmp_path / "store") as store:
        assert store.read("prices")["session"].to_list() == days


@pytest.mark.parametrize("dtype", [pl.Time, pl.Duration])
def test_times_without_a_day_are_no_dates(ridgeline, tmp_path, dtype):
    frame = pl.DataFrame(
        {"date": pl.Series([1, 2], dtype=pl.Int64).cast(dtype), "symbol": "SPY", "close": 1.0}
    )
    frame.write_parquet(tmp_path / "prices.parquet")
    said = ridgeline("ingest", tmp_path / "prices.parquet", "--store", tmp_path / "store", code=2)
    assert "column date holds" in said["error"]["message"]


def test_lots_as_of_a_day_are_those_held_then(tmp_path):
    path = tmp_path / "lots.csv"
    path.write_text(
        f"{HEADER}OPEN,1,1,2024-01-02,\nLATER,1,1,2024-06-10,\nSOLD,1,1,2024-01-02,2024-06-01\n"
        "HELD,1,1,2024-01-02,2024-07-01\nTHATDAY,1,1,2024-01-02,2024-06-03\n"
    )
    today = date(2025, 1, 1)
    assert read_positions(path, today=today, asof=date(2024, 6, 3)).symbols == ("OPEN", "HELD")
    assert read_positions(path, today=today).symbols == ("OPEN", "LATER")


@pytest.mark.parametrize(
    "query",
    [
        "copy (select 1) to '{0}/evil.csv'",
        "attach '{0}/x.db'",
        "create table memory.t (a int)",
        "install json",
    ],
)
def test_queries_only_read(ridgeline, sample_store, tmp_path, query):
    said = ridgeline("sql", query.format(tmp_path), "--store", sample_store, code=2)
    assert "only select" in said["error"]["message"]
    assert list(tmp_path.iterdir()) == []


def test_a_moved_store_reads_itself(ridgeline, sample_store, tmp_path):
    copytree(sample_store, tmp_path / "moved")
    answer = ridgeline("sql", "select lake from release", "--store", tmp_path / "moved")
    assert {row["lake"] for row in answer} == {str(tmp_path / "moved" / "lake")}


@pytest.mark.parametrize(
    "command", [("status",), ("sql", "select 1"), ("batch", "run"), ("portfolio", "list")]
)
def test_asking_makes_no_store(ridgeline, tmp_path, command):
    said = ridgeline(*command, "--store", tmp_path / "typo" / "deep", code=2)
    assert "is no store" in said["error"]["message"]
    assert list(tmp_path.iterdir()) == []


def test_a_broken_ledger_is_said_to_be_one(ridgeline, sample_store, tmp_path):
    copytree(sample_store, tmp_path / "broken")
    (tmp_path / "broken" / "ledger.sqlite").write_bytes(b"not a database at all" * 100)
    said = ridgeline("status", "--store", tmp_path / "broken", code=4)
    assert "restore it from a backup" in said["error"]["message"]


def test_a_catalog_that_cannot_be_written_does_not_undo_a_release(sample_store, tmp_path):
    copytree(sample_store, tmp_path / "store")
    with open_store(tmp_path / "store") as store:
        before = store.release().number
        with store.writing("symbol", owner="test") as writer:
            store.catalog_path.unlink()
            store.catalog_path.mkdir()
            writer.replace("profiles", store.read("profiles").head(0), symbols=["NOBODY"])
            writer.publish()
        assert store.release().number == before + 1


BAD = "date,symbol,close\n2024-06-01,SPY,10\n2024-06-03,SPY,-1\n2024-06-04,SPY,\n"  # the first is a Saturday


def test_an_ingest_that_keeps_nothing_has_failed(ridgeline, tmp_path, capsys):
    (tmp_path / "prices.csv").write_text(BAD)
    command = ("ingest", tmp_path / "prices.csv", "--store", tmp_path / "store")
    for release in (1, None):  # the second time the quarantine has them all
        said = ridgeline(*command, code=4)
        assert (said["status"], said["accepted"], said["release"]) == ("failed", 0, release)
        assert said["quarantined"] == {"missing_price": 1, "non_positive_price": 1, "not_a_session": 1}
        assert run([*map(str, command)]) == 4
        assert "none of the 3 rows was kept (1 missing_price, 1 non_positive_price" in capsys.readouterr().err


def test_an_ingest_that_keeps_a_row_is_done(ridgeline, tmp_path):
    (tmp_path / "prices.csv").write_text(f"{BAD}2024-06-05,SPY,10\n")
    said = ridgeline("ingest", tmp_path / "prices.csv", "--store", tmp_path / "store")
    assert (said["status"], said["accepted"]) == ("completed", 1)
