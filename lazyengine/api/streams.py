"""A stream of what happens to an execution, as Server-Sent Events (HTML Living Standard, 9.2)."""

import threading
import time
from typing import TYPE_CHECKING

from lazyengine.api import answers
from lazyengine.api.waiting import STAY, Parked, Progress, Stay, Waiting
from lazyengine.api.writing import encode, writer
from lazyengine.errors import LazyEngineError
from lazyengine.records import PastEvent

if TYPE_CHECKING:
    from lazyengine.engine import Engine

PIECE_EVENTS = 100
QUIET_SECONDS = 15.0
"""After so long a comment tells that the stream still lives."""
STILL_HERE = b":\n\n"
COME_AGAIN = b"retry: 1000\n\n"

_write = writer(answers.Event)


class EventStream:
    """The body of an answer: pieces of the history, until the execution is over.

    It waits as a request does: without a thread where the server can do that, in one of few threads elsewhere.  A
    stream that finds no place, or whose server stops, ends early; its reader comes again with Last-Event-ID.
    """

    def __init__(self, engine: "Engine", waiting: Waiting, owner: str, execution_id: str, after: int) -> None:
        self._engine, self._waiting = engine, waiting
        self._owner, self._execution_id, self._after = owner, execution_id, after
        self._is_over = False
        self._quiet_until: float | None = None
        stay = STAY.get()
        self._place = Place(waiting) if stay is None else None
        self._stay = stay or self._place.stay  # type: ignore[union-attr]

    def __iter__(self) -> "EventStream":
        return self

    def __next__(self) -> bytes:
        """Return what has happened since the last time.

        :raises Parked: nothing yet
        """
        while not self._is_over:
            self._waiting.room.enter(self._stay, Progress(self._execution_id, self._after))
            if (piece := self._piece()) or (not self._is_over and (piece := self._sign_of_life())):
                self._quiet_until = None
                return piece
            if not self._is_over:
                self._wait()
        if self._place is not None:
            self._place.leave()
        raise StopIteration

    def _piece(self) -> bytes:
        try:
            page, is_over = self._engine.list_events(self._owner, self._execution_id, self._after, PIECE_EVENTS)
        except LazyEngineError:  # it was deleted, or the database is away: coming again will tell
            self._is_over = True
            return COME_AGAIN
        self._is_over = is_over and not page.more
        if page.items:
            self._after = page.items[-1].number
        return b"".join(map(event_text, page.items))

    def _sign_of_life(self) -> bytes:
        """Return what to say when nothing happens: nothing for a while, then a comment, or that this is the end."""
        if self._stay.is_over:
            self._is_over = True
            return COME_AGAIN
        if self._quiet_until is None:
            self._quiet_until = time.monotonic() + QUIET_SECONDS
        return STILL_HERE if time.monotonic() >= self._quiet_until else b""

    def _wait(self) -> None:
        self._stay.deadline = self._quiet_until
        if self._place is not None:
            self._place.wait()
        else:
            self._stay.stream = self
            raise Parked(self._stay)


class Place:
    """A thread that a stream may hold while it waits, where it cannot be parked."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._called = threading.Event()
        self.stay = Stay(self._called.set)
        self.stay.is_over = not waiting.places.acquire(blocking=False)
        self._is_held = not self.stay.is_over

    def wait(self) -> None:
        """Wait until there may be more, or it was quiet for long."""
        self._called.wait(max(0.0, (self.stay.deadline or 0.0) - time.monotonic()))
        self._called.clear()

    def leave(self) -> None:
        """Give the place back."""
        self.stay.leave()
        if self._is_held:
            self._is_held = False
            self._waiting.places.release()

    __del__ = leave  # whoever hung up does not come here again


def event_text(event: PastEvent) -> bytes:
    """Write one event."""
    return f"id: {event.number}\ndata: {encode(_write(event))}\n\n".encode()
