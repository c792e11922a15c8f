"""PUT over HTTP with keep-alive against the two floors, in the same rounds: completions a second, and p50 of one alone.

Every completion is an answer that the service has committed.  The load is sent by this process, on the same processors;
what it costs for a request is a row of the table.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from bench.floor import bare_wsgi, drive_bare_wsgi, floor_database, pgbench
from bench.harness import Row, emit, median, parser, ratio, rounds, row
from bench.load import Client, Load, Script, drive, request
from bench.places import NAMES, Service, cpu_seconds, database, serve, server_processes
from bench.shapes import Tasks, definition, ladder

MANY = 40
"""Executions of 100 tasks: as many as a round needs, and 8 connections are far from the same one."""
BODY = b'{"state":"SUCCESS","result":"done"}'


def start(client: Client, name: str, tasks: Tasks) -> str:
    """Start an execution; return its id."""
    body = json.dumps({"definition": definition(name, tasks)}).encode()
    answer: dict[str, str] = json.loads(client.send(request("POST", "/executions", body)))
    return answer["id"]


def completions(execution_id: str, names: Iterable[str], body: bytes = BODY) -> Script:
    """Make the requests that complete tasks one by one."""
    return iter([request("PUT", f"/executions/{execution_id}/tasks/{name}", body) for name in names])


def many(service: Service, tasks: Tasks, name: str, count: int) -> list[Script]:
    """Start executions; return the requests that complete each."""
    client = Client(service.port)
    scripts = [completions(start(client, name, tasks), tasks) for _ in range(count)]
    client.close()
    return scripts


def drive_many(service: Service, connections: int, seconds: float, tasks: Tasks, name: str, count: int) -> Load:
    """Complete whole executions, each by one connection."""
    return drive(service.port, many(service, tasks, name, count), connections, seconds)


def drive_one(service: Service, connections: int, seconds: float, width: int) -> Load:
    """Complete the tasks of one execution from all connections: it has as many chains of 100 side by side."""
    tasks: Tasks = {}
    for n in range(width):
        tasks |= {f"c{n}-{k}": {"on-success": [f"c{n}-{k + 1}"]} if k < 99 else {} for k in range(100)}
    client = Client(service.port)
    execution_id = start(client, f"side-by-side-{width}", tasks)
    client.close()
    scripts = [completions(execution_id, [f"c{n}-{k}" for k in range(100)]) for n in range(width)]
    return drive(service.port, scripts, connections, seconds)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--connections", type=int, nargs="+", default=[8, 1, 32])
    options.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    chosen = options.parse_args()
    seconds, count = (1.0, 2) if chosen.quick else (chosen.seconds, 5)
    tasks = ladder(100)
    loads: dict[str, list[Load]] = {}

    def measured(case: str, call: Callable[[], Load]) -> Callable[[], float]:
        def run() -> float:
            loads.setdefault(case, []).append(call())
            return loads[case][-1].rate

        return run

    with ExitStack() as stack:
        floor_url, url = stack.enter_context(floor_database()), stack.enter_context(database("postgresql"))
        floor, ours = stack.enter_context(bare_wsgi(floor_url)), stack.enter_context(serve(url))
        drive_many(ours, 8, 1.0, tasks, "ladder", 8)
        drive_bare_wsgi(floor, 8, 0.5)
        cases: dict[str, Callable[[], float]] = {}
        for n in chosen.connections:
            cases[f"pgbench, {n}, many executions"] = lambda n=n: pgbench(floor_url, n, seconds)
            bare = f"bare WSGI, {n}, many executions"
            cases[bare] = measured(bare, lambda n=n: drive_bare_wsgi(floor, n, seconds))
            case = f"lazyengine, {n}, many executions"
            cases[case] = measured(case, lambda n=n: drive_many(ours, n, seconds, tasks, "ladder", MANY + n))
        n = chosen.connections[0]
        cases["pgbench, 1, one execution"] = lambda: pgbench(floor_url, 1, seconds, 1)
        case = f"lazyengine, {n}, one execution"
        cases[case] = measured(case, lambda n=n: drive_one(ours, n, seconds, 2 * MANY))
        runs = rounds(cases, count)
        spent = cpu_of_a_put(ours, url, seconds, tasks)
    emit("put", rows(runs, loads) + spent, backend=NAMES["postgresql"])


def cpu_of_a_put(service: Service, url: str, seconds: float, tasks: Tasks) -> list[Row]:
    """Measure what 8 connections cost the service and the server in processor time, by the kernel's accounts."""
    ours, theirs, load = [], [], Load()
    for _ in range(5):
        application, server = service.workers, server_processes(url)
        scripts = many(service, tasks, "ladder", MANY)
        before = cpu_seconds(application), cpu_seconds(server)
        load = drive(service.port, scripts, 8, seconds)
        count = len(load.latencies) / 1e3
        ours.append((cpu_seconds(application) - before[0]) / count)
        theirs.append((cpu_seconds(server) - before[1]) / count)
    both = [one + other for one, other in zip(ours, theirs, strict=True)]
    return [
        row("CPU of a PUT, application", "ms", ours),
        row("CPU of a PUT, database", "ms", theirs),
        row("CPU of a PUT, both", "ms", both),
    ]


def rows(runs: dict[str, list[float]], loads: dict[str, list[Load]]) -> list[Row]:
    """Compare each case with the floors of as many connections in the same rounds."""
    found = []
    for case, of_case in runs.items():
        more: Row = {}
        if case.startswith("lazyengine"):
            floors = ("pgbench", "bare WSGI")
            suffix = case.removeprefix("lazyengine")
            if suffix.endswith("one execution"):
                floors, suffix = ("pgbench",), ", 1, one execution"
            more["ratios"] = {floor: ratio(of_case, runs[floor + suffix]) for floor in floors}
        found.append(row(case, "completions/s", of_case, **more))
        if case in loads:
            p50 = [median(load.latencies) * 1e3 for load in loads[case]]
            found.append(row(f"{case}: p50", "ms", p50))
            found.append(row(f"{case}: load generator", "µs CPU/request", [load.cpu_us for load in loads[case]]))
    return found


if __name__ == "__main__":
    main()
