"""What a provider answered: whether it is an answer at all, and if not, why; imports msgspec."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import msgspec

from service import clock
from service.providers.outcomes import Failed, Kind
from service.providers.redaction import redacted

T = TypeVar("T")
EXCERPT = 160
KINDS: Mapping[int, Kind] = {
    401: "auth",
    402: "auth",
    403: "auth",
    404: "unknown_symbol",
    429: "rate_limited",
}
SAYS = ("error message", "error", "detail", "message", "errors", "description")  # keys that explain a refusal
REFUSALS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("rate_limited", ("limit", "too many", "exceeded", "quota")),
    (
        "auth",
        ("api key", "apikey", "api_token", "token", "unauthorized", "not authorized", "subscription", "plan"),
    ),
)


class UnansweredError(Exception):
    """A provider gave no answer that can be used; ``failed`` is the outcome."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back from ``provider``."""

    provider: str
    status: int
    content_type: str
    body: bytes
    retry_after: str | None = None

    @property
    def is_page(self) -> bool:
        """Whether it is a page for a browser: a captcha, a consent, a proxy's own words."""
        return self.body.lstrip()[:1] == b"<"

    def refusal(self) -> Failed | None:
        """Return why this is no answer, None when its body may be read."""
        if self.status == 200:
            is_page = self.is_page or "html" in self.content_type
            return self.failed("blocked", "answered a web page in place of data") if is_page else None
        wait = seconds_of(self.retry_after) if self.status == 429 or self.status >= 500 else None
        return self.failed(self._kind(), f"answered {self.status}: {self.excerpt()}", retry_after=wait)

    def _kind(self) -> Kind:
        """Return what a status other than 200 means; a page with one is somebody else's."""
        if self.status >= 500:
            return "transport"
        if self.status != 429 and (self.is_page or 300 <= self.status < 400):
            return "blocked"
        return KINDS.get(self.status, "bad_payload")

    def decode(self, kind: type[T]) -> T:
        """Read the body as JSON of a type; ``UnansweredError`` when it is something else."""
        try:
            return msgspec.json.decode(self.body, type=kind, strict=False)
        except msgspec.DecodeError as error:
            said = _explanation(self.body)
            if said is None:
                kind_of_data = self.content_type or "something"
                what = f"answered {kind_of_data} that is no such data ({str(error)[:EXCERPT]})"
                raise UnansweredError(self.failed("bad_payload", what)) from error
            raise UnansweredError(self.failed(_kind_of(said), f"refused: {said[:EXCERPT]}")) from error

    def failed(self, kind: Kind, what: str, *, retry_after: float | None = None) -> Failed:
        """Return a failure that names the provider, without any key."""
        return Failed(kind, redacted(f"{self.provider} {what}"), retry_after=retry_after)

    def excerpt(self) -> str:
        """Return the first words of the body."""
        said = _explanation(self.body) or self.body[: 4 * EXCERPT].decode(errors="replace")
        return " ".join(said.split())[:EXCERPT] or "nothing more"


def refused(provider: str, said: str) -> Failed:
    """Return the failure that a provider's own words stand for."""
    return Failed(_kind_of(said), redacted(f"{provider} refused: {said[:EXCERPT]}"))


def seconds_of(retry_after: str | None) -> float | None:
    """Read a ``Retry-After`` header, seconds or a date; None for one that says nothing."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    now = clock.utc_now()
    return max(0.0, (until - now).total_seconds()) if until.tzinfo else None


def _explanation(body: bytes) -> str | None:
    """Words of an error object, None when the body is none."""
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    return _words(found) if isinstance(found, dict) else None


def _words(found: dict[str, Any]) -> str | None:
    lower = {key.lower(): value for key, value in found.items()}
    for key in SAYS:
        said = lower.get(key)
        if isinstance(said, dict):
            said = _words(said)
        if isinstance(said, str | list) and said:
            return str(said)
    return None


def _kind_of(said: str) -> Kind:
    lower = said.lower()
    return next((kind for kind, words in REFUSALS if any(word in lower for word in words)), "bad_payload")
