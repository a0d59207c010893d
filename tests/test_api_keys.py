"""API keys of the ledger: a secret is shown once and opens until it is revoked."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from storage import api_keys
from storage.errors import NotFound


def test_a_secret_finds_its_key(ledger):
    key, secret = ledger.api_keys.create("ann", "laptop", ["read", "write"])
    other, second = ledger.api_keys.create("bob", "cron", [])
    assert re.fullmatch(r"rl_[A-Za-z0-9_-]{43}", secret)
    assert secret.startswith(key.prefix)
    assert (key.scopes, other.scopes) == (("read", "write"), ())
    assert ledger.api_keys.find(secret) == key
    assert ledger.api_keys.find(second) == other
    for wrong in ("", secret[:-1], secret.upper(), key.prefix, "rl_é"):
        assert ledger.api_keys.find(wrong) is None


def test_the_secret_is_nowhere_in_the_ledger(ledger):
    _, secret = ledger.api_keys.create("ann", "laptop", ["read"])
    with ledger.reading() as connection:
        row = connection.execute(sa.text("SELECT * FROM api_keys")).one()
    assert secret not in str(row)
    assert secret[3 + 8 :] not in str(row)


def test_a_revoked_key_opens_nothing(ledger):
    key, secret = ledger.api_keys.create("ann", "laptop", ["read"])
    kept, _ = ledger.api_keys.create("ann", "cron", ["admin"])
    ledger.api_keys.revoke(key.key_id)
    assert ledger.api_keys.find(secret) is None
    assert [found.revoked_at is None for found in ledger.api_keys.of("ann")] == [False, True]
    assert ledger.api_keys.of()[1] == kept
    assert ledger.api_keys.of("bob") == []
    with pytest.raises(NotFound, match="no valid key"):
        ledger.api_keys.revoke(key.key_id)


def test_its_use_is_noted_once_a_minute(ledger, monkeypatch):
    _, secret = ledger.api_keys.create("ann", "laptop", ["read"])
    ledger.api_keys.find(secret)
    first = ledger.api_keys.find(secret).last_used_at
    assert ledger.api_keys.of("ann")[0].last_used_at == first is not None
    monkeypatch.setattr(api_keys, "USE_NOTED_EVERY", timedelta(0))
    ledger.api_keys.find(secret)
    assert ledger.api_keys.of("ann")[0].last_used_at > first
