"""Which restated prices move a computed number, and which only scale a history; what an overlap tells."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from engine.price_changes import lacking, moved, restated, with_change

DAYS = [date(2024, 1, 1) + timedelta(days=at) for at in range(10)]
CLOSES = 50.0 * np.cumprod(1.0 + np.random.default_rng(3).normal(0.0, 0.02, len(DAYS)))


def rows(adj_close: np.ndarray, **changes: object) -> pl.DataFrame:
    n = len(adj_close)
    frame = pl.DataFrame(
        {"symbol": ["A"] * n, "session": DAYS[:n], "close": CLOSES[:n], "adj_close": adj_close}
    )
    bar = {name: pl.col("close") for name in ("open", "high", "low")}
    rest = {"volume": pl.lit(1e6), "source": pl.lit("test"), "quality": pl.lit("ok")}
    return frame.with_columns(**bar, **rest).with_columns(**changes)  # type: ignore[arg-type]


def stale(new: pl.DataFrame, stored: pl.DataFrame, *, begun: tuple[str, ...] = ()) -> list[int]:
    found = moved(with_change(new, stored), stored, begun=begun)
    return [DAYS.index(day) for day in found["session"].sort()]


STORED = rows(CLOSES)


def test_a_factor_on_a_whole_history_moves_nothing() -> None:
    assert stale(rows(CLOSES * 0.987654321), STORED) == []
    assert stale(rows(CLOSES * 0.987654321).head(9), STORED.head(9)) == []


def test_a_factor_on_half_of_a_history_moves_the_return_between() -> None:
    half = CLOSES * np.where(np.arange(10) < 5, 0.5, 1.0)
    assert stale(rows(half), STORED) == [5]
    assert stale(rows(half).head(5), STORED) == [5]  # the row that follows is not even in the batch
    assert stale(rows(half).tail(6), STORED.tail(6)) == [5]


def test_a_history_that_has_older_rows_moves_where_the_factor_begins() -> None:
    scaled = rows(CLOSES * 0.5).tail(5)
    assert stale(scaled, STORED.tail(5), begun=("A",)) == [5]
    assert stale(scaled, STORED.tail(5)) == []


def test_one_return_that_moved() -> None:
    other = CLOSES.copy()
    other[4] *= 1.0 + 1e-9
    assert stale(rows(other), STORED) == [4, 5]


@pytest.mark.parametrize("column", ["close", "volume", "quality"])
def test_what_else_numbers_are_made_of(column: str) -> None:
    change = pl.when(pl.col("session") == DAYS[6])
    other = change.then(pl.lit("suspect")) if column == "quality" else change.then(pl.col(column) * 2)
    assert stale(rows(CLOSES, **{column: other.otherwise(column)}), STORED) == [6]
    assert stale(rows(CLOSES, source=pl.lit("another"), high=pl.col("high") * 2), STORED) == []


def test_new_rows_are_stale_and_so_is_the_return_after_a_filled_gap() -> None:
    gap = STORED.filter(pl.col("session") != DAYS[4])
    assert stale(STORED, gap) == [4]
    changed = rows(CLOSES * 0.5)
    assert stale(changed, gap) == [4, 5]


def test_the_last_of_four_decimals_is_rounding() -> None:
    before, after = np.round(CLOSES, 4), np.round(CLOSES * 0.98765, 4)
    assert stale(rows(after), rows(before)) == []
    after[4] += 0.01
    assert stale(rows(after), rows(before)) == [4, 5]


def test_an_overlap_that_changed() -> None:
    assert restated(rows(CLOSES), STORED) == set()
    assert restated(rows(np.round(CLOSES, 4)), STORED) == set()  # as another source prints it
    assert restated(rows(CLOSES * (1 + 1e-6)), STORED) == {"A"}
    assert restated(rows(np.round(CLOSES, 4) + 1e-4), rows(np.round(CLOSES, 4))) == {"A"}
    assert restated(rows(CLOSES).with_columns(adj_close=pl.lit(None, pl.Float64)), STORED) == set()
    assert restated(rows(CLOSES), STORED.clear()) == set()


def test_what_an_overlap_adds() -> None:
    assert lacking(STORED, STORED.head(8))["session"].to_list() == DAYS[8:]
    revised = rows(CLOSES, volume=pl.when(pl.col("session") == DAYS[3]).then(2e6).otherwise("volume"))
    assert lacking(revised, STORED)["session"].to_list() == DAYS[3:4]
