"""The ledger: a small relational database of what people entered and what jobs did."""

from pathlib import Path
from uuid import uuid4

import polars as pl
import sqlalchemy as sa

from storage import database
from storage.database import Database
from storage.runs import Runs
from storage.symbols import Symbols


class Ledger(Database):
    """The ledger at a database's URL; thread-safe.

    Attributes
    ----------
    symbols : Symbols
        Registered symbols, their ids, and what has to be computed again.
    runs : Runs
        Runs of jobs.
    """

    def __init__(self, url: sa.URL) -> None:
        super().__init__(url)
        self.symbols, self.runs = Symbols(self), Runs(self)

    def copies(self) -> dict[str, pl.DataFrame]:
        """Return the tables that analysts see, whole."""
        return {table.name: self.frame(table) for table in (database.symbols, database.runs)}


def ledger_in(path: Path) -> Ledger:
    """Open the SQLite ledger at a path, or create it readable by its owner alone."""
    if not path.exists():
        _create_private(path)
    return Ledger(sa.URL.create("sqlite", database=str(path)))


def _create_private(path: Path) -> None:
    """Create an empty file that appears closed: closing one that SQLite has open drops SQLite's own locks."""
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    draft.touch(mode=0o600, exist_ok=False)
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass  # another process was first
    finally:
        draft.unlink()
