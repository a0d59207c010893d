"""Yahoo's charts: not an official interface, so best effort and never a default."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, TypeAlias
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from service import clock
from service.providers.frames import answerable, dashed, echoed, found, no_data
from service.providers.outcomes import Failed, Outcome, Outcomes, Span
from service.providers.remote import Access, Asking, Remote
from service.providers.replies import UnansweredError, refused

NAME = "yahoo"
URL = "https://query1.finance.yahoo.com"
RATES = ("2/s", "1000/h")
HUNDREDTHS = ("GBp", "GBX", "ZAc", "ILA")  # quoted in hundredths of the currency
BARS = ("open", "high", "low", "close")
Seconds: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**33), le=2**35)]  # since 1970, within centuries


class Meta(msgspec.Struct, rename="camel"):
    """Which symbol, in which currency, and where its days begin."""

    symbol: str
    currency: str | None = None
    exchange_timezone_name: str = "America/New_York"


class Quote(msgspec.Struct):
    """Columns of numbers, null where nothing was traded."""

    open: list[float | None] = []
    high: list[float | None] = []
    low: list[float | None] = []
    close: list[float | None] = []
    volume: list[float | None] = []


class AdjClose(msgspec.Struct):
    """Closes adjusted for splits and dividends."""

    adjclose: list[float | None] = []


class Indicators(msgspec.Struct):
    """What is told for every time stamp."""

    quote: list[Quote]
    adjclose: list[AdjClose] = []


class Dividend(msgspec.Struct):
    """An amount per share, of today's shares."""

    date: Seconds
    amount: float


class Split(msgspec.Struct):
    """New shares and old ones."""

    date: Seconds
    numerator: float
    denominator: float


class Events(msgspec.Struct):
    """What happened, by time stamp."""

    dividends: dict[str, Dividend] = {}
    splits: dict[str, Split] = {}


class Result(msgspec.Struct):
    """One symbol's chart."""

    meta: Meta
    indicators: Indicators
    timestamp: list[Seconds] = []
    events: Events | None = None


class Problem(msgspec.Struct):
    """Why there is no chart."""

    code: str = ""
    description: str = ""


class Chart(msgspec.Struct):
    """Results, or a problem."""

    result: list[Result] | None = None
    error: Problem | None = None


class Answer(msgspec.Struct):
    """The whole answer."""

    chart: Chart


class Yahoo:
    """Prices: ``adj_close`` for splits and dividends, and ``close`` as traded.

    Yahoo's own ``close`` is adjusted for splits. It is asked for everything up to now, so that all splits
    since are known and can be taken back: a lot is valued in the shares of its day.
    """

    name = NAME

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def fetch(self, requests: Mapping[str, Span]) -> Outcomes:
        """Yield every symbol once, as it arrives."""
        return self._remote.each(requests, _outcome)


def access() -> Access:
    """Return how Yahoo is asked: as a browser does."""
    return Access(URL, RATES, headers={"User-Agent": "Mozilla/5.0"})


def _outcome(ask: Asking, symbol: str, span: Span) -> Outcome:
    if unasked := answerable(NAME, symbol):
        return unasked
    until = clock.utc_now() + timedelta(days=1)
    params = {"period1": _seconds(span[0]), "period2": str(int(until.timestamp())), "interval": "1d"}
    try:
        answer: Answer = ask.get(
            Answer, f"/v8/finance/chart/{quote(dashed(symbol))}", {**params, "events": "div,splits"}
        )
    except UnansweredError as error:
        if "exist for startDate" in error.failed.message:
            return no_data(NAME, symbol, span)
        raise
    if answer.chart.error is not None:
        return _why(answer.chart.error)
    if not answer.chart.result or not answer.chart.result[0].timestamp:
        return no_data(NAME, symbol, span)
    chart = answer.chart.result[0]
    echoed(NAME, dashed(symbol), [chart.meta.symbol])
    events = chart.events or Events()
    zone = _zone(chart.meta.exchange_timezone_name)
    splits = [(_day(each.date, zone), each.numerator / each.denominator) for each in events.splits.values()]
    dividends = [(_day(each.date, zone), each.amount) for each in events.dividends.values()]
    unit = 0.01 if chart.meta.currency in HUNDREDTHS else 1.0
    happened = [(day, "split", ratio) for day, ratio in splits]
    happened += [(day, "dividend", amount * unit * _since(splits, day)) for day, amount in dividends]
    days = [_day(seconds, zone) for seconds in chart.timestamp]
    return found(NAME, symbol, span, _priced(chart.indicators, days, unit, splits), happened)


def _priced(
    told: Indicators, days: list[date], unit: float, splits: list[tuple[date, float]]
) -> tuple[list[date], dict[str, list[float | None]]]:
    """Return days and columns of prices of the shares of their day, in currency."""
    shares = [_since(splits, day) for day in days]
    traded = [unit * each for each in shares]
    columns = {name: _times(getattr(told.quote[0], name), traded) for name in BARS}
    columns["volume"] = _times(told.quote[0].volume, [1.0 / each for each in shares])
    if told.adjclose:
        columns["adj_close"] = _times(told.adjclose[0].adjclose, [unit] * len(days))
    # Once a session has closed, its live bar may stand behind its own.
    last = len(days) - 1 if len(days) > 1 and days[-1] == days[-2] else len(days)
    return days[:last], {name: column[:last] for name, column in columns.items()}


def _times(numbers: list[float | None], factors: list[float]) -> list[float | None]:
    return [None if x is None else x * by for x, by in zip(numbers, factors, strict=True)]


def _since(splits: list[tuple[date, float]], day: date) -> float:
    """Shares that one share of a day has become."""
    shares = 1.0
    for on, ratio in splits:
        shares *= ratio if day < on else 1.0
    return shares


def _why(problem: Problem) -> Failed:
    said = f"{problem.code}: {problem.description}"
    if problem.code == "Not Found":
        return Failed("unknown_symbol", f"{NAME} says {said}")
    return refused(NAME, said)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UnansweredError(Failed("bad_payload", f"{NAME} names a time zone {name!r}")) from error


def _day(seconds: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(seconds, zone).date()


def _seconds(day: date) -> str:
    return str(int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()))
