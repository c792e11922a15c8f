# /// script
# dependencies = ["mistral==23.0.0", "setuptools<81", "PyMySQL==1.2.4"]
# ///
"""Mistral 23 on RabbitMQ and MariaDB: workflows of `std.async_noop`, against lazyengine on PostgreSQL.

Both have workflows that they know by name, whose tasks are completed by PUT over eight connections.  An answer of
lazyengine says what became ready; Mistral is asked for the actions that run whenever few of them are known.  It has
`--seconds` for each run, and its rate is that of the PUTs that it answered within.
"""

import http.client
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Any

from bench.peers.comparison import Comparison, Run
from bench.peers.shapes import SHAPES, definition, name_of

CONFIGURATION = Path(__file__).parents[2] / "examples" / "mistral" / "mistral.conf"
CONNECTIONS = 8
BOUND_SECONDS, QUICK_BOUND_SECONDS = 12, 5
CLEANING_SECONDS = 5
"""What of a run is left then is given up."""
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 90


class Mistral:
    """A client of Mistral's API with a connection for each thread."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._local = threading.local()
        self._workflows: dict[str, str] = {}

    def workflow(self, case: str) -> str:
        """Return the name of the workflow of a case; upload it the first time, which may take a minute."""
        if case not in self._workflows:
            name = f"{name_of(case)}_{uuid.uuid4().hex[:8]}"
            document = {"version": "2.0", name: definition(case)[name_of(case)]}
            self.send("POST", "workflows", document, "text/plain")
            self._workflows[case] = name
        return self._workflows[case]

    def running(self, workflow: str) -> set[str]:
        """Return the ids of the actions of a workflow that run."""
        found = self.send("GET", f"action_executions?workflow_name={workflow}&state=RUNNING&fields=id,state")
        return {one["id"] for one in found["action_executions"]}

    def send(self, method: str, path: str, body: Any = None, media_type: str = "application/json") -> Any:
        """Send a request and return the answer.

        :raises OSError: there is none, or it is an error
        """
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
        content = None if body is None else json.dumps(body)
        status, text = self._exchange(method, f"/v2/{path}", content, {"Content-Type": media_type})
        if status >= 400:
            raise OSError(f"{method} {path}: {status} {text[:200]!r}")
        return json.loads(text) if text else None

    def _exchange(self, *request: Any, again: bool = True) -> tuple[int, bytes]:
        """Send a request; once more if Mistral had closed the connection, which was idle."""
        connection = self._local.connection
        try:
            connection.request(*request)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if again and isinstance(error, ConnectionError):
                return self._exchange(*request, again=False)
            raise OSError(error) from error


def run(mistral: Mistral, case: str, bound_seconds: float) -> Run:
    """Run a case for as long as that; then delete what is left of it."""
    executions, tasks = SHAPES[case]
    total, over = executions * len(tasks), threading.Event()
    workflow = mistral.workflow(case)
    seen = mistral.running(workflow)  # what an earlier run has left
    ready: queue.SimpleQueue[str] = queue.SimpleQueue()
    done: list[str] = []

    def look() -> None:
        """Put the actions that run into the queue, while that is so short that somebody might soon wait."""
        while not over.wait(POLL_SECONDS):
            if ready.qsize() >= CONNECTIONS:
                continue
            with suppress(OSError):
                for id in mistral.running(workflow) - seen:
                    seen.add(id)
                    ready.put(id)

    def complete() -> None:
        while not over.is_set():
            with suppress(queue.Empty):
                id = ready.get(timeout=0.1)
                try:
                    mistral.send("PUT", f"action_executions/{id}", {"state": "SUCCESS"})
                    done.append(id)
                except OSError as error:
                    print(f"Mistral: {error}", file=sys.stderr)
                    ready.put(id)
                if len(done) >= total:
                    over.set()

    began = time.perf_counter()
    threads = [threading.Thread(target=one, daemon=True) for one in (look, *[complete] * CONNECTIONS)]
    for thread in threads:
        thread.start()
    started: list[str] = []
    while len(started) < executions and time.perf_counter() < began + bound_seconds:
        started.append(mistral.send("POST", "executions", {"workflow_name": workflow})["id"])
    over.wait(max(0, began + bound_seconds - time.perf_counter()))
    seconds, completed = time.perf_counter() - began, len(done)
    over.set()
    clean(mistral, threads, started)
    return Run(completed, total, seconds)


def clean(mistral: Mistral, threads: list[threading.Thread], executions: list[str]) -> None:
    """Wait for the requests that are under way, and delete the executions: both for so long as that is bearable."""
    deadline = time.monotonic() + CLEANING_SECONDS
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    for id in executions:
        if time.monotonic() < deadline + CLEANING_SECONDS:
            with suppress(OSError):
                mistral.send("DELETE", f"executions/{id}?force=true")


@contextmanager
def serving(database_url: str, transport_url: str) -> Iterator[Mistral]:
    """Run Mistral's API, engine and executor, each a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    names = {"name": f"lazyengine_peers_{uuid.uuid4().hex[:8]}", "port": port, "transport_url": transport_url}
    commands = Path(sys.executable).parent
    with TemporaryDirectory() as directory, open(f"{directory}/mistral.log", "wb") as log:
        file = Path(directory, "mistral.conf")
        file.write_text(Template(CONFIGURATION.read_text()).substitute(names, database_url=database_url))
        upgrade = [commands / "mistral-db-manage", "--config-file", file, "upgrade", "head"]
        subprocess.run(upgrade, stdout=log, stderr=log, check=True)
        server = [commands / "mistral-server", "--config-file", file, "--server", "api,engine,executor"]
        process = subprocess.Popen(server, stdout=log, stderr=log, start_new_session=True)
        try:
            mistral = Mistral(port)
            wait_for(mistral, process)
            yield mistral
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()


def wait_for(mistral: Mistral, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError):
            mistral.send("GET", "workflows")
            return
        time.sleep(0.5)
    raise TimeoutError("Mistral does not answer")


def main() -> None:
    comparison = Comparison("Mistral", __doc__, ("mistral", "oslo.messaging", "SQLAlchemy", "PyMySQL"), BOUND_SECONDS)
    bound_seconds = QUICK_BOUND_SECONDS if comparison.options.quick else comparison.options.seconds
    with comparison.ours() as ours:
        url = ours.database("mysql").replace("mysql:", "mysql+pymysql:")
        with serving(url, comparison.options.amqp) as mistral:
            for case in ("chains 20x100", "diamond 100", "layered 10x10"):
                ways = {"over HTTP": ours.runs("http", case)}
                comparison.measure(case, "completions/s", partial(run, mistral, case, bound_seconds), ways)


if __name__ == "__main__":
    main()
