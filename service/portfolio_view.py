"""A portfolio from a file, analyzed on a release."""

from datetime import date
from pathlib import Path
from typing import Any

from engine.analysis import analyze
from engine.valuation import Positions
from service import clock
from service.analysis import describe
from service.book_loader import benchmark_weights, load_book
from service.csv_import.parsing import parse_positions
from service.errors import InputError, UsageError
from service.lots import open_lots, positions_of
from service.settings import Settings
from storage.releases import Release
from storage.store import Store


def read_positions(path: Path, *, today: date) -> Positions:
    """Read the open lots of a CSV file; ``InputError`` when it cannot be read, or with all that is wrong."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a readable CSV file") from error
    try:
        lots = parse_positions(content, path.name, today=today)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return positions_of(open_lots(lots))


def analyze_file(
    store: Store,
    settings: Settings,
    path: Path,
    *,
    equity: float | None,
    asof: date | None,
    release: Release | None,
) -> dict[str, Any]:
    """Read positions from a CSV and describe everything the book says about them."""
    if equity is not None and not 0 < equity <= 1e12:
        raise UsageError(f"--equity {equity} must be above 0 and at most 1e12")
    positions = read_positions(path, today=clock.now(settings).date())
    pinned = release or store.release()
    book = load_book(store, asof=asof, release=pinned)
    on: date = book.as_of.item()  # type: ignore[assignment]
    benchmark = benchmark_weights(store, pinned, on)
    return describe(book, positions, analyze(book, positions, equity=equity, benchmark=benchmark), benchmark)
