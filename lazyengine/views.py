"""What expressions see of executions and tasks, in Mistral's words."""

from datetime import datetime
from typing import Any, NamedTuple

from lazyengine.core.graph import Key
from lazyengine.core.state import FINAL_TASK_STATES


class Row(NamedTuple):
    """What `task_view` needs of a run that is not saved yet."""

    node_id: int
    iteration: int
    name: str
    state: str
    attempt: int
    info: str | None
    result: Any
    published: dict[str, Any] | None
    started_at: datetime | None
    finished_at: datetime | None
    body: dict[str, Any] | None
    is_workflow: bool = False


def task_id(execution_id: str, key: Key) -> str:
    """Return what identifies a run in expressions."""
    return f"{execution_id}:{key[0]}:{key[1]}"


STATES = {"FAILURE": "ERROR", "DELAYED": "RUNNING_DELAYED", "SUSPENDING": "PAUSED", "SUSPENDED": "PAUSED"}
"""What Mistral calls the states that it has other words for; expressions see its words."""


def execution_view(row: Any, spec: dict[str, Any]) -> dict[str, Any]:
    """What `execution()` shows (Mistral: `expressions/std_functions.py`, execution_)."""
    return {
        "id": row.id,
        "name": row.workflow,
        "spec": spec,
        "input": row.input,
        "params": row.params,
        "created_at": str(row.created_at),
        "updated_at": str(row.updated_at),
        "root_execution_id": row.root_id,
    }


def family_view(row: Any) -> dict[str, Any]:
    """What `executions()` shows of each (Mistral: `db/v2/sqlalchemy/models.py`, WorkflowExecution)."""
    parent = (row.parent_node, row.parent_iteration)
    return {
        **execution_view(row, {}),
        "workflow_name": row.workflow,
        "state": STATES.get(row.state, row.state),
        "state_info": row.info,
        "output": row.output,
        "task_execution_id": task_id(row.parent_id, parent) if row.parent_id else None,
    }


def task_view(execution_id: str, row: Any) -> dict[str, Any]:
    """What `task()` and `tasks()` show (Mistral: `expressions/std_functions.py`, task_).

    The result of a run that has none is an empty list (Mistral: `workflow/data_flow.py`, get_task_execution_result).
    """
    return {
        "id": task_id(execution_id, (row.node_id, row.iteration)),
        "name": row.name,
        "spec": (row.body or {}).get("spec", {}),
        "state": STATES.get(row.state, row.state),
        "state_info": row.info,
        "result": row.result if row.attempt and row.state in FINAL_TASK_STATES else [],
        "published": row.published or {},
        "type": "WORKFLOW" if row.is_workflow else "ACTION",
        "workflow_execution_id": execution_id,
        "created_at": str(row.started_at),
        "updated_at": str(row.finished_at),
    }
