"""An engine that only remembers what it was asked, and the records that it answers."""

from collections.abc import Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from lazyengine import records
from lazyengine.core.graph import Node
from lazyengine.core.state import ExecutionState, Failure, TaskState
from lazyengine.db.bell import Bell
from lazyengine.errors import Fault
from lazyengine.pictures import picture
from lazyengine.watching import Wanted

ID = "6a0a707c-45ef-4758-b533-e55adddba8ce"
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
EXECUTION = records.Execution(
    id=ID,
    workflow="w",
    definition_digest="d" * 64,
    state=ExecutionState.RUNNING,
    info=None,
    params={},
    description="",
    tags=("t",),
    created_at=NOW,
    updated_at=NOW,
    finished_at=None,
    generation=1,
    parent=None,
    root_execution_id=ID,
    input={"secret": "input"},
    output={"secret": "output"},
)
TASK = records.Task(
    execution_id=ID,
    node=7,
    name="build",
    iteration=2,
    state=TaskState.FAILURE,
    info="why",
    action=None,
    target="default",
    attempt=1,
    progress=None,
    claimed_by=None,
    lease_expires_at=None,
    created_at=NOW,
    started_at=NOW,
    finished_at=None,
    input={},
    result={"x": "\ud800\0"},
    failure=Failure("t", "m", [1]),
)
WORKFLOW = records.StoredWorkflow(
    "n", 2, "d" * 64, NOW, records.Declaration("w", (records.DeclaredInput("i", True),), ("t",), "text"), {"w": {}}
)
ASSIGNMENT = records.Assignment(ID, "build", 1, 1, None, "default", {"a": 1}, None, NOW)
STATUS = records.ExecutionStatus(ID, ExecutionState.RUNNING)
REPORTED = records.Reported(TASK, STATUS, (ASSIGNMENT,))


class Asked:
    """Stands for an `Engine`: keeps each call, gives (or raises) what `answers` has for it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.answers: dict[str, Any] = {
            "start_execution": records.Started(EXECUTION, (ASSIGNMENT,), created=True),
            "get_execution": EXECUTION,
            "list_executions": records.Page((EXECUTION,), more=False),
            "update_execution": EXECUTION,
            "delete_execution": None,
            "list_tasks": records.Page((TASK,), more=False),
            "get_task": TASK,
            "get_graph": picture((Node(0, "build"),)),
            "complete_task": REPORTED,
            "complete_tasks": (STATUS, ()),
            "heartbeat": REPORTED,
            "claim_tasks": (ASSIGNMENT,),
            "check_ready": None,
            "store_workflows": records.WorkflowsStored((WORKFLOW,), created=True),
            "replace_workflows": records.WorkflowsStored((WORKFLOW,), created=False),
            "list_workflows": records.Page((WORKFLOW,), more=True),
            "get_workflow": WORKFLOW,
            "delete_workflow": None,
            "validate_definition": (Fault("/w", "wrong"),),
        }

        self.database = SimpleNamespace(dialect="sqlite")
        self.database.bell = Bell(self.database)  # type: ignore[arg-type]

    def signing_keys(self) -> list[str]:
        return ["a key"]

    def count_offers(self, wanted: Wanted, most: int) -> int:
        """There is always something to ask for again."""
        return most

    def standings(self, ids: Iterable[str]) -> dict[str, Any]:
        return {}

    def __getattr__(self, name: str) -> Any:
        def verb(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, args, kwargs))
            answer = self.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer() if callable(answer) else answer

        return verb

    @property
    def last(self) -> Any:
        """The last argument of the last call."""
        return self.calls[-1][1][-1]
