"""What a batch of prices changes about stored ones, and what of it a computed number would notice.

Imports polars. A source that learns of a dividend scales every adjusted close before it: the whole history
changes, and not one return. Only rows whose return, close, volume or quality moved make numbers stale.
"""

from collections.abc import Collection

import polars as pl

from engine.ingest_checks import FIELDS

KEY = ("symbol", "session")
COMPARED = (*FIELDS, "source", "quality")
SEEN = ("close", "adj_close", "volume", "quality")  # what computed numbers are made of
DECIMALS = 4  # prices of a source that rounds have as many: half a unit of the last one is its error
EXACT = 1e-12  # what dividing doubles leaves behind, and more


def with_change(accepted: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Add ``change``: new, changed or unchanged against the stored row of the same symbol and session."""
    if stored.is_empty():
        return accepted.with_columns(pl.lit("new").alias("change"))
    before = stored.select(*KEY, *(pl.col(name).alias(f"{name}_stored") for name in COMPARED))
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name}_stored")) for name in COMPARED)
    change = (
        pl.when(pl.col("source_stored").is_null())
        .then(pl.lit("new"))
        .when(same)
        .then(pl.lit("unchanged"))
        .otherwise(pl.lit("changed"))
    )
    both = accepted.join(before, on=KEY, how="left", maintain_order="left")
    return both.select(*accepted.columns, change.alias("change"))


def moved(accepted: pl.DataFrame, stored: pl.DataFrame, *, begun: Collection[str]) -> pl.DataFrame:
    """Return the keys on which a number that is computed from prices is another one than before.

    Parameters
    ----------
    accepted : pl.DataFrame
        The rows of ``with_change``.
    stored : pl.DataFrame
        What was stored around them.
    begun : collection of str
        Symbols that have older rows than those in ``stored``, so that its first return counts, too.

    Returns
    -------
    pl.DataFrame
        ``symbol, session``: new rows, rows whose close, volume or quality changed, and rows whose return did
        by more than rounding: 1e-12, or the last of four decimals where all prices in it have no more.
    """
    restated = accepted.filter(pl.col("change") == "changed")["symbol"].unique()
    is_restated = pl.col("symbol").is_in(restated.implode())
    new = accepted.filter((pl.col("change") == "new") & ~is_restated).select(KEY)
    if restated.is_empty():
        return new
    before = stored.filter(is_restated).select(*KEY, *SEEN)
    after = accepted.filter(is_restated).select(*KEY, *(pl.col(name).alias(f"{name}_after") for name in SEEN))
    both = before.join(after, on=KEY, how="full", coalesce=True).sort(KEY)
    both = both.with_columns(pl.coalesce(f"{name}_after", name).alias(f"{name}_after") for name in SEEN)
    rest = pl.all_horizontal(pl.col(n).eq_missing(pl.col(f"{n}_after")) for n in SEEN if n != "adj_close")
    stale = both.filter(~(rest & _same_return(begun)).fill_null(value=False))
    return pl.concat([new, stale.select(KEY)])


def _same_return(begun: Collection[str]) -> pl.Expr:
    """Whether the factor between old and new adjusted closes is that of the row before."""
    before, after = pl.col("adj_close"), pl.col("adj_close_after")
    factor, first = after / before, pl.col("symbol") != pl.col("symbol").shift(1, fill_value="")
    counts = pl.col("symbol").is_in(list(begun))
    last = pl.when(~first).then(factor.shift(1)).when(counts).then(1.0).otherwise(factor)
    last_price = pl.when(first).then(after).otherwise(after.shift(1))
    printed = _printed(before) & _printed(after)
    rounded = printed & (first | printed.shift(1, fill_value=False))
    unit = 10.0**-DECIMALS
    tolerance = pl.when(rounded).then(unit / after + unit / last_price).otherwise(EXACT)
    return (factor / last - 1.0).abs() <= tolerance


def _printed(price: pl.Expr) -> pl.Expr:
    """Whether a price has no more decimals than a source that rounds prints."""
    units = price * 10.0**DECIMALS
    return (units - units.round()).abs() <= 1e-6


def restated(fetched: pl.DataFrame, stored: pl.DataFrame) -> set[str]:
    """Return the symbols with a stored session whose close or adjusted close is fetched as another one.

    A price that one of the two has rounded to four decimals is the same within half of the last one.
    """
    before = stored.select(*KEY, *(pl.col(name).alias(f"{name}_stored") for name in ("close", "adj_close")))
    both = fetched.join(before, on=KEY)
    other = [~_same_price(pl.col(name), pl.col(f"{name}_stored")) for name in ("close", "adj_close")]
    return set(both.filter(pl.any_horizontal(other).fill_null(value=False))["symbol"])


def lacking(fetched: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Return the fetched rows that are not stored, or stored with another bar around the same close."""
    bar = ("open", "high", "low", "volume")
    before = stored.select(*KEY, *(pl.col(name).alias(f"{name}_stored") for name in bar), known=pl.lit(True))
    both = fetched.join(before, on=KEY, how="left", maintain_order="left")
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name}_stored")) for name in bar)
    return both.filter(~(pl.col("known").fill_null(value=False) & same)).select(fetched.columns)


def _same_price(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    rounded = _printed(one) != _printed(other)
    tolerance = pl.when(rounded).then(0.5001 * 10.0**-DECIMALS).otherwise(1e-9 * other)
    return (one - other).abs() <= tolerance
