"""The symbol batch: collects prices, and computes betas, risk model and metrics of sessions that lack them.

Data-driven: what is missing is done, and a run that finds nothing missing publishes nothing.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

import numpy as np

from engine.factors import PROXIES
from engine.typing import DateArray
from service import clock
from service.alerts import alert
from service.book_loader import computed_sessions
from service.errors import FailedError, UsageError
from service.jobs.price_collection import Collected, collect_prices
from service.jobs.progress import Progress
from service.jobs.provider_notes import noting
from service.jobs.reference_data import refresh_reference_data
from service.jobs.renames import inherit
from service.jobs.session_batch import Outcome, SessionBatch
from service.jobs.symbol_phases import PHASES
from service.jobs.tracker import BY_HAND, BatchRunTracker, Trigger, failing
from service.jobs.work_list import Work, nightly_work
from service.providers.sources import Sources, configured_sources
from service.settings import Settings
from storage.errors import StorageError
from storage.releases import Release
from storage.store import Store

JOB = "symbol_batch"
FAILURES = "symbol_prices"  # under which the ledger keeps what could not be collected
MARKET = PROXIES["Market"]
TOLERATED_SHARE = 0.1  # of all symbols may fail without the run being partial


def run_symbol_batch(
    store: Store,
    settings: Settings,
    progress: Progress,
    *,
    session: date | None = None,
    trigger: Trigger = BY_HAND,
    symbols: Sequence[str] | None = None,
    sources: Sources | None = None,
) -> Outcome:
    """Collect prices up to a session, and compute it and the gaps before it.

    Parameters
    ----------
    session : date, optional
        The newest closed one with a market price when not given.
    symbols : sequence of str, optional
        Whose prices are collected; those of the whole universe when not given. Sessions are computed whole.
    sources : Sources, optional
        Where from; what the settings name when not given. Without a source of prices what is stored is
        computed.

    Raises
    ------
    Locked
        A live process runs the same job, or writes to the symbol layer.
    FailedError
        The market has no price, or too few symbols have one; what has arrived is stored all the same.
    """

    def plan(release: Release) -> Work:
        priced = _priced_sessions(store, release)
        target = priced[-1] if session is None else np.datetime64(session)
        if target not in priced:
            raise UsageError(
                f"{MARKET} has no price on {target}, and without the market no session is computed; "
                f"ingest it, or give one of the sessions up to {priced[-1]}"
            )
        computed, marks = computed_sessions(store, release), store.ledger.symbols.recompute_marks()
        return nightly_work(priced[priced <= target], computed, marks, limit=settings.backfill_sessions)

    tracker = BatchRunTracker(store.ledger, watcher=progress)
    run = _Run(store, settings, tracker, plan, is_scoped=symbols is not None)
    run.tracker.start(
        JOB,
        PHASES,
        trigger=trigger,
        session=session,
        scope=None if symbols is None else {"symbols": list(symbols)},
        seconds=settings.symbol_batch_seconds,
    )
    return run.done(lambda outcome: run.collect(outcome, sources, session, symbols))


def backfill(
    store: Store,
    settings: Settings,
    progress: Progress,
    *,
    first: date,
    last: date,
    trigger: Trigger = BY_HAND,
) -> Outcome:
    """Compute every session from ``first`` to ``last`` that has a market price and is not computed yet."""
    if first > last:
        raise UsageError(f"--from {first} is after --to {last}; exchange them")

    def plan(release: Release) -> Work:
        priced = _priced_sessions(store, release)
        wanted = priced[(priced >= np.datetime64(first)) & (priced <= np.datetime64(last))]
        return Work(np.setdiff1d(wanted, computed_sessions(store, release)), wanted[:0])

    run = _Run(store, settings, BatchRunTracker(store.ledger, watcher=progress), plan)
    run.tracker.start(JOB, PHASES, trigger=trigger, seconds=settings.symbol_batch_seconds)
    return run.done(lambda _: run.expect(last))


def _priced_sessions(store: Store, release: Release) -> DateArray:
    """Exchange sessions on which the market proxy has a price, ascending."""
    market = store.read("prices", release=release, columns=["session"], symbols=[MARKET])
    if market.is_empty():
        raise FailedError(
            f"{store.path} has no price of the market proxy {MARKET}; `ridgeline ingest` it first"
        )
    return np.sort(market["session"].to_numpy().astype("datetime64[D]"))


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of the ledger: what it is to compute is planned once its prices are there."""

    store: Store
    settings: Settings
    tracker: BatchRunTracker
    plan: Callable[[Release], Work]
    is_scoped: bool = False

    def done(self, collect: Callable[[Outcome], None]) -> Outcome:
        """Collect; then plan, compute and publish under the lease."""
        outcome = Outcome(self.tracker.run_id)
        with failing(self.tracker, outcome):
            with noting(self.store.ledger):
                collect(outcome)
            self._compute(outcome)
            tolerated = 0 if self.is_scoped else TOLERATED_SHARE * outcome.prices.get("symbols", 0)
            has_failed = outcome.prices.get("failed", 0) > tolerated
            if outcome.missing_proxies or outcome.skipped or outcome.late or has_failed:
                outcome.status = "partial"
        items = (len(outcome.sessions) + len(outcome.skipped), len(outcome.skipped))
        if outcome.prices:
            items = (outcome.prices["symbols"], outcome.prices["failed"])
        self.tracker.complete(outcome.status, items=items, summary=outcome.as_dict())
        if outcome.sessions:
            with suppress(StorageError):  # the next job writes it: what was published stands without it
                self.store.write_catalog()
        if has_failed and not self.is_scoped:
            alert(self.settings, f"{_failed(outcome)}; run {outcome.run_id} is partial")
        if outcome.late:
            alert(self.settings, f"{MARKET} has no price on {outcome.late} yet; nothing newer was computed")
        return outcome

    def expect(self, target: date) -> None:
        """Collect nothing: compute from what is stored, and what renamed companies inherit of it."""
        self.tracker.start_phase(
            "prices", PHASES["prices"][0], len(self.store.ledger.symbols.ids()), "symbols"
        )
        inherit(self.store, target)

    def collect(
        self,
        outcome: Outcome,
        sources: Sources | None,
        session: date | None,
        symbols: Sequence[str] | None,
    ) -> None:
        """Bring in what the sources have, and tell the ledger what they failed on."""
        sources = sources or configured_sources(self.settings)
        target = session or clock.last_closed_session(self.settings)
        if sources.prices is None:
            self.expect(target)
            return
        found = collect_prices(self.store, sources.prices, self.tracker, target=target, symbols=symbols)
        outcome.prices = {
            "symbols": found.symbols,
            "asked": found.asked,
            "arrived": len(found.newest.keys() - found.failed.keys()),
            "restated": len(found.restated),
            "ended": len(found.ended),
            "failed": len(found.failed),
        }
        self.store.ledger.failures.record(
            self.tracker.run_id, FAILURES, target, found.failed, succeeded=found.succeeded
        )
        self._tell(outcome, found, target)
        if sources.profiles or sources.fundamentals:
            self.tracker.complete_phase("prices", True, f"{found.symbols} symbols")
            outcome.fetched = refresh_reference_data(
                self.store, self.settings, sources, self.tracker, symbols
            )

    def _tell(self, outcome: Outcome, found: Collected, target: date) -> None:
        if found.failed:
            self.tracker.add_activity(_failed(outcome), "warning")
        for name in sorted(found.ended):
            self.tracker.add_activity(f"{name} was renamed or delisted; its history stays", "info")
        if MARKET in found.failed:
            kind, words = found.failed[MARKET]
            reason = f"{MARKET} could not be fetched ({kind}: {words}), and without the market no session is"
            self.tracker.complete_phase("prices", success=False, summary=reason)
            raise FailedError(f"{reason} computed; {_failed(outcome)}; run again when the source answers")
        if found.last.get(MARKET, target) < target:
            outcome.late = str(target)
            self.tracker.add_activity(f"{MARKET} has no price on {target} yet", "warning")

    def _compute(self, outcome: Outcome) -> None:
        tracker = self.tracker
        with self.store.writing("symbol", owner=JOB) as writer:
            work = self.plan(writer.base)
            outcome.remainder = work.remainder
            if work.n_sessions:
                SessionBatch(self.store, self.settings, tracker, writer, outcome).compute(work)
            else:
                phase_id = "metrics" if outcome.fetched else "prices"
                tracker.complete_phase(phase_id, True, "; ".join(["nothing is missing", *outcome.fetched]))
            if work.remainder:
                tracker.add_activity(_left(work), "warning")
            if outcome.sessions or work.marks:
                newest: date | None = writer.read("factor_covariance", columns=["session"])["session"].max()  # type: ignore[assignment]
                writer.publish(
                    session=newest,
                    run_id=tracker.run_id,
                    recomputed=work.marks,
                    resume=work.resume,
                    is_shown=not outcome.sessions,  # else it is when the run has ended, for it to say so
                )
            outcome.release = writer.base.number


def _left(work: Work) -> str:
    stale = "" if work.resume is None else f", those from {work.resume} on with stale numbers"
    return (
        f"{work.remainder} sessions remain{stale}; the next runs compute them, oldest first, "
        "as many at once as the setting backfill_sessions allows"
    )


def _failed(outcome: Outcome) -> str:
    return f"{outcome.prices['failed']} of {outcome.prices['symbols']} symbols could not be fetched"
