"""The store's own secret: the service signs with it. Imports the standard library alone."""

import secrets
from pathlib import Path
from uuid import uuid4

SIZE = 32


def signing_secret(folder: Path) -> bytes:
    """Return the secret of the store in a folder; made at the first call, readable by its owner alone."""
    path = folder / "secret.key"
    if not path.exists():
        _create(path)
    return path.read_bytes()


def _create(path: Path) -> None:
    """Let the file appear whole, whoever else makes one at the same time."""
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    draft.touch(mode=0o600, exist_ok=False)
    try:
        draft.write_bytes(secrets.token_bytes(SIZE))
        path.hardlink_to(draft)
    except FileExistsError:
        pass  # another process was first
    finally:
        draft.unlink()
