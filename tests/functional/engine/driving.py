"""Short ways to say what callers say to an engine, and to read what its tables hold."""

import hashlib
import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from lazyengine.core.state import Failure, Outcome, TaskState
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Assignment, Claim, Report, Reported, Start, Started, TaskQuery

OWNER = "alice"
STRANGER = "mallory"
DIAMOND: dict[str, Any] = {
    "a": {"on-success": ["b", "c"]},
    "b": {"on-success": "d"},
    "c": {"on-success": "d"},
    "d": {"join": "all"},
}
PAIR: dict[str, Any] = {"a": {"on-success": "b"}, "b": None}
TWICE: dict[str, Any] = {"a": {"on-success": "c"}, "b": {"on-success": "c"}, "c": {"on-success": "d"}, "d": None}
"""Two in-edges and no join: c runs once for each of a and b, and d once for each run of c."""


class Clock:
    """A clock that a test sets; each look at it takes `tick` seconds."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now, self.tick = datetime(2031, 2, 3, 4, 5, 6, 789012, tzinfo=UTC), timedelta(seconds=tick)

    def __call__(self) -> datetime:
        self.now += self.tick
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


# -- asking -----------------------------------------------------------------------------------------------------------


def document(tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A definition of one workflow, 'w'."""
    return {"version": "2.0", "w": {"tasks": tasks, **more}}


def wish(tasks: dict[str, Any], *, workflow: dict[str, Any] | None = None, **more: Any) -> Start:
    """A wish to start `tasks`; `workflow` holds the other keys of the workflow, `more` is for `Start`."""
    definition = document(tasks, **(workflow or {}))
    digest = hashlib.sha256(json.dumps([definition, more], sort_keys=True, default=str).encode()).hexdigest()
    return Start(definition, digest, **more)


def start(engine: Engine, tasks: dict[str, Any], *, owner: str = OWNER, **more: Any) -> Started:
    return engine.start_execution(owner, wish(tasks, **more))


def started(engine: Engine, tasks: dict[str, Any], **more: Any) -> str:
    """Start `tasks` and return the execution's id."""
    return start(engine, tasks, **more).execution.id


def success(task: str, result: Any = None, **more: Any) -> Report:
    return Report(task, Outcome(TaskState.SUCCESS, result), **more)


def failure(task: str, message: str = "it broke", **more: Any) -> Report:
    return Report(task, Outcome(TaskState.FAILURE, None, Failure("test", message)), **more)


def cancellation(task: str, **more: Any) -> Report:
    return Report(task, Outcome(TaskState.CANCELLED), **more)


def done(engine: Engine, execution_id: str, *tasks: str) -> Reported:
    """Complete tasks with SUCCESS, one after the other, and return the last answer."""
    return [engine.complete_task(OWNER, execution_id, success(task)) for task in tasks][-1]


def claim(engine: Engine, worker: str = "w1", *, owner: str = OWNER, limit: int = 100, **more: Any) -> list[str]:
    """Claim tasks and return their names."""
    return names(engine.claim_tasks(owner, Claim(worker, limit=limit, **more)))


def names(assignments: Iterable[Assignment]) -> list[str]:
    return [assignment.task for assignment in assignments]


def new_id() -> str:
    return str(uuid.uuid4())


# -- reading ----------------------------------------------------------------------------------------------------------


def state_of(engine: Engine, execution_id: str) -> str:
    return engine.get_execution(OWNER, execution_id).state.value


def task_states(engine: Engine, execution_id: str) -> dict[str, str]:
    """The state of every task; 'name/2' is the second run."""
    items = engine.list_tasks(OWNER, execution_id, TaskQuery(limit=1000)).items
    return {task.name if task.iteration == 1 else f"{task.name}/{task.iteration}": task.state.value for task in items}


def rows(database: Database, table: Any, execution_id: str) -> list[dict[str, Any]]:
    """All rows that a table has of an execution, in the order of their key."""
    statement = select(table).where(table.c.execution_id == execution_id).order_by(*table.primary_key)
    with database.engine.connect() as connection:
        return [dict(row._mapping) for row in connection.execute(statement)]


def history(database: Database, execution_id: str) -> list[dict[str, Any]]:
    return rows(database, t.history, execution_id)


def steps(database: Database, execution_id: str) -> list[tuple[str, str, int | None]]:
    """The history as (kind, state, node)."""
    return [(row["kind"], row["state"], row["node_id"]) for row in history(database, execution_id)]
