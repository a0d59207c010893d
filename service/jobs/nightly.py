"""The night's work: the symbol batch, then the portfolio refresh; an alert says when something went wrong."""

from dataclasses import dataclass
from typing import Any, Literal

from service.alerts import alert
from service.errors import RidgelineError
from service.jobs.portfolio_refresh import RefreshOutcome, refresh_portfolios
from service.jobs.progress import Progress
from service.jobs.session_batch import Outcome
from service.jobs.symbol_batch import JOB, run_symbol_batch
from service.jobs.symbol_wait import SymbolsLateError
from service.jobs.tracker import Trigger
from service.providers.sources import Sources
from service.run_status import forget_old_logs
from service.settings import Settings
from storage.errors import Locked, StorageError
from storage.store import Store

NIGHTLY = Trigger("nightly")


@dataclass(frozen=True, slots=True)
class Night:
    """What both jobs did; ``symbol_batch`` is None when another process was running it already."""

    symbol_batch: Outcome | None
    portfolio_refresh: RefreshOutcome

    @property
    def status(self) -> Literal["completed", "partial"]:
        """Partial as soon as one of them is."""
        batch = "completed" if self.symbol_batch is None else self.symbol_batch.status
        return "partial" if "partial" in (batch, self.portfolio_refresh.status) else "completed"

    def as_dict(self) -> dict[str, Any]:
        """Return the status and both outcomes as plain values."""
        batch = None if self.symbol_batch is None else self.symbol_batch.as_dict()
        refresh = self.portfolio_refresh.as_dict()
        return {"status": self.status, "symbol_batch": batch, "portfolio_refresh": refresh}


def run_night(
    store: Store, settings: Settings, progress: Progress, *, sources: Sources | None = None
) -> Night:
    """Run the symbol batch, then the refresh.

    A symbol batch that another process is running is not run twice: the refresh waits for it, at most as long
    as it may take.

    Raises
    ------
    Locked
        A live process refreshes portfolios already, or writes to a layer.
    FailedError
        One of the two failed; an alert has said so.
    """
    try:
        batch = _batch(store, settings, progress, sources)
        refresh = refresh_portfolios(store, settings, progress, trigger=NIGHTLY)
        forget_old_logs(store.ledger, settings)
        return Night(batch, refresh)
    except SymbolsLateError:
        raise
    except (RidgelineError, StorageError) as error:
        alert(settings, f"the night's work failed: {error}")
        raise


def _batch(store: Store, settings: Settings, progress: Progress, sources: Sources | None) -> Outcome | None:
    try:
        return run_symbol_batch(store, settings, progress, trigger=NIGHTLY, sources=sources)
    except Locked:
        if store.ledger.runs.current(JOB) is None:  # it is the layer that somebody else writes to
            raise
        progress.add_activity("a symbol batch runs already; the refresh waits for it", "warning")
        return None
