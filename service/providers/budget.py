"""The time that one question may take, all waiting included, unless everything is stopped before."""

from threading import Event
from time import monotonic


class StoppedError(Exception):
    """Nobody waits for the answer any more."""


class Budget:
    """Runs from its making; belongs to one thread."""

    def __init__(self, seconds: float, stop: Event) -> None:
        self._until, self._stop = monotonic() + seconds, stop

    def left(self) -> float:
        """Seconds left, at least 0; ``StoppedError`` when nobody waits any more."""
        if self._stop.is_set():
            raise StoppedError
        return max(0.0, self._until - monotonic())

    def sleep(self, seconds: float) -> None:
        """Let time pass; ``StoppedError`` as soon as nobody waits any more."""
        if self._stop.wait(seconds):
            raise StoppedError
