"""Whether a worker grows: its memory after 10,000 requests, and after many more.

Executions of ten tasks are started, completed and looked at over 8 connections, by one worker process.  What counts is
the memory that it alone holds, so nothing else on the machine matters.  A million requests, `--requests 1000000`, take
most of an hour; what is not done after `--seconds` is left out, and the table says so.
"""

import json
import time
from collections.abc import Generator, Iterable, Iterator

from bench.harness import Row, emit, parser, row, say
from bench.load import drive, request
from bench.places import BACKENDS, NAMES, Service, database, resident_bytes, serve
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


def measure(service: Service, steps: Iterable[int], seconds: float) -> Iterator[tuple[int, float]]:
    """Give how many requests were answered, and the MiB of the worker then; at each step, or when the time is over."""
    done, deadline = 0, time.monotonic() + seconds
    for step in steps:
        scripts = [execution() for _ in range((step - done) // OF_AN_EXECUTION)]
        load = drive(service.port, scripts, CONNECTIONS, deadline - time.monotonic(), whole=True)
        over = time.monotonic() > deadline
        done = done + len(load.latencies) if over else step
        (worker,) = service.workers
        mebibytes = resident_bytes(worker) / 2**20
        say(f"after {done:,} requests: {mebibytes:.1f} MiB")
        yield done, mebibytes
        if over:
            return


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--requests", type=int, default=100_000)
    options.add_argument("--seconds", type=float, default=3_000.0, help="after which it is cut off")
    options.add_argument("--backend", default="postgresql", choices=BACKENDS)
    chosen = options.parse_args()
    first, last = (600, 1_200) if chosen.quick else (10_000, chosen.requests)
    steps = sorted({first, *(last * part // 4 for part in range(1, 5))} - set(range(first)))
    with database(chosen.backend) as url, serve(url, workers=1) as service:
        sizes = list(measure(service, steps, chosen.seconds))
    rows = []
    for done, mebibytes in sizes:
        more: Row = {} if done == sizes[0][0] else {"ratios": {f"after {first:,}": round(mebibytes / sizes[0][1], 3)}}
        if done == sizes[-1][0]:
            more["target"] = "within 10 %"
            if done < last:
                more["note"] = f"cut off after {chosen.seconds:,.0f} s"
        rows.append(row(f"after {done:,} requests", "MiB", [mebibytes], **more))
    emit("memory", rows, backend=NAMES[chosen.backend])


if __name__ == "__main__":
    main()
