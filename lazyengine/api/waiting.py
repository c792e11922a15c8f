"""Waiting inside a request, by any number of requests at a time.

A request that has to wait raises `Parked`: the server keeps its connection, its thread does other work, and when it is
worth it, or time is up, the same request runs again from its beginning.  `lazyengine.parking` is a server that can do
that, and tells so by `STAY`.  Under any other a request waits in its thread, in at most `places` of them.

What is waited for is looked up for all who wait together, by one thread of the process (`Room`).
"""

import logging
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from lazyengine.core.state import FINAL_EXECUTION_STATES
from lazyengine.errors import LazyEngineError
from lazyengine.watching import Wanted

if TYPE_CHECKING:
    from lazyengine.engine import Engine

T = TypeVar("T")

LOG = logging.getLogger("lazyengine.api")
LINGER_SECONDS = 10.0
"""How long the thread of a room outlives the last who waited."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is waited for: the end of an execution, or history behind row `events` of it."""

    execution_id: str
    events: int | None = None


MOST_KEPT_BYTES = 64 * 1024
"""A request with a larger body is answered at once."""


class Stay:
    """One request that may wait.

    :param wake: called, by any thread, when it is worth to ask again
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.began = time.monotonic()
        self.deadline: float | None = None
        self.is_over = False  # the server ends: what there is is the answer
        self.is_called = False  # woken, and has not asked since
        self.room: Room | None = None
        self.body: Any = None  # of the request, which is kept as long as it waits
        self.request: Any = None  # the server's: what runs again
        self.response: Any = None  # and the one that goes on
        self.stream: Any = None  # of an answer that has begun: an iterator that may raise `Parked` and goes on then

    @property
    def is_heavy(self) -> bool:
        """Whether its body takes too much memory to be kept while it waits."""
        return self.body is not None and self.body.size > MOST_KEPT_BYTES

    def seconds_left(self, seconds: float) -> float:
        """Return how long it may still wait; `seconds` at the first time."""
        if self.deadline is None:
            self.deadline = time.monotonic() + seconds
        return 0.0 if self.is_over else self.deadline - time.monotonic()

    def leave(self) -> None:
        """Wait no more."""
        if self.room is not None:
            self.room.leave(self)


class Parked(BaseException):
    """Nothing to answer yet.  No `Exception`, since nothing is wrong: only the server may catch it."""

    def __init__(self, stay: Stay) -> None:
        super().__init__()
        self.stay = stay


STAY: ContextVar[Stay | None] = ContextVar("stay", default=None)
"""Of the request that this thread is at, where the server can park it."""


def began() -> float:
    """Return when the request of this thread began, as `time.monotonic` counts, waits included."""
    stay = STAY.get()
    return time.monotonic() if stay is None else stay.began


class Room:
    """Those who wait, and a thread that looks for them while there are any: once for all who want the same."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._wishes: dict[Wanted | Progress, dict[Stay, None]] = {}
        self._of: dict[Stay, Wanted | Progress] = {}
        self._emptied_at = 0.0
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._of)

    def enter(self, stay: Stay, wish: Wanted | Progress) -> None:
        """Wait for something.  Who enters again keeps the place; ask once more afterwards, and then wait."""
        with self._lock:
            if self._of.get(stay) != wish:
                self._remove(stay)
                self._of[stay] = wish
                self._wishes.setdefault(wish, {})[stay] = None
            stay.room, stay.is_called = self, False
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="waiting room", daemon=True)
                self._thread.start()

    def leave(self, stay: Stay) -> None:
        """Wait no more."""
        with self._lock:
            self._remove(stay)

    def _remove(self, stay: Stay) -> None:
        wish = self._of.pop(stay, None)
        if wish is not None:
            del self._wishes[wish][stay]
            if not self._wishes[wish]:
                del self._wishes[wish]
            self._emptied_at = time.monotonic()

    def _work(self) -> None:
        with self._engine.database.bell.listener() as listener:
            found = False
            while not self._is_done():
                listener.wait(LINGER_SECONDS, found)
                try:
                    found = self._look()
                except LazyEngineError:
                    LOG.warning("nobody who waits could be told: the database does not answer")
                except Exception:
                    LOG.exception("nobody who waits could be told")

    def _is_done(self) -> bool:
        with self._lock:
            done = not self._of and time.monotonic() - self._emptied_at > LINGER_SECONDS
            if done:
                self._thread = None
            return done

    def _look(self) -> bool:
        """Call those for whom there is something; return whether there was anybody."""
        with self._lock:
            wishes = {wish: len(stays) for wish, stays in self._wishes.items()}
        if not wishes:
            return False
        awaited = {wish.execution_id for wish in wishes if isinstance(wish, Progress)}
        standings = self._engine.standings(awaited) if awaited else {}
        called = 0
        for wish, waiting in wishes.items():
            if isinstance(wish, Wanted):
                called += self._call(wish, self._engine.count_offers(wish, waiting))
                continue
            state, events = standings.get(wish.execution_id, (None, 0))
            if state is None or state in FINAL_EXECUTION_STATES or (wish.events is not None and events > wish.events):
                called += self._call(wish, waiting)
        return called > 0

    def _call(self, wish: Wanted | Progress, count: int) -> int:
        """Call those who wait longest, as many as there is something for, counting those who were called already."""
        with self._lock:
            stays = list(self._wishes.get(wish, ()))
            count -= sum(stay.is_called for stay in stays)
            called = [stay for stay in stays if not stay.is_called][: max(0, count)]
            for stay in called:
                stay.is_called = True
        for stay in called:
            stay.wake()
        return len(called)


class Waiting:
    """Ask again until the answer will do.

    :param places: how many threads may wait where requests cannot be parked; with all of them nobody would be left to
        do the work that is waited for, so that a request which finds no place is answered at once
    """

    def __init__(self, engine: "Engine", places: int) -> None:
        self.room = Room(engine)
        self.places = threading.Semaphore(places)

    def until(self, seconds: float, wish: Wanted | Progress, ask: Callable[[], T], done: Callable[[T], bool]) -> T:
        """Return the first answer that is `done`, or the one there is after `seconds`.

        Cost: one `ask` at once, another one when nothing was there, and one each time that the room calls.

        :raises Parked: not yet; the request runs again
        """
        answer = ask()
        if done(answer) or not seconds:
            return answer
        stay = STAY.get()
        if stay is None:
            return self._hold_a_thread(seconds, wish, ask, done) if self.places.acquire(blocking=False) else answer
        if stay.seconds_left(seconds) <= 0 or stay.is_heavy:
            return answer
        self.room.enter(stay, wish)
        if done(answer := ask()):
            return answer
        raise Parked(stay)

    def _hold_a_thread(
        self, seconds: float, wish: Wanted | Progress, ask: Callable[[], T], done: Callable[[T], bool]
    ) -> T:
        called = threading.Event()
        stay = Stay(called.set)
        try:
            while True:
                self.room.enter(stay, wish)
                answer = ask()
                if done(answer) or (left := stay.seconds_left(seconds)) <= 0:
                    return answer
                called.wait(left)
                called.clear()
        finally:
            stay.leave()
            self.places.release()
