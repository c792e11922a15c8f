"""What a completion costs in a flow: the same statements, and the same rows, in a chain of 100 tasks and of 2,000.

Every task requires what all those before it provide under one name, so what is looked up for it is the nearest of many.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from driving import OWNER, failure, success
from sqlalchemy import event
from taskflow import task
from taskflow.patterns import linear_flow

from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.flows import Flows
from lazyengine.settings import Settings

LENGTHS = (100, 2_000)


class Link(task.Task):
    default_provides = "x"

    def execute(self, x: int) -> int:
        return x


@contextmanager
def counted(database: Database) -> Iterator[list[tuple[str, int]]]:
    """Collect (the first words, the rows) of every statement; SQLite does not say how many rows it finds: -1."""
    found: list[tuple[str, int]] = []

    def note(connection: object, cursor: object, sql: str, *_: object) -> None:
        found.append((" ".join(sql.split()[:3]), cursor.rowcount))  # type: ignore[attr-defined]

    database.kept.clear()
    event.listen(database.engine, "after_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(database.engine, "after_cursor_execute", note)


def chain_under_way(database: Database, settings: Settings, length: int) -> tuple[Engine, str]:
    """A chain that has come to a task before its last one."""
    first = Link("t0", inject={"x": 0})
    flow = linear_flow.Flow(f"chain-{length}").add(first, *(Link(f"t{n}") for n in range(1, length)))
    engine = Engine(database, settings, flows=Flows({flow.name: lambda: flow}))
    id = engine.start_flow(OWNER, flow.name, {}).execution.id
    engine.complete_tasks(OWNER, id, [success(f"t{n}", n) for n in range(length - 10)])
    return engine, id


@pytest.mark.timeout(600)
def test_completions_and_reverts_cost_the_same_however_long_the_flow(database: Database, settings: Settings) -> None:
    costs = []
    for length in LENGTHS:
        engine, id = chain_under_way(database, settings, length)
        at = length - 10
        with counted(database) as completing:
            engine.complete_task(OWNER, id, success(f"t{at}", at))
        engine.complete_task(OWNER, id, failure(f"t{at + 1}"))  # reads the marks of the region, once
        with counted(database) as reverting:
            engine.complete_task(OWNER, id, success(f"t{at + 1}"))
        costs.append((completing, reverting))
    assert costs[0] == costs[1]
    completing, reverting = ([row for row in rows if not row[0].startswith("BEGIN")] for rows in costs[0])
    # PostgreSQL writes in one statement what takes three elsewhere
    expected = (8, 10) if database.dialect == "postgresql" else (10, 12)
    assert (len(completing), len(reverting)) == expected, costs[0]  # one for the input in the answer
