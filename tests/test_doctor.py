"""What doctor finds, how fresh the prices are, and what the clock makes of nights around the year."""

import json
import shutil
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from service import clock
from service.cli.app import run
from service.doctor import examine
from service.freshness import freshness
from service.settings import Settings
from storage.store import open_store

LAST = date(2024, 6, 28)  # of the sample prices, a Friday


@pytest.mark.parametrize(
    ("now", "due", "upcoming"),
    [
        ("2024-03-08T21:00", date(2024, 3, 8), "2024-03-11T21:00-04:00"),  # clocks go forward on Sunday
        ("2024-03-11T20:59", date(2024, 3, 8), "2024-03-11T21:00-04:00"),
        ("2024-03-12T01:00+00:00", date(2024, 3, 11), "2024-03-12T21:00-04:00"),  # in UTC it is tomorrow
        ("2024-11-01T21:00", date(2024, 11, 1), "2024-11-04T21:00-05:00"),  # clocks go back on Sunday
        ("2024-11-05T01:59+00:00", date(2024, 11, 1), "2024-11-04T21:00-05:00"),
        ("2024-11-05T02:00+00:00", date(2024, 11, 4), "2024-11-05T21:00-05:00"),
        ("2024-07-03T21:00", date(2024, 7, 3), "2024-07-05T21:00-04:00"),  # the day before a holiday
        ("2024-07-04T21:30", date(2024, 7, 3), "2024-07-05T21:00-04:00"),
        ("2024-11-27T22:00", date(2024, 11, 27), "2024-11-29T21:00-05:00"),  # and before Thanksgiving
        ("2024-12-31T23:59", date(2024, 12, 31), "2025-01-02T21:00-05:00"),
    ],
)
def test_when_a_batch_is_due(now: str, due: date, upcoming: str) -> None:
    settings = Settings(ny_time=now)
    assert clock.due_session(settings) == due
    assert clock.next_due(settings) == datetime.fromisoformat(upcoming)
    assert clock.next_due(settings).tzinfo == ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2024-06-28T22:00", ("current", 0, "none")),
        ("2024-07-01T16:45", ("current", 0, "none")),  # Monday has closed, its batch is not due yet
        ("2024-07-01T21:00", ("stale_1d", 1, "warning")),
        ("2024-07-03T21:00", ("stale_3d", 3, "critical")),
        ("2024-07-04T21:00", ("stale_3d", 3, "critical")),  # a holiday makes nothing older
    ],
)
def test_freshness_counts_trading_days(sample_store: Path, now: str, expected: tuple[str, int, str]) -> None:
    with open_store(sample_store) as store:
        found = freshness(store, Settings(ny_time=now))
    assert found.latest_price_date == LAST
    assert (found.staleness_status, found.trading_days_stale, found.alert_level) == expected


def test_freshness_of_an_empty_store(tmp_path: Path) -> None:
    with open_store(tmp_path / "store") as store:
        found = freshness(store, Settings(ny_time="2024-06-28T22:00"))
    assert (found.staleness_status, found.trading_days_stale, found.alert_level) == (
        "no_prices",
        None,
        "critical",
    )


def test_freshness_from_the_command_line(
    sample_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RIDGELINE_NY_TIME", "2024-07-01T21:00")
    assert run(["freshness", "--json", "--store", str(sample_store)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["staleness_status"], answer["due_session"]) == ("stale_1d", "2024-07-01")
    assert answer["next_expected_update"] == "2024-07-02T21:00:00-04:00"


def found(path: Path, **settings: object) -> dict[str, tuple[str, str]]:
    given = {"ny_time": "2024-06-28T22:00", **settings}
    return {each.check: (each.status, each.message) for each in examine(path, Settings(**given))}  # type: ignore[arg-type]


def test_a_healthy_store(sample_store: Path, tmp_path: Path) -> None:
    checks = found(shutil.copytree(sample_store, tmp_path / "store"))
    assert list(checks) == [
        "settings",
        "calendar",
        "disk",
        "providers",
        "store",
        "clock",
        "prices",
        "jobs",
    ]
    assert {name for name, (status, _) in checks.items() if status != "ok"} == {"settings"}
    assert "ny_time fixes the clock" in checks["settings"][1]


def test_a_source_that_cannot_be_read_and_one_that_lags(sample_store: Path, tmp_path: Path) -> None:
    path = shutil.copytree(sample_store, tmp_path / "store")
    status, said = found(path, prices_path=str(tmp_path / "nowhere.csv"))["providers"]
    assert (status, "no such file" in said) == ("fail", True)
    prices = str(Path(__file__).parents[1] / "data" / "sample_prices.csv")
    assert found(path, prices_path=prices)["providers"][0] == "ok"
    lagging = found(path, prices_path=prices, ny_time="2024-07-01T22:00")["providers"]
    assert lagging == ("warn", "files has SPY up to 2024-06-28, and 2024-07-01 has closed")


def test_what_went_wrong_is_found(sample_store: Path, tmp_path: Path) -> None:
    path = shutil.copytree(sample_store, tmp_path / "store")
    with open_store(path) as store:
        run_id = store.ledger.runs.start("symbol_batch").run_id
        store.ledger.runs.finish(run_id, "failed", error="the line is dead")
    checks = found(path, ny_time="2024-07-03T22:00")
    assert checks["jobs"] == ("warn", "the last symbol_batch failed: the line is dead")
    assert checks["prices"][0] == "fail"


def test_no_store_and_a_broken_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert found(tmp_path / "none")["store"][0] == "fail"
    assert run(["doctor", "--store", str(tmp_path / "none")]) == 4
    assert "is no store" in capsys.readouterr().out
    with open_store(tmp_path / "store"):
        pass
    (tmp_path / "store" / "ledger.sqlite").write_bytes(b"no database" * 1000)
    assert run(["doctor", "--json", "--store", str(tmp_path / "store")]) == 4
    checks = {each["check"]: each for each in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["store"]["status"] == "fail"
