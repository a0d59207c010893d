"""What can go wrong in storage, sorted by whether retrying would help.

==============  ======================  =======================================================
branch          retrying unchanged      raised for
==============  ======================  =======================================================
``Transient``   helps, later            a live owner holds what is needed, a busy ledger, a full disk
``Refused``     never helps             a frame, a name or a query that has to be changed
``Corrupt``     never helps             files on disk that are not what storage wrote
==============  ======================  =======================================================

Every message says what failed, where, and how to mend it. Imports nothing.
"""


class StorageError(Exception):
    """Anything that storage raises on purpose."""


class Transient(StorageError):  # noqa: N818 - the branch is an adjective, its leaves are read on their own
    """The same call may succeed later."""


class Locked(Transient):
    """A live process holds the layer's lease or runs the same job.

    Attributes
    ----------
    owner, host : str
        Who holds it, and on which machine.
    pid : int
        Process id on that machine.
    """

    def __init__(self, message: str, *, owner: str, host: str, pid: int) -> None:
        super().__init__(message)
        self.owner, self.host, self.pid = owner, host, pid


class Busy(Transient):
    """The ledger's database did not grant its lock in time."""


class Unreachable(Transient):
    """The ledger's database does not answer, or takes no more connections."""


class NoRoom(Transient):
    """The disk takes no more, or fails; what is released stands."""


class NotWritten(Transient):
    """A catalog could not be written, for want of room say; the release that it was to show stands."""


class LeaseLost(Transient):
    """Another process took the layer over or wrote to its tables; nothing was published: start again."""


class Refused(StorageError):  # noqa: N818
    """The call itself is wrong and has to be changed."""


class InvalidFrame(Refused):
    """A frame breaks the table's contract: its columns, types, keys, or the range it was said to hold."""


class NotFound(Refused):
    """A name or number that the store does not know."""


class Taken(Refused):
    """A name that has to be unique belongs to another one already."""


class InvalidQuery(Refused):
    """DuckDB refused a query; the message is DuckDB's own."""


class InvalidLocation(Refused):
    """A store cannot live at this path."""


class Corrupt(StorageError):  # noqa: N818
    """A file of the store does not open: released data must come from a backup, a catalog is made anew."""
