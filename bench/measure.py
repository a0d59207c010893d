"""Runs every work of the table on one market, and the nightly run on a store of it."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any, NamedTuple

import numpy as np

from bench import nightly, timing
from bench.agreement import assert_agree
from bench.beside_batch import measure_beside_batch
from bench.collected_night import measure_night
from bench.factor_peers import N_FITS
from bench.markets import Market, fill_real_store, fill_store, make_market
from bench.portfolio_peers import make_account
from bench.refresh import measure_refresh
from bench.report import Latency, Limit, Ratio, Results
from bench.rivals import BETAS, GAPS, HISTORY, NO_GAPS, OURS, PORTFOLIO, RIVALS, STYLES, TARGETS
from bench.service_load import Load, measure_load, measure_peer
from engine.book import SymbolBook
from service.book_loader import load_book
from storage.store import open_store


class Sizes(NamedTuple):
    """How much of everything; slow rivals answer for the samples alone."""

    symbols: int
    sample: int
    history: int
    history_sample: int
    correlation: tuple[int, ...]
    portfolio: tuple[int, ...]
    rounds: int
    refresh: int
    load: Load


FULL = Sizes(
    5_000, 60, 500, 3, (500, 2_000), (50, 500, 5_000), 5, 10_000, Load((50, 5_000), 160, 200, 400, 5)
)
QUICK = Sizes(60, 4, 20, 1, (40,), (50,), 1, 20, Load((10,), 4, 16, 4, 1))


class Case(NamedTuple):
    """A work on a subject: the rows that slow rivals answer for, and how many units each side works off."""

    work: str
    size: str
    unit: str
    subject: Any
    rows: np.ndarray
    our_units: int
    peer_units: int


def measure(sizes: Sizes, store_path: Path) -> Results:
    """Measure everything; ``AssertionError`` when two rivals do not answer the same."""
    warnings.filterwarnings("ignore", module="statsmodels")
    _say(f"drawing a market of {sizes.symbols} symbols")
    market = make_market(sizes.symbols)
    _say("writing it to a store")
    fill_store(store_path, market.panel)
    _say("one night in a process of its own")
    peak = nightly.peak_bytes(store_path)
    with open_store(store_path) as store:
        nightly.check(store, market.panel)
        ratios, first_calls = _rivals(sizes, market, load_book(store))
        _say("the night's steps")
        nightly.compute(store, market.panel.sessions)
        steps = timing.steps(lambda: nightly.compute(store, market.panel.sessions), rounds=3 * sizes.rounds)
    _say(f"a night of {sizes.refresh:,} portfolios")
    many = store_path.with_name("refresh")
    copytree(store_path, many)
    refreshed = measure_refresh(many, sizes.refresh)
    _say("nights with a source, in a process of its own")
    night = measure_night(store_path, sizes.rounds)
    latencies, ratio = _service(sizes.load, store_path, market.panel.symbols)
    start_up = nightly.help_seconds(sizes.rounds + 2)
    limits = [
        Limit("Parquet to finished frames, warm, one core", 1e3 * steps["total"].wall, "ms", 80),
        Limit("the same, processor time", 1e3 * steps["total"].processor, "ms", 80),
        Limit("peak memory of a night (`ridgeline batch run`)", peak / 1e6, "MB", 1_000),
        Limit("a night, from fetched payloads to its release, two cores", 1e3 * night.wall, "ms", 2_000),
        Limit("the same, processor time", 1e3 * night.processor, "ms", 2_000),
        Limit("what tracks it", 100 * night.tracker / night.wall, "% of it", 2),
        Limit(f"refresh of {sizes.refresh:,} portfolios, all cores", 1e3 * refreshed.seconds, "ms", 10_000),
        Limit("peak memory of that refresh", refreshed.peak_bytes / 1e6, "MB", 3_000),
        Limit("`ridgeline --help`", 1e3 * start_up, "ms", 300),
    ]
    return Results([*ratios, ratio], limits, steps, first_calls, latencies)


def _service(load: Load, store_path: Path, symbols: Sequence[str]) -> tuple[list[Latency], Ratio]:
    """Load the service with both universes; the real one where its files are."""
    _say("the service under load")
    rows = measure_load("simulated", store_path, symbols, load)
    rows += measure_beside_batch(store_path, symbols, load)
    real = store_path.with_name("real")
    if names := fill_real_store(real):
        rows += measure_load("real", real, names, load._replace(positions=load.positions[:1]))
    _say("the service beside its peer")
    beside, ratio = measure_peer(store_path, symbols, load)
    return [*rows, *beside], ratio


def _rivals(
    sizes: Sizes, market: Market, book: SymbolBook
) -> tuple[list[Ratio], dict[str, tuple[float, float]]]:
    ratios: list[Ratio] = []
    first_calls: dict[str, tuple[float, float]] = {}
    for case in _cases(sizes, market, book):
        _say(f"{case.work}, {case.size}")
        first, found = _run(case, sizes.rounds)
        first_calls.setdefault(case.work, (first, found[0].our_seconds * case.our_units))
        ratios += found
    return ratios, first_calls


def _cases(sizes: Sizes, market: Market, book: SymbolBook) -> Iterator[Case]:
    rng = np.random.default_rng(3)

    def sample(n_symbols: int, n_rows: int) -> np.ndarray:
        return np.sort(rng.choice(n_symbols, n_rows, replace=False))

    n = len(market.panel.symbols)
    for work in (BETAS, STYLES):
        yield Case(work, f"{n:,} symbols", "symbol", market.panel, sample(n, sizes.sample), n, sizes.sample)
    few = market.first(sizes.history).panel
    n, rows = len(few.symbols), sample(len(few.symbols), sizes.history_sample)
    size, unit = f"{n:,} symbols, {N_FITS} sessions", "symbol-session"
    yield Case(HISTORY, size, unit, few, rows, n * N_FITS, len(rows) * N_FITS)
    for n in sizes.correlation:
        whole, rows = market.first(n, whole=True), np.arange(n)
        yield Case(GAPS, f"{n:,} symbols", "matrix", whole.panel, rows, 1, 1)
        yield Case(NO_GAPS, f"{n:,} symbols", "matrix", whole.complete, rows, 1, 1)
    for n in sizes.portfolio:
        account = make_account(book, n)
        rows = np.arange(len(account.positions.symbols))
        yield Case(PORTFOLIO, f"{len(rows):,} positions", "portfolio", account, rows, 1, 1)


def _run(case: Case, rounds: int) -> tuple[float, list[Ratio]]:
    """Seconds of our first call, and the ratio to every peer of the work."""
    calls = {name: partial(call, case.subject, case.rows) for name, call in RIVALS[case.work].items()}
    answers: dict[str, dict[str, np.ndarray]] = {}
    first = timing.seconds(lambda: answers.update({OURS: calls[OURS]()}))
    peers = [name for name in calls if name != OURS]
    for name in peers:
        assert_agree(f"{case.work}, {name}", answers[OURS], calls[name](), case.rows)
    medians = timing.in_turn(calls, rounds=rounds)
    ours = medians[OURS] / case.our_units
    return first, [
        Ratio(
            case.work,
            case.size,
            name,
            case.unit,
            medians[name] / case.peer_units,
            ours,
            TARGETS.get((case.work, name)),
        )
        for name in peers
    ]


def _say(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)
