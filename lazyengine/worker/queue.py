"""A worker that consumes queues of a broker: what `lazyengine dispatch` sends with the sender `amqp`.

1. The broker brings assignments.  What is said about them goes to the API, at their `callback_url` if they have one.
2. A message is acknowledged once its task was reported on.  Should this process die or lose the broker, it comes again,
   here or elsewhere; a first heartbeat tells whether its attempt is still worth the work.
3. One thread speaks with the broker.  It never waits for a task.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from kombu import Connection, Queue
from kombu.exceptions import OperationalError

from lazyengine.actions import Handler
from lazyengine.backoff import backoff_seconds
from lazyengine.errors import WorkerRefused
from lazyengine.outbound import Outbound
from lazyengine.worker.client import Api
from lazyengine.worker.worker import Held, Terms, Worker

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 30
CONNECT_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 10.0
BUSY_SECONDS, IDLE_SECONDS = 0.05, 0.5
"""How long to listen to the broker before looking what has ended; and while nothing is held."""


FORBIDDEN = frozenset({401, 403})

Place = tuple[Any, ...]
place_of: Callable[[Mapping[str, Any]], Place] = itemgetter("execution_id", "task", "iteration", "item", "attempt")
"""Names an attempt."""


class QueueWorker(Worker):
    """Works on what the queues named by `terms.targets` bring.

    :param broker: its URL, as kombu takes it
    """

    def __init__(
        self, api: Api, handlers: Mapping[str, Handler], outbound: Outbound, terms: Terms, broker: str
    ) -> None:
        super().__init__(api, handlers, outbound, terms)
        self.broker = broker
        self._slots = threading.Semaphore(terms.concurrency)  # the broker counts for each queue
        self._messages: dict[Place, list[Any]] = {}  # those that are not acknowledged yet, by attempt
        self._refused: set[Place] = set()  # the API does not let this worker work on them

    def _take_in(self) -> None:
        failures = 0
        while not self._stopped.is_set() or self._held:
            connection = Connection(self.broker, heartbeat=HEARTBEAT_SECONDS, connect_timeout=CONNECT_SECONDS)
            lost = (OSError, OperationalError, *connection.connection_errors, *connection.channel_errors)
            try:
                connection.ensure_connection(max_retries=1, timeout=CONNECT_SECONDS)
                failures = 0
                self._consume(connection)
            except lost as error:
                logger.warning("the broker is away: %s: %s", type(error).__name__, error)
                self._stopped.wait(backoff_seconds(failures, longest=LONGEST_PAUSE_SECONDS))
                failures += 1
            finally:
                connection.release()
        if self._refused:
            raise WorkerRefused(api=self.api.url, detail="it lets nobody report with this token, or without one")

    def _consume(self, connection: Any) -> None:
        """Work until all is done after `stop`; what was held before the connection was lost is brought again."""
        self._messages.clear()
        queues = [Queue(name, durable=True) for name in self.terms.targets]
        consumer = connection.Consumer(
            queues,
            callbacks=[self._received],
            on_decode_error=_reject,
            accept=["json"],
            prefetch_count=self.terms.concurrency,
        )
        consumer.consume()
        while not self._stopped.is_set() or self._held or self._messages:
            if self._stopped.is_set():
                consumer.cancel()
            try:
                connection.drain_events(timeout=BUSY_SECONDS if self._messages else IDLE_SECONDS)
            except TimeoutError:
                connection.heartbeat_check()
            for place in self._messages.keys() - self._places():
                for message in self._messages.pop(place):
                    if place in self._refused:
                        message.requeue()
                    else:
                        message.ack()

    def _received(self, body: Any, message: Any) -> None:
        try:
            path, place = body["callback_url"] or self._path(body), place_of(body)
            hash(place)
        except (KeyError, TypeError) as error:
            _reject(message, error)
            return
        if self._stopped.is_set():
            message.requeue()
            return
        is_held = place in self._places()
        self._messages.setdefault(place, []).append(message)
        if not is_held:
            self._begin(body, path)

    def _places(self) -> set[Place]:
        with self._changed:
            return {place_of(held.context.assignment) for held in self._held}

    def _do(self, held: Held) -> None:
        assignment = held.context.assignment
        with self._slots:
            status = self._beat(held)
            if status in FORBIDDEN and assignment["callback_url"] and not held.context.cancelled.is_set():
                held.path = self._path(assignment)  # the URL has expired, say: there may be a token
                status = self._beat(held)
            elif status in FORBIDDEN and not assignment["callback_url"]:
                self._refused.add(place_of(assignment))
                self.stop()
                return
            if not held.context.cancelled.is_set():  # by others, or by this worker before the message came again
                super()._do(held)


def _reject(message: Any, error: Exception) -> None:
    logger.error("a message is no assignment: %s: %.200r", error, message.body)
    message.reject()
