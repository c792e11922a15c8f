"""CPU microseconds of a completion by layer: PUT over HTTP with keep-alive, PostgreSQL, one worker process.

The kernel's accounts say what a completion costs the worker process and the server processes of its connections.  What
each layer has of it is measured where calls go from one layer to another (`bench.layers`), in a second service that
does the same in the same rounds; gunicorn has what is not in the application.  The watching itself costs: by as much as
the process takes more than the plain one, and that is said in a row of its own.  It is spread over the layers by their
shares.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from bench.harness import Row, emit, median, parser, row, say
from bench.load import Client, drive, request
from bench.places import Service, cpu_seconds, database, running, serve, server_processes, service_environ
from bench.put import many
from bench.shapes import ladder

CONNECTIONS = 4
WATCHED = [sys.executable, "-m", "gunicorn", "--config=python:lazyengine.serving", "bench.layers:application"]


def layers(service: Service) -> dict[str, int]:
    """Return the nanoseconds that the layers have taken."""
    client = Client(service.port)
    found: dict[str, int] = json.loads(client.send(request("GET", "/layers")))
    client.close()
    return found


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=5.0, help="of each of five rounds")
    chosen = options.parse_args()
    seconds, count = (2.0, 2) if chosen.quick else (chosen.seconds, 5)
    tasks = ladder(100)
    runs: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        url = stack.enter_context(database("postgresql"))
        other = stack.enter_context(database("postgresql"))
        plain = stack.enter_context(serve(url, workers=1))
        watched = stack.enter_context(running(WATCHED, service_environ(other, workers=1)))

        for service in (plain, watched):
            drive(service.port, many(service, tasks, "ladder", CONNECTIONS), CONNECTIONS)
        for number in range(1, count + 1):
            unwatched = measure(plain, url, seconds)
            other_one = measure(watched, other, seconds, layers)
            taken, application = other_one.layers, unwatched.application
            taken["gunicorn"] = other_one.application - sum(taken.values())
            for layer, us in taken.items():
                runs[layer].append(us * application / other_one.application)
            runs["application"].append(application)
            runs["database"].append(unwatched.database)
            runs["watching"].append(other_one.application - application)
            runs["rate"].append(unwatched.rate)
            say(f"{number}/{count}  {application:,.0f} µs, {unwatched.rate:,.0f} completions/s")
    emit("profile", rows(runs), backend="PostgreSQL")


@dataclass(frozen=True)
class Measured:
    """What a completion took, in microseconds of processor time.

    :param rate: completions a second
    :param layers: by layer, in the watched service
    """

    rate: float
    application: float
    database: float
    layers: dict[str, float]


def measure(
    service: Service, url: str, seconds: float, read: Callable[[Service], dict[str, int]] = lambda _: {}
) -> Measured:
    """Complete tasks for a while.

    :param read: gives the sums of the layers
    """
    scripts = many(service, ladder(100), "ladder", int(12 * seconds))
    server = server_processes(url)
    before = read(service), cpu_seconds(service.workers), cpu_seconds(server)
    load = drive(service.port, scripts, CONNECTIONS, seconds)
    count = len(load.latencies) / 1e6
    taken = {layer: (ns - before[0][layer]) / 1e9 / count for layer, ns in read(service).items()}
    return Measured(
        load.rate,
        (cpu_seconds(service.workers) - before[1]) / count,
        (cpu_seconds(server) - before[2]) / count,
        taken,
    )


def rows(runs: dict[str, list[float]]) -> list[Row]:
    runs["application and database"] = [sum(both) for both in zip(runs["application"], runs["database"], strict=True)]
    order = ("gunicorn", "Pecan and WebOb", "WSME", "API", "engine", "core", "store", "SQLAlchemy", "driver")
    whole = median(runs["application and database"])
    found = [row(layer, "µs CPU", runs[layer], share=round(median(runs[layer]) / whole, 3)) for layer in order]
    found += [row(what, "µs CPU", runs[what]) for what in ("application", "database", "application and database")]
    found.append(row("what the watching costs", "µs CPU", runs["watching"]))
    found.append(row("completions, one worker, unwatched", "completions/s", runs["rate"]))
    return found


if __name__ == "__main__":
    main()
