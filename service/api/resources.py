"""What request handlers work on; made once, handed to the application."""

from dataclasses import dataclass

from service.admin.starting import Jobs
from service.api.basis import Question
from service.api.snapshots import Snapshots
from service.composed import Composed, Compositions
from service.live_book import LiveBook, Market
from service.memo import Memo
from service.settings import Settings
from service.sql_queries import SqlQueries
from storage.ledger import Ledger
from storage.portfolios import Portfolio
from storage.secret import signing_secret
from storage.store import Store

ANSWER_BYTES = 128 << 20
QUESTIONS = 512  # that are answered anew for every release


class NotReadyError(Exception):
    """No book is loaded yet."""


@dataclass(frozen=True, slots=True)
class Resources:
    """The store, its live book, portfolios composed on it, their snapshots, jobs, queries.

    ``answers`` are kept by what they rest on and what was asked, ``questions`` by what was asked: path and
    query. ``secret`` is what sessions of the pages are signed with.
    """

    store: Store
    settings: Settings
    live: LiveBook
    compositions: Compositions
    snapshots: Snapshots
    jobs: Jobs
    answers: Memo[bytes]
    questions: Memo[Question]
    secret: bytes
    queries: SqlQueries

    @property
    def ledger(self) -> Ledger:
        """What people entered."""
        return self.store.ledger

    def market(self) -> Market | None:
        """Return the market that a request computes from, None while nothing was ever computed.

        Raises
        ------
        NotReadyError
            The first book is still being loaded, or could not be.
        """
        if self.live.state in ("initializing", "failed"):
            raise NotReadyError(self.live.error or "the first book is being loaded")
        return self.live.market

    def composed(self, portfolio: Portfolio) -> Composed | None:
        """Return a portfolio composed on the live book, None as long as there is no book."""
        market = self.live.market
        return self.compositions.of(portfolio, market, self.live.accounts) if market else None


def make_resources(store: Store, settings: Settings) -> Resources:
    """Return resources whose book is not loaded yet."""
    live, compositions, jobs = LiveBook(store, settings.option_rate), Compositions(store.ledger), Jobs(store)
    return Resources(
        store,
        settings,
        live,
        compositions,
        Snapshots(store, settings, live, jobs),
        jobs,
        Memo[bytes](ANSWER_BYTES, size_of=len),
        Memo[Question](QUESTIONS),
        signing_secret(store.path),
        SqlQueries(store),
    )
