"""The nightly run on a real store: from Parquet to finished frames step by step, its memory, and start-up."""

import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import numpy as np

from bench import timing
from bench.markets import profiles
from engine.factor_frames import factor_frame
from engine.metrics import symbol_metrics
from engine.panel import Panel
from engine.regression import fit_factors
from engine.risk import fit_risk_model, loadings_frame
from engine.typing import DateArray, FloatArray
from service.book_loader import load_panel
from storage.store import Store

COMMAND = Path(sys.executable).with_name("ridgeline")


def compute(store: Store, sessions: DateArray) -> Mapping[str, timing.Elapsed]:
    """Read the newest release and compute every frame of its last session; time of each step."""
    laps = timing.Laps()
    panel = load_panel(store, store.release(), sessions)
    laps.end("Parquet to panel")
    known = profiles(panel)
    sectors, at = known["sector"].to_list(), len(panel.sessions) - 1
    laps.end("profiles (made here)")
    fit = fit_factors(panel, first=at, last=at)
    laps.end("betas")
    factor_frame(panel, fit, first=at)
    laps.end("factor frame")
    model = fit_risk_model(panel, sectors, at=at)
    laps.end("risk model")
    loadings_frame(panel, model)
    laps.end("risk frame")
    symbol_metrics(panel, known, at=at)
    laps.end("metrics frame")
    del laps.times["profiles (made here)"]
    return laps.times


def check(store: Store, panel: Panel) -> None:
    """Assert that the panel of the store is the panel that was written."""
    stored = load_panel(store, store.release(), panel.sessions)
    if stored.symbols != panel.symbols or not _same(stored, panel):
        raise AssertionError("the store gives back another panel than was written")


def _same(one: Panel, other: Panel) -> bool:
    """Compare all sessions that ``one`` has."""
    arrays = zip(_arrays(one), _arrays(other), strict=True)
    return all(np.array_equal(mine, theirs[:, -mine.shape[1] :], equal_nan=True) for mine, theirs in arrays)


def _arrays(panel: Panel) -> tuple[FloatArray, ...]:
    return panel.adj_close, panel.returns, panel.close, panel.volume


def peak_bytes(store_path: Path) -> int:
    """Peak resident memory of a whole nightly run in a process of its own."""
    return timing.child([str(COMMAND), "batch", "run", "--store", str(store_path), "--json"])[1]


def help_seconds(repeats: int) -> float:
    """Median wall time of ``ridgeline --help``."""
    return median(timing.child([str(COMMAND), "--help"])[0] for _ in range(repeats))
