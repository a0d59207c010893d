"""The ledger's API keys: who may call, as which owner, and what for."""

import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from storage.database import Database
from storage.errors import Busy, NotFound
from storage.ledger_tables import api_keys
from storage.processes import timestamp

SHOWN = 11  # characters by which a person tells keys apart: the mark of a key, and eight of its secret
USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Key:
    """An API key without its secret; ``prefix`` is how the secret begins."""

    key_id: str
    owner: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: str
    last_used_at: str | None
    revoked_at: str | None


class ApiKeys:
    """Queries on the API keys of a ledger.

    A secret is random over 256 bits: its plain SHA-256 cannot be guessed backwards, and costs a request
    nothing, where a slow hash for passwords would.
    """

    def __init__(self, ledger: Database) -> None:
        self._ledger = ledger

    def create(self, owner: str, name: str, scopes: Iterable[str]) -> tuple[Key, str]:
        """Make a key, and return it with its secret, which nobody can read again."""
        secret = f"rl_{secrets.token_urlsafe(32)}"
        key = Key(
            key_id=str(uuid4()),
            owner=owner,
            name=name,
            prefix=secret[:SHOWN],
            scopes=tuple(scopes),
            created_at=timestamp(),
            last_used_at=None,
            revoked_at=None,
        )
        with self._ledger.writing() as connection:
            connection.execute(sa.insert(api_keys).values(hash=_hash(secret), **asdict(key)))
        return key, secret

    def find(self, secret: str) -> Key | None:
        """Return the key of a secret, None when it is unknown or revoked; notes its use once a minute."""
        valid = (api_keys.c.hash == _hash(secret)) & api_keys.c.revoked_at.is_(None)
        with self._ledger.reading() as connection:
            row = connection.execute(_select().where(valid)).one_or_none()
        if row is None:
            return None
        key = _key(row)
        if _is_due(key.last_used_at):
            self._note_use(key.key_id)
        return key

    def valid(self, key_id: str) -> Key | None:
        """Return the key of an id, None when there is none or it is revoked."""
        query = _select().where((api_keys.c.key_id == key_id) & api_keys.c.revoked_at.is_(None))
        with self._ledger.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _key(row)

    def of(self, owner: str | None = None) -> list[Key]:
        """Return the keys of an owner or of all, the revoked ones too, oldest first."""
        query = _select().order_by(api_keys.c.created_at)
        if owner is not None:
            query = query.where(api_keys.c.owner == owner)
        with self._ledger.reading() as connection:
            return [_key(row) for row in connection.execute(query)]

    def revoke(self, key_id: str) -> None:
        """Let a key open nothing from now on; ``NotFound`` when no valid key has this id."""
        valid = (api_keys.c.key_id == key_id) & api_keys.c.revoked_at.is_(None)
        with self._ledger.writing() as connection:
            query = sa.update(api_keys).where(valid).values(revoked_at=timestamp())
            if not connection.execute(query).rowcount:
                raise NotFound(f"no valid key {key_id}")

    def _note_use(self, key_id: str) -> None:
        query = sa.update(api_keys).where(api_keys.c.key_id == key_id).values(last_used_at=timestamp())
        try:
            with self._ledger.writing() as connection:
                connection.execute(query)
        except Busy:  # the next use comes soon enough
            return


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _is_due(last_used_at: str | None) -> bool:
    if last_used_at is None:
        return True
    return datetime.now(UTC) - datetime.fromisoformat(last_used_at) >= USE_NOTED_EVERY


def _select() -> sa.Select[Any]:
    return sa.select(*(column for column in api_keys.c if column.name != "hash"))


def _key(row: sa.Row[Any]) -> Key:
    values = dict(row._mapping)
    return Key(**{**values, "scopes": tuple(values["scopes"])})
