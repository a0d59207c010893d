"""The contracts of the lake's tables, and the check that frames keep them."""

import inspect
from datetime import date

import polars as pl
import pytest
from markets import make_market
from stores import prices, rows

from engine.factor_frames import factor_frame
from engine.ingest_checks import check_prices
from engine.metrics import symbol_metrics
from engine.panel import build_panel
from engine.regression import fit_factors
from engine.risk import covariance_frame, fit_risk_model, loadings_frame
from storage import errors
from storage.catalog import SQL_TYPES
from storage.errors import Corrupt, InvalidFrame, NotFound, Refused, StorageError, Transient
from storage.schemas import TABLES, conform, table_named, tables_of

MONDAY = date(2017, 11, 6)
PRICES = TABLES["prices"]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_contract_is_whole(table):
    assert len(table.schema) == len(table.columns)
    assert set(table.key) <= set(table.schema)
    assert table.date in table.key
    assert table.schema[table.date] == pl.Date
    assert set(table.dtypes.values()) <= set(SQL_TYPES)
    assert table.comment
    assert all(column.comment for column in table.columns)


def test_conform_orders_columns_and_rows():
    frame = prices(["B", "A"], [date(2017, 11, 7), MONDAY])
    checked = conform(PRICES, frame.select(reversed(frame.columns)))
    assert checked.schema == PRICES.schema
    assert checked.equals(frame.select(PRICES.schema.names()).sort(PRICES.key))


def test_conform_widens_and_spells_missing_as_null():
    frame = prices(["A"], [MONDAY]).with_columns(
        symbol=pl.lit("A").cast(pl.Categorical),
        symbol_id=pl.lit(7, pl.Int64),
        open=pl.lit(3, pl.Int32),
        high=pl.lit(0.5, pl.Float32),
        low=pl.lit(float("nan")),
        volume=pl.lit(None),
    )
    row = conform(PRICES, frame).row(0, named=True)
    assert (row["symbol"], row["symbol_id"], row["open"], row["high"]) == ("A", 7, 3.0, 0.5)
    assert row["low"] is None
    assert row["volume"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop("close"), "missing columns: close"),
        (lambda f: f.with_columns(pl.lit(1).alias("vwap")), "unknown columns: vwap"),
        (lambda f: f.with_columns(close=pl.lit("1.0")), "column close is String"),
        (lambda f: f.with_columns(symbol_id=pl.lit(1.5)), "column symbol_id is Float64"),
        (lambda f: f.with_columns(symbol_id=pl.lit(2**40)), "does not fit"),
        (lambda f: f.with_columns(session=pl.col("session").cast(pl.Datetime)), "column session is Datetime"),
        (lambda f: f.with_columns(symbol=pl.lit(None, pl.String)), "null in key column symbol"),
        (lambda f: pl.concat([f, f]), r"several rows with the key \(symbol A, session 2017-11-06\)"),
    ],
)
def test_conform_refuses(change, message):
    with pytest.raises(InvalidFrame, match=f"prices: .*{message}"):
        conform(PRICES, change(prices(["A"], [MONDAY])))


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_conform_refuses_an_infinite_number_in_every_column(table, value):
    keys = {pl.String: "A", pl.Date: MONDAY}
    whole = rows(table.name, **{name: [keys[table.dtypes[name]]] for name in table.key})
    assert conform(table, whole).height == 1
    for name in (name for name, dtype in table.schema.items() if dtype.is_float()):
        with pytest.raises(InvalidFrame, match=rf"{table.name}: {name} of \(.*\) is infinite"):
            conform(table, whole.with_columns(pl.lit(value).alias(name)))


def test_an_empty_frame_conforms():
    assert conform(PRICES, pl.DataFrame(schema=PRICES.schema)).is_empty()


def test_keys_of_three_columns_are_told_apart():
    table = TABLES["symbol_factors"]
    frame = rows(
        "symbol_factors",
        symbol=["A", "A", "A", "B"],
        session=[MONDAY] * 4,
        factor=["Value", "Growth", "Size", "Size"],
    )
    assert conform(table, frame)["factor"].to_list() == ["Growth", "Size", "Value", "Size"]
    with pytest.raises(InvalidFrame, match="factor Size"):
        conform(table, pl.concat([frame, frame[3:]]))


def test_frames_of_the_engine_conform():
    market = make_market(7)
    panel = build_panel(market.frame(), market.sessions)
    at = len(panel.sessions) - 1
    risk = fit_risk_model(panel, [None] * len(panel.symbols), at=at)
    frames = {
        "symbol_factors": factor_frame(panel, fit_factors(panel, first=at, last=at), first=at),
        "risk_loadings": loadings_frame(panel, risk),
        "factor_covariance": covariance_frame(risk),
        "symbol_metrics": symbol_metrics(panel, pl.DataFrame(schema={"symbol": pl.String}), at=at),
    }
    for name, frame in frames.items():
        assert conform(TABLES[name], frame).height == frame.height > 0


def test_quarantine_of_the_engine_conforms():
    batch = prices(["A"], [MONDAY, date(2017, 11, 7)]).drop("symbol_id", "quality")
    batch = batch.with_columns(
        adj_close="close", open=pl.lit(-1.0), volume=pl.lit(-1.0), source=pl.lit("files")
    )
    accepted, quarantine = check_prices(batch, batch["session"].to_numpy())
    assert conform(TABLES["quarantine"], quarantine).height == 4
    assert conform(PRICES, accepted.with_columns(symbol_id=pl.lit(0))).height == 2


def test_unknown_names_are_refused():
    with pytest.raises(NotFound, match="prices"):
        table_named("price")
    with pytest.raises(NotFound, match="symbol"):
        tables_of("lunch")


def test_every_error_says_whether_retrying_helps():
    leaves = [
        error
        for _, error in inspect.getmembers(errors, inspect.isclass)
        if error not in (StorageError, Transient, Refused)
    ]
    assert len(leaves) > 5
    for error in leaves:
        assert sum(issubclass(error, branch) for branch in (Transient, Refused, Corrupt)) == 1
