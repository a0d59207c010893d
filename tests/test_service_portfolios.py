"""Portfolios over HTTP: fields, names, what is refused, the last one, and whose they are."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from owners import NOBODY, enter

FIELDS = {
    "id",
    "user_id",
    "name",
    "account_name",
    "account_type",
    "description",
    "currency",
    "equity_balance",
    "is_active",
    "created_at",
    "updated_at",
    "deleted_at",
    "position_count",
    "net_asset_value",
    "total_value",
}
LOTS = (
    "Symbol,Quantity,Entry Price Per Share,Entry Date\nSPY,100,100.00,2024-01-05\nTLT,-50,90.00,2024-01-05\n"
)


def make(client, account_name, **fields):
    answer = client.post("/portfolios", json={"name": "Main", "account_name": account_name, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_new_portfolio(ann):
    made = make(ann, "New", account_type="IRA", equity_balance=1000.25, description="savings")
    assert set(made) == FIELDS
    assert (made["user_id"], made["account_type"], made["currency"]) == ("ann", "ira", "USD")
    assert (made["equity_balance"], made["net_asset_value"], made["total_value"]) == (1000.25, 1000.25, 0.0)
    assert (made["position_count"], made["is_active"], made["deleted_at"]) == (0, True, None)
    assert made["created_at"].endswith("Z")
    assert ann.get(f"/portfolios/{made['id']}").json() == made


def test_values_are_those_of_the_overview(ann, served):
    with_lots = enter(served, "ann", LOTS, account_name="Valued")
    item = ann.get(f"/portfolios/{with_lots}").json()
    overview = ann.get(f"/analytics/portfolio/{with_lots}/overview").json()
    assert item["net_asset_value"] == overview["net_asset_value"] == 500_000
    assert item["total_value"] == overview["total_value"] != 0
    assert item["position_count"] == overview["position_count"]["total_positions"] == 2


def test_the_list_and_its_sums(ann):
    idle = make(ann, "Idle", is_active=False, equity_balance=5)
    active, every = ann.get("/portfolios").json(), ann.get("/portfolios?include_inactive=true").json()
    assert idle["id"] not in [each["id"] for each in active["portfolios"]]
    assert idle["id"] in [each["id"] for each in every["portfolios"]]
    assert (every["total_count"], every["active_count"]) == (active["total_count"] + 1, active["total_count"])
    for body in (active, every):
        for name in ("net_asset_value", "total_value"):
            assert body[name] == sum(each[name] for each in body["portfolios"])


def test_changes_keep_what_is_not_given(ann):
    made = make(ann, "Changing", equity_balance=10, description="old")
    changed = ann.put(f"/portfolios/{made['id']}", json={"name": " Renamed ", "description": None}).json()
    assert (changed["name"], changed["description"], changed["equity_balance"]) == ("Renamed", None, 10)
    assert changed["updated_at"] > made["updated_at"]
    equity = ann.put(f"/analytics/portfolio/{made['id']}/equity", json={"equity_balance": 77.5})
    assert (equity.status_code, equity.json()["equity_balance"]) == (200, 77.5)
    assert ann.get(f"/portfolios/{made['id']}").json()["net_asset_value"] == 77.5


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": " "}, "name"),
        ({"account_name": "x" * 101}, "account_name"),
        ({"account_name": "a\0b"}, "account_name"),
        ({"account_type": "current"}, "account_type"),
        ({"currency": "dollars"}, "currency"),
        ({"description": "x" * 1001}, "description"),
        ({"equity_balance": -1}, "equity_balance"),
        ({"equity_balance": 1.005}, "equity_balance"),
        ({"equity_balance": "NaN"}, "equity_balance"),
        ({"equity_balance": 1e13}, "equity_balance"),
    ],
)
def test_wrong_fields(ann, wrong, field):
    answer = ann.post("/portfolios", json={"name": "Main", "account_name": "Wrong"} | wrong)
    assert answer.status_code == 422, answer.text
    body = answer.json()
    assert body["code"] == "invalid_request"
    assert [error["loc"] for error in body["detail"]] == [["body", field]]


def test_a_taken_name_and_one_that_is_free_again(ann):
    first, second = make(ann, "Taken"), make(ann, "Other")
    again = ann.post("/portfolios", json={"name": "Main", "account_name": "Taken"})
    assert (again.status_code, again.json()["code"]) == (409, "taken")
    assert ann.put(f"/portfolios/{second['id']}", json={"account_name": "Taken"}).status_code == 409
    deleted = ann.delete(f"/portfolios/{first['id']}")
    assert deleted.status_code == 200
    assert set(deleted.json()) == {"success", "message", "portfolio_id", "deleted_at"}
    assert ann.get(f"/portfolios/{first['id']}").status_code == 404
    assert first["id"] not in ann.get("/portfolios?include_inactive=true").text
    assert make(ann, "Taken")["id"] != first["id"]


def test_the_last_active_portfolio_stays(bob):
    only, idle = make(bob, "Only"), make(bob, "Idle", is_active=False)
    for answer in (
        bob.delete(f"/portfolios/{only['id']}"),
        bob.put(f"/portfolios/{only['id']}", json={"is_active": False}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "last_active_portfolio")
    assert bob.delete(f"/portfolios/{idle['id']}").status_code == 200
    make(bob, "Second")
    assert bob.delete(f"/portfolios/{only['id']}").status_code == 200


def test_one_stays_when_all_are_deleted_at_once(bob):
    ids = [each["id"] for each in bob.get("/portfolios").json()["portfolios"]]
    ids += [make(bob, f"At once {number}")["id"] for number in range(5)]
    with ThreadPoolExecutor(len(ids)) as clients:
        codes = list(clients.map(lambda each: bob.delete(f"/portfolios/{each}").status_code, ids))
    assert sorted(codes) == [200] * (len(ids) - 1) + [400]
    assert len(bob.get("/portfolios").json()["portfolios"]) == 1


def test_another_owners_portfolio_is_nowhere(ann, bob):
    portfolio_id = make(ann, "Private")["id"]
    for method, path, body in (
        ("GET", "/portfolios/{}", None),
        ("PUT", "/portfolios/{}", {"name": "Mine"}),
        ("DELETE", "/portfolios/{}", None),
        ("PUT", "/analytics/portfolio/{}/equity", {"equity_balance": 1}),
    ):
        foreign, missing = (bob.request(method, path.format(i), json=body) for i in (portfolio_id, NOBODY))
        assert foreign.status_code == missing.status_code == 404
        assert foreign.text.replace(portfolio_id, NOBODY) == missing.text
    assert portfolio_id not in bob.get("/portfolios?include_inactive=true").text
