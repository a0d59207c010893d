"""The history of a renamed company goes on under its new symbol, beside the old one's, which stays.

A source may have the new symbol's prices from the rename on alone. What was stored under the old one before
is then stored under the new one too, with its splits and dividends.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl

from engine.price_changes import KEY
from engine.quality import EVENTS
from service.ingest import ingest_prices
from service.ingest_writes import ACTION_KEY
from service.jobs.universe import EPOCH
from service.names import Rename, read_renames
from service.providers.files import no_actions, no_prices
from service.providers.outcomes import Fetched
from storage.store import Store

PRICES = tuple(no_prices().columns)
BAR = ("open", "high", "low", "close")
QUALITY = pl.col("quality")
# A symbol with one price column, taken as adjusted; what is suspect does not tell.
SINGLE = QUALITY.is_in(["adjusted_only", "suspect"]).all() & (QUALITY == "adjusted_only").any()


def inherit(store: Store, target: date) -> None:
    """Store the histories that symbols lack from before the renames up to a session, in one release.

    Only what comes before a symbol's first own price is stored, and nothing of another company that had one
    of the two names before. A second call finds nothing to do.
    """
    release = store.release()
    renames = read_renames(store, release, target)
    if not renames:
        return
    lacking = _lacking(renames, store.read("prices", release=release, columns=KEY, symbols=_names(renames)))
    if not lacking:
        return
    names = _names(each.rename for each in lacking)
    prices = store.read("prices", release=release, symbols=names)
    actions = store.read("corporate_actions", release=release, symbols=names)
    events = actions.filter(pl.col("kind").is_in(EVENTS)).select(no_actions().columns)
    found = []
    for each in lacking:  # in the order of the renames: a history passes through all names of a chain
        found.append(_inherited(each, prices, events))
        prices, events = (pl.concat(both) for both in zip((prices, events), found[-1], strict=True))
    rows, news = (pl.concat(parts) for parts in zip(*found, strict=True))
    single = prices.group_by("symbol").agg(SINGLE.alias("single")).filter("single")["symbol"]
    ingest_prices(store, _as_fetched(rows, single), actions=news, last_session=target)


def continued(store: Store, fetched: Fetched, symbol: str, target: date) -> Fetched | None:
    """Put the rows that a symbol inherited before a history that was fetched anew from the rename on.

    Their adjusted closes are scaled by the one factor that leaves every return as it was. None when the
    symbol has inherited nothing, or the source lacks rows from since the rename.
    """
    release = store.release()
    renames = [each for each in read_renames(store, release, target) if each.new_symbol == symbol]
    if not renames or fetched.prices.is_empty():
        return None
    stored = store.read("prices", release=release, symbols=[symbol]).sort("session")
    begins: date = fetched.prices["session"].min()  # type: ignore[assignment]
    renamed: date = renames[-1].session
    own: date = stored.filter(pl.col("session") >= renamed)["session"].min() or renamed  # type: ignore[assignment]
    before = stored.filter(pl.col("session") < begins)
    if begins > own or before.is_empty():
        return None
    known = store.read("corporate_actions", release=release, symbols=[symbol])
    scaled = _scaled(before, stored, fetched.prices, fetched.actions, known)
    single = before.select(SINGLE).item() and fetched.prices["adj_close"].is_null().all()
    rows = _as_fetched(scaled, pl.Series([symbol] if single else [], dtype=pl.String))
    return replace(fetched, prices=pl.concat([rows, fetched.prices.select(PRICES)]))


@dataclass(frozen=True, slots=True)
class _Lacking:
    """A rename with the sessions, both excluded, between which the new symbol lacks the old one's rows."""

    rename: Rename
    since: np.datetime64
    until: np.datetime64


def _names(renames: Iterable[Rename]) -> set[str]:
    return {name for rename in renames for name in (rename.symbol, rename.new_symbol)}


def _lacking(renames: Sequence[Rename], keys: pl.DataFrame) -> list[_Lacking]:
    days = {name: rows["session"].to_numpy() for (name,), rows in keys.group_by("symbol")}
    none, found = keys["session"].clear().to_numpy(), []
    for rename in renames:
        since, own = _others_until(rename, renames), days.get(rename.new_symbol, none)
        until = np.append(own[own > since], np.datetime64(rename.session)).min()
        old = days.get(rename.symbol, none)
        more = old[(old > since) & (old < until)]
        if len(more):
            days[rename.new_symbol] = np.append(own, more)
            found.append(_Lacking(rename, since, until))
    return found


def _others_until(rename: Rename, renames: Sequence[Rename]) -> np.datetime64:
    """Session until which one of the two symbols belonged to another company, as far as renames tell."""
    left = [
        each.session
        for each in renames
        if (each.symbol == rename.new_symbol and each.session <= rename.session)
        or (each.symbol == rename.symbol and each.session < rename.session)
    ]
    return np.datetime64(max(left, default=EPOCH))


def _inherited(
    lacking: _Lacking, prices: pl.DataFrame, events: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of the old symbol under the new one, and its events that the new one lacks."""
    symbol, session = pl.col("symbol"), pl.col("session")
    since, until = lacking.since.astype(date), lacking.until.astype(date)
    old = (symbol == lacking.rename.symbol) & (session > since)
    new = symbol == lacking.rename.new_symbol
    named = pl.lit(lacking.rename.new_symbol).alias("symbol")
    rows, own = prices.filter(old).with_columns(named), prices.filter(new & (session >= until))
    known, mine = events.filter(old & (session <= until)).with_columns(named), events.filter(new)
    news = known.join(mine, on=ACTION_KEY, how="anti")
    before = rows.filter(session < until)
    return _scaled(before, rows, own, pl.concat([mine, news]), known), news


def _scaled(
    before: pl.DataFrame, stored: pl.DataFrame, after: pl.DataFrame, events: pl.DataFrame, known: pl.DataFrame
) -> pl.DataFrame:
    """Scale the adjusted closes of rows so that they go on into the rows ``after`` them.

    By the ratio of the first session that the ``stored`` rows of the company share with those after, and by
    the events of the gap that were not ``known`` to the stored ones; where none is shared, by the adjustment
    of the first row after, and all events of the gap.
    """
    if after.is_empty():
        return before
    after = after.sort("session").with_columns(pl.col("adj_close").fill_null(pl.col("close")))
    last, first = before.sort("session").row(-1, named=True), after.row(0, named=True)
    gap = pl.col("session").is_between(last["session"], first["session"], closed="right")
    near = events.filter(gap & pl.col("kind").is_in(EVENTS))
    both = after.join(stored, on="session").sort("session").head(1)
    if both.height:
        late = near.join(known, on=ACTION_KEY, how="anti")
        factor = _adjustment(late, last["close"]) * (both["adj_close"] / both["adj_close_right"]).item()
    else:
        ratio = (first["adj_close"] / first["close"]) * (last["close"] / last["adj_close"])
        factor = _adjustment(near, last["close"]) * ratio
    fields = ("adj_close", *BAR) if before.select(SINGLE).item() else ("adj_close",)
    return before.with_columns(pl.col(name) * factor for name in fields)


def _adjustment(events: pl.DataFrame, close: float) -> float:
    """What splits and dividends, these per new share, make of an adjusted close before them."""
    values = dict(events.group_by("kind").agg(pl.col("value").product()).iter_rows())
    split: float = values.get("split", 1.0)
    kept = 1.0 - values.get("dividend", 0.0) * split / close
    return kept / split if kept > 0 else 1.0 / split


def _as_fetched(rows: pl.DataFrame, single: pl.Series) -> pl.DataFrame:
    """Return stored rows as a source gives them: a symbol with one price column has no adjusted close."""
    adj_close = pl.when(~pl.col("symbol").is_in(single.implode())).then("adj_close").alias("adj_close")
    return rows.with_columns(adj_close).select(PRICES)
