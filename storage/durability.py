"""What survives a power cut: fsync of Delta commits, and removal of log entries that did not survive one.

Delta writes files and log entries without fsync. Files that no release names may be lost; everything a
release names is on disk before the release is. Works on local folders only, and imports the standard library
alone.
"""

import json
import os
from pathlib import Path

LOG = "_delta_log"


def fsync(path: Path) -> None:
    """Force a file's content, or a folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_commits(table: Path, since: int, until: int) -> None:
    """Force the data, log entries and checkpoints of the commits ``since < version <= until`` to disk."""
    log = table / LOG
    entries = [_entry(log, version) for version in range(since + 1, until + 1)]
    added = {action["add"]["path"] for entry in entries for action in read_actions(entry) if "add" in action}
    checkpoints = [path for path in log.glob("*.checkpoint.parquet") if since < _version(path) <= until]
    hint = log / "_last_checkpoint"
    for path in [*(table / name for name in added), *entries, *checkpoints, *([hint] if checkpoints else [])]:
        if path.exists():  # a commit that was undone after a power cut may have lost its files
            fsync(path)
    fsync(table)
    fsync(log)


def drop_torn_tail(table: Path, released: int) -> None:
    """Remove what may keep a table from opening, of the log after the released version.

    That is the entries from the first unreadable one on, and every checkpoint: one that no release waited for
    may be torn, and only restates entries.
    """
    log = table / LOG
    tail = sorted(path for path in log.glob("*.json") if path.stem.isdigit() and _version(path) > released)
    torn = next((at for at, path in enumerate(tail) if not _readable(path)), len(tail))
    checkpoints = [path for path in log.glob("*.checkpoint.parquet") if _version(path) > released]
    hint = [log / "_last_checkpoint"] if checkpoints else []
    for path in [*hint, *checkpoints, *reversed(tail[torn:])]:
        path.unlink(missing_ok=True)
    fsync(log)


def _entry(log: Path, version: int) -> Path:
    return log / f"{version:020d}.json"


def _version(path: Path) -> int:
    return int(path.name.partition(".")[0])


def read_actions(entry: Path) -> list[dict[str, dict[str, str]]]:
    """Return the actions of a log entry; ``ValueError`` for a torn one."""
    return [json.loads(line) for line in entry.read_text().splitlines()]


def _readable(entry: Path) -> bool:
    try:
        return bool(read_actions(entry))
    except ValueError:
        return False
