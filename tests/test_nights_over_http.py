"""Nights on providers over HTTP: a split between two of them, an outage of one, an outage of all."""

from collections.abc import Iterator
from datetime import date

import polars as pl
import pytest
from market_server import Asked, Fault, MarketServer, answering, market_server
from market_shapes import Bar, Listing

from service import clock
from service.errors import FailedError
from service.jobs.progress import Silent
from service.jobs.session_batch import Outcome
from service.jobs.symbol_batch import FAILURES, run_symbol_batch
from service.providers.simulated import SimulatedMarket, simulate
from service.settings import ProviderSettings, Settings
from storage.store import Store, open_store

SESSIONS = clock.sessions_between(date(2023, 12, 1), date(2024, 6, 28))
DAYS = SESSIONS.tolist()
TODAY = simulate(SESSIONS, n_symbols=6)
EX = TODAY.actions["session"][0]
AT = DAYS.index(EX)
SPLIT, PAYER = TODAY.symbols[:2]


def list_until(market: MarketServer, known: SimulatedMarket, last: date) -> None:
    """List what happened up to a session."""
    happened = known.actions.filter(pl.col("session") <= last)
    prices = known.prices.filter(pl.col("session") <= last)
    for (symbol,), rows in prices.partition_by("symbol", as_dict=True).items():
        bars = [Bar(day, close) for day, close in rows.select("session", "close").iter_rows()]
        actions = {
            kind: dict(happened.filter(symbol=symbol, kind=kind).select("session", "value").iter_rows())
            for kind in ("split", "dividend")
        }
        market.listings[symbol] = Listing(bars, splits=actions["split"], dividends=actions["dividend"])


@pytest.fixture(scope="module")
def market() -> Iterator[MarketServer]:
    with market_server() as serving:
        yield serving


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(tmp_path_factory.mktemp("nights") / "store") as opened:
        opened.ledger.symbols.register([SPLIT, PAYER, *TODAY.symbols[5:]], "tiingo")
        yield opened


def night(store: Store, market: MarketServer, day: date) -> Outcome:
    list_until(market, TODAY, day)
    provider = ProviderSettings(key="secret-key", url=market.url, rates=("10000/s",))
    settings = Settings(
        providers=("tiingo", "eodhd"),
        tiingo=provider,
        eodhd=provider,
        provider_seconds=0.5,
        ny_time=f"{day}T21:00",
    )
    return run_symbol_batch(store, settings, Silent())


def down(*starts: str) -> dict[str, Fault]:
    return dict.fromkeys(starts, answering(503))


def fail(market: MarketServer, faults: dict[str, Fault]) -> None:
    def fault(asked: Asked) -> Fault | None:
        return next((each for start, each in faults.items() if asked.path.startswith(start)), None)

    market.always = fault


def prices_of(store: Store, symbol: str) -> pl.DataFrame:
    return store.read("prices", symbols=[symbol]).sort("session")


def test_nights(store: Store, market: MarketServer) -> None:
    eve = DAYS[AT - 1]
    assert night(store, market, eve).status == "completed"
    before = prices_of(store, SPLIT)
    assert before["session"].to_list() == DAYS[:AT]
    assert before["adj_close"].equals(before["close"])

    split = night(store, market, EX)
    assert (split.status, split.prices["restated"]) == ("completed", 2)
    truth = TODAY.prices.filter(pl.col("session") <= EX)
    for symbol in (SPLIT, PAYER):
        found, true = prices_of(store, symbol), truth.filter(symbol=symbol).sort("session")
        assert found["close"].to_list() == pytest.approx(true["close"].to_list(), rel=1e-12)
        assert found["adj_close"].to_list() == pytest.approx(true["adj_close"].to_list(), rel=1e-12)
    actions = store.read("corporate_actions").select("symbol", "session", "kind").sort("kind")
    assert actions.rows() == [(PAYER, EX, "dividend"), (SPLIT, EX, "split")]

    fail(market, down("/tiingo"))
    fallen_back = night(store, market, DAYS[AT + 1])
    assert (fallen_back.status, fallen_back.sessions) == ("completed", [str(DAYS[AT + 1])])
    newest = store.read("prices", sessions=(DAYS[AT + 1], DAYS[AT + 1]))
    assert newest["source"].unique().to_list() == ["eodhd"]

    fail(market, down("/tiingo", "/api"))
    release = store.release()
    with pytest.raises(FailedError):
        night(store, market, DAYS[AT + 2])
    assert store.release() == release
    failures = store.ledger.failures.newest(FAILURES, is_open=True, limit=100)
    assert {failure.error_type for failure in failures} == {"transport"}
    assert len(failures) == len(store.ledger.symbols.ids())
    assert "secret-key" not in str(failures)
    assert store.read("corporate_actions").height == 2

    fail(market, {})
    caught_up = night(store, market, DAYS[AT + 3])
    assert caught_up.status == "completed"
    assert caught_up.sessions == [str(day) for day in DAYS[AT + 2 : AT + 4]]
    assert store.ledger.failures.newest(FAILURES, is_open=True) == []
