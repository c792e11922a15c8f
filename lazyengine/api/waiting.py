"""Waiting inside a request, for a few requests at a time."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.25


class Waiting:
    """Ask again until the answer will do, in at most `places` requests at once.

    Whoever waits holds a thread of the server: with places for all of them nobody would be left to do the work that is
    waited for.  A request that finds no place is answered at once.
    """

    def __init__(self, places: int) -> None:
        self._places = threading.Semaphore(places)

    def until(self, seconds: float, ask: Callable[[], T], done: Callable[[T], bool]) -> T:
        """Return the first answer that is `done`, or the one there is after `seconds`.

        Cost: one `ask` at once, then one after each pause; the pauses double up to `LONGEST_PAUSE_SECONDS`.
        """
        answer = ask()
        if not seconds or done(answer) or not self._places.acquire(blocking=False):
            return answer
        try:
            return self._wait(time.monotonic() + seconds, ask, done, answer)
        finally:
            self._places.release()

    def _wait(self, deadline: float, ask: Callable[[], T], done: Callable[[T], bool], answer: T) -> T:
        pause = FIRST_PAUSE_SECONDS
        while not done(answer) and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            answer = ask()
        return answer
