"""Whether the size of a graph matters: p99 of a PUT in the middle of a chain, and the start of large workflows.

PostgreSQL, one connection.  Each round completes as many tasks of every size, one after the other in turns; the last
task of an execution, which also ends it, is left out.  A start is of a definition seen before, or of a new one.
"""

import json
import time
from collections.abc import Iterator
from itertools import count

from bench.harness import emit, median, parser, percentile, ratio, row, say
from bench.load import Client, request
from bench.places import NAMES, Service, database, serve
from bench.put import BODY, start
from bench.shapes import chain, definition

PART = 1_000
"""Completions in one request on the way to the middle."""


class Chain:
    """A chain of one size, of which tasks are completed one by one."""

    def __init__(self, client: Client, size: int) -> None:
        self.client, self.size = client, size
        self.requests = self._requests()

    def _requests(self) -> Iterator[bytes]:
        tasks = chain(self.size)
        names = list(tasks)
        while True:
            execution = start(self.client, "chain", tasks)
            middle = len(names) // 2 if len(names) > PART else 0
            for at in range(0, middle, PART):
                part = [{"name": name, "state": "SUCCESS"} for name in names[at : min(at + PART, middle)]]
                self.client.send(request("PUT", f"/executions/{execution}/tasks", json.dumps({"tasks": part}).encode()))
            for name in names[middle:-1]:
                yield request("PUT", f"/executions/{execution}/tasks/{name}", BODY)

    def complete(self) -> float:
        """Complete a task; return the milliseconds."""
        message = next(self.requests)
        began = time.perf_counter()
        self.client.send(message)
        return (time.perf_counter() - began) * 1e3


def start_ms(client: Client, size: int, name: str) -> float:
    message = request("POST", "/executions", json.dumps({"definition": definition(name, chain(size))}).encode())
    began = time.perf_counter()
    client.send(message)
    return (time.perf_counter() - began) * 1e3


def measure(service: Service, sizes: tuple[int, ...], rounds: int, completions: int) -> dict[int, list[list[float]]]:
    """Return the milliseconds of every completion, by size and round."""
    client = Client(service.port)
    chains = {size: Chain(client, size) for size in sizes}
    for size, one in chains.items():
        one.complete()
        say(f"a chain of {size:,} is in its middle")
    took: dict[int, list[list[float]]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size in sizes:
            took[size].append([])
        for _ in range(completions):
            for size, one in chains.items():
                took[size][-1].append(one.complete())
    return took


def main() -> None:
    options = parser(__doc__).parse_args()
    sizes = (10, 1_000) if options.quick else (10, 100, 1_000, 10_000, 100_000)
    rounds, completions, large = (2, 20, 500) if options.quick else (5, 400, 10_000)
    with database("postgresql") as url, serve(url, workers=1) as service:
        took = measure(service, sizes, rounds, completions)
        client, numbers = Client(service.port), count()
        new = [start_ms(client, large, f"new-{next(numbers)}") for _ in range(rounds)]
        seen = [start_ms(client, large, "new-0") for _ in range(rounds)]
    p99 = {size: [percentile(one, 99) for one in of_size] for size, of_size in took.items()}
    rows = []
    for size in sizes:
        compared = {"ratios": {f"{sizes[0]} tasks": ratio(p99[size], p99[sizes[0]])}} if size != sizes[0] else {}
        target = {"target": "at most 2"} if size == sizes[-1] else {}
        rows.append(row(f"PUT, chain of {size:,}: p50", "ms", [median(one) for one in took[size]]))
        rows.append(row(f"PUT, chain of {size:,}: p99", "ms", p99[size], **compared, **target))
    rows.append(row(f"start of {large:,} tasks, new", "ms", new, target="at most 2,000"))
    rows.append(row(f"start of {large:,} tasks, seen before", "ms", seen, target="at most 20"))
    emit("sizes", rows, backend=NAMES["postgresql"])


if __name__ == "__main__":
    main()
