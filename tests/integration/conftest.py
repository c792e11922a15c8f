"""A real service in processes of its own, on a port of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ALL = (sys.executable, "-m", "lazyengine", "serve", "--port", "0")
COMMAND = (*ALL, "--api-only")
"""The API alone: most tests complete tasks themselves."""
LISTENS = re.compile(r"lazyengine listens on http://(\S+):(\d+)")
PATIENCE_SECONDS = 30.0


class Service:
    """A running `lazyengine serve`; `stop` and `kill` end exactly the processes that this one started."""

    def __init__(self, directory: Path, *options: str, command: tuple[str, ...] = COMMAND, **environ: str) -> None:
        self.log = directory / f"serve-{time.monotonic_ns()}.log"
        variables = {name: value for name, value in os.environ.items() if not name.startswith("LAZYENGINE_")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *options],
                cwd=directory,
                env=variables | environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.port = self._wait_for_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def _wait_for_port(self) -> int:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := LISTENS.search(self.text()):
                return int(found[2])
            time.sleep(0.05)
        self.kill()
        raise AssertionError(f"the service does not listen:\n{self.text()}")

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Send one request and return the status and the parsed body."""
        data = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if data is not None else {}
        request = urllib.request.Request(self.url + path, data, sent | headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
                return response.status, json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    def kill(self) -> None:
        """End every process of the service at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self) -> int:
        """Ask the service to end, and return its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start services that end with the test."""
    services: list[Service] = []

    def start(*options: str, **environ: Any) -> Service:
        services.append(Service(tmp_path, *options, **environ))
        return services[-1]

    yield start
    for service in services:
        service.stop()
        service.kill()
