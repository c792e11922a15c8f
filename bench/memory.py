"""Whether a worker grows: its memory after 10,000 requests, and after many more.

Executions of ten tasks are started, completed and looked at over 8 connections, by one worker process.  What counts is
the memory that it alone holds.  A million requests, `--requests 1000000`, take their time.
"""

import json
from collections.abc import Generator

from bench.harness import emit, parser, row, say
from bench.load import drive, request
from bench.places import BACKENDS, NAMES, database, resident_bytes, serve
from bench.put import BODY
from bench.shapes import chain, definition

CONNECTIONS = 8
START = request("POST", "/executions", json.dumps({"definition": definition("chain", chain(10))}).encode())
OF_AN_EXECUTION = 12


def execution() -> Generator[bytes, bytes, None]:
    """Start an execution, complete its tasks, look at it."""
    one = json.loads((yield START))["id"]
    for n in range(10):
        yield request("PUT", f"/executions/{one}/tasks/t{n}", BODY)
    yield request("GET", f"/executions/{one}")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--requests", type=int, default=50_000)
    options.add_argument("--backend", default="postgresql", choices=BACKENDS)
    chosen = options.parse_args()
    first, last = (600, 1_200) if chosen.quick else (10_000, chosen.requests)
    steps = sorted({first, *(last * part // 4 for part in range(1, 5))} - set(range(first)))
    rows, done, base = [], 0, 0
    with database(chosen.backend) as url, serve(url, workers=1) as service:
        for step in steps:
            executions = (step - done) // OF_AN_EXECUTION
            drive(service.port, (execution() for _ in range(executions)), CONNECTIONS, seconds=86_400, whole=True)
            done = step
            (worker,) = service.workers
            size = resident_bytes(worker)
            base = base or size
            say(f"after {step:,} requests: {size / 2**20:.1f} MiB")
            compared = {"ratios": {f"after {first:,}": round(size / base, 3)}} if step != first else {}
            target = {"target": "within 10 %"} if step == last else {}
            rows.append(row(f"after {step:,} requests", "MiB", [size / 2**20], **compared, **target))
    emit("memory", rows, backend=NAMES[chosen.backend])


if __name__ == "__main__":
    main()
