"""Who is calling, and whether they may: API keys by header, scopes by route."""

import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.types import ASGIApp, Middleware, Receive, Scope, Send

from storage.api_keys import Key
from storage.ledger import Ledger

Name: TypeAlias = tuple[str, str | None]  # what a caller is known by: a secret, or the id of a key
Right: TypeAlias = Literal["read", "write", "admin", "sql"]
SCOPES: tuple[Right, ...] = ("read", "write", "admin", "sql")
LOCAL_OWNER = "local"
READING = ("GET", "HEAD", "OPTIONS")
REMEMBERED_SECONDS, REMEMBERED_KEYS = 1.0, 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """An owner and what their key is good for."""

    owner: str
    scopes: frozenset[str]


LOCAL = Caller(LOCAL_OWNER, frozenset(SCOPES))


class Doorkeeper:
    """Finds the caller of a request; a key is looked up again after a second, revoked or not.

    ``open_to_all``: without any key in the ledger, whoever reaches a service on loopback is its owner.
    """

    def __init__(self, ledger: Ledger, *, open_to_all: bool) -> None:
        self._ledger, self._open = ledger, open_to_all
        self._known: dict[Name, tuple[float, Caller | None]] = {}

    def caller(self, secret: str | None) -> Caller | None:
        """Return who a secret belongs to, None for nobody."""
        return self._remembered(("secret", secret), lambda: self._looked_up(secret))

    def visitor(self, scope: Scope) -> Caller | None:
        """Return who a request without a session comes from, None for nobody we know."""
        secret = secret_of(scope)
        return self.caller(secret) if secret is not None or is_at_home(scope) else None

    def holder(self, key_id: str) -> Caller | None:
        """Return who a key belongs to, None when it opens nothing any more."""
        return self._remembered(("id", key_id), lambda: _caller(self._ledger.api_keys.valid(key_id)))

    def _remembered(
        self, name: tuple[str, str | None], look_up: Callable[[], Caller | None]
    ) -> Caller | None:
        now = time.monotonic()
        until, caller = self._known.get(name, (0.0, None))
        if now >= until:
            caller = look_up()
            if len(self._known) >= REMEMBERED_KEYS:
                self._known.clear()
            self._known[name] = (now + REMEMBERED_SECONDS, caller)
        return caller

    def _looked_up(self, secret: str | None) -> Caller | None:
        if secret is None:
            return LOCAL if self._open and not has_keys(self._ledger) else None
        return _caller(self._ledger.api_keys.find(secret))


def _caller(key: Key | None) -> Caller | None:
    return Caller(key.owner, frozenset(key.scopes)) if key else None


def has_keys(ledger: Ledger) -> bool:
    """Whether any key opens anything."""
    return any(key.revoked_at is None for key in ledger.api_keys.of())


class Admission:
    """Lets a request pass whose caller has the route's scope: ``opt={"scope": …}``, else by its method.

    A route with ``opt={"public": True}`` needs no key. Without a valid key ``NotAuthorizedException`` is
    raised, ``PermissionDeniedException`` for a key without the scope.
    """

    def __init__(self, app: ASGIApp, doorkeeper: Doorkeeper) -> None:
        self._app, self._doorkeeper = app, doorkeeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its caller."""
        opt = scope["route_handler"].opt
        if not opt.get("public"):
            reading = scope.get("method") in READING
            scope["auth"] = self._admitted(scope, opt.get("scope", "read" if reading else "write"))
        await self._app(scope, receive, send)

    def _admitted(self, scope: Scope, wanted: str) -> Caller:
        caller = self._doorkeeper.visitor(scope)
        if caller is None:
            raise NotAuthorizedException("give a valid key in X-API-Key or as a Bearer token")
        if wanted not in caller.scopes:
            extra = {"scope": wanted}
            raise PermissionDeniedException(f"this needs a key with the scope {wanted!r}", extra=extra)
        return caller


def admitting(doorkeeper: Doorkeeper) -> Middleware:
    """Return the middleware for routes that need a key; a function, for routers copy what they are given."""
    return lambda app: Admission(app, doorkeeper)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def is_at_home(scope: Scope) -> bool:
    """Whether a request comes from this machine by its own name, and not from another site in its browser.

    A service that needs no key would else serve whoever has a page open there: a name of theirs may lead to
    the loopback address, and a form of theirs may be sent there.
    """
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    site = headers.get(b"sec-fetch-site", b"none")
    return is_loopback(name) and (scope.get("method") in READING or site in (b"none", b"same-origin"))


def secret_of(scope: Scope) -> str | None:
    """Return the key that a request carries."""
    headers = dict(scope["headers"])
    if key := headers.get(b"x-api-key"):
        return key.decode("latin-1")
    kind, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token.strip() if kind.lower() == "bearer" and token.strip() else None


def caller_of(request: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Return the caller that the guard let pass."""
    caller: Caller = request.scope["auth"]
    return caller
