"""Waiting for the symbol batch: snapshots of a session are taken once its symbols are computed."""

from threading import Event
from time import monotonic

from service.alerts import alert
from service.errors import FailedError
from service.jobs.symbol_batch import JOB
from service.jobs.tracker import BatchRunTracker
from service.settings import Settings
from storage.ledger import Ledger

POLL_SECONDS = 1.0


class SymbolsLateError(FailedError):
    """The symbol batch took too long; an alert has said so."""


def is_symbol_batch_running(ledger: Ledger) -> bool:
    """Whether a live process runs the symbol batch."""
    if ledger.runs.current(JOB) is None:
        return False
    ledger.runs.fail_stale()
    return ledger.runs.current(JOB) is not None


def wait_for_symbols(ledger: Ledger, settings: Settings, tracker: BatchRunTracker) -> None:
    """Wait until no live process runs the symbol batch, at most as long as it may take.

    Raises
    ------
    CancelledError
        Somebody asked for the tracked run to end.
    SymbolsLateError
        The batch still runs.
    """
    seconds = settings.symbol_batch_seconds
    until, waited_for = monotonic() + seconds, ""
    while is_symbol_batch_running(ledger) and (run := ledger.runs.current(JOB)) is not None:
        if monotonic() > until:
            reason = (
                f"the symbol batch (run {run.run_id}) still runs after {seconds:g} s, and without it there "
                "is nothing to take snapshots of; see its log, and refresh once it has ended"
            )
            alert(settings, f"the portfolio refresh was given up: {reason}")
            raise SymbolsLateError(reason)
        if run.run_id != waited_for:
            tracker.add_activity(f"waiting for the symbol batch, run {run.run_id}")
            waited_for = run.run_id
        tracker.require_wanted()
        Event().wait(POLL_SECONDS)
    if waited_for and (ended := ledger.runs.named(waited_for)).status == "failed":
        tracker.add_activity(f"the symbol batch has failed: {ended.error}", "warning")
