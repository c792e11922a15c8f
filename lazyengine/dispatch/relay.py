"""The relay: takes what is on offer to a target, sends it, and notes that it was sent."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Event

from lazyengine.db.sending import give, next_offer, put_back, take
from lazyengine.dispatch.lanes import LONGEST_WAIT_SECONDS, Call, Lane, backoff_seconds
from lazyengine.dispatch.senders import DestinationAway, Sender, SendingFailed
from lazyengine.engine import Engine
from lazyengine.errors import LazyEngineError
from lazyengine.records import Errand, Report
from lazyengine.targets import Target

logger = logging.getLogger(__name__)

BATCH = {"amqp": 50, "celery": 50, "http": 1}
"""Tasks that a lane takes at a time: where one is answered late, the others in its batch would have to wait."""

SPARE_SECONDS = 30.0
"""How much longer a dispatcher holds what it sends than its sending may take."""


class Relay(Lane):
    """A lane of one target."""

    def __init__(
        self, engine: Engine, target: Target, sender: Sender, dispatcher: str, call: Call, stopped: Event
    ) -> None:
        super().__init__(f"lane of target '{target.name}'", call, stopped)
        self.engine, self.database, self.clock = engine, engine.database, engine.clock
        self.target, self.sender, self.dispatcher = target, sender, dispatcher
        self.limit = BATCH[target.sender]

    def close(self) -> None:
        self.sender.close()

    def work(self) -> float:
        """Send some of what is on offer; each was sent once it is noted, or is on offer again."""
        first = self.database.snapshot(lambda store: next_offer(store.connection, self.target.name))
        if first is None:
            return LONGEST_WAIT_SECONDS
        now = self.clock()
        if first > now:
            return (first - now).total_seconds()
        errands = self._take(now)
        if errands:
            self.call.ring()  # there may be more: another lane of the target may look, too
        sent, reports = self._send(errands)
        if sent:
            self._give(sent)
        for errand, report in reports:
            self._complete(errand, report)
        return 0.0 if errands else 0.05  # others hold what is on offer

    def _take(self, now: datetime) -> tuple[Errand, ...]:
        # two attempts at sending each, should the connection have broken
        until = now + timedelta(seconds=self.limit * 2 * self.target.timeout_seconds + SPARE_SECONDS)
        return self.database.transaction(
            lambda store: take(store.connection, self.target.name, self.dispatcher, self.limit, now, until)
        )

    def _send(self, errands: Sequence[Errand]) -> tuple[list[Errand], list[tuple[Errand, Report]]]:
        """Send them in order; once the destination is away, the rest is put back untried."""
        sent: list[Errand] = []
        reports: list[tuple[Errand, Report]] = []
        for at, errand in enumerate(errands):
            try:
                report = self.sender.send(errand)
            except DestinationAway as error:
                logger.warning("target '%s' is away: %s", self.target.name, error)
                self._put_back(errands[at:], 0)
                self.rest()
                break
            except SendingFailed as error:
                self._put_back([errand], 1)
                logger.warning("task %s was not taken by target '%s': %s", errand.id, self.target.name, error)
            except Exception:
                self._put_back([errand], 1)
                logger.exception("task %s cannot be sent to target '%s'", errand.id, self.target.name)
            else:
                self.failures = 0
                sent.append(errand)
                if report is not None:
                    reports.append((errand, report))
        return sent, reports

    def _give(self, sent: Sequence[Errand]) -> None:
        leases = self.target.lease_seconds > 0
        until = self.clock() + timedelta(seconds=self.target.lease_seconds) if leases else None
        holder = self.target.name if leases else None
        self.database.transaction(lambda store: give(store.connection, sent, self.dispatcher, holder, until))

    def _put_back(self, errands: Sequence[Errand], failed: int) -> None:
        now = self.clock()
        rows = [
            (errand, now + timedelta(seconds=backoff_seconds(errand.sends + 1) * failed), errand.sends + failed)
            for errand in errands
        ]
        self.database.transaction(lambda store: put_back(store.connection, rows, self.dispatcher))

    def _complete(self, errand: Errand, report: Report) -> None:
        """Take in what the receiver said of a task; what is refused is in the history, or was known."""
        with suppress(LazyEngineError):
            self.engine.complete_task(errand.owner, errand.assignment.execution_id, report)
            return
        logger.info("the answer to task %s was refused", errand.id)
