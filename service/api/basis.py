"""What the answers on a portfolio rest on, and the questions that can be answered again on another basis."""

from collections.abc import Callable
from dataclasses import dataclass

from service.accounts import Accounts
from service.live_book import Market


@dataclass(frozen=True, slots=True)
class Basis:
    """What the answers on a portfolio rest on; they are the same under the same ``etag``."""

    market: Market
    accounts: Accounts
    etag: str

    @property
    def headers(self) -> dict[str, str]:
        """Headers of an answer: the client's copy stands until the ``etag`` is another."""
        return {"etag": self.etag, "cache-control": "private, no-cache"}


@dataclass(frozen=True, slots=True)
class Question:
    """What an owner asked about a portfolio, by path and query, and how that is answered, encoded."""

    owner: str
    portfolio_id: str
    asked: tuple[str, bytes]
    answer: Callable[[Basis], bytes]
