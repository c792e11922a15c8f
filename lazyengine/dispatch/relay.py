"""The relay: takes what is on offer to a target, sends it, and notes that it was sent."""

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Event

from lazyengine.backoff import backoff_seconds
from lazyengine.db.sending import give, next_offer, not_sent, put_back, take, take_up
from lazyengine.dispatch.lanes import AWAY, LONGEST_WAIT_SECONDS, Call, Lane
from lazyengine.dispatch.senders import DestinationAway, Sender, SendingFailed, failed
from lazyengine.engine import Engine
from lazyengine.errors import LazyEngineError
from lazyengine.records import Errand, Report
from lazyengine.targets import Target

logger = logging.getLogger(__name__)

BATCH = {"amqp": 50, "celery": 50, "http": 1}
"""Tasks that a lane takes at a time: where one is answered late, the others in its batch would have to wait."""

BEHIND_SECONDS = 1.0
"""For so long what broke a connection stands behind the others, which may get through."""

BATCH_SECONDS = 30.0
"""How long a lane goes on with what it has taken; the rest goes back."""

TRIES = 2
"""Attempts at sending one task, should the connection have broken."""


class Relay(Lane):
    """A lane of one target.

    :ivar owed: what was sent and not noted yet
    :ivar is_in_doubt: a transaction may have taken something that this lane does not know of
    """

    def __init__(
        self, engine: Engine, target: Target, sender: Sender, dispatcher: str, call: Call, stopped: Event
    ) -> None:
        super().__init__(f"lane of target '{target.name}'", call, stopped)
        self.engine, self.database, self.clock = engine, engine.database, engine.clock
        self.target, self.sender = target, sender
        self.holder = f"{dispatcher}:{uuid.uuid4().hex[:8]}"
        self.limit = BATCH[target.sender]
        self.owed: list[Errand] = []
        self.is_in_doubt = False

    def close(self) -> None:
        self.sender.close()

    def work(self) -> float:
        """Send some of what is on offer; each was sent once it is noted, or is on offer again."""
        self._settle()
        first = self.database.snapshot(lambda store: next_offer(store.connection, self.target.name))
        if first is None:
            return LONGEST_WAIT_SECONDS
        now = self.clock()
        if first > now:
            return (first - now).total_seconds()
        self.is_in_doubt = True
        errands = self._take(now)
        if errands:
            self.call.ring()  # there may be more: another lane of the target may look, too
        for errand, report in self._send(errands, now + timedelta(seconds=BATCH_SECONDS)):
            self._complete(errand, report)
        self._settle()
        self.is_in_doubt = False
        return 0.0 if errands else 0.05  # others hold what is on offer

    def _settle(self) -> None:
        """Note what was sent; what this lane has taken without knowing it, as the database broke, is on offer again."""
        if self.owed:
            self._give(self.owed)
            self.owed = []
        if self.is_in_doubt:
            self.database.transaction(lambda store: take_up(store.connection, self.clock(), self.holder))

    def _take(self, now: datetime) -> tuple[Errand, ...]:
        until = now + timedelta(seconds=BATCH_SECONDS + (TRIES + 1) * self.target.timeout_seconds)
        return self.database.transaction(
            lambda store: take(store, self.target.name, self.holder, self.limit, now, until)
        )

    def _send(self, errands: Sequence[Errand], until: datetime) -> list[tuple[Errand, Report]]:
        """Send them in order, and return the reports that came at once.

        Once the destination is away, or it is `until`, the rest is put back untried.
        """
        reports: list[tuple[Errand, Report]] = []
        for at, errand in enumerate(errands):
            if self.clock() > until:
                self._put_back(errands[at:])
                break
            try:
                report = self.sender.send(errand)
            except DestinationAway as error:
                logger.warning("target '%s' is away: %s", self.target.name, error)
                reports += self._not_sent(errand, BEHIND_SECONDS, error)
                behind = [(one, self._given_up(one, error)) for one in errands[at + 1 :]]
                reports += [report for _, report in behind if report]
                self._put_back([one for one, report in behind if not report], since=self.clock())
                self.rest()
                break
            except Exception as error:
                is_known = isinstance(error, SendingFailed)
                words = (errand.id, self.target.name, error)
                logger.warning("task %s was not taken by target '%s': %s", *words, exc_info=not is_known)
                reports += self._not_sent(errand, backoff_seconds(errand.sends + 1), error)
            else:
                self.failures = 0
                if report is None:
                    self.owed.append(errand)
                else:
                    reports.append((errand, report))
        return reports

    def _not_sent(self, errand: Errand, pause_seconds: float, error: Exception) -> list[tuple[Errand, Report]]:
        """Put a task on offer again after a pause; return its failure once that was tried for long enough."""
        if report := self._given_up(errand, error):
            return [report]
        now = self.clock()
        again = now + timedelta(seconds=pause_seconds)
        self.database.transaction(lambda store: not_sent(store.connection, errand, self.holder, now, again))
        return []

    def _given_up(self, errand: Errand, error: Exception) -> tuple[Errand, Report] | None:
        """Return the failure of a task that was not to be sent for long enough."""
        since, patience = errand.unsent_since, self.target.sending_seconds
        if since is None or not patience or (self.clock() - since).total_seconds() <= patience:
            return None
        message = f"it could not be sent to target '{self.target.name}' since {since:%Y-%m-%dT%H:%M:%SZ}: {error}"
        return errand, failed(errand, message)

    def _give(self, sent: Sequence[Errand]) -> None:
        leases = self.target.lease_seconds > 0
        until = self.clock() + timedelta(seconds=self.target.lease_seconds) if leases else None
        holder = self.target.name if leases else None
        self.database.transaction(lambda store: give(store.connection, sent, self.holder, holder, until))

    def _put_back(self, errands: Sequence[Errand], since: datetime | None = None) -> None:
        now = self.clock()
        self.database.transaction(lambda store: put_back(store.connection, errands, self.holder, now, since))

    def _complete(self, errand: Errand, report: Report) -> None:
        """Take in what the receiver said of a task; what is refused is in the history, or was known."""
        try:
            self.engine.complete_task(errand.owner, errand.assignment.execution_id, report)
        except AWAY:
            raise
        except LazyEngineError as error:
            logger.info("the answer to task %s was refused: %s", errand.id, error)
            self.owed.append(errand)
