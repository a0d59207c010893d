"""What commands work on: the settings and the opened store."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import UsageError
from service.settings import Settings, load_settings
from storage.store import Store, open_store


@contextmanager
def opened(path: Path | None, *, create: bool = False) -> Iterator[tuple[Store, Settings]]:
    """Open the store at a path, that of the settings when not given, and close it afterwards.

    Parameters
    ----------
    create : bool
        Whether to make a store where there is none.

    Raises
    ------
    UsageError
        There is no store, or none can be made there.
    """
    settings = load_settings()
    folder = path or Path(settings.store)
    if not create and not (folder / "lake").is_dir():
        raise UsageError(f"{folder} is no store; `ridgeline ingest` makes one, --store names another")
    try:
        store = open_store(folder, ledger_url=settings.ledger)
    except OSError as error:
        raise UsageError(
            f"{folder}: {error.strerror or error}; name a folder that can be written to with --store"
        ) from error
    with store:
        yield store, settings
