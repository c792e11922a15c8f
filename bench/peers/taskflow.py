# /// script
# dependencies = ["taskflow==6.5.0", "SQLAlchemy==2.1.9", "SQLAlchemy-Utils==0.43.0", "alembic==1.20.1",
#                 "psycopg[binary]==3.3.9"]
# ///
"""TaskFlow's serial engine with persistence in SQLite and in PostgreSQL: a chain of 100, against lazyengine's library.

lazyengine runs the same chain three ways: each task completed by a call, the tasks run by the threads of the
controller, and (on PostgreSQL) the chain as a workflow of the language.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

from taskflow import engines, task
from taskflow.flow import Flow
from taskflow.patterns import linear_flow
from taskflow.persistence import backends, models

from bench.peers.comparison import Comparison, Ours, Run

LENGTH = 100


class Link(task.Task):
    default_provides = "x"

    def execute(self, x: int) -> int:
        return x + 1


def chain() -> Flow:
    first = Link("t0", inject={"x": 0})
    return linear_flow.Flow("chain").add(first, *(Link(f"t{n}") for n in range(1, LENGTH)))


def run(backend: Any) -> Run:
    """Run a chain as a flow detail of a new logbook."""
    flow = chain()
    began = time.perf_counter()
    book = models.LogBook("bench")
    detail = models.FlowDetail(flow.name, str(uuid.uuid4()))
    book.add(detail)
    with closing(backend.get_connection()) as connection:
        connection.save_logbook(book)
    engine = engines.load(flow, flow_detail=detail, book=book, backend=backend, engine="serial")
    engine.run()
    assert engine.storage.get(f"t{LENGTH - 1}") == LENGTH
    return Run(LENGTH, LENGTH, time.perf_counter() - began)


@contextmanager
def persistence(kind: str, ours: Ours) -> Iterator[Any]:
    with TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/flows.db" if kind == "sqlite" else ours.database(kind)
        with closing(backends.fetch({"connection": url})) as backend:
            with closing(backend.get_connection()) as connection:
                connection.upgrade()
            yield backend


def main() -> None:
    comparison = Comparison("TaskFlow", __doc__, ("taskflow", "SQLAlchemy"))
    with comparison.ours() as ours:
        for kind in ("sqlite", "postgresql"):
            with persistence(kind, ours) as backend:
                ways = {
                    "by complete_task": ours.runs("flow", "chains 1x100", on=kind),
                    "with its threads": ours.runs("executor", "chains 1x100", on=kind),
                }
                if kind == "postgresql":
                    ways["as a workflow"] = ours.runs("engine", "chains 1x100")
                comparison.measure(f"chains 1x100, {kind}", "tasks/s", partial(run, backend), ways)


if __name__ == "__main__":
    main()
