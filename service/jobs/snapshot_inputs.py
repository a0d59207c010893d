"""What snapshots are made from, as arrays: lots and flows of the ledger, closes and actions of the lake."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from engine.lot_prices import lot_prices
from engine.lots import CASH, OPTION, PRIVATE, PUBLIC, LotPrices, Lots, Portfolios
from engine.option_lots import OPTION_MULTIPLIER, OptionTerms
from engine.prices_asof import Market, market_of
from engine.typing import DateArray, FloatArray, IntArray
from service import clock
from service.lots import CASH_PREFIX
from service.splits import DAYS_BEFORE
from storage.ledger import Ledger
from storage.portfolios import Portfolio
from storage.releases import Release
from storage.store import Store

KNOWN_OPTION = (
    (pl.col("kind") == OPTION)
    & pl.col("option_type").is_not_null()
    & pl.col("underlying_symbol").is_not_null()
)


@dataclass(frozen=True, slots=True)
class Last:
    """The newest snapshot of each portfolio, and of each lot in it.

    ``snapshots`` has one row a portfolio: ``portfolio_id, session, nav, cumulative_pnl, cumulative_flow,
    time_weighted_return``; ``lots`` one a lot that was open then: ``portfolio_id, position_id,
    reference_price, reference_session, was_held``.
    """

    snapshots: pl.DataFrame
    lots: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Holdings:
    """Everything that people entered into some portfolios, read at once.

    ``lots`` has one row a lot, closed ones too, with ``index`` of its portfolio, its ``kind``, and as
    ``Enum`` its ``symbol`` and the one that it is ``listed`` under, an option's underlying; ``flows`` one a
    change with a signed ``amount``; ``marks`` one a mark of a private lot.
    """

    portfolios: tuple[Portfolio, ...]
    starts: DateArray
    lots: pl.DataFrame
    flows: pl.DataFrame
    marks: pl.DataFrame


def read_holdings(ledger: Ledger, portfolios: Sequence[Portfolio]) -> Holdings:
    """Read the lots, flows and marks of portfolios that have a first session."""
    ids = [portfolio.portfolio_id for portfolio in portfolios]
    index = {portfolio_id: place for place, portfolio_id in enumerate(ids)}
    place = pl.col("portfolio_id").replace_strict(index, return_dtype=pl.Int64).alias("index")
    kind = (
        pl.when((pl.col("investment_subtype") == "CASH") | pl.col("symbol").str.starts_with(CASH_PREFIX))
        .then(CASH)
        .when(pl.col("investment_class") == "OPTIONS")
        .then(OPTION)
        .when(pl.col("investment_class") == "PRIVATE")
        .then(PRIVATE)
        .otherwise(PUBLIC)
    )
    signed = (
        pl.when(pl.col("change_type") == "WITHDRAWAL").then(-pl.col("amount")).otherwise(pl.col("amount"))
    )
    lots = (
        ledger.positions.frame(ids)
        .with_columns(place, kind.cast(pl.Int64).alias("kind"))
        .with_columns(pl.when(KNOWN_OPTION).then("underlying_symbol").otherwise("symbol").alias("listed"))
    )
    return Holdings(
        portfolios=tuple(portfolios),
        starts=np.array([portfolio.starting_session for portfolio in portfolios], dtype="datetime64[D]"),
        lots=lots.with_columns(_enum(lots["symbol"]), _enum(lots["listed"])),
        flows=ledger.equity_changes.frame(ids).with_columns(place, signed.alias("amount")),
        marks=ledger.positions.marks_frame(ids),
    )


def _enum(names: pl.Series) -> pl.Series:
    return names.cast(pl.Enum(names.unique().sort()))


def listed_symbols(held: Holdings) -> list[str]:
    """Return the symbols whose closes and actions count for any of the lots."""
    counts = held.lots.filter(pl.col("kind").is_in([PUBLIC, OPTION]))
    return counts["listed"].unique().cast(pl.String).to_list()


def read_market(store: Store, release: Release, symbols: Collection[str], span: tuple[date, date]) -> Market:
    """Read closes and actions of symbols, from before the first session of a span to the last one.

    A store without a single dividend was filled by a source that has none: then dividends are not 0, but
    unknown.
    """
    columns = ("symbol", "session", "close", "quality")
    first, last = span
    span = (first - DAYS_BEFORE, last)
    prices = store.read("prices", release=release, columns=columns, symbols=symbols, sessions=span)
    actions = store.read("corporate_actions", release=release)
    known = bool((actions["kind"] == "dividend").any())
    mine = actions.filter(pl.col("symbol").is_in(symbols) & (pl.col("session") <= last))
    return market_of(prices, mine, clock.sessions_between(*span), dividends_known=known)


def lots_of(held: Holdings, last: Last) -> Lots:
    """Return all lots with what the last snapshot knew of them."""
    frame = held.lots.join(
        last.lots.drop("portfolio_id"), on="position_id", how="left", maintain_order="left"
    ).join(
        last.snapshots.select("portfolio_id", pl.col("session").alias("prev")),
        on="portfolio_id",
        how="left",
        maintain_order="left",
    )
    # A part sold before the last snapshot, which nobody knew then, was in the snapshot within its lot.
    was_held = pl.col("was_held").fill_null(False) | (pl.col("held_session") == pl.col("prev")).fill_null(
        False
    )
    kind, place = frame["kind"].to_numpy(), frame["index"].to_numpy()
    entered = _days(frame["entered_session"])
    return Lots(
        portfolio=place,
        kind=kind,
        quantity=_numbers(frame["quantity"]),
        multiplier=np.where(kind == OPTION, OPTION_MULTIPLIER, 1.0),
        entry_price=_numbers(frame["entry_price"]),
        entered_session=np.where(np.isnat(entered), held.starts[place], entered),
        entry_date=_days(frame["entry_date"]),
        exit_date=_days(frame["exit_date"]),
        exit_price=_numbers(frame["exit_price"]),
        held=frame.select(was_held | pl.col("reference_session").is_not_null()).to_series().to_numpy(),
        reference_price=_numbers(frame["reference_price"]),
        reference_session=_days(frame["reference_session"]),
    )


def option_terms(held: Holdings) -> OptionTerms | None:
    """Return the terms of the options among all lots, None when there are none."""
    frame, is_option = held.lots, pl.col("kind") == OPTION
    if not frame.select(is_option.any()).item():
        return None
    underlying = frame.select(pl.when(KNOWN_OPTION).then("underlying_symbol").otherwise(pl.lit("")))
    return OptionTerms(
        underlying=tuple(underlying.to_series().to_list()),
        strike=_numbers(frame["strike_price"]),
        expiration=_days(frame["expiration_date"]),
        is_call=(frame["option_type"] == "CALL").fill_null(False).to_numpy(),
        adjusted=np.zeros(len(frame), dtype=np.bool_),
    )


def portfolios_of(held: Holdings, last: Last, session: np.datetime64) -> Portfolios:
    """Return portfolios as of their last snapshot; flows are those that no snapshot has booked yet.

    A flow that was entered late, changed or deleted comes into the next snapshot: what is booked is the
    difference between all flows up to the session and those booked before.
    """
    ids = pl.DataFrame({"portfolio_id": [portfolio.portfolio_id for portfolio in held.portfolios]})
    before = ids.join(last.snapshots, on="portfolio_id", how="left", maintain_order="left")
    equity = [portfolio.starting_equity for portfolio in held.portfolios]
    start = np.array([np.nan if value is None else float(value) for value in equity])
    prev, dates = _days(before["session"]), _days(held.flows["change_date"])
    place = held.flows["index"].to_numpy()
    due = (dates <= session) & (dates > held.starts[place])
    total = np.bincount(place[due], _numbers(held.flows["amount"])[due], minlength=len(start))
    first = np.isnat(prev)
    booked = np.nan_to_num(_numbers(before["cumulative_flow"]))
    return Portfolios(
        prev=prev,
        nav_prev=np.where(first, start, _numbers(before["nav"])),
        flow=np.where(first, 0.0, total - booked),
    )


def prices_of(
    market: Market, held: Holdings, lots: Lots, portfolios: Portfolios, session: np.datetime64
) -> LotPrices:
    """Look up every lot's prices: closes, and of private lots the owner's marks, else their entry prices."""
    found = lot_prices(market, lots, held.lots["listed"], portfolios, session)
    private = np.flatnonzero(lots.kind == PRIVATE)
    entry, prev = lots.entry_price[private], portfolios.prev[lots.portfolio[private]]
    now = _marks(held, private, np.full(len(private), session))
    then = _marks(held, private, prev)
    found.price[private] = np.where(np.isnan(now), entry, now)
    found.price_prev[private] = np.where(np.isnan(then), entry, then)
    found.age[private] = 0
    return found


def _marks(held: Holdings, rows: IntArray, days: DateArray) -> FloatArray:
    """Newest mark of some lots on or before a day of each, NaN for none; both ``(n,)``."""
    asked = held.lots.select(pl.col("position_id").gather(rows)).with_columns(
        pl.Series("session", days.astype("datetime64[D]")).cast(pl.Date), pl.int_range(pl.len()).alias("row")
    )
    known = held.marks.sort("session")
    found = asked.drop_nulls("session").sort("session")
    joined = found.join_asof(known, on="session", by="position_id", check_sortedness=False)
    prices = asked.join(joined.select("row", "price"), on="row", how="left", maintain_order="left")
    return _numbers(prices["price"])


def _numbers(column: pl.Series) -> FloatArray:
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy(writable=True)


def _days(column: pl.Series) -> DateArray:
    return column.cast(pl.Date).to_numpy().astype("datetime64[D]")
