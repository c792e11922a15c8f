"""What a process holds stays its own: leases are renewed while there is something to hold, and no thread is left."""

import logging
from collections.abc import Callable
from threading import Condition, Thread

from lazyengine.records import Assignment

logger = logging.getLogger(__name__)

BEATS_PER_LEASE = 3


class Leases:
    """
    :param renew: renews the lease of one task, and raises nothing
    :param seconds: how long a lease lasts
    """

    def __init__(self, renew: Callable[[Assignment], None], seconds: float) -> None:
        self.renew, self.seconds = renew, seconds
        self._held: dict[tuple[str, str, int, int], Assignment] = {}
        self._thread: Thread | None = None
        self._changed = Condition()

    def hold(self, assignment: Assignment) -> None:
        """Renew the lease of a task from now on."""
        with self._changed:
            self._held[_key(assignment)] = assignment
            if self._thread is None:
                self._thread = Thread(target=self._beat, name="lazyengine-leases", daemon=True)
                self._thread.start()

    def let_go(self, assignment: Assignment) -> None:
        """Renew the lease of a task no more."""
        with self._changed:
            self._held.pop(_key(assignment), None)
            self._changed.notify_all()

    def _beat(self) -> None:
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: not self._held, self.seconds / BEATS_PER_LEASE):
                    self._thread = None
                    return
                held = list(self._held.values())
            for assignment in held:
                try:
                    self.renew(assignment)
                except Exception:
                    logger.exception("the lease of task '%s' was not renewed", assignment.task)


def _key(assignment: Assignment) -> tuple[str, str, int, int]:
    return assignment.execution_id, assignment.task, assignment.iteration, assignment.attempt
