"""Drives a diamond to SUCCESS with the client that openapi-python-client generated; run as a script with the URL."""

import sys

from lazyengine_client import Client
from lazyengine_client.api.executions import get_execution, start_execution
from lazyengine_client.api.tasks import complete_task, get_task, list_tasks
from lazyengine_client.models import (
    Execution,
    ExecutionStart,
    ExecutionState,
    JsonObject,
    Problem,
    ReportedTask,
    StartedExecution,
    Task,
    TaskList,
    TaskState,
    TaskSuccess,
)

DEFINITION = """
version: '2.0'
diamond:
  input: [who]
  output: {done: true}
  tasks:
    split: {on-success: [left, right]}
    left: {on-success: merge}
    right: {on-success: merge}
    merge: {join: all}
"""


def main(url: str) -> None:
    """Start, look, complete, and be refused once; every answer is of the type that the document names."""
    client = Client(base_url=url, raise_on_unexpected_status=True)
    wish = ExecutionStart(definition=DEFINITION, input_=JsonObject.from_dict({"who": "world"}))
    started = start_execution.sync(client=client, body=wish)
    assert isinstance(started, StartedExecution)
    assert [assignment.task for assignment in started.scheduled] == ["split"]
    assert started.output is None
    assert started.parent is None
    tasks = list_tasks.sync(started.id, client=client)
    assert isinstance(tasks, TaskList)
    assert [(task.name, task.state) for task in tasks.tasks] == [
        ("split", TaskState.RUNNING),
        ("left", TaskState.PENDING),
        ("right", TaskState.PENDING),
        ("merge", TaskState.PENDING),
    ]
    for task in tasks.tasks:
        report = TaskSuccess(state="SUCCESS", result={"of": task.name, "numbers": [1, None]})
        reported = complete_task.sync(started.id, task.name, client=client, body=report)
        assert isinstance(reported, ReportedTask)
        assert reported.task.state is TaskState.SUCCESS
    refused = complete_task.sync_detailed(
        started.id, "merge", client=client, body=TaskSuccess(state="SUCCESS", result="another")
    )
    assert refused.status_code == 409
    assert isinstance(refused.parsed, Problem)
    assert refused.parsed.code == "task.already_completed"
    merge = get_task.sync(started.id, "merge", client=client)
    assert isinstance(merge, Task)
    assert merge.result == {"of": "merge", "numbers": [1, None]}
    assert merge.claimed_by is None
    execution = get_execution.sync(started.id, client=client)
    assert isinstance(execution, Execution)
    assert execution.state is ExecutionState.SUCCESS
    assert execution.output == {"done": True}
    assert execution.input_["who"] == "world"
    print(execution.state)


if __name__ == "__main__":
    main(sys.argv[1])
