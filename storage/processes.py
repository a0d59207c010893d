"""Which process this is, and whether another one still lives; imports the standard library alone."""

import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

HEARTBEAT_SECONDS = 10.0
SILENCE = timedelta(seconds=60)  # six missed heartbeats


@dataclass(frozen=True, slots=True)
class Process:
    """A process of some machine; ``started`` tells it from a later one that was given the same ``pid``."""

    host: str
    pid: int
    started: str


def this_process() -> Process:
    """Return the running process."""
    return Process(socket.gethostname(), os.getpid(), _started(os.getpid()))


def is_alive(process: Process, heartbeat_at: str) -> bool:
    """Tell whether a process lives: on this machine by the kernel, on another one by its last heartbeat.

    On this machine age never counts: a process that was stopped for an hour still owns what it owns.
    """
    if process.host == socket.gethostname():
        return _started(process.pid) == process.started
    return datetime.now(UTC) - datetime.fromisoformat(heartbeat_at) <= SILENCE


def timestamp() -> str:
    """Return the present as UTC ISO text with microseconds and Z."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _started(pid: int) -> str:
    """Return boot and clock tick at which a process started; empty for one that is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces and parentheses
    n_threads, started = int(fields[16]), fields[18]
    if state in "ZX" and n_threads <= 1:  # until its last thread is gone, a killed process may finish a write
        return ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{started}"
