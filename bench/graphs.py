"""Whole graphs, from the start to the end, through both doors on each database: over HTTP, and as a library.

20 chains of 100 at once, a diamond of 100 and a layered graph of 10 x 10; each task is completed from outside.  And a
chain of 10,000 `std.noop`, which ends by itself once it is started.  The library is `Engine`, in this process, called
by as many threads as HTTP has connections.
"""

import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from bench.harness import emit, parser, ratio, rounds, row
from bench.load import Client, drive, request
from bench.places import BACKENDS, NAMES, THREADS, Service, database, serve
from bench.put import completions, start
from bench.shapes import Tasks, chain, definition, diamond, layered
from lazyengine.core.state import ExecutionState, Outcome, TaskState
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Report, Start
from lazyengine.settings import Settings

OWNER = ""
DONE = Outcome(TaskState.SUCCESS, "done")

Waves = list[list[str]]
"""The tasks that can be completed side by side, one list after the other."""


def waves(tasks: Tasks) -> Waves:
    """List the tasks by the length of the longest way to them."""
    level = dict.fromkeys(tasks, 0)
    for name, task in tasks.items():
        for to in task.get("on-success", ()):
            level[to] = max(level[to], level[name] + 1)
    found: Waves = [[] for _ in range(max(level.values()) + 1)]
    for name, at in level.items():
        found[at].append(name)
    return found


def cases(quick: bool) -> dict[str, tuple[Tasks, int]]:
    """Return shapes, and how many executions of each run at once."""
    size = 20 if quick else 100
    return {
        f"20 chains of {size}": (chain(size), 20),
        f"diamond of {size}": (diamond(size), 1),
        "layered 10 x 10": (layered(10, 10), 1),
    }


class Http:
    """Runs graphs over HTTP."""

    def __init__(self, service: Service) -> None:
        self.port = service.port

    def run(self, tasks: Tasks, executions: int) -> float:
        """Return the completions a second, with the starts."""
        began = time.perf_counter()
        client = Client(self.port)
        ids = [start(client, "graph", tasks) for _ in range(executions)]
        if executions > 1:
            drive(self.port, [completions(one, tasks) for one in ids], THREADS, whole=True)
        else:
            for wave in waves(tasks):
                share = [wave[n::THREADS] for n in range(min(THREADS, len(wave)))]
                drive(self.port, [completions(ids[0], names) for names in share], THREADS, whole=True)
        took = time.perf_counter() - began
        for one in ids:
            state = json.loads(client.send(request("GET", f"/executions/{one}")))["state"]
            assert state == "SUCCESS", state
        client.close()
        return executions * len(tasks) / took

    def noop(self, tasks: Tasks) -> float:
        """Return the tasks a second of a chain that ends by itself."""
        client = Client(self.port)
        began = time.perf_counter()
        one = start(client, "noop", tasks)
        while json.loads(client.send(request("GET", f"/executions/{one}")))["state"] != "SUCCESS":
            time.sleep(0.01)
        took = time.perf_counter() - began
        client.close()
        return len(tasks) / took


class Library:
    """Runs graphs in this process."""

    def __init__(self, url: str) -> None:
        settings = Settings(database_url=url)
        self.engine = Engine(Database(settings), settings)
        self.pool = ThreadPoolExecutor(THREADS)

    def start(self, tasks: Tasks, name: str = "graph") -> str:
        return self.engine.start_execution(OWNER, Start(definition(name, tasks), uuid.uuid4().hex)).execution.id

    def complete(self, execution_id: str, name: str) -> None:
        self.engine.complete_task(OWNER, execution_id, Report(name, DONE))

    def run(self, tasks: Tasks, executions: int) -> float:
        began = time.perf_counter()
        ids = [self.start(tasks) for _ in range(executions)]
        if executions > 1:
            list(self.pool.map(lambda one: [self.complete(one, name) for name in tasks], ids))
        else:
            for wave in waves(tasks):
                list(self.pool.map(lambda name: self.complete(ids[0], name), wave))
        took = time.perf_counter() - began
        for one in ids:
            assert self.engine.get_execution(OWNER, one).state is ExecutionState.SUCCESS
        return executions * len(tasks) / took

    def noop(self, tasks: Tasks) -> float:
        began = time.perf_counter()
        one = self.start(tasks, "noop")
        assert self.engine.get_execution(OWNER, one).state is ExecutionState.SUCCESS
        return len(tasks) / (time.perf_counter() - began)

    def close(self) -> None:
        self.pool.shutdown()
        self.engine.database.dispose()


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--backends", nargs="+", default=BACKENDS, choices=BACKENDS)
    chosen = options.parse_args()
    noops = chain(500 if chosen.quick else 10_000, "std.noop")
    calls: dict[str, Callable[[], float]] = {}
    with ExitStack() as stack:
        for backend in chosen.backends:
            url = stack.enter_context(database(backend))
            http = Http(stack.enter_context(serve(url)))
            library = Library(url)
            stack.callback(library.close)
            for case, (tasks, executions) in cases(chosen.quick).items():
                for name, door in (("HTTP", http), ("library", library)):
                    calls[f"{case}, {name}, {NAMES[backend]}"] = lambda d=door, t=tasks, n=executions: d.run(t, n)
            for name, door in (("HTTP", http), ("library", library)):
                calls[f"chain of {len(noops):,} std.noop, {name}, {NAMES[backend]}"] = lambda d=door: d.noop(noops)
        runs = rounds(calls, 1 if chosen.quick else 5)
    rows = []
    for case, of_case in runs.items():
        more = {"ratios": {"HTTP": ratio(of_case, runs[case.replace("library", "HTTP")])}} if "library" in case else {}
        more |= {"target": "at least 3,000"} if "std.noop" in case else {}
        rows.append(row(case, "tasks/s", of_case, **more))
    emit("graphs", rows)


if __name__ == "__main__":
    main()
