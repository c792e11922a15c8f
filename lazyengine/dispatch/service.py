"""The process of a dispatcher: its lanes, and what is due."""

import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import cotyledon

from lazyengine.backoff import backoff_seconds
from lazyengine.db.sending import CLAIMER, anything_lost, take_up
from lazyengine.dispatch.lanes import AWAY, LONGEST_WAIT_SECONDS, Call, Lane
from lazyengine.dispatch.notifications import Notifier, Places
from lazyengine.dispatch.relay import Relay
from lazyengine.dispatch.retention import Keeper
from lazyengine.dispatch.senders import sender_of
from lazyengine.dispatch.webhook import Signer
from lazyengine.dispatch.wire import Wire
from lazyengine.engine import Engine
from lazyengine.outbound import Outbound
from lazyengine.settings import Settings

logger = logging.getLogger(__name__)

NOTIFIERS = 4
"""Destinations that a dispatcher notifies at a time."""

CARRY_ON_SECONDS = 1.0
"""How long one look goes on with what others have left undone."""

IDLE_SECONDS = 0.2
"""Between two looks that find nothing, whatever is due."""

GRACE_SECONDS = 60
"""How long what a dispatcher holds may take to be finished, once it is asked to end."""


class Dispatcher:
    """One dispatcher: `run` works until `stop` is called, which another thread or a signal handler may do.

    :param wire: how the API writes tasks and reads reports
    :raises SettingsInvalid: a target needs something that is not installed
    """

    def __init__(self, engine: Engine, settings: Settings, wire: Wire, outbound: Outbound) -> None:
        self.engine, self.settings = engine, settings
        self.stopped = threading.Event()
        self.name = f"{CLAIMER}{socket.gethostname()[:200]}:{os.getpid()}"
        waiting = Call()
        self.calls, self.quiet = [waiting], Call()
        places = Places()
        self.lanes: list[Lane] = [
            Notifier(engine, settings, Signer(settings), outbound, wire.encode, places, waiting, self.stopped)
            for _ in range(NOTIFIERS)
        ]
        if settings.retention_seconds > 0:
            self.lanes.append(Keeper(engine, settings, self.quiet, self.stopped))
        for target in settings.targets.values():
            call = Call()
            self.calls.append(call)
            for _ in range(target.concurrency):
                sender = sender_of(target, settings, wire, outbound)
                self.lanes.append(Relay(engine, target, sender, self.name, call, self.stopped))

    def run(self) -> None:
        """Work until stopped; whatever the database says, go on."""
        for lane in self.lanes:
            lane.thread.start()
        failures = 0
        with self.engine.database.bell.listener() as listener:
            while not self.stopped.is_set():
                try:
                    found = self.look()
                    pause = self.pause_seconds(found)
                    failures = 0
                except AWAY as error:
                    logger.warning("the dispatcher waits: %s", error)
                    failures += 1
                except Exception:
                    logger.exception("the dispatcher goes on after an error")
                    failures += 1
                if failures:
                    self.stopped.wait(backoff_seconds(failures, longest=LONGEST_WAIT_SECONDS))
                    continue
                listener.wait(0.0 if self.stopped.is_set() else pause, found)
                for call in self.calls:
                    call.ring()
        for lane in self.lanes:
            lane.thread.join()

    def look(self) -> bool:
        """Do what is due, and say whether there was anything."""
        found = self.engine.fire_due() > 0
        self.engine.carry_on_everywhere(seconds=CARRY_ON_SECONDS)
        database, now = self.engine.database, self.engine.clock()
        if database.snapshot(lambda store: anything_lost(store.connection, now)):
            found = database.transaction(lambda store: take_up(store.connection, now)) > 0 or found
        return found

    def pause_seconds(self, found: bool) -> float:
        """Return how long nothing is due.

        :param found: the last look found something; if not, what is overdue is not for this process
        """
        due = self.engine.next_due()
        if due is None:
            return LONGEST_WAIT_SECONDS
        shortest = 0.0 if found else IDLE_SECONDS
        return max(shortest, min((due - self.engine.clock()).total_seconds(), LONGEST_WAIT_SECONDS))

    def stop(self) -> None:
        """Begin nothing more; `run` returns when what was begun is finished."""
        self.stopped.set()
        for call in (*self.calls, self.quiet):
            call.end()
        self.engine.database.ring()


class DispatchService(cotyledon.Service):
    """A dispatcher as a process of cotyledon's."""

    def __init__(self, worker_id: Any, settings: Settings, make: Callable[[Settings], Dispatcher]) -> None:
        super().__init__(worker_id)
        self.settings = settings
        self.dispatcher = make(settings)
        self.ended = threading.Event()

    def run(self) -> None:
        """Work in this thread until `terminate`."""
        logging.basicConfig(
            level=self.settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s"
        )
        print("lazyengine dispatches", flush=True)  # noqa: T201
        try:
            self.dispatcher.run()
        finally:
            self.ended.set()

    def terminate(self) -> None:
        """Finish what it holds."""
        self.dispatcher.stop()
        self.ended.wait(GRACE_SECONDS)
        self.dispatcher.engine.database.dispose()


def dispatch(settings: Settings, make: Callable[[Settings], Dispatcher], workers: int = 1) -> None:
    """Run dispatchers until a SIGTERM; one that dies is started again."""
    manager: Any = cotyledon.ServiceManager(graceful_shutdown_timeout=GRACE_SECONDS + 5)
    manager.add(DispatchService, workers=workers, args=(settings, make))
    manager.run()
