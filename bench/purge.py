"""What completions take while finished executions are purged, and what they take otherwise.

PostgreSQL.  Tasks are completed as a library by two threads, without and with `lazyengine db purge` beside them in a
process of its own; each round has its own executions to purge.
"""

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable

from bench.filling import fill
from bench.harness import emit, parser, percentile, ratio, row, say
from bench.places import NAMES, database
from bench.shapes import chain, definition
from lazyengine.core.state import Outcome, TaskState
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Report, Start
from lazyengine.settings import Settings

OWNER = ""
CHAIN = definition("chain", chain(5))
THREADS = 2


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--executions", type=int, default=10_000, help="to purge in each round")
    chosen = options.parse_args()
    count, executions, seconds = (2, 2_000, 1.0) if chosen.quick else (5, chosen.executions, 8.0)
    quiet, busy, rates = [], [], []
    with database("postgresql") as url:
        settings = Settings(database_url=url)
        engine = Engine(Database(settings), settings)
        for number in range(1, count + 1):
            fill(url, executions, tasks=5)
            deadline = time.monotonic() + seconds
            quiet.append(load(engine, lambda deadline=deadline: time.monotonic() > deadline))
            command = [sys.executable, "-m", "lazyengine", "db", "purge", "--older-than", "30d", "--database-url", url]
            began = time.monotonic()
            with subprocess.Popen(command, stdout=subprocess.DEVNULL) as purging:
                try:
                    busy.append(load(engine, lambda purging=purging: purging.poll() is not None))
                finally:
                    purging.terminate()
            rates.append(executions / (time.monotonic() - began))
            if purging.returncode:
                raise SystemExit("the purge failed")
            say(f"{number}/{count}  {rates[-1]:,.0f} executions purged a second")
        engine.database.dispose()
    rows = []
    for percent in (50, 99):
        without = [percentile(taken, percent) for taken in quiet]
        beside = [percentile(taken, percent) for taken in busy]
        compared = {"without": ratio(beside, without)}
        rows.append(row(f"completion without a purge: p{percent}", "ms", without))
        rows.append(row(f"completion beside a purge: p{percent}", "ms", beside, ratios=compared))
    rows.append(row("purge", "executions/s", rates))
    emit("purge", rows, backend=NAMES["postgresql"])


def run_one(engine: Engine, taken: list[float]) -> None:
    """Run a chain of five tasks; note what each completion took, in milliseconds."""
    id = engine.start_execution(OWNER, Start(CHAIN, uuid.uuid4().hex)).execution.id
    for n in range(5):
        began = time.perf_counter()
        engine.complete_task(OWNER, id, Report(f"t{n}", Outcome(TaskState.SUCCESS, n)))
        taken.append((time.perf_counter() - began) * 1e3)


def load(engine: Engine, is_over: Callable[[], bool]) -> list[float]:
    """Complete tasks until it is over; return what each completion took."""
    taken: list[float] = []

    def work() -> None:
        while not is_over():
            run_one(engine, taken)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


if __name__ == "__main__":
    main()
