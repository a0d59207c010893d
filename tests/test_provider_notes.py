"""How providers stand, from the process that asks them to the ledger and to those who look."""

from dataclasses import replace
from datetime import date

import pytest
from market_server import answering, market_server
from market_shapes import Bar, Listing, weekdays

from service.admin.providers import Quota, provider_status
from service.jobs.provider_notes import noting
from service.providers import tiingo
from service.providers.remote import Patience, Remote
from service.providers.standings import Window, standings
from service.settings import Settings
from storage.providers import ProviderNote

DAYS = weekdays(date(2024, 5, 6), 3)
SETTINGS = Settings(providers=("tiingo", "files"), profile_provider="fmp", fundamental_provider="fmp")


@pytest.fixture(scope="module")
def market():
    with market_server() as market:
        market.listings |= {f"S{at}": Listing([Bar(day, 10.0) for day in DAYS]) for at in range(3)}
        yield market


@pytest.fixture
def remote(market):
    market.always = lambda _: None
    access = replace(tiingo.access("k3y"), url=market.url, rates=("50/h", "20/min"))
    return Remote("tiingo", access, Patience(tries=1, concurrency=1, outages=2, open_seconds=600))


def ask(remote, *names):
    return dict(tiingo.Tiingo(remote).fetch(dict.fromkeys(names, (DAYS[0], DAYS[-1]))))


def standing():
    return next(each for each in standings() if each.name == "tiingo")


def test_what_was_asked_is_counted_in_every_window(remote):
    ask(remote, "S0", "S1", "S2")
    assert standing().windows == (Window("20/min", 20, 60.0, 3), Window("50/h", 50, 3600.0, 3))
    assert (standing().outages, standing().left_alone) == (0, 0.0)
    other = Remote("tiingo", replace(remote._access), Patience())
    ask(other, "S0")
    assert standing().windows[1].used == 4  # one provider, asked for two things
    del other


def test_the_ledger_is_told(remote, market, ledger):
    with noting(ledger):
        ask(remote, "S0")
        market.always = lambda _: answering(500)
        ask(remote, "S1", "S2")
    found, files, fmp = provider_status(ledger, SETTINGS)
    assert (found.name, found.uses, found.circuit, found.outages) == ("tiingo", ["prices"], "open", 2)
    assert found.left_alone_until > found.noted_at
    assert found.quotas == [Quota("20/min", 20, 17), Quota("50/h", 50, 47)]
    assert (files.circuit, files.quotas) == ("none", [])
    assert (fmp.uses, fmp.circuit, fmp.noted_at) == (["profiles", "fundamentals"], "closed", None)


def test_an_old_note_says_nothing_of_windows_that_have_passed(ledger):
    windows = [
        {"rate": "50/h", "limit": 50, "seconds": 3600.0, "used": 50},
        {"rate": "9/40000d", "limit": 9, "seconds": 40_000 * 86_400.0, "used": 4},
    ]
    note = ProviderNote("tiingo", windows, 9, "2024-05-06T00:01:00.000000Z", "2024-05-06T00:00:00.000000Z")
    ledger.providers.note([replace(note, outages=1)])
    ledger.providers.note([note])
    found = provider_status(ledger, SETTINGS)[0]
    assert found.quotas == [Quota("50/h", 50, 50), Quota("9/40000d", 9, 5)]
    assert (found.circuit, found.left_alone_until, found.outages) == ("closed", None, 9)
