"""Leaves a provider alone that is down: after failures in a row nobody asks it, then one, then all.

Small enough to stand here: of the libraries, one holds a lock while a call runs, so that calls would follow
one another, another lets everybody try at once, a third is made for asyncio.
"""

from threading import Lock
from time import monotonic


class CircuitBreaker:
    """Counts outages in a row; safe to share between threads."""

    def __init__(self, failures: int, seconds: float) -> None:
        self._limit, self._seconds = failures, seconds
        self._failed, self._next_trial = 0, 0.0
        self._lock = Lock()

    def wait(self) -> float:
        """Seconds until asking makes sense, 0 for now.

        While the circuit is open, whoever comes first after its time asks on behalf of all others.
        """
        with self._lock:
            if self._failed < self._limit:
                return 0.0
            now = monotonic()
            if now < self._next_trial:
                return self._next_trial - now
            self._next_trial = now + self._seconds
            return 0.0

    def standing(self) -> tuple[int, float]:
        """Return the outages in a row, and the seconds until somebody asks again, 0 for a closed circuit."""
        with self._lock:
            is_open = self._failed >= self._limit
            return self._failed, max(0.0, self._next_trial - monotonic()) if is_open else 0.0

    def succeed(self) -> None:
        """Close the circuit: the provider answered."""
        with self._lock:
            self._failed = 0

    def fail(self) -> bool:
        """Count an outage, and return whether it opens the circuit; later ones keep it open."""
        with self._lock:
            self._failed += 1
            if self._failed >= self._limit:
                self._next_trial = monotonic() + self._seconds
            return self._failed == self._limit
