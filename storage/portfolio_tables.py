"""The tables of the portfolio layer: what each portfolio was worth, earned and risked on each session."""

import polars as pl

from storage.symbol_tables import QUALITY, REASONS, SESSION
from storage.table import Column, DType, Table

LAYER = "portfolio"

PORTFOLIO = Column("portfolio_id", pl.String, "Id of the portfolio in the ledger")


def _column(name: str, comment: str, dtype: DType = pl.Float64) -> Column:
    return Column(name, dtype, comment)


def _table(name: str, key: str, columns: tuple[Column, ...], comment: str) -> Table:
    return Table(name, LAYER, ("portfolio_id", "session", *key.split()), "session", columns, comment)


PORTFOLIO_SNAPSHOTS = _table(
    "portfolio_snapshots",
    "",
    (
        PORTFOLIO,
        SESSION,
        _column("previous_session", "Session of the previous snapshot; null for the first one", pl.Date),
        _column("nav", "Net asset value at the close, in currency: the previous one + pnl + flow"),
        _column("cash", "nav − net, in currency; negative for margin debt"),
        _column("long", "Market value of long lots, in currency"),
        _column("short", "Market value of short lots, in currency, at most 0"),
        _column("gross", "long − short"),
        _column("net", "long + short"),
        _column("pnl", "P&L since the previous snapshot, income included, in currency"),
        _column("return", "pnl over the previous nav, decimal; null when that is not positive"),
        _column("income", "Dividends since the previous snapshot, in currency; shorts pay"),
        _column("flow", "Contributions − withdrawals since the previous snapshot, in currency"),
        _column("unrealized_pnl", "P&L of the open lots since entry, in currency"),
        _column(
            "realized_pnl", "P&L since entry of the lots closed since the previous snapshot, in currency"
        ),
        _column("cumulative_pnl", "Sum of pnl since the first snapshot, in currency"),
        _column("cumulative_flow", "Sum of flow since the first snapshot, in currency"),
        _column("time_weighted_return", "Chained return since the first snapshot, decimal"),
        _column("realized_vol_21d", "Volatility of the last 21 returns of these weights, annualized decimal"),
        _column("realized_vol_63d", "Volatility of the last 63 returns of these weights, annualized decimal"),
        _column("expected_vol_21d", "HAR forecast for the next 21 sessions, annualized decimal"),
        _column("vol_trend", "increasing, stable or decreasing: 21-day against 63-day volatility", pl.String),
        _column("vol_percentile", "Share of the last 252 21-day volatilities at or below the current one"),
        _column("market_beta", "Market Beta (90D) of the portfolio"),
        _column("rate_beta", "IR Beta of the portfolio"),
        _column("provider_beta", "Provider Beta (1Y) of the portfolio"),
        _column("hhi", "Herfindahl–Hirschman index over symbols, 0 to 10,000"),
        _column("n_positions", "Open lots but for cash", pl.Int32),
        _column("coverage", "Share of the book that has a price, decimal"),
        QUALITY,
        REASONS,
    ),
    "Value, P&L and risk: one row per portfolio and session",
)

POSITION_VALUES = _table(
    "position_values",
    "position_id",
    (
        PORTFOLIO,
        SESSION,
        _column("position_id", "Id of the lot in the ledger", pl.String),
        _column("symbol", "Symbol that it is listed under on the session, or an option's own", pl.String),
        _column("quantity", "Shares or contracts on the session, splits applied; negative for a short"),
        _column("price", "Price used, in currency per share; null for none"),
        _column("market_value", "quantity · price · multiplier, in currency"),
        _column("unrealized_pnl", "P&L since entry, in currency"),
        _column("pnl", "P&L since the previous snapshot, income included, in currency"),
        _column("weight", "market_value over nav, decimal; null when nav is not positive"),
        _column("reference_price", "Last price used, in shares of the session: where the next P&L begins"),
        _column("reference_session", "Session that reference_price was used on", pl.Date),
        QUALITY,
        REASONS,
    ),
    "Open lots: one row per portfolio, session and lot, those without a price included",
)

PORTFOLIO_EXPOSURES = _table(
    "portfolio_exposures",
    "factor",
    (
        PORTFOLIO,
        SESSION,
        _column("factor", "Name of the factor", pl.String),
        _column("beta", "exposure_dollar over nav; null when nav is not positive"),
        _column("exposure_dollar", "Sum of economic value times beta, in currency"),
        _column("se", "Standard error of beta, the symbols' errors taken as independent"),
        _column("coverage", "Share of the gross economic value whose symbols have the beta, decimal"),
    ),
    "Factor exposures: one row per portfolio, session and factor",
)

STRESS_RESULTS = _table(
    "stress_results",
    "scenario_id",
    (
        PORTFOLIO,
        SESSION,
        _column("scenario_id", "Id of the scenario", pl.String),
        _column("direct_pnl", "P&L of the shocked factors alone, in currency"),
        _column("correlated_pnl", "P&L with every factor moved as the shocked ones imply, in currency"),
        _column("pct_nav", "correlated_pnl over nav, decimal; null when nav is not positive"),
    ),
    "Stress tests: one row per portfolio, session and scenario",
)

CORRELATIONS = _table(
    "correlations",
    "symbol_1 symbol_2",
    (
        PORTFOLIO,
        SESSION,
        _column("symbol_1", "Symbol of the row", pl.String),
        _column("symbol_2", "Symbol of the column", pl.String),
        _column("correlation", "Correlation of the two daily log returns; null with too few in common"),
        _column("n_obs", "Returns that both have", pl.Int32),
    ),
    "The pairs of a portfolio's holdings that correlate most, in size: a few per portfolio and session",
)

DIVERSIFICATION = _table(
    "diversification",
    "",
    (
        PORTFOLIO,
        SESSION,
        _column("average_correlation", "Correlation of the pairs of holdings, weighted by their values"),
        _column("diversification_ratio", "Weighted volatilities over the volatility of the whole"),
        _column("n_symbols", "Largest holdings that both are over", pl.Int32),
    ),
    "How spread a portfolio is: one row per portfolio and session",
)

PORTFOLIO_TABLES = (
    PORTFOLIO_SNAPSHOTS,
    POSITION_VALUES,
    PORTFOLIO_EXPOSURES,
    STRESS_RESULTS,
    CORRELATIONS,
    DIVERSIFICATION,
)
