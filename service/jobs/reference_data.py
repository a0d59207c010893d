"""Company profiles (sectors, valuations) and statements, where a source of them is configured.

They are brought in before a session is computed, for the risk model and the metrics read the profiles; what
cannot be fetched leaves what is known, and never fails a run.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import date
from time import monotonic
from typing import Literal, TypeAlias

import polars as pl

from service import clock
from service.ingest import ingest_table
from service.ingest_writes import FUNDAMENTAL_KEY, PROFILE_KEY
from service.jobs.progress import Progress
from service.jobs.symbol_phases import PHASES
from service.jobs.universe import universe
from service.providers.outcomes import Failed, RowsOutcome, RowsOutcomes
from service.providers.sources import Sources
from service.settings import Settings
from storage.store import Store

Table: TypeAlias = Literal["profiles", "fundamentals"]
Phase: TypeAlias = tuple[str, str]  # id and name
KEYS = {"profiles": PROFILE_KEY, "fundamentals": FUNDAMENTAL_KEY}
PHASE = "metrics"  # of the symbol batch
PORTION_SECONDS = 60.0
STEPS: dict[Table, str] = {"profiles": "valuations", "fundamentals": "fundamentals"}  # of that phase


def refresh_reference_data(
    store: Store,
    settings: Settings,
    sources: Sources,
    progress: Progress,
    symbols: Sequence[str] | None = None,
) -> list[str]:
    """Fetch profiles and statements as steps of the phase ``metrics``; return what came of each.

    What has no source is no step. The phase goes on afterwards, under its own name.
    """
    name, unit = PHASES[PHASE]
    said = [
        refresh_table(table, store, settings, sources, progress, symbols, phase=(PHASE, f"{name}: {step}"))
        for table, step in STEPS.items()
        if _source(sources, table)
    ]
    progress.start_phase(PHASE, name, 0, unit)  # how much there is to compute is not known yet
    return said


def refresh_table(
    table: Table,
    store: Store,
    settings: Settings,
    sources: Sources,
    progress: Progress,
    symbols: Sequence[str] | None,
    *,
    phase: Phase,
) -> str:
    """Fetch rows that are of an earlier day, the oldest first, within the time allowed; say what came of it.

    The phase begins anew with it, and counts the symbols that were asked for.
    """
    fetch = _source(sources, table)
    if fetch is None:
        return f"no source of {table} is configured"
    wanted = _stale(store, table, clock.now(settings).date(), symbols)
    progress.start_phase(*phase, len(wanted), "symbols")
    outcomes = _counted(fetch(wanted), progress, phase[0], settings.reference_seconds)
    summary, is_whole = _stored(store, table, outcomes)
    progress.add_activity(summary, "info" if is_whole else "warning")
    return summary


def _source(sources: Sources, table: Table) -> Callable[[Iterable[str]], RowsOutcomes] | None:
    if table == "profiles":
        return None if sources.profiles is None else sources.profiles.fetch_profiles
    return None if sources.fundamentals is None else sources.fundamentals.fetch_fundamentals


def _stale(store: Store, table: Table, today: date, symbols: Sequence[str] | None) -> list[str]:
    """Symbols whose newest rows are of an earlier day than today, those without any first."""
    known = store.read(table, columns=["symbol", "as_of"]).group_by("symbol").agg(pl.col("as_of").max())
    newest = dict(known.iter_rows())
    names = universe(store, today, among=symbols).names
    stale = [name for name in names if name not in newest or newest[name] < today]
    return sorted(stale, key=lambda name: newest.get(name, date.min))


def _counted(
    outcomes: RowsOutcomes, progress: Progress, phase_id: str, seconds: float
) -> Iterator[RowsOutcome]:
    """Yield what arrives within some seconds, and count each when it was taken."""
    until = monotonic() + seconds
    with closing(outcomes):
        for n_done, (_, outcome) in enumerate(outcomes, start=1):
            yield outcome
            progress.update_phase_progress(phase_id, n_done)
            if monotonic() > until:
                break


def _stored(store: Store, table: Table, outcomes: Iterator[RowsOutcome]) -> tuple[str, bool]:
    """Store what arrives, by portions; say how much that was, and whether every symbol was answered."""
    waiting: list[pl.DataFrame] = []
    n_came, failed, stored_at = 0, Counter[str](), monotonic()
    try:
        for outcome in outcomes:
            if isinstance(outcome, Failed):
                failed[outcome.kind] += 1
            elif outcome.height:
                waiting.append(outcome)
                n_came += 1
            if waiting and monotonic() - stored_at >= PORTION_SECONDS:
                ingest_table(store, table, pl.concat(waiting), KEYS[table])
                waiting, stored_at = [], monotonic()
    finally:  # cancelled, or out of the run's time: what has arrived need not be fetched again
        if waiting:
            ingest_table(store, table, pl.concat(waiting), KEYS[table])
    said = ", ".join(f"{n} {kind}" for kind, n in sorted(failed.items()))
    summary = f"{table} of {n_came} symbols"
    return (f"{summary}; without an answer: {said}", False) if said else (summary, True)
