"""What the symbol batch asks of a source, night after night, and what it makes of the answers."""

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from feeds import FIELDS, Feed, scaled
from polars.testing import assert_frame_equal

from engine.factors import PROXIES
from service import clock
from service.ingest import ingest_prices
from service.jobs.progress import Silent
from service.jobs.session_batch import Outcome
from service.jobs.symbol_batch import FAILURES, run_symbol_batch
from service.providers.outcomes import Failed
from service.providers.simulated import simulate
from service.settings import Settings
from storage.schemas import tables_of
from storage.store import Store, open_store

DAYS = clock.sessions_between(date(2023, 3, 1), date(2024, 6, 28)).tolist()
MARKET = simulate(clock.sessions_between(DAYS[0], DAYS[-1]), n_symbols=12)
SPLIT, PAYER, OLD, NEW, DELISTED, *PLAIN = MARKET.symbols
EX = MARKET.actions["session"][0]
AT = DAYS.index(EX)  # the session on which everything happens
FIRST = DAYS[AT - 4]  # the first night
SOME = PLAIN[0]


def tonight(day: date, **changes: Any) -> Settings:
    return Settings(ny_time=f"{day}T21:00", **changes)


def night(store: Store, feed: Feed, **options: Any) -> Outcome:
    settings = options.pop("settings", tonight(feed.last))
    return run_symbol_batch(store, settings, Silent(), sources=feed.sources(), **options)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store after its first night; everybody but the symbol to come is known."""
    path = tmp_path_factory.mktemp("begun") / "store"
    with open_store(path) as store:
        store.ledger.symbols.register([name for name in MARKET.symbols if name != NEW], "simulated")
        assert night(store, Feed(MARKET, FIRST)).status == "completed"
    return path


@pytest.fixture
def store(begun: Path, tmp_path: Path) -> Iterator[Store]:
    with open_store(shutil.copytree(begun, tmp_path / "store")) as opened:
        yield opened


def assert_as_from_scratch(store: Store, feed: Feed, folder: Path) -> None:
    """All that is stored equals what one collection of everything, computed at once, gives."""
    computed = store.read("factor_covariance")["session"].unique().sort().to_list()
    names = store.ledger.symbols.ids()
    with open_store(folder / "scratch") as scratch:
        scratch.ledger.symbols.register(names, "simulated")
        fresh = Feed(MARKET, feed.last, change=feed.change)
        night(scratch, fresh, session=computed[0])
        for day in computed[1:]:
            night(scratch, fresh, session=day)
        night(scratch, fresh, session=computed[-1])
        for table in tables_of("symbol"):
            found, expected = (each.read(table.name).sort(table.key) for each in (store, scratch))
            ids = [name for name in found.columns if name == "symbol_id"]
            assert_frame_equal(found.drop(ids), expected.drop(ids), rel_tol=1e-10, abs_tol=1e-10)


def test_a_new_symbol_brings_its_history_and_an_old_one_its_overlap(store: Store, tmp_path: Path) -> None:
    feed = Feed(MARKET, DAYS[AT - 3])
    done = night(store, feed)
    assert done.sessions == [str(DAYS[AT - 3])]
    assert set(feed.asked) == {*MARKET.symbols, *PROXIES.values()} - {NEW}
    assert feed.asked[SOME] == [(DAYS[AT - 8], DAYS[AT - 3])]
    assert (done.prices["asked"], done.prices["failed"], done.recomputed) == (19, 0, 0)
    again = Feed(MARKET, DAYS[AT - 3])
    assert (night(store, again).release, again.asked) == (done.release, {})
    store.ledger.symbols.register(["LATER"], "simulated")
    newcomer = Feed(MARKET, DAYS[AT - 2], failing={"LATER": Failed("unknown_symbol", "never heard of it")})
    night(store, newcomer)
    assert newcomer.asked["LATER"] == [(clock.sessions_until(DAYS[AT - 2], 546)[0].item(), DAYS[AT - 2])]
    assert_as_from_scratch(store, Feed(MARKET, DAYS[AT - 2]), tmp_path)


def test_split_dividend_rename_and_delisting_between_two_nights(store: Store, tmp_path: Path) -> None:
    night(store, Feed(MARKET, DAYS[AT - 1]))
    before = {each: store.read("prices", symbols=[each]) for each in (SPLIT, PAYER)}
    feed = Feed(MARKET, EX)
    done = night(store, feed)
    assert store.read("prices", symbols=[NEW])["session"].min() == DAYS[0]  # it goes on with a history
    assert done.sessions == [str(day) for day in DAYS[AT - 4 : AT + 1]]  # in which it is new
    assert (done.prices["restated"], done.prices["ended"]) == (2, 2)
    for symbol, factor in ((SPLIT, 0.5), (PAYER, 0.99)):
        assert feed.asked[symbol][1:] == [(before[symbol]["session"].min(), EX)]
        scale = store.read("prices", symbols=[symbol]).join(before[symbol], on="session")
        assert (scale["adj_close"] / scale["adj_close_right"]).to_list() == pytest.approx(
            [factor] * scale.height
        )
    assert feed.asked[NEW] == [(clock.sessions_until(EX, 546)[0].item(), EX)]
    assert store.ledger.symbols.ids().keys() - store.ledger.symbols.active() == {OLD, DELISTED}
    assert store.read("prices", symbols=[OLD])["session"].max() < EX
    later = Feed(MARKET, DAYS[AT + 1])
    assert night(store, later).sessions == [str(DAYS[AT + 1])]
    assert not {OLD, DELISTED} & set(later.asked)
    assert NEW in later.asked
    assert_as_from_scratch(store, later, tmp_path)


def test_a_split_of_a_source_that_restates_its_closes(store: Store, tmp_path: Path) -> None:
    """Its one price column is adjusted: closes of the past change, and what was computed of them."""

    def one_column(prices: pl.DataFrame) -> pl.DataFrame:
        mine = pl.col("symbol") == SPLIT
        bar = [pl.when(mine).then("adj_close").otherwise(name).alias(name) for name in FIELDS[:4]]
        none = pl.when(mine).then(None).otherwise("adj_close").alias("adj_close")
        return prices.with_columns(*bar, none)

    path = tmp_path / "one column"
    with open_store(path) as other:
        other.ledger.symbols.register(store.ledger.symbols.ids(), "simulated")
        for day in DAYS[AT - 3 : AT]:
            night(other, Feed(MARKET, day, change=one_column))
        feed = Feed(MARKET, EX, change=one_column)
        done = night(other, feed)
        assert (done.recomputed, done.remainder, len(done.sessions)) == (3, 0, 4)
        qualities = other.read("prices", symbols=[SPLIT])["quality"].unique().to_list()
        assert qualities == ["adjusted_only"]
        assert_as_from_scratch(other, feed, tmp_path)


def test_a_corrected_price_in_the_overlap_restates_its_history(store: Store, tmp_path: Path) -> None:
    night(store, Feed(MARKET, DAYS[AT - 3]))
    wrong = scaled(SOME, 1.01, on=[DAYS[AT - 3]])
    feed = Feed(MARKET, DAYS[AT - 2], change=wrong)
    done = night(store, feed)
    assert len(feed.asked[SOME]) == 2
    assert (done.sessions, done.recomputed) == ([str(DAYS[AT - 3]), str(DAYS[AT - 2])], 1)
    assert_as_from_scratch(store, feed, tmp_path)


def test_a_restated_history_that_begins_too_late_is_not_taken(store: Store) -> None:
    from_may = pl.col("session") >= DAYS[40]
    doubled = scaled(SOME, 2.0)
    feed = Feed(MARKET, DAYS[AT - 3], change=lambda prices: doubled(prices.filter(from_may)))
    before = store.read("prices", symbols=[SOME])
    assert night(store, feed).prices["failed"] == 1
    assert store.read("prices", symbols=[SOME]).equals(before)
    [failure] = store.ledger.failures.newest(FAILURES, is_open=True)
    assert failure.item_id == SOME
    assert "ingest it from elsewhere" in failure.error_message


def test_a_source_without_a_symbol_that_says_it_is_delisted(store: Store) -> None:
    gone = Failed("delisted", "it is gone", last_session=FIRST)
    done = night(store, Feed(MARKET, DAYS[AT - 3], failing={SOME: gone}))
    assert (done.status, done.prices["ended"], done.prices["failed"]) == ("completed", 1, 0)
    [action] = store.read("corporate_actions", symbols=[SOME]).iter_rows(named=True)
    assert (action["kind"], action["session"], action["source"]) == ("delisting", DAYS[AT - 3], "feed")
    assert SOME not in store.ledger.symbols.active()
    ingest_prices(
        store, MARKET.prices.filter((pl.col("symbol") == SOME) & (pl.col("session") == DAYS[AT - 3]))
    )
    back = Feed(MARKET, DAYS[AT - 2])
    night(store, back)
    assert SOME in store.ledger.symbols.active()
    assert SOME in back.asked


def test_missed_nights_are_made_up_for(store: Store, tmp_path: Path) -> None:
    feed = Feed(MARKET, DAYS[AT - 1])
    assert night(store, feed).sessions == [str(day) for day in DAYS[AT - 3 : AT]]
    assert feed.asked[SOME] == [(DAYS[AT - 8], DAYS[AT - 1])]
    assert_as_from_scratch(store, feed, tmp_path)
