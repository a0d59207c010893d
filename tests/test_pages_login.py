"""Signing in with a key: the session, its end, its forms, and a page that nobody else sees."""

import re
from shutil import copytree
from uuid import uuid4

import httpx
import pytest
from browsers import keep_pictures, visiting
from owners import keys_of
from service_process import form, serving, upload

from service.api.onboarding import MAX_BODY
from service.pages.sessions import SECONDS, Sessions
from storage.store import open_store

KNOWN = "Symbol,Quantity,Entry Price Per Share,Entry Date\nSPY,100,100.00,2024-01-05\n"


@pytest.fixture(scope="module")
def secrets(store):
    return keys_of(store)


@pytest.fixture(scope="module")
def url(store, secrets):
    with serving(store) as url:
        yield url


@pytest.fixture(scope="module")
def open_url(sample_store, tmp_path_factory):
    """A service on loopback that nobody has a key to."""
    path = tmp_path_factory.mktemp("open") / "store"
    copytree(sample_store, path)
    with serving(path) as url:
        yield url


def token_on(client, path="/login"):
    return re.search(r'name="form_token" value="(\w+)"', client.get(path).text)[1]


def signed_in(client, secret, **fields):
    return client.post("/login", data={"form_token": token_on(client), "key": secret} | fields)


def test_nobody_sees_a_page_without_a_key(url):
    answer = httpx.get(f"{url}/?y=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/")


def test_a_key_opens_a_session_until_it_is_revoked(url, store):
    with open_store(store) as opened:
        key, secret = opened.ledger.api_keys.create("eve", "tablet", ("read",))
    with httpx.Client(base_url=url) as client:
        answer = signed_in(client, secret, next="/onboarding")
        assert (answer.status_code, answer.headers["location"]) == (303, "/onboarding")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert secret not in cookie
        assert client.get("/").status_code == 200
        with open_store(store) as opened:
            opened.ledger.api_keys.revoke(key.key_id)
        codes = (client.get("/").status_code for _ in range(4000))
        assert next(code for code in codes if code != 200) == 303


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"]
)
def test_a_session_leads_to_this_site_alone(url, secrets, target):
    with httpx.Client(base_url=url) as client:
        assert signed_in(client, secrets["ann"], next=target).headers["location"] == "/"


def test_a_wrong_key_and_a_foreign_form(url, secrets):
    with httpx.Client(base_url=url) as client, httpx.Client(base_url=url) as other:
        wrong = signed_in(client, "rl_wrong")
        assert (wrong.status_code, "No valid key" in wrong.text) == (401, True)
        foreign = {"form_token": token_on(other), "key": secrets["ann"]}
        assert client.post("/login", data=foreign).status_code == 403
        assert client.post("/login", data={"key": secrets["ann"]}).status_code == 403
        assert httpx.post(f"{url}/login", data=foreign).status_code == 403


def test_another_owners_pages_are_nowhere_and_a_reader_stores_nothing(url, store, secrets):
    with open_store(store) as opened:
        _, reader = opened.ledger.api_keys.create("ann", "phone", ("read",))
    with httpx.Client(base_url=url, headers={"X-API-Key": secrets["ann"]}) as ann:
        portfolio_id = upload(ann, KNOWN).json()["portfolio_id"]
    tails = ("", "/setup", "/setup/progress", "/setup/log", "/charts/stress.svg", "/export/json", "/report")
    with httpx.Client(base_url=url) as bob, httpx.Client(base_url=url) as phone:
        signed_in(bob, secrets["bob"])
        signed_in(phone, reader)
        for tail in (*tails, "/what-if", "/stress/market_up_5"):
            assert bob.get(f"/portfolios/{portfolio_id}{tail}").status_code == 404, tail
            assert phone.get(f"/portfolios/{portfolio_id}{tail}").status_code == 200, tail
        token = {"form_token": token_on(bob, "/")}
        assert bob.post(f"/portfolios/{portfolio_id}/setup/retry", data=token).status_code == 404
        token = {"form_token": token_on(phone, "/")}
        assert phone.post(f"/portfolios/{portfolio_id}/setup/retry", data=token).status_code == 403
        assert phone.get("/onboarding").status_code == 403
        assert "New portfolio</a></li>" not in phone.get("/").text


def test_an_upload_needs_its_token_and_has_an_end(url, secrets):
    file = {"csv_file": ("lots.csv", KNOWN.encode(), "text/csv")}
    huge = {"csv_file": ("lots.csv", b"x" * (MAX_BODY + 1), "text/csv")}
    with httpx.Client(base_url=url) as client:
        signed_in(client, secrets["bob"])
        assert client.post("/onboarding", data=form(), files=file).status_code == 403
        token = {"form_token": token_on(client, "/onboarding")}
        answer = client.post("/onboarding", data=form() | token, files=huge)
        assert (answer.status_code, "<h1>Too large</h1>" in answer.text) == (413, True)
        assert client.post("/onboarding", data=form() | token, files=file).status_code == 303


@pytest.mark.parametrize(
    ("headers", "reads", "writes"),
    [
        ({}, 200, 201),
        ({"Host": "localhost:1"}, 200, 201),
        ({"Host": "[::1]:1"}, 200, 201),
        ({"Host": "evil.example"}, 401, 401),
        ({"Host": "127.0.0.1.evil.example:80"}, 401, 401),
        ({"Sec-Fetch-Site": "same-origin"}, 200, 201),
        ({"Sec-Fetch-Site": "cross-site"}, 200, 401),
        ({"Sec-Fetch-Site": "same-site"}, 200, 401),
    ],
)
def test_other_sites_do_not_come_in_by_the_browser_of_this_machine(open_url, headers, reads, writes):
    with httpx.Client(base_url=open_url, headers=headers) as client:
        assert client.get("/api/v1/portfolios").status_code == reads
        assert client.get("/").status_code == (200 if reads == 200 else 303)
        name = str(uuid4())
        assert upload(client, KNOWN, account_name=name).status_code == writes


def test_sessions_end_and_cannot_be_forged(monkeypatch):
    sessions, others = Sessions(b"one"), Sessions(b"other")
    session = sessions.new("key")
    cookie = sessions.cookie(session)
    assert sessions.read(cookie) == session
    assert others.read(cookie) is None
    assert sessions.read(cookie.replace(".key.", ".yek.")) is None
    for broken in ("", ".", "a.b.c", f"{cookie}x", "\N{GREEK SMALL LETTER ALPHA}." * 3):
        assert sessions.read(broken) is None
    monkeypatch.setattr("service.pages.sessions._now", lambda: session.ends)
    assert sessions.read(cookie) is None
    assert SECONDS == 12 * 3600


def test_a_secret_that_only_its_owner_reads(store, url):
    assert (store / "secret.key").stat().st_mode & 0o777 == 0o600


def test_in_and_out_with_a_browser(browser, url, secrets):
    with visiting(browser, url) as page:
        page.goto("/")
        assert page.url == f"{url}/login?next=/"
        assert keep_pictures(page, "login") == []
        page.get_by_label("API key").fill("rl_wrong")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("alert").wait_for()
        page.get_by_label("API key").fill(secrets["ann"])
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Portfolios", exact=True).wait_for()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("API key").wait_for()
        page.goto("/")
        assert "/login" in page.url
