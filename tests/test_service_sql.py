"""Queries over HTTP: who may ask, in which format, and what a refusal looks like."""

import io
import json
import re

import httpx
import polars as pl
import pytest
from service_process import serving

from service.errors import UsageError
from service.serve import bind, serve
from service.settings import Settings
from storage import confinement
from storage.store import open_store

pytestmark = pytest.mark.skipif(not confinement.is_available(), reason="no Landlock in this kernel")

COUNT = "SELECT symbol, count(*) AS n FROM prices GROUP BY symbol ORDER BY symbol LIMIT 2"


@pytest.fixture(scope="module")
def secrets(store):
    with open_store(store) as opened:
        keys = opened.ledger.api_keys
        scopes = {"analyst": ("sql",), "admin": ("read", "write", "admin")}
        return {name: keys.create(name, "laptop", given)[1] for name, given in scopes.items()}


@pytest.fixture(scope="module")
def url(store, secrets):
    with serving(store, RIDGELINE_SQL_PAGE="true") as url:
        yield url


@pytest.fixture(scope="module")
def ask(url, secrets):
    with httpx.Client(base_url=url, headers={"X-API-Key": secrets["analyst"]}, timeout=60) as client:
        yield lambda **body: client.post("/api/v1/sql", json=body)


def test_the_formats(ask):
    answer = ask(query=COUNT)
    assert (answer.status_code, answer.headers["X-Truncated"]) == (200, "false")
    document = answer.json()
    assert [column["name"] for column in document["columns"]] == ["symbol", "n"]
    assert document["rows"][0][1] > 0
    text = ask(query=COUNT, format="csv")
    assert text.headers["Content-Disposition"] == 'attachment; filename="query.csv"'
    assert text.text.splitlines() == ["symbol,n", *(f"{name},{n}" for name, n in document["rows"])]
    file = ask(query=COUNT, format="parquet")
    assert pl.read_parquet(io.BytesIO(file.content)).rows() == [tuple(row) for row in document["rows"]]


def test_a_query_of_more_rows_says_so(ask):
    answer = ask(query="FROM range(10001)", format="csv")
    assert answer.headers["X-Truncated"] == "true"
    assert len(answer.text.splitlines()) == 10_001


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"query": "DROP TABLE positions"}, 400, "invalid_query"),
        ({"query": "FROM read_text('/etc/passwd')"}, 400, "invalid_query"),
        ({"query": ""}, 422, "invalid_request"),
        ({"query": "x" * 20_001}, 422, "invalid_request"),
        ({"query": COUNT, "format": "xlsx"}, 422, "invalid_request"),
        ({}, 422, "invalid_request"),
    ],
)
def test_refusals(ask, url, body, status, code):
    answer = ask(**body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert httpx.get(f"{url}/docs/errors/{code}").status_code == 200


def test_the_scope_is_needed_and_enough(url, secrets):
    for secret, status in (("", 401), (secrets["admin"], 403)):
        answer = httpx.post(f"{url}/api/v1/sql", json={"query": COUNT}, headers={"X-API-Key": secret})
        assert answer.status_code == status
    headers = {"X-API-Key": secrets["analyst"]}
    assert httpx.get(f"{url}/api/v1/portfolios", headers=headers).status_code == 403


def test_the_page_is_for_the_scope_alone(url, secrets):
    for name, status in (("analyst", 200), ("admin", 403)):
        with httpx.Client(base_url=url) as client:
            token = re.search(r'name="form_token" value="(\w+)"', client.get("/login").text)[1]
            client.post("/login", data={"form_token": token, "key": secrets[name]})
            page = client.get("/sql")
            assert page.status_code == status
            assert ('href="/sql"' in page.text) is (status == 200)
            assert client.post("/sql", data={"query": COUNT}).status_code == 403  # without the form's token


def test_the_document_has_it(url):
    route = httpx.get(f"{url}/schema/openapi.json").json()["paths"]["/api/v1/sql"]["post"]
    assert set(route["responses"]) >= {"200", "400", "401", "403", "503"}
    assert "every owner's portfolios" in json.dumps(route)


def test_it_is_off_unless_it_is_turned_on(served):
    url, secrets = served
    answer = httpx.post(f"{url}/api/v1/sql", json={"query": COUNT}, headers={"X-API-Key": secrets["ann"]})
    assert answer.status_code == 404
    assert httpx.get(f"{url}/sql").status_code == 404


def test_no_service_where_queries_cannot_be_held(store, monkeypatch):
    monkeypatch.setattr(confinement, "NEEDED_VERSION", 1_000)
    settings = Settings(port=0, sql_page=True)
    with open_store(store) as opened, bind(settings) as bound, pytest.raises(UsageError, match="Landlock"):
        serve(opened, settings, bound)
