"""The exchange calendar and the time of day in New York. The only place that asks what day it is."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

import holidays
import numpy as np

from engine.typing import DateArray
from service.errors import UsageError
from service.settings import Settings

NEW_YORK = ZoneInfo("America/New_York")
FIRST_YEAR, LAST_YEAR = 1900, 2200


def sessions_between(first: date, last: date) -> DateArray:
    """Exchange sessions from ``first`` to ``last``, both included; ``(n,)`` days."""
    years = [_sessions_of(year) for year in range(first.year, last.year + 1)]
    sessions = np.concatenate(years) if years else np.array([], dtype="datetime64[D]")
    return sessions[(sessions >= np.datetime64(first)) & (sessions <= np.datetime64(last))]


def sessions_until(last: date, count: int) -> DateArray:
    """Return the ``count`` exchange sessions that end on or before ``last``; ``(count,)`` days."""
    reach = timedelta(days=count * 3 // 2 + 30)
    return sessions_between(last - reach, last)[-count:]


def utc_now() -> datetime:
    """Return the present, for durations and time stamps; what day it is depends on New York."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """Return a moment as UTC ISO text with microseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def now(settings: Settings) -> datetime:
    """Return the time in New York, or the one that the settings fix."""
    if settings.ny_time is None:
        return datetime.now(NEW_YORK)
    try:
        fixed = datetime.fromisoformat(settings.ny_time)
    except ValueError as error:
        raise UsageError(f"ny_time {settings.ny_time!r} is no ISO time; write 2024-05-31T21:00") from error
    return fixed.astimezone(NEW_YORK) if fixed.tzinfo else fixed.replace(tzinfo=NEW_YORK)


def last_closed_session(settings: Settings) -> date:
    """Return the newest session whose close has passed in New York, whatever the machine's own zone."""
    local = now(settings)
    close = time.fromisoformat(settings.session_close)
    day = local.date() if local.time() >= close else local.date() - timedelta(days=1)
    return _session_until(day)


def due_session(settings: Settings) -> date:
    """Return the newest session whose nightly batch was due, by the clock in New York."""
    local = now(settings)
    due = local.time() >= time.fromisoformat(settings.batch_time)
    return _session_until(local.date() if due else local.date() - timedelta(days=1))


def next_due(settings: Settings) -> datetime:
    """Return when the next nightly batch is due, in New York time."""
    after = due_session(settings) + timedelta(days=1)
    session: date = sessions_between(after, after + timedelta(days=30))[0].item()
    return datetime.combine(session, time.fromisoformat(settings.batch_time), NEW_YORK)


@lru_cache(maxsize=16)
def _session_until(day: date) -> date:
    session: date = sessions_until(day, 1)[0].item()
    return session


@cache
def _sessions_of(year: int) -> DateArray:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise UsageError(f"year {year} is outside {FIRST_YEAR}–{LAST_YEAR}; give another date")
    closed = np.array(sorted(holidays.financial_holidays("NYSE", years=year)), dtype="datetime64[D]")
    days = np.arange(f"{year:04d}-01-01", f"{year + 1:04d}-01-01", dtype="datetime64[D]")
    return days[np.is_busday(days, holidays=closed)]
