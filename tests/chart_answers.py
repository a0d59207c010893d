"""Answers for the charts: composed on a seeded book as the service does, with gaps or with nothing."""

from dataclasses import replace
from datetime import date, timedelta

import msgspec
import numpy as np
import polars as pl
from books import make_book
from markets import make_market

from engine.prices_asof import market_of
from engine.valuation import Positions
from service.api.analytics import answers, history
from service.api.analytics.history_records import ExposureHistory, ExposurePoint
from service.api.analytics.served import data_quality, served
from service.composed import Composed
from service.live_book import Market
from service.names import Names

BENCHMARK = {"Energy": 0.1, "Financials": 0.5, "Health Care": 0.3, "Utilities": 0.1}
FACTORS = ("Market Beta (90D)", "IR Beta", "Momentum")
NO_BETA, NO_ERROR = 4, 5
NO_SPLITS = market_of(
    pl.DataFrame(schema={"symbol": pl.String, "session": pl.Date, "close": pl.Float64, "quality": pl.String}),
    pl.DataFrame(schema={"symbol": pl.String, "session": pl.Date, "kind": pl.String, "value": pl.Float64}),
    np.array([], dtype="datetime64[D]"),
)
ODD = "<A>&\"B'"


def composed(kind, n_symbols=30):
    """``full`` has every number; ``gaps`` lacks prices, betas, loadings; ``empty`` has no position."""
    gaps = kind == "gaps"
    book = make_book(make_market(61, n_symbols=n_symbols, gaps=0.02 if gaps else 0.0, quirks=gaps), 61)
    recent = [
        s
        for s, age, row in zip(book.symbols, book.close_age, book.returns, strict=True)
        if age <= 5 and (gaps or np.isfinite(row[1:]).all())
    ]
    loadings, specific = book.loadings.copy(), book.specific_variance.copy()
    betas, errors = book.betas.copy(), book.standard_errors.copy()
    if gaps:
        unmodeled = [book.index[recent[0]], book.index[recent[-1]]]
        loadings[unmodeled], specific[unmodeled] = np.nan, np.nan
        betas[:, NO_BETA], errors[:, NO_ERROR] = np.nan, np.nan
    else:
        betas, errors = np.where(np.isnan(betas), 0.5, betas), np.where(np.isnan(betas), 0.1, errors)
    fits = {"loadings": loadings, "specific_variance": specific, "betas": betas, "standard_errors": errors}
    book = replace(book, **fits)
    symbols = [] if kind == "empty" else [*recent, *([ODD, "NOSUCH"] if gaps else [])]
    rng, n = np.random.default_rng(61), len(symbols)
    positions = Positions(
        symbols=tuple(symbols),
        quantity=rng.integers(1, 500, n) * rng.choice([1.0, 1.0, -1.0], n),
        entry_price=rng.uniform(5, 200, n),
        kinds=("public",) * n,
        manual_price=np.full(n, np.nan),
    )
    close = np.array([book.close[book.index[name]] if name in book.index else 0.0 for name in symbols])
    equity = 1e3 + 2 * float(np.abs(positions.quantity * close).sum())
    return Composed(Market(book, BENCHMARK, {}, 0.04, NO_SPLITS, Names({})), positions, equity)


def all_answers(kind, n_symbols=30):
    """One answer for each chart, by the chart's name."""
    whole = composed(kind, n_symbols)
    quality = data_quality(whole, whole.market.session, 0)
    risk = answers.risk(whole, quality)
    return {
        "performance": _performance(whole, kind),
        "factor_betas": answers.factor_exposures(whole, quality),
        "risk_by_factor": risk,
        "risk_by_position": risk,
        "correlations": answers.correlation_matrix(
            whole, quality, lookback=90, min_overlap=30, max_symbols=25
        ),
        "stress": _stress(answers.stress_test(whole, quality, scenarios=None), kind),
        "sectors": answers.sector_exposure(whole, quality),
        "concentration": answers.concentration(whole, quality),
        "exposure_history": exposure_history(whole, kind),
    }


def exposure_history(whole, kind, n_sessions=40):
    """Stored betas; with gaps, one factor lacks a stretch of sessions and another a beta."""
    sessions = [date(2024, 1, 2) + timedelta(n) for n in range(0 if kind == "empty" else n_sessions)]
    points = [
        ExposurePoint(session, factor, 0.1 * place - 0.01 * day, 1.0, 0.2, 1.0)
        for day, session in enumerate(sessions)
        for place, factor in enumerate(FACTORS)
        if not (kind == "gaps" and factor == "IR Beta" and 10 <= day < 20)
    ]
    if kind == "gaps":
        points[0].beta = None
    reason = {} if points else {"reason": "no_snapshots"}
    return ExposureHistory(**served(whole) | {"available": bool(points)}, history=points, metadata=reason)


def _performance(whole, kind):
    """Replayed returns; with gaps, a stored NAV that lacks values beside returns that lack others."""
    answer = history.replayed_performance(whole)
    if kind != "gaps":
        return answer
    returns, n = list(answer.data.returns), len(answer.data.returns)
    for at in (0, 7, 9, n - 1):
        returns[at] = None
    nav = [None if at in (3, 5, 20) else 1e6 + at for at in range(n)]
    data = msgspec.structs.replace(answer.data, returns=returns, nav=nav)
    return msgspec.structs.replace(answer, basis="snapshots", data=data)


def _stress(answer, kind):
    if kind == "gaps":
        scenario = answer.data.scenarios[2]
        scenario.impact.dollar_impact = scenario.impact.percentage_impact = None
        answer.data.scenarios[3].direct_dollar_impact = None
    return answer
