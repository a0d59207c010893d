"""Tells the ledger how the providers stand that a job asks, so that others see it while it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from threading import Event, Thread

from service import clock
from service.providers.standings import Standing, standings
from storage.errors import Transient
from storage.ledger import Ledger
from storage.providers import ProviderNote

SECONDS = 5.0


@contextmanager
def noting(ledger: Ledger) -> Iterator[None]:
    """Note the providers every few seconds, and once more at the end."""
    over = Event()

    def watch() -> None:
        while not over.wait(SECONDS):
            _note(ledger)

    watcher = Thread(target=watch, name="provider notes", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        _note(ledger)


def _note(ledger: Ledger) -> None:
    try:
        ledger.providers.note(map(_noted, standings()))
    except Transient:  # the next note comes soon enough
        return


def _noted(standing: Standing) -> ProviderNote:
    now = clock.utc_now()
    until = clock.timestamp(now + timedelta(seconds=standing.left_alone)) if standing.left_alone else None
    windows = [asdict(window) for window in standing.windows]
    return ProviderNote(standing.name, windows, standing.outages, until, clock.timestamp(now))
