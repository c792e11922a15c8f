"""Notifications: callers hear of the end of an execution, once it is committed and until they have answered.

A place is where a URL leads to, its scheme, host and port.  One that cannot be reached is left alone for a while, and
one that is being called is not called by another lane of the same dispatcher: so one that is down or slow delays only
what is for it.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from lazyengine.backoff import backoff_seconds
from lazyengine.db.notifications import (
    next_notification,
    next_url,
    not_told,
    place_of,
    release,
    take_notifications,
    told,
)
from lazyengine.dispatch.lanes import LONGEST_WAIT_SECONDS, Call, Lane
from lazyengine.dispatch.webhook import Signer, event
from lazyengine.engine import Engine
from lazyengine.errors import OutboundFailed, OutboundRefused
from lazyengine.outbound import Outbound
from lazyengine.records import Notification
from lazyengine.settings import Settings

logger = logging.getLogger(__name__)

TYPES = {"SUSPENDED": "lazyengine.execution.suspended"}
FINISHED = "lazyengine.execution.finished"
BATCH = 20
TIMEOUT_SECONDS, SPARE_SECONDS = 10.0, 30.0
LONGEST_RETRY_SECONDS = 3600.0
ASIDE_SECONDS = 0.5
ERROR_LENGTH = 500


MOST_AVOIDED = 100
"""Places that one statement leaves out; who comes upon another one of them looks again after a moment."""

FORGET_SECONDS = 3600.0
"""How long after its pause a place that was away is remembered."""


class Places:
    """Which places not to call now: those that others are calling, and those that are away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}
        self._failures: dict[str, int] = {}

    def avoid(self) -> list[str]:
        """Return the places that are not to be called now."""
        with self._lock:
            now = time.monotonic()
            for place in [place for place, until in self._until.items() if until < now - FORGET_SECONDS]:
                del self._until[place]
                self._failures.pop(place, None)
            return [place for place, until in self._until.items() if until > now][:MOST_AVOIDED]

    def enter(self, place: str) -> bool:
        """Take a place for oneself, unless somebody else is there."""
        with self._lock:
            if self._until.get(place, 0.0) > time.monotonic():
                return False
            self._until[place] = float("inf")
            return True

    def leave(self, place: str, is_away: bool) -> None:
        """Let others in; after a while, if it cannot be reached."""
        with self._lock:
            if not is_away:
                self._until.pop(place, None)
                self._failures.pop(place, None)
                return
            failures = self._failures[place] = self._failures.get(place, 0) + 1
            self._until[place] = time.monotonic() + backoff_seconds(failures)


class Notifier(Lane):
    """A lane of notifications.

    :param encode: the JSON text of a document
    """

    def __init__(
        self, engine: Engine, settings: Settings, signer: Signer, outbound: Outbound, encode: Callable[[Any], str],
        places: Places, call: Call, stopped: threading.Event,
    ) -> None:  # fmt: skip
        super().__init__("lane of notifications", call, stopped)
        self.database, self.clock = engine.database, engine.clock
        self.patience = timedelta(seconds=settings.notification_seconds)
        self.signer, self.outbound, self.encode, self.places = signer, outbound, encode, places

    def close(self) -> None:
        """Nothing stays open that would be its own."""

    def work(self) -> float:
        """Tell some of what is due."""
        first = self.database.snapshot(lambda store: next_notification(store.connection))
        now = self.clock()
        if first is None or first > now:
            self.failures = 0
            return LONGEST_WAIT_SECONDS if first is None else (first - now).total_seconds()
        url = self.database.snapshot(lambda store: next_url(store.connection, now, self.places.avoid()))
        self.failures = 0
        if url is None:
            return ASIDE_SECONDS  # what is due is for places that others call, or that are away
        place = place_of(url)
        if self.places.enter(place):
            self.call.ring()  # there may be something for other places: another lane may look, too
            self._call(place, now)
        return 0.0

    def _call(self, place: str, now: datetime) -> None:
        """Tell what is due at a place; once it cannot be reached, the rest has to wait."""
        is_away = False
        try:
            until = now + timedelta(seconds=BATCH * TIMEOUT_SECONDS + SPARE_SECONDS)
            those = self.database.transaction(
                lambda store: take_notifications(store.connection, place, BATCH, now, until)
            )
            for at, one in enumerate(those):
                is_away = not self._tell(one)
                if is_away or self.stopped.is_set():
                    self._release(those[at + 1 :])
                    return
        finally:
            self.places.leave(place, is_away)

    def _tell(self, one: Notification) -> bool:
        """Tell one thing; return whether the place could be reached."""
        now = self.clock()
        id = f"{one.execution_id}.{one.id}"
        kind = TYPES.get(one.body["state"], FINISHED)
        body = self.encode(event(id, kind, one.execution_id, one.body["workflow"], one.created_at, one.body))
        reached = True
        try:
            answer = self.outbound.post(one.url, body.encode(), self.signer.headers(id, body, now), TIMEOUT_SECONDS)
            error = "" if 200 <= answer.status < 300 else f"it answered {answer.status}"
        except (OutboundRefused, OutboundFailed, OSError) as cause:
            error, reached = str(cause)[:ERROR_LENGTH] or type(cause).__name__, False
        except Exception as cause:  # of a URL that nobody can read, say: it must not hold up the others
            error = f"{type(cause).__name__}: {cause}"[:ERROR_LENGTH]
        if not error:
            self.database.transaction(lambda store: told(store.connection, one))
            return True
        again = now + timedelta(seconds=backoff_seconds(one.tries + 2, longest=LONGEST_RETRY_SECONDS))
        gives_up = again - one.created_at > self.patience
        logger.warning("notification %s was %s: %s", id, "given up" if gives_up else "not delivered", error)
        self.database.transaction(lambda store: not_told(store.connection, one, error, again, gives_up))
        return reached

    def _release(self, those: Sequence[Notification]) -> None:
        if those:
            now = self.clock()
            self.database.transaction(lambda store: release(store.connection, those, now))
