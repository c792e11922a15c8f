"""Events: the history of an execution, as a list and as a stream."""

from typing import TYPE_CHECKING, Any

from lazyengine.api import answers
from lazyengine.api.executions import DATABASE, EXECUTION_ID, PATH
from lazyengine.api.listing import DEFAULT_LIMIT, LIMIT, MAX_LIMIT, Listing, listing
from lazyengine.api.operation import Answer, Parameter, operation
from lazyengine.api.request import Request
from lazyengine.api.streams import EventStream
from lazyengine.api.types import Choice, Integer
from lazyengine.api.waiting import Waiting
from lazyengine.errors import ExecutionNotFound, RequestInvalid

if TYPE_CHECKING:
    from lazyengine.engine import Engine

EVENT_STREAM = "text/event-stream"
PARAMETERS = (
    Parameter("after", Integer(0), "Those behind this number; Last-Event-ID of a stream goes before it."),
    LIMIT,
    Parameter(
        "format",
        Choice({"json": "json", "stream": "stream"}),
        "A page of them as a list, or all as Server-Sent Events until the execution is over; left out, Accept tells.",
    ),
)
STATUSES = {200: "What has happened.", 204: "Of a stream: all was told, nothing more will happen."}
NEVER_STORED = (("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"))


class Events:
    """The controller of events."""

    def __init__(self, engine: "Engine", waiting: Waiting) -> None:
        self._engine = engine
        self._waiting = waiting

    @operation(
        "GET",
        PATH + "/events",
        answers.EventList,
        segments=(EXECUTION_ID,),
        parameters=PARAMETERS,
        statuses=STATUSES,
        errors=(ExecutionNotFound, *DATABASE),
        texts={"stream": EVENT_STREAM},
        negotiated=True,
    )
    def list_events(
        self, request: Request, execution_id: str, after: int = 0, limit: int = DEFAULT_LIMIT, format: str = "json"
    ) -> Listing | Answer:
        """Tell what has happened to an execution, in order.

        Nothing of it ever changes; answers that came too late are told of too.  A stream goes on until the execution is
        over, and `id` is the number of the event, so a reader that comes again with Last-Event-ID misses nothing.
        """
        limit = min(limit, MAX_LIMIT)
        if format == "json":
            page, _ = self._engine.list_events(request.owner, execution_id, after, limit)
            return listing(request, page, lambda event: str(event.number), "after")
        after = last_event_id(request, after)
        page, is_over = self._engine.list_events(request.owner, execution_id, after, limit)
        if is_over and not page.items:
            return Answer(None, 204)
        stream: Any = EventStream(self._engine, self._waiting, request.owner, execution_id, after)
        return Answer(stream, 200, NEVER_STORED)


def last_event_id(request: Request, after: int) -> int:
    """Return where a stream goes on.

    :raises RequestInvalid: Last-Event-ID is no number of an event
    """
    text = request.environ.get("HTTP_LAST_EVENT_ID", "")
    if not text:
        return after
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise RequestInvalid(reason="Last-Event-ID has to be the number of an event.")
    return int(text)
