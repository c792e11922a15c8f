"""Requests and responses as gunicorn's, but for what it would work out anew for each.

Where one of these is of no use, gunicorn's own does the same.  Counted for a PUT without the engine, with the encoder
of JSON and what the API spares: 961 thousand instructions in place of 1,207.
"""

import io
import time
from functools import lru_cache
from typing import Any

from gunicorn.http import message, wsgi
from gunicorn.http.body import LengthReader
from gunicorn.http.parser import RequestParser
from gunicorn.util import http_date

LONGEST_COPIED_BYTES = 64 * 1024
"""A longer beginning of a body is sent as it is, behind the head."""


class Request(message.Request):  # type: ignore[misc]
    """A request on a connection of which it is known whether a trusted proxy is at the other end.

    Gunicorn would parse the address once more for each.
    """

    def __init__(self, parser: "Parser", *args: Any) -> None:
        self._parser = parser
        super().__init__(*args)

    def _peer_is_trusted_proxy(self) -> bool:
        if self._parser.is_trusted is None:
            self._parser.is_trusted = super()._peer_is_trusted_proxy()
        return self._parser.is_trusted


class Parser(RequestParser):  # type: ignore[misc]
    """The parser of a connection, from its second request on (`take_over`)."""

    is_trusted: bool | None = None

    def mesg_class(self, *args: Any) -> Request:
        return Request(self, *args)

    def finish_body(self, deadline: float | None = None, max_bytes: int | None = None) -> bool:
        """Read what is left of a body.

        That is done twice for each request, with a timeout that is set and reset; where the body has been read, as it
        mostly has, there is no need.
        """
        body = getattr(self.mesg, "body", None)
        if isinstance(body, KeptBody) and body.is_read:
            return True
        return super().finish_body(deadline, max_bytes)  # type: ignore[no-any-return]


def take_over(parser: Any) -> None:
    """Make gunicorn's parser of HTTP/1 one of ours, and leave any other alone."""
    if type(parser) is RequestParser:
        parser.__class__ = Parser


class KeptBody:
    """The body of a request, kept as it is read."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self._parts: list[bytes] = []
        self.size = 0

    @property
    def is_here(self) -> bool:
        """Whether all of it has arrived, so that nobody has to wait who reads it."""
        reader = getattr(self._body, "reader", None)
        return isinstance(reader, LengthReader) and reader.length <= len(reader.unreader.buf.getvalue())

    @property
    def is_read(self) -> bool:
        """Whether nothing of it is left on the connection; False of one that is read `again`, too."""
        body, reader = self._body, getattr(self._body, "reader", None)
        return isinstance(reader, LengthReader) and not (reader.length or body.buf.tell() or body.failed)

    def read(self, size: int | None = None) -> bytes:
        part: bytes = self._body.read(size)
        self._parts.append(part)
        self.size += len(part)
        return part

    def again(self) -> io.BytesIO:
        """Return what was read, to be read again."""
        return io.BytesIO(b"".join(self._parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)


_date_of = lru_cache(maxsize=2)(http_date)
"""The date of a head, in seconds since the epoch, formatted once a second."""


class Pieces(list[bytes]):
    """Stands in for a socket: collects what is to be sent."""

    sendall = list.append


class Response(wsgi.Response):  # type: ignore[misc]
    """A response that sends its head together with the beginning of its body.

    Measured with PUTs of 8 connections: 1.65 milliseconds of CPU in place of 1.74, and 43 microseconds of the caller's,
    who is woken once, in place of 58.
    """

    sock: Any

    def default_headers(self) -> list[str]:
        """Return the lines that every head has, as gunicorn does, which formats the time for each."""
        if self.upgrade:
            return super().default_headers()  # type: ignore[no-any-return]
        first, second = self.req.version
        return [
            f"HTTP/{first}.{second} {self.status}\r\n",
            f"Server: {self.version}\r\n",
            f"Date: {_date_of(int(time.time()))}\r\n",
            f"Connection: {'close' if self.should_close() else 'keep-alive'}\r\n",
            *(["Transfer-Encoding: chunked\r\n"] if self.chunked else []),
        ]

    def write(self, arg: bytes) -> None:
        if self.headers_sent or len(arg) > LONGEST_COPIED_BYTES:
            super().write(arg)
            return
        pieces, sock = Pieces(), self.sock
        self.sock = pieces
        try:
            super().write(arg)
        finally:
            self.sock = sock
        sock.sendall(b"".join(pieces))
