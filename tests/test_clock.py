"""The calendar against exchange_calendars, and what counts as the newest closed session."""

import warnings
from datetime import date, datetime

import numpy as np
import pytest

from service import clock
from service.errors import UsageError
from service.settings import Settings

FIRST, LAST = date(2005, 1, 1), date(2030, 12, 31)


def is_session(day: date) -> bool:
    return len(clock.sessions_between(day, day)) == 1


@pytest.fixture(scope="module")
def exchange() -> np.ndarray:
    """Sessions of XNYS by another library ``(n_sessions,)``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from exchange_calendars import get_calendar

        sessions = get_calendar("XNYS", start=str(FIRST), end=str(LAST)).sessions
    return sessions.to_numpy().astype("datetime64[D]")


def test_every_session_of_26_years(exchange: np.ndarray) -> None:
    ours = clock.sessions_between(FIRST, LAST)
    assert ours.dtype == np.dtype("datetime64[D]")
    np.testing.assert_array_equal(ours, exchange)


@pytest.mark.parametrize(
    "day",
    [
        "2001-09-11",
        "2001-09-14",
        "2004-06-11",
        "2007-01-02",
        "2012-10-29",
        "2012-10-30",
        "2018-12-05",
        "2025-01-09",
    ],
)
def test_the_exchange_was_closed_on_days_no_rule_gives(day: str) -> None:
    assert not is_session(date.fromisoformat(day))


@pytest.mark.parametrize(
    ("day", "open_"),
    [("2021-12-31", True), ("2022-06-20", False), ("2021-06-18", True), ("2024-02-29", True)],
)
def test_days_that_rules_get_wrong(day: str, open_: bool) -> None:
    assert is_session(date.fromisoformat(day)) == open_


def test_ranges_include_both_ends_and_may_be_empty() -> None:
    days = clock.sessions_between(date(2024, 5, 24), date(2024, 5, 28))
    assert days.tolist() == [date(2024, 5, 24), date(2024, 5, 28)]
    assert len(clock.sessions_between(date(2024, 5, 25), date(2024, 5, 27))) == 0
    assert len(clock.sessions_between(date(2024, 5, 28), date(2024, 5, 24))) == 0
    assert len(clock.sessions_between(date(2025, 5, 28), date(2024, 5, 24))) == 0


@pytest.mark.parametrize("count", [1, 5, 252, 546])
def test_the_sessions_until_a_day(exchange: np.ndarray, count: int) -> None:
    day = np.datetime64("2024-07-04")
    expected = exchange[exchange <= day][-count:]
    np.testing.assert_array_equal(clock.sessions_until(day.item(), count), expected)


@pytest.mark.parametrize(
    ("now", "session"),
    [
        ("2024-05-31T16:29:59", date(2024, 5, 30)),
        ("2024-05-31T16:30:00", date(2024, 5, 31)),
        ("2024-06-02T12:00:00", date(2024, 5, 31)),  # a Sunday
        ("2024-06-03T09:00:00", date(2024, 5, 31)),
        ("2024-05-31T20:29:59+00:00", date(2024, 5, 30)),  # four hours ahead of New York in summer
        ("2024-06-01T03:00:00+00:00", date(2024, 5, 31)),
        ("2024-01-31T21:30:00+00:00", date(2024, 1, 31)),  # five in winter
        ("2024-03-30T18:00:00", date(2024, 3, 28)),  # after Good Friday
    ],
)
def test_the_newest_closed_session_goes_by_the_time_in_new_york(now: str, session: date) -> None:
    assert clock.last_closed_session(Settings(ny_time=now)) == session


def test_the_real_clock_gives_a_session_that_is_not_ahead() -> None:
    session = clock.last_closed_session(Settings())
    assert is_session(session)
    assert session <= datetime.now(clock.NEW_YORK).date()


def test_a_time_that_is_none_and_a_year_without_a_calendar() -> None:
    with pytest.raises(UsageError, match="ny_time 'noon' is no ISO time"):
        clock.last_closed_session(Settings(ny_time="noon"))
    with pytest.raises(UsageError, match="year 1066"):
        clock.sessions_between(date(1066, 10, 14), date(1066, 10, 14))
