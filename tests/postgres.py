"""A PostgreSQL server of the tests' own, on a free port of this machine."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "postgres"  # as whom the server runs where the tests run as root, which it refuses
DEBIAN = Path("/usr/lib/postgresql")
UNSAFE = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"  # no test cuts its power


def programs() -> Path | None:
    """The folder of initdb and pg_ctl: that of the PATH, or the newest that Debian's packages installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    return max(DEBIAN.glob("*/bin"), key=lambda folder: int(folder.parent.name), default=None)


@contextmanager
def server() -> Iterator[str]:
    """Run a server, and yield the URL of its databases without a name; ``OSError`` where none can start."""
    folder = programs()
    if folder is None:
        raise OSError("no initdb on the PATH, nor in /usr/lib/postgresql: apt-get install postgresql")
    home = Path(tempfile.mkdtemp(prefix="ridgeline-postgres-"))
    try:
        prefix = as_user(home)
        data, port = home / "data", free_port()
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' {UNSAFE}"
        control = [*prefix, folder / "pg_ctl", "-D", data, "-w", "-s"]
        run(*prefix, folder / "initdb", "-D", data, "-U", USER, "-A", "trust", "--no-sync")
        run(*control, "-l", home / "log", "-o", options, "start")
        try:
            yield f"postgresql://{USER}@127.0.0.1:{port}"
        finally:
            run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home)


def as_user(home: Path) -> list[str]:
    if os.getuid() != 0:
        return []
    try:
        shutil.chown(home, USER, USER)
    except LookupError as error:
        raise OSError(f"root cannot run a server, and there is no user {USER}") from error
    return ["runuser", "-u", USER, "--"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(*command: object) -> None:
    words = [str(word) for word in command]
    pipe = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    done = subprocess.run(words, check=False, cwd="/", **pipe)
    if done.returncode:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip()}")
