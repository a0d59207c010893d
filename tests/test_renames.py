"""Lots of a company that changes its name, night after night: as if it had kept it."""

import shutil
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from decimal import Decimal

import httpx
import numpy as np
import polars as pl
import pytest
from feeds import Feed
from naive_snapshot import NaiveLot, Stock, keep_books
from owners import keys_of
from polars.testing import assert_frame_equal
from service_process import serving
from tolerance import assert_agree

from service import clock
from service.composed import Composed, Compositions
from service.ingest import ingest_prices, ingest_table
from service.ingest_writes import ACTION_KEY
from service.jobs.portfolio_refresh import refresh_portfolios
from service.jobs.present_phases import restore_sectors
from service.jobs.progress import Silent
from service.jobs.session_batch import Outcome
from service.jobs.symbol_batch import run_symbol_batch
from service.jobs.symbol_onboarding import process_symbols
from service.live_book import LiveBook, Market
from service.onboarding import Form, create_portfolio
from service.onboarding_status import simple_status, standing
from service.portfolio_view import analyze_file
from service.providers.simulated import SimulatedMarket, simulate
from service.settings import Settings
from service.what_if import Trade, traded
from storage.portfolios import Portfolio
from storage.positions import Lot
from storage.schemas import tables_of
from storage.store import Store, open_store

DAYS = clock.sessions_between(date(2023, 3, 1), date(2024, 6, 28)).tolist()
MARKET = simulate(clock.sessions_between(DAYS[0], DAYS[-1]), n_symbols=12)
_, _, OLD, NEW, _, *PLAIN = MARKET.symbols
AT = DAYS.index(MARKET.actions["session"][0])  # the session of the rename
START, LAST = AT - 2, AT + 7  # the first night, and one on which the old name has no recent price
# The same company under its old name all the time.
KEPT = replace(
    MARKET,
    prices=MARKET.prices.with_columns(pl.col("symbol").replace({NEW: OLD})),
    actions=MARKET.actions.filter(pl.col("kind") != "rename"),
)


def night(store: Store, market: SimulatedMarket, at: int) -> Outcome:
    settings = Settings(ny_time=f"{DAYS[at]}T21:00")
    done = run_symbol_batch(store, settings, Silent(), sources=Feed(market, DAYS[at]).sources())
    refresh_portfolios(store, settings, Silent())
    return done


def stock(symbol: str, quantity: int, price: int) -> Lot:
    return Lot(symbol, Decimal(quantity), Decimal(price), DAYS[10], "PUBLIC")


def call(underlying: str, strike: int) -> Lot:
    terms = {"strike_price": Decimal(strike), "expiration_date": date(2024, 12, 20), "option_type": "CALL"}
    name = f"CALL-{strike}"
    return Lot(name, Decimal(2), Decimal(3), DAYS[10], "OPTIONS", underlying_symbol=underlying, **terms)


def enter(store: Store, name: str, at: int, lots: list[Lot]) -> str:
    draft = Portfolio(name, name, starting_equity=Decimal(50_000), starting_session=DAYS[at])
    return store.ledger.portfolios.create("ann", draft, lots).portfolio_id


def lots_at_first() -> list[Lot]:
    return [stock(OLD, 20, 50), stock(OLD, -5, 60), stock("SPY", 30, 100), stock(PLAIN[0], 15, 44)]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Stores of both markets after the same nights; between the last two, some are missed."""
    found = []
    for name, market in (("renamed", MARKET), ("kept", KEPT)):
        found.append(tmp_path_factory.mktemp("renames") / name)
        with open_store(found[-1]) as store:
            known = [symbol for symbol in MARKET.symbols if symbol != NEW]
            store.ledger.symbols.register(known, "simulated")
            night(store, market, START)
            enter(store, "One", START, lots_at_first())
            enter(store, "Options", START, [call(OLD, 60), call(PLAIN[0], 40)])
            for at in (AT - 1, AT, AT + 1):
                night(store, market, at)
            today = NEW if market is MARKET else OLD
            enter(store, "Later", AT + 1, [stock(OLD, 7, 50), stock(today, 8, 50), call(today, 60)])
            night(store, market, LAST)
    return tuple(found)


@pytest.fixture
def stores(paths):
    with ExitStack() as opened:
        yield tuple(opened.enter_context(open_store(path)) for path in paths)


@pytest.fixture
def renamed(paths, tmp_path):
    """A store of its own after the rename."""
    with open_store(shutil.copytree(paths[0], tmp_path / "store")) as store:
        yield store


def market_of(store: Store) -> Market:
    live = LiveBook(store, Settings().option_rate)
    assert live.refresh()
    assert live.market
    return live.market


def composed(store: Store, name: str) -> Composed:
    portfolio = next(each for each in store.ledger.portfolios.everyones() if each.name == name)
    live = LiveBook(store, Settings().option_rate)
    live.refresh()
    assert live.market
    return Compositions(store.ledger).of(portfolio, live.market, live.accounts)


def closes(symbol: str) -> dict[date, float]:
    """Closes of a company by its first name, from the market itself."""
    rows = KEPT.prices.filter(pl.col("symbol") == symbol)
    return dict(rows.select("session", "close").iter_rows())


def close_of(symbol: str, at: int) -> float:
    known = closes(symbol)
    return next(known[day] for day in reversed(DAYS[: at + 1]) if day in known)


def named(store: Store, table: str) -> pl.DataFrame:
    """A table of portfolios without random ids, in an order of its own, and under the old name alone."""
    names = {each.portfolio_id: each.name for each in store.ledger.portfolios.everyones()}
    places = {}
    for portfolio_id in names:
        for place, each in enumerate(store.ledger.positions.of(portfolio_id)):
            places[each.position_id] = str(place)
    frame = store.read(table).with_columns(pl.col("portfolio_id").replace_strict(names))
    if "position_id" in frame.columns:
        frame = frame.with_columns(pl.col("position_id").replace_strict(places))
    symbols = [name for name in frame.columns if name.startswith("symbol")]
    return frame.with_columns(pl.col(symbols).replace({NEW: OLD})) if symbols else frame


@pytest.mark.parametrize("table", [table.name for table in tables_of("portfolio")])
def test_every_number_of_every_portfolio_is_as_if_the_company_had_kept_its_name(stores, table):
    found, expected = (named(store, table) for store in stores)
    key = [name for name, kind in found.schema.items() if kind in (pl.String, pl.Date)]
    key = [name for name in key if name not in ("quality", "reasons")]
    assert found.height
    if table == "correlations":  # a pair is spelled in the order of its names
        pair = pl.concat_list("symbol_1", "symbol_2").list.sort().list.join("/")
        found, expected = (
            each.with_columns(pair.alias("symbol_1")).drop("symbol_2") for each in (found, expected)
        )
        key.remove("symbol_2")
    found, expected = found.sort(key), expected.sort(key)
    assert_frame_equal(found, expected, rel_tol=1e-10, abs_tol=1e-10)


def test_the_books_of_the_portfolio_kept_by_hand(stores):
    """Cash, and lots at the company's closes whatever its name; nothing of what the nights compute from."""
    stocks = {
        name: Stock({at: closes(name)[day] for at, day in enumerate(DAYS) if day in closes(name)})
        for name in (OLD, "SPY", PLAIN[0])
    }
    lots = [
        NaiveLot(lot.symbol, float(lot.quantity), float(lot.entry_price), START, 10)
        for lot in lots_at_first()
    ]
    days = range(START, LAST + 1)
    books = keep_books(stocks, lots, 50_000.0, {}, days)
    rows = named(stores[0], "portfolio_snapshots").filter(portfolio_id="One").sort("session")
    assert rows["session"].to_list() == DAYS[START : LAST + 1]
    assert_agree(rows["nav"], [books.nav[day] for day in days], 1e-10)
    assert_agree(rows["pnl"], np.diff([50_000.0, *books.nav.values()]), 1e-10)
    assert rows["coverage"].to_list() == [1.0] * rows.height


def test_the_betas_of_the_new_name_are_those_of_the_company(stores):
    since = (DAYS[AT], DAYS[LAST])
    found, expected = (
        store.read("symbol_factors", symbols=[symbol], sessions=since).sort("session", "factor")
        for store, symbol in zip(stores, (NEW, OLD), strict=True)
    )
    assert_frame_equal(found.drop("symbol"), expected.drop("symbol"), rel_tol=1e-12, abs_tol=1e-12)
    market = found.filter(factor="Market Beta (90D)", session=DAYS[AT + 1])
    assert market["n_obs"].item() == 90
    assert market["beta"].item() is not None
    metrics = stores[0].read("symbol_metrics", symbols=[NEW], sessions=(DAYS[AT], DAYS[AT]))
    assert metrics["realized_vol_63d"].item() is not None


def test_stored_lots_are_listed_under_the_name_of_the_session(stores):
    rows = stores[0].read("position_values")
    shown = rows.filter(pl.col("symbol").is_in([OLD, NEW]))
    days = shown.select("session", "symbol").unique().sort("session").rows()
    assert days == [(day, OLD if at < AT else NEW) for at, day in enumerate(DAYS) if START <= at <= LAST]
    # The options' volatilities have too short a history in the first nights.
    assert rows.filter(pl.col("price").is_null() & (pl.col("session") >= DAYS[AT])).is_empty()


def test_live_analytics_see_one_company(stores):
    found, later = composed(stores[0], "One"), composed(stores[0], "Later")
    assert found.positions.symbols == (NEW, NEW, "SPY", PLAIN[0])
    assert [each.lot.symbol for each in found.held] == [OLD, OLD, "SPY", PLAIN[0]]
    spot = close_of(OLD, LAST)
    assert_agree(found.valuation.price[:2], [spot, spot], 1e-12)
    assert len(found.concentration.weights) == 3
    assert later.positions.symbols[:2] == (NEW, NEW)
    assert len(later.holdings.rows) == 1  # an option on it as well
    assert_agree(found.valuation.unrealized_pnl[0], 20 * (spot - 50), 1e-12)
    assert found.valuation.nav == pytest.approx(composed(stores[1], "One").valuation.nav, rel=1e-12)


def test_an_option_on_the_old_name_has_the_price_of_one_on_the_new_name(stores):
    before, after = composed(stores[0], "Options"), composed(stores[0], "Later")
    assert before.positions.symbols[0] == "CALL-60"
    assert before.valuation.price[0] == after.valuation.price[2] > 0
    assert before.valuation.price[0] == composed(stores[1], "Options").valuation.price[0]


def test_onboarding_the_old_name_after_the_rename(renamed, tmp_path):
    csv = f"Symbol,Quantity,Entry Price Per Share,Entry Date\n{OLD},10,50.00,{DAYS[20]}\n"
    settings, market = Settings(ny_time=f"{DAYS[LAST]}T21:00"), market_of(renamed)
    form = Form("Upload", "Upload", "taxable", "10000", csv=csv.encode(), filename="x.csv")
    made = create_portfolio(renamed.ledger, settings, market, owner="ann", form=form)
    assert (made.unknown, renamed.ledger.symbol_queue.counts()["pending"]) == ((), 0)
    known = standing(renamed.ledger, settings, market, made.portfolio)
    assert (known.symbols, simple_status(known).status) == ((NEW,), "ready")
    found = composed(renamed, "Upload")
    assert found.valuation.market_value.tolist() == [10 * close_of(OLD, LAST)]
    assert np.isfinite(found.exposures.beta[found.exposures.names.index("Market Beta (90D)")])
    path = tmp_path / "lots.csv"
    path.write_text(csv)
    answer = analyze_file(renamed, settings, path, equity=None, asof=None, release=None)
    assert [(each["symbol"], each["quality"]) for each in answer["positions"]] == [(NEW, "ok")]


def test_an_old_name_that_nobody_ever_had_prices_of_is_not_fetched(renamed):
    row = ("BEFORE", DAYS[AT - 30], "rename", None, PLAIN[0], "simulated")
    action = pl.DataFrame([row], schema=MARKET.actions.schema, orient="row")
    ingest_table(renamed, "corporate_actions", action, ACTION_KEY)
    enter(renamed, "Loyal", LAST, [stock("BEFORE", 2, 40)])
    assert composed(renamed, "Loyal").valuation.market_value.tolist() == [2 * close_of(PLAIN[0], LAST)]
    feed, settings = Feed(MARKET, DAYS[LAST]), Settings(ny_time=f"{DAYS[LAST]}T21:00")
    process_symbols(renamed, settings, Silent(), feed.sources())
    assert feed.asked == {}


def test_trades_in_the_old_name_are_trades_in_the_company(renamed):
    before = composed(renamed, "One")
    after = traded(before.market, before, [Trade(OLD.lower(), -15.0)], None)
    assert after.positions.symbols == ("SPY", PLAIN[0])


def test_a_closed_lot_has_earned_what_it_was_sold_for(renamed):
    portfolio = next(each for each in renamed.ledger.portfolios.everyones() if each.name == "One")
    lot = renamed.ledger.positions.of(portfolio.portfolio_id)[0]
    renamed.ledger.positions.close(portfolio.portfolio_id, lot.position_id, DAYS[AT + 3], Decimal(70))
    found = composed(renamed, "One")
    assert found.realized_pnl == pytest.approx(20 * (70 - 50))
    assert found.listed(found.closed[0]) == NEW


def test_a_dividend_after_the_rename_of_a_source_that_begins_with_it(renamed):
    """The whole history is asked for anew and comes from the rename on: what is older is adjusted alike."""
    ex = LAST + 1
    after = (pl.col("symbol") == NEW) & (pl.col("session") < DAYS[ex])
    paid = pl.DataFrame(
        [(NEW, DAYS[ex], "dividend", 0.02 * close_of(OLD, LAST), None, "simulated")],
        schema=MARKET.actions.schema,
        orient="row",
    )
    adjusted = pl.when(after).then(pl.col("close") * 0.98).otherwise("adj_close").alias("adj_close")
    market = replace(
        MARKET, prices=MARKET.prices.with_columns(adjusted), actions=pl.concat([MARKET.actions, paid])
    )
    before = renamed.read("prices", symbols=[NEW])
    done = night(renamed, market, ex)
    assert (done.status, done.prices["failed"], done.prices["restated"]) == ("completed", 0, 1)
    assert done.sessions == [str(DAYS[ex])]  # not one return of the past is another one
    both = before.join(renamed.read("prices", symbols=[NEW]), on="session")
    assert both.height == before.height > AT
    assert_agree(both["adj_close_right"] / both["adj_close"], np.full(both.height, 0.98), 1e-14)
    assert both["close_right"].equals(both["close"])
    rows = named(renamed, "portfolio_snapshots").filter(portfolio_id="One", session=DAYS[ex])
    assert rows["income"].item() == pytest.approx(15 * 0.02 * close_of(OLD, LAST))


def test_a_source_that_lacks_rows_since_the_rename_still_fails(renamed):
    def change(prices: pl.DataFrame) -> pl.DataFrame:
        mine = pl.col("symbol") == NEW
        doubled = [
            pl.when(mine).then(pl.col(name) * 2).otherwise(name).alias(name)
            for name in ("close", "adj_close")
        ]
        return prices.filter(~mine | (pl.col("session") > DAYS[AT])).with_columns(doubled)

    before = renamed.read("prices", symbols=[NEW])
    feed = Feed(MARKET, DAYS[LAST + 1], change=change)
    settings = Settings(ny_time=f"{DAYS[LAST + 1]}T21:00")
    assert run_symbol_batch(renamed, settings, Silent(), sources=feed.sources()).prices["failed"] == 1
    assert renamed.read("prices", symbols=[NEW]).equals(before)


def test_another_company_under_the_old_name(renamed):
    """Lots are of the company that the name meant when they were entered."""
    other = MARKET.prices.filter((pl.col("symbol") == PLAIN[1]) & (pl.col("session") > DAYS[LAST]))
    night(renamed, MARKET, LAST + 1)
    ingest_prices(renamed, other.filter(pl.col("session") == DAYS[LAST + 1]).with_columns(symbol=pl.lit(OLD)))
    enter(renamed, "New", LAST + 1, [stock(OLD, 3, 20)])
    for at in (LAST + 2, LAST + 3):
        day = other.filter(pl.col("session") == DAYS[at]).with_columns(symbol=pl.lit(OLD))
        ingest_prices(renamed, day)
        night(renamed, MARKET, at)
    company, newcomer = close_of(OLD, LAST + 3), close_of(PLAIN[1], LAST + 3)
    assert company != newcomer
    assert composed(renamed, "One").positions.symbols[:2] == (NEW, NEW)
    assert composed(renamed, "Later").positions.symbols[:2] == (NEW, NEW)
    assert composed(renamed, "One").valuation.price[:2].tolist() == [company, company]
    new = composed(renamed, "New")
    assert (new.positions.symbols, new.valuation.price.tolist()) == ((OLD,), [newcomer])
    ids = {each.portfolio_id: each.name for each in renamed.ledger.portfolios.everyones()}
    rows = renamed.read("position_values", sessions=(DAYS[LAST + 3], DAYS[LAST + 3]))
    rows = rows.with_columns(pl.col("portfolio_id").replace_strict(ids))
    assert rows.filter(portfolio_id="New").select("symbol", "price").row(0) == (OLD, newcomer)
    assert rows.filter(portfolio_id="One", symbol=NEW)["price"].to_list() == [company, company]


def test_a_company_that_takes_its_old_name_back(renamed):
    back = LAST + 1
    again = (pl.col("symbol") == NEW) & (pl.col("session") >= DAYS[back])
    symbol = pl.when(again).then(pl.lit(OLD)).otherwise("symbol").alias("symbol")
    row = (NEW, DAYS[back], "rename", None, OLD, "simulated")
    rename = pl.DataFrame([row], schema=MARKET.actions.schema, orient="row")
    market = replace(
        MARKET, prices=MARKET.prices.with_columns(symbol), actions=pl.concat([MARKET.actions, rename])
    )
    last = back + 6  # on which the name between has no recent price
    for at in (back, last):
        assert night(renamed, market, at).prices["failed"] == 0
    assert OLD in renamed.ledger.symbols.active()
    assert NEW not in renamed.ledger.symbols.active()
    for name, lots in (("One", 2), ("Later", 2)):
        found = composed(renamed, name)
        assert found.positions.symbols[:lots] == (OLD,) * lots
        assert_agree(found.valuation.price[:lots], [close_of(OLD, last)] * lots, 1e-12)
    assert np.isfinite(found.exposures.beta[0])
    values = named(renamed, "portfolio_snapshots").filter(portfolio_id="One").sort("session")["nav"]
    worth = [
        sum(
            float(lot.quantity) * (close_of(lot.symbol, at) - close_of(lot.symbol, START))
            for lot in lots_at_first()
        )
        for at in range(START, last + 1)
    ]
    assert_agree(values, 50_000 + np.array(worth), 1e-10)


def test_through_the_service(paths, tmp_path):
    path = shutil.copytree(paths[0], tmp_path / "served")
    secret = keys_of(path)["ann"]
    now = {"RIDGELINE_NY_TIME": f"{DAYS[LAST]}T21:00"}
    with open_store(path) as store:
        portfolio = next(each for each in store.ledger.portfolios.everyones() if each.name == "One")
    mine, spot = portfolio.portfolio_id, close_of(OLD, LAST)
    with (
        serving(path, **now) as url,
        httpx.Client(base_url=f"{url}/api/v1", headers={"X-API-Key": secret}, timeout=60) as client,
    ):
        top = client.get(f"/data/positions/top/{mine}").json()["data"]
        betas = client.get(f"/analytics/portfolio/{mine}/positions/factor-exposures", params={"symbols": OLD})
        details = client.get("/data/positions/details", params={"portfolio_id": mine}).json()["positions"]
        one = client.get(f"/positions/{details[0]['id']}").json()
        quality = client.get(f"/data/portfolio/{mine}/data-quality").json()
        prices = client.get(f"/data/prices/historical/{mine}", params={"include_factor_etfs": False}).json()
        same = client.get("/positions/check-duplicate", params={"portfolio_id": mine, "symbol": NEW}).json()
        is_valid = client.post("/positions/validate-symbol", json={"symbol": OLD}).json()
    values = {each["symbol"]: each["value"] for each in top}
    assert values[NEW] == pytest.approx(15 * spot)
    assert OLD not in values
    shown = betas.json()["positions"]
    assert [each["symbol"] for each in shown] == [NEW, NEW]
    assert shown[0]["exposures"]["Market Beta (90D)"] is not None
    assert [(each["symbol"], each["market_value"]) for each in details[:2]] == [
        (OLD, pytest.approx(20 * spot)),
        (OLD, pytest.approx(-5 * spot)),
    ]
    assert (one["symbol"], one["last_price"]) == (OLD, pytest.approx(spot))
    assert NEW in str(quality)
    assert NEW in str(prices)
    assert same["has_duplicates"]
    assert is_valid


def test_a_lot_is_tagged_with_the_sector_of_the_company_that_it_is_of(renamed):
    profile = MARKET.profiles.filter(pl.col("symbol").is_in([OLD, NEW])).with_columns(
        pl.col("symbol").replace_strict({OLD: "Utilities", NEW: "Energy"}).alias("sector")
    )
    ingest_table(renamed, "profiles", profile, ["symbol", "as_of"])
    [one] = [each.portfolio_id for each in renamed.ledger.portfolios.everyones() if each.name == "One"]
    restore_sectors(renamed, [one])
    lots = renamed.ledger.positions.of(one)
    assert {each.sector for each in lots if each.lot.symbol == OLD} == {"Energy"}
