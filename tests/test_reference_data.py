"""Profiles and statements as a night brings them in: what is stale is asked for, what fails is said."""

import shutil
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from feeds import Feed
from test_price_collection import AT, DAYS, MARKET, PLAIN, begun, tonight

from service.errors import FailedError
from service.jobs import reference_data
from service.jobs.progress import Silent
from service.jobs.symbol_batch import JOB, run_symbol_batch
from service.jobs.symbol_phases import PHASES
from service.jobs.tracker import CancelledError
from service.providers.outcomes import Failed, RowsOutcomes
from service.providers.sources import Sources
from service.run_status import RunStatus, run_status
from storage.run_log import PhaseProgress
from storage.runs import Run
from storage.schemas import TABLES
from storage.store import Store, open_store

__all__ = ["begun"]  # a fixture
TODAY = DAYS[AT - 3]


@dataclass
class Facts:
    """Profiles and statements known on a day."""

    day: date
    sector: str = "Utilities"
    failing: tuple[str, ...] = ()
    seconds: float = 0.0  # that each profile takes
    asked: list[str] = field(default_factory=list)
    name: str = "facts"

    def fetch_profiles(self, symbols: Iterable[str]) -> RowsOutcomes:
        for symbol in symbols:
            self.asked.append(symbol)
            time.sleep(self.seconds)
            if symbol in self.failing:
                yield symbol, Failed("rate_limited", "not so fast")
                continue
            row = {"symbol": symbol, "sector": self.sector, "as_of": self.day, "source": "simulated"}
            yield symbol, whole("profiles", row)

    def fetch_fundamentals(self, symbols: Iterable[str]) -> RowsOutcomes:
        for symbol in symbols:
            line = {"period": DAYS[0], "frequency": "annual", "statement": "income", "item": "revenue"}
            row = {"symbol": symbol, **line, "value": 1e9, "as_of": self.day, "source": "simulated"}
            yield symbol, whole("fundamentals", row)


def whole(table: str, row: dict[str, object]) -> pl.DataFrame:
    schema = TABLES[table].schema
    return pl.DataFrame({name: [row.get(name)] for name in schema}, schema=schema)


@pytest.fixture
def store(begun: Path, tmp_path: Path) -> Iterator[Store]:
    with open_store(shutil.copytree(begun, tmp_path / "store")) as opened:
        yield opened


def night(store: Store, facts: Facts, **settings: object) -> list[str]:
    """Run the night of the facts' day, and return what it said."""
    feed = Feed(MARKET, facts.day)
    sources = Sources(prices=feed, profiles=facts, fundamentals=facts)
    done = run_symbol_batch(store, tonight(facts.day, **settings), Silent(), sources=sources)
    assert done.status == "completed"
    return [line.message for line in store.ledger.run_log.newest(done.run_id)]


def test_profiles_are_asked_for_once_a_day_and_hold_from_it_on(store: Store) -> None:
    facts = Facts(TODAY)
    said = night(store, facts)
    assert {"profiles of 19 symbols", "fundamentals of 19 symbols"} <= set(said)
    sectors = store.read("symbol_metrics", symbols=[PLAIN[0]]).sort("session")
    assert sectors["sector"].to_list() == [None, "Utilities"]
    assert store.read("fundamentals")["value"].to_list() == [1e9] * 19
    facts.asked.clear()
    night(store, facts)
    assert facts.asked == []
    tomorrow = Facts(DAYS[AT - 2], sector="Energy")
    night(store, tomorrow)
    assert len(tomorrow.asked) == 19
    found = store.read("symbol_metrics", symbols=[PLAIN[0]]).sort("session")["sector"].to_list()
    assert found == [None, "Utilities", "Energy"]


def test_what_cannot_be_fetched_is_said_and_asked_first_the_next_day(store: Store) -> None:
    said = night(store, Facts(TODAY, failing=(PLAIN[0], PLAIN[1])))
    assert "profiles of 17 symbols; without an answer: 2 rate_limited" in said
    tomorrow = Facts(DAYS[AT - 2])
    night(store, tomorrow)
    assert set(tomorrow.asked[:2]) == {PLAIN[0], PLAIN[1]}


def test_the_time_for_it_is_limited(store: Store) -> None:
    facts = Facts(TODAY)
    night(store, facts, reference_seconds=0.0)
    assert len(facts.asked) == 1


def phases_of(store: Store, run: Run) -> dict[str, PhaseProgress]:
    return {phase.phase_id: phase for phase in store.ledger.run_log.phases(run.run_id)}


def last(store: Store) -> Run:
    run = store.ledger.runs.last(JOB)
    assert run is not None
    return run


def test_the_metrics_sum_up_what_was_fetched_for_them(store: Store) -> None:
    night(store, Facts(TODAY, failing=(PLAIN[0],)))
    run = last(store)
    phases = phases_of(store, run)
    assert [(key, phase.name) for key, phase in phases.items()] == [
        (k, name) for k, (name, _) in PHASES.items()
    ]
    assert {phase.status for phase in phases.values()} == {"completed"}
    fetched = ["profiles of 18 symbols; without an answer: 1 rate_limited", "fundamentals of 19 symbols"]
    assert phases["metrics"].summary == "; ".join(["1 session", *fetched])
    assert phases["prices"].summary == "19 symbols"
    assert run.summary is not None
    assert run.summary["fetched"] == fetched
    began, ended = phases["metrics"].started_at, phases["prices"].completed_at
    assert began is not None
    assert ended is not None
    assert ended <= began < str(phases["market_beta"].started_at)
    night(store, Facts(TODAY))
    night(store, Facts(TODAY))
    again = "nothing is missing; profiles of 0 symbols; fundamentals of 0 symbols"
    assert phases_of(store, last(store))["metrics"].summary == again


def test_prices_that_turn_out_to_be_too_few_have_failed_all_the_same(store: Store) -> None:
    facts, down = Facts(TODAY), dict.fromkeys(PLAIN, Failed("transport", "no answer"))
    sources = Sources(prices=Feed(MARKET, TODAY, failing=down), profiles=facts)
    with pytest.raises(FailedError, match="of the active symbols have a price"):
        run_symbol_batch(store, tonight(TODAY), Silent(), sources=sources)
    prices, metrics = (phases_of(store, last(store))[each] for each in ("prices", "metrics"))
    assert (prices.status, metrics.status) == ("failed", "failed")
    assert "of the active symbols have a price" in str(prices.summary)
    assert store.read("profiles").height == 19


def test_what_has_no_source_is_no_step(store: Store) -> None:
    facts = Facts(TODAY)
    sources = Sources(prices=Feed(MARKET, TODAY), profiles=facts)
    run_symbol_batch(store, tonight(TODAY), Silent(), sources=sources)
    assert phases_of(store, last(store))["metrics"].summary == "1 session; profiles of 19 symbols"
    sources = Sources(prices=Feed(MARKET, DAYS[AT - 2]))
    run_symbol_batch(store, tonight(DAYS[AT - 2]), Silent(), sources=sources)
    assert phases_of(store, last(store))["metrics"].summary == "1 session"


def test_a_cancelled_fetch_keeps_what_has_arrived_and_the_next_asks_for_the_rest(store: Store) -> None:
    slow, seen = Facts(TODAY, seconds=0.4), list[RunStatus]()
    before = last(store).run_id
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(night, store, slow)
        while not seen or not running.done():
            run = last(store)
            seen += [] if run.run_id == before else [run_status(store.ledger, run)]
            counted = {at.current for each in seen if (at := each.current_phase_progress)}
            if len(counted - {0, 19}) >= 2 and run.cancelled_by is None:
                store.ledger.runs.cancel(run.run_id, "ann")
            time.sleep(0.05)
        with pytest.raises(CancelledError, match="cancelled by ann"):
            running.result()
    phases = phases_of(store, last(store))
    assert phases["prices"].status == "completed"
    assert (phases["metrics"].status, phases["market_beta"].status) == ("failed", "pending")
    assert phases["metrics"].name == "Daily Metrics: valuations"
    kept = set(store.read("profiles")["symbol"])
    assert kept == set(slow.asked)
    assert 2 <= len(kept) < 19
    quick = Facts(TODAY)
    night(store, quick)
    assert len(quick.asked) == 19 - len(kept)
    assert set(quick.asked).isdisjoint(kept)


def test_the_time_of_the_run_ends_the_fetch_too(store: Store) -> None:
    slow = Facts(TODAY, seconds=1.0)
    with pytest.raises(FailedError, match="longer than the 5 s"):
        night(store, slow, symbol_batch_seconds=5.0)
    assert set(store.read("profiles")["symbol"]) == set(slow.asked)
    assert len(slow.asked) < 19


def test_what_arrives_is_stored_by_portions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed leaves behind what it has stored."""
    monkeypatch.setattr(reference_data, "PORTION_SECONDS", 0.0)
    there: list[int] = []

    class Watched(Facts):
        def fetch_profiles(self, symbols: Iterable[str]) -> RowsOutcomes:
            for symbol, outcome in super().fetch_profiles(symbols):
                there.append(store.read("profiles").height)
                yield symbol, outcome

    night(store, Watched(TODAY))
    assert there == [*range(19)]
    assert store.read("profiles").height == 19
