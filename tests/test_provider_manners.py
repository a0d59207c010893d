"""How often a provider is asked, when it is left alone, and that its key is seen nowhere."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from threading import Event, Thread
from time import monotonic, sleep

import pytest
from market_server import Fault, MarketServer, answering, market_server
from market_shapes import Bar, Listing, weekdays

from service.providers import eodhd, fmp, massive, tiingo
from service.providers.budget import Budget
from service.providers.outcomes import Fetched
from service.providers.rate_windows import RateWindows
from service.providers.remote import Patience, Remote
from service.providers.replies import seconds_of

KEY = "k3y-0f/7he+provider"
DAYS = weekdays(date(2024, 5, 6), 3)
SPAN = (DAYS[0], DAYS[-1])
PATIENCE = Patience(seconds=2.0, request_seconds=1.0, tries=1, concurrency=1)


@pytest.fixture(scope="module")
def serving() -> Iterator[MarketServer]:
    with market_server() as market:
        yield market


@pytest.fixture
def market(serving: MarketServer) -> MarketServer:
    serving.reset()
    serving.listings |= {f"S{at}": Listing([Bar(day, 10.0) for day in DAYS]) for at in range(12)}
    return serving


def source(market: MarketServer, patience: Patience, *rates: str) -> tiingo.Tiingo:
    access = replace(tiingo.access(KEY), url=market.url, rates=rates or ("100000/s",))
    return tiingo.Tiingo(Remote("tiingo", access, patience))


def symbols(n: int) -> dict[str, tuple[date, date]]:
    return {f"S{at}": SPAN for at in range(n)}


def fits(times: list[float], limit: int, window: float) -> bool:
    """Whether no more than ``limit`` of the times lie in any window, but for what measuring takes."""
    return all(later - first > window - 0.01 for first, later in zip(times, times[limit:], strict=False))


def test_several_windows_at_once() -> None:
    windows, times = RateWindows(["3/60ms", "5/200ms"]), []

    def acquire() -> None:
        for _ in range(4):
            assert windows.acquire(1, Budget(5.0, Event())) == 0.0
            times.append(monotonic())

    threads = [Thread(target=acquire) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    assert len(times) == 12
    assert fits(times, 3, 0.06)
    assert fits(times, 5, 0.2)
    assert times[-1] - times[0] < 1.0


def test_windows_are_kept_over_http(market: MarketServer) -> None:
    began = monotonic()
    found = dict(source(market, replace(PATIENCE, concurrency=4), "4/100ms").fetch(symbols(12)))
    assert all(isinstance(outcome, Fetched) for outcome in found.values())
    arrivals = sorted(asked.at - began for asked in market.asked)
    assert arrivals[4] > 0.1  # whatever time a request takes, it is not sent before its turn
    assert arrivals[8] > 0.2


def test_a_window_that_takes_too_long_is_not_waited_for(market: MarketServer) -> None:
    began = monotonic()
    found = dict(source(market, PATIENCE, "5/h").fetch(symbols(12)))
    assert monotonic() - began < 1.0
    assert len(market.asked) == 5
    refused = [outcome for outcome in found.values() if not isinstance(outcome, Fetched)]
    assert len(refused) == 7
    assert {outcome.kind for outcome in refused} == {"rate_limited"}
    assert all(3_500 < outcome.retry_after <= 3_601 for outcome in refused)


def test_what_never_fits_is_refused() -> None:
    assert RateWindows(["20/d"]).acquire(100, Budget(1.0, Event())) == float("inf")


def test_the_circuit_opens_and_closes(market: MarketServer, caplog: pytest.LogCaptureFixture) -> None:
    asking = source(market, replace(PATIENCE, outages=3, open_seconds=0.2))
    market.always = lambda _: answering(500)
    found = dict(asking.fetch(symbols(10)))
    assert len(market.asked) == 3
    assert {outcome.kind for outcome in found.values()} == {"transport"}
    assert [each.message for each in caplog.records if each.name == "service.providers.remote"] == [
        "tiingo is left alone for 0.2 s after 3 outages in a row"
    ]
    left_alone = found["S9"]
    assert "left alone after 3 outages" in left_alone.message
    assert 0 < left_alone.retry_after <= 0.2
    sleep(0.21)
    dict(asking.fetch(symbols(10)))
    assert len(market.asked) == 4  # one tried for all, and found it down
    market.always = lambda _: None
    assert not any(isinstance(outcome, Fetched) for outcome in dict(asking.fetch(symbols(3))).values())
    sleep(0.21)
    assert all(isinstance(outcome, Fetched) for outcome in dict(asking.fetch(symbols(10))).values())


@pytest.mark.parametrize("status", [200, 400, 402, 403, 404, 429])
def test_what_is_no_outage_leaves_the_circuit_closed(market: MarketServer, status: int) -> None:
    """An unknown symbol, one that the plan does not have, nonsense: the next may be answered."""
    asking = source(market, replace(PATIENCE, outages=3, backoff_seconds=0.001))
    market.always = lambda _: answering(status, '{"detail": "not that one"}')
    assert not any(isinstance(outcome, Fetched) for outcome in dict(asking.fetch(symbols(10))).values())
    assert len(market.asked) == 10


def test_a_wrong_key_opens_the_circuit(market: MarketServer) -> None:
    market.always = lambda _: answering(401)
    dict(source(market, replace(PATIENCE, outages=3)).fetch(symbols(10)))
    assert len(market.asked) == 3


@pytest.mark.parametrize("provider", [tiingo, eodhd, fmp, massive])
def test_a_key_is_sent_and_never_seen(
    market: MarketServer, provider, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in any log, at any level; not in an error whose words come from the provider, which echoes it."""
    caplog.set_level(logging.DEBUG)
    access = replace(provider.access(KEY), url=market.url)
    remote = Remote(provider.NAME, access, replace(PATIENCE, tries=2, backoff_seconds=0.001))
    echoes = [Fault(status=status, body=f'{{"error": "bad token {KEY}"}}') for status in (500, 401)]
    market.faults.extend([*echoes, Fault(body=f'{{"error": "bad token {KEY}"}}'), Fault(body=KEY)])
    with remote.asking() as ask:
        for _ in range(3):
            with pytest.raises(Exception, match=provider.NAME) as caught:
                ask.get(list[int], "/x")
            assert KEY not in str(caught.value)
            assert KEY not in str(caught.value.failed)
    asked = market.asked[0]
    assert KEY in str(asked.query) + str(asked.headers)
    assert "HTTP Request" in caplog.text
    for spelled in (KEY, "k3y-0f%2F7he%2Bprovider", "k3y-0f/7he%2Bprovider"):
        assert spelled not in caplog.text
        assert spelled not in repr(access)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), (" 0 ", 0.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)
def test_retry_after(header: str, seconds: float) -> None:
    assert seconds_of(header) == seconds


@pytest.mark.parametrize("header", [None, "", "soon", "-5", "1.5", "Wed, 21 Oct 2015 07:28:00"])
def test_a_retry_after_that_says_nothing(header: str | None) -> None:
    assert seconds_of(header) is None
