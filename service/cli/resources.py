"""What commands work on: the settings and the opened store."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.settings import Settings, load_settings
from storage.store import Store, open_store


@contextmanager
def opened(path: Path | None) -> Iterator[tuple[Store, Settings]]:
    """Open the store at a path, that of the settings when not given, and close it afterwards."""
    settings = load_settings()
    with open_store(path or Path(settings.store)) as store:
        yield store, settings
