"""Snapshots that the service sees to: those a client asks for, and first ones by a job beside it."""

import asyncio
import logging
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import Lock
from time import monotonic, sleep

from litestar.concurrency import sync_to_thread

from service.admin.starting import Jobs
from service.jobs.portfolio_refresh import RefreshOutcome, refresh_portfolios
from service.jobs.progress import Silent
from service.jobs.tracker import Trigger
from service.live_book import LiveBook
from service.settings import Settings
from storage.errors import Locked
from storage.store import Store

MOST_AT_ONCE = 1_000
PATIENCE, POLL_SECONDS = 10.0, 0.1
log = logging.getLogger(__name__)


class Snapshots:
    """Takes snapshots one call after the other; thread-safe.

    A portfolio is stored when its upload is answered. Its first snapshot follows once nothing else comes in
    for ``snapshot_seconds``, in a process of its own: in this one it would hold up whoever is reading. One
    that is lost is taken by the next refresh.
    """

    def __init__(self, store: Store, settings: Settings, live: LiveBook, jobs: Jobs) -> None:
        self._store, self._settings, self._live, self._jobs = store, settings, live, jobs
        self._turn, self._new = Lock(), SimpleQueue[str]()

    def take(self, portfolio_ids: Sequence[str], *, triggered_by: str) -> RefreshOutcome:
        """Take the snapshots that portfolios lack, after a short job that is under way.

        Raises
        ------
        Locked
            Another process is refreshing portfolios, and still is after ``PATIENCE`` seconds.
        """
        with self._turn:
            until = monotonic() + PATIENCE
            while True:
                try:
                    outcome = self._taken(portfolio_ids, triggered_by)
                    break
                except Locked:
                    if monotonic() >= until:
                        raise
                    sleep(POLL_SECONDS)
            self._live.refresh()
            return outcome

    def _taken(self, portfolio_ids: Sequence[str], triggered_by: str) -> RefreshOutcome:
        return refresh_portfolios(
            self._store,
            self._settings,
            Silent(),
            portfolio_ids=portfolio_ids,
            market=self._live.market,
            trigger=Trigger(triggered_by),
        )

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
        """Have first snapshots taken, and return those portfolios that have to wait."""
        if self._live.market is None:
            return []  # without a book there is nothing to take, and the first refresh takes them all
        try:
            self._jobs.start("portfolio_refresh", by="onboarding", scope={"portfolio_ids": portfolio_ids})
        except Locked:
            return portfolio_ids
        except Exception:
            log.exception("first snapshots were not taken; the next refresh takes them")
        return []
