"""The newest snapshot of each portfolio, as a release of the portfolio layer has them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import polars as pl

from storage.errors import NotFound
from storage.releases import Release
from storage.store import Store

TABLE, LAYER = "portfolio_snapshots", "portfolio"
KEY = ["portfolio_id", "session"]
Snapshot: TypeAlias = dict[str, Any]  # a row of portfolio_snapshots


@dataclass(frozen=True, slots=True)
class Accounts:
    """What portfolios have come to.

    Attributes
    ----------
    release : Release or None
        That all of it is of; None before the first one is read.
    snapshots : mapping of str to dict
        The newest one of each portfolio, by its id: the columns of the table, and ``month_pnl`` and
        ``year_pnl``, P&L since the last snapshot of the month and of the year before, since the first one
        where there is none.
    touched : mapping of str to int
        Number of the release that was the last to touch a portfolio, of those touched after ``since``.
    since : int
        Number of the last release that touched all portfolios, as far as is known.
    """

    release: Release | None = None
    snapshots: Mapping[str, Snapshot] = field(default_factory=dict)
    touched: Mapping[str, int] = field(default_factory=dict)
    since: int = 0

    def version_of(self, portfolio_id: str) -> int:
        """Return the number of the release that has last touched a portfolio: under it nothing differs."""
        return self.touched.get(portfolio_id, self.since)


def newest_accounts(store: Store, before: Accounts) -> Accounts:
    """Bring accounts to the newest release, and read only what has changed since."""
    release = store.release(layer=LAYER)
    if before.release is not None and release.number == before.release.number:
        return before
    touched = None if before.release is None else _touched(store, before.release.number)
    if touched is None:
        return Accounts(release, _snapshots(store, release, None), {}, release.number)
    snapshots = {key: row for key, row in before.snapshots.items() if key not in touched}
    snapshots |= _snapshots(store, release, touched.keys())
    return Accounts(release, snapshots, {**before.touched, **touched}, before.since)


def _touched(store: Store, before: int) -> dict[str, int] | None:
    """Portfolios that releases after one have touched, with the last one of each; None for all of them."""
    touched: dict[str, int] = {}
    for release in reversed(store.releases(layer=LAYER, after=before)):
        try:
            scope = store.ledger.runs.named(release.run_id or "").scope
        except NotFound:
            return None
        if not scope or "portfolio_ids" not in scope:
            return None
        touched |= dict.fromkeys(scope["portfolio_ids"], release.number)
    return touched


def _snapshots(store: Store, release: Release, portfolios: Collection[str] | None) -> dict[str, Snapshot]:
    """Read the newest snapshot of each portfolio, of all portfolios when none are given."""
    columns = (*KEY, "cumulative_pnl")
    newest = newest_sessions(store.read(TABLE, release=release, columns=columns, portfolios=portfolios))
    if newest.is_empty():
        return {}
    # Nearly all are of the last session, and whole rows of all sessions would be a hundred times as many.
    last: Any = newest["session"].max()
    late = newest.filter(pl.col("session") != last)
    parts = [store.read(TABLE, release=release, sessions=(last, last), portfolios=portfolios)]
    if late.height:
        span: Any = (late["session"].min(), late["session"].max())
        parts.append(store.read(TABLE, release=release, sessions=span, portfolios=late["portfolio_id"]))
    rows = pl.concat(parts).join(newest, on=KEY)
    return {row["portfolio_id"]: row for row in rows.iter_rows(named=True)}


def newest_sessions(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the newest session of each portfolio, and what it has earned in its month and its year.

    Parameters
    ----------
    rows : pl.DataFrame
        ``portfolio_id, session, cumulative_pnl``, in any order.

    Returns
    -------
    pl.DataFrame
        ``portfolio_id, session, month_pnl, year_pnl``, one row a portfolio.
    """
    session, earned = pl.col("session"), pl.col("cumulative_pnl")
    newest = session.max().over("portfolio_id")
    starts = {"month_pnl": newest.dt.month_start(), "year_pnl": newest.dt.month_start().dt.replace(month=1)}

    def last(where: pl.Expr) -> pl.Expr:
        return earned.filter(where).get(session.filter(where).arg_max(), null_on_oob=True)

    marked = rows.with_columns((session < start).alias(name) for name, start in starts.items())
    return marked.group_by("portfolio_id").agg(
        session.max(),
        *((last(pl.lit(True)) - last(pl.col(name)).fill_null(0.0)).alias(name) for name in starts),
    )
