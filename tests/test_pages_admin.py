"""Operators' pages in a browser: live progress of jobs in other processes, and what may be done with them."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import simulated_store
from browsers import keep_pictures, visiting
from service_process import COMMAND, serving
from test_pages_login import signed_in

from service.admin.data_quality import data_quality
from service.admin.durations import usual_seconds
from service.jobs.tracker import BatchRunTracker, Trigger
from service.run_status import elapsed
from storage.providers import ProviderNote
from storage.store import open_store

TODAY = simulated_store.sessions_after(simulated_store.LAST, 20)[-1]
ENVIRONMENT = simulated_store.environment(ny_time=f"{TODAY}T22:00")
PHASES = {"prices": ("Daily Price Collection", "symbols"), "metrics": ("Daily Metrics", "symbols")}

WATCH = """panel => {
  window.seen = [];
  new MutationObserver(() => seen.push(panel.innerText)).observe(panel, { childList: true, subtree: true });
}"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A store of simulated prices up to yesterday, and a symbol that the market does not have."""
    path = tmp_path_factory.mktemp("admin") / "store"
    simulated_store.fill(path)
    with open_store(path) as store:
        store.ledger.symbols.register(["NOSUCH"], "simulated")
    return path


@pytest.fixture(scope="module")
def url(path):
    with serving(path, **ENVIRONMENT) as url:
        yield url


@pytest.fixture
def ledger(path, url):
    with open_store(path) as store:
        yield store.ledger


@pytest.fixture
def by_hand(ledger):
    """A run of this process, which the test moves on."""
    tracker = BatchRunTracker(ledger)
    tracker.start("portfolio_refresh", PHASES, trigger=Trigger("test"))
    tracker.start_phase("prices", PHASES["prices"][0], 40, "symbols")
    yield tracker
    if ledger.runs.named(tracker.run_id).status == "running":
        tracker.complete("completed")


def panel(page, title):
    return page.get_by_role("region", name=title, exact=True)


def mark(page):
    """Put something on the page that goes when it is loaded anew."""
    page.evaluate("window.mark = 1")


def is_marked(page):
    return page.evaluate("window.mark") == 1


def test_a_batch_of_the_command_line_is_watched_live(browser, url, path):
    with visiting(browser, url) as page:
        page.goto("/admin")
        assert "never run" in panel(page, "Symbol batch").inner_text()
        panel(page, "Symbol batch").evaluate(WATCH)
        command = [*COMMAND, "batch", "run", "--json", "--store", str(path)]
        environment = {**ENVIRONMENT, "PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as job:
            assert job.wait(300) in (0, 3), job.stderr.read()
        panel(page, "Symbol batch").get_by_text(re.compile("^Began")).wait_for(timeout=30_000)
        page.get_by_role("region", name="Runs, a table").get_by_text("Symbol batch").wait_for()
        page.get_by_role("row", name="NOSUCH").wait_for()
        page.get_by_role("region", name="Book").get_by_text(TODAY.isoformat()).wait_for(timeout=30_000)
        seen = page.evaluate("window.seen")  # gone, had the page been loaded anew
        assert any("Daily Price Collection" in text and "running" in text for text in seen)


def test_failures_are_retried_alone_after_asking(browser, url, ledger):
    failed = ledger.runs.last("symbol_batch")
    with visiting(browser, url) as page:
        page.goto("/admin")
        row = page.get_by_role("row", name="NOSUCH")
        assert "with the next batch" in row.inner_text()
        page.get_by_role("link", name="Phases and log of Symbol batch").click()
        page.get_by_text("Retry failed…").click()
        page.get_by_role("button", name="Retry failed").click()
        page.get_by_text("symbols: NOSUCH").wait_for()
        page.locator("[data-part=run]").get_by_text(re.compile("partial|completed|failed")).first.wait_for()
    again = ledger.runs.last("symbol_batch")
    assert again.run_id != failed.run_id
    assert again.scope == {"symbols": ["NOSUCH"]}


def test_a_run_moves_on_the_open_page_until_its_end(browser, url, by_hand):
    with visiting(browser, url) as page:
        page.goto(f"/admin/runs/{by_hand.run_id}")
        requests = []
        page.on("request", lambda request: requests.append(request.url))
        mark(page)
        by_hand.update_phase_progress("prices", 10)
        page.get_by_text("10 of 40 symbols").first.wait_for()
        by_hand.add_activity("ten are here", "warning")
        by_hand.complete_phase("prices", True, "all of them")
        by_hand.start_phase("metrics", PHASES["metrics"][0], 0, "symbols")
        page.locator(".phases li.completed").wait_for()
        page.locator("#log").get_by_text("ten are here").wait_for()
        assert page.locator("#said").inner_text() == "Daily Metrics"
        by_hand.complete("partial", items=(40, 1))
        page.get_by_text("The run is over: partial").wait_for(state="attached")
        page.get_by_text("Run again…").wait_for()
        assert is_marked(page)
        page.wait_for_timeout(3_000)
        asked = [request for request in requests if "/admin" in request]
        assert len(asked) <= 1  # for the stream, which is not opened again once the run is over
        assert all(request.endswith("/events") for request in asked)


def test_a_run_is_canceled_after_asking(browser, url, ledger, by_hand):
    with visiting(browser, url) as page:
        page.goto("/admin")
        card = panel(page, "Portfolio refresh")
        card.get_by_text("Cancel…").click()
        card.get_by_role("button", name="Cancel portfolio refresh").click()
        page.wait_for_url(f"**/admin/runs/{by_hand.run_id}")
        assert ledger.runs.cancelled_by(by_hand.run_id) == "local"
        by_hand.complete("failed", error="canceled by local")
        page.get_by_text("canceled by local").first.wait_for()


def test_what_is_open_stays_open_when_the_stream_begins_anew(browser, url, by_hand):
    streams = []

    def cut_off_first(route):
        streams.append(route.request.url)
        if len(streams) > 1:
            return route.continue_()
        return route.fulfill(content_type="text/event-stream", body="retry: 1500\n\n")

    with visiting(browser, url) as page:
        page.route("**/admin/events", cut_off_first)
        page.goto("/admin")
        card = panel(page, "Portfolio refresh")
        card.get_by_text("Cancel…").click()
        by_hand.update_phase_progress("prices", 20)
        card.get_by_text("20 of 40 symbols").first.wait_for()
        assert card.get_by_role("button", name="Cancel portfolio refresh").is_visible()
        assert len(streams) == 2


def test_what_cannot_be_started_is_said(browser, url, by_hand):
    with visiting(browser, url) as page:
        page.goto("/admin")
        card = panel(page, "Portfolio refresh")
        card.get_by_text("Run portfolio refresh…").click()
        card.get_by_role("button", name="Run portfolio refresh now").click()
        assert "portfolio_refresh" in page.get_by_role("alert").inner_text()
        card = panel(page, "Symbol batch")
        card.get_by_text("Run symbol batch…").click()
        card.get_by_label("Session").fill("2024-12-24")
        card.get_by_role("button", name="Run symbol batch now").click()
        assert "2024-12-24 has not closed yet" in page.get_by_role("alert").inner_text()


def test_a_job_is_started_without_scripts(browser, url, ledger):
    with visiting(browser, url, java_script_enabled=False) as page:
        page.goto("/admin")
        card = panel(page, "Portfolio refresh")
        card.get_by_text("Run portfolio refresh…").click()
        card.get_by_role("button", name="Run portfolio refresh now").click()
        page.wait_for_url("**/admin/runs/*")
        run_id = page.url.rpartition("/")[2]
        page.get_by_text("completed", exact=True).first.wait_for(timeout=30_000)  # the page asks by itself
        with page.expect_download() as download:
            page.get_by_role("link", name="Download log").click()
        text = Path(download.value.path()).read_text()
        assert run_id in text
        assert text.rstrip().endswith("End of log")
    assert ledger.runs.named(run_id).triggered_by == "local"


def test_the_quality_of_the_data(browser, url, path):
    with open_store(path) as store:
        report = data_quality(store)
    with visiting(browser, url) as page:
        page.goto("/admin")
        page.get_by_role("link", name="Data quality").click()
        page.get_by_role("heading", name="Data quality").wait_for()
        figures = page.locator(".figures").first.inner_text()
        assert f"{report.price_coverage_pct:.1f}%" in figures
        assert "NOSUCH" in page.locator("#missing_prices + p").inner_text()


def test_providers(browser, url, path, tmp_path):
    with visiting(browser, url) as page:
        page.goto("/admin")
        row = page.get_by_role("region", name="Providers, a table").locator("tbody tr")
        assert row.inner_text().startswith("simulated\tprices, profiles\ton this machine")
    windows = [{"rate": "50/h", "limit": 50, "seconds": 3600.0, "used": 12}]
    now = datetime.now(UTC)
    later = (now + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    with open_store(tmp_path / "store") as store:
        store.ledger.providers.note([ProviderNote("tiingo", windows, 10, later, now.isoformat())])
    with (
        serving(tmp_path / "store", RIDGELINE_PROVIDERS="tiingo,eodhd") as other,
        visiting(browser, other) as page,
    ):
        page.goto("/admin")
        told = page.get_by_role("row", name="tiingo").inner_text()
        assert "open left alone until" in told
        assert "38 of 50/h" in told
        assert "not asked yet" in page.get_by_role("row", name="eodhd").inner_text()
        assert keep_pictures(page, "admin-providers") == []


def test_the_median_of_the_seven_before(ledger):
    for _ in range(9):
        ledger.runs.finish(ledger.runs.start("symbol_onboarding").run_id, "completed")
    took, found = durations(ledger), usual_seconds(ledger)
    first, second, *_, last = took
    assert first not in found
    assert found[second] == pytest.approx(took[first])
    assert found[last] == pytest.approx(sorted(list(took.values())[1:8])[3])


def durations(ledger):
    """Seconds of each onboarding run, oldest first."""
    return {run.run_id: elapsed(run) for run in reversed(ledger.runs.history("symbol_onboarding"))}


def test_everybody_can_use_them(browser, url, by_hand):
    by_hand.add_activity("forty are wanted")
    with visiting(browser, url) as page:
        page.goto("/admin/data")
        assert keep_pictures(page, "admin-data") == []
        page.goto("/admin")
        page.get_by_text("Run portfolio refresh…").click()
        assert keep_pictures(page, "admin") == []
        page.goto(f"/admin/runs/{by_hand.run_id}")
        page.get_by_text("Cancel…").click()
        page.locator("#log").get_by_text("forty are wanted").wait_for()
        assert keep_pictures(page, "admin-run") == []


def test_operators_alone(path, url):
    with open_store(path) as store:
        create = store.ledger.api_keys.create
        secrets = {scope: create("ann", scope, (scope,))[1] for scope in ("admin", "read")}
        run_id = store.ledger.runs.history(limit=1)[0].run_id
    pages = ("/admin", "/admin/data", "/admin/events", f"/admin/runs/{run_id}", f"/admin/runs/{run_id}/log")
    with httpx.Client(base_url=url) as client:
        signed_in(client, secrets["read"])
        assert {client.get(page).status_code for page in pages} == {403}
        assert 'href="/admin"' not in client.get("/").text
    with httpx.Client(base_url=url) as client:
        signed_in(client, secrets["admin"])
        assert client.get("/admin").status_code == 200
        assert client.get("/admin/runs/nope").status_code == 404
        assert client.post(f"/admin/runs/{run_id}/cancel").status_code == 403  # without the form's token
