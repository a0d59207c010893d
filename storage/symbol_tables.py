"""The tables of the symbol layer: market data, and what is computed from it for every symbol."""

import polars as pl

from storage.table import Column, DType, Table

LAYER = "symbol"

SYMBOL = Column("symbol", pl.String, "Symbol in canonical spelling, such as BRK.B")
SESSION = Column("session", pl.Date, "Trading day of the exchange")
FACTOR = Column("factor", pl.String, "Name of the factor")
SOURCE = Column("source", pl.String, "Provider of the row")
AS_OF = Column("as_of", pl.Date, "Day on which the row became known")
QUALITY = Column("quality", pl.String, "ok, degraded or unavailable")
REASONS = Column("reasons", pl.String, "Comma-separated codes of why the quality is not ok; null for none")


def _column(name: str, comment: str, dtype: DType = pl.Float64) -> Column:
    return Column(name, dtype, comment)


def _table(name: str, key: str, columns: tuple[Column, ...], comment: str, *, date: str = "session") -> Table:
    return Table(name, LAYER, tuple(key.split()), date, columns, comment)


PRICES = _table(
    "prices",
    "symbol session",
    (
        SYMBOL,
        SESSION,
        _column("symbol_id", "Integer id of the symbol in the ledger", pl.Int32),
        _column("open", "First price of the session, in currency"),
        _column("high", "Highest price of the session, in currency"),
        _column("low", "Lowest price of the session, in currency"),
        _column("close", "Price at which a position is valued, in currency, unadjusted"),
        _column("adj_close", "Close adjusted for splits and dividends: what returns are made of"),
        _column("volume", "Shares traded"),
        SOURCE,
        _column("quality", "ok, suspect (a large move without a known event) or adjusted_only", pl.String),
    ),
    "Daily prices: one row per symbol and session",
)

CORPORATE_ACTIONS = _table(
    "corporate_actions",
    "symbol session kind",
    (
        SYMBOL,
        _column("session", "Ex-date, or first session on which the action holds", pl.Date),
        _column("kind", "split, dividend, rename or delisting", pl.String),
        _column("value", "New shares per old one (split) or currency per share (dividend)"),
        _column("new_symbol", "Symbol after a rename", pl.String),
        SOURCE,
    ),
    "Splits, dividends, renames and delistings",
)

SYMBOL_FACTORS = _table(
    "symbol_factors",
    "symbol session factor",
    (
        SYMBOL,
        SESSION,
        FACTOR,
        _column(
            "factor_set",
            "Model that the beta comes from: market, rates, style, spread or provider",
            pl.String,
        ),
        _column("beta", "Slope on the factor's daily return, clipped to ±5"),
        _column("beta_raw", "Slope before clipping"),
        _column("se", "Standard error of beta_raw"),
        _column("t_stat", "beta_raw / se; null when se is 0"),
        _column("r2", "R² of the regression in sample"),
        _column("n_obs", "Returns that the regression used", pl.Int32),
        _column("window", "Sessions that the regression looked back on", pl.Int32),
        _column("method", "ols, ridge or provider", pl.String),
        QUALITY,
        REASONS,
    ),
    "Factor betas: one row per symbol, session and factor",
)

RISK_LOADINGS = _table(
    "risk_loadings",
    "symbol session factor",
    (
        SYMBOL,
        SESSION,
        _column("factor", "Factor of the risk model; Specific for the specific variance", pl.String),
        _column("loading", "Loading on the factor; daily residual variance for Specific"),
        _column("n_obs", "Returns that the regression used", pl.Int32),
        QUALITY,
        REASONS,
    ),
    "Loadings of the joint risk model: one row per symbol, session and factor",
)

FACTOR_COVARIANCE = _table(
    "factor_covariance",
    "session factor_1 factor_2",
    (
        SESSION,
        _column("factor_1", "Proxy of the row", pl.String),
        _column("factor_2", "Proxy of the column", pl.String),
        _column("covariance", "Exponentially weighted covariance of the two daily returns"),
        _column("half_life", "Sessions after which a weight has halved", pl.Int32),
        _column("n_obs", "Sessions used", pl.Int32),
    ),
    "Covariance of the risk model's proxies, daily: one row per session and ordered pair",
)

SYMBOL_METRICS = _table(
    "symbol_metrics",
    "symbol session",
    (
        SYMBOL,
        SESSION,
        _column("price", "Last unadjusted close on or before the session, in currency"),
        _column("return_1d", "Return of the session itself, decimal"),
        _column("return_1w", "Return over 5 sessions, decimal"),
        _column("return_1m", "Return over 21 sessions, decimal"),
        _column("return_3m", "Return over 63 sessions, decimal"),
        _column("return_mtd", "Return since the end of last month, decimal"),
        _column("return_ytd", "Return since the end of last year, decimal"),
        _column("return_1y", "Return over 252 sessions, decimal"),
        _column("realized_vol_21d", "Volatility of the last 21 returns, annualized decimal"),
        _column("realized_vol_63d", "Volatility of the last 63 returns, annualized decimal"),
        _column("realized_vol_252d", "Volatility of the last 252 returns, annualized decimal"),
        _column("expected_vol_21d", "HAR forecast for the next 21 sessions, annualized decimal"),
        _column("vol_trend", "increasing, stable or decreasing: 21-day against 63-day volatility", pl.String),
        _column("vol_percentile", "Share of the last 252 21-day volatilities at or below the current one"),
        _column("max_drawdown_1y", "Largest fall from a peak in 252 sessions, decimal, at most 0"),
        _column("high_52w", "Highest adjusted close of 252 sessions at the level of price"),
        _column("low_52w", "Lowest adjusted close of 252 sessions at the level of price"),
        _column("high_52w_distance", "price / high_52w − 1"),
        _column("low_52w_distance", "price / low_52w − 1"),
        _column("avg_volume_21d", "Mean volume of 21 sessions, shares"),
        _column("market_cap", "Market capitalization by the profile, in currency"),
        _column("pe_ratio", "Price/earnings ratio by the profile"),
        _column("sector", "Sector by the profile", pl.String),
        _column("first_session", "First session with a price among the last 546", pl.Date),
        _column("last_session", "Last session with a price", pl.Date),
        _column("n_obs", "Returns among the last 252 sessions", pl.Int32),
        _column("days_stale", "Sessions since last_session", pl.Int32),
        _column("missing_sessions", "Sessions without a price among the last 252", pl.Int32),
        _column("zero_return_share", "Share of zero returns among the last 252"),
        _column("max_abs_return", "Largest absolute return among the last 252 without a split or dividend"),
        QUALITY,
        REASONS,
    ),
    "Returns, volatilities and data quality: one row per symbol and session",
)

PROFILES = _table(
    "profiles",
    "symbol as_of",
    (
        SYMBOL,
        _column("name", "Name of the company or fund", pl.String),
        _column("sector", "Sector, GICS wording", pl.String),
        _column("industry", "Industry, GICS wording", pl.String),
        _column("asset_class", "equity, etf, …", pl.String),
        _column("provider_beta", "One-year market beta as the provider states it"),
        _column("market_cap", "Market capitalization, in currency"),
        _column("pe_ratio", "Price/earnings ratio"),
        _column("dividend_yield", "Dividend yield, annual decimal"),
        AS_OF,
        SOURCE,
    ),
    "What a company or fund is: the row with the newest as_of counts",
    date="as_of",
)

FUNDAMENTALS = _table(
    "fundamentals",
    "symbol period frequency statement item",
    (
        SYMBOL,
        _column("period", "Last day of the fiscal period", pl.Date),
        _column("frequency", "annual or quarterly", pl.String),
        _column("statement", "income, balance or cash_flow", pl.String),
        _column("item", "Line of the statement", pl.String),
        _column("value", "Amount, in the reporting currency"),
        AS_OF,
        SOURCE,
    ),
    "Lines of financial statements",
    date="period",
)

BENCHMARK_WEIGHTS = _table(
    "benchmark_weights",
    "benchmark as_of sector",
    (
        _column("benchmark", "Name of the benchmark", pl.String),
        AS_OF,
        _column("sector", "Sector, GICS wording", pl.String),
        _column("weight", "Weight of the sector, decimal"),
    ),
    "Sector weights of benchmarks: the newest as_of counts",
    date="as_of",
)

QUARANTINE = _table(
    "quarantine",
    "symbol session source field",
    (
        SYMBOL,
        _column("session", "Day that the refused row claims", pl.Date),
        SOURCE,
        _column("field", "Column that failed the check", pl.String),
        _column("value", "Value that failed"),
        _column("reason", "Why the row was refused", pl.String),
    ),
    "Values of providers that failed a check and were kept out of prices",
)

SYMBOL_TABLES = (
    PRICES,
    CORPORATE_ACTIONS,
    SYMBOL_FACTORS,
    RISK_LOADINGS,
    FACTOR_COVARIANCE,
    SYMBOL_METRICS,
    PROFILES,
    FUNDAMENTALS,
    BENCHMARK_WEIGHTS,
    QUARANTINE,
)
