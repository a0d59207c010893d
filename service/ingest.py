"""Brings checked data into the store: only what is new or changed is written, all of it in one release."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

import polars as pl

from engine.ingest_checks import check_prices
from engine.price_changes import KEY, moved, with_change
from engine.quality import EVENTS
from service import clock
from service.errors import UsageError
from service.ingest_writes import ACTION_KEY, append_quarantine, mark, put_rows, write_prices
from service.providers.files import read_prices
from service.providers.simulated import SOURCE as SIMULATED
from storage.store import Store
from storage.writer import Writer

Span: TypeAlias = tuple[date, date]
Compared: TypeAlias = tuple[pl.DataFrame, ...]  # accepted, removed, quarantine, and keys of stale numbers

OWNER = "ingest"
# Calendar days of stored prices on either side that the checks see beside a batch.
CONTEXT = timedelta(days=20)
BLOCK_ROWS = 400_000  # a batch is judged a block of symbols at a time, which bounds the memory of the checks


@dataclass(frozen=True, slots=True)
class Ingested:
    """What an ingest did.

    Attributes
    ----------
    accepted : int
        Rows that passed the checks: ``new + changed + unchanged``.
    removed : int
        Stored rows that the batch shows to be bad ticks.
    quarantined : dict of str to int
        Values kept out, by reason.
    suspects : list of str
        Rows kept whose move is suspect, as ``SYMBOL YYYY-MM-DD``.
    release : int or None
        None when there was nothing to write.
    status : str
        ``failed`` when there were rows and none was kept.
    """

    rows_read: int
    accepted: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    suspects: list[str] = field(default_factory=list)
    new_symbols: int = 0
    first_session: str | None = None
    last_session: str | None = None
    release: int | None = None

    @property
    def status(self) -> Literal["completed", "failed"]:
        """Whether anything was kept."""
        return "completed" if self.accepted or not self.rows_read else "failed"

    def as_dict(self) -> dict[str, Any]:
        """Return the status and the fields as plain values."""
        return {"status": self.status, **asdict(self)}


def ingest_prices(
    store: Store,
    prices: Path | pl.DataFrame,
    *,
    actions: pl.DataFrame | None = None,
    last_session: date | None = None,
    run_id: str | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> Ingested:
    """Check prices and store what is new or changed; what cannot be a price goes to the quarantine.

    A change at or before the newest computed session marks its symbol to be computed again, unless it leaves
    every return as it was: a dividend scales all adjusted closes before it.

    Parameters
    ----------
    store : Store
    prices : Path or pl.DataFrame
        A file or folder, or ``symbol, session, open, high, low, close, adj_close, volume, source``.
    actions : pl.DataFrame, optional
        Corporate actions that belong to the prices, stored before them and in the same release.
    last_session : date, optional
        Newest session that can have closed; later rows are quarantined. Any session when not given.
    run_id : str, optional
        The run that the release is published for.
    advance : callable, optional
        Told ``(done, total)`` symbols.

    Raises
    ------
    UsageError
        Simulated prices would stand beside real ones.
    Locked
        A live process writes to the symbol layer.
    """
    batch = read_prices(prices) if isinstance(prices, Path) else prices
    if batch.is_empty():
        return Ingested(0)
    _refuse_mixture(store, batch)
    with store.writing("symbol", owner=OWNER) as writer:
        news = put_rows(writer, "corporate_actions", actions, ACTION_KEY) if actions is not None else None
        compared = list(_compared(writer, batch, last_session, advance or _unwatched))
        accepted, removed, quarantine, stale = (pl.concat(parts) for parts in zip(*compared, strict=True))
        del compared
        n_known = len(store.ledger.symbols.ids())
        written = accepted.filter(pl.col("change") != "unchanged")
        write_prices(store, writer, written, removed)
        mark(store, stale, writer.base.session)
        n_refused = append_quarantine(writer, quarantine)
        release = None
        if news is not None:
            mark(store, news.filter(pl.col("kind").is_in(EVENTS)).select(KEY), writer.base.session)
        if written.height or removed.height or n_refused or (news is not None and news.height):
            release = writer.publish(run_id=run_id).number
    n_new_symbols = len(store.ledger.symbols.ids()) - n_known
    return Ingested(
        batch.height,
        **_counts(accepted),
        removed=removed.height,
        quarantined=dict(sorted(Counter(quarantine["reason"]).items())),
        new_symbols=n_new_symbols,
        release=release,
    )


def ingest_table(store: Store, table: str, frame: pl.DataFrame, key: Sequence[str]) -> Ingested:
    """Store rows of profiles, corporate actions or benchmark weights; a row with a known key replaces it.

    A profile that was known at a computed session marks its symbol to be computed again, and so does an
    action that explains a suspect move of one. Splits are to be stored before the prices that move with them.
    """
    if "source" in frame.columns:
        _refuse_mixture(store, frame)
    rows = frame.unique(key, keep="last", maintain_order=True)
    with store.writing("symbol", owner=OWNER) as writer:
        known = writer.read(table, columns=key)
        written = put_rows(writer, table, rows, key)
        release = None
        if written.height:
            if table == "profiles":
                mark(store, written.rename({"as_of": "session"}), writer.base.session)
            if table == "corporate_actions":
                mark(store, _explained(writer, written), writer.base.session)
            release = writer.publish().number
    n_changed = written.join(known, on=key, how="semi").height
    return Ingested(
        frame.height,
        accepted=rows.height,
        new=written.height - n_changed,
        changed=n_changed,
        unchanged=rows.height - written.height,
        release=release,
    )


def _unwatched(done: int, total: int) -> None:
    """Tell nobody."""


def _refuse_mixture(store: Store, frame: pl.DataFrame) -> None:
    """Refuse simulated rows beside real ones; no portfolio would know which of its prices are invented."""
    sources = set(frame["source"].unique())
    stored = set(store.ledger.symbols.sources().values())
    if len({source == SIMULATED for source in sources | stored}) > 1:
        raise UsageError(
            f"{store.path} holds symbols from {', '.join(sorted(stored)) or 'nowhere'}; rows from "
            f"{', '.join(sorted(sources))} would mix real prices with simulated ones; give another store"
        )


def _compared(
    writer: Writer, batch: pl.DataFrame, last_session: date | None, advance: Callable[[int, int], None]
) -> Iterator[Compared]:
    """Check a block of symbols at a time and compare it with what is stored."""
    span = _span(batch["session"])
    sessions = clock.sessions_between(span[0], min(span[1], last_session or span[1]))
    events = writer.read("corporate_actions").filter(pl.col("kind").is_in(EVENTS)).select(KEY)
    names = batch["symbol"].unique().sort()
    size = max(1, BLOCK_ROWS * len(names) // batch.height)
    for at in range(0, len(names), size):
        block = names[at : at + size]
        rows = batch if len(block) == len(names) else batch.filter(pl.col("symbol").is_in(block.implode()))
        near = writer.read("prices", sessions=span, symbols=block.to_list())
        accepted, quarantine = check_prices(rows, sessions, history=near, events=events)
        accepted, removed = with_change(accepted, near), _removed(near, quarantine)
        stale = moved(accepted, near, begun=_begun(writer, accepted, span[0]))
        yield accepted, removed, quarantine, pl.concat([stale, removed])
        advance(at + len(block), len(names))


def _begun(writer: Writer, accepted: pl.DataFrame, first: date) -> frozenset[str]:
    """Symbols with changed rows that have rows before a day, too."""
    changed = accepted.filter(pl.col("change") == "changed")["symbol"].unique().to_list()
    if not changed:
        return frozenset()
    before = (date(clock.FIRST_YEAR, 1, 1), first - timedelta(days=1))
    return frozenset(writer.read("prices", columns=["symbol"], sessions=before, symbols=changed)["symbol"])


def _span(sessions: pl.Series) -> Span:
    """First and last day that matter to a batch, within the years that the calendar knows."""
    first, last = sessions.min(), sessions.max()
    if not (isinstance(first, date) and isinstance(last, date)):
        raise UsageError("a price row has no session; give every row one")
    low, high = date(clock.FIRST_YEAR, 1, 1), date(clock.LAST_YEAR, 12, 31)
    first, last = (min(max(day, low + CONTEXT), high - CONTEXT) for day in (first, last))
    return first - CONTEXT, last + CONTEXT


def _removed(near: pl.DataFrame, quarantine: pl.DataFrame) -> pl.DataFrame:
    """Find stored rows whose own close is in the quarantine: later prices show them to be bad ticks.

    A bad row of the batch removes no good one that is stored for its session.
    """
    bad = quarantine.filter(pl.col("field").is_in(["close", "adj_close"])).select(*KEY, "value")
    stored = near.select(*KEY, pl.concat_list("close", "adj_close").alias("value")).explode("value")
    return stored.join(bad, on=[*KEY, "value"], how="semi").select(KEY).unique()


def _counts(accepted: pl.DataFrame) -> dict[str, Any]:
    suspects = accepted.filter(pl.col("quality") == "suspect").select(KEY).sort(KEY)
    changes = Counter(dict(accepted["change"].value_counts().iter_rows()))
    return {
        "accepted": accepted.height,
        **{change: changes[change] for change in ("new", "changed", "unchanged")},
        "suspects": [f"{symbol} {session}" for symbol, session in suspects.iter_rows()],
        "first_session": str(accepted["session"].min()) if accepted.height else None,
        "last_session": str(accepted["session"].max()) if accepted.height else None,
    }


def _explained(writer: Writer, actions: pl.DataFrame) -> pl.DataFrame:
    """Sessions on which a symbol's stored move is suspect that one of these actions explains."""
    events = actions.filter(pl.col("kind").is_in(EVENTS)).select(KEY).unique()
    if writer.base.session is None or events.is_empty():
        return events
    span: Span = (events["session"].min(), events["session"].max())  # type: ignore[assignment]
    symbols = events["symbol"].unique().to_list()
    near = writer.read("prices", columns=[*KEY, "quality"], sessions=span, symbols=symbols)
    return near.filter(pl.col("quality") == "suspect").join(events, on=KEY, how="semi")
