"""Whatever a provider does wrong ends in one of the known outcomes, in time, or in the quarantine."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from random import Random
from time import monotonic
from typing import Any

import numpy as np
import pytest
from market_server import (
    CUT,
    EMPTY,
    HANG,
    HTML,
    RESET,
    TRICKLE,
    TRUNCATE,
    Asked,
    Fault,
    MarketServer,
    answering,
    limited,
    market_server,
)
from market_shapes import Bar, Listing, answer_of, weekdays

from engine.ingest_checks import check_prices
from service.providers import eodhd, fmp, massive, tiingo, yahoo
from service.providers.chain import Chain
from service.providers.outcomes import Failed, Fetched, Outcome, PriceSource
from service.providers.remote import Access, Patience, Remote

KEY = "k3y-0f-7he+provider"
DAYS = weekdays(date(2024, 5, 6), 10)
SPAN = (DAYS[0], DAYS[-1])
SESSIONS = np.array(DAYS, dtype="datetime64[D]")
N_SPOILED = 60
QUICK = Patience(seconds=10.0, request_seconds=5.0, tries=3, backoff_seconds=0.005, outages=1_000)
# A busy machine keeps an answer waiting too: only where something stands still is it given up on so soon.
IMPATIENT = replace(QUICK, seconds=0.9, request_seconds=0.2)

SOURCES: dict[str, tuple[Callable[[Remote], PriceSource], Access]] = {
    "tiingo": (tiingo.Tiingo, tiingo.access(KEY)),
    "eodhd": (eodhd.Eodhd, eodhd.access(KEY)),
    "fmp": (lambda remote: fmp.Fmp(remote, DAYS[-1]), fmp.access(KEY)),
    "massive": (massive.Massive, massive.access(KEY)),
    "yahoo": (yahoo.Yahoo, yahoo.access()),
}


@pytest.fixture(scope="module")
def serving() -> Iterator[MarketServer]:
    with market_server() as market:
        yield market


@pytest.fixture
def market(serving: MarketServer) -> MarketServer:
    serving.reset()
    for symbol in ("AAA", "BBB", "CCC"):
        serving.listings[symbol] = Listing([Bar(day, 20.0 + at) for at, day in enumerate(DAYS)])
    return serving


@pytest.fixture(params=SOURCES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def source(market: MarketServer, name: str, patience: Patience = QUICK) -> PriceSource:
    make, access = SOURCES[name]
    return make(Remote(name, replace(access, url=market.url, rates=("100000/s",)), patience))


def fetched(
    market: MarketServer, name: str, *symbols: str, patience: Patience = QUICK
) -> Mapping[str, Outcome]:
    outcomes = list(source(market, name, patience).fetch(dict.fromkeys(symbols or ("AAA",), SPAN)))
    assert sorted(symbol for symbol, _ in outcomes) == sorted(symbols or ("AAA",))
    return dict(outcomes)


@pytest.mark.parametrize(
    "fault", [answering(500), answering(503), limited(), HANG, RESET, CUT], ids=lambda fault: fault.how
)
def test_what_passes_is_tried_again(market: MarketServer, name: str, fault: Fault) -> None:
    market.faults.extend([fault, fault])
    patience = replace(IMPATIENT, seconds=10.0) if fault is HANG else QUICK
    found = fetched(market, name, patience=patience)["AAA"]
    assert isinstance(found, Fetched), found
    assert found.prices.height == len(DAYS)
    assert market.paths()[0] == market.paths()[1] == market.paths()[2]


@pytest.mark.parametrize(
    ("fault", "kind", "tries"),
    [
        (answering(500), "transport", 3),
        (limited(), "rate_limited", 3),
        (HANG, "transport", 3),
        (RESET, "transport", 3),
        (CUT, "transport", 3),
        (TRICKLE, "transport", None),
        (HTML, "blocked", 1),
        (replace(HTML, kind="application/json"), "blocked", 1),
        (replace(HTML, status=404), "blocked", 1),
        (replace(HTML, status=302), "blocked", 1),
        (TRUNCATE, "bad_payload", 1),
        (answering(200, "{}"), "bad_payload", 1),
        (answering(200, "null"), "bad_payload", 1),
        (answering(200, ""), "bad_payload", 1),
        (Fault(body="Date,Open,Close\n2024-05-06,1,1\n", kind="text/csv"), "bad_payload", 1),
        (answering(200, "[[1, 2], 3]"), "bad_payload", 1),
        (answering(200, '[{"date": "someday"}]'), "bad_payload", 1),
        (answering(200, '{"detail": "Error: you have run over your hourly limit"}'), "rate_limited", 1),
        (answering(200, '{"Error Message": "Invalid API KEY."}'), "auth", 1),
        (answering(204, ""), "bad_payload", 1),
        (answering(400), "bad_payload", 1),
        (answering(401), "auth", 1),
        (answering(402), "auth", 1),
        (answering(403), "auth", 1),
    ],
)
def test_what_stays_is_named(
    market: MarketServer, name: str, fault: Fault, kind: str, tries: int | None
) -> None:
    market.always = lambda _: fault
    patience = IMPATIENT if fault in (HANG, TRICKLE) else QUICK
    began = monotonic()
    found = fetched(market, name, patience=patience)["AAA"]
    assert monotonic() - began < patience.seconds + 0.5
    assert isinstance(found, Failed), found
    assert (found.kind, found.is_outage) == (kind, True)
    assert found.message.startswith(name)
    assert tries is None or len(market.asked) == tries


def test_an_empty_list_is_no_outage_and_no_price(market: MarketServer, name: str) -> None:
    market.always = lambda _: EMPTY
    found = fetched(market, name)["AAA"]
    assert isinstance(found, Failed)
    assert found.kind == {"eodhd": "no_data", "fmp": "unknown_symbol"}.get(name, "bad_payload")


@pytest.mark.parametrize("name", ["fmp", "massive", "yahoo"])
def test_the_prices_of_another_symbol(market: MarketServer, name: str) -> None:
    market.listings["AAA"].echo = "ZZZ"
    found = fetched(market, name)["AAA"]
    assert isinstance(found, Failed)
    assert (found.kind, "ZZZ" in found.message) == ("bad_payload", True)


def test_a_live_bar_past_the_end(market: MarketServer, name: str) -> None:
    market.listings["AAA"].bars.append(Bar(date(2024, 5, 20), 99.0, is_live=True))
    found = fetched(market, name)["AAA"]
    assert isinstance(found, Fetched)
    assert found.prices["session"].max() == SPAN[1]
    assert found.prices.height == len(DAYS)


def test_a_live_bar_of_the_last_session(market: MarketServer) -> None:
    market.listings["AAA"].bars.append(Bar(DAYS[-1], 99.0, is_live=True))
    found = fetched(market, "yahoo")["AAA"]
    assert isinstance(found, Fetched)
    assert found.prices["close"].to_list()[-1] == 29.0


def test_odd_rows_end_in_the_quarantine(market: MarketServer, name: str) -> None:
    """Nulls, repeated, contradicting and unordered rows: the checks take what is left."""
    bars = market.listings["AAA"].bars
    bars[3].close = bars[3].volume = None
    bars.append(replace(bars[2]))
    bars.append(replace(bars[5], close=77.0))
    bars.append(Bar(date(2024, 5, 11), 25.0))
    bars[0], bars[8] = bars[8], bars[0]
    found = fetched(market, name)["AAA"]
    assert isinstance(found, Fetched)
    accepted, quarantine = check_prices(found.prices, SESSIONS)
    gone = {DAYS[3], DAYS[5]}
    assert accepted["session"].to_list() == [day for day in DAYS if day not in gone]
    reasons = set(quarantine.select("session", "reason").rows())
    assert (DAYS[3], "missing_price") in reasons
    assert (DAYS[5], "duplicate_session") in reasons
    assert (date(2024, 5, 11), "not_a_session") in reasons


def test_one_symbol_does_not_spoil_the_others(market: MarketServer, name: str) -> None:
    market.always = lambda asked: answering(500) if "BBB" in asked.path + str(asked.query) else None
    found = fetched(market, name, "AAA", "BBB", "CCC", "NOSUCH")
    assert [found[symbol].kind for symbol in ("BBB", "NOSUCH")] == ["transport", "unknown_symbol"]
    assert all(isinstance(found[symbol], Fetched) for symbol in ("AAA", "CCC"))


def test_an_outage_of_one_provider(market: MarketServer) -> None:
    market.always = lambda asked: answering(500) if asked.path.startswith("/tiingo") else None
    chain = Chain([source(market, "tiingo"), source(market, "eodhd")])
    found = dict(chain.fetch(dict.fromkeys(("AAA", "BBB", "NOSUCH"), SPAN)))
    assert found["AAA"].prices["source"][0] == found["BBB"].prices["source"][0] == "eodhd"
    assert found["NOSUCH"].kind == "transport"
    assert "tiingo answered 500" in found["NOSUCH"].message
    assert "eodhd answered 404" in found["NOSUCH"].message


def test_an_outage_never_looks_like_a_delisting(market: MarketServer) -> None:
    gone = weekdays(date(2024, 1, 2), 5)
    market.listings["GONE"] = Listing([Bar(day, 7.0) for day in gone], is_delisted=True)
    names = ("tiingo", "massive")
    chain = Chain([source(market, each) for each in names])
    found = dict(chain.fetch({"GONE": SPAN}))["GONE"]
    assert (found.kind, found.last_session) == ("delisted", gone[-1])
    market.always = lambda asked: RESET if asked.path.startswith("/v2") else None
    assert dict(chain.fetch({"GONE": SPAN}))["GONE"].kind == "transport"
    market.always = lambda _: answering(503)
    found = dict(chain.fetch(dict.fromkeys(("AAA", "GONE"), SPAN)))
    assert {outcome.kind for outcome in found.values()} == {"transport"}


def test_retry_after_goes_before_the_backoff(market: MarketServer) -> None:
    patient = replace(QUICK, backoff_seconds=60.0, max_backoff_seconds=60.0)
    market.faults.extend([limited("0"), limited("Wed, 21 Oct 2015 07:28:00 GMT")])
    assert isinstance(fetched(market, "tiingo", patience=patient)["AAA"], Fetched)
    market.faults.append(limited())
    assert fetched(market, "tiingo", patience=patient)["AAA"].kind == "rate_limited"


def test_a_long_retry_after_is_not_waited_for_by_anybody(market: MarketServer) -> None:
    market.always = lambda _: limited("3600")
    began = monotonic()
    found = fetched(market, "tiingo", "AAA", "BBB", "CCC", patience=replace(QUICK, concurrency=1))
    assert monotonic() - began < 1.0
    assert len(market.asked) == 1
    assert {outcome.kind for outcome in found.values()} == {"rate_limited"}
    assert all(3_590 < outcome.retry_after <= 3_600 for outcome in found.values())


def test_closing_stops_the_work(market: MarketServer) -> None:
    symbols = [f"S{at}" for at in range(200)]
    arriving = source(market, "tiingo", IMPATIENT).fetch(dict.fromkeys(symbols, SPAN))
    next(arriving)
    market.always = lambda _: HANG
    began = monotonic()
    arriving.close()
    assert monotonic() - began < 1.0
    assert len(market.asked) < 30


JUNK = (
    *(None, True, 0, -1, 10**22, -(10**22), 253_402_300_800_000, 1e-320, 1e308, -0.5, [], {}, [None]),
    *(
        "",
        "2024-05-07",
        "NaN",
        "12.5",
        "Nowhere/Zone",
        "../../etc/passwd",
        "AAA",
        "9999-99-99T00",
        "1/0",
        "é",
    ),
)


def spoiled(value: Any, chance: Random) -> Any:
    """A JSON value with something in it put in place of something else."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        return {**value, key: spoiled(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        at = chance.randrange(len(value))
        return [*value[:at], spoiled(value[at], chance), *value[at + 1 :]]
    return chance.choice(JUNK)


def test_any_payload_ends_in_a_known_outcome(market: MarketServer, name: str) -> None:
    listing = market.listings["AAA"]
    listing.splits[DAYS[5]], listing.dividends[DAYS[7]] = 2.0, 0.25
    asking, kinds = source(market, name, replace(QUICK, tries=1)), set()
    for seed in range(N_SPOILED):
        chance = Random(seed)

        def spoil(asked: Asked, chance: Random = chance) -> Fault:
            status, answer = answer_of(market.listings, market.url, asked.path, asked.query)
            kept = chance.random() < 0.3
            return Fault(status=status, body=json.dumps(answer if kept else spoiled(answer, chance)))

        market.always = spoil
        found = dict(asking.fetch({"AAA": SPAN}))["AAA"]
        if isinstance(found, Fetched):
            check_prices(found.prices, SESSIONS)
        kinds.add("fetched" if isinstance(found, Fetched) else found.kind)
    assert kinds >= {"fetched", "bad_payload"}
