"""What operators see, from the ledger and a store: runs, history, logs, freshness, data quality, queue."""

from datetime import date
from shutil import copytree

import polars as pl
import pytest

from service.admin.current import batch_status, current_run, job_status
from service.admin.data_quality import data_quality
from service.admin.history import history, history_summary, run_detail
from service.admin.operations import cache_status, data_freshness, failures, symbol_queue
from service.admin.run_log import log_count, log_file, log_text
from service.ingest import ingest_prices
from service.jobs.tracker import BatchRunTracker, Trigger
from service.live_book import LiveBook
from service.settings import Settings
from storage.errors import NotFound
from storage.store import open_store

PHASES = {"one": ("First Phase", "symbols"), "two": ("Second Phase", "dates")}
LAST = date(2024, 6, 28)  # of the sample's sessions, a Friday


@pytest.fixture
def store(sample_store, tmp_path):
    with open_store(copytree(sample_store, tmp_path / "store")) as opened:
        yield opened


def started(ledger, job_type="symbol_batch", **options):
    tracker = BatchRunTracker(ledger)
    tracker.start(job_type, PHASES, trigger=Trigger("ann"), **options)
    tracker.start_phase("one", "First Phase", 10, "symbols")
    tracker.get_activity_log()  # which writes what is to be read
    return tracker


def ended(ledger, outcome="completed", job_type="symbol_batch", **options):
    tracker = started(ledger, job_type)
    tracker.complete_phase("one", outcome == "completed", "ten of them")
    tracker.complete(outcome, items=(10, 0 if outcome == "completed" else 2), **options)
    return tracker.run_id


def test_the_run_under_way_and_none(ledger):
    idle = current_run(ledger)
    assert (idle.status, idle.batch_run_id) == ("idle", None)
    outer = started(ledger, "legacy_batch", scope={"portfolio_ids": ["p"]})
    inner = started(ledger)
    found = current_run(ledger)
    assert (found.batch_run_id, found.job_type, found.triggered_by) == (outer.run_id, "legacy_batch", "ann")
    assert (found.jobs.total, found.jobs.pending, found.current_job) == (2, 2, "First Phase")
    assert (found.current_portfolio, found.other_runs) == ("p", [inner.run_id])
    inner.complete("completed")
    outer.complete("completed")
    assert current_run(ledger).status == "idle"


def test_a_job_that_never_ran_and_one_that_did(ledger):
    assert job_status(ledger, "symbol_batch").status == "not_found"
    run_id = ended(ledger)
    found = job_status(ledger, "symbol_batch")
    assert (found.batch_run_id, found.status, len(found.phases)) == (run_id, "completed", 2)
    assert job_status(ledger, "portfolio_refresh").status == "not_found"


def test_history_newest_first_by_status_and_job(ledger):
    good, bad = ended(ledger), ended(ledger, "failed", error="no prices")
    other = ended(ledger, "partial", "portfolio_refresh")
    found = history(ledger)
    assert [run.batch_run_id for run in found.runs] == [other, bad, good]
    assert (found.total_count, found.success, found.status_filter) == (3, True, None)
    assert [run.has_errors for run in found.runs] == [True, True, False]
    assert found.runs[2].phase_durations["one"] >= 0
    assert found.runs[2].phase_durations["two"] is None
    assert (found.runs[0].items_processed, found.runs[0].items_failed) == (10, 2)
    assert [run.batch_run_id for run in history(ledger, status="failed").runs] == [bad]
    limited = history(ledger, job_type="symbol_batch", limit=1)
    assert ([run.batch_run_id for run in limited.runs], limited.total_count) == ([bad], 2)


def test_history_summed_up(ledger):
    empty = history_summary(ledger)
    assert (empty.total_runs, empty.success_rate_percent, empty.most_recent) == (0, 100.0, None)
    ended(ledger)
    ended(ledger, "failed")
    running = started(ledger)
    found = history_summary(ledger)
    counts = found.status_breakdown
    assert (counts.completed, counts.failed, counts.partial, counts.running) == (1, 1, 0, 1)
    assert (found.total_runs, found.success_rate_percent) == (3, 50.0)
    assert found.most_recent.batch_run_id == running.run_id
    assert found.avg_duration_seconds >= 0
    running.complete("completed")


def test_one_run_in_detail(ledger):
    run_id = ended(ledger, "failed", error="no prices", summary={"sessions": []})
    found = run_detail(ledger, run_id)
    assert (found.jobs.total, found.jobs.failed, found.jobs.success_rate) == (2, 1, 0.0)
    assert found.error_summary == {
        "error": "no prices",
        "items_failed": 2,
        "failed_phases": {"First Phase": "ten of them"},
    }
    assert run_detail(ledger, ended(ledger)).error_summary is None
    with pytest.raises(NotFound):
        run_detail(ledger, "none")


def test_the_log_as_a_file(ledger):
    run_id = ended(ledger, "failed", error="no prices")
    found = log_file(ledger, run_id)
    assert log_count(ledger, run_id).log_entry_count == found.log_entry_count == 2
    assert [line.message for line in found.activity_log] == ["First Phase: ten of them", "no prices"]
    text = log_text(ledger, run_id)
    for part in ("Log of symbol_batch", "Error:      no prices", "[WARNING] First Phase: ten", "End of log"):
        assert part in text
    with pytest.raises(NotFound):
        log_file(ledger, "none")


def test_failures_and_the_queue(ledger):
    run = ledger.runs.start("symbol_batch")
    ledger.failures.record(run.run_id, "symbol_batch", LAST, {"ABC": ("timeout", "no answer in 10 s")})
    ledger.runs.finish(run.run_id, "partial")
    (found,) = failures(ledger, run_id=run.run_id, is_open=True)
    assert (found.item_id, found.error_type, found.batch_date) == ("ABC", "timeout", "2024-06-28")
    assert failures(ledger, batch_type="portfolio_refresh") == []
    ledger.symbol_queue.enqueue(["NEW", "NEWER"])
    queue = symbol_queue(ledger)
    assert (queue.pending_count, [each.symbol for each in queue.pending_symbols]) == (2, ["NEW", "NEWER"])


@pytest.mark.parametrize(
    ("ny_time", "status", "level", "next_update"),
    [
        ("2024-06-28T22:00", "current", "none", "2024-07-02T01:00:00.000000Z"),
        ("2024-07-01T12:00", "current", "none", "2024-07-02T01:00:00.000000Z"),  # Friday's on a Monday
        ("2024-07-01T21:00", "stale_1d", "warning", "2024-07-03T01:00:00.000000Z"),
        ("2024-07-05T21:30", "stale_4d", "critical", "2024-07-09T01:00:00.000000Z"),
    ],
)
def test_freshness_counts_trading_days(store, ny_time, status, level, next_update):
    settings = Settings(ny_time=ny_time)
    found = data_freshness(store, settings)
    assert (found.status, found.alert_level, found.next_expected_update) == (status, level, next_update)
    assert found.latest_price_date == str(LAST)
    assert batch_status(store, settings).staleness == status


def test_the_book_in_memory(store):
    live = LiveBook(store, 0.04)
    assert cache_status(live).symbols_cached == 0
    live.refresh()
    found = cache_status(live)
    assert (found.symbols_cached, found.latest_price_date) == (len(store.ledger.symbols.ids()), str(LAST))
    assert found.memory_estimate_mb > 0


def test_data_quality_names_what_is_wrong(store):
    clean = data_quality(store)
    assert clean.latest_price_date == clean.computed_session == str(LAST)
    prices = store.read("prices").sort("session")
    spoiled = prices.filter(pl.col("symbol") == "BERAQ").tail(1).drop("symbol_id", "quality")
    jump = spoiled.with_columns(pl.col("close", "adj_close", "open", "high", "low") * 2.5)
    wrong = spoiled.with_columns(pl.lit(-1.0).alias("close"), pl.lit("VARAQ").alias("symbol"))
    fresh = spoiled.with_columns(pl.lit("FRESH").alias("symbol"))
    ingest_prices(store, pl.concat([jump, wrong, fresh]))
    found = data_quality(store)
    assert ("BERAQ", str(LAST)) in [(each.symbol, each.session) for each in found.jump_suspects]
    assert ("VARAQ", "non_positive_price") in [(each.symbol, each.reason) for each in found.quarantined]
    assert "FRESH" in found.symbols_missing_factors
    assert "FRESH" not in found.symbols_missing_prices
    assert found.to_recompute[0] == "BERAQ"
    assert found.counts["jump_suspects"] == clean.counts["jump_suspects"] + 1
    assert found.symbols_total == clean.symbols_total + 1
    expected = 100 * (1 - len(found.symbols_missing_prices) / found.symbols_total)
    assert abs(found.price_coverage_pct - expected) < 0.01


def test_data_quality_of_an_empty_store(tmp_path):
    with open_store(tmp_path / "empty") as store:
        found = data_quality(store)
        assert (found.latest_price_date, found.price_coverage_pct, found.symbols_total) == (None, None, 0)
        assert data_freshness(store, Settings()).status == "no_prices"
        assert data_freshness(store, Settings()).alert_level == "critical"
