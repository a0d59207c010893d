"""How long runs usually take: the median of the seven before."""

from collections import defaultdict
from collections.abc import Iterator
from statistics import median

from service.run_status import elapsed
from storage.ledger import Ledger
from storage.runs import Run

COMPARED = 7
HISTORY = 400
ENDED = ("completed", "partial")


def usual_seconds(ledger: Ledger) -> dict[str, float]:
    """Return for every recent run the median duration of the seven like it that ended before it began.

    Like it are runs of the same job, those that are confined to some symbols or portfolios apart from whole
    ones. A run that has none before it is not there.
    """
    before: dict[tuple[str, bool], list[float]] = defaultdict(list)
    found = {}
    for run in _oldest_first(ledger):
        took = before[run.job_type, run.scope is None]
        if took:
            found[run.run_id] = median(took[-COMPARED:])
        if run.status in ENDED:
            took.append(elapsed(run))
    return found


def _oldest_first(ledger: Ledger) -> Iterator[Run]:
    return reversed(ledger.runs.history(limit=HISTORY))
