"""Checks that price rows pass before they are stored; imports numpy and polars.

What cannot be a price is set aside with a reason and the rest kept; nothing is corrected. A symbol's rows are
judged by that symbol's prices alone.
"""

from typing import TypeAlias

import numpy as np
import polars as pl

from engine.typing import DateArray, FloatArray, IntArray

Checked: TypeAlias = tuple[pl.DataFrame, list[pl.DataFrame]]  # rows that pass, quarantine rows

FIELDS = ("open", "high", "low", "close", "adj_close", "volume")
ROW = ("symbol", "session", *FIELDS, "source")
STORED = ("symbol", "session", "close", "adj_close", "source")

# Serial reverse splits have brought adjusted closes to 1e13, dividends of a century to 1e-6: nothing comes
# near these, and what squares of returns are made of stays far from the ends of doubles.
LOWEST_PRICE, HIGHEST_PRICE = 1e-9, 1e15
HIGHEST_VOLUME = 1e15
SUSPECT_MOVE = 0.5
EXCURSION_SESSIONS = 5
TICK_TOLERANCE = np.log10(1.25)  # a misplaced decimal point leaves the price within this of a power of ten
TENFOLD = 7.9  # below every factor within the tolerance of ten: most rows need no logarithm


def check_prices(
    frame: pl.DataFrame,
    sessions: DateArray,
    *,
    history: pl.DataFrame | None = None,
    events: pl.DataFrame | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split a batch of price rows into those to store and those to quarantine.

    A whole row is set aside when its date is no session, when it contradicts another row of the same symbol
    and session (identical ones collapse to one), when its close or adjusted close is missing, not finite, not
    positive or implausible (below 1e-9 or above 1e15), or when either stands in an excursion: a move to a
    power of ten times the row before it (within 25 %) that is back at the old level (within 25 %) within 5
    sessions. An open, high or low that is no price or off its own close by a power of ten, and a volume that
    is negative, not finite or above 1e15, become null and are named in the quarantine; the row stays. Any
    other move of the adjusted close by more than 50 % stays as ``suspect``, an excursion that is not back yet
    among them.

    A symbol without any adjusted close in the batch has one price column: it is taken as adjusted, and its
    rows say ``adjusted_only``. But where the history has adjusted closes that differ from the closes, a close
    that is taken for one would be a false return: such rows lack a price.

    Parameters
    ----------
    frame : pl.DataFrame
        ``symbol, session, open, high, low, close, adj_close, volume, source``, in any order.
    sessions : DateArray
        ``(n_sessions,)`` exchange sessions, ascending, those of the batch and of the history.
    history : pl.DataFrame, optional
        Stored rows around the batch: ``symbol, session, close, adj_close, source``. The batch goes first
        where both have a session. A stored row that the batch shows to be an excursion is in the quarantine
        as well, and has to be deleted.
    events : pl.DataFrame, optional
        ``symbol, session`` of splits and other known reasons of a large move.

    Returns
    -------
    accepted : pl.DataFrame
        The columns of ``frame`` and ``quality`` (``ok | suspect | adjusted_only``), by symbol and session.
    quarantine : pl.DataFrame
        ``symbol, session, source, field, value, reason``; the value of what is not finite is null.
    """
    rows = _rows(frame, history, sessions)
    quarantine = []
    for check in (_on_sessions, _distinct, _priced, _in_place, _whole_bars):
        rows, rejected = check(rows)
        quarantine += rejected
    accepted = _with_quality(rows, events).filter(~pl.col("_stored")).select(*ROW, "quality")
    return accepted, pl.concat(quarantine).sort("symbol", "session", "field", "value")


def _rows(frame: pl.DataFrame, history: pl.DataFrame | None, sessions: DateArray) -> pl.DataFrame:
    """Batch and stored rows by symbol and session, the batch first where both have a session.

    ``_key`` counts sessions along all symbols, one symbol after another with a gap between that no excursion
    spans: two rows are of one symbol and at most 5 sessions apart when their keys are at most 5 apart. It is
    null for a date that is no session.
    """
    adjusted_only = _adjusted_only(frame, history)
    adj_close = pl.when(adjusted_only).then("close").otherwise("adj_close").alias("adj_close")
    batch = frame.select(*ROW, adjusted_only.alias("_adjusted_only"), pl.lit(False).alias("_stored"))
    stored = (frame.clear() if history is None else history).select(*STORED, pl.lit(True).alias("_stored"))
    rows = pl.concat([batch.with_columns(adj_close), stored], how="diagonal_relaxed")
    code = rows["symbol"].cast(pl.Enum(rows["symbol"].unique().sort())).to_physical().cast(pl.Int64)
    key = code * (len(sessions) + EXCURSION_SESSIONS + 1) + _positions(rows["session"], sessions)
    return rows.with_columns(code.alias("_symbol"), key.alias("_key")).sort("_key", maintain_order=True)


def _adjusted_only(frame: pl.DataFrame, history: pl.DataFrame | None) -> pl.Expr:
    """Whether a row's symbol has no adjusted close, in the batch or of its own in the history."""
    if not frame["adj_close"].null_count():
        return pl.repeat(False, pl.len())
    adjusted = frame.filter(pl.col("adj_close").is_not_null())["symbol"]
    if history is not None:
        adjusted = pl.concat([adjusted, history.filter(pl.col("adj_close") != pl.col("close"))["symbol"]])
    return ~pl.col("symbol").is_in(adjusted.unique().implode())


def _positions(days: pl.Series, sessions: DateArray) -> pl.Series:
    """Index of each day among the sessions, null where it is none of them."""
    known = np.append(sessions.astype("datetime64[D]").astype(np.int64), np.iinfo(np.int64).max)
    day = days.to_physical().to_numpy()
    position = np.searchsorted(known, day)
    return pl.Series(position).set(pl.Series(known[position] != day), None)


def _on_sessions(rows: pl.DataFrame) -> Checked:
    stray = rows.filter(pl.col("_key").is_null() & ~pl.col("_stored"))
    return rows.filter(pl.col("_key").is_not_null()), [_named(stray, "session", pl.lit("not_a_session"))]


def _distinct(rows: pl.DataFrame) -> Checked:
    """Collapse identical rows of a session and set contradicting ones aside."""
    follows = (pl.col("_key") == pl.col("_key").shift(1)).fill_null(False)
    rows = rows.filter(~(follows & pl.col("_stored")))
    repeated = rows.select(follows | follows.shift(-1, fill_value=False)).to_series()
    if not repeated.any():
        return rows, []
    different = rows.filter(repeated).unique(["_key", *FIELDS], keep="first", maintain_order=True)
    contradicts = pl.col("_key").is_duplicated()
    rows = pl.concat([rows.filter(~repeated), different.filter(~contradicts)]).sort("_key")
    return rows, [_named(different.filter(contradicts), "close", pl.lit("duplicate_session"))]


def _priced(rows: pl.DataFrame) -> Checked:
    """Set aside rows whose close or adjusted close is no price."""
    rejected = []
    for field in ("close", "adj_close"):
        reason = pl.when(pl.col(field).is_null()).then(pl.lit("missing_price")).otherwise(_no_price(field))
        bad = rows.filter(reason.is_not_null())
        rejected.append(_named(bad, field, reason))
        rows = rows.filter(reason.is_null())
    return rows, rejected


def _no_price(field: str) -> pl.Expr:
    """Why the values of a field are no prices; null where they are, or are missing."""
    value = pl.col(field)
    return (
        pl.when(~value.is_finite())
        .then(pl.lit("non_finite_price"))
        .when(value <= 0)
        .then(pl.lit("non_positive_price"))
        .when(~value.is_between(LOWEST_PRICE, HIGHEST_PRICE))
        .then(pl.lit("implausible_price"))
    )


def _in_place(rows: pl.DataFrame) -> Checked:
    """Set aside the rows of excursions to a power of ten times the level before."""
    rejected = []
    for field in ("close", "adj_close"):
        powers = _excursions(rows[field].to_numpy(), rows["_key"].to_numpy(), rows["_symbol"].to_numpy())
        away = pl.Series(powers != 0)
        rejected.append(_named(rows.filter(away), field, _tick_reasons(powers[powers != 0])))
        rows = rows.filter(~away)
    return rows, rejected


def _excursions(price: FloatArray, key: IntArray, symbol: IntArray) -> IntArray:
    """Power of ten by which each row is off its level ``(n_rows,)``, 0 for a row in its place.

    An excursion starts at a move by a power of ten and ends at the first row that is back at the level
    before. The way back is a move by a power of ten too: it starts no excursion of its own.
    """
    powers = np.zeros(len(price), dtype=np.int64)
    ratio = price[1:] / price[:-1]
    leaves = (symbol[1:] == symbol[:-1]) & ((ratio > TENFOLD) | (ratio < 1 / TENFOLD))
    start = np.flatnonzero(leaves) + 1
    window = np.minimum(start[:, None] + np.arange(EXCURSION_SESSIONS + 1), len(price) - 1)
    level = np.log10(price[window] / price[start - 1][:, None])
    power = np.rint(level)
    near = (np.abs(level - power) < TICK_TOLERANCE) & (
        key[window] - key[start][:, None] <= EXCURSION_SESSIONS
    )
    length = np.argmin(near & (power != 0), axis=1)  # rows off the level; 0 when it never ends
    rows = np.arange(len(start))
    back = (length > 0) & near[rows, length] & (power[rows, length] == 0)
    ended = 0
    for k in np.flatnonzero(back):
        if start[k] > ended:
            ended = start[k] + length[k]
            powers[start[k] : ended] = power[k, : length[k]]
    return powers


def _tick_reasons(powers: IntArray) -> pl.Series:
    """Reason of each power of ten, null for 0: ``tick_off_by_0.01x`` for -2."""
    reasons = [f"tick_off_by_{10.0**power:g}x" if power else None for power in powers.tolist()]
    return pl.Series("reason", reasons, dtype=pl.String)


def _whole_bars(rows: pl.DataFrame) -> Checked:
    """Null an open, high, low or volume that cannot belong to its row's close."""
    rejected = []
    for field in ("open", "high", "low", "volume"):
        value = pl.col(field)
        level = value / pl.col("close")
        fits = (
            value.is_between(0, HIGHEST_VOLUME)
            if field == "volume"
            else level.is_between(1 / TENFOLD, TENFOLD)
        )
        odd = rows.filter(~fits & ~pl.col("_stored"))
        reasons = _volume_reasons(odd) if field == "volume" else _price_reasons(odd, field)
        bad = reasons.is_not_null()
        rejected.append(_named(odd.filter(bad), field, reasons.filter(bad)))
        keys = odd["_key"].filter(bad).implode()
        rows = rows.with_columns(pl.when(~pl.col("_key").is_in(keys)).then(field).alias(field))
    return rows, rejected


def _volume_reasons(rows: pl.DataFrame) -> pl.Series:
    volume = pl.col("volume")
    reason = (
        pl.when(~volume.is_finite())
        .then(pl.lit("non_finite_volume"))
        .when(volume < 0)
        .then(pl.lit("negative_volume"))
        .otherwise(pl.lit("implausible_volume"))
    )
    return rows.select(reason).to_series()


def _price_reasons(rows: pl.DataFrame, field: str) -> pl.Series:
    """Why a price does not fit its row's close; null where it does."""
    level = (pl.col(field) / pl.col("close")).log10()
    near = (level - level.round()).abs() < TICK_TOLERANCE
    powers = rows.select(pl.when(near & level.is_finite()).then(level.round()).otherwise(0.0)).to_series()
    no_price = rows.select(_no_price(field)).to_series()
    return no_price.zip_with(no_price.is_not_null(), _tick_reasons(powers.to_numpy()))


def _with_quality(rows: pl.DataFrame, events: pl.DataFrame | None) -> pl.DataFrame:
    """Mark moves of the adjusted close by more than 50 % against the row before that no event explains."""
    move = pl.col("adj_close") / pl.col("adj_close").shift(1) - 1.0
    large = (move.abs() > SUSPECT_MOVE) & (pl.col("_symbol") == pl.col("_symbol").shift(1))
    rows = rows.with_columns(large.fill_null(False).alias("_suspect"))
    if events is not None:
        explained = rows.filter("_suspect").join(events, on=["symbol", "session"], how="semi")["_key"]
        rows = rows.with_columns(pl.col("_suspect") & ~pl.col("_key").is_in(explained.implode()))
    return rows.with_columns(
        pl.when("_suspect")
        .then(pl.lit("suspect"))
        .when("_adjusted_only")
        .then(pl.lit("adjusted_only"))
        .otherwise(pl.lit("ok"))
        .alias("quality")
    )


def _named(rows: pl.DataFrame, field: str, reason: pl.Expr | pl.Series) -> pl.DataFrame:
    """Quarantine rows that name a field, its value and the reason."""
    given = pl.col(field).cast(pl.Float64) if field in FIELDS else pl.lit(None, pl.Float64)
    value = pl.when(given.is_finite()).then(given)
    return rows.select(
        "symbol",
        "session",
        "source",
        pl.lit(field).alias("field"),
        value.alias("value"),
        reason.alias("reason"),
    )
