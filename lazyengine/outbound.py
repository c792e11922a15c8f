"""Requests to addresses that callers name: webhooks and `std.http` go out here, and nowhere else.

1. Only http and https, and no credentials in the URL, which is shown to people and written to logs.
2. The name is resolved once.  Of what it resolves to only public addresses count, and those in the networks that the
   operator allows; the connection goes to one of these, whatever the name resolves to a moment later.
3. An IPv6 address that carries an IPv4 address (mapped, 6to4, NAT64) is judged by that one.
4. A redirect is the answer, unless the caller asks to follow it; then it is followed within the same origin only.
5. The whole of it is bounded: in time from the first look at the name to the last byte, and in bytes as unpacked.
6. Proxies of the environment do not count: they would resolve the name anew.
"""

import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urljoin

from urllib3 import HTTPHeaderDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import Url, parse_url

from lazyengine.errors import OutboundFailed, OutboundRefused, OutboundTooLarge, OutboundUnanswered, SettingsInvalid

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

TIMEOUT_SECONDS = 60.0
MAX_BYTES = 5 * 1024 * 1024
MAX_REDIRECTS = 10
CHUNK_BYTES = 64 * 1024
PORTS = {"http": 80, "https": 443}
METHOD = re.compile(r"[A-Z][A-Z-]*")
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
REDIRECTS = frozenset({301, 302, 303, 307, 308})
BECOMES_GET = frozenset({(301, "POST"), (302, "POST"), (303, "POST"), (303, "PUT"), (303, "PATCH"), (303, "DELETE")})
"""Redirects that are followed with a GET and without a body (RFC 9110, 15.4)."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer.

    :param url: what answered, after redirects
    :param history: the status and the URL of each redirect that was followed
    """

    status: int
    headers: HTTPHeaderDict
    body: bytes
    reason: str = ""
    url: str = ""
    history: tuple[tuple[int, str], ...] = ()


class Outbound:
    """Sends requests to where they may go; threads may share it.

    :param allow: networks (CIDR) that are not public and may be called all the same
    :raises SettingsInvalid: an entry of `allow` is not a network
    """

    def __init__(self, allow: Sequence[str] = ()) -> None:
        self._allowed = tuple(map(_network, allow))
        self._trusting = {True: ssl.create_default_context(), False: ssl.create_default_context()}
        self._trusting[False].check_hostname = False
        self._trusting[False].verify_mode = ssl.CERT_NONE

    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float) -> Response:
        """POST a document.  Raises as `request` does."""
        return self.request("POST", url, body, headers, timeout_seconds)

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        max_bytes: int = MAX_BYTES,
        *,
        verify: bool = True,
        follow: bool = False,
    ) -> Response:
        """Send one request and read its answer.

        :param timeout_seconds: for all of it
        :param max_bytes: of the answer's body, unpacked
        :param verify: False takes any certificate
        :param follow: go where redirects of the same origin lead, instead of answering them
        :raises OutboundRefused: it may not go there
        :raises OutboundFailed: no answer came, or not in time
        :raises OutboundTooLarge: the answer has more than `max_bytes`
        """
        deadline = time.monotonic() + timeout_seconds
        history: list[tuple[int, str]] = []
        while True:
            place = _place(url)
            call = _Call(place, self._addresses(place, deadline), deadline, self._trusting[verify])
            answer = call.send(method.upper(), body, headers or {}, max_bytes)
            location = answer.headers.get("Location")
            if not follow or answer.status not in REDIRECTS or not location:
                return Response(answer.status, answer.headers, answer.body, answer.reason, url, tuple(history))
            history.append((answer.status, url))
            url = urljoin(url, location)
            if len(history) > MAX_REDIRECTS:
                raise OutboundFailed(where=_shown(place), reason=f"more than {MAX_REDIRECTS} redirects")
            if _shown(_place(url)) != _shown(place):
                raise OutboundRefused(where=_shown(_place(url)), reason="it is where a redirect leads to")
            if (answer.status, method.upper()) in BECOMES_GET:
                method, body = "GET", None

    def _addresses(self, place: Url, deadline: float) -> list[Address]:
        """Return the addresses of a host that may be called, of which there is at least one."""
        found = _resolve(place, deadline)
        fit = [address for address in found if self._may_call(address)]
        if not fit:
            reason = f"{found[0]} is not public, and outbound_allow has no network that it is in"
            raise OutboundRefused(where=_shown(place), reason=reason)
        return fit

    def _may_call(self, address: Address) -> bool:
        if any(address in network for network in self._allowed):
            return True
        carried = _carried(address)
        return _is_public(address) if carried is None else self._may_call(carried)


# -- addresses --------------------------------------------------------------------------------------------------------


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise SettingsInvalid(reason=f"outbound_allow has to hold networks such as 10.0.0.0/8: {error}") from None


def _is_public(address: Address) -> bool:
    special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )
    return address.is_global and not special and not getattr(address, "is_site_local", False)


def _carried(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for (RFC 4291, RFC 3056, RFC 6052)."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


def _place(url: str) -> Url:
    """Take a URL apart.

    :raises OutboundRefused: it is none, it is not of http or https, or it has credentials
    """
    try:
        place = parse_url(url)
    except LocationParseError:
        raise OutboundRefused(where="The URL", reason="it is not valid") from None
    if place.scheme not in PORTS or not place.host:
        raise OutboundRefused(where="The URL", reason="it has to begin with http:// or https:// and a host")
    if place.auth is not None:
        raise OutboundRefused(where=_shown(place), reason="the URL has credentials, which belong into a header")
    return place


def _port(place: Url) -> int:
    return place.port or PORTS[place.scheme or ""]


def _shown(place: Url) -> str:
    """Return the origin, for messages: paths and queries may hold secrets."""
    return f"{place.scheme}://{place.host}:{_port(place)}"


def _resolve(place: Url, deadline: float) -> list[Address]:
    """Look a host up, in a thread that is left alone once the time is over: the system's resolver has its own."""
    answers: SimpleQueue[Any] = SimpleQueue()
    host = (place.host or "").strip("[]")

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, _port(place), type=socket.SOCK_STREAM))
        except (OSError, UnicodeError, ValueError) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        found = answers.get(timeout=max(0.0, deadline - time.monotonic()))
    except Empty:
        raise OutboundFailed(where=_shown(place), reason="its name was not resolved in time") from None
    if isinstance(found, Exception) or not found:
        raise OutboundFailed(where=_shown(place), reason="its name cannot be resolved")
    return list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))


# -- one request ------------------------------------------------------------------------------------------------------


class _Pinned:
    """A connection of urllib3 to the addresses that were checked; Host and certificate stay those of the name."""

    call: "_Call"

    def _new_conn(self) -> socket.socket:
        return self.call.connect()


class _PinnedHTTP(_Pinned, HTTPConnection):
    pass


class _PinnedHTTPS(_Pinned, HTTPSConnection):
    pass


class _Call:
    """One request and its answer, up to a deadline."""

    def __init__(self, place: Url, addresses: list[Address], deadline: float, trust: ssl.SSLContext) -> None:
        self._place, self._addresses, self._deadline, self._trust = place, addresses, deadline, trust
        self._is_late = False
        self._watched: socket.socket | None = None

    def send(self, method: str, body: bytes | None, headers: Mapping[str, str], max_bytes: int) -> Response:
        if not METHOD.fullmatch(method):
            raise OutboundRefused(where=_shown(self._place), reason="the method is not one of HTTP")
        connection = self._connection()
        failed: type[OutboundFailed] = OutboundFailed
        try:
            with self._watch():
                connection.request(method, self._place.request_uri, body, headers, preload_content=False)
                failed = OutboundUnanswered
                answer = connection.getresponse()
                content = b"" if method == "HEAD" else self._read(answer, max_bytes)
            if self._is_late:
                raise TimeoutError
            return Response(answer.status, answer.headers, content, answer.reason or "")
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            raise failed(where=_shown(self._place), reason=self._reason(error)) from None
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        """Connect to the first address that takes it."""
        for address in self._addresses:
            with suppress(OSError):
                sock = socket.create_connection((str(address), _port(self._place)), self._left())
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._watched = sock.dup()
                return sock
        raise ConnectionError

    def _connection(self) -> HTTPConnection:
        host, port = self._place.host or "", _port(self._place)
        connection: Any = (
            _PinnedHTTP(host, port, timeout=self._left())
            if self._place.scheme == "http"
            else _PinnedHTTPS(
                host, port, timeout=self._left(), ssl_context=self._trust, cert_reqs=self._trust.verify_mode
            )
        )
        connection.call = self
        return connection  # type: ignore[no-any-return]

    def _read(self, answer: Any, max_bytes: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while part := answer.read(min(CHUNK_BYTES, max_bytes + 1)):
            parts.append(part)
            size += len(part)
            if size > max_bytes:
                raise OutboundTooLarge(where=_shown(self._place), limit_bytes=max_bytes)
        return b"".join(parts)

    def _left(self) -> float:
        return max(0.001, self._deadline - time.monotonic())

    @contextmanager
    def _watch(self) -> Iterator[None]:
        """Shut the connection down at the deadline: a timeout of a socket is for one read, and more may always come."""

        def end() -> None:
            self._is_late = True
            if self._watched is not None:
                with suppress(OSError):
                    self._watched.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self._left(), end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            if self._watched is not None:
                self._watched.close()

    def _reason(self, error: Exception) -> str:
        """Say what went wrong, without anything that a URL or a header may hold."""
        if self._is_late or isinstance(error, TimeoutError) or time.monotonic() >= self._deadline:
            return "it took too long"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {error.verify_message}"
        if isinstance(error, ssl.SSLError):
            return "it does not speak TLS as it should"
        if isinstance(error, ConnectionError):
            return "it does not take connections, or broke this one off"
        if isinstance(error, ValueError | UnicodeError):
            return "a header or the path has characters that HTTP does not allow"
        return f"the answer is not HTTP ({type(error).__name__})"
