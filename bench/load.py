"""A load generator that costs little: raw sockets, kept connections, requests made beforehand, one loop, no thread.

It shares the processors with what it measures; `Load.cpu_us` is its own processor time for a request.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field

Script = Iterator[bytes] | Generator[bytes, bytes, None]
"""Requests of one connection, one after the other; a generator is sent the body of each answer."""


@dataclass
class Load:
    """What a load came to.

    :param seconds: from the first request to the last answer
    :param latencies: of every request, in seconds, in the order of the answers
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.seconds

    @property
    def cpu_us(self) -> float:
        return self.cpu_seconds / len(self.latencies) * 1e6


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """Write a request as it goes over the wire."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def drive(
    port: int, scripts: Iterable[Script], connections: int, seconds: float = 60.0, *, whole: bool = False
) -> Load:
    """Send scripts over kept connections; one that has ended takes the next script.

    It is over when there is no script left to be taken, or the time is, so all connections are busy to the end.  What
    is in flight then is waited for, and does not count.

    :param whole: go on until every script has ended, however few connections are busy in the end

    :raises SystemExit: an answer is an error
    """
    waiting, load = deque(scripts), Load()
    poll = select.epoll()
    sockets: dict[int, socket.socket] = {}
    scripts_of: dict[int, Callable[[bytes], bytes]] = {}
    sent: dict[int, float] = {}
    now, latencies, over = time.perf_counter, load.latencies, False
    for _ in range(min(connections, len(waiting))):
        one = socket.create_connection(("127.0.0.1", port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets[one.fileno()] = one
        poll.register(one.fileno(), select.EPOLLIN)
    cpu, began = time.process_time(), now()
    for number, one in sockets.items():
        first, scripts_of[number] = begin(waiting.popleft())
        sent[number] = now()
        one.sendall(first)
    while sent:
        for number, _ in poll.poll():
            answer = read_answer(sockets[number])
            moment = now()
            started = sent.pop(number)
            if over:
                continue
            latencies.append(moment - started)
            over = moment - began > seconds
            try:
                following = scripts_of[number](answer)
            except StopIteration:
                if waiting:
                    following, scripts_of[number] = begin(waiting.popleft())
                elif whole and sent:
                    continue
                else:
                    over = True
            if over:
                load.seconds, load.cpu_seconds = moment - began, time.process_time() - cpu
            else:
                sent[number] = moment
                sockets[number].sendall(following)
    for one in sockets.values():
        one.close()
    poll.close()
    return load


def begin(script: Script) -> tuple[bytes, Callable[[bytes], bytes]]:
    """Return the first request of a script, and what gives the next one for the answer to the one before."""
    if isinstance(script, Generator):
        return next(script), script.send
    return next(script), lambda _: next(script)


def read_answer(one: socket.socket) -> bytes:
    """Read one answer with a Content-Length; return its body.

    :raises SystemExit: it is an error, or the server has gone
    """
    answer = one.recv(65536)
    end = answer.find(b"\r\n\r\n")
    while end < 0:
        piece = one.recv(65536)
        if not piece:
            raise SystemExit("the server closed the connection")
        answer += piece
        end = answer.find(b"\r\n\r\n")
    at = answer.lower().find(b"content-length: ", 0, end) + 16
    length = int(answer[at : answer.find(b"\r", at)])
    missing = end + 4 + length - len(answer)
    pieces = [answer]
    while missing > 0:
        pieces.append(one.recv(1 << 20))
        missing -= len(pieces[-1])
    if answer[9:10] not in b"2":
        raise SystemExit(b"".join(pieces).decode(errors="replace"))
    return b"".join(pieces)[end + 4 :]


class Client:
    """One kept connection, for what is done between the measurements."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, message: bytes) -> bytes:
        """Send a request; return the body of the answer."""
        self._socket.sendall(message)
        return read_answer(self._socket)

    def close(self) -> None:
        self._socket.close()
