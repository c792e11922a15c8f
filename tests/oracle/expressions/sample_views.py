"""Views that expressions are compared over."""

from typing import Any

EXECUTION = {
    "id": "e-1", "name": "wf", "spec": {"tasks": {}}, "input": {"in": 1}, "params": {"env": {"region": "eu"}},
    "created_at": "2024-01-02 03:04:05", "updated_at": "2024-01-02 03:04:06", "root_execution_id": None,
}  # fmt: skip


def task(
    name: str, result: Any, state: str = "SUCCESS", execution: str = "e-1", kind: str = "ACTION"
) -> dict[str, Any]:
    return {
        "id": f"id-{execution}-{name}", "name": name, "spec": {"action": "std.noop"}, "state": state,
        "state_info": None, "result": result, "published": {"p": result}, "type": kind,
        "workflow_execution_id": execution, "created_at": "2024-01-02 03:04:05",
        "updated_at": "2024-01-02 03:04:06",
    }  # fmt: skip


VARIABLES = {
    "name": "Ann",
    "n": 5,
    "zero": 0,
    "half": 2.5,
    "neg": -3,
    "yes": True,
    "no": False,
    "nothing": None,
    "empty": "",
    "text": "a,b,,c",
    "words": "The quick brown fox",
    "uni": "żółw ☃",
    "list": [3, 1, 2],
    "nested": [[1, 2], [3], []],
    "none_list": [None, 1, None],
    "users": [
        {"name": "Ann", "age": 30, "tags": ["a", "b"]},
        {"name": "Bob", "age": 25, "tags": []},
        {"name": "Cid", "age": 30, "tags": ["b"]},
    ],
    "map": {"a": 1, "b": {"c": [1, {"d": "deep"}]}, "items": "x", "with space": 2, "1": "one"},
    "json": '{"k": [1, 2, {"z": null}]}',
    "yaml": "k:\n- 1\n- two\n- 2020-01-01\n",
    "tricky": "<% $.n %> {{ _.n }}",
    "dots": "a.b.c",
}
NESTED = [
    {**EXECUTION, "state": "RUNNING"},
    {**EXECUTION, "id": "e-2", "name": "sub", "state": "ERROR", "task_execution_id": "id-e-1-sub",
     "root_execution_id": "e-1", "created_at": "2024-01-03 00:00:00"},
]  # fmt: skip
TASKS = [
    task("one", {"r": [1, 2]}),
    task("two", "text"),
    task("bad", None, "ERROR"),
    task("sub", {"x": 1}, "SUCCESS", kind="WORKFLOW"),
    task("inner", 7, "SUCCESS", "e-2"),
    task("broken", 8, "ERROR", "e-2"),
]
_COMMON: dict[str, Any] = {
    "variables": VARIABLES,
    "env": {"region": "eu", "sizes": {"small": 1}},
    "execution": EXECUTION,
    "globals": {"g": {"h": [1]}, "n": 50},
    "tasks": {each["name"]: each for each in TASKS[:4]},
    "task_list": TASKS,
    "executions": NESTED,
}
IN_TASK: dict[str, Any] = {**_COMMON, "task": task("now", {"status": 200, "body": {"ids": [1, 2]}}, "RUNNING")}
OUTSIDE: dict[str, Any] = _COMMON
BARE: dict[str, Any] = {"variables": {}, "execution": EXECUTION, "env": {}}
