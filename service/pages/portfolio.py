"""A portfolio's page, its charts, what is behind a scenario, and its files."""

from typing import Annotated

import msgspec
from litestar import MediaType, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import Parameter

from service.api.analytics.asked import Asked
from service.api.analytics.served import plain
from service.pages.charts.drawing import Mode
from service.pages.html import page
from service.pages.kept import compressed_svg, kept_of, view_of
from service.pages.lots import KINDS, QUALITIES, Filter, as_csv, as_parquet
from service.pages.report import report
from service.pages.sending import answer, compressed
from service.pages.views import DRAWINGS, View, figures_of
from service.portfolio_view import described

PATH = "/portfolios/{portfolio_id:str}"
FILES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet", "json": "application/json"}
Text = Annotated[str, Parameter(max_length=100)]


@get(PATH, sync_to_thread=True, include_in_schema=False)
def portfolio(asked: Asked, quality: Text = "", kind: Text = "", find: Text = "") -> Response[bytes]:
    """Show everything about a portfolio; the lots are those that pass the filter."""
    entered = asked.resources.ledger.portfolios.get(asked.caller.owner, asked.portfolio_id)
    found, wanted = view_of(asked), Filter(quality, kind, find)
    if found is None:
        return page(asked.request, "uncomputed.html", portfolio=entered)
    view, _ = found
    return page(
        asked.request,
        "portfolio.html",
        portfolio=entered,
        view=view,
        shown=wanted.of(view.lots),
        filter=wanted,
        kinds=KINDS,
        qualities=QUALITIES,
        trades="",
        equity="",
        **figures_of(view),
    )


@get(f"{PATH}/charts/{{file:str}}", sync_to_thread=True, include_in_schema=False)
def chart(asked: Asked, file: str, mode: Mode = "light") -> Response[bytes]:
    """Draw a chart; the browser's copy stands until the portfolio or the release is another."""
    found, name = view_of(asked), file.removesuffix(".svg")
    if found is None or name not in DRAWINGS:
        raise NotFoundException(f"there is no chart {file}")
    view, basis = found
    if asked.request.headers.get("if-none-match") == basis.etag:
        return Response(b"", status_code=304, headers=basis.headers)
    body = compressed_svg(kept_of(asked.request), view, (asked.portfolio_id, basis.etag), name, mode)
    return compressed(asked.request, body, "image/svg+xml", headers=basis.headers)


@get(f"{PATH}/stress/{{scenario_id:str}}", sync_to_thread=True, include_in_schema=False)
def scenario(asked: Asked, scenario_id: str) -> Response[bytes]:
    """Show what a scenario does, factor by factor and position by position."""
    found = view_of(asked)
    results = (
        {each.id: each for each in found[0].stress.data.scenarios} if found and found[0].stress.data else {}
    )
    if found is None or scenario_id not in results:
        raise NotFoundException(f"there is no scenario {scenario_id}")
    view, result = found[0], results[scenario_id]
    return page(
        asked.request,
        "scenario.html",
        portfolio=view.composed.portfolio,
        overview=view.overview,
        result=result,
        by_factor=sorted(result.by_factor.items(), key=lambda item: item[1] or 0.0),
        by_symbol=_by_symbol(view, scenario_id),
    )


@get(f"{PATH}/export/{{kind:str}}", sync_to_thread=True, include_in_schema=False)
def export(asked: Asked, kind: str) -> Response[bytes]:
    """Download the lots as CSV or Parquet, or all analytics as JSON."""
    found = view_of(asked)
    if found is None or kind not in FILES:
        raise NotFoundException(f"there is no file of kind {kind}")
    view, _ = found
    name = f"ridgeline_{asked.portfolio_id[:8]}_{view.composed.market.session}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if kind == "json":
        body = msgspec.json.encode(described(view.composed))
    else:
        body = as_csv(view.lots) if kind == "csv" else as_parquet(view.lots)
    return answer(asked.request, body, FILES[kind], headers=headers)


@get(f"{PATH}/report", sync_to_thread=True, include_in_schema=False)
def whole_report(asked: Asked) -> Response[bytes]:
    """Download everything as one HTML file."""
    found = view_of(asked)
    if found is None:
        raise NotFoundException("no session has been computed yet")
    view, _ = found
    name = f"ridgeline_{asked.portfolio_id[:8]}_{view.composed.market.session}.html"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    body = report(view, kept_of(asked.request).renderer.svg)
    return answer(asked.request, body.encode(), MediaType.HTML, headers=headers)


def _by_symbol(view: View, scenario_id: str) -> list[tuple[str, float | None]]:
    """P&L by symbol, losses first, those without loadings last."""
    composed = view.composed
    place = [each.id for each in composed.stress.scenarios].index(scenario_id)
    symbols = [composed.market.book.symbols[row] for row in composed.holdings.rows]
    pairs = zip(symbols, map(plain, composed.stress.by_symbol[place]), strict=True)
    return sorted(pairs, key=lambda item: (item[1] is None, item[1] or 0.0, item[0]))


HANDLERS = [portfolio, chart, scenario, export, whole_report]
