"""What completions take while 100,000 finished executions are purged, and what they take otherwise.

    python bench/purge.py postgresql://postgres@127.0.0.1/bench [executions]

It fills an empty database with copies of one finished execution, then completes tasks from two threads, without and
with a purge beside it in a process of its own.
"""

import statistics
import subprocess
import sys
import threading
import time
import uuid

from sqlalchemy import func, select, text

from lazyengine.core.state import Outcome, TaskState
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Report, Start
from lazyengine.settings import Settings

CHAIN = {"w": {"tasks": {**{f"t{n}": {"on-success": f"t{n + 1}"} for n in range(4)}, "t4": None}}}
SECONDS = 20.0
THREADS = 2


def main(url: str, count: int) -> None:
    settings = Settings(database_url=url)
    database = Database(settings)
    database.upgrade()
    engine = Engine(database, settings)
    run_one(engine, [])
    fill(database, count)
    quiet = load(engine, lambda: False)
    show("without a purge", quiet)
    command = [sys.executable, "-m", "lazyengine", "db", "purge", "--older-than", "30d", "--database-url", url]
    began = time.monotonic()
    purging = subprocess.Popen(command)
    busy = load(engine, lambda: purging.poll() is not None)
    purging.wait()
    took = time.monotonic() - began
    show("with a purge", busy)
    with database.engine.connect() as connection:
        left = connection.execute(
            select(func.count()).select_from(t.execution).where(t.execution.c.workflow == "old")
        ).scalar()
    print(f"purged in {took:.1f} s, {left} left; p99 is {p99(busy) / p99(quiet):.2f} times what it was")


def run_one(engine: Engine, taken: list[float]) -> str:
    """Run a chain of five tasks; note what each completion took, in seconds."""
    id = engine.start_execution("bench", Start(CHAIN, uuid.uuid4().hex)).execution.id
    for n in range(5):
        began = time.perf_counter()
        engine.complete_task("bench", id, Report(f"t{n}", Outcome(TaskState.SUCCESS, n)))
        taken.append(time.perf_counter() - began)
    return id


def fill(database: Database, count: int) -> None:
    """Copy the only execution there is, with all its rows, as something that ended 60 days ago."""
    tables = (t.execution, t.mark, t.history)
    with database.engine.begin() as connection:
        connection.execute(
            text(f"CREATE TEMPORARY TABLE copies AS SELECT gen_random_uuid() AS id FROM generate_series(1, {count})")
        )
        for table in tables:
            key = "id" if table is t.execution else "execution_id"
            changed = {key: "copies.id", "workflow": "'old'", "finished_at": "now() - interval '60 days'"}
            if table is not t.execution:
                del changed["workflow"], changed["finished_at"]
            columns = [column.name for column in table.c]
            values = ", ".join(changed.get(name, f"one.{name}") for name in columns)
            one = f"(SELECT * FROM {table.name})"
            connection.execute(
                text(f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {values} FROM {one} AS one, copies")
            )
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))


def load(engine: Engine, is_over) -> list[float]:
    """Complete tasks for a while, but at least until `is_over` where that ends."""
    taken: list[float] = []
    deadline = time.monotonic() + SECONDS

    def work() -> None:
        mine: list[float] = []
        while time.monotonic() < deadline and not is_over():
            run_one(engine, mine)
        taken.extend(mine)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def p99(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=100)[98]


def show(what: str, taken: list[float]) -> None:
    p50 = statistics.median(taken) * 1000
    print(f"{what}: {len(taken)} completions, p50 {p50:.1f} ms, p99 {p99(taken) * 1000:.1f} ms", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100_000)
