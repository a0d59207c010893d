"""What Prometheus scrapes: requests by route, the state of store and jobs, and who may ask."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from service_process import serving

from storage.store import open_store

REQUESTS, SECONDS = "ridgeline_http_requests_total", "ridgeline_http_request_seconds_count"


@pytest.fixture(scope="module")
def url(store):
    with serving(store) as url:
        yield url


def scraped(url, **headers):
    """A function of a sample's name and labels to its value, 0 for one that is not there."""
    answer = httpx.get(f"{url}/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    samples = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    return lambda name, **labels: samples.get((name, frozenset(labels.items())), 0)


def test_requests_are_counted_by_route_and_status(url):
    known = {"method": "GET", "path": "/api/v1/symbols/{symbol}/status"}
    unknown = {"method": "GET", "path": "/api/v1/portfolios/{portfolio_id}"}
    before = scraped(url)
    for symbol in ("SPY", "TLT"):
        httpx.get(f"{url}/api/v1/symbols/{symbol}/status")
    httpx.get(f"{url}/api/v1/portfolios/none")
    after = scraped(url)
    for name, labels, count in (
        (REQUESTS, {**known, "status": "200"}, 2),
        (REQUESTS, {**unknown, "status": "404"}, 1),
        (SECONDS, known, 2),
        (SECONDS, unknown, 1),
    ):
        assert after(name, **labels) - before(name, **labels) == count, labels


def test_the_state_of_store_and_jobs(url, store):
    with open_store(store) as opened:
        release, n_symbols = opened.release().number, len(opened.ledger.symbols.ids())
        opened.ledger.symbol_queue.enqueue(["NEW"])
        run = opened.ledger.runs.start("portfolio_refresh")
        found = scraped(url)
        opened.ledger.runs.finish(run.run_id, "completed")
    assert found("ridgeline_release") == release
    assert found("ridgeline_symbols") == n_symbols
    assert found("ridgeline_symbol_queue", status="pending") == 1
    assert found("ridgeline_runs", job="symbol_batch", status="completed") >= 1
    assert found("ridgeline_runs", job="portfolio_refresh", status="running") == 1
    assert found("ridgeline_last_run_seconds", job="symbol_batch") > 0
    assert found("process_resident_memory_bytes") > 0


def test_who_may_ask(url, store):
    proxied = {"X-Forwarded-For": "203.0.113.5"}
    with open_store(store) as opened:
        keys = opened.ledger.api_keys
        admin = keys.create("ops", "prometheus", ("admin",))[1]
        reader = keys.create("ann", "laptop", ("read",))[1]
    assert scraped(url)("ridgeline_symbols") > 0
    answers = (httpx.get(f"{url}/metrics", headers=proxied).status_code for _ in range(1000))
    assert next(status for status in answers if status != 200) == 401  # the first key is noticed in a second
    refused = httpx.get(f"{url}/metrics", headers={**proxied, "X-API-Key": reader})
    assert (refused.status_code, refused.json()["code"]) == (403, "ERR_ADMIN_001")
    assert scraped(url, **proxied, **{"X-API-Key": admin})("ridgeline_symbols") > 0
    refused = {"method": "GET", "path": "/metrics", "status": "401"}
    assert scraped(url)(REQUESTS, **refused) == 1
