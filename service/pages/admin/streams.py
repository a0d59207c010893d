"""Pages that stay true while they are open: a stream of their parts, each sent when it has become another."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import Request, get
from litestar.concurrency import sync_to_thread
from litestar.response import ServerSentEvent, ServerSentEventMessage

from service.api.resources import Resources
from service.pages.admin.parts import Parts, quick_parts, run_parts, slow_parts

SECONDS = 0.5
SLOW_EVERY = 20
TICKS = 120  # then the browser asks anew, and the door looks whether it still may
RETRY_MILLISECONDS = 2_000
STREAM: dict[str, Any] = {"scope": "admin", "seconds": None}
encoder = msgspec.json.Encoder()


@get("/admin/events", opt=STREAM, include_in_schema=False)
async def overview_events(request: Request[Any, Any, Any], resources: Resources) -> ServerSentEvent:
    """Follow all jobs for a minute; browsers come back for the next one."""
    return ServerSentEvent(_changes(request, resources))


@get("/admin/runs/{run_id:str}/events", opt=STREAM, include_in_schema=False)
async def run_events(request: Request[Any, Any, Any], resources: Resources, run_id: str) -> ServerSentEvent:
    """Follow one run to its end, or for a minute."""
    return ServerSentEvent(_until_over(request, resources, run_id))


async def _until_over(
    request: Request[Any, Any, Any], resources: Resources, run_id: str
) -> AsyncIterator[ServerSentEventMessage]:
    render, known = run_parts(run_id), Parts()
    for _ in range(TICKS):
        run = await sync_to_thread(resources.ledger.runs.named, run_id)
        for message in _changed(known, await sync_to_thread(render, request, resources)):
            yield message
        if run.status != "running":
            yield ServerSentEventMessage(data=run.status, event="end")
            return
        await asyncio.sleep(SECONDS)


async def _changes(
    request: Request[Any, Any, Any], resources: Resources
) -> AsyncIterator[ServerSentEventMessage]:
    """Send how jobs stand; the rest when one has begun or ended, with another book, and now and then."""
    known, book = Parts(), resources.live.completed_at
    for tick in range(TICKS):
        shown = await sync_to_thread(quick_parts, request, resources)
        turned = any(known.get(name) != text for name, text in shown.items() if name.startswith("actions"))
        if turned or book != resources.live.completed_at or tick % SLOW_EVERY == 0:
            book = resources.live.completed_at
            shown |= await sync_to_thread(slow_parts, request, resources)
        for message in _changed(known, shown):
            yield message
        await asyncio.sleep(SECONDS)


def _changed(known: Parts, shown: Parts) -> list[ServerSentEventMessage]:
    """Return the parts that are others than those sent last, and remember them as sent."""
    changed = {name: text for name, text in shown.items() if known.get(name) != text}
    retry = None if known else RETRY_MILLISECONDS
    known |= changed
    return [
        ServerSentEventMessage(
            data=encoder.encode({"part": name, "html": text}).decode(), event="part", retry=retry
        )
        for name, text in changed.items()
    ]


HANDLERS = [overview_events, run_events]
