"""Company profiles (sectors, valuations) and statements, where a source of them is configured.

They are brought in before a session is computed, for the risk model and the metrics read the profiles; what
cannot be fetched leaves what is known, and never fails a run.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from time import monotonic

import polars as pl

from service import clock
from service.ingest import ingest_table
from service.ingest_writes import FUNDAMENTAL_KEY, PROFILE_KEY
from service.jobs.progress import Progress
from service.jobs.universe import universe
from service.providers.outcomes import Failed, RowsOutcomes
from service.providers.sources import Sources
from service.settings import Settings
from storage.store import Store


def refresh_reference_data(
    store: Store,
    settings: Settings,
    sources: Sources,
    progress: Progress,
    symbols: Sequence[str] | None = None,
) -> None:
    """Fetch profiles and statements that are of an earlier day, the oldest first, within the time allowed."""
    for refresh in (refresh_profiles, refresh_fundamentals):
        refresh(store, settings, sources, progress, symbols)


def refresh_profiles(
    store: Store,
    settings: Settings,
    sources: Sources,
    progress: Progress,
    symbols: Sequence[str] | None = None,
) -> str:
    """Fetch profiles that are of an earlier day, and return what came of it."""
    if sources.profiles is None:
        return "no source of profiles is configured"
    wanted = _stale(store, "profiles", clock.now(settings).date(), symbols)
    outcomes = sources.profiles.fetch_profiles(wanted)
    return _bring(store, settings, progress, ("profiles", PROFILE_KEY), outcomes)


def refresh_fundamentals(
    store: Store,
    settings: Settings,
    sources: Sources,
    progress: Progress,
    symbols: Sequence[str] | None = None,
) -> str:
    """Fetch statements that are of an earlier day, and return what came of it."""
    if sources.fundamentals is None:
        return "no source of statements is configured"
    wanted = _stale(store, "fundamentals", clock.now(settings).date(), symbols)
    outcomes = sources.fundamentals.fetch_fundamentals(wanted)
    return _bring(store, settings, progress, ("fundamentals", FUNDAMENTAL_KEY), outcomes)


def _stale(store: Store, table: str, today: date, symbols: Sequence[str] | None) -> list[str]:
    """Symbols whose newest rows are of an earlier day than today, those without any first."""
    known = store.read(table, columns=["symbol", "as_of"]).group_by("symbol").agg(pl.col("as_of").max())
    newest = dict(known.iter_rows())
    names = universe(store, today, among=symbols).names
    stale = [name for name in names if name not in newest or newest[name] < today]
    return sorted(stale, key=lambda name: newest.get(name, date.min))


def _bring(
    store: Store,
    settings: Settings,
    progress: Progress,
    table: tuple[str, Sequence[str]],
    outcomes: RowsOutcomes,
) -> str:
    """Store what arrives within the time allowed, and say how much that was."""
    frames: list[pl.DataFrame] = []
    failed: Counter[str] = Counter()
    until = monotonic() + settings.reference_seconds
    with closing(outcomes):
        for _, outcome in outcomes:
            if isinstance(outcome, Failed):
                failed[outcome.kind] += 1
            elif outcome.height:
                frames.append(outcome)
            if monotonic() > until:
                break
    if frames:
        ingest_table(store, table[0], pl.concat(frames), table[1])
    said = ", ".join(f"{n} {kind}" for kind, n in sorted(failed.items()))
    summary = f"{table[0]} of {len(frames)} symbols" + (f"; without an answer: {said}" if said else "")
    progress.add_activity(summary, "warning" if failed else "info")
    return summary
