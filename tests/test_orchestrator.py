"""The nine phases: their order, what belongs to the final date, what fails and what goes on all the same."""

from datetime import date
from decimal import Decimal
from shutil import copytree

import polars as pl
import pytest
import simulated_store

from service.admin.history import run_detail
from service.cli.app import run as ridgeline
from service.csv_import.parsing import parse_positions
from service.errors import UsageError
from service.jobs.orchestrator import JOB, PHASES, run_all_phases
from service.jobs.phase_parts import PhaseParts
from service.jobs.progress import Silent
from service.onboarding_status import activity, get_onboarding_status, standing
from service.run_status import forget_old_logs, run_status
from service.settings import Settings
from storage.portfolios import Portfolio
from storage.store import open_store

START, LAST = date(2024, 6, 20), date(2024, 6, 28)
LOTS = b"Symbol,Quantity,Entry Price Per Share,Entry Date\nSPY,100,100,2024-01-05\nBERAQ,-50,60,2024-02-05\n"
ORDER = ["phase_1", "phase_1_5", "phase_1_75", "phase_0", "phase_2"]
ORDER += ["phase_3", "phase_4", "phase_5", "phase_6"]
SETTINGS = Settings(ny_time="2024-06-28T22:00")


@pytest.fixture(scope="module")
def computed(sample_store, tmp_path_factory):
    path = copytree(sample_store, tmp_path_factory.mktemp("nine") / "store")
    assert ridgeline(["backfill", "--from", str(START), "--to", str(LAST), "--store", str(path)]) == 0
    return path


@pytest.fixture
def store(computed, tmp_path):
    with open_store(copytree(computed, tmp_path / "store")) as opened:
        yield opened


def enter(store, name="Main", start=START):
    lots = parse_positions(LOTS, "x.csv", today=date(2026, 1, 1))
    draft = Portfolio(name, name, starting_equity=Decimal(50_000), starting_session=start)
    return store.ledger.portfolios.create("ann", draft, lots).portfolio_id


def nine(store, settings=SETTINGS, **options):
    outcome = run_all_phases(store, settings, Silent(), **options)
    return outcome, run_status(store.ledger, store.ledger.runs.named(outcome.run_id))


def sessions_of(store, portfolio_id, release=None):
    rows = store.read("portfolio_snapshots", release=release, portfolios=[portfolio_id])
    return sorted(rows["session"].to_list())


def test_all_nine_in_their_order(store):
    portfolio_id, other = enter(store), enter(store, "Other")
    outcome, status = nine(store, portfolio_ids=[portfolio_id])
    assert (outcome.status, status.status, status.overall_progress.percent_complete) == (
        "completed",
        "completed",
        100,
    )
    assert [phase.phase_id for phase in status.phases] == ORDER == list(PHASES)
    assert {phase.status for phase in status.phases} == {"completed"}
    assert sessions_of(store, portfolio_id)[0] == START
    assert sessions_of(store, other) == []
    assert status.portfolio_ids == [portfolio_id]
    for job_type in ("symbol_batch", "portfolio_refresh"):
        assert store.ledger.runs.last(job_type).triggered_by == f"{JOB} {outcome.run_id}"
    assert store.ledger.runs.named(outcome.refresh).scope == {"portfolio_ids": [portfolio_id]}
    sectors = dict(store.read("profiles").select("symbol", "sector").iter_rows())
    held = store.ledger.positions.of(portfolio_id)
    assert [each.sector for each in held] == [sectors.get(each.lot.symbol) for each in held]
    assert sum(map(len, (each.tags for each in held))) >= 1


def test_a_portfolios_own_run_is_its_status_for_a_while(store):
    mine, other = enter(store), enter(store, "Other")
    nine(store)

    def status_of(portfolio_id, settings=SETTINGS):
        portfolio = store.ledger.portfolios.get("ann", portfolio_id)
        return get_onboarding_status(store.ledger, settings, None, portfolio)

    assert {status_of(each).mode for each in (mine, other)} == {"v2_instant"}
    assert not any("P&L" in line.message for line in status_of(mine).activity_log)
    outcome, _ = nine(store, portfolio_ids=[mine])
    found = status_of(mine)
    assert (found.mode, found.status, found.overall_progress.percent_complete) == (
        "v1_batch",
        "completed",
        100,
    )
    assert [phase.phase_id for phase in found.phases] == ORDER
    assert status_of(other).mode == "v2_instant"
    nine(store, portfolio_ids=[mine, other])
    assert status_of(other).mode == "v2_instant"
    past = Settings(ny_time=SETTINGS.ny_time, run_status_seconds=0)
    assert status_of(mine, past).mode == "v2_instant"
    known = standing(store.ledger, past, None, store.ledger.portfolios.get("ann", mine))
    kept = [line.message for line in store.ledger.run_log.newest(outcome.run_id)]
    said = [line.message for line in activity(known)]
    assert [line for line in said if line in kept] == kept
    forget_old_logs(store.ledger, Settings(log_days=1e-9))
    assert store.ledger.run_log.count(outcome.run_id) == 0
    assert store.ledger.runs.named(outcome.run_id).status == "completed"


def test_a_second_run_finds_nothing_to_do(store):
    nine(store, portfolio_ids=[enter(store)])
    outcome, status = nine(store)
    assert (outcome.snapshots, outcome.status) == (0, "completed")
    assert {phase.status for phase in status.phases} == {"completed"}


def test_forced_over_days_long_past_does_the_final_date_too(store):
    portfolio_id = enter(store)
    nine(store)
    before = store.release(layer="portfolio")
    first, last = date(2024, 6, 21), date(2024, 6, 24)
    outcome, status = nine(store, portfolio_ids=[portfolio_id], sessions=(first, last), force=True)
    phases = {phase.phase_id: phase for phase in status.phases}
    for final in ("phase_0", "phase_2", "phase_5"):
        assert phases[final].duration_seconds is not None, final
    assert outcome.sessions[:2] == [str(first), str(last)]
    assert sessions_of(store, portfolio_id, before) == sessions_of(store, portfolio_id)
    assert store.release(layer="portfolio").number > before.number


def test_profiles_of_what_is_held_are_fetched(tmp_path):
    names = simulated_store.fill(tmp_path / "store")
    with open_store(tmp_path / "store") as store:
        with store.writing("symbol", owner="test") as writer:
            writer.replace("profiles", store.read("profiles").clear())
            writer.publish()
        csv = LOTS.replace(b"BERAQ", names[0].encode()) + b"NOSUCH,10,5,2024-01-05\n"
        lots = parse_positions(csv, "x.csv", today=date(2026, 1, 1))
        portfolio_id = store.ledger.portfolios.create("ann", Portfolio("Main", "Main"), lots).portfolio_id
        settings = simulated_store.settings(ny_time="2024-06-28T22:00")
        outcome, status = nine(store, settings, portfolio_ids=[portfolio_id])
        assert store.read("profiles")["symbol"].to_list() == [names[0], "SPY"]
        summaries = {each.phase_id: each.summary for each in store.ledger.run_log.phases(outcome.run_id)}
    assert summaries["phase_0"] == "profiles of 2 symbols; without an answer: 1 unknown_symbol"
    assert summaries["phase_2"] == "no source of fundamentals is configured"
    assert status.status == "partial"  # nobody has NOSUCH


def test_prices_that_cannot_be_had_make_it_partial(store, tmp_path):
    portfolio_id = enter(store)
    lacking = store.read("prices").filter(pl.col("symbol") != "SPY")
    with store.writing("symbol", owner="test") as writer:
        writer.replace("prices", lacking)
        writer.publish(session=LAST)
    outcome, status = nine(store, portfolio_ids=[portfolio_id])
    assert outcome.status == "partial"
    assert "market proxy" in outcome.failed["phase_1"]
    assert run_detail(store.ledger, outcome.run_id).error_summary["failed_phases"].keys() == {
        "Market Data Collection"
    }
    assert outcome.snapshots > 0
    assert [line.level for line in status.activity_log].count("warning") >= 1


def test_snapshots_that_fail_fail_the_run(store):
    portfolio_id = enter(store)
    early = (date(2024, 6, 3), LAST)
    outcome, _ = nine(store, portfolio_ids=[portfolio_id], sessions=early, force=True)
    assert outcome.status == "failed"
    run = store.ledger.runs.named(outcome.run_id)
    assert (run.status, "first snapshot" in run.error) == ("failed", True)


def test_a_portfolio_that_is_not_there(store):
    with pytest.raises(UsageError, match="no portfolio nobody"):
        nine(store, portfolio_ids=["nobody"])
    assert store.ledger.runs.last(JOB).status == "failed"


class Recorder(Silent):
    def __init__(self):
        self.told = []

    def start_phase(self, phase_id, *about):
        total = about[1]
        self.told.append(("start", phase_id, total))

    def update_phase_progress(self, phase_id, current):
        self.told.append(("at", phase_id, current))

    def complete_phase(self, phase_id, success, summary):
        self.told.append(("end", phase_id, success, summary))


def test_parts_make_a_whole():
    recorder = Recorder()
    parts = PhaseParts(recorder, {"all": ("All of it", ("a", "b"))})
    for part in ("a", "b"):
        parts.start_phase(part, part, 10, "symbols")
        parts.update_phase_progress(part, 10)
        parts.complete_phase(part, part == "a", f"{part} done")
    parts.start_phase("other", "Other", 1, "dates")
    parts.close()
    assert recorder.told == [
        ("start", "all", 10),
        ("at", "all", 5),
        ("at", "all", 10),
        ("end", "all", False, "a done; b done"),
    ]
    assert parts.failed == {"all": "a done; b done"}


def test_a_step_of_a_part_is_one_of_the_whole():
    class Named(Recorder):
        def start_phase(self, phase_id, *about):
            self.told.append((phase_id, *about))

    recorder = Named()
    parts = PhaseParts(recorder, {"one": ("One", ("a",))})
    parts.start_phase("a", "A: this", 3, "symbols")
    parts.update_phase_progress("a", 2)
    parts.start_phase("a", "A", 5, "dates")
    parts.update_phase_progress("a", 4)
    parts.complete_phase("a", True, "done")
    assert recorder.told == [
        ("one", "One: this", 3, "symbols"),
        ("at", "one", 2),
        ("one", "One", 5, "dates"),
        ("at", "one", 4),
        ("end", "one", True, "done"),
    ]


def test_an_error_ends_the_part_under_way_or_the_first_one():
    recorder = Recorder()
    parts = PhaseParts(recorder, {"one": ("One", ("a",)), "two": ("Two", ("b",))})
    parts.close("no prices")
    assert recorder.told == [("start", "one", 0), ("end", "one", False, "no prices")]
    recorder = Recorder()
    parts = PhaseParts(recorder, {"one": ("One", ("a",)), "two": ("Two", ("b",))})
    parts.start_phase("a", "A", 3, "symbols")
    parts.complete_phase("a", True, "done")
    parts.start_phase("b", "B", 3, "symbols")
    parts.close("disk full")
    assert recorder.told[-1] == ("end", "two", False, "disk full")
    assert parts.failed == {"two": "disk full"}
