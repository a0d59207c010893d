"""Snapshots that the service takes itself: when a client asks for them, and first ones in the background."""

import asyncio
import logging
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import Lock

from litestar.concurrency import sync_to_thread

from service.jobs.portfolio_refresh import RefreshOutcome, refresh_portfolios
from service.jobs.progress import Silent
from service.jobs.tracker import Trigger
from service.live_book import LiveBook
from service.settings import Settings
from storage.errors import Locked
from storage.store import Store

MOST_AT_ONCE = 1_000
log = logging.getLogger(__name__)


class Snapshots:
    """Takes snapshots one call after the other; thread-safe.

    A portfolio is stored when its upload is answered. Its first snapshot follows once nothing else comes in
    for ``snapshot_seconds``; one that is lost with the process is taken by the next refresh.
    """

    def __init__(self, store: Store, settings: Settings, live: LiveBook) -> None:
        self._store, self._settings, self._live = store, settings, live
        self._turn, self._new = Lock(), SimpleQueue[str]()

    def take(self, portfolio_ids: Sequence[str], *, triggered_by: str) -> RefreshOutcome:
        """Take the snapshots that portfolios lack.

        Raises
        ------
        Locked
            Another process is refreshing portfolios.
        """
        with self._turn:
            outcome = refresh_portfolios(
                self._store,
                self._settings,
                Silent(),
                portfolio_ids=portfolio_ids,
                market=self._live.market,
                trigger=Trigger(triggered_by),
            )
            self._live.refresh()
            return outcome

    def expect(self, portfolio_id: str) -> None:
        """Take a new portfolio's first snapshot in a while."""
        self._new.put(portfolio_id)

    async def follow(self) -> None:
        """Take first snapshots as portfolios come in, until cancelled."""
        waiting: list[str] = []
        while True:
            await asyncio.sleep(self._settings.snapshot_seconds)
            came = self._came()
            waiting += came
            if waiting and (not came or len(waiting) >= MOST_AT_ONCE):
                waiting = await sync_to_thread(self._first, waiting)

    def _came(self) -> list[str]:
        came: list[str] = []
        while True:
            try:
                came.append(self._new.get_nowait())
            except Empty:
                return came

    def _first(self, portfolio_ids: list[str]) -> list[str]:
        """Take first snapshots, and return those portfolios that have to wait."""
        if self._live.market is None:
            return []  # without a book there is nothing to take, and the first refresh takes them all
        try:
            self.take(portfolio_ids, triggered_by="onboarding")
        except Locked:
            return portfolio_ids
        except Exception:
            log.exception("first snapshots were not taken; the next refresh takes them")
        return []
