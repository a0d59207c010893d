"""The route for analysts' own queries; there only where the setting ``sql_page`` is on."""

from typing import Annotated, Any

import msgspec
from litestar import Response, post
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Meta

from service.api.resources import Resources
from service.sql_queries import MAX_LENGTH, Format

MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


class Query(msgspec.Struct, forbid_unknown_fields=True):
    """One SELECT on the analysts' database, and how its result is wanted."""

    query: Annotated[str, Meta(min_length=1, max_length=MAX_LENGTH, examples=["FROM prices LIMIT 10"])]
    format: Format = "json"


class Column(msgspec.Struct):
    """A column of a result, with DuckDB's type."""

    name: str
    type: str


class Result(msgspec.Struct):
    """Rows of a query; ``truncated`` when it has more of them.

    What is neither number nor truth value is text; NaN and infinity are null.
    """

    columns: list[Column]
    rows: list[list[Any]]
    truncated: bool


@post(
    "/sql",
    status_code=200,
    tags=["sql"],
    opt={"scope": "sql"},
    responses={200: ResponseSpec(Result, False, "The rows, 10,000 at most; CSV and Parquet as asked for")},
)
async def run_query(resources: Resources, data: Query) -> Response[bytes]:
    """Run one SELECT on the analysts' database and return its rows, as JSON, CSV or Parquet.

    The database shows the whole store, every owner's portfolios included. A query has five seconds and half a
    gigabyte; ``X-Truncated`` says whether there are more rows than the 10,000 that are given.
    """
    answer = await resources.queries.run(data.query, data.format)
    headers = {"X-Truncated": str(answer.is_truncated).lower()}
    if data.format != "json":
        headers["Content-Disposition"] = f'attachment; filename="query.{data.format}"'
    return Response(answer.content, media_type=MEDIA_TYPES[data.format], headers=headers)


HANDLERS = [run_query]
