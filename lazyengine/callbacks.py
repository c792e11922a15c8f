"""Callback URLs: whoever has one may report on one attempt of one task, until it expires, and may do nothing else.

A URL is signed (itsdangerous, HMAC with SHA-256) over all that it stands for.  Nothing is stored for it: it is made
when somebody is told of the attempt.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from itsdangerous import BadData, URLSafeSerializer
from itsdangerous.encoding import base64_decode, base64_encode

from lazyengine.core.state import ATTEMPTED_TASK_STATES
from lazyengine.core.values import replace
from lazyengine.errors import CallbackExpired, CallbackInvalid
from lazyengine.records import Assignment, Heartbeat, Report, Reported, Task
from lazyengine.settings import Settings

UNSPECIFIED = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - addresses of nobody
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SALT = "lazyengine.callback"
STEPS = 24
"""An expiry is a multiple of this part of the time that URLs hold: telling of an attempt again tells the same URL."""


@dataclass(frozen=True, slots=True)
class Capability:
    """What a callback URL stands for.

    :param execution_created_at: when the execution was, as another one may have its id later, in microseconds since
        the epoch
    :param expires_at: in seconds since the epoch
    """

    owner: str
    execution_id: str
    execution_created_at: int
    task: str
    iteration: int
    item: int | None
    attempt: int
    expires_at: int

    def of(self, report: Report | Heartbeat) -> Report | Heartbeat:
        """Return a report as one that counts for this execution only."""
        return replace(report, execution_created_at=EPOCH + timedelta(microseconds=self.execution_created_at))


class Callbacks:
    """Makes and reads callback URLs.

    :param keys: gives the signing keys, the one that signs first; asked once, when the first URL is needed
    """

    def __init__(
        self, settings: Settings, keys: Callable[[], Iterable[str]], clock: Callable[[], float] = time.time
    ) -> None:
        self._settings, self._keys, self._clock = settings, keys, clock
        self._base = base_url(settings)
        self._serializer: URLSafeSerializer | None = None
        self._lock = threading.Lock()

    def url(self, owner: str, assignment: Assignment) -> str | None:
        """Return the URL that completes an attempt, or None where nobody could reach this service."""
        return self._url(owner, assignment.task, assignment)

    def url_of_task(self, owner: str, task: Task) -> str | None:
        """Return the same of a task that is under way by itself; None of any other."""
        if task.state not in ATTEMPTED_TASK_STATES or task.items is not None or task.child_execution_id is not None:
            return None
        return self._url(owner, task.name, task)

    def read(self, token: str) -> Capability:
        """Return what a token stands for.

        :raises CallbackInvalid: it was altered, or signed with a key that is not known (any more)
        :raises CallbackExpired: it is too old
        """
        try:
            capability = Capability(*self._signer().loads(token))
            signature = token.rpartition(".")[2]
            if base64_encode(base64_decode(signature)).decode() != signature:  # bits that base64 passes over
                raise CallbackInvalid()
        except (BadData, TypeError):
            raise CallbackInvalid() from None
        if self._clock() > capability.expires_at:
            raise CallbackExpired()
        return capability

    # -- of records ---------------------------------------------------------------------------------------------------

    def offer(self, owner: str, assignments: Iterable[Assignment]) -> tuple[Assignment, ...]:
        """Put the URLs into assignments."""
        return tuple(replace(one, callback_url=self.url(owner, one)) for one in assignments)

    def show(self, owner: str, task: Task) -> Task:
        """Put the URL into a task."""
        return replace(task, callback_url=self.url_of_task(owner, task))

    def answer(self, owner: str, reported: Reported) -> Reported:
        """Put the URLs into the answer to a report."""
        return replace(reported, task=self.show(owner, reported.task), scheduled=self.offer(owner, reported.scheduled))

    def _url(self, owner: str, name: str, one: Assignment | Task) -> str | None:
        if self._base is None or one.execution_created_at is None:
            return None
        created_at = (one.execution_created_at - EPOCH) // timedelta(microseconds=1)
        seconds = self._settings.callback_seconds
        step = max(1, int(seconds / STEPS))
        expires_at = -int(-(self._clock() + seconds) // step) * step  # rounded up
        facts = (owner, one.execution_id, created_at, name, one.iteration, one.item, one.attempt, expires_at)
        token = self._signer().dumps(facts)
        return f"{self._base}/callbacks/{token}"

    def _signer(self) -> URLSafeSerializer:
        with self._lock:
            if self._serializer is None:
                keys = list(self._keys())[::-1]  # itsdangerous signs with the last
                digest = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
                self._serializer = URLSafeSerializer(keys, SALT, signer_kwargs=digest)
            return self._serializer


def base_url(settings: Settings) -> str | None:
    """Return where callers reach the service; None if that is not known: it listens anywhere, or on any port."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    if settings.host in UNSPECIFIED:
        return None
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}" if settings.port else None
