"""NAV and P&L of portfolios: against double-entry books, by hand, and what must never change."""

from dataclasses import replace

import numpy as np
import pytest
from naive_snapshot import NaiveLot, Stock, keep_books
from snapshots import NO_DAY, SESSIONS, Account, chain, random_account, random_stocks, take
from tolerance import assert_agree

from engine.lots import CASH, OPTION, PRIVATE, PUBLIC, LotPrices, Lots, Portfolios
from engine.quality import QUALITY, REASONS, reason_bit, reason_text
from engine.snapshot import Snapshots, compute_snapshots

NAN = float("nan")
PREV, TODAY = SESSIONS[20], SESSIONS[24]


@pytest.mark.parametrize("seed", range(12))
def test_nav_is_what_double_entry_books_say(seed):
    rng = np.random.default_rng(seed)
    stocks = random_stocks(rng)
    accounts = [random_account(rng, stocks) for _ in range(8)]
    books = [keep_books(stocks, a.lots, a.equity, a.flows, a.days) for a in accounts]
    starts = np.cumsum([0, *(len(a.lots) for a in accounts)])
    for at, (due, result) in chain(stocks, accounts).items():
        nav = [books[place].nav[at] for place in due]
        size = max(1.0, *np.abs(result.gross), *np.abs(nav))
        assert_agree(result.nav, nav, floor=size, what=f"nav of {at}")
        assert_agree(result.income, [books[place].income[at] for place in due], floor=size)
        values = [books[place].values[at] for place in due]
        worth = [sum(v for v in each.values() if v is not None) for each in values]
        assert_agree(result.net, worth, floor=size, what="net")
        assert_agree(result.gross, [sum(abs(v or 0.0) for v in each.values()) for each in values], floor=size)
        assert result.n_positions.tolist() == [len(each) for each in values]
        order = np.concatenate([np.arange(starts[place], starts[place + 1]) for place in due])
        owner = np.repeat(np.arange(len(due)), [len(accounts[place].lots) for place in due])
        lots = [values[o].get(int(place - starts[due[o]])) for o, place in zip(owner, order, strict=True)]
        assert_agree(result.lots.market_value, np.array(lots, dtype=float), floor=size, what="lots")


def daily(account: Account) -> Account:
    return replace(account, days=list(range(account.days[0], account.days[-1] + 1)))


@pytest.mark.parametrize("seed", range(8))
def test_a_missed_day_loses_nothing(seed):
    rng = np.random.default_rng(100 + seed)
    stocks = random_stocks(rng)
    accounts = [random_account(rng, stocks, late=False) for _ in range(6)]
    every, some = (chain(stocks, each) for each in ([daily(a) for a in accounts], accounts))
    for place, account in enumerate(accounts):
        whole, parts = np.zeros(2), np.zeros(2)
        for at in range(account.days[0], account.days[-1] + 1):
            whole += _earned(every[at], place)
            if at in account.days:
                parts += _earned(some[at], place)
                due, result = some[at]
                unpriced = result.reasons[due == place] & reason_bit("no_price")
                floor = account.equity + np.abs(whole).max()
                assert_agree(parts[1], whole[1], floor=floor, what=f"income up to {at}")
                if not unpriced.any():  # without a price, P&L waits for the next one
                    assert_agree(parts[0], whole[0], floor=floor, what=f"pnl up to {at}")


def _earned(found: tuple[np.ndarray, Snapshots], place: int) -> np.ndarray:
    due, result = found
    row = np.flatnonzero(due == place)[0]
    return np.array([result.pnl[row], result.income[row]])


@pytest.mark.parametrize("seed", range(4))
def test_splits_leave_nav_unchanged(seed):
    rng = np.random.default_rng(200 + seed)
    plain = {name: replace(stock, splits={}) for name, stock in random_stocks(rng).items()}
    split = {}
    for name, stock in plain.items():
        splits = (
            {} if stock.adjusted else {int(d): float(rng.choice([2, 3, 0.25])) for d in rng.choice(90, 3)}
        )
        factor = [np.prod([s for d, s in splits.items() if d <= at]) for at in range(90)]
        split[name] = replace(
            stock,
            splits=splits,
            close={at: price / factor[at] for at, price in stock.close.items()},
            dividends={at: amount / factor[at] for at, amount in stock.dividends.items()},
        )
    accounts = [random_account(rng, plain) for _ in range(6)]
    entered = [replace(a, lots=[_as_of_entry(lot, split) for lot in a.lots]) for a in accounts]
    before, after = chain(plain, accounts), chain(split, entered)
    for at, (due, result) in before.items():
        size = np.maximum([accounts[place].equity for place in due], result.gross)
        for name in ("nav", "pnl", "income", "gross", "unrealized_pnl", "realized_pnl"):
            assert_agree(getattr(after[at][1], name) / size, getattr(result, name) / size, what=name)


def _as_of_entry(lot: NaiveLot, stocks: dict[str, Stock]) -> NaiveLot:
    """The same lot in the shares of the day it was entered."""
    factor = stocks[lot.symbol].split_between(-1, lot.entered)
    sold = None if lot.exit is None else stocks[lot.symbol].split_between(-1, lot.exit)
    exit_price = None if lot.exit_price is None else lot.exit_price / sold
    return replace(
        lot, quantity=lot.quantity * factor, entry_price=lot.entry_price / factor, exit_price=exit_price
    )


def test_the_order_of_lots_changes_nothing():
    rng = np.random.default_rng(5)
    stocks = random_stocks(rng)
    accounts = [random_account(rng, stocks) for _ in range(5)]
    shuffled = [replace(a, lots=[a.lots[i] for i in rng.permutation(len(a.lots))]) for a in accounts]
    one, other = chain(stocks, accounts), chain(stocks, shuffled)
    for at, (_, result) in one.items():
        for name in ("nav", "pnl", "coverage", "n_positions", "reasons", "quality"):
            assert_agree(getattr(other[at][1], name), getattr(result, name), 1e-12, what=name)


# --- by hand ---------------------------------------------------------------------------------------------


def lot(kind=PUBLIC, quantity=10.0, entry_price=50.0, **changes) -> Lots:
    """One lot that the previous snapshot held at 100."""
    values = {
        "portfolio": 0,
        "kind": kind,
        "quantity": quantity,
        "multiplier": 1.0,
        "entry_price": entry_price,
        "entered_session": SESSIONS[0],
        "entry_date": SESSIONS[0],
        "exit_date": NO_DAY,
        "exit_price": NAN,
        "held": True,
        "reference_price": 100.0,
        "reference_session": PREV,
        **changes,
    }
    return Lots(**{name: np.array([value]) for name, value in values.items()})


def seen(**changes) -> LotPrices:
    """A lot's price of 110, and 100 before."""
    values = {
        "price": 110.0,
        "age": 0,
        "price_prev": 100.0,
        "price_exit": NAN,
        "split": 1.0,
        "split_since_entered": 1.0,
        "dividend": 0.0,
        "adjusted_only": False,
        "reasons": 0,
        **changes,
    }
    return LotPrices(**{name: np.array([value]) for name, value in values.items()})


def snapshot(lots, prices, *, prev=PREV, nav=5000.0, flow=0.0):
    portfolios = Portfolios(np.array([prev]), np.array([nav]), np.array([flow]))
    return compute_snapshots(lots, prices, portfolios, TODAY)


NEW = {"held": False, "reference_price": NAN, "reference_session": NO_DAY, "entered_session": SESSIONS[22]}
SOLD = {"exit_date": SESSIONS[22]}

CASES = {
    "held": (lot(), seen(), 100.0, None),
    "short": (lot(quantity=-10.0), seen(), -100.0, None),
    "bought since": (lot(**NEW, entry_date=SESSIONS[22]), seen(), 600.0, None),
    "bought on the day of the last snapshot": (lot(**NEW, entry_date=PREV), seen(), 100.0, None),
    "entered late": (lot(**NEW), seen(), 100.0, None),
    "entered late, never priced": (lot(**NEW), seen(price_prev=NAN), 600.0, "entry_price_reference"),
    "last used price, not the corrected one": (lot(), seen(price_prev=99.0), 100.0, None),
    "priced again after a gap": (lot(reference_session=SESSIONS[5]), seen(price_prev=NAN), 100.0, None),
    "price of prev known only now": (lot(reference_price=NAN), seen(price_prev=104.0), 60.0, None),
    "no price before": (
        lot(reference_price=NAN), seen(price_prev=NAN), 600.0, "entry_price_reference",
    ),
    "no price now": (lot(), seen(price=NAN, age=-1), 0.0, "no_price"),
    "no price now, but a dividend": (lot(), seen(price=NAN, age=-1, dividend=2.0), 20.0, "no_price"),
    "stale": (lot(), seen(age=3), 100.0, "stale_price"),
    "sold": (lot(**SOLD, exit_price=103.0), seen(), 30.0, None),
    "sold today": (lot(exit_date=TODAY, exit_price=103.0), seen(), 30.0, None),
    "sold at an unknown price": (lot(**SOLD), seen(price_exit=105.0), 50.0, "exit_price_missing"),
    "sold unseen": (lot(**SOLD), seen(), 0.0, "no_price,exit_price_missing"),
    "sale known late": (lot(exit_date=SESSIONS[18], exit_price=103.0), seen(), 30.0, None),
    "sold before it was entered": (lot(**NEW, exit_date=PREV, exit_price=103.0), seen(), 0.0, None),
    "bought and sold": (
        lot(**NEW, entry_date=SESSIONS[21], exit_date=SESSIONS[23], exit_price=53.0), seen(), 30.0, None,
    ),
    "sold later": (lot(exit_date=SESSIONS[25], exit_price=103.0), seen(), 100.0, None),
    "bought later": (lot(**{**NEW, "entry_date": SESSIONS[25]}), seen(), 0.0, None),
    "entered later": (lot(**{**NEW, "entered_session": SESSIONS[25]}), seen(), 0.0, None),
    "split 2:1": (lot(), seen(split=2.0, split_since_entered=4.0, price=55.0), 200.0, None),
    "dividend": (lot(), seen(dividend=1.5), 115.0, None),
    "a short pays": (lot(quantity=-10.0), seen(dividend=1.5), -115.0, None),
    "no dividends known": (lot(), seen(dividend=NAN), 100.0, "price_return"),
    "adjusted prices": (
        lot(), seen(adjusted_only=True, split=2.0, dividend=3.0), 100.0, "adjusted_only",
    ),
    "adjusted prices, restated": (
        lot(), seen(adjusted_only=True, price_prev=98.0), 120.0, "adjusted_only",
    ),
    "cash": (lot(CASH, entry_price=1.0, reference_price=1.0), seen(price=NAN, dividend=5.0), 0.0, None),
    "new cash": (lot(CASH, **NEW, entry_date=TODAY), seen(price=NAN, price_prev=NAN), 0.0, None),
    "private, unchanged": (lot(PRIVATE), seen(price=100.0, dividend=5.0, split=2.0), 0.0, None),
    "private, marked up": (lot(PRIVATE), seen(price=120.0), 200.0, None),
    "private, never marked": (lot(PRIVATE, reference_price=50.0), seen(price=NAN), 0.0, "entry_price_mark"),
    "option": (lot(OPTION, multiplier=100.0), seen(), 10_000.0, None),
    "option, no price": (lot(OPTION), seen(price=NAN), 0.0, "option_not_priced"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_pnl_of_one_lot(case):
    lots, prices, pnl, reasons = CASES[case]
    result = snapshot(lots, prices)
    assert result.pnl == pytest.approx([pnl], abs=1e-9)
    assert result.nav == pytest.approx([5000.0 + pnl])
    assert result.simple_return == pytest.approx([pnl / 5000.0], abs=1e-12)
    assert reason_text(result.lots.reasons).to_list() == [reasons]
    missing = reasons is not None and ("no_price" in reasons or "option_not_priced" in reasons)
    level = "unavailable" if missing else "degraded" if reasons else "ok"
    assert QUALITY[result.lots.quality[0]] == level


def test_exposures_of_a_book():
    lots = take(lot(), np.zeros(5, dtype=int), kind=np.array([PUBLIC, PUBLIC, CASH, OPTION, PUBLIC]))
    lots = replace(
        lots, quantity=np.array([10.0, -4.0, 300.0, 1.0, 7.0]), multiplier=np.array([1, 1, 1, 100, 1])
    )
    prices = LotPrices(**{n: np.repeat(getattr(seen(), n), 5) for n in LotPrices.__dataclass_fields__})
    prices = replace(prices, price=np.array([110.0, 110.0, NAN, 3.0, NAN]), age=np.array([0, 0, -1, 0, -1]))
    result = snapshot(lots, prices)
    pnl = 100 - 40 - 100 * 97
    assert result.nav == pytest.approx([5000 + pnl])
    assert (result.long[0], result.short[0], result.gross[0], result.net[0]) == (1400, -440, 1840, 960)
    assert result.cash == pytest.approx(result.nav - 960)
    assert result.unrealized_pnl == pytest.approx([600 - 240 + 100 * (3 - 50)])
    assert result.n_positions.tolist() == [4]
    assert result.coverage == pytest.approx([(1840 + 300) / (1840 + 300 + 350)])
    assert reason_text(result.reasons).to_list() == ["no_price,nav_not_positive,partial_coverage"]
    assert result.quality.tolist() == [1]


def test_the_first_snapshot_is_the_starting_equity():
    lots, prices = lot(**NEW), seen(dividend=3.0)
    result = snapshot(lots, prices, prev=NO_DAY, nav=1234.5, flow=99.0)
    assert (result.nav[0], result.pnl[0], result.flow[0], result.income[0]) == (1234.5, 0.0, 0.0, 0.0)
    assert np.isnan(result.simple_return[0])
    assert result.cash == pytest.approx([1234.5 - 1100])
    assert (result.lots.reference_price[0], result.lots.reference_session[0]) == (110.0, TODAY)
    assert snapshot(lots, prices, prev=NO_DAY, nav=NAN).nav == pytest.approx([1100.0])
    sold = replace(lots, exit_date=np.array([TODAY]))
    assert snapshot(sold, prices, prev=NO_DAY).n_positions.tolist() == [0]


def test_what_was_not_priced_is_made_good():
    missing = snapshot(lot(), seen(price=NAN, age=-1, split=2.0, split_since_entered=2.0))
    assert (missing.pnl[0], missing.lots.reference_price[0]) == (0.0, 50.0)
    assert missing.lots.reference_session[0] == PREV
    bought = snapshot(lot(**NEW, entry_date=SESSIONS[22]), seen(price=NAN))
    assert bought.lots.reference_price[0] == 50.0  # its gain since then is ours
    never = snapshot(lot(reference_price=NAN), seen(price=NAN, price_prev=NAN))
    assert np.isnan(never.lots.reference_price[0])  # a close that arrives late still counts


def test_realized_pnl_is_since_entry():
    result = snapshot(lot(**SOLD, exit_price=103.0), seen(split_since_entered=2.0))
    assert result.realized_pnl == pytest.approx([2060 - 500])
    assert result.unrealized_pnl.tolist() == [0.0]
    assert np.isnan(result.lots.market_value[0])
    assert result.net.tolist() == [0.0]


def test_a_withdrawal_is_no_loss():
    with_flow, without = (snapshot(lot(), seen(), flow=flow) for flow in (-2000.0, 0.0))
    assert with_flow.nav == pytest.approx(without.nav - 2000)
    assert with_flow.pnl == pytest.approx(without.pnl)
    assert with_flow.simple_return == pytest.approx(without.simple_return)
    assert with_flow.flow.tolist() == [-2000.0]


def test_portfolios_without_positions_keep_their_nav_as_cash():
    nothing = take(lot(), np.zeros(0, dtype=int))
    prices = LotPrices(**{n: getattr(seen(), n)[:0] for n in LotPrices.__dataclass_fields__})
    prev, nav = np.array([PREV, NO_DAY]), np.array([700.0, 800.0])
    result = compute_snapshots(nothing, prices, Portfolios(prev, nav, np.array([50.0, 0.0])), TODAY)
    assert result.nav.tolist() == result.cash.tolist() == [750.0, 800.0]
    assert result.simple_return[0] == 0.0
    assert np.isnan(result.coverage).all()
    assert result.quality.tolist() == [0, 0]


@pytest.mark.parametrize("nav", [0.0, -100.0])
def test_no_return_on_a_nav_that_is_not_positive(nav):
    result = snapshot(lot(), seen(), nav=nav)
    assert result.nav == pytest.approx([nav + 100])
    assert np.isnan(result.simple_return[0])
    assert reason_text(result.reasons).to_list() == ["nav_not_positive"]


def test_a_nav_that_cannot_be_known_is_unavailable():
    result = snapshot(lot(), seen(), nav=NAN)
    assert np.isnan(result.nav[0])
    assert QUALITY[result.quality[0]] == "unavailable"


def test_a_session_that_has_its_snapshot_is_refused():
    with pytest.raises(ValueError, match="already"):
        snapshot(lot(), seen(), prev=TODAY)


@pytest.mark.parametrize("n", [0, 1, 40, 200_000])
def test_reasons_are_spelled_out_whatever_bits_they_have(n):
    masks = np.random.default_rng(n).choice([0, 1, 1 << 22 | 1, 1 << 15 | 1 << 3], n).astype(np.uint32)
    found = reason_text(masks)
    assert found.len() == n
    codes = {int(m): [c for bit, c in enumerate(REASONS) if int(m) >> bit & 1] for m in np.unique(masks)}
    assert found.to_list() == [",".join(codes[m]) or None for m in masks.tolist()]
