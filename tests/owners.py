"""Two owners of a running service, and a way to age what they entered."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx
from service_process import upload

from storage.store import open_store

NOBODY = "00000000-0000-4000-8000-000000000000"
NOON = "2024-06-30T12:00"


def keys_of(store):
    """A key for Ann and one for Bob."""
    with open_store(store) as opened:
        keys = opened.ledger.api_keys
        return {owner: keys.create(owner, "laptop", ("read", "write"))[1] for owner in ("ann", "bob")}


def enter(served, owner, csv, **changes):
    """Enter a portfolio of an owner from a CSV, and return its id."""
    url, secrets = served
    with httpx.Client(base_url=url, headers={"X-API-Key": secrets[owner]}) as client:
        answer = upload(client, csv, **changes)
    assert answer.status_code == 201, answer.text
    return answer.json()["portfolio_id"]


def age(store, table, key, value, **span):
    """Let what was entered have been entered earlier."""
    entered = (datetime.now(UTC) - timedelta(**span)).isoformat(timespec="microseconds")
    with closing(sqlite3.connect(store / "ledger.sqlite")) as connection, connection:
        sql = f"UPDATE {table} SET created_at = ? WHERE {key} = ?"
        assert connection.execute(sql, (entered.replace("+00:00", "Z"), value)).rowcount == 1
