"""Dispatchers, and those who receive what they send."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty
from typing import Any

import kombu

from lazyengine.cli import make_dispatcher
from lazyengine.dispatch.service import Dispatcher
from lazyengine.settings import Settings
from lazyengine.targets import Targets

PATIENCE_SECONDS = 20.0
LOOPBACK = "127.0.0.0/8 ::1/128"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_b2xkIHNlY3JldCwgYnV0IHN0aWxsIGtub3du"


def eventually(found: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until `found` gives something true, and return it."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)
    return value


@contextmanager
def dispatching(settings: Settings, **targets: Any) -> Iterator[Dispatcher]:
    """Run a dispatcher in a thread of this process."""
    settings = replace(settings, outbound_allow=LOOPBACK)
    if targets:
        settings = replace(settings, targets=Targets(targets))
    dispatcher = make_dispatcher(settings)
    database = dispatcher.engine.database
    thread = threading.Thread(target=dispatcher.run)
    thread.start()
    try:
        yield dispatcher
    finally:
        dispatcher.stop()
        thread.join(PATIENCE_SECONDS)
        database.dispose()
        assert not thread.is_alive(), "the dispatcher does not stop"


class Process:
    """A `lazyengine dispatch` of its own; `kill` ends exactly its processes."""

    def __init__(self, directory: Path, settings: Settings, **environ: str) -> None:
        self.log = directory / f"dispatch-{time.monotonic_ns()}.log"
        variables = {name: value for name, value in os.environ.items() if not name.startswith("LAZYENGINE_")}
        variables |= {"LAZYENGINE_OUTBOUND_ALLOW": LOOPBACK}
        variables |= {"LAZYENGINE_DATABASE_URL": settings.database_url, "LAZYENGINE_TARGETS": str(settings.targets)}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lazyengine", "dispatch"],
                cwd=directory, env=variables | environ, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        eventually(lambda: "lazyengine dispatches" in self.text() or self.process.poll() is not None)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)


class Inbox:
    """A consumer of a queue of a broker, which keeps what arrives."""

    def __init__(self, url: str, queue: str) -> None:
        self.url, self.queue = url, queue

    def __enter__(self) -> "Inbox":
        self.connection = kombu.Connection(self.url)
        self.channel = self.connection.channel()
        self.bound = kombu.Queue(self.queue, durable=True)(self.channel)
        self.bound.declare()
        return self

    def __exit__(self, *_: object) -> None:
        self.bound.delete()
        self.connection.release()

    def get(self) -> Any:
        """Take a message out of the queue, if there is one."""
        return self.bound.get(no_ack=True)

    def wait(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait for so many messages, and return what they say."""
        got: list[dict[str, Any]] = []

        def enough() -> bool:
            while (message := self.get()) is not None:
                got.append(json.loads(message.body))
            return len(got) >= count

        with suppress(Empty):
            eventually(enough)
        return got


class Endpoint:
    """A real HTTP server that keeps what is POSTed to it and answers as it is told."""

    def __init__(self, answer: Callable[[dict[str, Any]], tuple[int, Any]] = lambda event: (202, None)) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.requests.append((dict(self.headers.items()), body))
                status, said = answer(json.loads(body))
                written = b"" if said is None else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(written)))
                self.end_headers()
                self.wfile.write(written)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def __enter__(self) -> "Endpoint":
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.requests]
