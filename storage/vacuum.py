"""Deletes files of a local Delta table that no release names; imports the standard library alone.

Delta's own vacuum opens every version that is to be kept, and leaves what is left of interrupted writes.
"""

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

from storage.durability import LOG, read_actions
from storage.errors import Corrupt

PIECES = ("*.json.tmp", "*#*")  # what a commit, or a file in the making, is called until it is whole


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """How many files were deleted, and their size in bytes."""

    files: int
    size: int


def vacuum(table: Path, released: Iterable[int], *, older_than: timedelta) -> Vacuumed:
    """Delete data files of a table that neither a released version nor the newest one holds.

    That is what unpublished commits and killed writers left behind. Call it under the layer's lease: nobody
    else may be about to commit a file.

    Parameters
    ----------
    released : iterable of int
        Every version that some release names.
    older_than : timedelta
        Age below which a file stays all the same.

    Raises
    ------
    Corrupt
        An entry of the log is missing, so that nobody can tell what is held; nothing is deleted.
    """
    held = _held(table, sorted(set(released)))
    latest = (datetime.now(UTC) - older_than).timestamp()
    n_files = size = 0
    for path in _candidates(table):
        status = path.stat()
        if path.name not in held and status.st_mtime <= latest:
            path.unlink()
            n_files, size = n_files + 1, size + status.st_size
    return Vacuumed(n_files, size)


def _held(table: Path, released: list[int]) -> set[str]:
    """Names of the files in any released version, or in the newest one."""
    entries = sorted(path for path in (table / LOG).glob("*.json") if path.stem.isdigit())
    if [int(path.stem) for path in entries] != list(range(len(entries))):
        raise Corrupt(f"{table}: its log lacks an entry, so no file can be deleted; restore it from a backup")
    held: set[str] = set()
    added: dict[str, int] = {}
    for version, entry in enumerate(entries):
        for action in read_actions(entry):
            if "remove" in action:
                name = unquote(action["remove"]["path"])
                since = bisect_left(released, added.pop(name, 0))
                if since < len(released) and released[since] < version:
                    held.add(name)
            elif "add" in action:
                added.setdefault(unquote(action["add"]["path"]), version)
    return held | added.keys()


def _candidates(table: Path) -> Iterator[Path]:
    with os.scandir(table) as folder:
        yield from [Path(entry.path) for entry in folder if entry.is_file() and ".parquet" in entry.name]
    for pattern in PIECES:
        yield from (table / LOG).glob(pattern)
