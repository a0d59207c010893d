"""Nights on which something goes wrong: outages, failures, cut short runs, and who is told."""

import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread, Timer

import pytest
from feeds import Feed, scaled
from test_price_collection import (
    AT,
    DAYS,
    DELISTED,
    EX,
    FIRST,
    MARKET,
    NEW,
    OLD,
    PLAIN,
    SOME,
    assert_as_from_scratch,
    begun,
    night,
    store,
    tonight,
)

from engine.factors import PROXIES
from service.cli.app import run as command
from service.errors import FailedError, UsageError
from service.jobs.nightly import run_night
from service.jobs.progress import Silent
from service.jobs.symbol_batch import FAILURES, JOB
from service.providers.outcomes import Failed
from service.settings import Settings
from storage.errors import Locked
from storage.store import Store, open_store

__all__ = ["begun", "store"]  # fixtures
DOWN = Failed("transport", "the line is dead")


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
        assert (done.prices["ended"], done.prices["restated"]) == (2, 2)
        assert done.sessions == [str(DAYS[AT - 1]), str(EX)]  # the new name is new on the one before
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
