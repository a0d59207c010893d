"""The ledger's tables of what people entered and what the service does for them; imports sqlalchemy."""

import sqlalchemy as sa

from storage.database import metadata
from storage.micros import Micros


def _unique_where(name: str, *columns: sa.Column[str], where: sa.ColumnElement[bool]) -> sa.Index:
    return sa.Index(name, *columns, unique=True, sqlite_where=where, postgresql_where=where)


api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
    sa.Column("prefix", sa.Text, nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("last_used_at", sa.Text),
    sa.Column("revoked_at", sa.Text),
)

portfolios = sa.Table(
    "portfolios",
    metadata,
    sa.Column("portfolio_id", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("account_name", sa.Text, nullable=False),
    sa.Column("account_type", sa.Text, nullable=False),
    sa.Column("starting_equity", Micros),
    sa.Column("description", sa.Text),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("starting_session", sa.Date),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Text, nullable=False),
    sa.Column("deleted_at", sa.Text),
)
_unique_where(
    "one_live_portfolio_per_account_name",
    portfolios.c.owner,
    portfolios.c.account_name,
    where=portfolios.c.deleted_at.is_(None),
)

positions = sa.Table(
    "positions",
    metadata,
    sa.Column("position_id", sa.Text, primary_key=True),
    sa.Column("portfolio_id", sa.Text, sa.ForeignKey("portfolios.portfolio_id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("quantity", Micros, nullable=False),
    sa.Column("entry_price", Micros, nullable=False),
    sa.Column("entry_date", sa.Date, nullable=False),
    sa.Column("investment_class", sa.Text, nullable=False),
    sa.Column("investment_subtype", sa.Text),
    sa.Column("underlying_symbol", sa.Text),
    sa.Column("strike_price", Micros),
    sa.Column("expiration_date", sa.Date),
    sa.Column("option_type", sa.Text),
    sa.Column("exit_date", sa.Date),
    sa.Column("exit_price", Micros),
    sa.Column("entered_session", sa.Date),
    sa.Column("notes", sa.Text),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Text, nullable=False),
    sa.Column("deleted_at", sa.Text),
    sa.Column("held_session", sa.Date),
    sa.Column("sector", sa.Text),
)
sa.Index("positions_by_portfolio", positions.c.portfolio_id, positions.c.number)

marks = sa.Table(
    "marks",
    metadata,
    sa.Column("position_id", sa.Text, sa.ForeignKey("positions.position_id"), primary_key=True),
    sa.Column("session", sa.Date, primary_key=True),
    sa.Column("price", Micros, nullable=False),
)

equity_changes = sa.Table(
    "equity_changes",
    metadata,
    sa.Column("change_id", sa.Text, primary_key=True),
    sa.Column("portfolio_id", sa.Text, sa.ForeignKey("portfolios.portfolio_id"), nullable=False),
    sa.Column("change_type", sa.Text, nullable=False),
    sa.Column("amount", Micros, nullable=False),
    sa.Column("change_date", sa.Date, nullable=False),
    sa.Column("notes", sa.Text),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Text, nullable=False),
    sa.Column("deleted_at", sa.Text),
    sa.CheckConstraint("change_type IN ('CONTRIBUTION', 'WITHDRAWAL')", name="equity_change_type"),
)
sa.Index("equity_changes_by_portfolio", equity_changes.c.portfolio_id, equity_changes.c.change_date)

symbol_queue = sa.Table(
    "symbol_queue",
    metadata,
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("portfolio_id", sa.Text, sa.ForeignKey("portfolios.portfolio_id")),
    sa.Column("owner", sa.Text),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("started_at", sa.Text),
    sa.Column("completed_at", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("host", sa.Text),
    sa.Column("pid", sa.Integer),
    sa.Column("process_started", sa.Text),
    sa.Column("heartbeat_at", sa.Text),
    sa.CheckConstraint(
        "status IN ('pending', 'processing', 'completed', 'failed')", name="symbol_job_status"
    ),
)
_unique_where(
    "one_open_job_per_symbol",
    symbol_queue.c.symbol,
    where=symbol_queue.c.status.in_(("pending", "processing")),
)
sa.Index("symbol_queue_by_status", symbol_queue.c.status, symbol_queue.c.created_at)

run_phases = sa.Table(
    "run_phases",
    metadata,
    sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id"), primary_key=True),
    sa.Column("phase_id", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("current", sa.Integer, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("started_at", sa.Text),
    sa.Column("completed_at", sa.Text),
    sa.Column("summary", sa.Text),
    sa.CheckConstraint("status IN ('pending', 'running', 'completed', 'failed')", name="phase_status"),
)

run_activity = sa.Table(
    "run_activity",
    metadata,
    sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("timestamp", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("level", sa.Text, nullable=False),
    sa.CheckConstraint("level IN ('info', 'warning', 'error')", name="activity_level"),
)

failures = sa.Table(
    "failures",
    metadata,
    sa.Column("failure_id", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id"), nullable=False),
    sa.Column("batch_type", sa.Text, nullable=False),
    sa.Column("batch_date", sa.Date),
    sa.Column("item_id", sa.Text, nullable=False),
    sa.Column("error_type", sa.Text, nullable=False),
    sa.Column("error_message", sa.Text, nullable=False),
    sa.Column("retry_count", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Text, nullable=False),
    sa.Column("resolved_at", sa.Text),
)
_unique_where(
    "one_open_failure_per_item",
    failures.c.batch_type,
    failures.c.item_id,
    where=failures.c.resolved_at.is_(None),
)
sa.Index("failures_by_time", failures.c.updated_at)

providers = sa.Table(
    "providers",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("windows", sa.JSON, nullable=False),
    sa.Column("outages", sa.Integer, nullable=False),
    sa.Column("left_alone_until", sa.Text),
    sa.Column("noted_at", sa.Text, nullable=False),
)
