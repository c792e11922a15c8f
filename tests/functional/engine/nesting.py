"""Short ways to start executions that have others below them, and to find those."""

import hashlib
import json
from typing import Any

from driving import OWNER, state_of

from lazyengine.core.state import ExecutionState
from lazyengine.engine import Engine
from lazyengine.records import Execution, ExecutionQuery, Start

ONE = {"w": {"a": {"workflow": "v", "on-success": "z"}, "z": None}, "v": {"b": None}}
TWO = {"w": {"a": {"workflow": "v"}, "c": {"workflow": "v"}}, "v": {"b": None}}

SUSPENDED, RUNNING, CANCELLED = ExecutionState.SUSPENDED, ExecutionState.RUNNING, ExecutionState.CANCELLED


def nest(engine: Engine, workflows: dict[str, Any], workflow: str = "w", **more: Any) -> str:
    """Start `workflow` of a definition of these workflows, each given by its tasks or whole; return its id."""
    whole = {name: spec if "tasks" in spec else {"tasks": spec} for name, spec in workflows.items()}
    definition = {"version": "2.0", **whole}
    digest = hashlib.sha256(json.dumps([definition, workflow, more], default=str).encode()).hexdigest()
    return engine.start_execution(OWNER, Start(definition, digest, workflow, **more)).execution.id


def child(engine: Engine, execution_id: str, task: str = "a", **more: Any) -> str:
    found = engine.get_task(OWNER, execution_id, task, **more).child_execution_id
    assert found is not None
    return found


def children(engine: Engine, execution_id: str) -> list[Execution]:
    """Those that do the work of its tasks, in the order of items."""
    found = engine.list_executions(OWNER, ExecutionQuery(parent=execution_id, values=True)).items
    return sorted(found, key=lambda one: one.parent.key if one.parent else ())


def states(engine: Engine, *ids: str) -> list[str]:
    return [state_of(engine, id) for id in ids]


def steer(engine: Engine, execution_id: str, state: ExecutionState) -> None:
    engine.update_execution(OWNER, execution_id, state=state)
