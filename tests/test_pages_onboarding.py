"""The upload and its progress in a real browser: every state made to happen, polls counted."""

import time
from datetime import date
from itertools import pairwise
from pathlib import Path
from shutil import copytree

import httpx
import polars as pl
import pytest
from browsers import keep_pictures, visiting
from owners import NOBODY
from service_process import serving, upload

from service.cli.progress import TerminalProgress
from service.csv_import.errors import MENDING, MESSAGES
from service.jobs.dispatch import begun
from service.jobs.symbol_onboarding import process_symbols
from service.providers.files import FilesSource
from service.providers.sources import Sources
from service.settings import Settings
from storage.store import open_store

DATA = Path(__file__).parents[1] / "data"
HEADER = "Symbol,Quantity,Entry Price Per Share,Entry Date\n"
KNOWN = f"{HEADER}SPY,100,100.00,2024-01-05\n"
WRONG = f"{HEADER}SPY,0,100.00,2024-01-05\nA B,1.5,$9,2024-13-05\n# a comment\n,5,1.00,2024-01-05\n"


@pytest.fixture(scope="module")
def path(sample_store, tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "store"
    copytree(sample_store, path)
    return path


@pytest.fixture(scope="module")
def url(path):
    with serving(path, RIDGELINE_RELEASE_SECONDS="0.1") as url:
        yield url


@pytest.fixture(scope="module")
def prices(tmp_path_factory):
    """The sample prices of SPY under another name."""
    path = tmp_path_factory.mktemp("prices") / "new.csv"
    rows = pl.read_csv(DATA / "sample_prices.csv").filter(pl.col("symbol") == "SPY")
    rows.with_columns(pl.lit("NEWCO").alias("symbol")).write_csv(path)
    return path


def stored(url, csv, account):
    with httpx.Client(base_url=url) as client:
        return upload(client, csv, account_name=account, portfolio_name=account).json()["portfolio_id"]


def process(path, prices):
    with open_store(path) as store, TerminalProgress() as progress:
        sources, since = Sources(prices=FilesSource(prices)), date(2020, 1, 1)
        return process_symbols(store, Settings(), progress, sources, since=since)


def fill(page, account, csv, *, filename="lots.csv"):
    page.goto("/onboarding")
    page.get_by_label("Portfolio name").fill(account)
    page.get_by_label("Account name").fill(account)
    page.get_by_label("Equity balance").fill("$500,000")
    file = {"name": filename, "mimeType": "text/csv", "buffer": csv.encode()}
    page.get_by_label("CSV file of positions").set_input_files(file)


def polls(page):
    """Seconds at which the page has asked how far it is, by the browser's own clock."""
    return page.evaluate(
        "performance.getEntriesByType('resource')"
        ".filter(each => each.name.endsWith('/progress')).map(each => each.startTime / 1000)"
    )


def test_a_good_upload_ends_at_once_and_is_asked_for_no_more(browser, url):
    with visiting(browser, url) as page:
        fill(page, "Good", KNOWN)
        page.get_by_role("button", name="Create portfolio").click()
        page.get_by_role("heading", name="Portfolio Setup Complete!").wait_for()
        assert page.get_by_text('Your portfolio "Good" is ready.').is_visible()
        assert page.get_by_text("closes of 2024-06-28").is_visible()
        assert page.locator(".phases li.completed").count() == 9
        with page.expect_download() as download:
            page.get_by_role("link", name="Download Log").click()
        assert download.value.suggested_filename.startswith("portfolio_setup_log_")
        page.wait_for_timeout(2500)
        assert polls(page) == []
        assert keep_pictures(page, "setup-completed") == []


def test_a_bad_upload_names_every_row_and_column(browser, url):
    with visiting(browser, url) as page:
        fill(page, "Bad", WRONG)
        page.get_by_role("button", name="Create portfolio").click()
        assert "5 errors in 3 rows" in page.get_by_role("alert").first.inner_text()
        rows = page.locator("#row-errors tbody tr")
        found = [tuple(rows.nth(n).locator("> *").all_inner_texts()[:3]) for n in range(rows.count())]
        assert found == [
            ("2", "Quantity", "SPY"),
            ("3", "Symbol", "A B"),
            ("3", "Entry Price Per Share", "A B"),
            ("3", "Entry Date", "A B"),
            ("4", "Symbol", ""),
        ]
        assert "Write digits with a point" in rows.nth(2).inner_text()
        assert page.get_by_label("Account name").input_value() == "Bad"
        assert page.get_by_label("CSV file of positions").get_attribute("aria-invalid") == "true"
        assert keep_pictures(page, "onboarding-errors") == []


def test_a_taken_name_and_a_file_of_another_kind(browser, url):
    stored(url, KNOWN, "Taken")
    with visiting(browser, url) as page:
        fill(page, "Taken", KNOWN)
        page.get_by_role("button", name="Create portfolio").click()
        page.get_by_text("You have an account of this name already").first.wait_for()
        fill(page, "Spreadsheet", KNOWN, filename="lots.xlsx")
        assert page.get_by_text("lots.xlsx is no CSV file").is_visible()


def test_a_file_is_dropped(browser, url):
    with visiting(browser, url) as page:
        fill(page, "Dropped", KNOWN)
        page.get_by_label("CSV file of positions").set_input_files([])
        drop = """csv => {
            const data = new DataTransfer();
            data.items.add(new File([csv], "dropped.csv", {type: "text/csv"}));
            const target = document.getElementById("drop");
            for (const kind of ["dragenter", "dragover", "drop"])
                target.dispatchEvent(new DragEvent(kind, {dataTransfer: data, cancelable: true}));
        }"""
        page.evaluate(drop, KNOWN)
        page.get_by_role("button", name="Create portfolio").click()
        page.get_by_role("heading", name="Portfolio Setup Complete!").wait_for()


def test_progress_is_live_until_warnings_end_it(browser, url, path, prices):
    portfolio_id = stored(url, f"{KNOWN}NEWCO,10,50.00,2024-01-05\nNOSUCH,5,10.00,2024-01-05\n", "Partial")
    with visiting(browser, url) as page:
        page.goto(f"/portfolios/{portfolio_id}/setup")
        assert page.get_by_role("heading", name="Setting Up Your Portfolio").is_visible()
        assert page.get_by_text("Analyzing your portfolio in 9 processing phases.").is_visible()
        assert page.get_by_text("Market Data Collection: 1 of 3 symbols").first.is_visible()
        assert keep_pictures(page, "setup-running") == []
        process(path, prices)
        page.get_by_role("heading", name="Portfolio Setup Completed with Warnings").wait_for()
        assert page.get_by_text("left out of every number: NOSUCH").is_visible()
        assert page.locator("#log .warning").count() == 1
        sent = polls(page)
        assert sent
        assert all(2 <= later - sooner < 5 for sooner, later in pairwise(sent))
        page.locator("#log").evaluate("log => { log.style.height = '3rem'; log.scrollTop = 0 }")
        page.wait_for_timeout(3000)
        assert polls(page) == sent
        assert page.locator("#log").evaluate("log => log.scrollTop") == 0
        assert keep_pictures(page, "setup-partial") == []


def test_a_failure_and_a_second_try(browser, url, path, prices, tmp_path):
    portfolio_id = stored(url, f"{HEADER}LATECO,5,10.00,2024-01-05\n", "Failed")
    process(path, prices)
    rows = pl.read_csv(prices).with_columns(pl.lit("LATECO").alias("symbol"))
    rows.write_csv(tmp_path / "late.csv")
    with visiting(browser, url) as page:
        page.goto(f"/portfolios/{portfolio_id}/setup")
        page.get_by_role("heading", name="Setup Interrupted").wait_for()
        assert page.get_by_role("link", name="View Portfolio Anyway").is_visible()
        assert keep_pictures(page, "setup-failed") == []
        page.get_by_role("button", name="Retry Setup").click()
        page.get_by_role("heading", name="Setting Up Your Portfolio").wait_for()
        process(path, tmp_path / "late.csv")
        page.get_by_role("heading", name="Portfolio Setup Complete!").wait_for()


def test_a_run_of_a_portfolio_that_failed_is_done_again(browser, url, path):
    portfolio_id = stored(url, KNOWN, "Interrupted")
    with open_store(path) as store:
        run = begun(store.ledger, "legacy_batch", by="ann", scope={"portfolio_ids": [portfolio_id]})
        store.ledger.runs.finish(run.run_id, "failed", error="the disk was full")
    with visiting(browser, url) as page:
        page.goto(f"/portfolios/{portfolio_id}/setup")
        page.get_by_role("heading", name="Setup Interrupted").wait_for()
        page.get_by_role("button", name="Retry Setup").click()
        page.get_by_role("heading", name="Setting Up Your Portfolio").wait_for()
        page.locator("#progress[data-terminal=yes]").wait_for(timeout=60_000)
        assert page.get_by_role("heading", name="Setup Interrupted").is_hidden()
    with open_store(path) as store:
        again, first = store.ledger.runs.history("legacy_batch", portfolio_id=portfolio_id, limit=5)
    assert (first.run_id, first.status) == (run.run_id, "failed")
    assert again.status in ("completed", "partial")


def test_a_portfolio_that_is_not_there_is_given_up_after_a_while(browser, url):
    with visiting(browser, url) as page:
        page.goto(f"/portfolios/{NOBODY}/setup")
        started = time.monotonic()
        page.get_by_text("Status unavailable").wait_for(timeout=20_000)
        assert time.monotonic() - started >= 9.9
        sent = polls(page)
        assert len(sent) >= 5
        assert keep_pictures(page, "setup-unavailable") == []
        page.wait_for_timeout(2500)
        assert polls(page) == sent
        page.get_by_role("button", name="Check again").click()
        page.wait_for_timeout(2500)
        assert page.get_by_text("Status unavailable").is_hidden()
        assert len(polls(page)) > len(sent)


def test_a_service_that_cannot_be_reached_is_asked_again(browser, url):
    portfolio_id = stored(url, f"{KNOWN}GONECO,1,1.00,2024-01-05\n", "Waiting")
    with visiting(browser, url) as page:
        page.goto(f"/portfolios/{portfolio_id}/setup")
        page.context.set_offline(True)
        page.get_by_text("The service cannot be reached; trying again.").wait_for()
        assert page.get_by_role("heading", name="Setting Up Your Portfolio").is_visible()
        page.context.set_offline(False)
        page.get_by_text("The service cannot be reached").wait_for(state="detached")


def test_without_scripts(browser, url):
    with visiting(browser, url, java_script_enabled=False) as page:
        fill(page, "Plain", f"{KNOWN}PLAINCO,1,1.00,2024-01-05\n")
        page.get_by_role("button", name="Create portfolio").click()
        page.get_by_role("heading", name="Setting Up Your Portfolio").wait_for()
        with page.expect_navigation():
            pass  # the page loads itself again


def test_every_code_of_a_row_says_how_to_mend_it():
    assert list(MENDING) == list(MESSAGES)
