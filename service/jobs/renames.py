"""The history of a renamed company goes on under its new symbol, beside the old one's, which stays.

A source may have the new symbol's prices from the rename on alone. What was stored under the old one before
is then stored under the new one too, with its splits and dividends.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from engine.price_changes import KEY
from engine.quality import EVENTS
from service.ingest import ingest_prices
from service.ingest_writes import ACTION_KEY
from service.jobs.universe import EPOCH
from service.names import Names, Rename, read_names, read_renames
from service.providers.files import no_actions, no_prices
from service.providers.outcomes import Fetched
from storage.store import Store

PRICES = tuple(no_prices().columns)
BAR = ("open", "high", "low", "close")
SAME_COMPANY = 0.01  # by which closes of one company on one session may differ
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
    symbols = {symbol for rename in renames for symbol in (rename.symbol, rename.new_symbol)}
    closes = store.read("prices", release=release, columns=(*KEY, "close"), symbols=symbols)
    lacking = _lacking(renames, read_names(store, release, target), closes)
    if not lacking:
        return
    symbols = {symbol for each in lacking for symbol in (each.rename.symbol, each.rename.new_symbol)}
    prices = store.read("prices", release=release, symbols=symbols)
    actions = store.read("corporate_actions", release=release, symbols=symbols)
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
    """A rename with the sessions, both excluded, between which the new symbol lacks the old one's rows.

    On ``since`` a company has left one of the two, as far as that is known.
    """

    rename: Rename
    since: date
    until: date


def _lacking(renames: Sequence[Rename], names: Names, closes: pl.DataFrame) -> list[_Lacking]:
    """Renames whose new symbol lacks rows of the old one.

    Where the new one has prices from before the rename they tell whether it is the same company: if not, it
    has a history of its own. Where another company had the symbol before, it has that one's.
    """
    found: list[_Lacking] = []
    for rename in renames:
        symbol, session, new = rename
        left = [each.session for each in renames if each.symbol in (symbol, new) and each.session < session]
        since = max(left, default=EPOCH)
        before = pl.col("session").is_between(since, session, closed="none")
        old, own = (closes.filter(before, symbol=name) for name in (symbol, new))
        both = old.join(own, on="session")
        apart = (pl.col("close") / pl.col("close_right") - 1).abs()
        is_same = both.height > 0 and both.select((apart < SAME_COMPANY).all()).item()
        until = min([session, *own["session"]])
        more = old.filter(pl.col("session") < until)
        if more.height and (own.is_empty() or is_same) and not names.left_by_others(new, session):
            closes = pl.concat([closes, more.with_columns(pl.lit(new).alias("symbol"))])
            found.append(_Lacking(rename, since, until))
    return found


def _inherited(
    lacking: _Lacking, prices: pl.DataFrame, events: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of the old symbol under the new one, and its events that the new one lacks."""
    symbol, session = pl.col("symbol"), pl.col("session")
    until, renamed = lacking.until, lacking.rename.session
    old = (symbol == lacking.rename.symbol) & (session > lacking.since)
    new = symbol == lacking.rename.new_symbol
    named = pl.lit(lacking.rename.new_symbol).alias("symbol")
    rows = prices.filter(old & (session < renamed)).with_columns(named)  # what follows may be another's
    own = prices.filter(new & (session >= until))
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
    kind, value = pl.col("kind"), pl.col("value")
    split: float = events.select(value.filter(kind == "split").product()).item()
    paid: float = events.select(value.filter(kind == "dividend").sum()).item()
    kept = 1.0 - paid * split / close
    return kept / split if kept > 0 else 1.0 / split


def _as_fetched(rows: pl.DataFrame, single: pl.Series) -> pl.DataFrame:
    """Return stored rows as a source gives them: a symbol with one price column has no adjusted close."""
    adj_close = pl.when(~pl.col("symbol").is_in(single.implode())).then("adj_close").alias("adj_close")
    return rows.with_columns(adj_close).select(PRICES)
