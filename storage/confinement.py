"""Takes from a process every right but to read a few files, by the kernel's means; standard library alone.

Linux's Landlock holds for whoever runs the process, root included, and for every thread that starts later.
"""

import ctypes
import os
import resource
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from storage.errors import StorageError

# linux/landlock.h, linux/prctl.h, linux/capability.h; the numbers of the calls are those of all machines.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION_FLAG, PATH_BENEATH = 1, 1
READ_FILE, READ_DIR = 1 << 2, 1 << 3
EVERY_FILE_RIGHT = (1 << 15) - 1  # from executing to truncating
EVERY_TCP_RIGHT = 0b11  # to bind and to connect
NEEDED_VERSION = 4  # the first that knows of all these, in Linux 6.7
SET_DEATH_SIGNAL, SET_NO_NEW_PRIVILEGES = 1, 38
CAPABILITY_VERSION, MAY_READ_ALL_FILES = 0x20080522, 1 << 2
SIGKILL = 9

_libc = ctypes.CDLL(None, use_errno=True)


class NotConfinedError(StorageError):
    """The system cannot take the rights from a process."""


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64)]


class _Rule(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("descriptor", ctypes.c_int32)]


def is_available() -> bool:
    """Whether this system can confine a process."""
    if sys.platform != "linux":
        return False
    version: int = _libc.syscall(CREATE_RULESET, None, 0, VERSION_FLAG)
    return version >= NEEDED_VERSION


def confine(readable: Sequence[int], *, limits: dict[int, int]) -> None:
    """Leave this process the right to read files and folders, and none other; there is no way back.

    Parameters
    ----------
    readable : sequence of int
        Open descriptors of the files, and of the folders with all that lies in them.
    limits : dict of int to int
        Resource (``resource.RLIMIT_…``) to its limit.

    Raises
    ------
    NotConfinedError
        The kernel lacks the means, or a thread runs already, which would keep its rights.
    """
    if not is_available():
        raise NotConfinedError(f"this needs Linux 6.7 or newer with Landlock (version {NEEDED_VERSION})")
    if len(threads := list(Path("/proc/self/task").iterdir())) > 1:
        raise NotConfinedError(f"{len(threads)} threads run already, and would keep their rights")
    _call("prctl", SET_DEATH_SIGNAL, SIGKILL, 0, 0, 0)  # not to outlive who waits for it
    _call("prctl", SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))
    _restrict(readable)
    if os.geteuid() == 0:
        _drop_capabilities()


def _restrict(readable: Sequence[int]) -> None:
    ruleset = _Ruleset(EVERY_FILE_RIGHT, EVERY_TCP_RIGHT)
    descriptor = _syscall(CREATE_RULESET, ctypes.byref(ruleset), ctypes.sizeof(ruleset), 0)
    for each in readable:
        allowed = READ_FILE | (READ_DIR if stat.S_ISDIR(os.fstat(each).st_mode) else 0)
        _syscall(ADD_RULE, descriptor, PATH_BENEATH, ctypes.byref(_Rule(allowed, each)), 0)
    _syscall(RESTRICT_SELF, descriptor, 0)
    os.close(descriptor)


def _drop_capabilities() -> None:
    """Take from root what sets it apart, but for reading what belongs to others."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    kept = (ctypes.c_uint32 * 6)(MAY_READ_ALL_FILES, MAY_READ_ALL_FILES, 0, 0, 0, 0)
    _call("capset", header, kept)


def _syscall(*arguments: object) -> int:
    return _call("syscall", *arguments)


def _call(name: str, *arguments: object) -> int:
    answer: int = getattr(_libc, name)(*arguments)
    if answer < 0:
        raise NotConfinedError(f"{name}: {os.strerror(ctypes.get_errno())}")
    return answer
