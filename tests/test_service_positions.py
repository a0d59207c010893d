"""Positions over HTTP: rules, values, windows, closing, marks, deletion, and whose they are."""

import pytest
from owners import NOBODY, age, enter

FIELDS = {
    "id",
    "portfolio_id",
    "symbol",
    "quantity",
    "split_factor",
    "entry_price",
    "entry_date",
    "position_type",
    "investment_class",
    "investment_subtype",
    "notes",
    "underlying_symbol",
    "strike_price",
    "expiration_date",
    "last_price",
    "market_value",
    "unrealized_pnl",
    "realized_pnl",
    "exit_price",
    "exit_date",
    "created_at",
    "updated_at",
    "deleted_at",
    "closed_position_id",
}
LOTS = "Symbol,Quantity,Entry Price Per Share,Entry Date\nSPY,100,100.00,2024-01-05\n"
STOCK = {"symbol": "SPY", "quantity": 10, "avg_cost": 100.5, "entry_date": "2024-01-05"}
OPTION = {
    "symbol": "SPY-CALL",
    "quantity": 2,
    "avg_cost": 3.25,
    "position_type": "SC",
    "investment_class": "OPTIONS",
    "underlying_symbol": "SPY",
    "strike_price": 110,
    "expiration_date": "2025-01-17",
}
FUND = {"symbol": "HARBOR", "quantity": 4, "avg_cost": 2500, "investment_class": "PRIVATE"}


@pytest.fixture(scope="module")
def portfolio_id(served):
    return enter(served, "ann", LOTS, account_name="Positions")


@pytest.fixture
def add(ann, portfolio_id):
    def added(draft=STOCK, **changes):
        answer = ann.post(f"/positions?portfolio_id={portfolio_id}", json=draft | changes)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return added


def overview(ann, portfolio_id):
    return ann.get(f"/analytics/portfolio/{portfolio_id}/overview").json()


def test_a_stock(ann, add):
    made = add(symbol="spy", notes="core")
    assert set(made) == FIELDS
    assert (made["symbol"], made["position_type"], made["investment_class"]) == ("SPY", "LONG", "PUBLIC")
    assert (made["quantity"], made["entry_price"], made["notes"]) == (10.0, 100.5, "core")
    assert made["market_value"] == pytest.approx(10 * made["last_price"], rel=1e-12)
    assert made["unrealized_pnl"] == pytest.approx(10 * (made["last_price"] - 100.5), rel=1e-9)
    assert ann.get(f"/positions/{made['id']}").json() == made


def test_a_trailing_slash_and_today(ann, portfolio_id):
    draft = {name: value for name, value in STOCK.items() if name != "entry_date"}
    answer = ann.post(f"/positions/?portfolio_id={portfolio_id}", json=draft)
    assert (answer.status_code, answer.json()["entry_date"]) == (201, "2024-06-30")


@pytest.mark.parametrize("quantity", [10, -10])
def test_a_short_is_negative(add, quantity):
    made = add(quantity=quantity, position_type="SHORT")
    assert (made["quantity"], made["position_type"]) == (-10.0, "SHORT")
    assert made["market_value"] == pytest.approx(-10 * made["last_price"], rel=1e-12)
    assert made["unrealized_pnl"] == pytest.approx(-10 * (made["last_price"] - 100.5), rel=1e-9)


def test_an_option_by_its_terms_and_by_its_symbol(add):
    made = add(OPTION)
    assert (made["quantity"], made["position_type"], made["strike_price"]) == (-2.0, "SC", 110.0)
    spelled = add({"symbol": "SPY250117P00100000", "quantity": 1, "avg_cost": 2})
    assert (spelled["investment_class"], spelled["position_type"]) == ("OPTIONS", "LP")
    assert (spelled["underlying_symbol"], spelled["strike_price"]) == ("SPY", 100.0)
    unnamed = add(OPTION, symbol="")
    assert unnamed["symbol"] == "SPY250117C00110000"


@pytest.mark.parametrize(
    ("draft", "wrong", "field"),
    [
        (STOCK, {"symbol": "A B"}, "symbol"),
        (STOCK, {"symbol": ""}, "symbol"),
        (STOCK, {"symbol": "X" * 101}, "symbol"),
        (STOCK, {"quantity": 0}, "quantity"),
        (STOCK, {"quantity": "1.1234567"}, "quantity"),
        (STOCK, {"quantity": "NaN"}, "quantity"),
        (STOCK, {"quantity": "many"}, "quantity"),
        (STOCK, {"avg_cost": 0}, "avg_cost"),
        (STOCK, {"avg_cost": 1.005}, "avg_cost"),
        (STOCK, {"entry_date": "2024-07-01"}, "entry_date"),
        (STOCK, {"entry_date": "1/5/2024"}, "entry_date"),
        (STOCK, {"entry_date": "1900-01-01"}, "entry_date"),
        (STOCK, {"investment_class": "CRYPTO"}, "investment_class"),
        (STOCK, {"investment_class": "PUBLIC", "investment_subtype": "ART"}, "investment_subtype"),
        (STOCK, {"position_type": "LC"}, "position_type"),
        (STOCK, {"position_type": "LONG", "quantity": -1}, "position_type"),
        (STOCK, {"position_type": "UP"}, "position_type"),
        (STOCK, {"manual_price": 5}, "manual_price"),
        (FUND, {"manual_price": -1}, "manual_price"),
        (FUND, {"manual_price": 1, "manual_price_date": "2024-07-01"}, "manual_price_date"),
        (FUND, {"manual_price_date": "2024-06-01"}, "manual_price"),
        (OPTION, {"strike_price": None}, "strike_price"),
        (OPTION, {"underlying_symbol": None}, "underlying_symbol"),
        (OPTION, {"expiration_date": None}, "expiration_date"),
        (OPTION, {"position_type": None}, "position_type"),
    ],
)
def test_wrong_fields(ann, portfolio_id, draft, wrong, field):
    answer = ann.post(f"/positions?portfolio_id={portfolio_id}", json=draft | wrong)
    assert answer.status_code == 422, answer.text
    assert [error["loc"] for error in answer.json()["detail"]] == [["body", field]]


def test_several_all_or_none(ann, portfolio_id):
    before = ann.get(f"/portfolios/{portfolio_id}").json()["position_count"]
    wrong = {"portfolio_id": portfolio_id, "positions": [STOCK, STOCK | {"symbol": "A B", "quantity": 0}]}
    refused = ann.post("/positions/bulk", json=wrong)
    assert refused.status_code == 422
    places = [error["loc"] for error in refused.json()["detail"]]
    assert places == [["body", "positions", 1, "symbol"], ["body", "positions", 1, "quantity"]]
    assert ann.get(f"/portfolios/{portfolio_id}").json()["position_count"] == before
    right = {"portfolio_id": portfolio_id, "positions": [STOCK | {"notes": "a"}, FUND | {"manual_price": 9}]}
    made = ann.post("/positions/bulk", json=right)
    assert (made.status_code, made.json()["count"]) == (201, 2)
    assert [each["notes"] for each in made.json()["positions"]] == ["a", None]
    assert ann.get(f"/portfolios/{portfolio_id}").json()["position_count"] == before + 2
    assert ann.post("/positions/bulk", json=right | {"positions": []}).status_code == 422


def test_an_unknown_symbol_is_queued(ann, add):
    assert add(symbol="NEWCO")["market_value"] is None
    assert ann.get("/symbols/NEWCO/status").json()["status"] == "pending"


def test_marks_of_a_private_position(ann, portfolio_id, add):
    made = add(FUND)
    assert made["last_price"] == 2500  # its entry price, as long as it has no mark
    marked = ann.put(
        f"/positions/{made['id']}", json={"manual_price": 3000, "manual_price_date": "2024-06-03"}
    )
    assert (marked.json()["last_price"], marked.json()["market_value"]) == (3000, 12_000)
    newer = ann.put(f"/positions/{made['id']}", json={"manual_price": "3100.5"}).json()
    assert newer["last_price"] == 3000  # the newest mark is of a day after the book's session
    assert add(FUND, manual_price=1, manual_price_date="2024-06-28")["market_value"] == 4
    stock = add()
    refused = ann.put(f"/positions/{stock['id']}", json={"manual_price": 5})
    assert refused.json()["detail"][0]["loc"] == ["body", "manual_price"]


def test_changes_keep_what_is_not_given(ann, add):
    made = add(notes="old")
    path = f"/positions/{made['id']}"
    changed = ann.put(path, json={"quantity": 7.5, "avg_cost": 99}).json()
    assert (changed["quantity"], changed["entry_price"], changed["notes"]) == (7.5, 99.0, "old")
    assert ann.put(path, json={"entry_price": 98, "notes": None}).json()["entry_price"] == 98.0
    short = ann.put(path, json={"position_type": "SHORT"}).json()
    assert (short["quantity"], short["notes"]) == (-7.5, None)
    assert ann.put(path, json={"position_type": "LONG"}).json()["quantity"] == 7.5
    for wrong, field in (
        ({"quantity": 0}, "quantity"),
        ({"avg_cost": -1}, "avg_cost"),
        ({"position_type": "LP"}, "position_type"),
        ({"avg_cost": 1, "entry_price": 2}, "entry_price"),
        ({"exit_price": 5}, "exit_date"),
        ({"close_quantity": 5}, "exit_date"),
        ({"exit_date": "2024-07-01"}, "exit_date"),
        ({"exit_date": "2024-01-04"}, "exit_date"),
        ({"exit_date": "2024-06-28", "exit_price": -1}, "exit_price"),
        ({"exit_date": "2024-06-28", "close_quantity": 8}, "close_quantity"),
        ({"exit_date": "2024-06-28", "close_quantity": 0}, "close_quantity"),
    ):
        answer = ann.put(path, json=wrong)
        assert answer.status_code == 422, wrong
        assert [error["loc"] for error in answer.json()["detail"]] == [["body", field]], wrong
    assert ann.get(path).json()["quantity"] == 7.5


def test_another_symbol_within_five_minutes(ann, add, store):
    made = add()
    path = f"/positions/{made['id']}"
    refused = ann.put(path, json={"symbol": "TLT"})
    assert (refused.status_code, refused.json()["code"]) == (400, "symbol_edit")
    edited = ann.put(path, json={"symbol": "tlt", "allow_symbol_edit": True}).json()
    assert (edited["symbol"], edited["last_price"] == made["last_price"]) == ("TLT", False)
    age(store, "positions", "position_id", made["id"], minutes=4, seconds=50)
    assert ann.put(f"{path}?allow_symbol_edit=true", json={"symbol": "SPY"}).json()["symbol"] == "SPY"
    wrong = ann.put(path, json={"symbol": "A B", "allow_symbol_edit": True})
    assert wrong.json()["detail"][0]["loc"] == ["body", "symbol"]
    age(store, "positions", "position_id", made["id"], minutes=5, seconds=1)
    assert ann.put(f"{path}?allow_symbol_edit=true", json={"symbol": "TLT"}).status_code == 400


def test_closing_in_parts_and_whole(ann, portfolio_id, add):
    made = add(OPTION, quantity=5)
    path, before = f"/positions/{made['id']}", overview(ann, portfolio_id)["position_count"]
    sale = {"exit_date": "2024-06-28", "exit_price": 1.25, "close_quantity": 2}
    part = ann.put(path, json=sale | {"exit_date": "2024-06-30"}).json()
    assert (part["quantity"], part["exit_date"], part["realized_pnl"]) == (-3.0, None, None)
    closed = ann.get(f"/positions/{part['closed_position_id']}").json()
    assert (closed["quantity"], closed["exit_price"], closed["exit_date"]) == (-2.0, 1.25, "2024-06-30")
    assert closed["realized_pnl"] == (1.25 - 3.25) * -2 * 100
    assert (closed["market_value"], closed["last_price"]) == (None, None)
    whole = ann.put(path, json={"exit_date": "2024-06-30", "exit_price": 4}).json()
    assert (whole["quantity"], whole["realized_pnl"]) == (-3.0, (4 - 3.25) * -3 * 100)
    assert whole["closed_position_id"] is None
    after = overview(ann, portfolio_id)["position_count"]
    assert after["total_positions"] == before["total_positions"] - 1
    corrected = ann.put(path, json={"exit_price": 5}).json()
    assert (corrected["exit_price"], corrected["exit_date"]) == (5.0, "2024-06-30")
    assert ann.put(path, json={"close_quantity": 1}).status_code == 422


def test_deleting(ann, portfolio_id, add, store):
    soft, fresh, old = add(), add(), add()
    age(store, "positions", "position_id", old["id"], minutes=6)
    for made, force, kind in (
        (soft, "false", "soft_delete"),
        (fresh, "true", "hard_delete"),
        (old, "true", "soft_delete"),
    ):
        answer = ann.delete(f"/positions/{made['id']}?force_hard_delete={force}")
        body = answer.json()
        assert (answer.status_code, body["type"], body["symbol"]) == (200, kind, "SPY")
        assert (body["reason"] is None) is (made is not old)
        assert (body["deleted_at"] is None) is (kind == "hard_delete")
        assert ann.get(f"/positions/{made['id']}").status_code == 404
    assert ann.delete(f"/positions/{soft['id']}").status_code == 404


def test_deleting_several(ann, bob, served, add):
    ids = [add()["id"], add(symbol="TLT")["id"]]
    foreign = enter(served, "bob", LOTS, account_name="Bulk")
    theirs = bob.get(f"/positions/check-duplicate?portfolio_id={foreign}&symbol=SPY").json()
    body = {"position_ids": [*ids, theirs["existing_positions"][0]["id"]]}
    assert ann.request("DELETE", "/positions/bulk", json=body).status_code == 404
    assert ann.get(f"/positions/{ids[0]}").status_code == 200
    done = ann.request("DELETE", "/positions/bulk", json={"position_ids": ids, "force_hard_delete": True})
    assert (done.status_code, done.json()) == (
        200,
        {"deleted": True, "count": 2, "positions": ["SPY", "TLT"]},
    )
    assert ann.get(f"/positions/{ids[1]}").status_code == 404


@pytest.mark.parametrize(
    ("symbol", "valid", "named"),
    [("spy", True, "SPY"), ("nobody", True, "NOBODY"), ("A B", False, "A B"), ("X" * 101, False, "X" * 100)],
)
def test_symbols(ann, symbol, valid, named):
    answer = ann.post("/positions/validate-symbol", params={"symbol": symbol})
    assert (answer.status_code, answer.json()["valid"], answer.json()["symbol"]) == (200, valid, named)
    assert (answer.json()["message"] is None) is (symbol == "spy")


def test_duplicates_are_open_lots_alone(ann, served):
    portfolio_id = enter(served, "ann", LOTS, account_name="Duplicates")
    query = {"portfolio_id": portfolio_id, "symbol": "spy"}
    body = ann.get("/positions/check-duplicate", params=query).json()
    assert (body["has_duplicates"], len(body["existing_positions"]), body["tags_to_inherit"]) == (True, 1, [])
    ann.put(f"/positions/{body['existing_positions'][0]['id']}", json={"exit_date": "2024-06-28"})
    assert ann.get("/positions/check-duplicate", params=query).json()["has_duplicates"] is False


def test_another_owners_position_is_nowhere(ann, bob, portfolio_id, add):
    made = add()["id"]
    for method, path, body, theirs in (
        ("GET", "/positions/{}", None, made),
        ("PUT", "/positions/{}", {"quantity": 1}, made),
        ("DELETE", "/positions/{}", None, made),
        ("DELETE", "/positions/bulk", {"position_ids": ["{}"]}, made),
        ("POST", "/positions?portfolio_id={}", STOCK, portfolio_id),
        ("POST", "/positions/bulk", {"portfolio_id": "{}", "positions": [STOCK]}, portfolio_id),
        ("GET", "/positions/check-duplicate?portfolio_id={}&symbol=SPY", None, portfolio_id),
    ):
        foreign, missing = (bob.request(method, path.format(i), json=_of(body, i)) for i in (theirs, NOBODY))
        assert foreign.status_code == missing.status_code == 404, path
        assert foreign.text.replace(theirs, NOBODY) == missing.text
    assert ann.get(f"/positions/{made}").json()["quantity"] == 10


def _of(body, id_):
    if body is None or "position_ids" not in body:
        return body and body | ({"portfolio_id": id_} if "portfolio_id" in body else {})
    return {"position_ids": [id_]}
