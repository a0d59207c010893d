"""What Ctrl-C does: it ends a command once, wherever it is; imports the standard library alone."""

import os
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

EXIT_STOPPED = 130
IMPORT_PAUSE = 0.02  # seconds until an import is looked at again
PATIENCE = 1.0  # seconds in which another Ctrl-C is the same one: clearing up is not to be interrupted

_last = float("-inf")


class Stopped(BaseException):
    """Ctrl-C was pressed. No ``KeyboardInterrupt``: frameworks have answers of their own to that."""


def listen() -> None:
    """Have Ctrl-C raise ``Stopped`` in the main thread from now on."""
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGALRM, _stop)


def leave(code: int) -> NoReturn:
    """End the process; one that was stopped at once, before a thread or another Ctrl-C is in the way."""
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    if was_stopped():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    signal.signal(signal.SIGINT, lambda *_: os._exit(EXIT_STOPPED))
    sys.exit(code)


def was_stopped() -> bool:
    """Whether Ctrl-C was pressed: libraries may have made another error of it on the way."""
    return _last > float("-inf")


def say_so() -> int:
    """Say in one line that the command was stopped, and return its exit code."""
    start = "\n" if sys.stderr.isatty() else ""  # a terminal has written ^C
    sys.stderr.write(f"{start}ridgeline: stopped; what is published stands, and nothing is half done\n")
    return EXIT_STOPPED


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what a handler is called with
    global _last
    if _is_importing(frame):
        signal.setitimer(signal.ITIMER_REAL, IMPORT_PAUSE)
        return
    before, _last = _last, time.monotonic()
    if _last - before > PATIENCE:
        raise Stopped("stopped by Ctrl-C")


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported: compiled ones abort the process on an exception in the middle."""
    while frame is not None and frame.f_globals.get("__name__") != "importlib._bootstrap":
        frame = frame.f_back
    return frame is not None
