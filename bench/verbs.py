"""The verbs over HTTP on each database, 8 connections: PUT, PUT of 100 at once, claim and PUT, POST.

On PostgreSQL pgbench's five statements are in the same rounds; what is compared is completions.
"""

import json
import re
from collections.abc import Callable, Generator
from contextlib import ExitStack

from bench.floor import floor_database, pgbench
from bench.harness import Row, emit, parser, ratio, rounds, row
from bench.load import Client, Script, drive, request
from bench.places import BACKENDS, NAMES, Service, database, serve
from bench.put import BODY, drive_many, start
from bench.shapes import Tasks, chain, definition, ladder

CONNECTIONS = 8
BATCH = 100
FLOOR = "pgbench, five statements"
CLAIM = json.dumps({"worker": "bench", "targets": ["bench"], "limit": 10, "lease_seconds": 600}).encode()

_claimed = re.compile(rb'"execution_id":"([^"]+)","task":"([^"]+)"')


def put(service: Service, seconds: float) -> float:
    """Complete tasks one by one."""
    return drive_many(service, CONNECTIONS, seconds, ladder(100), "ladder", 48).rate


def batches(service: Service, seconds: float) -> float:
    """Complete 100 tasks of an execution by each request; all of so many requests that it takes seconds."""
    tasks = ladder(1_000 if seconds > 1 else 200)
    names = list(tasks)
    parts = [names[at : at + BATCH] for at in range(0, len(names), BATCH)]
    reports = [[{"name": name, "state": "SUCCESS", "result": "done"} for name in part] for part in parts]
    bodies = [json.dumps({"tasks": part}).encode() for part in reports]
    client = Client(service.port)
    ids = [start(client, "long-ladder", tasks) for _ in range(CONNECTIONS)]
    client.close()
    scripts = [iter([request("PUT", f"/executions/{one}/tasks", body) for body in bodies]) for one in ids]
    return drive(service.port, scripts, CONNECTIONS, whole=True).rate * BATCH


def claims(service: Service, seconds: float) -> float:
    """Claim ten tasks and complete each, again and again; return the tasks that were completed a second."""
    tasks: Tasks = {name: task | {"target": "bench"} for name, task in chain(100).items()}
    client = Client(service.port)
    for _ in range(20 * CONNECTIONS):
        start(client, "claimed", tasks)
    client.close()
    completed = [0]

    def worker() -> Generator[bytes, bytes, None]:
        while True:
            answer = yield request("POST", "/tasks/claim", CLAIM)
            for execution, task in _claimed.findall(answer):
                yield request("PUT", f"/executions/{execution.decode()}/tasks/{task.decode()}", BODY)
                completed[0] += 1

    load = drive(service.port, [worker() for _ in range(CONNECTIONS)], CONNECTIONS, seconds)
    return completed[0] / load.seconds


def starts(service: Service, seconds: float) -> float:
    """Start executions of a workflow of ten tasks that was seen before."""
    message = request("POST", "/executions", json.dumps({"definition": definition("chain", chain(10))}).encode())

    def caller() -> Script:
        while True:
            yield message

    return drive(service.port, [caller() for _ in range(CONNECTIONS)], CONNECTIONS, seconds).rate


VERBS: dict[str, tuple[Callable[[Service, float], float], str]] = {
    "PUT": (put, "completions/s"),
    f"PUT of {BATCH}": (batches, "completions/s"),
    "claim of ten, and PUT of each": (claims, "completions/s"),
    "POST": (starts, "executions/s"),
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--backends", nargs="+", default=BACKENDS, choices=BACKENDS)
    chosen = options.parse_args()
    seconds, count = (0.5, 1) if chosen.quick else (3.0, 5)
    with ExitStack() as stack:
        floor_url = stack.enter_context(floor_database())
        cases: dict[str, Callable[[], float]] = {FLOOR: lambda: pgbench(floor_url, CONNECTIONS, seconds)}
        for backend in chosen.backends:
            service = stack.enter_context(serve(stack.enter_context(database(backend))))
            for verb, (call, _) in VERBS.items():
                cases[f"{verb}, {NAMES[backend]}"] = lambda call=call, service=service: call(service, seconds)
        runs = rounds(cases, count)
    emit("verbs", [row_of(case, runs) for case in runs])


def row_of(case: str, runs: dict[str, list[float]]) -> Row:
    verb = case.rpartition(", ")[0]
    more: Row = {}
    if "PUT" in verb and case.endswith(NAMES["postgresql"]):
        more["ratios"] = {"pgbench": ratio(runs[case], runs[FLOOR])}
    if verb == f"PUT of {BATCH}" and more:
        more["target"] = "at least 2"
    return row(case, VERBS[verb][1] if verb in VERBS else "completions/s", runs[case], **more)


if __name__ == "__main__":
    main()
