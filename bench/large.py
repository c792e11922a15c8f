"""A result of 4 MiB: how long its PUT takes, and how often it is stored.

The result is random text, so that the database cannot compress it away; what PostgreSQL's files have grown by is
compared with its size.
"""

import base64
import json
import os
import time
from contextlib import ExitStack

from sqlalchemy import create_engine, text

from bench.harness import emit, parser, row
from bench.load import Client, request
from bench.places import BACKENDS, NAMES, database, serve
from bench.put import start
from bench.shapes import chain

SIZE = 4 * 2**20


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--backends", nargs="+", default=BACKENDS, choices=BACKENDS)
    chosen = options.parse_args()
    count = 2 if chosen.quick else 10
    rows = []
    for backend in chosen.backends:
        with ExitStack() as stack:
            url = stack.enter_context(database(backend))
            service = stack.enter_context(serve(url, workers=1))
            client = Client(service.port)
            execution = start(client, "chain", chain(count + 2))
            before, taken = 0, []
            for n in range(count + 1):
                if n == 1:
                    before = size_of(url) if backend == "postgresql" else 0
                result = base64.b64encode(os.urandom(SIZE * 3 // 4)).decode()
                body = json.dumps({"state": "SUCCESS", "result": result}).encode()
                message = request("PUT", f"/executions/{execution}/tasks/t{n}", body)
                began = time.perf_counter()
                client.send(message)
                taken.append((time.perf_counter() - began) * 1e3)
            rows.append(row(f"PUT of 4 MiB, {NAMES[backend]}", "ms", taken[1:], target="at most 100"))
            if backend == "postgresql":
                times = (size_of(url) - before) / SIZE / count
                rows.append(row("how often it is stored, PostgreSQL", "", [times], target="1"))
    emit("large", rows)


def size_of(url: str) -> int:
    """Return the bytes of all files of a database."""
    engine = create_engine(url)
    with engine.connect() as connection:
        size: int = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    engine.dispose()
    return size


if __name__ == "__main__":
    main()
