"""A lane: one thread that looks for what there is to do, does it, and waits until there may be more."""

import logging
import threading
from abc import ABC, abstractmethod

from lazyengine.backoff import backoff_seconds
from lazyengine.errors import DatabaseBusy, DatabaseUnavailable, SchemaNotReady

logger = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 5.0
LONGEST_AWAY_SECONDS = 10.0
"""How long a lane leaves its destination alone, after trying often in vain."""

AWAY = (DatabaseBusy, DatabaseUnavailable, SchemaNotReady)


class Call:
    """Wakes one of the lanes that wait; one call that nobody waits for is kept."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._is_open = self._is_over = False

    def ring(self) -> None:
        """Wake one, or the next one."""
        with self._condition:
            self._is_open = True
            self._condition.notify()

    def wait(self, seconds: float) -> None:
        """Wait for a call, at most `seconds`."""
        with self._condition:
            self._condition.wait_for(lambda: self._is_open or self._is_over, max(0.0, seconds))
            self._is_open = False

    def end(self) -> None:
        """Let nobody wait any more."""
        with self._condition:
            self._is_over = True
            self._condition.notify_all()


class Lane(ABC):
    """Works in a thread of its own until it is stopped; what it holds then, it finishes."""

    def __init__(self, name: str, call: Call, stopped: threading.Event) -> None:
        self.call, self.stopped = call, stopped
        self.failures = 0
        self.thread = threading.Thread(target=self._run, name=name)

    @abstractmethod
    def work(self) -> float:
        """Do some of what there is to do; return after how many seconds to look again without being called."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what it is connected to."""

    def _run(self) -> None:
        try:
            while not self.stopped.is_set():
                wait = self._work()
                if wait > 0:
                    self.call.wait(min(wait, LONGEST_WAIT_SECONDS))
        finally:
            self.close()

    def _work(self) -> float:
        """Whatever goes wrong, the lane goes on: nobody else would do its work."""
        try:
            return self.work()
        except AWAY as error:
            logger.warning("%s waits: %s", self.thread.name, error)
        except Exception:
            logger.exception("%s goes on after an error", self.thread.name)
        self.rest()
        return 0.0

    def rest(self) -> None:
        """Leave the destination, or the database, alone for a while; longer each time in a row."""
        self.failures += 1
        self.stopped.wait(min(backoff_seconds(self.failures), LONGEST_AWAY_SECONDS))
