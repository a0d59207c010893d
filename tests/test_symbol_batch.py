"""The symbol batch: what it computes, computes again, skips and refuses, on a small simulated market."""

import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engine.factors import PROXIES
from service import clock
from service.book_loader import load_book
from service.errors import FailedError, UsageError
from service.ingest import ingest_prices, ingest_table
from service.jobs.progress import Level, Silent
from service.jobs.session_batch import Outcome
from service.jobs.symbol_batch import JOB, backfill, run_symbol_batch
from service.jobs.symbol_phases import PHASES
from service.jobs.work_list import nightly_work
from service.providers.simulated import simulate
from service.settings import Settings
from storage.errors import Locked
from storage.schemas import TABLES
from storage.store import Store, open_store

SESSIONS = clock.sessions_until(date(2024, 6, 28), 320)
DAYS = SESSIONS.tolist()
MARKET = simulate(SESSIONS, n_symbols=12)
COMPUTED = ("symbol_factors", "risk_loadings", "factor_covariance", "symbol_metrics")
SETTINGS = Settings()
MARKET_BETA = (pl.col("factor") == "Market Beta (90D)") & (pl.col("symbol") == "IWM")


class Recorder:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.started: list[tuple[str, str, int, str]] = []
        self.current: dict[str, int] = {}
        self.ended: dict[str, tuple[bool, str]] = {}
        self.activity: list[tuple[str, str]] = []

    def start_phase(self, phase_id: str, phase_name: str, total: int, unit: str) -> None:
        self.started.append((phase_id, phase_name, total, unit))

    def update_phase_progress(self, phase_id: str, current: int) -> None:
        assert current >= self.current.get(phase_id, 0)
        self.current[phase_id] = current

    def complete_phase(self, phase_id: str, success: bool, summary: str) -> None:
        assert phase_id not in self.ended
        self.ended[phase_id] = (success, summary)

    def add_activity(self, message: str, level: Level = "info") -> None:
        self.activity.append((level, message))


def fill(store: Store, prices: pl.DataFrame = MARKET.prices) -> Store:
    ingest_table(store, "profiles", MARKET.profiles, ["symbol", "as_of"])
    ingest_table(store, "corporate_actions", MARKET.actions, ["symbol", "session", "kind"])
    ingest_prices(store, prices)
    return store


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store with the whole market and nothing computed, to be copied."""
    path = tmp_path_factory.mktemp("filled") / "store"
    with open_store(path) as opened:
        fill(opened)
    return path


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Iterator[Store]:
    with open_store(shutil.copytree(filled, tmp_path / "store")) as opened:
        yield opened


@pytest.fixture
def other(empty_store: Path, tmp_path: Path) -> Iterator[Store]:
    with open_store(shutil.copytree(empty_store, tmp_path / "other")) as opened:
        yield opened


def run(store: Store, session: date | None = None, settings: Settings = SETTINGS) -> Outcome:
    return run_symbol_batch(store, settings, Silent(), session=session)


def fill_back(store: Store, first: date, last: date) -> Outcome:
    return backfill(store, SETTINGS, Silent(), first=first, last=last)


def rows(store: Store, table: str, session: date) -> pl.DataFrame:
    return store.read(table, sessions=(session, session)).sort(TABLES[table].key)


def without(prices: pl.DataFrame, symbols: list[str], days: list[date]) -> pl.DataFrame:
    return prices.filter(~(pl.col("symbol").is_in(symbols) & pl.col("session").is_in(days)))


def text(days: list[date]) -> list[str]:
    return [str(day) for day in days]


def assert_same_numbers(one: Store, two: Store, session: date) -> None:
    for table in COMPUTED:
        found, expected = rows(one, table, session), rows(two, table, session)
        assert expected.height
        assert_frame_equal(found, expected, rel_tol=1e-10, abs_tol=1e-10)


def test_the_newest_session_is_computed_and_then_nothing_is_left_to_do(store: Store) -> None:
    first = run(store)
    assert (first.sessions, first.status, first.remainder) == (text(DAYS[-1:]), "completed", 0)
    assert store.release().session == DAYS[-1]
    assert store.release().run_id == first.run_id
    for table in COMPUTED:
        assert store.read(table)["session"].unique().to_list() == DAYS[-1:]
    second = run(store)
    assert (second.sessions, second.status, second.release) == ([], "completed", first.release)
    assert [each.status for each in store.ledger.runs.history(JOB)] == ["completed", "completed"]
    assert store.sql("select count(*) n from runs where status = 'completed'")["n"].to_list() == [1]


def test_a_backfilled_session_equals_a_run_of_that_day(store: Store, other: Store) -> None:
    outcome = fill_back(store, DAYS[150], DAYS[-1])
    assert outcome.sessions == text(DAYS[150:])
    fill(other)
    for at in (-1, 203, 150):
        assert run(other, DAYS[at]).sessions == text([DAYS[at]])
        assert_same_numbers(store, other, DAYS[at])


def test_what_comes_later_changes_no_earlier_number(store: Store, other: Store) -> None:
    fill(other, MARKET.prices.filter(pl.col("session") <= DAYS[200]))
    run(other)
    run(store, DAYS[200])
    assert_same_numbers(store, other, DAYS[200])


def test_gaps_are_filled_oldest_first_beside_the_newest_session(store: Store) -> None:
    run(store, DAYS[-9])
    few = Settings(backfill_sessions=4)
    first = run(store, settings=few)
    assert first.sessions == text([*DAYS[-8:-5], DAYS[-1]])
    assert first.remainder == 4
    assert store.release().session == DAYS[-1]
    assert (run(store, settings=few).sessions, run(store, settings=few).sessions) == (text(DAYS[-5:-1]), [])


def test_a_session_before_the_first_computed_one(store: Store) -> None:
    run(store, DAYS[-3])
    assert run(store, DAYS[-10]).sessions == text(DAYS[-10:-9])
    assert store.release().session == DAYS[-3]


def test_a_changed_price_makes_its_session_and_all_later_ones_stale(store: Store, other: Store) -> None:
    fill_back(store, DAYS[-6], DAYS[-1])
    symbol = MARKET.symbols[0]
    changed = MARKET.prices.filter((pl.col("symbol") == symbol) & (pl.col("session") == DAYS[-3]))
    changed = changed.with_columns(pl.col("close", "adj_close") * 1.01)
    ingest_prices(store, changed)
    assert store.ledger.symbols.recompute_marks() == {symbol: DAYS[-3]}
    outcome = run(store)
    assert (outcome.sessions, outcome.recomputed) == (text(DAYS[-3:]), 3)
    assert store.ledger.symbols.recompute_marks() == {}
    assert run(store).sessions == []
    fill(other)
    ingest_prices(other, changed)
    fill_back(other, DAYS[-6], DAYS[-1])
    for day in DAYS[-6:]:
        assert_same_numbers(store, other, day)


def test_a_new_symbol_moves_others_and_is_worked_off_within_the_limit(store: Store, other: Store) -> None:
    """Its specific variance is in the floor and the medians of all sessions on which it is fitted."""
    arriving = pl.col("symbol") == MARKET.symbols[-1]
    fill(other, MARKET.prices.filter(~arriving))
    fill_back(other, DAYS[-9], DAYS[-1])
    old = rows(other, "risk_loadings", DAYS[-1])
    ingest_prices(other, MARKET.prices.filter(arriving))
    few, recorder = Settings(backfill_sessions=4), Recorder()
    first = run_symbol_batch(other, few, recorder)
    assert first.sessions == text([*DAYS[-9:-6], DAYS[-1]])
    assert (first.recomputed, first.remainder) == (4, 5)
    [(level, said)] = recorder.activity
    assert (level, said.partition(";")[0]) == (
        "warning", f"5 sessions remain, those from {DAYS[-6]} on with stale numbers",
    )  # fmt: skip
    assert other.ledger.symbols.recompute_marks() == {MARKET.symbols[-1]: DAYS[-6]}
    new = rows(other, "risk_loadings", DAYS[-1]).filter(~arriving)
    assert new.drop("loading").equals(old.drop("loading"))
    assert not new.equals(old)
    assert run(other, settings=few).sessions == text([*DAYS[-6:-3], DAYS[-1]])
    assert run(other, settings=few).sessions == text(DAYS[-3:])
    assert run(other, settings=few).sessions == []
    assert other.ledger.symbols.recompute_marks() == {}
    fill_back(store, DAYS[-9], DAYS[-1])
    for day in DAYS[-9:]:
        assert_same_numbers(other, store, day)


WEEK = np.array(DAYS[:8], dtype="datetime64[D]")


@pytest.mark.parametrize(
    ("computed", "marks", "limit", "new", "again", "resume"),
    [
        ([], {"A": 2}, 3, [7], [], None),  # nothing is computed: nothing is stale
        ([0, 1, 2, 3, 4, 5, 6, 7], {"A": 2}, 30, [], [2, 3, 4, 5, 6, 7], None),
        ([0, 1, 2, 3, 4, 5, 6, 7], {"A": 2}, 3, [], [2, 3, 7], 4),
        ([0, 1, 2, 3, 4, 5, 6], {"A": 5, "B": 1}, 3, [7], [1, 2], 3),
        ([0, 1, 3, 5, 6], {"A": 3}, 4, [2, 4, 7], [3], 5),  # gaps and stale ones take turns
        ([0, 1, 3, 5, 6], {"A": 6}, 4, [2, 4, 7], [6], None),
        ([0, 1, 2, 3, 4, 5, 6, 7], {"A": 6}, 1, [], [6], 7),  # the target alone would be done for ever
        ([0, 1, 2, 3, 4, 5, 6, 7], {"A": 7}, 1, [], [7], None),
        ([0, 1, 2, 3, 4, 5, 6], {"A": 6}, 1, [7], [], 6),
    ],
)
def test_what_a_run_takes_on(
    computed: list[int], marks: dict[str, int], limit: int, new: list[int], again: list[int], resume: int
) -> None:
    asked = {name: DAYS[at] for name, at in marks.items()}
    work = nightly_work(WEEK, WEEK[computed], asked, limit=limit)
    assert (work.new.tolist(), work.again.tolist()) == ([DAYS[k] for k in new], [DAYS[k] for k in again])
    assert work.resume == (None if resume is None else DAYS[resume])
    assert work.n_sessions <= limit
    expected = {name: day for name, day in asked.items() if resume is None or day < DAYS[resume]}
    assert work.marks == expected


def test_a_backfill_fulfills_no_mark(store: Store) -> None:
    run(store)
    store.ledger.symbols.mark_recompute({"IWM": DAYS[-1]})
    assert fill_back(store, DAYS[-3], DAYS[-2]).sessions == text(DAYS[-3:-1])
    assert store.ledger.symbols.recompute_marks() == {"IWM": DAYS[-1]}
    assert run(store).sessions == text(DAYS[-1:])


def test_no_session_without_the_market(store: Store, other: Store) -> None:
    with pytest.raises(UsageError, match=f"SPY has no price on {DAYS[-1] + timedelta(days=3)}"):
        run(store, DAYS[-1] + timedelta(days=3))
    assert store.release().session is None
    last = store.ledger.runs.last(JOB)
    assert last is not None
    assert last.status == "failed"
    assert "SPY has no price" in str(last.error)
    fill(other, MARKET.prices.filter(pl.col("symbol") != "SPY"))
    with pytest.raises(FailedError, match="no price of the market proxy SPY"):
        run(other)


def test_too_few_prices_fail_the_newest_session(other: Store) -> None:
    half = list(MARKET.symbols[5:])
    fill(other, without(MARKET.prices, half, DAYS[-1:]))
    progress = Recorder()
    with pytest.raises(FailedError, match=rf"{DAYS[-1]}: only \d\d% of the active symbols have a price"):
        run_symbol_batch(other, SETTINGS, progress)
    assert other.release().session is None
    assert other.read("symbol_metrics").is_empty()
    assert not progress.ended["prices"][0]
    assert run(other, settings=Settings(coverage_threshold=0.3)).sessions == text(DAYS[-1:])


def test_too_few_prices_skip_an_earlier_session(other: Store) -> None:
    fill(other, without(MARKET.prices, list(MARKET.symbols[5:]), DAYS[-3:-2]))
    progress = Recorder()
    run(other, DAYS[-5])
    outcome = run_symbol_batch(other, SETTINGS, progress)
    assert outcome.sessions == text([DAYS[-4], *DAYS[-2:]])
    assert (outcome.status, list(outcome.skipped)) == ("partial", text(DAYS[-3:-2]))
    assert [level for level, _ in progress.activity] == ["warning"]
    again = run(other)
    assert (again.sessions, again.status, again.release) == ([], "partial", outcome.release)
    ingest_prices(other, MARKET.prices)
    assert str(DAYS[-3]) in run(other).sessions
    assert run(other).status == "completed"


def test_a_missing_proxy_leaves_its_factors_null_with_a_reason(store: Store, other: Store) -> None:
    fill(other, MARKET.prices.filter(pl.col("symbol") != "TLT"))
    progress = Recorder()
    outcome = run_symbol_batch(other, SETTINGS, progress)
    assert (outcome.status, outcome.missing_proxies) == ("partial", ["TLT"])
    assert "TLT" in progress.ended["ir_beta"][1]
    factors = rows(other, "symbol_factors", DAYS[-1])
    rates = factors.filter(pl.col("factor") == "IR Beta")
    assert rates["beta"].null_count() == rates.height
    assert set(rates["reasons"].str.contains("missing_proxy")) == {True}
    assert set(rates["quality"]) == {"unavailable"}
    run(store)
    same = pl.col("factor") != "IR Beta", pl.col("symbol") != "TLT"
    assert_frame_equal(factors.filter(*same), rows(store, "symbol_factors", DAYS[-1]).filter(*same))


def test_a_proxy_that_lacks_the_session_alone_is_said_too(other: Store) -> None:
    fill(other, without(MARKET.prices, ["QUAL"], DAYS[-1:]))
    outcome = run(other)
    assert (outcome.status, outcome.missing_proxies) == ("partial", ["QUAL"])
    quality = rows(other, "symbol_factors", DAYS[-1]).filter(pl.col("factor") == "Quality")
    assert quality.filter(pl.col("symbol") == "IWM")["n_obs"].to_list() == [89]


def test_six_phases_are_reported_in_their_order(store: Store) -> None:
    single, many = Recorder(), Recorder()
    run_symbol_batch(store, SETTINGS, single)
    backfill(store, SETTINGS, many, first=DAYS[-40], last=DAYS[-2])
    for progress, total, unit in ((single, 20, "symbols"), (many, 39, "dates")):
        assert [(name, n, of) for _, name, n, of in progress.started] == [
            (name, *((20, "symbols") if key == "prices" else (total, unit)))
            for key, (name, _) in PHASES.items()
        ]
        assert progress.current == dict.fromkeys(list(PHASES)[1:], total)
        assert all(success for success, _ in progress.ended.values())
        assert list(progress.ended) == list(PHASES)


def test_one_run_at_a_time(store: Store) -> None:
    running = store.ledger.runs.start(JOB)
    with pytest.raises(Locked, match="already running"):
        run(store)
    store.ledger.runs.finish(running.run_id, "completed")
    with store.writing("symbol", owner="somebody else"), pytest.raises(Locked):
        run(store)
    assert [each.status for each in store.ledger.runs.history(JOB)] == ["failed", "completed"]
    assert run(store).sessions == text(DAYS[-1:])


def test_a_profile_holds_from_the_day_it_was_known(store: Store) -> None:
    symbol = MARKET.symbols[0]
    later = MARKET.profiles.filter(pl.col("symbol") == symbol).with_columns(
        pl.lit("Utilities").alias("sector"), pl.lit(DAYS[-2]).alias("as_of"), provider_beta=pl.lit(6.5)
    )
    ingest_table(store, "profiles", later, ["symbol", "as_of"])
    fill_back(store, DAYS[-4], DAYS[-1])
    sectors = store.read("symbol_metrics", symbols=[symbol]).sort("session")["sector"].to_list()
    before = MARKET.profiles.filter(pl.col("symbol") == symbol)["sector"][0]
    assert sectors == [before, before, "Utilities", "Utilities"]
    provided = store.read("symbol_factors").filter(pl.col("factor_set") == "provider").sort("session")
    assert provided["session"].to_list() == DAYS[-2:]
    assert provided.select("beta", "beta_raw", "reasons").rows() == [(5.0, 6.5, "clipped")] * 2
    for asof, sector in ((None, "Utilities"), (DAYS[-3], before)):
        book = load_book(store, asof=asof)
        assert book.sectors[book.index[symbol]] == sector


@pytest.mark.parametrize("kind", ["split", "dividend"])
def test_a_large_move_is_suspect_until_an_event_explains_it(other: Store, kind: str) -> None:
    moved = pl.col("symbol").is_in(["IWM", "VUG"]) & (pl.col("session") >= DAYS[-10])
    raised = (pl.when(moved).then(pl.col(c) * 1.7).otherwise(c).alias(c) for c in ("close", "adj_close"))
    fill(other, MARKET.prices.with_columns(raised))
    event = MARKET.actions.head(1).with_columns(symbol=pl.lit("IWM"), session=DAYS[-10], kind=pl.lit(kind))
    run(other)

    def suspects() -> list[str]:
        named = rows(other, "symbol_metrics", DAYS[-1]).filter(pl.col("reasons").str.contains("suspect_move"))
        return named["symbol"].to_list()

    assert suspects() == ["IWM", "VUG"]
    ingest_table(other, "corporate_actions", event, ["symbol", "session", "kind"])
    run(other)
    assert suspects() == ["VUG"]


def test_the_book_is_that_of_a_release_and_a_session(store: Store) -> None:
    with pytest.raises(FailedError, match="no computed session"):
        load_book(store)
    empty = store.release()
    fill_back(store, DAYS[-5], DAYS[-1])
    old, new = load_book(store, asof=DAYS[-4]), load_book(store)
    assert (old.as_of, new.as_of) == (SESSIONS[-4], SESSIONS[-1])
    assert new.release == store.release().number
    np.testing.assert_array_equal(old.sessions, clock.sessions_until(DAYS[-4], 546))
    beta = rows(store, "symbol_factors", DAYS[-4]).filter(MARKET_BETA)["beta"][0]
    assert old.betas[old.index["IWM"], 0] == beta
    spy = MARKET.prices.filter(pl.col("symbol") == "SPY").sort("session")
    assert old.close[old.index["SPY"]] == spy["close"][-4]
    assert set(new.close_age[[new.index[proxy] for proxy in PROXIES.values()]]) == {0}
    gone = MARKET.actions.filter(pl.col("kind") == "delisting")["symbol"][0]
    assert new.close_age[new.index[gone]] > 100
    with pytest.raises(UsageError, match="nothing is computed on or before"):
        load_book(store, asof=DAYS[-6])
    with pytest.raises(FailedError):
        load_book(store, release=empty)


def test_a_range_that_runs_backwards(store: Store) -> None:
    with pytest.raises(UsageError, match="is after"):
        fill_back(store, DAYS[-1], DAYS[-2])


def test_degenerate_series_are_null_with_a_reason_and_disturb_nobody(store: Store, other: Store) -> None:
    spy, last = MARKET.prices.filter(pl.col("symbol") == "SPY"), pl.col("session") == DAYS[-1]
    tens = {name: pl.lit(10.0) for name in ("open", "high", "low", "close", "adj_close")}
    flat = spy.with_columns(symbol=pl.lit("FLAT"), **tens)
    twin, single = (
        spy.with_columns(symbol=pl.lit("TWIN")),
        spy.filter(last).with_columns(symbol=pl.lit("ONE")),
    )
    fill(other, pl.concat([MARKET.prices, flat, twin, single]))
    run(store)
    assert run(other).status == "completed"
    frame = rows(other, "symbol_factors", DAYS[-1])
    for symbol, reason in (("FLAT", "constant_series"), ("ONE", "insufficient_history")):
        mine = frame.filter(pl.col("symbol") == symbol)
        assert mine["beta"].null_count() == mine.height == 12
        assert mine["reasons"].str.contains(reason).all()
    beta = frame.filter((pl.col("symbol") == "TWIN") & (pl.col("factor") == "Market Beta (90D)"))
    assert beta["beta"].to_list() == pytest.approx([1.0], abs=1e-12)
    others = frame.filter(~pl.col("symbol").is_in(["FLAT", "ONE", "TWIN"]))
    assert_frame_equal(others, rows(store, "symbol_factors", DAYS[-1]), check_exact=True)
