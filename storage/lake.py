"""The lake: Delta tables under one root, a local folder or an object store's URL; imports deltalake.

A table is read at the version that a release names, never at its newest. A file never crosses a calendar
quarter, and its rows are sorted by the table's key: so replacing a range rewrites the quarters it touches,
and nothing else.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import TypeAlias

import polars as pl
from deltalake import DeltaTable, PostCommitHookProperties, Schema
from deltalake.exceptions import DeltaError

from storage.durability import drop_torn_tail, fsync, fsync_commits
from storage.errors import Corrupt, InvalidLocation, NoRoom
from storage.scan import DataFile, data_files
from storage.table import Table
from storage.vacuum import Vacuumed, vacuum

Files: TypeAlias = tuple[DataFile, ...]

# A release stays readable for good: no commit may clean the log up, and no vacuum finds a file old enough.
CONFIGURATION = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}
# Checkpoints are made when a release is published, and are then as durable as the release.
NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
CHECKPOINT_INTERVAL = 50
MAX_LISTINGS = 256
FORBIDDEN = set("%[]*?\\|^")  # deltalake or DuckDB take them for escapes or patterns


class Lake:
    """All tables under one root; thread-safe for readers."""

    def __init__(self, root: str) -> None:
        if FORBIDDEN & set(root):
            raise InvalidLocation(f"{root}: a store's path may hold none of {' '.join(sorted(FORBIDDEN))}")
        self.root = root
        self.is_local = "://" not in root
        self._listings: dict[tuple[str, int], Files] = {}
        self._lock = Lock()

    def path(self, table: Table) -> str:
        """Return the folder or URL of a table."""
        return f"{self.root}/{table.name}"

    def has(self, table: Table) -> bool:
        """Whether the table was created."""
        return DeltaTable.is_deltatable(self.path(table))

    def create(self, table: Table) -> None:
        """Create a table, empty, at version 0, unless it is there."""
        if self.is_local:
            Path(self.root).mkdir(exist_ok=True)
        empty = pl.DataFrame(schema=table.schema).to_arrow()
        DeltaTable.create(
            self.path(table),
            Schema.from_arrow(empty.schema),
            mode="ignore",
            name=table.name,
            description=table.comment,
            configuration=CONFIGURATION,
        )
        self.make_durable(table, -1, 0)
        if self.is_local:
            fsync(Path(self.root))

    def opened(self, table: Table, version: int | None = None) -> DeltaTable:
        """Open a table at a version, or at its newest; ``Corrupt`` when its log cannot be read."""
        try:
            return DeltaTable(self.path(table), version=version)
        except DeltaError as error:
            at = "" if version is None else f" at version {version}"
            raise Corrupt(
                f"{self.path(table)} does not open{at}: {error}; restore it from a backup"
            ) from error

    def files(self, table: Table, version: int) -> Files:
        """Return the files of a table version; listed once, since a version never changes."""
        key = (table.name, version)
        with self._lock:
            if key not in self._listings:
                while len(self._listings) >= MAX_LISTINGS:
                    self._listings.pop(next(iter(self._listings)))
                self._listings[key] = self.files_of(table, self.opened(table, version))
            return self._listings[key]

    def files_of(self, table: Table, delta: DeltaTable) -> Files:
        """Return the files of an open table."""
        actions = pl.DataFrame(delta.get_add_actions(flatten=True))
        return data_files(table, self.path(table), actions)

    def restored(self, table: Table, version: int) -> DeltaTable:
        """Open a table for writing, as the released version left it.

        Whatever a writer that died had committed since is undone, by Delta's own restore: a new version with
        the old content. Done already, it is not done again. Call it under the layer's lease.
        """
        if self.is_local:
            drop_torn_tail(Path(self.path(table)), version)
        delta = self.opened(table)
        if delta.version() < version:
            raise Corrupt(f"{self.path(table)} ends at version {delta.version()}, released is {version}")
        if delta.version() > version and not _restores(delta, version):
            try:
                with needing_room(table):
                    delta.restore(version, post_commithook_properties=NO_HOOKS)
            except DeltaError as error:
                raise Corrupt(
                    f"{self.path(table)} cannot be restored to version {version}: {error}"
                ) from error
        return delta

    def vacuum(self, table: Table, released: Iterable[int], *, older_than: timedelta) -> Vacuumed:
        """Delete files that no released version holds; ``storage.vacuum`` says which, and when to call it."""
        if not self.is_local:
            return Vacuumed(0, 0)
        return vacuum(Path(self.path(table)), released, older_than=older_than)

    def make_durable(self, table: Table, since: int, until: int) -> None:
        """Force the commits after ``since`` up to ``until`` to disk; on an object store their PUTs did."""
        if self.is_local:
            fsync_commits(Path(self.path(table)), since, until)


@contextmanager
def needing_room(table: Table) -> Iterator[None]:
    """Write to a table's folder; ``NoRoom`` when the disk takes no more, or fails."""
    try:
        yield
    except (OSError, DeltaError) as error:
        if not isinstance(error, OSError) and "os error" not in str(error):
            raise
        cause = str(error).strip().splitlines()[-1].rpartition("↳\x1b[0m ")[2].strip()
        raise NoRoom(
            f"{table.name} cannot be written: {cause}; make room on the lake's disk and run again"
        ) from error


def checkpoint_if_due(delta: DeltaTable, since: int) -> None:
    """Write a checkpoint when the commits after ``since`` crossed a multiple of 50: opening stays quick."""
    if delta.version() // CHECKPOINT_INTERVAL > since // CHECKPOINT_INTERVAL:
        delta.create_checkpoint()


def _restores(delta: DeltaTable, version: int) -> bool:
    """Whether the newest log entry is a restore to this very version."""
    entry = delta.history(1)[0]
    parameters = entry.get("operationParameters", {})
    return bool(entry.get("operation") == "RESTORE" and parameters.get("version") == str(version))
