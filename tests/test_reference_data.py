"""Profiles and statements as a night brings them in: what is stale is asked for, what fails is said."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from feeds import Feed
from test_price_collection import AT, DAYS, MARKET, PLAIN, begun, tonight

from service.jobs.progress import Silent
from service.jobs.symbol_batch import run_symbol_batch
from service.providers.outcomes import Failed, RowsOutcomes
from service.providers.sources import Sources
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
    asked: list[str] = field(default_factory=list)
    name: str = "facts"

    def fetch_profiles(self, symbols: Iterable[str]) -> RowsOutcomes:
        for symbol in symbols:
            self.asked.append(symbol)
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
