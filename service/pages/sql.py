"""The page for analysts: a query, its rows, and what there is to ask; off unless ``sql_page`` is set."""

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.concurrency import sync_to_thread

from service.api.resources import Resources
from service.api.sql import MEDIA_TYPES, Result
from service.pages.html import page
from service.pages.sending import answer
from service.sql_queries import EXAMPLES, MAX_LENGTH, Format
from storage.errors import Busy, InvalidQuery
from storage.sandbox import is_number

SHOWN = 200
FORMATS: dict[str, Format] = {"csv": "csv", "parquet": "parquet"}


@get("/sql", opt={"scope": "sql"}, include_in_schema=False)
async def sql(request: Request[Any, Any, Any], resources: Resources, example: int = 0) -> Response[bytes]:
    """Show the query box, with an example in it when one is named."""
    query = EXAMPLES[example - 1][1] if 1 <= example <= len(EXAMPLES) else ""
    return await _shown(request, resources, query)


@post("/sql", status_code=200, opt={"scope": "sql"}, include_in_schema=False)
async def ask(request: Request[Any, Any, Any], resources: Resources) -> Response[bytes]:
    """Run a query, and show its rows or hand them out as a file."""
    form = await request.form()
    query, wanted = str(form.get("query", "")), FORMATS.get(str(form.get("format", "")), "json")
    try:
        found = await resources.queries.run(query, wanted)
    except InvalidQuery as error:
        return await _shown(request, resources, query, status=400, error=str(error))
    except Busy as error:
        return await _shown(request, resources, query, status=503, error=str(error))
    if wanted == "json":
        return await _shown(request, resources, query, result=msgspec.json.decode(found.content, type=Result))
    name = f"query{'-first-10000-rows' * found.is_truncated}.{wanted}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return answer(request, found.content, MEDIA_TYPES[wanted], headers=headers)


async def _shown(
    request: Request[Any, Any, Any],
    resources: Resources,
    query: str,
    *,
    status: int = 200,
    error: str = "",
    result: Result | None = None,
) -> Response[bytes]:
    contents = await sync_to_thread(resources.store.catalog_contents)
    tables = contents.partition_by("table_name", "table_comment", as_dict=True, maintain_order=True)
    return page(
        request,
        "sql.html",
        status=status,
        error=error,
        examples=[title for title, _ in EXAMPLES],
        max_length=MAX_LENGTH,
        numeric=[is_number(column.type) for column in result.columns] if result else [],
        query=query,
        result=result,
        shown=SHOWN,
        tables=[(name, comment, rows.rows(named=True)) for (name, comment), rows in tables.items()],
    )


HANDLERS = [sql, ask]
