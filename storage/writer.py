"""The writer of a layer: what a job does between taking the lease and publishing a release."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace as replaced
from datetime import date

import polars as pl
from deltalake import DeltaTable

from storage import releases, writes
from storage.database import Database
from storage.errors import Refused, StorageError
from storage.lake import Lake, checkpoint_if_due, needing_room
from storage.leases import Lease
from storage.releases import Release
from storage.scan import read_files, selection
from storage.schemas import table_named, tables_of
from storage.table import Table


class Writer:
    """Writes the tables of one layer while its lease is held; nothing shows before ``publish``.

    Attributes
    ----------
    base : Release
        The release that the work stands on.
    """

    def __init__(
        self, ledger: Database, lake: Lake, lease: Lease, base: Release, show: Callable[[], None]
    ) -> None:
        self.base = base
        self._ledger, self._lake, self._lease, self._show = ledger, lake, lease, show
        self._deltas = {
            t.name: lake.restored(t, base.versions.get(t.name, 0)) for t in tables_of(lease.layer)
        }
        self._changed: set[str] = set()
        self._unfinished: set[str] = set()

    def append(self, table: str, frame: pl.DataFrame) -> None:
        """Add rows; ``InvalidFrame`` when they break the table's contract or a key is there already."""
        with self._changing(table) as (entry, delta):
            writes.append(self._lake, entry, delta, frame)

    def replace(
        self,
        table: str,
        frame: pl.DataFrame,
        *,
        sessions: tuple[date, date] | None = None,
        symbols: Iterable[str] | None = None,
        portfolios: Iterable[str] | None = None,
    ) -> None:
        """Put the frame in the place of all rows within the sessions (both included), of symbols, portfolios.

        Without any of them, of the whole table. ``InvalidFrame`` when the frame holds a row outside.
        """
        with self._changing(table) as (entry, delta):
            wanted = selection(entry, sessions, symbols, portfolios)
            writes.replace(self._lake, entry, delta, frame, wanted)

    def delete(
        self,
        table: str,
        *,
        sessions: tuple[date, date] | None = None,
        symbols: Iterable[str] | None = None,
        portfolios: Iterable[str] | None = None,
    ) -> None:
        """Delete the rows within the sessions (both included), of symbols, of portfolios; else all."""
        nothing = pl.DataFrame(schema=table_named(table).schema)
        self.replace(table, nothing, sessions=sessions, symbols=symbols, portfolios=portfolios)

    def read(
        self,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        sessions: tuple[date, date] | None = None,
        symbols: Iterable[str] | None = None,
    ) -> pl.DataFrame:
        """Read the table as written so far, unpublished changes included."""
        entry = self._own(table)
        files = self._lake.files_of(entry, self._deltas[table])
        return read_files(entry, files, selection(entry, sessions, symbols), columns)

    def compact(self) -> int:
        """Make every closed quarter of every table one sorted file; return how many had to be."""
        n_quarters = 0
        for table in tables_of(self._lease.layer):
            with self._changing(table.name) as (entry, delta):
                n_quarters += writes.compact(self._lake, entry, delta)
        return n_quarters

    def publish(
        self,
        *,
        session: date | None = None,
        run_id: str | None = None,
        recomputed: Mapping[str, date] | None = None,
        resume: date | None = None,
        is_shown: bool = True,
    ) -> Release:
        """Publish all changes at once, durably, as the next release.

        Parameters
        ----------
        session : date, optional
            Newest session that the layer is computed for; that of the last release when not given.
        run_id : str, optional
            The run that did the work.
        recomputed : mapping of str to date, optional
            Recompute marks that the work fulfills, as they were read when it began.
        resume : date, optional
            Session from which on those marks are not fulfilled yet; they stay from there on.
        is_shown : bool
            Whether the catalog is written, too; who writes it himself soon afterwards need not.

        Raises
        ------
        LeaseLost
            Another process took the layer over; nothing was published.
        """
        versions = dict(self.base.versions)
        if self._unfinished:
            raise Refused(f"a change to {', '.join(self._unfinished)} failed half way; start the job again")
        for name in self._changed:
            delta, since = self._deltas[name], versions.get(name, 0)
            with needing_room(table_named(name)):
                checkpoint_if_due(delta, since)
                self._lake.make_durable(table_named(name), since, delta.version())
            versions[name] = delta.version()
        draft = replaced(self.base, versions=versions, session=session or self.base.session, run_id=run_id)
        self.base = releases.publish(self._ledger, self._lease, draft, recomputed or {}, resume)
        self._changed.clear()
        # What is published is published: a catalog that cannot be written now is written by the next writer.
        with suppress(StorageError):
            if is_shown:
                self._show()
        return self.base

    @contextmanager
    def _changing(self, table: str) -> Iterator[tuple[Table, DeltaTable]]:
        """Note a change that may take several commits; one that fails between them is never published."""
        entry, delta = self._own(table), self._deltas[table]
        before = delta.version()
        try:
            yield entry, delta
        except BaseException:
            if delta.version() != before:
                self._unfinished.add(table)
            raise
        if delta.version() != before:
            self._changed.add(table)

    def _own(self, table: str) -> Table:
        entry = table_named(table)
        if entry.layer != self._lease.layer:
            raise Refused(
                f"{table} belongs to the {entry.layer} layer; this writer holds {self._lease.layer}"
            )
        return entry
