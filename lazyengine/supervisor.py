"""`lazyengine serve`: the API, one dispatcher and one worker, each the command that can also be run alone.

1. The API starts first and says where it listens; then come the others.
2. A dispatcher or a worker that ends is started again, after a pause.  The end of the API is the end of all, with its
   exit status: whoever runs the service has to hear of it.
3. SIGTERM and SIGINT end the worker and the dispatcher first, as the worker reports to the API what it finishes; then
   the API.  A second signal kills them: no state is lost by that.
4. If this process is killed, each of the others gets a SIGTERM (on Linux).
"""

import ctypes
import ipaddress
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from lazyengine.settings import PREFIX

READY_PIPE = "LAZYENGINE_READY_PIPE"
"""The variable with the descriptor of a pipe that the API writes its address into once it takes requests."""
PUBLIC_URL = PREFIX + "PUBLIC_URL"
PAUSE_SECONDS = 1.0
"""Before what has ended is started again."""
LOOK_SECONDS = 0.2
WORKER_SETTINGS = frozenset({"FLOWS", "OUTBOUND_ALLOW", "LOG_LEVEL"})
"""What a worker is told: it runs code of others, which needs to know neither the database nor all tokens."""
PR_SET_PDEATHSIG = 1


class Supervisor:
    """Runs the three processes.

    :param tokens: for the worker: it works for the owner of each
    """

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._ended: dict[str, float] = {}
        self._signals = 0

    def run(self) -> int:
        """Serve until a signal comes or the API ends; return the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)
        try:
            address = self._start_api()
            beside = self._beside(address) if address else {}
            while self._runs("api", patience=1):
                for name, (arguments, environ) in beside.items():
                    self._keep(name, arguments, environ)
            return self._stop()
        finally:
            for process in self._running.values():
                process.kill()
                process.wait()

    def _hear(self, *_: object) -> None:
        self._signals += 1

    def _runs(self, name: str, patience: int) -> bool:
        """Look, after a moment, whether a process runs, and fewer signals have come than `patience`."""
        try:
            self._running[name].wait(LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            return self._signals < patience
        return False

    def _start_api(self) -> str:
        """Start the API and return where it listens; nothing if it ended instead, or shall end."""
        reads, writes = os.pipe()
        environ = os.environ | {READY_PIPE: str(writes)}
        self._running["api"] = start(["serve", "--api-only"], environ, writes)
        os.close(writes)
        with os.fdopen(reads) as ready:
            while not self._signals:
                if select.select([ready], [], [], LOOK_SECONDS)[0]:
                    return ready.read()
        return ""

    def _beside(self, address: str) -> dict[str, tuple[list[str], Mapping[str, str]]]:
        """Return the commands that run beside the API, with their environments."""
        url = reachable(address)
        public_url = os.environ.get(PUBLIC_URL) or (address if url == address else "")
        dispatcher = (["dispatch"], os.environ | {PUBLIC_URL: public_url})
        beside: dict[str, tuple[list[str], Mapping[str, str]]] = {"dispatcher": dispatcher}
        if url:
            beside["worker"] = (["work", "--api", url, "--wait-seconds", "3"], self._workers_environ())
        return beside

    def _workers_environ(self) -> dict[str, str]:
        mine = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(PREFIX) or name.removeprefix(PREFIX) in WORKER_SETTINGS
        }
        return mine | {"LAZYENGINE_TOKEN": " ".join(self._tokens)}

    def _keep(self, name: str, arguments: list[str], environ: Mapping[str, str]) -> None:
        """Start a process that does not run, unless it has only just ended."""
        process = self._running.get(name)
        if process is not None and process.poll() is None:
            return
        if process is not None and name not in self._ended:
            self._ended[name] = time.monotonic()
            print(f"lazyengine {name} ended with {process.returncode}; starting it again", flush=True)  # noqa: T201
        elif process is None or time.monotonic() - self._ended[name] > PAUSE_SECONDS:
            self._ended.pop(name, None)
            self._running[name] = start(arguments, environ)

    def _stop(self) -> int:
        """End what runs beside the API, then the API; a second signal leaves it to be killed."""
        for names in (self._running.keys() - {"api"}, {"api"}):
            for name in names:
                self._running[name].terminate()
            for name in names:
                while self._runs(name, patience=2):
                    pass
        status = self._running["api"].poll()
        return 1 if status is None else status if status >= 0 else 128 - status


def start(arguments: list[str], environ: Mapping[str, str], *descriptors: int) -> "subprocess.Popen[bytes]":
    """Start a command of lazyengine that ends with this process.

    A terminal sends SIGINT to all processes; only this one hears it.
    """
    parent, libc = os.getpid(), ctypes.CDLL(None)

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        if sys.platform == "linux":
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

    command = [sys.executable, "-P", "-m", "lazyengine", *arguments]
    return subprocess.Popen(command, env=environ, pass_fds=descriptors, preexec_fn=prepare)  # noqa: S603


def reachable(address: str) -> str | None:
    """Return the URL at which this machine reaches what listens on `address`; None for one that is not of TCP."""
    place = urlsplit(address)
    if place.scheme != "http" or not place.hostname:
        return None
    try:
        found = ipaddress.ip_address(place.hostname)
    except ValueError:
        return address
    if not found.is_unspecified:
        return address
    return f"http://{'127.0.0.1' if found.version == 4 else '[::1]'}:{place.port}"
