"""Brings what the code of a run logs to the run's activity log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

from service.jobs.progress import Level, Progress

CAPTURED = ("service.jobs", "service.providers", "engine")
LEVELS: dict[int, Level] = {logging.WARNING: "warning", logging.ERROR: "error", logging.CRITICAL: "error"}
_current: ContextVar[Progress | None] = ContextVar("told_of_logs", default=None)


class ActivityLogHandler(logging.Handler):
    """Brings what a run's code logs to the activity log of that run."""

    def emit(self, record: logging.LogRecord) -> None:
        """Add a record's message to the run that logged it."""
        progress = _current.get()
        if progress is not None and record.name.startswith(CAPTURED):
            progress.add_activity(record.getMessage(), LEVELS.get(record.levelno, "info"))


_handler, _attached, _attaching = ActivityLogHandler(logging.INFO), 0, Lock()


@contextmanager
def captured(progress: Progress) -> Iterator[None]:
    """Bring what this thread logs to a run's activity log; the handler is attached once for all runs."""
    global _attached  # noqa: PLW0603 - the root logger is global, too
    with _attaching:
        _attached += 1
        logging.getLogger().addHandler(_handler)  # adding what is there already changes nothing
    token = _current.set(progress)
    try:
        yield
    finally:
        _current.reset(token)
        with _attaching:
            _attached -= 1
            if not _attached:
                logging.getLogger().removeHandler(_handler)
