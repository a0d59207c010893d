"""What an ingest writes, leaves alone, removes and marks; then real files with real errors."""

import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from service import clock
from service.errors import UsageError
from service.ingest import Ingested, ingest_prices, ingest_table
from service.providers.files import read_prices
from storage.errors import Locked
from storage.store import Store, open_store

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
DAYS = clock.sessions_between(date(2024, 1, 2), date(2024, 7, 31)).tolist()
KEY = ["symbol", "session"]


@pytest.fixture
def store(empty_store: Path, tmp_path: Path):
    with open_store(shutil.copytree(empty_store, tmp_path / "store")) as opened:
        yield opened


def batch(closes: dict[str, list[float | None]], *, first: int = 0, source: str = "test") -> pl.DataFrame:
    """One row a session from ``DAYS[first]`` on; None leaves a session out."""
    rows = [
        (symbol, DAYS[first + k], close)
        for symbol, prices in closes.items()
        for k, close in enumerate(prices)
        if close is not None
    ]
    frame = pl.DataFrame(
        rows, schema={"symbol": pl.String, "session": pl.Date, "close": pl.Float64}, orient="row"
    )
    prices = (pl.col("close").alias(name) for name in ("open", "high", "low", "adj_close"))
    frame = frame.with_columns(*prices, volume=10.0, source=pl.lit(source))
    return frame.select(*KEY, "open", "high", "low", "close", "adj_close", "volume", "source")


def closes(store: Store, symbol: str) -> list[float]:
    return store.read("prices", symbols=[symbol]).sort(KEY)["close"].to_list()


def compute(store: Store, at: int) -> None:
    """Publish as a batch would that computed everything up to a session."""
    with store.writing("symbol", owner="test") as writer:
        marks = store.ledger.symbols.recompute_marks()
        writer.publish(session=DAYS[at], recomputed=marks)


def counts(result: Ingested) -> tuple[int, int, int, int]:
    return result.new, result.changed, result.unchanged, result.removed


def test_a_first_batch_is_stored_with_ids_in_one_release(store: Store) -> None:
    given = batch({"B": [1.0, 1.1, 1.2], "A": [5.0, 5.1]})
    result = ingest_prices(store, given)
    assert result == Ingested(
        5,
        5,
        new=5,
        new_symbols=2,
        first_session="2024-01-02",
        last_session="2024-01-04",
        release=store.release().number,
    )
    stored = store.read("prices").sort(KEY)
    assert stored.select(given.columns).equals(given.sort(KEY))
    ids = store.ledger.symbols.ids()
    assert dict(stored.select("symbol", "symbol_id").iter_rows()) == ids
    assert store.ledger.symbols.sources() == {"A": "test", "B": "test"}
    assert stored["quality"].unique().to_list() == ["ok"]


def test_the_same_batch_again_publishes_nothing(store: Store) -> None:
    given = batch({"A": [5.0, 50.0, 5.1, -1.0, 9.0], "B": [1.0] * 5})
    assert ingest_prices(store, given).release is not None
    before = store.release()
    again = ingest_prices(store, given)
    assert counts(again) == (0, 0, 8, 0)
    assert again.quarantined == {"non_positive_price": 1, "tick_off_by_10x": 1}
    assert again.release is None
    assert store.release() == before


def test_new_rows_are_appended_and_changed_ones_replaced(store: Store) -> None:
    ingest_prices(store, batch({"A": [5.0, 5.1, 5.2], "B": [1.0, 1.1, 1.2]}))
    result = ingest_prices(store, batch({"A": [5.1, 5.3, 5.4], "B": [1.1, 1.2, 1.3]}, first=1))
    assert counts(result) == (2, 1, 3, 0)
    assert closes(store, "A") == [5.0, 5.1, 5.3, 5.4]
    assert closes(store, "B") == [1.0, 1.1, 1.2, 1.3]


def test_a_change_over_many_quarters_leaves_other_rows_as_they_were(store: Store) -> None:
    prices = [5.0 + k / 100 for k in range(len(DAYS))]
    ingest_prices(store, batch({"A": prices, "B": prices}))
    restated = [price / 2 for price in prices[:100]]
    assert counts(ingest_prices(store, batch({"A": restated}))) == (0, 100, 0, 0)
    assert closes(store, "A") == restated + prices[100:]
    assert closes(store, "B") == prices


def test_a_late_row_or_a_change_marks_from_its_first_session(store: Store) -> None:
    prices: list[float | None] = [5.0] * 10
    gap = [*prices[:4], None, *prices[5:]]
    ingest_prices(store, batch({"A": prices, "B": prices, "C": gap, "D": prices}))
    assert store.ledger.symbols.recompute_marks() == {}
    compute(store, 9)
    ingest_prices(store, batch({"A": [5.0, 5.1, 5.2], "B": [5.0], "C": [5.0, 5.0, 5.0]}, first=2))
    assert store.ledger.symbols.recompute_marks() == {"A": DAYS[3], "C": DAYS[4]}
    ingest_prices(store, batch({"D": [5.5], "E": [1.0, 1.0, 1.0]}, first=10))
    ingest_prices(store, batch({"F": [1.0] * 5}, first=8))
    assert store.ledger.symbols.recompute_marks() == {"A": DAYS[3], "C": DAYS[4], "F": DAYS[8]}


def test_a_stored_row_that_turns_out_a_bad_tick_is_removed_and_marked(store: Store) -> None:
    first = ingest_prices(store, batch({"A": [5.0, 5.0, 500.0], "B": [1.0, 1.0, 1.0]}))
    assert first.suspects == [f"A {DAYS[2]}"]
    compute(store, 2)
    result = ingest_prices(store, batch({"A": [5.1], "B": [1.0]}, first=3))
    assert counts(result) == (2, 0, 0, 1)
    assert closes(store, "A") == [5.0, 5.0, 5.1]
    refused = store.read("quarantine").drop("source").rows()
    assert refused == [("A", DAYS[2], "close", 500.0, "tick_off_by_100x")]
    assert store.ledger.symbols.recompute_marks() == {"A": DAYS[2]}


def test_a_bad_row_leaves_the_good_one_that_is_stored(store: Store) -> None:
    ingest_prices(store, batch({"A": [5.0, 5.1, 5.2]}))
    result = ingest_prices(store, batch({"A": [-1.0]}, first=1))
    assert counts(result) == (0, 0, 0, 0)
    assert result.quarantined == {"non_positive_price": 1}
    assert result.release == store.release().number
    assert closes(store, "A") == [5.0, 5.1, 5.2]


def test_rows_of_nonsense_dates_are_quarantined(store: Store) -> None:
    given = batch({"A": [5.0, 5.0, 5.0, 5.0]})
    days = pl.Series("session", [date(2, 1, 3), DAYS[0], date(2024, 1, 6), date(9999, 12, 31)])
    result = ingest_prices(store, given.with_columns(days))
    assert result.quarantined == {"not_a_session": 3}
    assert closes(store, "A") == [5.0]
    later = ingest_prices(store, batch({"A": [5.0, 5.1]}), last_session=DAYS[0])
    assert counts(later) == (0, 0, 1, 0)
    assert later.quarantined == {"not_a_session": 1}


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e308", "-1e308", "5e-324"])
@pytest.mark.parametrize("column", ["open", "high", "low", "close", "adj_close", "volume"])
def test_a_number_out_of_all_bounds_is_quarantined(
    store: Store, tmp_path: Path, column: str, value: str
) -> None:
    header = ["date", "symbol", "open", "high", "low", "close", "adj_close", "volume"]
    good = [["A", *["10"] * 6]] * 3
    bad = [["A", *(value if name == column else "10" for name in header[2:])]]
    lines = [",".join([str(DAYS[k]), *cells]) for k, cells in enumerate(good + bad)]
    (tmp_path / "prices.csv").write_text("\n".join([",".join(header), *lines]), encoding="utf-8")
    result = ingest_prices(store, tmp_path / "prices.csv")
    if (column, value) == ("volume", "5e-324"):
        assert result.quarantined == {}
        return
    assert sum(result.quarantined.values()) == 1
    assert result.new == (3 if column in ("close", "adj_close") else 4)
    stored = store.read("prices").select(header[2:])
    assert stored.select(pl.all_horizontal(pl.all().is_null() | (pl.all() == 10.0)).all()).item()


def test_symbols_without_an_acceptable_row_are_not_registered(store: Store) -> None:
    result = ingest_prices(store, batch({"A": [-5.0], "B": [1.0]}))
    assert list(store.ledger.symbols.ids()) == ["B"]
    assert result.new_symbols == 1
    only_bad = ingest_prices(store, batch({"C": [-5.0]}))
    assert (only_bad.accepted, only_bad.first_session) == (0, None)
    assert store.read("quarantine").height == 2


def test_one_price_column_is_stored_as_adjusted_and_says_so(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("date,symbol,close\n2024-05-30,AAA,10\n2024-05-31,AAA,11.5\n", encoding="utf-8")
    ingest_prices(store, path)
    stored = store.read("prices").select("close", "adj_close", "quality", "open", "volume", "source").rows()
    assert stored == [
        (10.0, 10.0, "adjusted_only", None, None, "files"),
        (11.5, 11.5, "adjusted_only", None, None, "files"),
    ]
    assert ingest_prices(store, path).release is None


def actions(symbol: str, at: int, kind: str) -> pl.DataFrame:
    row = {"symbol": symbol, "session": DAYS[at], "kind": kind, "value": 2.0, "new_symbol": None}
    return pl.DataFrame([{**row, "source": "test"}], schema_overrides={"new_symbol": pl.String})


@pytest.mark.parametrize("kind", ["split", "dividend"])
def test_a_known_event_explains_a_move(store: Store, kind: str) -> None:
    ingest_table(store, "corporate_actions", actions("A", 2, kind), ["symbol", "session", "kind"])
    halved = [5.0, 5.0, 2.4, 2.4]
    assert ingest_prices(store, batch({"A": halved, "B": halved})).suspects == [f"B {DAYS[2]}"]


def test_an_event_that_becomes_known_marks_the_suspect_move_it_explains(store: Store) -> None:
    ingest_prices(store, batch({"A": [5.0, 5.0, 2.4, 2.4], "B": [5.0] * 4}))
    compute(store, 3)
    key = ["symbol", "session", "kind"]
    for known in (actions("A", 1, "split"), actions("A", 2, "delisting"), actions("B", 2, "dividend")):
        ingest_table(store, "corporate_actions", known, key)
    assert store.ledger.symbols.recompute_marks() == {}
    ingest_table(store, "corporate_actions", actions("A", 2, "split"), key)
    assert store.ledger.symbols.recompute_marks() == {"A": DAYS[2]}


def test_simulated_and_real_prices_never_share_a_store(store: Store) -> None:
    ingest_prices(store, batch({"A": [5.0]}, source="simulated"))
    ingest_prices(store, batch({"B": [5.0]}, source="simulated"))
    before = store.release()
    with pytest.raises(UsageError, match="give another store"):
        ingest_prices(store, batch({"C": [5.0]}))
    with pytest.raises(UsageError, match="give another store"):
        ingest_prices(store, pl.concat([batch({"C": [5.0]}), batch({"D": [5.0]}, source="simulated")]))
    assert store.release() == before


def test_an_ingest_waits_for_nobody(store: Store) -> None:
    with store.writing("symbol", owner="batch"), pytest.raises(Locked, match="batch"):
        ingest_prices(store, batch({"A": [5.0]}))


def test_an_empty_frame_does_nothing(store: Store) -> None:
    assert ingest_prices(store, batch({})) == Ingested(0)


def test_blocks_of_symbols_give_what_one_block_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = batch({f"S{k}": [5.0, 5.1, 500.0 if k % 3 else 5.2, 5.3, -k] for k in range(7)})
    seen: list[tuple[int, int]] = []
    with open_store(tmp_path / "one") as one, open_store(tmp_path / "many") as many:
        expected = ingest_prices(one, given)
        monkeypatch.setattr("service.ingest.BLOCK_ROWS", 11)
        assert ingest_prices(many, given, advance=lambda *at: seen.append(at)) == expected
        for table in ("prices", "quarantine"):
            assert many.read(table).equals(one.read(table))
    assert seen == [(2, 7), (4, 7), (6, 7), (7, 7)]


def test_tables_keep_one_row_a_key_and_mark_what_depends_on_them(store: Store) -> None:
    ingest_prices(store, batch({"A": [5.0, 5.0, 5.0]}))
    compute(store, 2)
    key = ["symbol", "as_of"]
    one = {
        "name": "A Inc.",
        "sector": "Energy",
        "industry": None,
        "asset_class": "equity",
        "provider_beta": 1.0,
    }
    more = {"market_cap": None, "pe_ratio": None, "dividend_yield": None, "source": "test"}
    profile = pl.DataFrame([{"symbol": symbol, "as_of": DAYS[1], **one, **more} for symbol in ("A", "Z")])
    types = {"industry": pl.String, **dict.fromkeys(("market_cap", "pe_ratio", "dividend_yield"), pl.Float64)}
    profile = profile.cast(types)
    assert counts(ingest_table(store, "profiles", profile, key)) == (2, 0, 0, 0)
    assert store.ledger.symbols.recompute_marks() == {"A": DAYS[1]}
    assert ingest_table(store, "profiles", profile, key).release is None
    moved = profile.with_columns(pl.lit("Utilities").alias("sector"))
    assert counts(ingest_table(store, "profiles", moved.head(1), key)) == (0, 1, 0, 0)
    assert store.read("profiles").sort(key)["sector"].to_list() == ["Utilities", "Energy"]


@pytest.mark.skipif(not DATA.exists(), reason="the real price files are not on this machine")
def test_real_files_with_real_errors(store: Store) -> None:
    path = DATA / "real_prices_with_errors.parquet"
    given = read_prices(path)
    result = ingest_prices(store, path)
    assert result.rows_read == 13925
    stored, quarantine = store.read("prices"), store.read("quarantine")
    whole = quarantine.filter(pl.col("field").is_in(["session", "close", "adj_close"]))
    assert any(reason.startswith("tick_off_by_") for reason in result.quarantined)
    assert result.accepted == stored.height == 13919
    # Nothing but the rows named in the quarantine is missing, and what is stored is what was given.
    lost = given.join(stored, on=KEY, how="anti").select(KEY).unique()
    assert lost.join(whole, on=KEY, how="anti").is_empty()
    both = stored.join(given, on=KEY, how="inner", suffix="_given")
    assert both.height == stored.height
    assert (both["close"] == both["close_given"]).all()
    assert (both["adj_close"] == both["close_given"]).all()
    assert result.suspects == ["VRTX 2012-05-07", "VRTX 2013-04-19"]
    vrtx = stored.filter((pl.col("symbol") == "VRTX") & (pl.col("quality") == "suspect"))["session"]
    assert {date(2012, 5, 7), date(2013, 4, 19)} <= set(vrtx)
    clean = set(given["symbol"]) - set(quarantine["symbol"])
    for symbol in clean:
        assert (
            stored.filter(pl.col("symbol") == symbol).height
            == given.filter(pl.col("symbol") == symbol).height
        )
    assert ingest_prices(store, path).release is None
