"""Equity changes over HTTP: fields, codes, windows, pages, sums, the file, and whose they are."""

import csv
import io

import pytest
from owners import NOBODY, age

FIELDS = {
    "id",
    "portfolio_id",
    "change_type",
    "amount",
    "change_date",
    "notes",
    "created_by_user_id",
    "created_at",
    "updated_at",
    "deleted_at",
    "editable_until",
    "deletable_until",
    "is_deleted",
}
DRAFT = {"change_type": "CONTRIBUTION", "amount": 100.25, "change_date": "2024-06-28"}


def path_of(client, account_name, **fields):
    draft = {"name": "Main", "account_name": account_name, "equity_balance": 1000, **fields}
    return f"/portfolios/{client.post('/portfolios', json=draft).json()['id']}/equity-changes"


@pytest.fixture(scope="module")
def path(ann):
    return path_of(ann, "Equity")


def refusal(answer, status=400):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body["detail"]) == {"code", "message"}
    assert body["detail"]["code"] == body["code"]
    return body["code"]


def test_a_contribution(ann, path):
    answer = ann.post(path, json=DRAFT | {"notes": "bonus"})
    made = answer.json()
    assert (answer.status_code, set(made)) == (201, FIELDS)
    assert (made["amount"], made["created_by_user_id"], made["is_deleted"]) == (100.25, "ann", False)
    assert made["editable_until"][:10] > made["created_at"][:10] < made["deletable_until"][:10]
    assert made["deletable_until"].endswith("Z")
    assert ann.get(f"{path}/{made['id']}").json() == made


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"amount": 0}, "EQUITY_001"),
        ({"amount": -5}, "EQUITY_001"),
        ({"amount": "NaN"}, "EQUITY_001"),
        ({"change_date": "2024-07-01"}, "EQUITY_002"),
        ({"change_type": "WITHDRAWAL", "amount": 1_000_000}, "EQUITY_003"),
    ],
)
def test_refusals(ann, path, wrong, code):
    assert refusal(ann.post(path, json=DRAFT | wrong)) == code


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"amount": 1.005}, "amount"),
        ({"amount": 1e13}, "amount"),
        ({"amount": "lots"}, "amount"),
        ({"change_type": "GIFT"}, "change_type"),
        ({"change_date": "June"}, "change_date"),
        ({"notes": "x" * 501}, "notes"),
    ],
)
def test_wrong_fields(ann, path, wrong, field):
    answer = ann.post(path, json=DRAFT | wrong)
    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["detail"]] == [["body", field]]


def test_no_more_can_be_taken_out_than_is_there(ann):
    path = path_of(ann, "Emptied")
    out = DRAFT | {"change_type": "WITHDRAWAL"}
    assert ann.post(path, json=out | {"amount": 600}).status_code == 201
    assert refusal(ann.post(path, json=out | {"amount": 400.01})) == "EQUITY_003"
    last = ann.post(path, json=out | {"amount": 400}).json()
    assert refusal(ann.put(f"{path}/{last['id']}", json={"amount": 401})) == "EQUITY_003"
    assert ann.put(f"{path}/{last['id']}", json={"amount": 399}).json()["amount"] == 399


def test_an_edit_keeps_what_is_not_given_and_ends_after_a_week(ann, path, store):
    made = ann.post(path, json=DRAFT | {"notes": "old"}).json()
    here = f"{path}/{made['id']}"
    edited = ann.put(here, json={"amount": 50}).json()
    assert (edited["amount"], edited["notes"], edited["change_date"]) == (50, "old", "2024-06-28")
    assert ann.put(here, json={"notes": None}).json()["notes"] is None
    assert refusal(ann.put(here, json={"amount": 0})) == "EQUITY_001"
    age(store, "equity_changes", "change_id", made["id"], days=6, hours=23)
    assert ann.put(here, json={"amount": 51}).status_code == 200
    age(store, "equity_changes", "change_id", made["id"], days=7, minutes=1)
    assert refusal(ann.put(here, json={"amount": 52})) == "EQUITY_006"


def test_a_deletion_ends_after_a_month(ann, path, store):
    first, second = (ann.post(path, json=DRAFT).json()["id"] for _ in range(2))
    age(store, "equity_changes", "change_id", first, days=29, hours=23)
    age(store, "equity_changes", "change_id", second, days=30, minutes=1)
    done = ann.delete(f"{path}/{first}")
    assert (done.status_code, done.content) == (204, b"")
    assert refusal(ann.delete(f"{path}/{second}")) == "EQUITY_007"
    assert refusal(ann.delete(f"{path}/{first}")) == "EQUITY_009"
    assert refusal(ann.put(f"{path}/{first}", json={"amount": 1})) == "EQUITY_009"
    assert refusal(ann.get(f"{path}/{first}"), 404) == "EQUITY_008"
    assert first not in ann.get(f"{path}?page_size=100").text


def test_pages_sums_and_the_file(ann):
    path = path_of(ann, "Pages")
    changes = [
        ("CONTRIBUTION", 100, "2024-01-05", None),
        ("CONTRIBUTION", 40.5, "2024-05-01", 'a "b", c'),
        ("WITHDRAWAL", 30, "2024-06-28", None),
    ]
    for kind, amount, day, notes in changes:
        draft = {"change_type": kind, "amount": amount, "change_date": day, "notes": notes}
        assert ann.post(path, json=draft).status_code == 201
    pages = [ann.get(f"{path}?page={number}&page_size=2").json() for number in (1, 2, 3)]
    assert [[each["amount"] for each in page["items"]] for page in pages] == [[30, 40.5], [100], []]
    assert (pages[0]["total_items"], pages[0]["total_pages"], pages[0]["page_size"]) == (3, 2, 2)
    body = ann.get(f"{path}/summary").json()
    assert (body["total_contributions"], body["total_withdrawals"], body["net_flow"]) == (140.5, 30, 110.5)
    assert body["last_change"]["amount"] == 30
    assert body["periods"]["30d"] == {"contributions": 0.0, "withdrawals": 30.0, "net_flow": -30.0}
    assert body["periods"]["90d"] == {"contributions": 40.5, "withdrawals": 30.0, "net_flow": 10.5}
    export = ann.get(f"{path}/export?format=csv")
    assert export.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(export.text)))
    assert [(row["change_type"], row["amount"], row["notes"]) for row in rows] == [
        ("WITHDRAWAL", "30", ""),
        ("CONTRIBUTION", "40.5", 'a "b", c'),
        ("CONTRIBUTION", "100", ""),
    ]
    assert refusal(ann.get(f"{path}/export?format=xlsx")) == "EQUITY_010"


@pytest.mark.parametrize("query", ["page=0", "page_size=0", "page_size=101"])
def test_wrong_pages(ann, path, query):
    assert ann.get(f"{path}?{query}").status_code == 422


def test_another_owners_changes_are_nowhere(ann, bob, path):
    change_id = ann.post(path, json=DRAFT).json()["id"]
    portfolio_id = path.split("/")[2]
    for method, tail, body in (
        ("GET", "", None),
        ("POST", "", DRAFT),
        ("GET", "/summary", None),
        ("GET", "/export", None),
        ("GET", f"/{change_id}", None),
        ("PUT", f"/{change_id}", {"amount": 1}),
        ("DELETE", f"/{change_id}", None),
    ):
        foreign = bob.request(method, path + tail, json=body)
        missing = bob.request(method, path.replace(portfolio_id, NOBODY) + tail, json=body)
        assert refusal(foreign, 404) == refusal(missing, 404) == "EQUITY_004"
        assert foreign.text == missing.text
    assert refusal(ann.get(f"{path}/{NOBODY}"), 404) == "EQUITY_008"
    own = path_of(bob, "Bob's")
    assert refusal(bob.get(f"{own}/{change_id}"), 404) == "EQUITY_008"
