"""Who may do what: keys, scopes, owners, and an address that others can reach."""

import json
import re
import subprocess

import httpx
import pytest
from service_process import COMMAND, serving, upload

from storage.store import open_store

KNOWN = "Symbol,Quantity,Entry Price Per Share,Entry Date\nSPY,100,100.00,2024-01-05\n"
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def secrets(store):
    with open_store(store) as opened:
        keys = opened.ledger.api_keys
        return {
            "ann": keys.create("ann", "laptop", ("read", "write"))[1],
            "reader": keys.create("ann", "phone", ("read",))[1],
            "bob": keys.create("bob", "laptop", ("read", "write"))[1],
        }


@pytest.fixture(scope="module")
def url(store, secrets):
    with serving(store) as url:
        yield url


def client(url, secret):
    return httpx.Client(base_url=url, headers={"X-API-Key": secret})


@pytest.fixture(scope="module")
def portfolio_id(url, secrets):
    with client(url, secrets["ann"]) as ann:
        return upload(ann, KNOWN).json()["portfolio_id"]


def routes(url):
    """Every path of the document with its methods, ids filled in by the caller."""
    document = httpx.get(f"{url}/schema/openapi.json").json()
    for path, methods in document["paths"].items():
        for method in methods:
            yield method.upper(), path


def test_without_a_key_nothing_but_health_and_template(url):
    public = ("/health", "/api/v1/onboarding/csv-template", "/schema", "/docs")
    for method, template in routes(url):
        path = re.sub(r"{\w+}", NOBODY, template.replace("{code}", "not_found"))
        answer = httpx.request(method, url + path)
        if path.startswith(public):
            assert answer.status_code == 200, path
        else:
            assert answer.status_code == 401, path
            assert answer.json()["code"] == "not_authenticated"


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
def test_a_key_opens_by_either_header(url, secrets, header, portfolio_id):
    value = secrets["ann"] if header == "X-API-Key" else f"Bearer {secrets['ann']}"
    answer = httpx.get(f"{url}/api/v1/analytics/portfolio/{portfolio_id}/overview", headers={header: value})
    assert answer.status_code == 200


@pytest.mark.parametrize("secret", ["rl_wrong", "", "\N{GREEK SMALL LETTER ALPHA}".encode().hex()])
def test_a_wrong_key_opens_nothing(url, secret):
    assert httpx.get(f"{url}/api/v1/symbols/SPY/status", headers={"X-API-Key": secret}).status_code == 401


def test_a_reader_cannot_write(url, secrets, portfolio_id):
    with client(url, secrets["reader"]) as reader:
        answer = upload(reader, KNOWN, account_name="Other")
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
        assert reader.get(f"/api/v1/analytics/portfolio/{portfolio_id}/overview").status_code == 200


def test_another_owners_portfolio_is_nowhere(url, secrets, portfolio_id):
    with client(url, secrets["bob"]) as bob:
        for method, path in routes(url):
            if "{portfolio_id}" not in path or (method != "GET" and not path.endswith("/calculate")):
                continue  # what needs a body is tried with one, beside the route's other tests
            window = {"start": "2024-06-03", "end": "2024-06-04"} if path.endswith("/replay") else {}
            foreign, missing = (
                bob.request(method, re.sub(r"{\w+}", each, path), params=window)
                for each in (portfolio_id, NOBODY)
            )
            assert foreign.status_code == missing.status_code == 404, path
            assert foreign.text.replace(portfolio_id, NOBODY) == missing.text
        assert upload(bob, KNOWN).status_code == 201  # names are an owner's own


def test_keys_on_the_command_line(store, url):
    def keys(*arguments):
        command = [*COMMAND, "keys", *arguments, "--json", "--store", str(store)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    made = keys("create", "script", "--owner", "eve", "--scope", "read")
    assert made["key"].startswith("rl_")
    path = f"{url}/api/v1/symbols/SPY/status"
    assert httpx.get(path, headers={"X-API-Key": made["key"]}).status_code == 200
    listed = {key["key_id"]: key for key in keys("list")["keys"]}
    assert listed[made["key_id"]]["owner"] == "eve"
    assert made["key"] not in json.dumps(listed)
    keys("revoke", made["key_id"])
    until_refused = (httpx.get(path, headers={"X-API-Key": made["key"]}).status_code for _ in range(4000))
    assert next(code for code in until_refused if code != 200) == 401


@pytest.mark.parametrize(
    ("where", "message"),
    [(["--host", "0.0.0.0"], "ridgeline keys create"), (["--port", "{port}"], "cannot listen")],
)
def test_addresses_that_are_refused(url, tmp_path, where, message):
    port = url.rpartition(":")[2]
    command = [*COMMAND, "serve", "--port", "0", "--store", str(tmp_path / "store")]
    command += [part.format(port=port) for part in where]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert message in ended.stderr
