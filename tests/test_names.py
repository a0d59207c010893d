"""Which company a symbol means on a day, and the histories that renamed symbols inherit."""

import math
from datetime import date
from itertools import pairwise, product

import numpy as np
import polars as pl
import pytest
from stores import days

from service import clock
from service.book_loader import load_panel
from service.ingest import ingest_prices, ingest_table
from service.ingest_writes import ACTION_KEY
from service.jobs.renames import inherit
from service.names import Names, Rename, names_of, read_names
from service.providers.files import no_actions, no_prices
from storage.store import open_store

DAY = days(date(2024, 6, 1), 20)
SESSIONS = clock.sessions_between(date(2024, 1, 2), date(2024, 3, 28)).tolist()
S = 30  # the place of a rename among them


def known(renames, priced=None) -> Names:
    found = [Rename(symbol, DAY[at], new) for symbol, at, new in renames]
    return names_of(found, {name: [DAY[at] for at in places] for name, places in (priced or {}).items()})


def test_the_company_is_listed_under_its_new_name_from_the_rename_on():
    names = known([("A", 5, "B")])
    assert [names.on(DAY[at], "A", DAY[0]) for at in (0, 4, 5, 9)] == ["A", "A", "B", "B"]
    assert names.on(DAY[9], "A", DAY[9]) == "B"  # who still calls it by its old name
    assert names.on(DAY[9], "B", DAY[0]) == "B"
    assert names.on(DAY[9], "C", DAY[0]) == "C"


def test_a_reused_name_means_the_company_that_had_it_on_the_day():
    names = known([("A", 5, "B")], {"A": range(8, 20)})
    assert [names.on(DAY[15], "A", DAY[at]) for at in (0, 4, 5, 7, 8, 15)] == ["B"] * 4 + ["A"] * 2
    again = known([("A", 5, "B"), ("A", 12, "C")], {"A": range(8, 12)})
    assert [again.on(DAY[15], "A", DAY[at]) for at in (0, 7, 8, 11, 14)] == ["B", "B", "C", "C", "C"]
    assert again.on(DAY[10], "A", DAY[9]) == "A"


def test_a_name_that_another_company_takes_by_a_rename():
    """Prices under it from before that rename do not tell from when on it is the other company's."""
    names = known([("META", 3, "METV"), ("FB", 9, "META")], {"META": range(20)})
    assert [names.on(DAY[15], "META", DAY[at]) for at in (0, 3, 8, 9)] == ["METV"] * 3 + ["META"]
    assert names.on(DAY[15], "FB", DAY[12]) == "META"


def test_chains_circles_and_exchanges():
    chain = known([("A", 3, "B"), ("B", 6, "C"), ("C", 9, "D")])
    assert [chain.on(DAY[at], "A", DAY[0]) for at in (2, 3, 6, 9)] == ["A", "B", "C", "D"]
    assert chain.on(DAY[7], "B", DAY[1]) == "C"
    assert chain.reached({"B"}) == {"B", "C", "D"}
    circle = known([("A", 3, "B"), ("B", 6, "A")], {"A": range(6, 20), "B": range(3, 6)})
    assert [circle.on(DAY[at], "A", DAY[0]) for at in (2, 3, 6, 9)] == ["A", "B", "A", "A"]
    assert [circle.on(DAY[9], name, DAY[at]) for name, at in product("AB", (4, 8))] == ["A"] * 4
    swap = known([("A", 5, "B"), ("B", 5, "A")], {"A": range(5, 20), "B": range(5, 20)})
    assert [swap.on(DAY[at], "A", DAY[0]) for at in (4, 5, 9)] == ["A", "B", "B"]
    assert [swap.on(DAY[9], name, DAY[at]) for name, at in product("AB", (0, 5))] == ["B", "A", "A", "B"]


# --- histories -------------------------------------------------------------------------------------------


def closes(symbol, places, *, level=100.0, adj=1.0, single=False):
    """Prices that rise by one a session from a level on."""
    close = [level + at for at in places]
    n = len(close)
    return no_prices().vstack(
        pl.DataFrame(
            {
                "symbol": [symbol] * n,
                "session": [SESSIONS[at] for at in places],
                **dict.fromkeys(("open", "high", "low", "close"), close),
                "adj_close": [None if single else adj * each for each in close],
                "volume": [1e6] * n,
                "source": ["test"] * n,
            },
            schema=no_prices().schema,
        )
    )


def action(symbol, at, kind, value=None, new=None):
    row = (symbol, SESSIONS[at], kind, value, new, "test")
    return pl.DataFrame([row], schema=no_actions().schema, orient="row")


def rename(old, at, new):
    return action(old, at, "rename", new=new)


@pytest.fixture
def filled(tmp_path):
    """A function that stores prices and actions, and lets symbols inherit."""
    with open_store(tmp_path / "store") as store:

        def fill(prices, *actions):
            if actions:
                ingest_table(store, "corporate_actions", pl.concat(actions), ACTION_KEY)
            for frame in prices:
                ingest_prices(store, frame)
            inherit(store, SESSIONS[-1])
            release = store.release().number
            inherit(store, SESSIONS[-1])
            assert store.release().number == release
            return store

        yield fill


def adjusted(store, symbol):
    rows = store.read("prices", symbols=[symbol]).sort("session")
    return dict(rows.select("session", "adj_close").iter_rows())


def returns(store, symbol):
    prices = list(adjusted(store, symbol).values())
    return [b / a - 1 for a, b in pairwise(prices)]


RISING = [1 / (100 + at) for at in range(39)]


def test_a_history_goes_on_under_the_new_name_and_stays_under_the_old_one(filled):
    store = filled([closes("A", range(S)), closes("B", range(S, 40))], rename("A", S, "B"))
    assert list(adjusted(store, "A")) == SESSIONS[:S]
    assert list(adjusted(store, "B")) == SESSIONS[:40]
    assert returns(store, "B") == pytest.approx(RISING)


def test_a_chain_passes_its_history_on_in_one_release(filled):
    prices = [closes("A", range(10)), closes("B", range(10, 20)), closes("C", range(20, 40))]
    store = filled(prices)
    before = store.release().number
    filled([], rename("B", 20, "C"), rename("A", 10, "B"))
    assert store.release().number == before + 2  # the actions, and all that is inherited
    assert list(adjusted(store, "B")) == SESSIONS[:20]
    assert returns(store, "C") == pytest.approx(RISING)


def test_a_split_and_a_dividend_on_the_day_of_the_rename_make_no_return(filled):
    old, new = closes("A", range(S)), closes("B", range(S, 40)).with_columns(pl.col(pl.Float64) * 5)
    last = 100.0 + S - 1
    store = filled(
        [old, new],
        action("A", 10, "dividend", 1.0),
        rename("A", S, "B"),
        action("B", S, "split", 0.2),
        action("B", S, "dividend", 0.5),
    )
    growth = (100 + S) * 5 / ((last - 0.5 * 0.2) * 5) - 1
    assert returns(store, "B")[S - 1] == pytest.approx(growth)
    assert returns(store, "B")[: S - 1] == pytest.approx(RISING[: S - 1])
    assert store.read("prices", symbols=["B"]).filter(pl.col("quality") != "ok").is_empty()
    events = store.read("corporate_actions", symbols=["B"]).sort("session", "kind")
    assert events.select("session", "kind", "value").rows() == [
        (SESSIONS[10], "dividend", 1.0),
        (SESSIONS[S], "dividend", 0.5),
        (SESSIONS[S], "split", 0.2),
    ]


def test_a_rename_that_becomes_known_after_a_dividend(filled):
    """What the source has of the new symbol is adjusted for it, what is stored of the old one is not."""
    new = pl.concat([closes("B", range(S, 35), adj=0.9), closes("B", range(35, 40))])
    store = filled([closes("A", range(S)), new], rename("A", S, "B"), action("B", 35, "dividend", 13.4))
    assert returns(store, "B")[:34] == pytest.approx(RISING[:34])
    assert adjusted(store, "A")[SESSIONS[0]] == 100.0


def test_a_source_with_part_of_the_history_gets_what_is_older(filled):
    prices = [closes("A", range(S)), closes("B", range(20, 40), adj=0.8)]
    store = filled(prices, rename("A", S, "B"))
    assert returns(store, "B") == pytest.approx(RISING)
    assert adjusted(store, "B")[SESSIONS[0]] == pytest.approx(80.0)


def test_a_source_with_one_price_column(filled):
    prices = [closes("A", range(S), single=True), closes("B", range(S, 40), single=True)]
    store = filled(prices, rename("A", S, "B"))
    assert returns(store, "B") == pytest.approx(RISING)
    assert store.read("prices")["quality"].unique().to_list() == ["adjusted_only"]


def test_a_symbol_without_any_price_yet_has_those_before_the_rename(filled):
    store = filled([closes("A", range(S))], rename("A", S, "B"))
    assert list(adjusted(store, "B")) == SESSIONS[:S]
    later = rename("A", S, "B").with_columns(session=pl.lit(date(2024, 5, 1)), new_symbol=pl.lit("C"))
    assert adjusted(filled([], later), "C") == {}  # not before it happens


def test_nothing_is_inherited_from_another_company(filled):
    prices = [
        closes("A", range(10)),
        closes("B", range(10, 40)),
        closes("A", range(20, S), level=500.0),
        closes("C", range(S, 40), level=500.0),
        closes("D", range(40)),
        closes("E", range(40), level=300.0),
    ]
    store = filled(prices, rename("A", 10, "B"), rename("A", S, "C"), rename("D", 35, "E"))
    assert list(adjusted(store, "B")) == SESSIONS[:40]
    assert list(adjusted(store, "C")) == SESSIONS[20:40]
    assert adjusted(store, "E")[SESSIONS[34]] == 334.0


def test_a_circle_fills_what_its_first_name_lacked_and_ends(filled):
    prices = [closes("A", range(10)), closes("B", range(10, 20)), closes("A", range(20, 40))]
    store = filled(prices, rename("A", 10, "B"), rename("B", 20, "A"))
    assert list(adjusted(store, "B")) == SESSIONS[:20]
    assert list(adjusted(store, "A")) == [*SESSIONS[:10], *SESSIONS[11:40]]


# --- symbols that named another company before ------------------------------------------------------------


def seen(store, symbol, n_sessions):
    """Returns of a symbol in the panel of the first sessions, NaN where it has none."""
    panel = load_panel(store, store.release(), np.array(SESSIONS[:n_sessions], dtype="datetime64[D]"))
    row = panel.row(symbol)
    return [] if row is None else panel.returns[row].tolist()


def missing(n):
    return [math.nan] * n


def test_what_a_dead_company_left_behind_is_not_the_next_ones(filled):
    """Neither is its history mixed with another's: it is as on the days on which it was computed."""
    prices = [closes("B", range(10), level=7.0), closes("A", range(S)), closes("B", range(S, 40))]
    store = filled(prices, action("B", 12, "delisting"), rename("A", S, "B"))
    assert list(adjusted(store, "B")) == SESSIONS[:10] + SESSIONS[S:40]
    assert seen(store, "B", 40) == pytest.approx([*missing(S + 1), *RISING[S:]], nan_ok=True)
    assert seen(store, "B", S) == pytest.approx(
        [math.nan, *(1 / (7 + at) for at in range(9)), *missing(20)], nan_ok=True
    )
    assert seen(store, "A", S) == pytest.approx([math.nan, *RISING[: S - 1]], nan_ok=True)
    names = read_names(store, store.release(), SESSIONS[39])
    asked = [(S - 1, "B", 5), (S, "B", 5), (39, "B", S - 1), (39, "B", S), (39, "A", 5)]
    gone = f"B (delisted {SESSIONS[12]})"
    assert [names.on(SESSIONS[on], name, SESSIONS[at]) for on, name, at in asked] == [
        "B",
        gone,
        gone,
        "B",
        "B",
    ]


def test_a_symbol_that_changes_hands_in_one_session_makes_no_return_of_it(filled):
    prices = [closes("A", range(S)), closes("B", range(S), level=900.0)]
    prices += [closes("B", range(S, 40)), closes("C", range(S, 40), level=900.0)]
    store = filled(prices, rename("A", S, "B"), rename("B", S, "C"))
    assert seen(store, "B", 40) == pytest.approx([*missing(S + 1), *RISING[S:]], nan_ok=True)
    assert seen(store, "C", 40) == pytest.approx(
        [math.nan, *(1 / (900 + at) for at in range(39))], nan_ok=True
    )
    assert seen(store, "B", S)[-1] == pytest.approx(1 / (900 + S - 2))


def test_a_newcomer_under_an_old_name_has_no_past(filled):
    prices = [closes("A", range(S)), closes("B", range(S, 40)), closes("A", range(35, 40), level=3.0)]
    store = filled(prices, rename("A", S, "B"))
    assert seen(store, "B", 40) == pytest.approx([math.nan, *RISING], nan_ok=True)
    assert seen(store, "A", 40)[36:] == pytest.approx([1 / (3 + at) for at in range(35, 39)])
    assert np.isnan(seen(store, "A", 40)[:36]).all()
    assert seen(store, "A", 34) == pytest.approx([math.nan, *RISING[: S - 1], *missing(4)], nan_ok=True)


def test_a_company_that_takes_its_own_name_back_keeps_its_past(filled):
    prices = [closes("A", range(10)), closes("B", range(10, 20)), closes("A", range(20, 40))]
    store = filled(prices, rename("A", 10, "B"), rename("B", 20, "A"))
    found = seen(store, "A", 40)
    assert found[1:10] == pytest.approx(RISING[:9])
    assert found[12:] == pytest.approx(RISING[11:])


def test_another_companys_history_is_not_continued_though_it_is_shorter(filled):
    prices = [closes("A", range(S)), closes("B", range(20, 40), level=300.0)]
    store = filled(prices, rename("A", S, "B"))
    assert list(adjusted(store, "B")) == SESSIONS[20:40]
