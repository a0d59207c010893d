"""Snapshots and what goes with them as rows of the portfolio layer's tables.

Every table is built for all portfolios of a session at once, column by column.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.composition import FactorExposures
from engine.diversification import Diversification
from engine.lots import CASH, OPTION, Lots
from engine.many_holdings import ManyHoldings, ManyVolatilities, OpenLots, herfindahl_of_many
from engine.option_lots import OptionTerms
from engine.quality import quality_text, reason_text
from engine.snapshot import Snapshots
from engine.stress import SCENARIOS
from engine.symbol_codes import codes_of
from engine.typing import FloatArray, IntArray
from service.jobs.snapshot_inputs import Holdings, Last
from service.live_book import Market


@dataclass(frozen=True, slots=True)
class Taken:
    """The snapshots of one session: whose, and what they were taken of; ``terms`` are after splits."""

    session: np.datetime64
    held: Holdings
    which: IntArray
    lots: Lots
    snapshots: Snapshots
    last: Last
    terms: OptionTerms | None

    @property
    def ids(self) -> pl.Series:
        """Ids of the portfolios ``(n_portfolios,)``."""
        ids = [self.held.portfolios[place].portfolio_id for place in self.which.tolist()]
        return pl.Series("portfolio_id", ids, dtype=pl.String)

    def open_rows(self) -> tuple[IntArray, IntArray]:
        """Lots that are open at the close, and the place of each one's portfolio in ``which``."""
        place = np.full(len(self.held.portfolios), -1)
        place[self.which] = np.arange(len(self.which))
        rows = np.flatnonzero(self.snapshots.lots.is_open & (place[self.lots.portfolio] >= 0))
        return rows, place[self.lots.portfolio[rows]]


def snapshot_rows(taken: Taken, exposures: FactorExposures, volatilities: ManyVolatilities) -> pl.DataFrame:
    """Return one row a portfolio of the session."""
    found, which, ids = taken.snapshots, taken.which, taken.ids
    before = ids.to_frame().join(taken.last.snapshots, on="portfolio_id", how="left", maintain_order="left")
    returns = found.simple_return[which]
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
            "time_weighted_return": _chained(before, returns),
            **_risk_columns(exposures, volatilities),
            "hhi": _concentrations(taken),
            "n_positions": found.n_positions[which],
            "coverage": found.coverage[which],
            "quality": quality_text(found.quality[which]),
            "reasons": reason_text(found.reasons[which]),
        },
        strict=False,
    )


def position_rows(taken: Taken) -> pl.DataFrame:
    """Return one row a lot that is open at the close of the session."""
    values, (rows, _) = taken.snapshots.lots, taken.open_rows()
    nav = taken.snapshots.nav[taken.lots.portfolio[rows]]
    frame = taken.held.lots.select(pl.col("portfolio_id", "position_id", "symbol").gather(rows))
    return pl.DataFrame(
        {
            "portfolio_id": frame["portfolio_id"],
            "session": _session(taken, len(rows)),
            "position_id": frame["position_id"],
            "symbol": frame["symbol"].cast(pl.String),
            "quantity": values.quantity[rows],
            "price": values.price[rows],
            "market_value": values.market_value[rows],
            "unrealized_pnl": values.unrealized_pnl[rows],
            "pnl": values.pnl[rows],
            "weight": np.divide(
                values.market_value[rows], nav, out=np.full(len(rows), np.nan), where=nav > 0
            ),
            "reference_price": values.reference_price[rows],
            "reference_session": pl.Series(values.reference_session[rows].astype("datetime64[D]")),
            "quality": quality_text(values.quality[rows]),
            "reasons": reason_text(values.reasons[rows]),
        }
    )


def open_lots(taken: Taken, market: Market) -> OpenLots:
    """Return the lots that are open at the close, with their rows in the market's book."""
    values, (rows, place) = taken.snapshots.lots, taken.open_rows()
    return OpenLots(
        portfolio=place,
        kind=taken.lots.kind[rows],
        rows=codes_of(taken.held.lots["listed"].gather(rows), market.book.index),
        quantity=values.quantity[rows],
        entry_price=values.entry_price[rows],
        terms=None if taken.terms is None else taken.terms.take(rows[taken.lots.kind[rows] == OPTION]),
    )


def exposure_rows(taken: Taken, exposures: FactorExposures) -> pl.DataFrame:
    """Return one row a portfolio and factor."""
    columns = {
        "beta": exposures.beta,
        "exposure_dollar": exposures.exposure_dollar,
        "se": exposures.standard_error,
        "coverage": exposures.coverage,
    }
    return _crossed(taken, "factor", exposures.names, columns)


def stress_rows(taken: Taken, held: ManyHoldings, pnl: tuple[FloatArray, FloatArray]) -> pl.DataFrame:
    """Return one row a portfolio and scenario; ``pnl`` is direct and correlated."""
    direct, correlated = pnl
    columns = {
        "direct_pnl": direct,
        "correlated_pnl": correlated,
        "pct_nav": correlated / held.nav[:, None],
    }
    return _crossed(taken, "scenario_id", [scenario.id for scenario in SCENARIOS], columns)


def correlation_rows(taken: Taken, market: Market, found: Diversification) -> pl.DataFrame:
    """Return one row a portfolio and pair of those that move together most, or against each other."""
    symbols = pl.Series(market.book.symbols, dtype=pl.String)
    return pl.DataFrame(
        {
            "portfolio_id": taken.ids.gather(found.portfolio),
            "session": _session(taken, len(found.portfolio)),
            "symbol_1": symbols.gather(found.row_1),
            "symbol_2": symbols.gather(found.row_2),
            "correlation": found.correlation,
            "n_obs": found.n_obs,
        }
    )


def diversification_rows(taken: Taken, found: Diversification) -> pl.DataFrame:
    """Return one row a portfolio."""
    return pl.DataFrame(
        {
            "portfolio_id": taken.ids,
            "session": _session(taken, len(taken.which)),
            "average_correlation": found.average,
            "diversification_ratio": found.ratio,
            "n_symbols": found.n_symbols,
        }
    )


def _chained(before: pl.DataFrame, returns: FloatArray) -> FloatArray:
    """Go on from the time-weighted returns of the snapshots before: 0 in a first one.

    From a return that does not exist on there is none.
    """
    growth = 1.0 + before["time_weighted_return"].fill_null(np.nan).to_numpy()
    is_first = before["session"].is_null().to_numpy()
    return np.where(is_first, 0.0, growth * (1.0 + returns) - 1.0)


def _concentrations(taken: Taken) -> FloatArray:
    """Return the Herfindahl–Hirschman index of each portfolio."""
    rows, place = taken.open_rows()
    value = np.where(taken.lots.kind[rows] == CASH, np.nan, taken.snapshots.lots.market_value[rows])
    symbol = taken.held.lots["symbol"].gather(rows).to_physical().cast(pl.Int64).to_numpy()
    return herfindahl_of_many(place, symbol, value, len(taken.which))


def _risk_columns(exposures: FactorExposures, found: ManyVolatilities) -> dict[str, object]:
    def beta(name: str) -> FloatArray:
        return exposures.beta[:, exposures.names.index(name)]

    return {
        "realized_vol_21d": found.realized_21d,
        "realized_vol_63d": found.realized_63d,
        "expected_vol_21d": found.forecast,
        "vol_trend": found.trend,
        "vol_percentile": found.percentile,
        "market_beta": beta("Market Beta (90D)"),
        "rate_beta": beta("IR Beta"),
        "provider_beta": beta("Provider Beta (1Y)"),
    }


def _crossed(
    taken: Taken, key: str, names: tuple[str, ...] | list[str], columns: dict[str, FloatArray]
) -> pl.DataFrame:
    """Return one row a portfolio and name, by the names' order; columns ``(n_portfolios, n_names)``."""
    order, n = sorted(range(len(names)), key=lambda at: names[at]), len(taken.which)
    place = np.tile(np.array(order), n)
    return pl.DataFrame(
        {
            "portfolio_id": taken.ids.gather(np.repeat(np.arange(n), len(names))),
            "session": _session(taken, n * len(names)),
            key: pl.Series(names, dtype=pl.String).gather(place),
            **{name: values[:, order].ravel() for name, values in columns.items()},
        }
    )


def _session(taken: Taken, n_rows: int) -> pl.Series:
    return pl.Series(np.full(n_rows, taken.session.astype("datetime64[D]"))).cast(pl.Date)
