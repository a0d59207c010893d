"""How often a provider may be asked: several windows at once, and the pauses that it asks for."""

from collections.abc import Sequence
from math import inf
from threading import Lock
from time import monotonic, monotonic_ns

from pyrate_limiter import InMemoryBucket, Rate, RateItem, validate_rate_list

from service.errors import UsageError
from service.providers.budget import Budget
from service.providers.standings import Window

MILLISECONDS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


class RateWindows:
    """Windows that slide, all of which have to have room; safe to share between threads.

    They know what this process has asked. What others have, the provider says itself, and is heard.
    """

    def __init__(self, rates: Sequence[str]) -> None:
        parsed = sorted(map(_parsed, rates), key=lambda rate: rate.interval)
        if not validate_rate_list(parsed):
            raise UsageError(
                f"rates {', '.join(rates)}: a longer window must allow more, but fewer for its length"
            )
        self._bucket = InMemoryBucket(parsed)
        self._written = sorted(rates, key=lambda text: _parsed(text).interval)
        self._until = 0.0
        self._lock = Lock()

    def acquire(self, cost: int, budget: Budget) -> float:
        """Wait until there is room, and return 0; or at once the seconds until then, if that is too long."""
        while wait := self._wait(cost):
            if wait > budget.left():
                return wait
            budget.sleep(wait)
        return 0.0

    def pause(self, seconds: float) -> None:
        """Ask nothing for a while."""
        with self._lock:
            self._until = max(self._until, monotonic() + seconds)

    def windows(self) -> tuple[Window, ...]:
        """Return the windows with what has been used of each, the shortest first."""
        with self._lock:
            now = monotonic_ns() // 1_000_000
            asked = [item.timestamp for item in self._bucket.items]
        return tuple(
            Window(text, rate.limit, rate.interval / 1000, sum(at > now - rate.interval for at in asked))
            for text, rate in zip(self._written, self._bucket.rates, strict=True)
        )

    def _wait(self, cost: int) -> float:
        with self._lock:
            paused = self._until - monotonic()
            if paused > 0:
                return paused
            now = monotonic_ns() // 1_000_000
            self._bucket.leak(now)
            item = RateItem("", now, cost)
            if self._bucket.put(item):
                return 0.0
            wait = self._bucket.waiting(item)
            return (wait + 1) / 1000 if isinstance(wait, int) and wait >= 0 else inf


def _parsed(text: str) -> Rate:
    """Read ``50/h`` or ``10/2s``."""
    limit, _, window = text.partition("/")
    unit = window.lstrip("0123456789")
    count = window.removesuffix(unit)
    return Rate(int(limit), int(count or 1) * MILLISECONDS[unit])
