"""What trades would make of a portfolio, beside what it is; nothing is stored."""

from collections.abc import Callable
from typing import Annotated, NamedTuple

from litestar import Response, get
from litestar.params import Parameter

from service.api.analytics import answers
from service.api.analytics.asked import Asked, quality_of
from service.api.analytics.records import DataQuality
from service.api.analytics.served import plain
from service.api.resources import Resources
from service.composed import Composed
from service.csv_import.fields import number
from service.errors import UsageError
from service.onboarding import MAX_EQUITY
from service.pages.formats import MISSING, change, money, percent
from service.pages.formats import number as decimal
from service.pages.html import page
from service.pages.kept import view_of
from service.portfolio_view import trade_of
from service.what_if import traded

MAX_TRADES = 200
FORMATS: dict[str, Callable[..., str]] = {
    "Book": money,
    "Shares": percent,
    "Factor betas": decimal,
    "Sector weights": percent,
    "Stress tests": money,
}


class Change(NamedTuple):
    """A figure before and after, and the difference, as texts."""

    name: str
    before: str
    after: str
    change: str


@get("/portfolios/{portfolio_id:str}/what-if", sync_to_thread=True, include_in_schema=False)
def what_if(
    asked: Asked,
    trades: Annotated[str, Parameter(max_length=20_000)] = "",
    equity: Annotated[str, Parameter(max_length=40)] = "",
) -> Response[bytes]:
    """Show the form, and what the trades in it would change."""
    entered = asked.resources.ledger.portfolios.get(asked.caller.owner, asked.portfolio_id)
    found = view_of(asked)
    if found is None:
        return page(asked.request, "uncomputed.html", portfolio=entered)
    composed, after, fault = found[0].composed, None, ""
    try:
        after = _traded(composed, trades, equity)
    except UsageError as error:
        fault = str(error)
    return page(
        asked.request,
        "what_if.html",
        status=400 if fault else 200,
        portfolio=entered,
        overview=answers.overview(after or composed),
        trades=trades,
        equity=equity,
        fault=fault,
        groups=_groups(asked.resources, composed, after) if after else [],
    )


def _traded(composed: Composed, trades: str, equity: str) -> Composed | None:
    """Return the portfolio after the trades, None for none of them."""
    texts = trades.replace(",", " ").split()
    if len(texts) > MAX_TRADES:
        raise UsageError(f"{len(texts)} trades are too many; give at most {MAX_TRADES}")
    given = equity.translate(str.maketrans("", "", "$, "))
    value = number(given) if given else None
    if given and (value is None or not 0 < value <= MAX_EQUITY):
        raise UsageError(f"the net asset value must be a number above 0 and at most {MAX_EQUITY:,}")
    if not texts:
        return None
    return traded(
        composed.market, composed, [trade_of(text) for text in texts], float(value) if value else None
    )


def _groups(resources: Resources, before: Composed, after: Composed) -> list[tuple[str, list[Change]]]:
    one, other = (_values(each, quality_of(resources, each)) for each in (before, after))
    return [
        (title, [_change(name, one[title].get(name), other[title].get(name), form) for name in names])
        for title, form in FORMATS.items()
        if (names := [*dict.fromkeys([*one[title], *other[title]])])
    ]


def _values(composed: Composed, quality: DataQuality) -> dict[str, dict[str, float | None]]:
    """Return the figures that are compared, by the title of their group."""
    value, risk, moves = composed.valuation, composed.risk, composed.volatility
    losses = answers.stress_test(composed, quality, scenarios=None).data
    book = {
        "Net asset value": value.nav,
        "Cash": value.cash,
        "Long": value.long,
        "Short": value.short,
        "Gross": value.gross,
        "Net": value.net,
    }
    shares = {
        "Leverage, gross over net asset value": value.leverage,
        "Volatility by the risk model": risk.volatility,
        "Volatility, last 63 sessions": moves.realized_63d,
        "Largest three positions": composed.concentration.top_3,
        "Coverage": value.coverage,
    }
    return {
        "Book": {name: plain(each) for name, each in book.items()},
        "Shares": {name: plain(each) for name, each in shares.items()},
        "Factor betas": {f.name: f.beta for f in answers.factor_exposures(composed, quality).factors},
        "Sector weights": {name: plain(weight) for name, weight in sorted(composed.sectors.net.items())},
        "Stress tests": {each.name: each.impact.dollar_impact for each in losses.scenarios} if losses else {},
    }


def _change(name: str, before: float | None, after: float | None, form: Callable[..., str]) -> Change:
    if before is None or after is None:
        return Change(name, form(before), form(after), MISSING)
    return Change(name, form(before), form(after), change(form(after - before)))


HANDLERS = [what_if]
