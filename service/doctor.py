"""Looks at everything that a night depends on, before the night does: one finding a check."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

from engine.factors import PROXIES
from service import clock
from service.errors import RidgelineError
from service.freshness import freshness
from service.providers.outcomes import Failed
from service.providers.sources import configured_sources
from service.settings import Settings
from storage.errors import StorageError
from storage.store import LAYERS, Store, open_store

Status: TypeAlias = Literal["ok", "warn", "fail"]
HORIZON = timedelta(days=400)
FEWEST_SESSIONS = 250  # in any 400 days
SCARCE, TIGHT = 200_000_000, 2_000_000_000  # bytes of free disk
SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and how to mend it where it is not ok."""

    check: str
    status: Status
    message: str


def examine(path: Path, settings: Settings) -> Iterator[Finding]:
    """Yield the finding of each check; one that raises has failed, and the next ones go on."""
    yield _found("settings", lambda: _clock_setting(settings))
    yield _found("calendar", lambda: _calendar(settings))
    yield _found("disk", lambda: _disk(path))
    yield _found("providers", lambda: _providers(settings))
    if not (path / "lake").is_dir():
        yield Finding("store", "fail", f"{path} is no store; `ridgeline ingest` makes one")
        return
    try:
        store = open_store(path, ledger_url=settings.ledger)
    except (StorageError, OSError) as error:
        yield Finding("store", "fail", str(error))
        return
    with store:
        yield _found("store", lambda: _store(store))
        yield _found("clock", lambda: _clock(store))
        yield _found("prices", lambda: _prices(store, settings))
        yield _found("jobs", lambda: _jobs(store))


def _found(check: str, look: Callable[[], tuple[Status, str]]) -> Finding:
    try:
        return Finding(check, *look())
    except (RidgelineError, StorageError, OSError) as error:
        return Finding(check, "fail", str(error))


def _clock_setting(settings: Settings) -> tuple[Status, str]:
    if settings.ny_time is not None:
        return "warn", f"ny_time fixes the clock at {clock.now(settings):%Y-%m-%d %H:%M}; take it out"
    return "ok", f"it is {clock.now(settings):%Y-%m-%d %H:%M} in New York"


def _calendar(settings: Settings) -> tuple[Status, str]:
    today = clock.now(settings).date()
    ahead = clock.sessions_between(today, today + HORIZON)
    if len(ahead) < FEWEST_SESSIONS:
        return "fail", f"the calendar knows {len(ahead)} sessions up to {today + HORIZON}; update `holidays`"
    return "ok", f"known to {clock.LAST_YEAR}; the next session is {ahead[0]}"


def _disk(path: Path) -> tuple[Status, str]:
    there = next(each for each in (path, *path.resolve().parents) if each.exists())
    free = shutil.disk_usage(there).free
    said = f"{free / 1e9:,.1f} GB free at {there}"
    if free < SCARCE:
        return "fail", f"{said}; make room before the next night"
    return ("warn", f"{said}; `ridgeline compact` frees some") if free < TIGHT else ("ok", said)


def _providers(settings: Settings) -> tuple[Status, str]:
    source = configured_sources(settings).prices
    if source is None:
        return "ok", "none is configured: what `ridgeline ingest` brings in is computed"
    target, market = clock.last_closed_session(settings), PROXIES["Market"]
    first: date = clock.sessions_until(target, 5)[0].item()
    with closing(source.fetch({market: (first, target)})) as outcomes:
        outcome = next(outcome for _, outcome in outcomes)
    if isinstance(outcome, Failed):
        return "fail", f"{source.name} does not give {market}: {outcome.kind}: {outcome.message}"
    newest: date | None = outcome.prices["session"].max()  # type: ignore[assignment]
    if newest != target:
        return "warn", f"{source.name} has {market} up to {newest}, and {target} has closed"
    return "ok", f"{source.name} has {market} up to {newest}"


def _store(store: Store) -> tuple[Status, str]:
    newest = [store.release(layer=layer) for layer in LAYERS]
    said = ", ".join(f"{each.layer} release {each.number} of {each.session}" for each in newest)
    store.sql("select number from release")
    return ("warn", f"{said}; nothing is computed yet") if newest[0].session is None else ("ok", said)


def _clock(store: Store) -> tuple[Status, str]:
    created = [store.release(layer=layer).created_at for layer in LAYERS]
    newest = max((datetime.fromisoformat(each) for each in created if each), default=None)
    if newest is not None and newest > clock.utc_now() + SKEW:
        return (
            "fail",
            f"the newest release is of {newest:%Y-%m-%d %H:%M} UTC, still to come; set the clock",
        )
    return "ok", "no release is from the future"


def _prices(store: Store, settings: Settings) -> tuple[Status, str]:
    found = freshness(store, settings)
    said = f"prices up to {found.latest_price_date}, due was {found.due_session}"
    levels: dict[str, Status] = {"none": "ok", "warning": "warn", "critical": "fail"}
    return levels[found.alert_level], said


def _jobs(store: Store) -> tuple[Status, str]:
    store.ledger.runs.fail_stale()
    last = [store.ledger.runs.last(job) for job in ("symbol_batch", "portfolio_refresh")]
    bad = [run for run in last if run is not None and run.status in ("failed", "partial")]
    if bad:
        said = "; ".join(f"{run.job_type} {run.status}: {run.error or 'see its log'}" for run in bad)
        return "warn", f"the last {said}"
    return "ok", "the last runs went well" if any(last) else "nothing ran yet"
