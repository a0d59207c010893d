"""A run as a stream of server-sent events; whoever comes back is told what came meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

import msgspec
from litestar import get
from litestar.concurrency import sync_to_thread
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import HeaderParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from service.admin.events import News, news
from service.api.resources import Resources

POLL_SECONDS = 0.5
RETRY_MILLISECONDS = 2_000
LARGEST = 2**31 - 1
LastEvent = Annotated[
    int, HeaderParameter(name="Last-Event-ID", ge=0, le=LARGEST, description="Last line known")
]
encoder = msgspec.json.Encoder()


@dataclass
class StreamOperation(Operation):
    """Documents that the answer is a stream of events."""

    def __post_init__(self) -> None:
        """Say what the stream is."""
        answer = (self.responses or {}).get("200")
        if isinstance(answer, OpenAPIResponse):
            event = Schema(
                type=OpenAPIType.OBJECT,
                properties={
                    "event": Schema(type=OpenAPIType.STRING, enum=["activity", "status", "end"]),
                    "id": Schema(type=OpenAPIType.STRING, description="Number of the line of the log"),
                    "data": Schema(type=OpenAPIType.STRING, description="JSON"),
                },
                required=["data"],
            )
            answer.content = {"text/event-stream": OpenAPIMediaType(event)}


@get(
    "/batch/{run_id:str}/events",
    tags=["admin"],
    opt={"seconds": None},
    operation_class=StreamOperation,
)
async def events(resources: Resources, run_id: str, last_event_id: LastEvent = 0) -> ServerSentEvent:
    """Follow a run: ``activity`` (with the line's number as id), ``status`` when it changes, ``end``.

    The stream begins after the line that ``Last-Event-ID`` names, with the first one when it names none, and
    is closed once the run has ended.
    """
    first = await sync_to_thread(news, resources.ledger, run_id, after=last_event_id)
    return ServerSentEvent(_told(resources, run_id, first, last_event_id))


async def _told(
    resources: Resources, run_id: str, found: News, known: int
) -> AsyncIterator[ServerSentEventMessage]:
    before = b""
    while True:
        for number, line in found.lines.items():
            known = number
            yield ServerSentEventMessage(data=encoder.encode(line).decode(), event="activity", id=number)
        shown = encoder.encode(msgspec.structs.replace(found.status, activity_log=[]))
        if shown != before:
            retry = None if before else RETRY_MILLISECONDS
            before = shown
            yield ServerSentEventMessage(data=shown.decode(), event="status", retry=retry)
        if found.is_over:
            ended = encoder.encode({"status": found.status.status})
            yield ServerSentEventMessage(data=ended.decode(), event="end")
            return
        await asyncio.sleep(POLL_SECONDS)
        found = await sync_to_thread(news, resources.ledger, run_id, after=known)


HANDLERS = [events]
