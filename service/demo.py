"""The demo: a simulated market with known betas, the batch on it, a portfolio, and how well it all fits."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from engine.analysis import analyze, correlations, portfolio_volatility
from engine.book import SymbolBook
from engine.composition import factor_exposures, holdings_of, model_risk
from engine.concentration import concentration
from engine.factors import MODELS, Model, factor_returns
from engine.panel import Panel
from engine.regression import fit_factors
from engine.stress import stress
from engine.typing import FloatArray
from engine.valuation import Positions, value_positions
from service import clock
from service.analysis import describe
from service.book_loader import HISTORY_SESSIONS, benchmark_weights, load_book, load_panel
from service.cli.output import console, print_fields, print_json, print_table
from service.cli.portfolio_tables import TABLES, banner
from service.cli.progress import TerminalProgress
from service.demo_service import onboard
from service.ingest import ingest_prices, ingest_table
from service.jobs.symbol_batch import run_symbol_batch
from service.jobs.tracker import Trigger
from service.portfolio_view import read_positions
from service.providers.simulated import SimulatedMarket, simulate
from service.settings import Settings
from storage.store import Store, open_store

LAST_SESSION = date(2024, 6, 28)
N_SYMBOLS, N_SESSIONS = 500, 600
SAMPLE = Path(__file__).parent.parent / "data" / "sample_portfolio.csv"
EQUITY = 1_000_000.0

Timings = dict[str, float]


def run_demo(store_path: Path | None, *, as_json: bool) -> int:
    """Run the demo on a store that goes when it ends, or on a folder that stays."""
    with (
        tempfile.TemporaryDirectory(prefix="ridgeline-demo-") as folder,
        open_store(store_path or Path(folder) / "store") as store,
    ):
        answer = _demo(store)
    if as_json:
        print_json(answer)
        return 0
    banner("SIMULATED DATA: fictional symbols, made-up prices")
    for show in TABLES:
        show(answer["portfolio"])
    print_table("Nightly batch", ("phase", "status", "summary"), [p.values() for p in answer["phases"]])
    print_table("Known against recovered betas, share within ± 2 se", *_comparison(answer["recovered"]))
    print_table("Milliseconds", ("step", "ms"), answer["milliseconds"].items())
    print_table("The same over HTTP, milliseconds", ("request", "ms"), answer["http"]["milliseconds"].items())
    print_fields("Onboarding status", answer["http"]["status"])
    banner("SIMULATED DATA")
    return 0


def _demo(store: Store) -> dict[str, Any]:
    timings: Timings = {}
    sessions = clock.sessions_until(LAST_SESSION, N_SESSIONS)
    with _Watched() as progress:
        with _timed(timings, "simulate the market"):
            market = simulate(sessions, n_symbols=N_SYMBOLS)
        with _timed(timings, "ingest"):
            ingest_market(store, market)
        with _timed(timings, "nightly batch, compilation included"):
            run_symbol_batch(store, Settings(), progress, trigger=Trigger("demo"))
    with _timed(timings, "load the book"):
        book = load_book(store)
    positions = read_positions(SAMPLE, today=clock.now(Settings()).date())
    benchmark = benchmark_weights(store, store.release(), sessions[-1].item())
    with _timed(timings, "first analysis, compilation included"):
        analyze(book, positions, equity=EQUITY, benchmark=benchmark)
    _time_parts(timings, book, positions)
    with _timed(timings, "whole analysis"):
        analysis = analyze(book, positions, equity=EQUITY, benchmark=benchmark)
    panel = load_panel(store, store.release(), sessions[-HISTORY_SESSIONS:])
    status, milliseconds = onboard(store, SAMPLE, EQUITY)
    return {
        "data": "simulated",
        "phases": progress.phases,
        "portfolio": describe(book, positions, analysis, benchmark),
        "recovered": recovered(market, panel),
        "milliseconds": timings,
        "http": {"status": status, "milliseconds": milliseconds},
    }


def ingest_market(store: Store, market: SimulatedMarket) -> None:
    """Take a simulated market in as files would be."""
    ingest_table(store, "corporate_actions", market.actions, ["symbol", "session", "kind"])
    ingest_table(store, "profiles", market.profiles, ["symbol", "as_of"])
    ingest_table(store, "benchmark_weights", market.benchmark, ["benchmark", "as_of", "sector"])
    ingest_prices(store, market.prices)


class _Watched(TerminalProgress):
    """Shows the bars where there is a terminal, and keeps the phases for the report."""

    def __init__(self) -> None:
        super().__init__()
        self.phases: list[dict[str, str]] = []

    def complete_phase(self, phase_id: str, success: bool, summary: str) -> None:
        """Note how the phase ended."""
        super().complete_phase(phase_id, success, summary)
        self.phases.append(
            {"phase": phase_id, "status": "completed" if success else "failed", "summary": summary}
        )


def _time_parts(timings: Timings, book: SymbolBook, positions: Positions) -> None:
    """Time each part of an analysis by itself."""
    valuation = value_positions(book, positions, equity=EQUITY)
    holdings, nav = holdings_of(valuation), valuation.weight_base
    parts: dict[str, Callable[[], object]] = {
        "value": lambda: value_positions(book, positions, equity=EQUITY),
        "factor exposures": lambda: factor_exposures(book, holdings, nav),
        "volatility": lambda: portfolio_volatility(book, holdings, nav),
        "risk model": lambda: model_risk(book, holdings, nav),
        "correlations": lambda: correlations(book, holdings),
        "concentration": lambda: concentration(positions, valuation),
        "stress": lambda: stress(book, holdings),
    }
    for name, part in parts.items():
        with _timed(timings, f"  {name}"):
            part()


@contextmanager
def _timed(timings: Timings, step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[step] = 1e3 * (time.perf_counter() - start)


def recovered(market: SimulatedMarket, panel: Panel) -> list[dict[str, Any]]:
    """Compare each factor's betas with the truth: share of them within ± 2 standard errors.

    Taken over all disjoint windows of the panel, since within one window the symbols' errors have a common
    part. A one-factor slope is held against its population value; a ridge slope against the expectation of
    its estimate given the factors, the truth shrunk by the penalty. The expected share is Student's.
    """
    population = iter(market.population_betas().T)
    rows = []
    for model in MODELS:
        slopes = market.style_slopes() if model.method == "ridge" else next(population)[:, None]
        errors = [
            _standardized_errors(market, panel, model, slopes, end)
            for end in range(len(panel.sessions) - 1, model.window - 1, -model.window)
        ]
        ratio, n_obs = np.concatenate([e[0] for e in errors]), np.concatenate([e[1] for e in errors])
        expected = 1 - 2 * student.sf(2, n_obs - 1 - len(model.factors))
        rows += [
            {
                "factor": factor.name,
                "betas": len(ratio),
                "share_within_2_se": float((np.abs(ratio[:, k]) <= 2).mean()),
                "expected_share": float(expected.mean()),
            }
            for k, factor in enumerate(model.factors)
        ]
    return rows


def _standardized_errors(
    market: SimulatedMarket, panel: Panel, model: Model, slopes: FloatArray, end: int
) -> tuple[FloatArray, FloatArray]:
    """(estimate − truth) / se ``(n, n_factors)`` and n ``(n,)`` of the symbols fitted at a column."""
    fit = fit_factors(panel, (model,), first=end, last=end)
    rows = np.array([-1 if (row := panel.row(symbol)) is None else row for symbol in market.symbols])
    n_obs = np.where(rows >= 0, fit.n_obs[rows, 0, 0], 0.0)
    fitted = (rows >= 0) & np.isfinite(fit.beta_raw[rows, 0, 0])
    truth = _shrunk(slopes, panel, model, end) if model.method == "ridge" else slopes
    at = rows[fitted]
    return (fit.beta_raw[at, 0] - truth[fitted]) / fit.standard_error[at, 0], n_obs[fitted]


def _shrunk(slopes: FloatArray, panel: Panel, model: Model, end: int) -> FloatArray:
    """Expected ridge slopes given the factor returns of a window: S⁻¹(ZᵀZ + λI)⁻¹ZᵀZ S·slopes."""
    x = factor_returns(panel, (model,))[:, end - model.window + 1 : end + 1]
    x = x[:, np.isfinite(x).all(axis=0)]
    scale = x.std(axis=1)
    z = (x - x.mean(axis=1, keepdims=True)) / scale[:, None]
    gram = z @ z.T
    shrink = np.linalg.solve(gram + model.l2_penalty * np.eye(len(x)), gram)
    return np.asarray((slopes * scale) @ shrink.T / scale)


def _comparison(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    names = list(rows[0])
    console.print()
    return [name.replace("_", " ") for name in names], [list(row.values()) for row in rows]
