"""The store: one folder with a ledger, a lake, and a catalog for analysts.

::

    <store>/ledger.sqlite       what people entered, what jobs did, and the releases (or a database elsewhere)
    <store>/lake/<table>/       Delta tables
    <store>/secret.key          what the service signs with
    <store>/analytics.duckdb    views of the newest releases (its drafts lie in .analytics/)
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Self

import polars as pl

from storage import catalog, leases, releases
from storage.durability import fsync
from storage.errors import Corrupt, InvalidLocation, NotWritten, Refused
from storage.lake import Files, Lake
from storage.ledger import Ledger, ledger_at, ledger_in
from storage.releases import Release
from storage.scan import read_files, read_whole, selection
from storage.schemas import TABLES, table_named, tables_of
from storage.table import Table
from storage.vacuum import Vacuumed
from storage.writer import Writer

LAYERS = tuple(dict.fromkeys(table.layer for table in TABLES.values()))


def open_store(path: Path | str, *, ledger_url: str | None = None) -> "Store":
    """Open the store in a folder; what is missing is made, down to the empty release that layers begin with.

    Parameters
    ----------
    ledger_url : str, optional
        A database of its own for the ledger; a SQLite file in the folder when not given.
    """
    root = Path(path).resolve()
    lake = Lake(str(root / "lake"))
    root.mkdir(parents=True, exist_ok=True)
    ledger = ledger_in(root / "ledger.sqlite") if ledger_url is None else ledger_at(ledger_url)
    store = Store(root, ledger, lake)
    try:
        if _prepare(ledger, lake) or not store.catalog_path.exists():
            store.write_catalog()
    except BaseException:
        store.close()
        raise
    fsync(root)
    return store


class Store:
    """Reads and writes of one store; thread-safe, and safe beside other processes.

    Attributes
    ----------
    path : Path
    ledger : Ledger
        What people entered and what jobs did.
    """

    def __init__(self, path: Path, ledger: Ledger, lake: Lake) -> None:
        self.path, self.ledger = path, ledger
        self._lake = lake

    @property
    def lake_path(self) -> str:
        """Where the tables lie."""
        return self._lake.root

    @property
    def catalog_path(self) -> Path:
        """Where analysts find the catalog."""
        return self.path / "analytics.duckdb"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the ledger's connections."""
        self.ledger.close()

    def release(self, number: int | None = None, *, layer: str = "symbol") -> Release:
        """Return a release by number, or the newest of a layer; ``NotFound`` for a number never given.

        A layer that nothing was published of stands on release 0, the empty store.
        """
        with self.ledger.reading() as connection:
            if number is not None:
                return releases.numbered(connection, number, layer)
            newest = releases.newest(connection, layer)
        if newest is None:
            raise Corrupt(f"{self.path}: no release of the {layer} layer; restore the ledger from a backup")
        return newest

    def releases(self, *, layer: str = "symbol", after: int = -1) -> list[Release]:
        """Return the releases of a layer with a number above ``after``, newest first; all by default."""
        with self.ledger.reading() as connection:
            return releases.history(connection, layer, after)

    def read(
        self,
        table: str,
        *,
        release: Release | int | None = None,
        columns: Sequence[str] | None = None,
        sessions: tuple[date, date] | None = None,
        symbols: Iterable[str] | None = None,
        portfolios: Iterable[str] | None = None,
    ) -> pl.DataFrame:
        """Read a table as a release has it.

        Parameters
        ----------
        release : Release or int, optional
            The newest one when not given. Who reads several tables asks for it once, and hands it in.
        columns : sequence of str, optional
            All when not given.
        sessions : tuple of date, optional
            First and last value of the table's date column, both included.
        symbols, portfolios : iterable of str, optional
            All when not given.

        Returns
        -------
        pl.DataFrame
            Sorted by the table's key within each of its files, and not across them.

        Raises
        ------
        NotFound
            Unknown table or release.
        Refused
            Unknown columns, or symbols asked of a table that has none.
        """
        entry, files = self._released(table, release)
        return read_files(entry, files, selection(entry, sessions, symbols, portfolios), columns)

    def frames(
        self, table: str, *, since: Mapping[str, date], until: date, release: Release | int | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield a table as whole files: what a mask over millions of rows costs is left to the caller.

        Parameters
        ----------
        since : mapping of str to date
            Columns, each with the first date that it is wanted for: a frame has those that it may hold.
        until : date
            Last date wanted; frames may hold rows outside the dates.
        """
        entry, files = self._released(table, release)
        return read_whole(entry, files, since, until)

    def _released(self, table: str, release: Release | int | None) -> tuple[Table, Files]:
        entry = table_named(table)
        pinned = release if isinstance(release, Release) else self.release(release, layer=entry.layer)
        if pinned.layer != entry.layer:
            raise Refused(f"release {pinned.number} is of the {pinned.layer} layer, {table} of {entry.layer}")
        return entry, self._lake.files(entry, pinned.versions.get(table, 0))

    @contextmanager
    def writing(self, layer: str, *, owner: str) -> Iterator[Writer]:
        """Hold a layer's lease, with its tables as the newest release left them.

        Raises
        ------
        Locked
            A live process holds the lease.
        """
        tables_of(layer)
        with leases.held(self.ledger, layer, owner) as lease:
            if not catalog.is_current(self.catalog_path, self._newest(), self._lake.root):
                self.write_catalog()
            yield Writer(self.ledger, self._lake, lease, self.release(layer=layer), self.write_catalog)

    def compact(self, layer: str = "symbol", *, owner: str = "compact", run_id: str | None = None) -> Release:
        """Merge the small files of closed quarters and publish; the newest release when there are none."""
        with self.writing(layer, owner=owner) as writer:
            return writer.publish(run_id=run_id) if writer.compact() else writer.base

    def vacuum(self, layer: str = "symbol", *, older_than: timedelta, owner: str = "vacuum") -> Vacuumed:
        """Delete files that no release names: left by jobs that were killed, or that wrote a range twice.

        Every release stays as it is, and so does whoever reads one.

        Parameters
        ----------
        older_than : timedelta
            Age below which a file stays all the same.
        """
        with self.writing(layer, owner=owner):
            history = self.releases(layer=layer)
            done = [
                self._lake.vacuum(
                    table, {each.versions.get(table.name, 0) for each in history}, older_than=older_than
                )
                for table in tables_of(layer)
            ]
        return Vacuumed(sum(each.files for each in done), sum(each.size for each in done))

    def sql(self, query: str) -> pl.DataFrame:
        """Run a query on ``analytics.duckdb``, read-only; ``InvalidQuery`` in DuckDB's words."""
        return catalog.query(self.published_catalog(), query)

    def catalog_contents(self) -> pl.DataFrame:
        """Return the tables, columns and comments of ``analytics.duckdb``, as ``catalog.contents`` does."""
        return catalog.contents(self.published_catalog())

    def published_catalog(self) -> Path:
        """Return where a catalog lies that can be asked.

        A catalog of other releases, or of the folder that the store was copied from, is written anew first.
        Where that cannot be, in a folder that may only be read say, one of older releases answers: its table
        ``release`` says which.
        """
        if not catalog.is_current(self.catalog_path, self._newest(), self._lake.root):
            try:
                self.write_catalog()
            except NotWritten:
                if not catalog.is_of(self.catalog_path, self._lake.root):
                    raise
        return self.catalog_path

    def write_catalog(self) -> None:
        """Write ``analytics.duckdb`` anew, from the newest releases and the ledger as it is.

        Publishing does it; a job does it again when its run has ended, for the table ``runs`` to say so.
        """
        with catalog.drafting(self.catalog_path) as draft:
            newest = self._newest()
            views = [
                (table, self._lake.files(table, release.versions.get(table.name, 0)))
                for release in newest
                for table in tables_of(release.layer)
            ]
            copies = {
                "release": catalog.release_table(newest, self._lake.root),
                **self.ledger.copies(catalog.shown_portfolios(self.catalog_path)),
            }
            catalog.write(draft, views, copies, before=self.catalog_path)

    def _newest(self) -> list[Release]:
        return [self.release(layer=layer) for layer in LAYERS]


def _prepare(ledger: Ledger, lake: Lake) -> bool:
    """Create what tables and first release are missing, and return whether any were.

    Of two processes at once, one waits.
    """
    with ledger.reading() as connection:
        released = releases.newest(connection, LAYERS[0])
    if released and all(lake.has(table) for table in TABLES.values()):
        return False
    with ledger.writing("releases") as connection:
        _require_own(releases.newest(connection, LAYERS[0]), lake)
        for table in TABLES.values():
            if not lake.has(table):
                lake.create(table)
        if releases.newest(connection, LAYERS[0]) is None:
            versions = {table.name: 0 for table in tables_of(LAYERS[0])}
            releases.add(connection, Release(0, LAYERS[0], None, "", None, versions))
    return True


def _require_own(released: Release | None, lake: Lake) -> None:
    """Refuse a lake of another ledger: its tables would be restored to the versions of this one."""
    for name, table in TABLES.items():
        version = lake.opened(table).version() if lake.has(table) else None
        if released is None and version:
            raise InvalidLocation(
                f"{lake.path(table)} has data, and this ledger has no release of it: "
                "the ledger of this store is another one; give its URL, or a folder without a lake"
            )
        if released is not None and version is None and released.versions.get(name):
            raise InvalidLocation(
                f"the ledger has release {released.number}, and {lake.path(table)} is not there: the lake of "
                "this ledger is in another folder; give that one"
            )
