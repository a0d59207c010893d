"""Snapshots and what goes with them as rows of the portfolio layer's tables."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.lots import Lots
from engine.option_lots import OptionTerms
from engine.quality import quality_text, reason_text
from engine.snapshot import Snapshots
from engine.valuation import Kind, Positions
from service.composed import Composed
from service.jobs.snapshot_inputs import Holdings, Last
from service.live_book import Market

KINDS: tuple[Kind, ...] = ("public", "cash", "private", "option")  # in the order of engine.lots
MAX_CORRELATED = 25


@dataclass(frozen=True, slots=True)
class Taken:
    """The snapshots of one session: whose, and what they were taken of; ``terms`` are after splits."""

    session: np.datetime64
    held: Holdings
    which: np.ndarray
    lots: Lots
    snapshots: Snapshots
    last: Last
    terms: OptionTerms | None


def snapshot_rows(taken: Taken, composed: Sequence[Composed]) -> pl.DataFrame:
    """Return one row a portfolio of the session."""
    found, which = taken.snapshots, taken.which
    ids = pl.Series("portfolio_id", [taken.held.portfolios[place].portfolio_id for place in which])
    before = ids.to_frame().join(taken.last.snapshots, on="portfolio_id", how="left", maintain_order="left")
    returns = found.simple_return[which]
    # A first snapshot begins the chain at 0; from a return that does not exist on there is none.
    growth = 1.0 + before["time_weighted_return"].fill_null(np.nan).to_numpy()
    is_first = before["session"].is_null().to_numpy()
    chained = np.where(is_first, 0.0, growth * (1.0 + returns) - 1.0)
    money = {
        name: getattr(found, name)[which]
        for name in ("nav", "cash", "long", "short", "gross", "net", "pnl", "income", "flow")
    }
    sums = {
        name: before[name].fill_null(0.0).to_numpy() + money[part]
        for name, part in (("cumulative_pnl", "pnl"), ("cumulative_flow", "flow"))
    }
    return pl.DataFrame(
        {
            "portfolio_id": ids,
            "session": _session(taken, len(which)),
            "previous_session": before["session"],
            **money,
            "return": returns,
            "unrealized_pnl": found.unrealized_pnl[which],
            "realized_pnl": found.realized_pnl[which],
            **sums,
            "time_weighted_return": chained,
            **_risk_columns(composed),
            "n_positions": found.n_positions[which],
            "coverage": found.coverage[which],
            "quality": quality_text(found.quality[which]),
            "reasons": reason_text(found.reasons[which]),
        },
        strict=False,
    )


def position_rows(taken: Taken) -> pl.DataFrame:
    """Return one row a lot that is open at the close of the session."""
    values, lots = taken.snapshots.lots, taken.lots
    rows = np.flatnonzero(values.is_open & np.isin(lots.portfolio, taken.which))
    nav = taken.snapshots.nav[lots.portfolio[rows]]
    frame = taken.held.lots[rows.tolist()]
    return pl.DataFrame(
        {
            "portfolio_id": frame["portfolio_id"],
            "session": _session(taken, len(rows)),
            "position_id": frame["position_id"],
            "symbol": frame["symbol"],
            "quantity": values.quantity[rows],
            "price": values.price[rows],
            "market_value": values.market_value[rows],
            "unrealized_pnl": values.unrealized_pnl[rows],
            "pnl": values.pnl[rows],
            "weight": np.where(nav > 0, values.market_value[rows] / nav, np.nan),
            "reference_price": values.reference_price[rows],
            "reference_session": pl.Series(values.reference_session[rows].astype("datetime64[D]")),
            "quality": quality_text(values.quality[rows]),
            "reasons": reason_text(values.reasons[rows]),
        }
    )


def compose(taken: Taken, market: Market) -> list[Composed]:
    """Compose the portfolios of the session on its book, with the NAV of their snapshots."""
    values, lots = taken.snapshots.lots, taken.lots
    symbols, terms = taken.held.lots["symbol"], taken.terms
    order = np.argsort(lots.portfolio, kind="stable")
    is_open = order[values.is_open[order]]
    bounds = np.searchsorted(lots.portfolio[is_open], np.arange(len(taken.held.portfolios) + 1))
    made = []
    for place in taken.which.tolist():
        rows = is_open[bounds[place] : bounds[place + 1]]
        positions = Positions(
            symbols=tuple(symbols[rows.tolist()]),
            quantity=values.quantity[rows],
            entry_price=values.entry_price[rows],
            kinds=tuple(KINDS[kind] for kind in lots.kind[rows]),
            manual_price=values.price[rows],
            options=None if terms is None else terms.take(rows),
        )
        nav = float(taken.snapshots.nav[place])
        made.append(Composed(market, positions, nav, taken.held.portfolios[place]))
    return made


def exposure_rows(taken: Taken, composed: Sequence[Composed]) -> pl.DataFrame:
    """Return one row a portfolio and factor."""
    exposures = [each.exposures for each in composed]
    names = exposures[0].names
    return pl.DataFrame(
        {
            "portfolio_id": _ids(composed, len(names)),
            "session": _session(taken, len(names) * len(composed)),
            "factor": list(names) * len(composed),
            "beta": np.concatenate([each.beta for each in exposures]),
            "exposure_dollar": np.concatenate([each.exposure_dollar for each in exposures]),
            "se": np.concatenate([each.standard_error for each in exposures]),
            "coverage": np.concatenate([each.coverage for each in exposures]),
        }
    )


def stress_rows(taken: Taken, composed: Sequence[Composed]) -> pl.DataFrame:
    """Return one row a portfolio and scenario."""
    results = [each.stress for each in composed]
    names = [scenario.id for scenario in results[0].scenarios]
    correlated = np.concatenate([each.correlated for each in results])
    nav = np.repeat([each.valuation.weight_base for each in composed], len(names))
    return pl.DataFrame(
        {
            "portfolio_id": _ids(composed, len(names)),
            "session": _session(taken, len(names) * len(composed)),
            "scenario_id": names * len(composed),
            "direct_pnl": np.concatenate([each.direct for each in results]),
            "correlated_pnl": correlated,
            "pct_nav": correlated / nav,
        }
    )


def correlation_rows(taken: Taken, composed: Sequence[Composed]) -> pl.DataFrame:
    """Return one row a portfolio and pair of its largest holdings, each pair once."""
    ids: list[str] = []
    pairs: list[tuple[str, str, float, int]] = []
    for each in composed:
        found = each.correlations(90, 30, MAX_CORRELATED)
        symbols = [each.market.book.symbols[row] for row in found.rows]
        for i, j in zip(*np.triu_indices(len(symbols), k=1), strict=True):
            pairs.append((symbols[i], symbols[j], found.matrix[i, j], int(found.n_obs[i, j])))
        ids += _ids([each], len(symbols) * (len(symbols) - 1) // 2)
    schema = {"symbol_1": pl.String, "symbol_2": pl.String, "correlation": pl.Float64, "n_obs": pl.Int32}
    frame = pl.DataFrame(pairs, schema=schema, orient="row")
    return frame.select(
        pl.Series("portfolio_id", ids, dtype=pl.String), _session(taken, len(ids)).alias("session"), pl.all()
    )


def _risk_columns(composed: Sequence[Composed]) -> dict[str, object]:
    def beta(name: str) -> list[float]:
        return [float(each.exposures.beta[each.exposures.names.index(name)]) for each in composed]

    found = [each.volatility for each in composed]
    return {
        "realized_vol_21d": [each.realized_21d for each in found],
        "realized_vol_63d": [each.realized_63d for each in found],
        "expected_vol_21d": [float(each.forecast.volatility[0]) for each in found],
        "vol_trend": pl.Series([each.trend for each in found], dtype=pl.String),
        "vol_percentile": [each.percentile for each in found],
        "market_beta": beta("Market Beta (90D)"),
        "rate_beta": beta("IR Beta"),
        "provider_beta": beta("Provider Beta (1Y)"),
        "hhi": [each.concentration.hhi for each in composed],
    }


def _ids(composed: Sequence[Composed], times: int) -> list[str]:
    return [each.portfolio.portfolio_id for each in composed if each.portfolio for _ in range(times)]


def _session(taken: Taken, n_rows: int) -> pl.Series:
    return pl.Series(np.full(n_rows, taken.session.astype("datetime64[D]"))).cast(pl.Date)
