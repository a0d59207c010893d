"""Night after night on the simulated market, through the command line, and then everything from scratch."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread

import httpx
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from service_process import serving

from engine.factors import PROXIES
from service import clock
from service.cli.app import run
from service.csv_import.parsing import parse_positions
from service.ingest import ingest_table
from service.jobs.portfolio_refresh import refresh_portfolios
from service.jobs.progress import Silent
from service.providers.simulated import simulate
from service.settings import Settings
from storage.portfolios import Portfolio
from storage.schemas import TABLES
from storage.store import Store, open_store

SPAN = (date(2023, 3, 1), date(2024, 6, 28))
DAYS = clock.sessions_between(*SPAN).tolist()
MARKET = simulate(clock.sessions_between(*SPAN), n_symbols=12)
SPLIT, PAYER, OLD, NEW, DELISTED, *PLAIN = MARKET.symbols
AT = DAYS.index(MARKET.actions["session"][0])  # the session of all corporate actions
LOTS = f"""Symbol,Quantity,Entry Price Per Share,Entry Date,Investment Class
SPY,100,100.00,{DAYS[5]},PUBLIC
{SPLIT},40,60.00,{DAYS[6]},PUBLIC
{PAYER},-30,60.00,{DAYS[7]},PUBLIC
{OLD},20,50.00,{DAYS[8]},PUBLIC
{DELISTED},10,50.00,{DAYS[9]},PUBLIC
{PLAIN[0]},15,44.00,{DAYS[10]},PUBLIC
{PLAIN[1]},-25,80.00,{DAYS[11]},PUBLIC
HARBOR_FUND,4,2500.00,{DAYS[5]},PRIVATE
CASH_USD,5000,1.00,{DAYS[5]},
"""
SETTINGS = {
    "PROVIDERS": "simulated",
    "PROFILE_PROVIDER": "simulated",
    "SIMULATED_SYMBOLS": "12",
    "SIMULATED_FROM": str(SPAN[0]),
    "SIMULATED_TO": str(SPAN[1]),
}
# An earlier dividend in every store: one without any cannot know that its source has them.
EARLIER = MARKET.actions.filter(pl.col("kind") == "dividend").with_columns(
    session=pl.lit(DAYS[3]), value=pl.lit(0.25)
)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch):
    """Set the clock to the evening of a session, with the simulated market as the source."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"RIDGELINE_{name}", value)

    def set_clock(day: date) -> None:
        monkeypatch.setenv("RIDGELINE_NY_TIME", f"{day}T21:00")

    return set_clock


def founded(path: Path, names: Iterable[str]) -> Path:
    """A store that knows some symbols and has no price of them."""
    with open_store(path) as store, store.writing("symbol", owner="test") as writer:
        store.ledger.symbols.register(names, "simulated")
        writer.append("corporate_actions", EARLIER)
        writer.publish()
    return path


def enter(path: Path, start: date) -> None:
    lots = parse_positions(LOTS.encode(), "x.csv", today=date(2026, 1, 1))
    with open_store(path) as store:
        for name, equity in (("One", 50_000), ("Two", 90_000)):
            draft = Portfolio(name, name, starting_equity=Decimal(equity), starting_session=start)
            store.ledger.portfolios.create("ann", draft, lots if name == "One" else lots[:4])


def named(store: Store, table: str) -> pl.DataFrame:
    """A table with names in the place of random ids, sorted by its key."""
    portfolios = {each.portfolio_id: each.name for each in store.ledger.portfolios.everyones()}
    frame = store.read(table)
    if "portfolio_id" in frame.columns:
        frame = frame.with_columns(pl.col("portfolio_id").replace_strict(portfolios))
    if "position_id" in frame.columns:
        lots = store.ledger.positions.frame(list(portfolios))
        symbols = dict(lots.select("position_id", "symbol").iter_rows())
        frame = frame.with_columns(pl.col("position_id").replace_strict(symbols))
    return frame.drop("symbol_id", strict=False).sort(TABLES[table].key)


def assert_as_from_scratch(path: Path, days: list[date], at) -> None:
    """Every number of both layers equals what a store gives that gets and computes everything at once."""
    scratch = founded(path.with_name("scratch"), MARKET.symbols)
    with open_store(scratch) as store:  # nobody asks for those of symbols that are gone by now
        ingest_table(store, "profiles", MARKET.profiles, ["symbol", "as_of"])
    at(days[-1])
    for arguments in (
        ["batch", "run", "--session", str(days[-1])],
        ["backfill", "--from", str(days[0]), "--to", str(days[-1])],
    ):
        assert run([*arguments, "--store", str(scratch)]) == 0
    enter(scratch, days[0])
    with open_store(path) as found, open_store(scratch) as expected:
        for _ in range(0, len(days), 30):
            refresh_portfolios(expected, Settings(), Silent())
        assert found.read("portfolio_snapshots").height == 2 * len(days)
        assert found.read("factor_covariance")["session"].n_unique() == len(days)
        for table in TABLES:
            if table in ("quarantine", "fundamentals"):
                assert found.read(table).is_empty()
                continue
            assert_frame_equal(named(found, table), named(expected, table), rel_tol=1e-10, abs_tol=1e-10)


@contextmanager
def watched(path: Path) -> Iterator[dict[str, set[str]]]:
    """Have a service in another process asked how the night goes; the statuses that each run was seen in.

    In the end its history has every run that was seen, completed.
    """
    seen: dict[str, set[str]] = {}
    over = Event()
    with serving(path) as url, httpx.Client(base_url=f"{url}/api/v1/admin", timeout=60) as client:

        def watch() -> None:
            while not over.wait(0.02):
                for job in ("symbol-batch", "portfolio-refresh"):
                    body = client.get(f"/{job}/status").json()
                    if body["status"] in ("running", "completed", "partial", "failed"):
                        assert (
                            body["status"] != "running" or body["overall_progress"]["percent_complete"] < 100
                        )
                        seen.setdefault(body["batch_run_id"], set()).add(body["status"])

        watcher = Thread(target=watch)
        watcher.start()
        try:
            yield seen
        finally:
            over.set()
            watcher.join()
        runs = client.get("/batch/history", params={"limit": 200}).json()["runs"]
    ended = {run["batch_run_id"]: run["status"] for run in runs}
    assert seen
    assert seen.keys() <= ended.keys()
    assert set(ended.values()) == {"completed"}


def through(path: Path, days: list[date], missed: set[int], at, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the nights of some sessions, all but the missed ones; portfolios come in after the first."""
    for number, day in enumerate(days):
        if number in missed:
            continue
        at(day)
        assert run(["nightly", "--json", "--store", str(path)]) == 0, capsys.readouterr().err
        done = json.loads(capsys.readouterr().out)
        made_up = sum(before in missed for before in range(number)) if number - 1 in missed else 0
        assert done["symbol_batch"]["prices"]["failed"] == 0
        assert len(done["symbol_batch"]["sessions"]) >= 1 + min(made_up, 1)
        if number == 0:
            enter(path, day)
            assert run(["nightly", "--json", "--store", str(path)]) == 0
            assert json.loads(capsys.readouterr().out)["portfolio_refresh"]["snapshots"] == 2


def test_eight_nights_with_a_split_a_dividend_a_rename_a_delisting_and_two_missed(
    tmp_path: Path, at, capsys: pytest.CaptureFixture[str]
) -> None:
    path = founded(tmp_path / "store", (name for name in MARKET.symbols if name != NEW))
    days = DAYS[AT - 4 : AT + 4]
    with watched(path) as seen:
        through(path, days, {2, 5}, at, capsys)
    assert len([run for run, statuses in seen.items() if "running" in statuses]) >= 6
    with open_store(path) as store:
        assert store.ledger.symbols.ids().keys() - store.ledger.symbols.active() == {OLD, DELISTED}
        assert {*PROXIES.values(), NEW} <= store.ledger.symbols.active()
        assert store.ledger.symbols.recompute_marks() == {}
    assert_as_from_scratch(path, days, at)


@pytest.mark.slow
def test_forty_nights(tmp_path: Path, at, capsys: pytest.CaptureFixture[str]) -> None:
    path = founded(tmp_path / "store", (name for name in MARKET.symbols if name != NEW))
    days = DAYS[AT - 22 : AT + 18]
    with watched(path) as seen:
        through(path, days, {7, 30}, at, capsys)
    assert len([run for run, statuses in seen.items() if "running" in statuses]) >= 30
    assert_as_from_scratch(path, days, at)
