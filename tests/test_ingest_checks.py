"""What the ingest checks set aside, null, mark and keep; tiny frames, then real files with real errors."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine.ingest_checks import FIELDS, check_prices
from engine.typing import DateArray

REAL_ERRORS = Path(__file__).resolve().parents[2] / "shared" / "data" / "real_prices_with_errors.parquet"
MONDAY = date(2024, 1, 1)
SESSIONS = np.array([MONDAY + timedelta(days=k) for k in range(40)], dtype="datetime64[D]")


def bars(closes: list[float | None], *, symbol: str = "A", first: int = 0, **fields: object) -> pl.DataFrame:
    """One bar a session from ``SESSIONS[first]`` on, all prices equal; None leaves a session out."""
    kept = [(SESSIONS[first + k].item(), close) for k, close in enumerate(closes) if close is not None]
    frame = pl.DataFrame(kept, schema={"session": pl.Date, "close": pl.Float64}, orient="row")
    prices = (pl.col("close").alias(name) for name in ("open", "high", "low", "adj_close"))
    frame = frame.with_columns(*prices, pl.lit(symbol).alias("symbol"), volume=10.0, source=pl.lit("test"))
    return frame.with_columns(pl.lit(value).alias(name) for name, value in fields.items())


def quarantined(
    frame: pl.DataFrame, sessions: DateArray = SESSIONS, **options: pl.DataFrame
) -> list[tuple[object, ...]]:
    rows = check_prices(frame, sessions, **options)[1]
    return rows.select("symbol", "session", "field", "value", "reason").rows()


def qualities(frame: pl.DataFrame, **options: pl.DataFrame) -> list[str]:
    return check_prices(frame, SESSIONS, **options)[0]["quality"].to_list()


def day(k: int) -> date:
    return SESSIONS[k].item()


def test_good_rows_pass_unchanged_in_order_of_symbol_and_session() -> None:
    good = pl.concat([bars([10.0, 11.0, 12.0], symbol="B"), bars([5.0, 5.1])])
    accepted, quarantine = check_prices(good.sample(fraction=1, shuffle=True, seed=1), SESSIONS)
    expected = good.sort("symbol", "session").select(accepted.columns[:-1])
    assert accepted.drop("quality").equals(expected)
    assert accepted["quality"].to_list() == ["ok"] * 5
    assert quarantine.columns == ["symbol", "session", "source", "field", "value", "reason"]
    assert quarantine.is_empty()


def test_an_empty_batch_and_an_empty_calendar() -> None:
    accepted, quarantine = check_prices(bars([]), SESSIONS)
    assert accepted.is_empty()
    assert quarantine.is_empty()
    assert quarantined(bars([1.0]), SESSIONS[:0])[0][-1] == "not_a_session"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0.0, "non_positive_price"),
        (-3.0, "non_positive_price"),
        (float("nan"), "non_finite_price"),
        (float("inf"), "non_finite_price"),
        (float("-inf"), "non_finite_price"),
        (1e308, "implausible_price"),
        (1.1e15, "implausible_price"),
        (0.9e-9, "implausible_price"),
        (5e-324, "implausible_price"),
        (None, "missing_price"),
    ],
)
@pytest.mark.parametrize("field", ["close", "adj_close"])
def test_a_row_needs_a_close_and_an_adjusted_close(field: str, value: float | None, reason: str) -> None:
    second = pl.col("session") == day(1)
    frame = bars([10.0, 10.0, 10.0]).with_columns(pl.when(second).then(value).otherwise(field).alias(field))
    accepted, quarantine = check_prices(frame, SESSIONS)
    assert accepted["session"].to_list() == [day(0), day(2)]
    assert quarantine.select("session", "field", "reason").rows() == [(day(1), field, reason)]
    given = None if value is None or not np.isfinite(value) else value
    assert quarantine["value"].to_list() == [given]


def test_a_date_that_is_no_session_goes() -> None:
    weekend = np.delete(SESSIONS, 3)
    assert quarantined(bars([10.0] * 6), weekend) == [("A", day(3), "session", None, "not_a_session")]


def test_identical_rows_collapse_and_contradicting_ones_go() -> None:
    good, same, other = bars([10.0] * 4), bars([10.0], first=1), bars([10.5], first=2)
    accepted, quarantine = check_prices(pl.concat([good, same, other]), SESSIONS)
    assert accepted["session"].to_list() == [day(0), day(1), day(3)]
    assert quarantine["value"].to_list() == [10.0, 10.5]
    assert set(quarantine["reason"]) == {"duplicate_session"}


@pytest.mark.parametrize("factor", [0.001, 0.01, 0.1, 10.0, 100.0])
@pytest.mark.parametrize("length", [1, 2, 5])
def test_an_excursion_to_a_power_of_ten_goes_whole(factor: float, length: int) -> None:
    closes = [100.0, 101.0, *[102.0 * factor] * length, 103.0, 104.0]
    accepted, quarantine = check_prices(bars(closes), SESSIONS)
    assert quarantine["session"].to_list() == [day(2 + k) for k in range(length)]
    assert set(quarantine["reason"]) == {f"tick_off_by_{factor:g}x"}
    assert accepted["quality"].to_list() == ["ok"] * 4


def test_an_excursion_of_six_sessions_is_a_level() -> None:
    closes = [100.0, 101.0, *[10.0] * 6, 103.0]
    assert quarantined(bars(closes)) == []
    assert qualities(bars(closes)) == ["ok", "ok", "suspect", *["ok"] * 5, "suspect"]


def test_the_five_sessions_count_sessions_without_a_row() -> None:
    assert len(quarantined(bars([100.0, 1.0, None, None, None, None, 100.0]))) == 1
    assert quarantined(bars([100.0, 1.0, None, None, None, None, None, 100.0])) == []


def test_ticks_of_different_powers_and_ticks_side_by_side() -> None:
    assert [row[-1] for row in quarantined(bars([100.0, 1.0, 10.0, 100.0]))] == [
        "tick_off_by_0.01x", "tick_off_by_0.1x",
    ]  # fmt: skip
    found = quarantined(bars([100.0, 1.0, 100.0, 1.0, 100.0, 100.0]))
    assert [row[1] for row in found] == [day(1), day(3)]  # the good row between them stays


@pytest.mark.parametrize("ratio", [0.5, 0.2, 5.0, 7.5, 13.0, 1 / 7])
def test_large_moves_that_are_no_power_of_ten_stay_suspect(ratio: float) -> None:
    frame = bars([100.0, 100.0 * ratio * 0.999, 100.0])
    assert quarantined(frame) == []
    assert qualities(frame)[1] == "suspect"


def test_a_tick_that_has_not_come_back_is_suspect_and_goes_once_it_has() -> None:
    first = bars([100.0, 101.0, 1.01])
    accepted, quarantine = check_prices(first, SESSIONS)
    assert quarantine.is_empty()
    assert accepted["quality"].to_list() == ["ok", "ok", "suspect"]
    accepted, quarantine = check_prices(bars([102.0], first=3), SESSIONS, history=accepted)
    assert accepted["quality"].to_list() == ["ok"]
    assert quarantine.select("session", "value", "source").rows() == [(day(2), 1.01, "test")]


def test_one_row_is_judged_by_what_is_stored() -> None:
    stored = check_prices(bars([100.0, 101.0, None, 103.0]), SESSIONS)[0]
    assert quarantined(bars([1.02], first=2), history=stored)[0][-1] == "tick_off_by_0.01x"
    assert qualities(bars([1.02], first=2)) == ["ok"]
    assert qualities(bars([160.0], first=4), history=stored) == ["suspect"]
    assert qualities(bars([160.0], first=4, symbol="B"), history=stored) == ["ok"]
    assert qualities(bars([104.0], first=3), history=stored) == ["ok"]  # a restated session


def test_a_known_event_explains_a_large_move() -> None:
    frame = pl.concat([bars([100.0, 300.0]), bars([100.0, 300.0], symbol="B")])
    events = pl.DataFrame({"symbol": ["A", "A"], "session": [day(1), day(1)]})
    assert qualities(frame, events=events) == ["ok", "ok", "ok", "suspect"]


def test_a_split_in_the_close_is_no_move_of_the_adjusted_close() -> None:
    frame = bars([100.0, 100.0, 10.0, 10.0], adj_close=10.0)
    assert quarantined(frame) == []
    assert qualities(frame) == ["ok"] * 4


def test_a_bad_adjusted_close_is_found_beside_a_good_close() -> None:
    frame = bars([100.0] * 3).with_columns(adj_close=pl.Series([90.0, 0.9, 90.0]))
    assert quarantined(frame) == [("A", day(1), "adj_close", 0.9, "tick_off_by_0.01x")]


@pytest.mark.parametrize("field", ["open", "high", "low"])
def test_a_bad_bar_price_is_nulled_and_named(field: str) -> None:
    values = [1.0, 0.0, float("nan"), -2.0, 1000.0, 70.0, None]
    frame = bars([100.0] * 7).with_columns(pl.Series(field, values, dtype=pl.Float64))
    accepted, quarantine = check_prices(frame, SESSIONS)
    assert accepted[field].to_list() == [None, None, None, None, None, 70.0, None]
    assert accepted["quality"].to_list() == ["ok"] * 7
    assert set(quarantine["field"]) == {field}
    assert quarantine["reason"].to_list() == [
        "tick_off_by_0.01x", "non_positive_price", "non_finite_price", "non_positive_price",
        "tick_off_by_10x",
    ]  # fmt: skip


@pytest.mark.parametrize("field", ["open", "high", "low"])
@pytest.mark.parametrize("value", [float("inf"), float("-inf"), 1e308])
def test_a_bar_price_without_bound_is_nulled_and_named(field: str, value: float) -> None:
    accepted, quarantine = check_prices(bars([100.0], **{field: value}), SESSIONS)
    assert accepted[field].to_list() == [None]
    reason = "implausible_price" if np.isfinite(value) else "non_finite_price"
    assert quarantine.select("field", "reason").rows() == [(field, reason)]


def test_a_volume_without_bound_is_nulled_and_named() -> None:
    volumes = [float("inf"), float("-inf"), float("nan"), 1e308, 1e15]
    frame = bars([100.0] * 5).with_columns(pl.Series("volume", volumes))
    accepted, quarantine = check_prices(frame, SESSIONS)
    assert accepted["volume"].to_list() == [None, None, None, None, 1e15]
    assert quarantine["value"].to_list() == [None, None, None, 1e308]
    assert quarantine["reason"].to_list() == [*["non_finite_volume"] * 3, "implausible_volume"]


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Int64])
def test_a_negative_volume_is_nulled_and_named(dtype: type[pl.DataType]) -> None:
    frame = bars([100.0] * 3).with_columns(pl.Series("volume", [5, -5, 0], dtype=dtype))
    accepted, quarantine = check_prices(frame, SESSIONS)
    assert accepted["volume"].to_list() == [5, None, 0]
    assert quarantine.select("field", "value", "reason").rows() == [("volume", -5.0, "negative_volume")]


def test_a_symbol_with_one_price_column_is_taken_as_adjusted() -> None:
    lone = bars([10.0, 20.0, 20.0], symbol="B").with_columns(adj_close=pl.lit(None, pl.Float64))
    accepted, quarantine = check_prices(pl.concat([bars([10.0, 10.0]), lone]), SESSIONS)
    assert quarantine.is_empty()
    assert accepted["quality"].to_list() == ["ok", "ok", "adjusted_only", "suspect", "adjusted_only"]
    assert accepted.filter(pl.col("symbol") == "B")["adj_close"].to_list() == [10.0, 20.0, 20.0]


def test_a_close_does_not_stand_in_where_the_history_is_adjusted() -> None:
    nothing = pl.lit(None, pl.Float64)
    stored = bars([100.0, 100.0]).with_columns(adj_close=pl.col("close") * 0.9)
    later = bars([100.0], first=2).with_columns(adj_close=nothing)
    other = bars([50.0], symbol="B", first=2).with_columns(adj_close=nothing)
    accepted, quarantine = check_prices(pl.concat([later, other]), SESSIONS, history=stored)
    assert accepted.select("symbol", "quality").rows() == [("B", "adjusted_only")]
    assert quarantine.select("symbol", "field", "reason").rows() == [("A", "adj_close", "missing_price")]
    equal = check_prices(later, SESSIONS, history=bars([100.0, 100.0]))[0]
    assert equal["quality"].to_list() == ["adjusted_only"]


def test_other_symbols_change_nothing() -> None:
    rng = np.random.default_rng(0)
    frames = []
    for symbol in "ABCDE":
        closes = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.2, 40)))
        closes[rng.integers(0, 40, 4)] *= 10.0 ** rng.integers(-2, 3, 4)
        frames.append(bars(closes.tolist(), symbol=symbol))
    accepted, quarantine = check_prices(pl.concat(frames), SESSIONS)
    assert len(quarantine) > 0
    for symbol, frame in zip("ABCDE", frames, strict=True):
        alone = check_prices(frame, SESSIONS)
        assert alone[0].equals(accepted.filter(pl.col("symbol") == symbol))
        assert alone[1].equals(quarantine.filter(pl.col("symbol") == symbol))


@pytest.mark.skipif(not REAL_ERRORS.exists(), reason="real prices with errors are not on this machine")
def test_the_errors_of_a_real_file() -> None:
    real = pl.read_parquet(REAL_ERRORS).rename({"date": "session"})
    real = real.with_columns(adj_close=pl.col("close"), source=pl.lit("files")).cast(
        dict.fromkeys(FIELDS, pl.Float64)
    )
    sessions = real["session"].unique().sort().to_numpy()
    accepted, quarantine = check_prices(real, sessions)
    tenth, hundredth = "tick_off_by_0.1x", "tick_off_by_0.01x"
    found = quarantine.select("symbol", pl.col("session").cast(pl.String), "field", "reason").rows()
    assert found == [
        ("AVB", "2010-09-16", "close", hundredth),
        ("AVB", "2011-06-14", "open", tenth),
        ("AVB", "2012-11-19", "high", tenth),
        ("AVB", "2012-12-21", "close", tenth),
        ("EIX", "2010-07-12", "high", tenth),
        ("EIX", "2012-03-08", "close", tenth),
        ("EIX", "2012-03-22", "close", tenth),
        ("PXD", "2012-08-20", "high", hundredth),
        ("PXD", "2013-01-02", "high", tenth),
        ("PXD", "2013-08-05", "close", tenth),
        ("PXD", "2014-01-22", "open", tenth),
        ("SLG", "2014-03-04", "close", hundredth),
    ]
    suspect = accepted.filter(pl.col("quality") != "ok").select("symbol", pl.col("session").cast(pl.String))
    assert suspect.rows() == [("VRTX", "2012-05-07"), ("VRTX", "2013-04-19")]
    assert len(accepted) == len(real) - 6
