"""Every provider reads its own shape into the same prices, actions, profiles and statements."""

from collections.abc import Iterator
from datetime import date

import polars as pl
import pytest
from market_server import Fault, MarketServer, answering, market_server
from market_shapes import Bar, Listing, weekdays

from service.errors import UsageError
from service.providers.configured import fundamental_source, price_source, profile_source
from service.providers.files import NUMBERS, no_actions
from service.providers.frames import found as found_in
from service.providers.outcomes import Failed, Fetched, Outcome, Span
from service.settings import ProviderSettings, Settings
from storage.schemas import TABLES

NAMES = ("tiingo", "eodhd", "fmp", "massive", "yahoo")
DAYS = weekdays(date(2024, 5, 1), 20)
SPAN = (DAYS[0], DAYS[-1])
SPLIT, PAID = DAYS[8], DAYS[13]
KEY = "k3y-0f-7he+provider"


@pytest.fixture(scope="module")
def serving() -> Iterator[MarketServer]:
    with market_server() as market:
        yield market


@pytest.fixture
def market(serving: MarketServer) -> Iterator[MarketServer]:
    serving.reset()
    plain = [Bar(day, 50.0 + at) for at, day in enumerate(DAYS)]
    serving.listings["AAA"] = Listing(plain)
    serving.listings["BRK.B"] = Listing([Bar(day, 400.0) for day in DAYS])
    halved = [Bar(day, (100.0 if day < SPLIT else 50.0) + at) for at, day in enumerate(DAYS)]
    serving.listings["ACT"] = Listing(halved, splits={SPLIT: 2.0}, dividends={PAID: 0.5})
    gone = weekdays(date(2024, 1, 2), 5)
    serving.listings["GONE"] = Listing([Bar(day, 7.0) for day in gone], is_delisted=True)
    return serving


def configured(market: MarketServer, *names: str, **changes: object) -> Settings:
    provider = ProviderSettings(key=KEY, url=market.url, rates=("10000/s",))
    return Settings(providers=names, **dict.fromkeys(NAMES, provider), **changes)


def fetched(market: MarketServer, name: str, symbol: str, span: Span = SPAN) -> Outcome:
    return dict(price_source(configured(market, name)).fetch({symbol: span}))[symbol]


@pytest.mark.parametrize("name", NAMES)
def test_prices(market: MarketServer, name: str) -> None:
    span = (DAYS[2], DAYS[11])
    found = fetched(market, name, "AAA", span)
    assert isinstance(found, Fetched)
    assert found.prices.columns == ["symbol", "session", *NUMBERS, "source"]
    assert found.actions.columns == ["symbol", "session", "kind", "value", "new_symbol", "source"]
    prices = found.prices.sort("session")
    assert prices["session"].to_list() == DAYS[2:12]
    assert prices["close"].to_list() == [bar.close for bar in market.listings["AAA"].bars[2:12]]
    assert prices.schema["adj_close"] == prices.schema["volume"] == pl.Float64
    assert set(prices["symbol"]) == {"AAA"}
    assert set(prices["source"]) == {name}
    assert set(prices["volume"]) == {1e6}
    if name == "massive":
        assert prices["adj_close"].null_count() == prices.height
    else:
        assert prices["adj_close"].to_list() == prices["close"].to_list()


@pytest.mark.parametrize("name", NAMES)
def test_spelling(market: MarketServer, name: str) -> None:
    found = fetched(market, name, "BRK.B")
    assert found.prices["symbol"].unique().to_list() == ["BRK.B"]
    asked = market.asked[0]
    spelled = {"eodhd": "BRK-B.US", "massive": "BRK.B"}.get(name, "BRK-B")
    assert asked.query["symbol"] == spelled if name == "fmp" else f"/{spelled}" in asked.path


@pytest.mark.parametrize("name", NAMES)
def test_a_split_and_a_dividend(market: MarketServer, name: str) -> None:
    """Closes are as traded and adjusted closes for total returns; where a source has less, it says so."""
    listing = market.listings["ACT"]
    found = fetched(market, name, "ACT")
    prices = found.prices.sort("session")
    raw = [bar.close for bar in listing.bars]
    shares = [2.0 if day < SPLIT else 1.0 for day in DAYS]
    before = raw[DAYS.index(PAID) - 1]
    left = [1.0 - 0.5 / before if day < PAID else 1.0 for day in DAYS]
    if name == "massive":
        assert prices["close"].to_list() == pytest.approx([r / s for r, s in zip(raw, shares, strict=True)])
        assert found.actions.is_empty()
        return
    assert prices["close"].to_list() == pytest.approx(raw)
    assert prices["volume"].to_list() == pytest.approx([1e6] * len(DAYS))
    adjusted = [r / s * x for r, s, x in zip(raw, shares, left, strict=True)]
    assert prices["adj_close"].to_list() == pytest.approx(adjusted)
    actions = found.actions.select("session", "kind", "value").sort("session").rows()
    assert actions == [(SPLIT, "split", 2.0), (PAID, "dividend", pytest.approx(0.5))]


@pytest.mark.parametrize("name", ["eodhd", "fmp"])
def test_what_happened_is_asked_for_where_prices_show_it(market: MarketServer, name: str) -> None:
    market.listings["ACT"].dividends = {PAID: 0.01}
    fetched(market, name, "ACT", (PAID, DAYS[-1]))
    assert not any("split" in path.removesuffix("non-split-adjusted") for path in market.paths())
    found = fetched(market, name, "ACT", (DAYS[DAYS.index(PAID) - 1], DAYS[-1]))
    assert found.actions.select("kind", "value").rows() == [("dividend", 0.01)]


def test_a_later_split_is_taken_back_from_yahoo(market: MarketServer) -> None:
    span = (DAYS[0], DAYS[4])
    found = fetched(market, "yahoo", "ACT", span)
    assert found.prices["close"].to_list() == pytest.approx([100.0, 101.0, 102.0, 103.0, 104.0])
    assert found.actions.is_empty()


@pytest.mark.parametrize("name", ["massive", "yahoo"])
@pytest.mark.parametrize("change", [date(2024, 3, 7), date(2024, 10, 31)])
def test_time_stamps_over_a_change_of_the_clocks(market: MarketServer, name: str, change: date) -> None:
    days = weekdays(change, 4)
    market.listings["AAA"] = Listing([Bar(day, 10.0) for day in days])
    assert fetched(market, name, "AAA", (days[0], days[-1])).prices["session"].to_list() == days


def test_pence(market: MarketServer) -> None:
    market.listings["VOD"] = Listing([Bar(day, 0.72) for day in DAYS], dividends={PAID: 0.04}, currency="GBp")
    found = fetched(market, "yahoo", "VOD")
    assert found.prices["close"].to_list() == pytest.approx([0.72] * len(DAYS))
    assert found.actions["value"].to_list() == pytest.approx([0.04])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_there(market: MarketServer, name: str) -> None:
    unknown = fetched(market, name, "NOSUCH")
    assert isinstance(unknown, Failed)
    assert unknown.kind == "unknown_symbol"
    early = fetched(market, name, "AAA", (date(2023, 1, 2), date(2023, 1, 31)))
    assert (early.kind, "2023-01-02" in early.message) == ("no_data", True)
    gone = fetched(market, name, "GONE")
    if name in ("eodhd", "yahoo"):
        assert gone.kind == "no_data"
    else:
        assert gone.kind == "delisted"
        assert gone.last_session in (None, date(2024, 1, 8))


@pytest.mark.parametrize("name", NAMES)
def test_no_symbol_and_no_option_is_asked_for(market: MarketServer, name: str) -> None:
    for symbol in ("..", "A/B", "AAPL240621C00190000"):
        if (name, symbol[-1]) != ("massive", "0"):
            assert fetched(market, name, symbol).kind == "unknown_symbol"
    assert market.asked == []


def test_option_contracts(market: MarketServer) -> None:
    contract = "AAPL240621C00190000"
    market.listings[contract] = Listing([Bar(day, 3.5, volume=20.0) for day in DAYS[:5]])
    found = fetched(market, "massive", contract)
    assert found.prices.select("symbol", "close").row(0) == (contract, 3.5)
    assert market.paths() == [f"/v2/aggs/ticker/O:{contract}/range/1/day/{SPAN[0]}/{SPAN[1]}"]
    assert fetched(market, "massive", contract, (DAYS[10], DAYS[12])).kind == "no_data"
    both = configured(market, "tiingo", "massive")
    found = dict(price_source(both).fetch(dict.fromkeys(["AAA", contract], SPAN)))
    assert [outcome.prices["source"][0] for outcome in found.values()] == ["tiingo", "massive"]


def test_pages(market: MarketServer) -> None:
    assert fetched(market, "massive", "AAA").prices.height == len(DAYS)
    assert len(market.asked) == 3


def test_bulk(market: MarketServer) -> None:
    """Many symbols that want one session are fetched with the whole exchange, the others one by one."""
    day = PAID
    crowd = [f"S{at:03d}" for at in range(301)]
    market.listings |= {symbol: Listing([Bar(day, 10.0)]) for symbol in crowd[:-1]}
    source = price_source(configured(market, "eodhd"))
    wanted = dict.fromkeys([*crowd, "ACT", "BRK.B"], (day, day)) | {"AAA": SPAN}
    outcomes = list(source.fetch(wanted))
    assert sorted(symbol for symbol, _ in outcomes) == sorted(wanted)
    found = dict(outcomes)
    assert found["S000"].prices.select("session", "close").rows() == [(day, 10.0)]
    assert found["ACT"].actions.select("kind", "value").rows() == [("dividend", 0.5)]
    assert found["BRK.B"].prices.height == 1
    assert found["AAA"].prices.height == len(DAYS)
    assert found["S300"].kind == "unknown_symbol"
    bulk = [path for path in market.paths() if "bulk" in path]
    assert len(bulk) == 3
    assert len(market.asked) == 5


@pytest.mark.parametrize(
    "fault",
    [answering(403), answering(200, '[{"code": "S000", "date": "soon", "split": "2/1", "close": 1}]')],
)
def test_bulk_that_the_plan_does_not_have_or_nobody_can_read(market: MarketServer, fault: Fault) -> None:
    crowd = [f"S{at:03d}" for at in range(301)]
    market.listings |= {symbol: Listing([Bar(PAID, 10.0)]) for symbol in crowd}
    market.always = lambda asked: fault if "bulk" in asked.path else None
    found = dict(price_source(configured(market, "eodhd")).fetch(dict.fromkeys(crowd, (PAID, PAID))))
    assert all(isinstance(outcome, Fetched) for outcome in found.values())


def test_profiles(market: MarketServer) -> None:
    source = profile_source(configured(market, profile_provider="fmp", ny_time="2024-06-03T10:00"))
    found = dict(source.fetch_profiles(["AAA", "NOSUCH"]))
    assert found["NOSUCH"].kind == "unknown_symbol"
    profile = found["AAA"]
    assert dict(profile.schema) == dict(TABLES["profiles"].schema)
    assert profile.row(0, named=True) == {
        "symbol": "AAA",
        "name": "AAA Inc.",
        "sector": "Information Technology",
        "industry": "Software",
        "asset_class": "equity",
        "provider_beta": 1.25,
        "market_cap": 3e9,
        "pe_ratio": None,
        "dividend_yield": 0.03,
        "as_of": date(2024, 6, 3),
        "source": "fmp",
    }


def test_statements(market: MarketServer) -> None:
    source = fundamental_source(configured(market, fundamental_provider="fmp", ny_time="2024-06-03T10:00"))
    rows = dict(source.fetch_fundamentals(["AAA"]))["AAA"]
    assert dict(rows.schema) == dict(TABLES["fundamentals"].schema)
    assert rows.select("frequency", "statement", "item", "value").sort(pl.all()).rows() == [
        ("annual", "balance", "total_assets", 100.0),
        ("annual", "cash_flow", "operating_cash_flow", 100.0),
        ("annual", "income", "cost_of_revenue", 100.0),
        ("quarterly", "balance", "total_assets", 25.0),
        ("quarterly", "cash_flow", "operating_cash_flow", 25.0),
        ("quarterly", "income", "cost_of_revenue", 25.0),
    ]
    assert rows.select("period", "as_of").unique().row(0) == (date(2023, 12, 31), date(2024, 2, 20))


def test_a_key_is_needed() -> None:
    with pytest.raises(UsageError, match="RIDGELINE_TIINGO_KEY"):
        price_source(Settings(providers=("tiingo",)))


def test_rates_have_to_make_sense(market: MarketServer) -> None:
    provider = ProviderSettings(rates=("5/s", "3/min"))
    with pytest.raises(UsageError, match="longer window"):
        price_source(Settings(providers=("yahoo",), yahoo=provider))


def test_actions_of_one_day() -> None:
    day, no = date(2024, 5, 6), date(2024, 5, 7)
    rows = [(day, "dividend", 0.25), (day, "dividend", 1.0), (day, "dividend", 0.25), (day, "split", 2.0)]
    odd = [(no, "split", 0.0), (no, "dividend", -1.0), (no, "split", float("nan"))]
    actions = found_in("here", "AAA", (day, no), ([], {}), [*rows, *odd]).actions
    assert actions.select("kind", "value").rows() == [("dividend", 1.25), ("split", 2.0)]
    assert actions.schema == no_actions().schema
