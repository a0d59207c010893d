"""A portfolio from a file, analyzed on a release."""

from datetime import date
from pathlib import Path
from typing import Any

from engine.analysis import analyze
from service.analysis import describe
from service.book_loader import benchmark_weights, load_book
from service.errors import UsageError
from service.positions_csv import read_positions
from storage.releases import Release
from storage.store import Store


def analyze_file(
    store: Store, path: Path, *, equity: float | None, asof: date | None, release: Release | None
) -> dict[str, Any]:
    """Read positions from a CSV and describe everything the book says about them."""
    if equity is not None and not 0 < equity <= 1e12:
        raise UsageError(f"--equity {equity} must be above 0 and at most 1e12")
    positions = read_positions(path)
    pinned = release or store.release()
    book = load_book(store, asof=asof, release=pinned)
    on: date = book.as_of.item()  # type: ignore[assignment]
    benchmark = benchmark_weights(store, pinned, on)
    return describe(book, positions, analyze(book, positions, equity=equity, benchmark=benchmark), benchmark)
