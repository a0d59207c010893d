"""Portfolios in parts that are taken together, so that what fails for one does not stop the others."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import polars as pl

from service.errors import FailedError, RidgelineError
from service.jobs.refresh_inputs import last_of
from service.jobs.snapshot_inputs import Holdings, Last, read_holdings
from storage.errors import StorageError
from storage.ledger import Ledger
from storage.portfolios import Portfolio
from storage.writer import Writer

T = TypeVar("T")
log = logging.getLogger(__name__)
LOTS_AT_ONCE = 125_000
PORTFOLIOS_AT_ONCE = 5_000
HOPELESS = 100  # portfolios, when they all have failed


@dataclass(frozen=True, slots=True)
class Part:
    """Portfolios that are taken together: what they hold, and their newest snapshots."""

    held: Holdings
    last: Last

    @property
    def portfolios(self) -> tuple[Portfolio, ...]:
        """Whose they are."""
        return self.held.portfolios


class Failed:
    """What portfolios failed with, by their ids: the kind of the error, and its words."""

    def __init__(self) -> None:
        self.errors: dict[str, tuple[str, str]] = {}
        self._any_done = False

    def each(self, portfolios: Sequence[Portfolio], work: Callable[[Sequence[Portfolio]], T]) -> list[T]:
        """Do work on portfolios together; where that fails, on halves of them, down to those it fails for.

        Raises
        ------
        FailedError
            The first hundred fail, every one: then it is not for them that the work fails.
        """
        try:
            done = [work(portfolios)]
        except (RidgelineError, StorageError):  # what ends the run, or any of them
            raise
        except Exception as error:  # whatever a stored row that is not what it should be leads to
            if len(portfolios) == 1:
                self._note(portfolios[0], error)
                return []
            middle = len(portfolios) // 2
            halves = (portfolios[:middle], portfolios[middle:])
            return list(chain.from_iterable(self.each(half, work) for half in halves))
        self._any_done = True
        return done

    def _note(self, portfolio: Portfolio, error: Exception) -> None:
        log.debug("portfolio %s failed", portfolio.portfolio_id, exc_info=error)
        message = str(error).partition("\n")[0] or repr(error)
        self.errors[portfolio.portfolio_id] = (type(error).__name__, message)
        if len(self.errors) >= HOPELESS and not self._any_done:
            raise FailedError(f"the first {HOPELESS} portfolios have all failed, the last with: {message}")


def load(ledger: Ledger, writer: Writer, portfolios: Sequence[Portfolio], newest: pl.DataFrame) -> Part:
    """Read what portfolios hold, and the lots of their newest snapshots."""
    ids = pl.DataFrame({"portfolio_id": [each.portfolio_id for each in portfolios]})
    return Part(
        read_holdings(ledger, portfolios),
        last_of(writer, newest.join(ids, on="portfolio_id", how="semi")),
    )


def narrowed(ledger: Ledger, part: Part, portfolios: Sequence[Portfolio]) -> Part:
    """Return some of a part's portfolios as they are in it, with what they hold read again."""
    ids = pl.DataFrame({"portfolio_id": [each.portfolio_id for each in portfolios]})
    last = (frame.join(ids, on="portfolio_id", how="semi") for frame in (part.last.snapshots, part.last.lots))
    return Part(read_holdings(ledger, portfolios), Last(*last))


def portions(ledger: Ledger, portfolios: Sequence[Portfolio]) -> Iterator[Sequence[Portfolio]]:
    """Yield portfolios in portions of a bounded number of open lots, a large portfolio by itself."""
    for start in range(0, len(portfolios), PORTFOLIOS_AT_ONCE):
        few = portfolios[start : start + PORTFOLIOS_AT_ONCE]
        counts = ledger.positions.counts([each.portfolio_id for each in few])
        first, n_lots = 0, 0
        for place, each in enumerate(few):
            n_lots += counts[each.portfolio_id]
            if n_lots > LOTS_AT_ONCE and place > first:
                yield few[first:place]
                first, n_lots = place, counts[each.portfolio_id]
        yield few[first:]
