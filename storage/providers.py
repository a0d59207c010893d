"""The ledger's providers: how often each was asked, and whether it is left alone, as the last job knew it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from storage.database import Database
from storage.ledger_tables import providers


@dataclass(frozen=True, slots=True)
class ProviderNote:
    """What a job noted of a provider.

    Attributes
    ----------
    windows : list of dict
        Each rate window: ``rate`` as it is written, ``limit``, ``seconds`` and how much of it was ``used``.
    outages : int
        Failed tries in a row.
    left_alone_until : str or None
        When it is asked again, if its circuit is open.
    """

    name: str
    windows: list[dict[str, Any]]
    outages: int
    left_alone_until: str | None
    noted_at: str


class Providers:
    """Queries on what is known of providers."""

    def __init__(self, ledger: Database) -> None:
        self._ledger = ledger

    def note(self, notes: Iterable[ProviderNote]) -> None:
        """Remember notes in place of older ones of the same providers."""
        rows = [asdict(note) for note in notes]
        if rows:
            with self._ledger.writing() as connection:
                names = [row["name"] for row in rows]
                connection.execute(sa.delete(providers).where(providers.c.name.in_(names)))
                connection.execute(sa.insert(providers), rows)

    def all(self) -> dict[str, ProviderNote]:
        """Return the newest note of each provider."""
        columns = (providers.c[name] for name in ProviderNote.__slots__)
        with self._ledger.reading() as connection:
            rows = connection.execute(sa.select(*columns))
            return {row.name: ProviderNote(*row) for row in rows}
