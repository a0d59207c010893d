"""What can go wrong for a user, each with its exit code; storage's errors are mapped here too."""

from storage.errors import Locked, Refused, StorageError, Transient


class RidgelineError(Exception):
    """Anything that the service raises on purpose; the message says what, where, and how to mend it."""

    exit_code = 4
    code = "failed"


class UsageError(RidgelineError):
    """The request itself has to be changed."""

    exit_code = 2
    code = "usage"


class ConflictError(UsageError):
    """The request is right, and what it is about is in no state for it."""


class InputError(UsageError):
    """A file is not what it should be."""

    code = "input"


class FailedError(RidgelineError):
    """A job could not do its work; nothing was published."""


def name_of(error: Exception) -> str:
    """Code of an error in JSON: ``usage``, ``input``, ``failed`` or ``locked``."""
    if isinstance(error, RidgelineError):
        return error.code
    if isinstance(error, Locked):
        return "locked"
    return UsageError.code if isinstance(error, Refused) else RidgelineError.code


def exit_code_of(error: Exception) -> int | None:
    """Exit code for an error, None for one that nobody foresaw."""
    if isinstance(error, RidgelineError):
        return error.exit_code
    if isinstance(error, Locked):
        return 5
    if isinstance(error, Refused):
        return UsageError.exit_code
    return RidgelineError.exit_code if isinstance(error, StorageError | Transient) else None
