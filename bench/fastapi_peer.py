"""The rival of the service: the same handler of the overview, on FastAPI and uvicorn."""

import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from service import clock
from service.api.analytics import answers
from service.api.auth import Caller, Doorkeeper
from service.api.resources import Resources, make_resources
from service.settings import Settings
from storage.store import open_store

PATH = "/api/v1/analytics/portfolio/{portfolio_id}/overview"
encoder = msgspec.json.Encoder()


def create_app(resources: Resources) -> FastAPI:
    """Return an application with the one route, that does what the service's own does."""

    @asynccontextmanager
    async def book_loaded(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(resources.live.refresh)
        yield

    app = FastAPI(lifespan=book_loaded)
    doorkeeper = Doorkeeper(resources.ledger, open_to_all=True)

    async def resources_of() -> Resources:
        return resources

    async def caller_of(request: Request) -> Caller:
        caller = doorkeeper.caller(request.headers.get("x-api-key"))
        if caller is None or "read" not in caller.scopes:
            raise HTTPException(401)
        return caller

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.get(PATH, response_model=None)
    async def overview(
        portfolio_id: str,
        request: Request,
        resources: Annotated[Resources, Depends(resources_of)],
        caller: Annotated[Caller, Depends(caller_of)],
    ) -> Response:
        revision = resources.ledger.portfolios.revision(caller.owner, portfolio_id)
        market, accounts = resources.market(), resources.live.accounts
        assert market is not None
        closed = clock.last_closed_session(resources.settings)
        version = accounts.version_of(portfolio_id)
        etag = f'"{market.book.release}.{version}.{revision}.{closed:%Y%m%d}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        if request.headers.get("if-none-match") == etag:
            return Response(None, status_code=304, headers=headers)
        key = (etag, request.scope["path"], request.scope["query_string"], portfolio_id)

        def encoded() -> bytes:
            portfolio = resources.ledger.portfolios.get(caller.owner, portfolio_id)
            return encoder.encode(answers.overview(resources.compositions.of(portfolio, market, accounts)))

        found = resources.answers.found(key)
        body = found or await run_in_threadpool(lambda: resources.answers.kept(key, encoded))
        return Response(body, media_type="application/json", headers=headers)

    return app


def main(path: Path) -> None:
    """Serve a store on a free port of this machine, and say where."""
    with open_store(path) as store:
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        bound.bind(("127.0.0.1", 0))
        print(json.dumps({"url": f"http://127.0.0.1:{bound.getsockname()[1]}"}, indent=2), flush=True)
        app = create_app(make_resources(store, Settings()))
        config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False)
        uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
