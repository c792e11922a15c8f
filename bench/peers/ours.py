"""lazyengine for the comparisons: takes wishes as lines of JSON, and answers each with a line.

    {"what": "version"}                                       "0.1.0"
    {"what": "database", "kind": "postgresql"}                "postgresql://…", dropped in the end
    {"what": "run", "door": "http", "case": "diamond 100"}    {"done": 102, "of": 102, "seconds": 0.2}

The doors:

http
    gunicorn with two workers on PostgreSQL; tasks are completed by PUT, by threads with a connection each.
engine
    `Engine.complete_task` in this process on PostgreSQL.
flow
    a chain of TaskFlow's through `Controller.complete_task`, on the kind of database that "on" names.
executor
    the same, with the tasks run by the threads of the controller.

A run is from the first start to the end of the last task.  It ends with its standard input.
"""

import json
import logging
import queue
import socket
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property
from importlib.metadata import version
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from sqlalchemy import make_url
from taskflow import task
from taskflow.flow import Flow
from taskflow.patterns import linear_flow

from bench.harness import tidy_up_when_interrupted
from bench.peers.shapes import SHAPES, definition, name_of
from bench.places import database, empty_database, serve
from lazyengine.controller import Controller
from lazyengine.core.state import Outcome, TaskState
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Report, Start
from lazyengine.settings import Settings

CONNECTIONS = 8
"""To the API; and threads that call the engine.  One where one execution has one task after the other."""
PATIENCE_SECONDS = 60
"""If nothing becomes ready for so long, something is wrong."""
OWNER = "bench"

Ready = tuple[str, str]
"""A task that somebody has to complete: the id of its execution, and its name."""


class Door(Protocol):
    def start(self, workflow: str) -> list[Ready]: ...

    def complete(self, execution: str, task: str) -> list[Ready]: ...


class Connection:
    """A connection to the API that is kept; as little of HTTP as that needs."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, method: str, path: str, body: Any) -> Any:
        """Send a request and return the answer.

        :raises RuntimeError: it is an error, or there is none
        """
        content = json.dumps(body)
        head = f"{method} {path} HTTP/1.1\r\nHost: ours\r\nContent-Type: application/json\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n{content}".encode())
        answer = b""
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self._receive()
        length = int(answer[:end].lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        while len(answer) < end + 4 + length:
            answer += self._receive()
        if not answer.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(f"{method} {path}: {answer.decode()}")
        return json.loads(answer[end + 4 :])

    def _receive(self) -> bytes:
        received = self._socket.recv(1 << 16)
        if not received:
            raise RuntimeError("lazyengine has closed the connection")
        return received

    def start(self, workflow: str) -> list[Ready]:
        return self._ready(self.send("POST", "/executions", {"workflow": workflow}))

    def complete(self, execution: str, task: str) -> list[Ready]:
        return self._ready(self.send("PUT", f"/executions/{execution}/tasks/{task}", {"state": "SUCCESS"}))

    def _ready(self, answer: Any) -> list[Ready]:
        return [(one["execution_id"], one["task"]) for one in answer["scheduled"]]


class InProcess:
    """The engine, called as the API calls it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def start(self, workflow: str) -> list[Ready]:
        started = self._engine.start_execution(OWNER, Start(None, workflow, workflow=workflow))
        return [(one.execution_id, one.task) for one in started.scheduled]

    def complete(self, execution: str, task: str) -> list[Ready]:
        reported = self._engine.complete_task(OWNER, execution, Report(task, Outcome(TaskState.SUCCESS)))
        return [(one.execution_id, one.task) for one in reported.scheduled]


def work_off(case: str, doors: Sequence[Door]) -> dict[str, Any]:
    """Start the executions of a case and complete whatever becomes ready, through several doors at once."""
    executions, tasks = SHAPES[case]
    workflow, total = name_of(case), executions * len(tasks)
    ready: queue.SimpleQueue[Ready | str | None] = queue.SimpleQueue()
    done: list[None] = []

    def serve(door: Door) -> None:
        try:
            while (item := ready.get(timeout=PATIENCE_SECONDS)) is not None:
                for one in door.start(item) if isinstance(item, str) else door.complete(*item):
                    ready.put(one)
                if not isinstance(item, str):
                    done.append(None)
                if len(done) == total:
                    break
        finally:
            for _ in doors:
                ready.put(None)

    for _ in range(executions):
        ready.put(workflow)
    began = time.perf_counter()
    with ThreadPoolExecutor(len(doors)) as threads:
        for serving in [threads.submit(serve, door) for door in doors]:
            serving.result()
    return {"done": len(done), "of": total, "seconds": time.perf_counter() - began}


class Link(task.Task):
    default_provides = "x"

    def execute(self, x: int) -> int:
        return x + 1


def flow(length: int) -> Flow:
    """Return a chain of TaskFlow's."""
    first = Link("t0", inject={"x": 0})
    return linear_flow.Flow(f"chain-{length}").add(first, *(Link(f"t{n}") for n in range(1, length)))


class Ours:
    def __init__(self, until: ExitStack) -> None:
        self._until = until
        self._flow_urls: dict[str, str] = {}

    def answer(self, what: str, **more: Any) -> Any:
        return {"version": self.version, "database": self.database, "run": self.run}[what](**more)

    def version(self) -> str:
        return version("lazyengine")

    def run(self, door: str, case: str, on: str = "postgresql") -> dict[str, Any]:
        at_once = 1 if case == "chains 1x100" else CONNECTIONS
        if door == "http":
            with ExitStack() as connections:
                doors = [connections.enter_context(Connection(self._port)) for _ in range(at_once)]
                return work_off(case, doors)
        if door == "engine":
            return work_off(case, [InProcess(self._engine)] * at_once)
        run = {"flow": self._complete_flow, "executor": self._execute_flow}[door]
        return run(self._flow_url(on), flow(len(SHAPES[case][1])))

    def _complete_flow(self, url: str, chain: Flow) -> dict[str, Any]:
        ready: list[Any] = []
        done = 0
        with Controller(url, executor=ready.append) as controller:
            began = time.perf_counter()
            controller.start(chain)
            while ready:
                one = ready.pop()
                controller.complete_task(one.execution_id, one.task, done)
                done += 1
            return {"done": done, "of": len(chain), "seconds": time.perf_counter() - began}

    def _execute_flow(self, url: str, chain: Flow) -> dict[str, Any]:
        controller = Controller(url)
        began = time.perf_counter()
        execution = controller.start(chain)
        controller.close()
        seconds = time.perf_counter() - began
        with Controller(url, executor=None) as looking:
            succeeded = looking.get_state(execution) == "SUCCESS"
        return {"done": len(chain) if succeeded else 0, "of": len(chain), "seconds": seconds}

    # -- what runs here -----------------------------------------------------------------------------------------------

    def database(self, kind: str) -> str:
        """Create a database, drop it in the end; its URL names no driver, as a peer has its own."""
        url = make_url(self._until.enter_context(empty_database(kind)))
        return url.set(drivername=url.get_backend_name()).render_as_string(hide_password=False)

    def _flow_url(self, kind: str) -> str:
        """Return where flows are kept: one database of each kind for all runs."""
        if kind not in self._flow_urls:
            directory = self._until.enter_context(TemporaryDirectory()) if kind == "sqlite" else ""
            self._flow_urls[kind] = f"sqlite:///{directory}/flows.db" if kind == "sqlite" else self.database(kind)
        return self._flow_urls[kind]

    @cached_property
    def _engine(self) -> Engine:
        settings = Settings(database_url=self._until.enter_context(database("postgresql")))
        opened = Database(settings)
        self._until.callback(opened.dispose)
        engine = Engine(opened, settings)
        self._until.callback(engine.evaluator.close)
        for case in SHAPES:
            engine.store_workflows(OWNER, definition(case))
        return engine

    @cached_property
    def _port(self) -> int:
        url = self._until.enter_context(database("postgresql"))
        port = self._until.enter_context(serve(url)).port
        with Connection(port) as connection:
            for case in SHAPES:
                connection.send("POST", "/workflows", {"definition": definition(case)})
        return port


def main() -> None:
    tidy_up_when_interrupted()
    logging.basicConfig(level=logging.WARNING)
    with ExitStack() as until:
        ours = Ours(until)
        for line in sys.stdin:
            print(json.dumps(ours.answer(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
