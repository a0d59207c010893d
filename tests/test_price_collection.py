"""What the symbol batch asks of a source, night after night, and what it makes of the answers."""

import shutil
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import polars as pl
import pytest
from feeds import FIELDS, Feed, scaled
from polars.testing import assert_frame_equal

from engine.factors import PROXIES
from service import clock
from service.cli.app import run as command
from service.errors import FailedError, UsageError
from service.ingest import ingest_prices
from service.jobs.nightly import run_night
from service.jobs.progress import Silent
from service.jobs.session_batch import Outcome
from service.jobs.symbol_batch import FAILURES, JOB, run_symbol_batch
from service.providers.outcomes import Failed
from service.providers.simulated import simulate
from service.settings import Settings
from storage.errors import Locked
from storage.schemas import tables_of
from storage.store import Store, open_store

DAYS = clock.sessions_between(date(2023, 3, 1), date(2024, 6, 28)).tolist()
MARKET = simulate(clock.sessions_between(DAYS[0], DAYS[-1]), n_symbols=12)
SPLIT, PAYER, OLD, NEW, DELISTED, *PLAIN = MARKET.symbols
EX = MARKET.actions["session"][0]
AT = DAYS.index(EX)  # the session on which everything happens
FIRST = DAYS[AT - 4]  # the first night
SOME = PLAIN[0]
DOWN = Failed("transport", "the line is dead")


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
    assert done.sessions == [str(EX)]  # not one return of the past is another one
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


def test_an_outage_of_all_leaves_the_release_and_a_rerun_completes(store: Store, tmp_path: Path) -> None:
    everybody = {*MARKET.symbols, *PROXIES.values()}
    before = store.release()
    with pytest.raises(FailedError, match=r"SPY could not be fetched .transport: the line is dead"):
        night(store, Feed(MARKET, DAYS[AT - 3], failing=dict.fromkeys(everybody, DOWN)))
    assert store.release() == before
    last = store.ledger.runs.last(JOB)
    assert last is not None
    assert last.status == "failed"
    assert "19 of 19 symbols could not be fetched" in str(last.error)
    assert len(store.ledger.failures.newest(FAILURES, is_open=True)) == 19
    feed = Feed(MARKET, DAYS[AT - 3])
    assert night(store, feed).status == "completed"
    assert store.ledger.failures.newest(FAILURES, is_open=True) == []
    assert_as_from_scratch(store, feed, tmp_path)


def test_what_has_arrived_is_not_asked_for_again(store: Store) -> None:
    feed = Feed(MARKET, DAYS[AT - 3], failing={SOME: DOWN, PLAIN[1]: DOWN})
    assert night(store, feed, symbols=[SOME, PLAIN[1], PLAIN[2]]).status == "partial"
    assert set(feed.asked) == {SOME, PLAIN[1], PLAIN[2]}
    rest = Feed(MARKET, DAYS[AT - 3])
    night(store, rest)
    assert PLAIN[2] not in rest.asked
    assert SOME in rest.asked


def test_a_run_that_takes_too_long_keeps_what_it_has(store: Store) -> None:
    slow = Feed(MARKET, DAYS[AT - 3], pauses={"SPY": 3.0})
    with pytest.raises(FailedError, match="took longer than the 3 s"):
        night(store, slow, settings=tonight(slow.last, symbol_batch_seconds=3.0))
    rest = Feed(MARKET, DAYS[AT - 3])
    night(store, rest)
    assert set(slow.asked) - {"SPY"}
    assert set(rest.asked) == {*MARKET.symbols, *PROXIES.values()} - set(slow.asked) - {NEW}


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[bytes]]]:
    """The URL of a server that takes alerts, and those it took."""
    taken: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", taken
        server.shutdown()


def test_a_tenth_of_the_symbols_may_fail_and_more_is_an_alert(
    store: Store, webhook: tuple[str, list[bytes]]
) -> None:
    url, taken = webhook
    few = Feed(MARKET, DAYS[AT - 3], failing={SOME: DOWN})
    assert night(store, few, settings=tonight(few.last, alert_webhook_url=url)).status == "completed"
    assert taken == []
    many = Feed(MARKET, DAYS[AT - 2], failing=dict.fromkeys(PLAIN[:3], DOWN))
    done = night(store, many, settings=tonight(many.last, alert_webhook_url=url))
    assert (done.status, done.sessions) == ("partial", [str(DAYS[AT - 2])])
    [alert] = taken
    assert b"3 of 19 symbols could not be fetched" in alert
    tries = {each.item_id: each.retry_count for each in store.ledger.failures.newest(FAILURES, is_open=True)}
    assert tries == {PLAIN[0]: 1, PLAIN[1]: 0, PLAIN[2]: 0}


def test_an_alert_that_nobody_takes_stops_nobody(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    many = Feed(MARKET, DAYS[AT - 3], failing=dict.fromkeys(PLAIN[:3], DOWN))
    nowhere = tonight(many.last, alert_webhook_url="http://127.0.0.1:9/secret")
    assert night(store, many, settings=nowhere).status == "partial"
    assert "3 of 19 symbols" in caplog.text
    assert "secret" not in caplog.text


def test_a_price_that_cannot_be_kept_is_a_failure(store: Store) -> None:
    nothing = scaled(SOME, 0.0, on=[DAYS[AT - 3]])
    done = night(store, Feed(MARKET, DAYS[AT - 3], change=nothing))
    assert (done.status, done.prices["failed"]) == ("completed", 1)
    [failure] = store.ledger.failures.newest(FAILURES, is_open=True)
    assert (failure.item_id, failure.error_type) == (SOME, "bad_payload")
    assert "quarantine" in failure.error_message
    assert store.read("quarantine", symbols=[SOME]).height


def test_a_bar_of_the_next_session_is_left_out(store: Store) -> None:
    class Ahead(Feed):
        def fetch(self, requests):
            later = {symbol: (first, DAYS[AT - 2]) for symbol, (first, _) in requests.items()}
            yield from super().fetch(later)

    night(store, Ahead(MARKET, DAYS[AT - 2]), settings=tonight(DAYS[AT - 3]))
    assert store.read("prices")["session"].max() == DAYS[AT - 3]


def test_a_market_without_a_price_yet_is_said(store: Store, webhook: tuple[str, list[bytes]]) -> None:
    url, taken = webhook
    done = night(store, Feed(MARKET, FIRST), settings=tonight(DAYS[AT - 3], alert_webhook_url=url))
    assert b"SPY has no price on" in taken[0]
    assert (done.status, done.late, done.sessions) == ("partial", str(DAYS[AT - 3]), [])


def test_simulated_prices_stay_among_themselves(sample_store: Path, tmp_path: Path) -> None:
    with open_store(shutil.copytree(sample_store, tmp_path / "real")) as real:
        before = real.release()
        with pytest.raises(UsageError, match="would mix real prices with simulated ones"):
            night(real, Feed(MARKET, DAYS[-1]), settings=Settings(ny_time="2024-07-02T21:00"))
        assert real.release() == before


def test_of_two_batches_at_once_one_is_refused(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.ledger.runs.start(JOB)
    assert command(["batch", "run", "--store", str(store.path)]) == 5
    assert "already running" in capsys.readouterr().err


def test_nights_with_the_ledger_in_postgresql(postgres_url: str, tmp_path: Path) -> None:
    with open_store(tmp_path / "store", ledger_url=postgres_url) as store:
        store.ledger.symbols.register([name for name in MARKET.symbols if name != NEW], "simulated")
        night(store, Feed(MARKET, DAYS[AT - 1]))
        done = night(store, Feed(MARKET, EX, failing={SOME: DOWN}))
        assert (done.sessions, done.prices["ended"], done.prices["restated"]) == ([str(EX)], 2, 2)
        assert store.ledger.symbols.ids().keys() - store.ledger.symbols.active() == {OLD, DELISTED}
        assert [each.item_id for each in store.ledger.failures.newest(FAILURES, is_open=True)] == [SOME]


def test_a_night_beside_a_batch_that_runs_already(
    sample_store: Path, tmp_path: Path, webhook: tuple[str, list[bytes]]
) -> None:
    settings = Settings(ny_time="2024-06-28T21:00", alert_webhook_url=webhook[0])
    with open_store(shutil.copytree(sample_store, tmp_path / "copy")) as store:
        running = store.ledger.runs.start(JOB)
        ending = Timer(1.0, lambda: store.ledger.runs.finish(running.run_id, "completed"))
        ending.start()
        done = run_night(store, settings, Silent())
        ending.join()
        assert (done.symbol_batch, done.status) == (None, "completed")
        assert webhook[1] == []
        with store.writing("symbol", owner="somebody"), pytest.raises(Locked):
            run_night(store, settings, Silent())
    assert b"the night's work failed: the symbol layer is being written by somebody" in webhook[1][0]
