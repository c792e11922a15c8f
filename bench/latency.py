"""From a completion to its successor in the hands of whoever does it: claimed, pushed to RabbitMQ, or to HTTP.

PostgreSQL.  The API and a dispatcher run in processes of their own.  Each chain of two tasks gives one value: from the
answer to the PUT of the first task, so after its commit, to the arrival of the second one.  Idle is one chain after the
other with a pause; loaded is 100 completions a second beside it, of tasks that nobody waits for.
"""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import kombu

from bench.harness import emit, parser, percentile, row, say
from bench.load import Client, request
from bench.places import NAMES, Service, database, serve, service_environ
from bench.put import BODY, start
from bench.shapes import chain

BROKER = "amqp://guest:guest@127.0.0.1//"
QUEUE = f"lazyengine-bench-{uuid4().hex[:8]}"
LOAD_PER_SECOND = 100
PAUSE_SECONDS = 0.05
LONGEST_SECONDS = 10.0

Arrived = dict[str, float]
"""When the second task of an execution arrived, by the id of the execution."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    chosen = options.parse_args()
    seconds, count = (1.0, 1) if chosen.quick else (chosen.seconds, 5)
    arrived: Arrived = {}
    runs: dict[str, list[list[float]]] = {}
    with ExitStack() as stack:
        url = stack.enter_context(database("postgresql"))
        service = stack.enter_context(serve(url))
        hook = stack.enter_context(receiver(arrived))
        targets = {
            "queue": {"sender": "amqp", "url": BROKER, "queue": QUEUE},
            "hook": {"sender": "http", "url": f"http://127.0.0.1:{hook}/", "concurrency": 2},
        }
        stack.enter_context(dispatcher(url, targets))
        stack.enter_context(beside(lambda over: consume(over, arrived)))
        stack.enter_context(beside(lambda over: claim(over, service, arrived)))
        time.sleep(3)
        ways = {"claim": "pull", "RabbitMQ": "queue", "HTTP": "hook"}
        for number in range(1, count + 1):
            for loaded in (False, True):
                with beside(lambda over: burden(over, service)) if loaded else ExitStack():
                    for way, target in ways.items():
                        case = f"{way}, {f'at {LOAD_PER_SECOND} completions/s' if loaded else 'idle'}"
                        runs.setdefault(case, []).append(measure(service, target, seconds, arrived))
                        say(f"{number}/{count}  {case}: p50 {percentile(runs[case][-1], 50):.1f} ms")
    rows = [
        row(f"{case}: p{percent}", "ms", [percentile(taken, percent) for taken in of_case])
        for case, of_case in runs.items()
        for percent in (50, 99)
    ]
    emit("latency", rows, backend=NAMES["postgresql"])


def measure(service: Service, target: str, seconds: float, arrived: Arrived) -> list[float]:
    """Return the milliseconds of each chain."""
    client, taken = Client(service.port), []
    tasks = chain(2)
    tasks["t1"]["target"] = target
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        execution = start(client, f"to-{target}", tasks)
        client.send(request("PUT", f"/executions/{execution}/tasks/t0", BODY))
        answered = time.perf_counter()
        while execution not in arrived:
            if time.perf_counter() > answered + LONGEST_SECONDS:
                raise SystemExit(f"a task did not arrive at '{target}'")
            time.sleep(0.0005)
        taken.append(max(0.0, arrived[execution] - answered) * 1e3)
        client.send(request("PUT", f"/executions/{execution}/tasks/t1", BODY))
        time.sleep(PAUSE_SECONDS)
    client.close()
    return taken


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run something in a thread until the block ends."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def burden(over: threading.Event, service: Service) -> None:
    """Complete tasks of long chains at a steady pace."""
    client, done, began = Client(service.port), 0, time.monotonic()
    while not over.is_set():
        execution = start(client, "burden", chain(200))
        for n in range(200):
            if over.is_set():
                break
            client.send(request("PUT", f"/executions/{execution}/tasks/t{n}", BODY))
            done += 1
            time.sleep(max(0.0, began + done / LOAD_PER_SECOND - time.monotonic()))
    client.close()


def claim(over: threading.Event, service: Service, arrived: Arrived) -> None:
    """Wait for tasks as a worker does."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    wish = json.dumps({"worker": "bench", "targets": ["pull"], "wait_seconds": 1})
    while not over.is_set():
        connection.request("POST", "/tasks/claim", wish, {"Content-Type": "application/json"})
        for task in json.loads(connection.getresponse().read())["tasks"]:
            arrived[task["execution_id"]] = time.perf_counter()
    connection.close()


def consume(over: threading.Event, arrived: Arrived) -> None:
    """Take tasks off the queue, and the queue away in the end."""
    with kombu.Connection(BROKER) as connection:

        def arrive(body: object, message: kombu.Message) -> None:
            arrived[message.payload["execution_id"]] = time.perf_counter()
            message.ack()

        queue = kombu.Queue(QUEUE, durable=True)
        with connection.Consumer(queue, callbacks=[arrive]):
            while not over.is_set():
                with suppress(TimeoutError):
                    connection.drain_events(timeout=0.5)
        queue(connection.channel()).delete()


@contextmanager
def receiver(arrived: Arrived) -> Iterator[int]:
    """Take tasks in over HTTP; give the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            arrived[event["data"]["execution_id"]] = time.perf_counter()
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


@contextmanager
def dispatcher(url: str, targets: dict[str, Any]) -> Iterator[None]:
    environ = os.environ | service_environ(url, targets=json.dumps(targets), outbound_allow="127.0.0.0/8")
    process = subprocess.Popen([sys.executable, "-m", "lazyengine", "dispatch"], env=environ, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
