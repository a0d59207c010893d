"""Files and the simulated market as sources, and the chain that asks one after another."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from service import clock
from service.errors import UsageError
from service.providers.chain import Chain
from service.providers.configured import price_source, profile_source
from service.providers.files import FilesSource
from service.providers.outcomes import Failed, Fetched, Outcome, Outcomes, Span
from service.providers.simulated import SimulatedMarket, simulate
from service.providers.simulated_source import SimulatedSource
from service.settings import Settings

DATA = Path(__file__).parents[1] / "data"
YEAR = (date(2024, 1, 1), date(2024, 12, 31))


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return simulate(clock.sessions_between(*YEAR), n_symbols=6)


def acting(market: SimulatedMarket, kind: str) -> tuple[str, date]:
    """Symbol and session of an action of the market."""
    found = market.actions.row(by_predicate=pl.col("kind") == kind, named=True)
    return found["symbol"], found["session"]


def seen(market: SimulatedMarket, symbol: str, last: date, span: Span = YEAR) -> Outcome:
    return dict(SimulatedSource(market, last).fetch({symbol: span}))[symbol]


def test_files(tmp_path: Path) -> None:
    source = FilesSource(DATA / "sample_prices.csv")
    span = (date(2024, 6, 24), date(2024, 6, 28))
    found = dict(source.fetch({"SPY": span, "TLT": YEAR, "NEWCO": span, "QUAL": (YEAR[0], YEAR[0])}))
    assert list(found) == ["SPY", "TLT", "NEWCO", "QUAL"]
    assert found["SPY"].prices["session"].to_list() == clock.sessions_between(*span).tolist()
    assert found["SPY"].actions.is_empty()
    assert (found["NEWCO"].kind, found["QUAL"].kind) == ("unknown_symbol", "no_data")
    assert "sample_prices.csv has no price of NEWCO" in found["NEWCO"].message


def test_a_simulated_market_does_not_show_what_comes(market: SimulatedMarket) -> None:
    for kind in ("split", "dividend"):
        symbol, day = acting(market, kind)
        eve = clock.sessions_until(day, 2)[0].item()
        before, after = seen(market, symbol, eve), seen(market, symbol, day)
        assert before.prices["session"].max() == eve
        assert before.prices["adj_close"].equals(before.prices["close"])
        assert before.actions.is_empty()
        assert after.actions["kind"].to_list() == [kind]
        assert not after.prices["adj_close"].equals(after.prices["close"])
        kept = after.prices.head(-1).select("session", "close")
        assert kept.equals(before.prices.select("session", "close"))


def test_a_rename_and_a_delisting_end_a_symbol(market: SimulatedMarket) -> None:
    for kind in ("rename", "delisting"):
        symbol, day = acting(market, kind)
        eve = clock.sessions_until(day, 2)[0].item()
        later = (day.replace(day=28), YEAR[1])
        assert seen(market, symbol, eve, (day, YEAR[1])) == Failed(
            "no_data", f"{symbol} was not traded from {day} to {YEAR[1]}"
        )
        on_the_day = seen(market, symbol, day, (day, day))
        assert isinstance(on_the_day, Fetched)
        assert (on_the_day.prices.height, on_the_day.actions["kind"].to_list()) == (0, [kind])
        gone = seen(market, symbol, YEAR[1], later)
        assert isinstance(gone, Failed)
        last = market.prices.filter(symbol=symbol)["session"].max()
        assert (gone.kind, gone.last_session) == ("delisted", last)
    new_name = market.actions.filter(kind="rename")["new_symbol"].item()
    assert seen(market, new_name, eve).kind == "unknown_symbol"
    assert seen(market, "NOSUCH", eve).kind == "unknown_symbol"


def test_a_configured_simulated_market_ends_with_the_clock() -> None:
    settings = Settings(
        providers=("simulated",),
        profile_provider="simulated",
        simulated_symbols=5,
        simulated_from=YEAR[0],
        simulated_to=YEAR[1],
        ny_time="2024-03-08T20:00",
    )
    span = (date(2024, 3, 1), YEAR[1])
    found = dict(price_source(settings).fetch({"SPY": span}))["SPY"]
    assert found.prices["session"].max() == date(2024, 3, 8)
    profiles = dict(profile_source(settings).fetch_profiles(["SPY", "NOSUCH"]))
    assert profiles["SPY"]["asset_class"].to_list() == ["etf"]
    assert profiles["NOSUCH"].kind == "unknown_symbol"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(providers=("simulated", "files")), "simulated alone"),
        (Settings(providers=("files", "yahoo")), "prices_path"),
    ],
)
def test_a_chain_that_cannot_be_built(settings: Settings, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        price_source(settings)


def test_nothing_to_fetch() -> None:
    assert price_source(Settings()) is None
    assert profile_source(Settings()) is None


class Sayer:
    """A source that says what it is told to, and remembers what it was asked."""

    def __init__(self, name: str, says: Mapping[str, Outcome]) -> None:
        self.name, self.says = name, says
        self.asked: list[str] = []

    def fetch(self, requests: Mapping[str, Span]) -> Outcomes:
        for symbol in requests:
            self.asked.append(symbol)
            yield symbol, self.says[symbol]


def test_a_chain_asks_the_next_for_what_is_left() -> None:
    got = Fetched(pl.DataFrame(), pl.DataFrame())
    gone = Failed("delisted", "gone", last_session=YEAR[0])
    first = Sayer("one", {"A": got, "B": Failed("transport", "down"), "C": gone, "D": gone})
    last = Sayer(
        "two", {"B": got, "C": Failed("rate_limited", "slowly", 7.0), "D": Failed("unknown_symbol", "D?")}
    )
    chain = Chain([first, last])
    found = dict(chain.fetch(dict.fromkeys("ABCD", YEAR)))
    assert (first.asked, last.asked) == (list("ABCD"), list("BCD"))
    assert found["A"] is found["B"] is got
    assert found["C"] == Failed("rate_limited", "one: gone; two: slowly", retry_after=7.0)
    assert found["D"] == Failed("delisted", "one: gone; two: D?", last_session=YEAR[0])
    assert chain.name == "one, two"


def test_closing_a_chain_stops_the_work() -> None:
    source = Sayer("one", dict.fromkeys("ABC", Failed("no_data", "none")))
    arriving = Chain([source]).fetch(dict.fromkeys("ABC", YEAR))
    source.says = dict.fromkeys("ABC", Fetched(pl.DataFrame(), pl.DataFrame()))
    next(arriving)
    arriving.close()
    assert source.asked == ["A"]
