"""From the end of a completion to its successor in the hands of a consumer: pushed through RabbitMQ, and over HTTP.

    python bench/latency.py postgresql://postgres@127.0.0.1/bench [seconds]

A dispatcher runs in a process of its own.  Each chain of two tasks gives one value: `complete_task` for the first has
returned, so its transaction is committed; the consumer has the assignment of the second.  Idle is one chain after the
other with a pause; loaded is 100 completions a second beside it, of tasks that are not pushed.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
import uuid
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import kombu

from lazyengine.core.state import Outcome, TaskState
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Report, Start
from lazyengine.settings import Settings

BROKER = "amqp://guest:guest@127.0.0.1//"
QUEUE = "lazyengine-bench"
ARRIVED: dict[str, float] = {}
LOAD_PER_SECOND = 100


def main(url: str, seconds: float) -> None:
    settings = Settings(database_url=url)
    database = Database(settings)
    database.upgrade()
    engine = Engine(database, settings)
    server = endpoint()
    stop = threading.Event()
    consumer = threading.Thread(target=consume, args=(stop,))
    consumer.start()
    targets = {
        "queue": {"sender": "amqp", "url": BROKER, "queue": QUEUE},
        "hook": {"sender": "http", "url": f"http://127.0.0.1:{server.server_port}/", "concurrency": 2},
    }
    environ = os.environ | {"LAZYENGINE_DATABASE_URL": url, "LAZYENGINE_TARGETS": json.dumps(targets)}
    dispatcher = subprocess.Popen([sys.executable, "-m", "lazyengine", "dispatch"], env=environ)
    time.sleep(3)
    try:
        for target in targets:
            measure(f"{target}, idle", engine, target, seconds)
        over = threading.Event()
        load = threading.Thread(target=burden, args=(engine, over))
        load.start()
        for target in targets:
            measure(f"{target}, at {LOAD_PER_SECOND} completions/s", engine, target, seconds)
        over.set()
        load.join()
    finally:
        dispatcher.terminate()
        dispatcher.wait()
        stop.set()
        consumer.join()
        server.shutdown()


def measure(what: str, engine: Engine, target: str, seconds: float) -> None:
    taken = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        chain = {"w": {"tasks": {"a": {"on-success": "b"}, "b": {"target": target}}}}
        id = engine.start_execution("bench", Start(chain, uuid.uuid4().hex)).execution.id
        engine.complete_task("bench", id, Report("a", Outcome(TaskState.SUCCESS)))
        committed = time.perf_counter()
        while id not in ARRIVED:
            time.sleep(0.0005)
        taken.append(max(0.0, ARRIVED[id] - committed))
        engine.complete_task("bench", id, Report("b", Outcome(TaskState.SUCCESS)))
        time.sleep(0.05)
    p50, p99 = statistics.median(taken) * 1000, statistics.quantiles(taken, n=100)[98] * 1000
    print(f"{what}: {len(taken)} tasks, p50 {p50:.1f} ms, p99 {p99:.1f} ms", flush=True)


def burden(engine: Engine, over: threading.Event) -> None:
    """Complete tasks of a long chain at a steady pace."""
    done, began = 0, time.monotonic()
    chain = {"w": {"tasks": {**{f"t{n}": {"on-success": f"t{n + 1}"} for n in range(999)}, "t999": None}}}
    while not over.is_set():
        id = engine.start_execution("bench", Start(chain, uuid.uuid4().hex)).execution.id
        for n in range(1000):
            if over.is_set():
                break
            engine.complete_task("bench", id, Report(f"t{n}", Outcome(TaskState.SUCCESS)))
            done += 1
            time.sleep(max(0.0, began + done / LOAD_PER_SECOND - time.monotonic()))
    print(f"the load was {done / (time.monotonic() - began):.0f} completions/s")


def consume(stop: threading.Event) -> None:
    with kombu.Connection(BROKER) as connection:

        def arrive(body: object, message: kombu.Message) -> None:
            ARRIVED[message.payload["execution_id"]] = time.perf_counter()
            message.ack()

        with connection.Consumer(kombu.Queue(QUEUE, durable=True), callbacks=[arrive]):
            while not stop.is_set():
                with suppress(TimeoutError):
                    connection.drain_events(timeout=0.5)


def endpoint() -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            ARRIVED[event["data"]["execution_id"]] = time.perf_counter()
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 20.0)
