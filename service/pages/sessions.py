"""Who looks at pages: a signed cookie, and a token on every form; imports no framework.

A cookie names an API key by its id, never by its secret, and is no good once the key is revoked. Whoever has
not signed in has a cookie without a key, for the tokens of their forms.
"""

import hmac
import secrets
from dataclasses import dataclass

from service import clock

COOKIE = "ridgeline"
SECONDS = 12 * 3600


@dataclass(frozen=True, slots=True)
class Session:
    """A visit: a random name, the id of the key that opened it, and when it ends (seconds since 1970)."""

    name: str
    key_id: str
    ends: int


class Sessions:
    """Makes cookies and tokens with a secret, and knows its own again."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def new(self, key_id: str = "") -> Session:
        """Return a session that begins now; one for each sign-in, so that none is handed on."""
        return Session(secrets.token_urlsafe(16), key_id, _now() + SECONDS)

    def cookie(self, session: Session) -> str:
        """Return a session as a cookie's value."""
        text = f"{session.name}.{session.key_id}.{session.ends}"
        return f"{text}.{self._signed('session', text)}"

    def read(self, cookie: str) -> Session | None:
        """Return the session of a cookie, None when it is not ours or has ended."""
        text, _, signature = cookie.rpartition(".")
        parts = text.split(".")
        if len(parts) != 3 or not _same(signature, self._signed("session", text)):
            return None
        session = Session(parts[0], parts[1], int(parts[2]))
        return session if _now() < session.ends else None

    def token(self, session: Session) -> str:
        """Return what the forms of a session carry."""
        return self._signed("form", session.name)

    def is_token(self, session: Session, text: str) -> bool:
        """Whether a form was made for a session."""
        return _same(text, self.token(session))

    def _signed(self, use: str, text: str) -> str:
        return hmac.digest(self._secret, f"{use}:{text}".encode(), "sha256").hex()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _now() -> int:
    return int(clock.utc_now().timestamp())
