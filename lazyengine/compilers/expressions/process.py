"""The other end of `child.py`: one evaluator process, as its parent sees it."""

import json
import os
import socket
import subprocess
import sys
import time
from typing import Any

from lazyengine.compilers.expressions.frames import LENGTH
from lazyengine.settings import Settings

CHILD = "lazyengine.compilers.expressions.child"
START_SECONDS = 60.0
ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
"""What the child gets to see of the environment: nothing that is secret."""
ROOM = 1 << 20
"""Bytes that an answer may have beyond the values in it."""


class Lost(Exception):
    """The process has ended, or answers what it should not."""


class Process:
    """One process, used by one thread at a time.

    :ivar answered: jobs it has answered
    :raises RuntimeError: it does not start
    """

    def __init__(self, settings: Settings) -> None:
        self.answered = 0
        self._longest = settings.expression_result_bytes + ROOM
        self._buffer = bytearray()
        self._socket, theirs = socket.socketpair()
        with theirs:
            limits = (
                settings.expression_timeout_seconds,
                settings.expression_memory_bytes,
                settings.expression_result_bytes,
            )
            self._process = subprocess.Popen(  # noqa: S603 - this very Python and a module of ours
                [sys.executable, "-P", "-m", CHILD, str(theirs.fileno()), *map(str, limits)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_environment(),
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # what interrupts the server's terminal is for the server alone
            )
        try:
            self._frame(time.monotonic() + START_SECONDS)
        except (Lost, TimeoutError):
            self.kill()
            raise RuntimeError("the evaluator of expressions does not start; its standard error says why") from None

    def send(self, batch: list[Any], deadline: float) -> None:
        """Send a batch of jobs.

        :raises Lost: nobody reads any more
        :raises TimeoutError: not in time
        """
        text = json.dumps(batch, separators=(",", ":")).encode()
        self._wait(deadline)
        try:
            self._socket.sendall(LENGTH.pack(len(text)) + text)
        except (BrokenPipeError, ConnectionResetError):
            raise Lost from None

    def receive(self, deadline: float) -> dict[str, Any]:
        """Return the answer to the next job.

        :raises Lost: there is none
        :raises TimeoutError: not in time
        """
        try:
            answer = json.loads(self._frame(deadline))
        except (ValueError, RecursionError):
            raise Lost from None
        if not isinstance(answer, dict):
            raise Lost
        return answer

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self._socket.close()

    def _frame(self, deadline: float) -> bytes:
        (length,) = LENGTH.unpack(self._take(LENGTH.size, deadline))
        if length > self._longest:
            raise Lost
        return self._take(length, deadline)

    def _take(self, size: int, deadline: float) -> bytes:
        while len(self._buffer) < size:
            self._wait(deadline)
            try:
                received = self._socket.recv(65_536)
            except ConnectionResetError:
                raise Lost from None
            if not received:
                raise Lost
            self._buffer += received
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _wait(self, deadline: float) -> None:
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    # One seed for all: the order in which a set is listed does not depend on which process evaluates it.
    return kept | {"PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
