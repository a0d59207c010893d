"""What is wrong with the stored data: stale, missing, set aside, with gaps, with jumps."""

from collections.abc import Sequence
from datetime import date
from typing import Any, TypeVar

import msgspec
import polars as pl

from engine.factors import PROXIES
from service import clock
from service.book_loader import computed_sessions
from storage.releases import Release
from storage.store import Store

SHOWN = 200
JUMP_SESSIONS = 252
GAP_SESSIONS = 5  # sessions without a price, those since its newest one aside, from which a symbol is suspect
T = TypeVar("T")


class Gap(msgspec.Struct):
    """A symbol that skipped sessions between its prices, of the last 252."""

    symbol: str
    missing_sessions: int
    last_session: str | None


class Jump(msgspec.Struct):
    """A price that moved by more than half against the one before it, without a known event."""

    symbol: str
    session: str
    close: float | None


class Quarantined(msgspec.Struct):
    """A value that was kept out, and why."""

    symbol: str
    session: str
    source: str
    field: str
    value: float | None
    reason: str


class StaleSymbol(msgspec.Struct):
    """A symbol whose newest price is older than the newest session."""

    symbol: str
    last_session: str | None
    days_stale: int | None


class DataQualityReport(msgspec.Struct, kw_only=True):
    """The state of the symbol layer at its newest session; lists are cut at 200, counts are not.

    Symbols that were renamed or delisted are left out. ``price_coverage_pct`` is the share of the others with
    a price on that session, in percent; null without any price.
    """

    release: int
    latest_price_date: str | None
    computed_session: str | None
    price_coverage_pct: float | None
    symbols_total: int
    symbols_missing_prices: list[str]
    symbols_missing_factors: list[str]
    stale_symbols: list[str]
    stale: list[StaleSymbol]
    gap_suspects: list[Gap]
    jump_suspects: list[Jump]
    quarantined: list[Quarantined]
    counts: dict[str, int]
    quarantined_by_reason: dict[str, int]
    to_recompute: list[str]


def data_quality(store: Store) -> DataQualityReport:
    """Report on the newest release, at its newest session with a price of the market."""
    release = store.release()
    known = sorted(store.ledger.symbols.active())
    newest, priced = _newest_prices(store, release)
    computed = computed_sessions(store, release)
    session: date | None = computed[-1].item() if len(computed) else None
    stale, gaps = _stale_and_gaps(store, release, session, known)
    jumps = _jumps(store, release, newest)
    quarantine = store.read("quarantine", release=release).sort("session", "symbol", descending=[True, False])
    missing = [symbol for symbol in known if symbol not in priced]
    fitted = _fitted(store, release, session)
    unfitted = [symbol for symbol in known if symbol not in fitted]
    return DataQualityReport(
        release=release.number,
        latest_price_date=None if newest is None else str(newest),
        computed_session=None if session is None else str(session),
        price_coverage_pct=round(100 * (1 - len(missing) / len(known)), 2) if known and newest else None,
        symbols_total=len(known),
        symbols_missing_prices=missing[:SHOWN],
        symbols_missing_factors=unfitted[:SHOWN],
        stale_symbols=stale["symbol"][:SHOWN].to_list(),
        stale=_structs(StaleSymbol, stale.select("symbol", "last_session", "days_stale")),
        gap_suspects=_structs(Gap, gaps.select("symbol", "missing_sessions", "last_session")),
        jump_suspects=_structs(Jump, jumps.select("symbol", "session", "close")),
        quarantined=_structs(Quarantined, quarantine.select(*Quarantined.__struct_fields__)),
        counts={
            "missing_prices": len(missing),
            "missing_factors": len(unfitted),
            "stale": len(stale),
            "gap_suspects": len(gaps),
            "jump_suspects": len(jumps),
            "quarantined": len(quarantine),
        },
        quarantined_by_reason=dict(quarantine.group_by("reason").agg(pl.len()).sort("reason").iter_rows()),
        to_recompute=sorted(store.ledger.symbols.recompute_marks())[:SHOWN],
    )


def _newest_prices(store: Store, release: Release) -> tuple[date | None, set[str]]:
    """Return the newest session with a price of the market, and the symbols that have one on it."""
    market = store.read("prices", release=release, columns=["session"], symbols=[PROXIES["Market"]])
    newest: date | None = market["session"].max()  # type: ignore[assignment]
    if newest is None:
        return None, set()
    priced = store.read("prices", release=release, columns=["symbol"], sessions=(newest, newest))
    return newest, set(priced["symbol"])


def _stale_and_gaps(
    store: Store, release: Release, session: date | None, known: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the symbols whose newest price is an old one, and those that skipped sessions; worst first."""
    columns = ["symbol", "last_session", "days_stale", "missing_sessions"]
    on = None if session is None else (session, session)
    metrics = store.read("symbol_metrics", release=release, columns=columns, sessions=on, symbols=known)
    skipped = (pl.col("missing_sessions") - pl.col("days_stale")).alias("missing_sessions")
    stale = metrics.filter(pl.col("days_stale") > 0)
    gaps = metrics.with_columns(skipped).filter(pl.col("missing_sessions") >= GAP_SESSIONS)
    return (
        stale.sort("days_stale", "symbol", descending=[True, False]),
        gaps.sort("missing_sessions", "symbol", descending=[True, False]),
    )


def _jumps(store: Store, release: Release, newest: date | None) -> pl.DataFrame:
    """Return the prices of the last 252 sessions that no known event explains, the newest first."""
    span = None if newest is None else (clock.sessions_until(newest, JUMP_SESSIONS)[0].item(), newest)
    columns = ["symbol", "session", "close", "quality"]
    prices = store.read("prices", release=release, columns=columns, sessions=span)
    suspect = prices.filter(pl.col("quality") == "suspect")
    return suspect.sort("session", "symbol", descending=[True, False])


def _fitted(store: Store, release: Release, session: date | None) -> set[str]:
    """Return the symbols that have a beta of our own on a session."""
    if session is None:
        return set()
    columns = ["symbol", "factor_set", "beta"]
    rows = store.read("symbol_factors", release=release, columns=columns, sessions=(session, session))
    fitted = rows.filter(pl.col("beta").is_not_null() & (pl.col("factor_set") != "provider"))
    return set(fitted["symbol"])


def _structs(kind: type[T], rows: pl.DataFrame) -> list[T]:
    """Return the first rows as structs; dates as ISO text."""
    texts = rows.head(SHOWN).with_columns(pl.col(pl.Date).cast(pl.String))
    made: list[Any] = [kind(**row) for row in texts.iter_rows(named=True)]
    return made
