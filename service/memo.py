"""What was made before, kept for whoever asks again; thread-safe."""

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

from cachetools import LRUCache

T = TypeVar("T")


class Memo(Generic[T]):
    """Keeps the results that were asked for last.

    Parameters
    ----------
    budget : int
        How many results are kept, or the sum of their sizes where ``size_of`` tells the size of one.

    Attributes
    ----------
    hits, misses : int
        How often a result was there, and how often one was made.
    """

    def __init__(self, budget: int, size_of: Callable[[T], int] | None = None) -> None:
        self._kept: LRUCache[Hashable, T] = LRUCache(budget, getsizeof=size_of)
        self._budget, self._size_of = budget, size_of
        self._lock = Lock()
        self.hits = self.misses = 0

    def found(self, key: Hashable) -> T | None:
        """Return what is kept under a key, None for nothing."""
        with self._lock:
            found = self._kept.get(key)
            self.hits += found is not None
            return found

    def newest(self) -> list[T]:
        """Return what is kept, what was asked for last first."""
        with self._lock:
            kept = [self._kept.popitem() for _ in range(len(self._kept))]  # what was asked for first, first
            for key, value in kept:
                self._kept[key] = value
        return [value for _, value in reversed(kept)]

    def kept(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what was made under a key, or make it; two threads may both make it."""
        found = self.found(key)
        if found is not None:
            return found
        made = make()
        with self._lock:
            self.misses += 1
            if self._size_of is None or self._size_of(made) <= self._budget:
                self._kept[key] = made
        return made
