"""News of a run, for whoever follows it: lines of its log by number, and how it stands."""

from typing import NamedTuple

from service.progress_records import Activity, activities
from service.run_status import RunStatus, run_status
from storage.ledger import Ledger
from storage.run_log import KEPT


class News(NamedTuple):
    """Lines beyond the last one that is known, by their numbers, oldest first, and the run as it stands."""

    lines: dict[int, Activity]
    status: RunStatus

    @property
    def is_over(self) -> bool:
        """Whether nothing will follow."""
        return self.status.status != "running"


def news(ledger: Ledger, run_id: str, *, after: int = 0) -> News:
    """Return what a run has said after line ``after``; ``NotFound`` when there is no such run.

    The state is read before the lines: whoever sees the end has all of them.
    """
    ledger.runs.fail_stale()
    status = run_status(ledger, ledger.runs.named(run_id))
    lines = ledger.run_log.numbered(run_id, limit=KEPT, after=after)
    return News(dict(zip(lines, activities(lines.values()), strict=True)), status)
