"""What surrounds the API: request ids, the access log, the limit on bodies, authentication.

`lazyengine.api.app` puts them in their order.
"""

import logging
import random
import re
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from lazyengine.api.request import CALLBACKS, OWNER, REQUEST_ID, redacted
from lazyengine.api.waiting import began
from lazyengine.auth import Authenticator
from lazyengine.errors import RequestInvalid, RequestTooLarge

LOG = logging.getLogger("lazyengine.api")
CALLERS_REQUEST_ID = "lazyengine.callers_request_id"

Environ = dict[str, Any]
App = Callable[[Environ, Any], Iterable[bytes]]
Observer = Callable[[Environ, str, float], None]

UUID_MARKS, UUID4 = 0xF << 76 | 0b11 << 62, 4 << 76 | 0b10 << 62
"""The bits that tell version and variant, and what they are."""

_is_request_id = re.compile(r"req-[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch


def new_request_id() -> str:
    """Name a request by a random UUID (RFC 9562, version 4).

    It is no secret, so it needs no system call, as `uuid.uuid4` does: 10 thousand instructions less.
    """
    x = f"{random.getrandbits(128) & ~UUID_MARKS | UUID4:032x}"
    return f"req-{x[:8]}-{x[8:12]}-{x[12:16]}-{x[16:20]}-{x[20:]}"


def request_ids(app: App) -> App:
    """Give every request an id of our own and every response the header that tells it."""

    def with_id(environ: Environ, start_response: Any) -> Iterable[bytes]:
        request_id = environ[REQUEST_ID] = new_request_id()
        theirs = environ.get("HTTP_X_OPENSTACK_REQUEST_ID", "")
        environ[CALLERS_REQUEST_ID] = theirs if _is_request_id(theirs) else "-"

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*headers, ("X-Openstack-Request-Id", request_id)], exc_info)

        return app(environ, start)

    return with_id


def observed(app: App, *observers: Observer) -> App:
    """Tell observers of each request that was answered: its environ, its status and the seconds it took."""

    def observing(environ: Environ, start_response: Any) -> Iterable[bytes]:
        since = began()
        statuses = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            statuses.append(status[:3])
            return start_response(status, headers, exc_info)

        body = app(environ, start)
        seconds = time.monotonic() - since
        for observe in observers:
            observe(environ, statuses[-1], seconds)
        return body

    return observing


def log_access(environ: Environ, status: str, seconds: float) -> None:
    """Log one line for a request: no body, no header but the request ids, no query."""
    LOG.info(
        "%s %s %s %.1f ms %s %s owner=%s",
        environ["REQUEST_METHOD"],
        quote(redacted(environ["PATH_INFO"]), encoding="latin-1"),
        status,
        seconds * 1000,
        environ[REQUEST_ID],
        environ[CALLERS_REQUEST_ID],
        environ.get(OWNER) or "-",
    )


QUIET_SECONDS = 10.0
"""A body of which nothing arrives for this long is given up."""

SLOWEST_SECONDS = 60.0
"""So is one that is not complete after this long."""

PIECE_BYTES = 64 * 1024


class LimitedInput:
    """The body of a request, of which nobody reads more than `limit_bytes`.

    Whoever sends one slowly holds a thread of the server, which therefore does not wait for ever.

    :param length: as declared; None for a body in chunks, whose end the server knows
    :param connection: the socket below `stream`, where the server tells it, and unless all has arrived (`is_here`): to
        set its timeout and to reset it are two system calls
    """

    def __init__(self, stream: Any, length: int | None, limit_bytes: int, connection: Any = None) -> None:
        self._stream = stream
        self._length = length
        self._limit = limit_bytes
        self._connection = connection

    def read(self) -> bytes:
        """Read the whole body.

        :raises RequestTooLarge: it goes on behind the limit
        :raises RequestInvalid: it ended early, or its chunks are broken
        """
        try:
            body = self._read_in_time(self._limit + 1 if self._length is None else self._length)
        except Exception as error:  # each server has its own for a caller that breaks off
            raise RequestInvalid(reason="The body could not be read to its end.") from error
        if len(body) > self._limit:
            raise RequestTooLarge(limit_bytes=self._limit)
        if self._length is not None and len(body) < self._length:
            raise RequestInvalid(reason=f"The body ended after {len(body)} of {self._length} bytes.")
        return body

    def _read_in_time(self, size: int) -> bytes:
        if self._connection is None:
            return self._read(size)
        before = self._connection.gettimeout()
        self._connection.settimeout(QUIET_SECONDS)
        try:
            return self._read(size)
        finally:
            self._connection.settimeout(before)

    def _read(self, size: int) -> bytes:
        """:raises TimeoutError: it takes too long"""
        deadline = time.monotonic() + SLOWEST_SECONDS
        parts: list[bytes] = []
        while size > 0 and (part := self._stream.read(min(size, PIECE_BYTES))):
            parts.append(part)
            size -= len(part)
            if time.monotonic() > deadline:
                raise TimeoutError
        return b"".join(parts)


def body_limit(app: App, limit_bytes: int) -> App:
    """Refuse a larger body: by its declared length before a byte is read, else as soon as one byte is too many."""

    def limited(environ: Environ, start_response: Any) -> Iterable[bytes]:
        declared = environ.get("CONTENT_LENGTH") or None
        if declared is not None and not (declared.isascii() and declared.isdigit() and len(declared) < 20):
            raise RequestInvalid(reason="Content-Length has to be a number of bytes.")
        length = int(declared) if declared is not None else None
        if length is not None and length > limit_bytes:
            raise RequestTooLarge(limit_bytes=limit_bytes)
        if length is None and not environ.get("wsgi.input_terminated"):
            length = 0  # nobody would tell where it ends
        stream = environ["wsgi.input"]
        connection = None if getattr(stream, "is_here", False) else environ.get("gunicorn.socket")
        environ["wsgi.input"] = LimitedInput(stream, length, limit_bytes, connection)
        return app(environ, start_response)

    return limited


def authentication(app: App, authenticator: Authenticator, open_paths: frozenset[str]) -> App:
    """Tell who calls, or refuse; `open_paths` are for everybody, as are callbacks, whose path is the authentication."""

    def authenticated(environ: Environ, start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path not in open_paths and not path.startswith(CALLBACKS):
            environ[OWNER] = authenticator.owner(environ.get("HTTP_AUTHORIZATION"))
        return app(environ, start_response)

    return authenticated
