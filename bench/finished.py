"""Whether finished executions matter: PUT in an empty database, and in one with 1,000,000 of them.

PostgreSQL; a service on each; one connection for latencies, eight for throughput, in turns.
"""

import time
from contextlib import ExitStack

from bench.filling import fill
from bench.harness import emit, median, parser, percentile, ratio, row, say
from bench.load import Load, drive
from bench.places import NAMES, Service, database, serve
from bench.put import many
from bench.shapes import ladder


def measure(service: Service, connections: int, seconds: float) -> Load:
    scripts = many(service, ladder(100), "ladder", int(12 * seconds) + connections)
    return drive(service.port, scripts, connections, seconds)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--executions", type=int, default=1_000_000)
    chosen = options.parse_args()
    seconds, count = (1.0, 2) if chosen.quick else (5.0, 5)
    executions = 5_000 if chosen.quick else chosen.executions
    filled = f"{executions:,} finished"
    loads: dict[tuple[str, int], list[Load]] = {}
    with ExitStack() as stack:
        services = {}
        for state in ("empty", filled):
            url = stack.enter_context(database("postgresql"))
            if state == filled:
                began = time.perf_counter()
                fill(url, executions, tasks=2)
                say(f"filled in {time.perf_counter() - began:.0f} s")
            services[state] = stack.enter_context(serve(url))
            measure(services[state], 8, 1.0)
        for number in range(1, count + 1):
            for connections in (1, 8):
                for state, service in services.items():
                    load = measure(service, connections, seconds)
                    loads.setdefault((state, connections), []).append(load)
                    say(f"{number}/{count}  {state}, {connections}: {load.rate:,.0f} completions/s")
    rows = []
    for (state, connections), of_state in loads.items():
        base = loads["empty", connections]
        for percent in (50, 99):
            taken = [percentile(load.latencies, percent) * 1e3 for load in of_state]
            more = {}
            if state != "empty":
                more["ratios"] = {"empty": ratio(taken, [percentile(load.latencies, percent) * 1e3 for load in base])}
            if more and percent == 99:
                more["target"] = "at most 1.2"
            rows.append(row(f"{state}, {connections} connections: p{percent}", "ms", taken, **more))
    rates = [median(load.rate for load in loads[state, 8]) for state in services]
    say(f"{rates[1] / rates[0]:.2f} of the completions a second")
    emit("finished", rows, backend=NAMES["postgresql"])


if __name__ == "__main__":
    main()
