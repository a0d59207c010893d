"""The ledger: a small relational database of what people entered and what jobs did."""

from pathlib import Path
from uuid import uuid4

import polars as pl
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from storage.api_keys import ApiKeys
from storage.database import Database, runs, symbols
from storage.equity_changes import EquityChanges
from storage.errors import InvalidLocation
from storage.failures import Failures
from storage.ledger_tables import portfolios, positions
from storage.migrations import migrate
from storage.portfolios import Portfolios
from storage.position_queries import PositionQueries
from storage.position_sectors import PositionSectors
from storage.providers import Providers
from storage.run_log import RunLog
from storage.runs import Runs
from storage.symbol_queue import SymbolQueue
from storage.symbols import Symbols

DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}


class Ledger(Database):
    """The ledger at a database's URL; thread-safe.

    Attributes
    ----------
    symbols : Symbols
        Registered symbols, their ids, and what has to be computed again.
    runs : Runs
        Runs of jobs.
    run_log : RunLog
        Phases and activity of runs.
    failures : Failures
        What runs failed on.
    api_keys : ApiKeys
        Who may call, and what for.
    portfolios : Portfolios
        Accounts of owners.
    positions : PositionQueries
        Lots in portfolios, and the marks of private ones.
    position_sectors : PositionSectors
        The sector that each position is tagged with.
    equity_changes : EquityChanges
        Money put into portfolios and taken out.
    providers : Providers
        How the providers stand that jobs have asked.
    symbol_queue : SymbolQueue
        Symbols that wait to be fetched for the first time.
    """

    def __init__(self, url: sa.URL) -> None:
        super().__init__(url)
        self.symbols, self.runs, self.run_log = Symbols(self), Runs(self), RunLog(self)
        self.failures, self.providers = Failures(self), Providers(self)
        self.api_keys, self.portfolios = ApiKeys(self), Portfolios(self)
        self.positions, self.equity_changes = PositionQueries(self), EquityChanges(self)
        self.position_sectors = PositionSectors(self)
        self.symbol_queue = SymbolQueue(self)
        try:
            migrate(self)
        except BaseException:
            self.close()
            raise

    def copies(self, shown: pl.DataFrame | None = None) -> dict[str, pl.DataFrame]:
        """Return what analysts see: symbols, runs, and the portfolios and positions that are not deleted.

        Parameters
        ----------
        shown : pl.DataFrame, optional
            ``portfolio_id, revision`` of the portfolios whose positions are shown already. When nothing has
            changed in any, positions are left out: there may be millions of them. What cannot be read, for
            somebody wrote to the ledger by hand, is null: analysts see the rest.
        """
        live = sa.select(portfolios).where(portfolios.c.deleted_at.is_(None))
        lots = sa.select(positions).join(portfolios).where(portfolios.c.deleted_at.is_(None))
        queries = {
            "symbols": sa.select(symbols),
            "runs": sa.select(runs),
            "portfolios": live.order_by(portfolios.c.created_at),
        }
        found = {name: self.frame(query, strict=False) for name, query in queries.items()}
        now = found["portfolios"].select("portfolio_id", "revision").sort("portfolio_id")
        if shown is None or not now.equals(shown.sort("portfolio_id")):
            ordered = lots.where(positions.c.deleted_at.is_(None)).order_by(
                positions.c.portfolio_id, positions.c.number
            )
            found["positions"] = self.frame(ordered, strict=False)
        return found


def ledger_in(path: Path) -> Ledger:
    """Open the SQLite ledger at a path, or create it readable by its owner alone."""
    if not path.exists():
        _create_private(path)
    return Ledger(sa.URL.create("sqlite", database=str(path)))


def ledger_at(url: str) -> Ledger:
    """Open the ledger in the database at a URL, ``postgresql://user:password@host/name`` say.

    Raises
    ------
    InvalidLocation
        That is not the URL of a database, or one whose driver is not installed.
    """
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
    except ArgumentError as error:
        raise InvalidLocation(
            "the ledger has no such URL; write postgresql://user:password@host/name"
        ) from error
    if backend not in DRIVERS:
        raise InvalidLocation(f"the ledger cannot live in {backend}; give it one of {', '.join(DRIVERS)}")
    try:
        return Ledger(parsed.set(drivername=DRIVERS[backend]))
    except ModuleNotFoundError as error:
        raise InvalidLocation(f"{error}; pip install 'ridgeline[postgres]'") from error


def _create_private(path: Path) -> None:
    """Create an empty file that appears closed: closing one that SQLite has open drops SQLite's own locks."""
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    draft.touch(mode=0o600, exist_ok=False)
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass  # another process was first
    finally:
        draft.unlink()
