"""Options in the snapshots of a refresh: against loops over lots and sessions, and against live values."""

from datetime import date, timedelta
from decimal import Decimal

import naive_option_book
import numpy as np
import polars as pl
import pytest
from naive import simple_returns
from naive_option_book import NaiveOption, Tape
from tolerance import assert_agree

from service import clock
from service.cli.app import run
from service.cli.progress import TerminalProgress
from service.composed import Compositions
from service.jobs.portfolio_refresh import refresh_portfolios
from service.live_book import LiveBook
from service.settings import Settings
from storage.portfolios import Portfolio
from storage.positions import Lot
from storage.store import open_store

LAST = date(2024, 6, 28)
N_SESSIONS = 260
FIRST = N_SESSIONS - 20  # of the computed sessions
GAP = (N_SESSIONS - 12, N_SESSIONS - 11)  # sessions that nobody computed
SPLIT = N_SESSIONS - 8
PROXIES = ("SPY", "TLT", "VTV", "VUG", "MTUM", "QUAL", "IWM", "USMV")
EQUITY = 500_000.0
LONG = date(2024, 12, 20)


@pytest.fixture(scope="module")
def tape():
    """A market of proxies and two stocks; XAA splits 2 for 1, XBB 3 for 2 on the same day."""
    rng = np.random.default_rng(12)
    sessions = [day.item() for day in clock.sessions_until(LAST, N_SESSIONS)]
    market = rng.normal(3e-4, 0.009, N_SESSIONS)
    close, returns, splits = {}, {}, {}
    for symbol in (*PROXIES, "XAA", "XBB"):
        own = rng.normal(0, 0.012 if symbol.startswith("X") else 0.004, N_SESSIONS)
        adjusted = 80 * np.exp(np.cumsum(market + own))
        factor = {"XAA": 2.0, "XBB": 1.5}.get(symbol, 1.0)
        if factor != 1:
            splits[symbol, SPLIT] = factor
        close[symbol] = adjusted * np.where(np.arange(N_SESSIONS) < SPLIT, factor, 1.0)
        returns[symbol] = simple_returns(adjusted)
    return Tape(sessions, close, returns, splits, {"XAA": 0.03, "SPY": 0.0})


@pytest.fixture(scope="module")
def path(tape, tmp_path_factory):
    """A store of that market, computed for its last twenty sessions but two."""
    folder = tmp_path_factory.mktemp("options")
    rows = [
        {
            "date": day,
            "symbol": symbol,
            "close": closes[at],
            "adj_close": closes[at] / tape.split(symbol, at, N_SESSIONS - 1),
            "volume": 1e6,
        }
        for symbol, closes in tape.close.items()
        for at, day in enumerate(tape.sessions)
    ]
    pl.DataFrame(rows).write_csv(folder / "prices.csv")
    actions = [(symbol, tape.sessions[at], "split", value) for (symbol, at), value in tape.splits.items()]
    actions.append(("GHOST", tape.sessions[SPLIT], "split", 5.0))
    actions.append(("TLT", tape.sessions[5], "dividend", 0.3))
    pl.DataFrame(actions, ["symbol", "date", "kind", "value"], orient="row").write_csv(folder / "actions.csv")
    profiles = [(symbol, value, tape.sessions[0]) for symbol, value in tape.yields.items()]
    profiles.append(("XAA", 0.5, LAST + timedelta(days=1)))  # known later than any session
    pl.DataFrame(profiles, ["symbol", "dividend_yield", "as_of"], orient="row").write_csv(
        folder / "profiles.csv"
    )
    spans = ((FIRST, GAP[0] - 1), (GAP[1] + 1, N_SESSIONS - 1))
    for arguments in (
        ["ingest-actions", folder / "actions.csv"],
        ["ingest", folder / "prices.csv"],
        ["ingest-profiles", folder / "profiles.csv"],
        *(["backfill", "--from", tape.sessions[one], "--to", tape.sessions[other]] for one, other in spans),
    ):
        assert run([*map(str, arguments), "--store", str(folder / "store")]) == 0
    return folder / "store"


def option(symbol, quantity, moneyness, expiration, is_call, **changes):
    """A lot struck at 80 times ``moneyness``, entered before the first snapshot."""
    given = {"entry_price": 2.5, "entered": FIRST, "entry": date(2024, 5, 6)} | changes
    return NaiveOption(
        symbol, quantity, strike=round(80 * moneyness, 2), expiration=expiration, is_call=is_call, **given
    )


@pytest.fixture(scope="module")
def lots(tape):
    at = tape.sessions
    later = N_SESSIONS - 5
    saturday = next(day + timedelta(days=1) for day in at[FIRST + 2 :] if day.weekday() == 4)
    return {
        "stock": NaiveOption("XAA", 100.0, 120.0, FIRST, date(2024, 1, 5)),
        "call": option("SPY", 2.0, 1.1, LONG, True),
        "written put over a split": option("XAA", -3.0, 2.2, LONG, False),
        "call over an uneven split": option("XBB", 4.0, 1.4, LONG, True),
        "expires on a session": option("SPY", -5.0, 0.8, at[FIRST + 4], True),
        "expires worthless": option("SPY", 7.0, 0.1, at[FIRST + 4], False),
        "expires on a Saturday": option("SPY", 3.0, 3.0, saturday, False),
        "expires in the gap": option("SPY", 3.0, 0.5, at[GAP[0]], True),
        "expires before the split": option("XAA", 2.0, 1.2, at[SPLIT - 1], True),
        "expires on the split": option("XAA", 2.0, 1.2, at[SPLIT], True),
        "expires on the last day": option("SPY", 1.0, 0.7, LAST, True),
        "expired before": option("SPY", 9.0, 0.7, at[FIRST - 1], True),
        "entered late": option("SPY", 2.0, 1.3, LONG, True, entered=later),
        "bought later": option("XAA", 2.0, 0.9, LONG, True, entered=later, entry=at[later]),
        "sold": option("SPY", 4.0, 1.2, LONG, True, sold=SPLIT + 1, sold_for=9.5),
        "sold at an unknown price": option("XAA", 4.0, 2.1, LONG, True, sold=SPLIT + 2),
    }


@pytest.fixture(scope="module")
def days():
    return [day for day in range(FIRST, N_SESSIONS) if day not in GAP]


@pytest.fixture(scope="module")
def store(path, tape, lots):
    """The store after a refresh: a portfolio in two goes, and at once with two lots without a price."""
    with open_store(path) as store:
        for name in ("Main", "Same"):
            draft = Portfolio(
                name, name, starting_equity=Decimal(EQUITY), starting_session=tape.sessions[FIRST]
            )
            portfolio = store.ledger.portfolios.create("ann", draft)
            for label, lot in lots.items():
                entered = tape.sessions[lot.entered]
                store.ledger.positions.add(
                    portfolio.portfolio_id, [_as_entered(tape, label, lot)], entered_session=entered
                )
        unknown = Lot("NOSUCH-1", Decimal(1), Decimal(2), date(2024, 1, 5), "OPTIONS", **_terms("NOSUCH"))
        ghost = Lot("GHOST", Decimal(20), Decimal(1000), date(2024, 1, 5), "PUBLIC")
        entered = tape.sessions[FIRST]
        store.ledger.positions.add(portfolio.portfolio_id, [unknown, ghost], entered_session=entered)
        with TerminalProgress() as progress:
            ids = [each.portfolio_id for each in store.ledger.portfolios.everyones()]
            refresh_portfolios(store, Settings(backfill_sessions=7), progress, portfolio_ids=ids[:1])
            refresh_portfolios(store, Settings(), progress)
        yield store


def _terms(symbol, strike=80.0, expiration=LONG, is_call=True):
    kind = "CALL" if is_call else "PUT"
    return {
        "underlying_symbol": symbol,
        "strike_price": Decimal(str(strike)),
        "expiration_date": expiration,
        "option_type": kind,
    }


def _as_entered(tape, label, lot):
    sold = {} if lot.sold is None else {"exit_date": tape.sessions[lot.sold]}
    if lot.sold_for is not None:
        sold["exit_price"] = Decimal(str(lot.sold_for))
    given = (Decimal(str(lot.quantity)), Decimal(str(lot.entry_price)), lot.entry)
    if lot.is_call is None:
        return Lot(lot.symbol, *given, "PUBLIC", **sold)
    terms = _terms(lot.symbol, lot.strike, lot.expiration, lot.is_call)
    return Lot(label.replace(" ", "-").upper(), *given, "OPTIONS", **terms, **sold)


@pytest.fixture(scope="module")
def books(tape, lots, days):
    return naive_option_book.keep_books(tape, list(lots.values()), EQUITY, days)


def rows_of(store, table, name):
    portfolio = next(each for each in store.ledger.portfolios.everyones() if each.name == name)
    return store.read(table, portfolios=[portfolio.portfolio_id]).sort("session")


@pytest.mark.parametrize("name", ["Main", "Same"])
def test_nav_is_what_a_loop_over_lots_and_sessions_says(store, books, tape, days, name):
    nav, values, _ = books
    assert np.isfinite([*nav.values(), *(value for day in days for value in values[day].values())]).all()
    rows = rows_of(store, "portfolio_snapshots", name)
    assert rows["session"].to_list() == [tape.sessions[day] for day in days]
    assert_agree(rows["nav"], [nav[day] for day in days], 1e-9)
    assert_agree(rows["net"], [sum(values[day].values()) for day in days], 1e-9)
    assert_agree(rows["pnl"][1:], np.diff([nav[day] for day in days]), 1e-7)
    assert (rows["n_positions"] - 2 * (name == "Same")).to_list() == [len(values[day]) for day in days]


def test_each_lot_on_each_session(store, books, tape, lots, days):
    _, values, earned = books
    labels = {"XAA": "stock"} | {label.replace(" ", "-").upper(): label for label in lots}
    rows = rows_of(store, "position_values", "Main")
    for day in days:
        found = {
            labels[row["symbol"]]: row
            for row in rows.filter(pl.col("session") == tape.sessions[day]).iter_rows(named=True)
        }
        assert set(found) == {list(lots)[place] for place in values[day]}
        for place, (label, lot) in enumerate(lots.items()):
            if label in found:
                row, factor = found[label], lot.factor(tape, day)
                assert_agree(row["market_value"], values[day][place], 1e-9, what=f"{label} {day}")
                assert_agree(row["quantity"], lot.quantity * factor, 1e-12, what=label)
                gain = values[day][place] - lot.size * lot.entry_price
                assert_agree(row["unrealized_pnl"], gain, 1e-8, what=label)
                if day != days[0]:
                    assert_agree(row["pnl"], earned[day][place], 1e-7, what=f"{label} {day}")


def test_reasons(store, tape, days):
    rows = rows_of(store, "position_values", "Same")

    def codes(symbol, day):
        row = rows.filter((pl.col("symbol") == symbol) & (pl.col("session") == tape.sessions[day]))
        return row["quality"].item(), set((row["reasons"].item() or "").split(",")) - {"forecast_clipped"}

    model = {"model_vol", "model_price"}
    assert codes("CALL", days[0]) == ("degraded", model)
    assert codes("WRITTEN-PUT-OVER-A-SPLIT", SPLIT - 1) == ("degraded", model)
    assert codes("WRITTEN-PUT-OVER-A-SPLIT", SPLIT) == ("degraded", model | {"split_adjusted"})
    assert codes("CALL-OVER-AN-UNEVEN-SPLIT", days[1]) == ("degraded", model | {"no_dividend_yield"})
    assert codes("EXPIRES-ON-THE-LAST-DAY", days[-1]) == ("degraded", {"model_price"})
    assert codes("NOSUCH-1", days[3])[0] == "unavailable"
    assert "option_not_priced" in codes("NOSUCH-1", days[3])[1]
    whole = rows_of(store, "portfolio_snapshots", "Main").filter(
        pl.col("session") == tape.sessions[SPLIT + 2]
    )
    assert "exit_price_missing" in whole["reasons"].item()


def test_live_values_are_those_of_the_snapshot(store):
    live = LiveBook(store, Settings().option_rate)
    live.refresh()
    for portfolio in store.ledger.portfolios.everyones():
        composed = Compositions(store.ledger).of(portfolio, live.market, live.accounts)
        rows = rows_of(store, "position_values", portfolio.name).filter(pl.col("session") == LAST)
        stored = {row["position_id"]: row for row in rows.iter_rows(named=True)}
        assert set(stored) == set(composed.places)
        for position_id, place in composed.places.items():
            row, value = stored[position_id], composed.valuation
            for name, live_values in (
                ("quantity", composed.positions.quantity),
                ("price", value.price),
                ("market_value", value.market_value),
                ("unrealized_pnl", value.unrealized_pnl),
            ):
                expected = np.nan if row[name] is None else row[name]
                assert_agree(live_values[place], expected, 1e-12, what=name)
        snapshot = rows_of(store, "portfolio_snapshots", portfolio.name).row(-1, named=True)
        assert composed.valuation.nav == snapshot["nav"]
        assert_agree(composed.valuation.net, snapshot["net"], 1e-12)
        exposures = rows_of(store, "portfolio_exposures", portfolio.name).filter(pl.col("session") == LAST)
        found = dict(zip(composed.exposures.names, composed.exposures.coverage, strict=True))
        assert found == pytest.approx(dict(exposures.select("factor", "coverage").iter_rows()), rel=1e-12)
        beta = composed.exposures.beta[composed.exposures.names.index("Market Beta (90D)")]
        assert_agree(beta, snapshot["market_beta"], 1e-12)
