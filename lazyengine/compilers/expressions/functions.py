"""Mistral's functions, over the view that the evaluator was sent.

Their first argument is what the language calls them in: the YAQL context, the value of `_`, or in a Jinja filter what
stands left of the bar.  Source: Mistral's `expressions/std_functions.py` and `utils/safe_yaml.py`.
"""

import json
import uuid
from collections.abc import Callable
from typing import Any

import yaml

from lazyengine.compilers.expressions.values import primitive

view: dict[str, Any] = {}
"""What the expression at hand looks at; see `view.message`."""


def _env(context: Any) -> Any:
    return context["__env"]


def _execution(context: Any) -> Any:
    return view["execution"] if context["__execution"] else None


def _global(context: Any, var_name: str) -> Any:
    return view["globals"].get(var_name) if context["__execution"] else None


def _task(context: Any, task_name: str | None = None) -> Any:
    current = context["__task_execution"]
    if current and (not task_name or current["name"] == task_name):
        return view["task"]
    return view.get("tasks", {}).get(task_name)


def _tasks(
    context: Any,
    workflow_execution_id: str | None = None,
    recursive: bool = False,
    state: str | None = None,
    flat: bool = False,
) -> Any:
    """List tasks: of one execution or of all, with those below (`recursive`), without what only hands on (`flat`)."""
    listed = [
        task
        for task in view["task_list"]
        if not workflow_execution_id or task["workflow_execution_id"] == workflow_execution_id
    ]
    below: list[Any] = []
    if recursive and workflow_execution_id:
        for task in listed:
            for nested in _nested(task):
                below += _tasks(context, nested["id"], True, state, flat)
    return [task for task in listed if _is_wanted(task, state, flat)] + below


def _is_wanted(task: dict[str, Any], state: str | None, flat: bool) -> bool:
    if state and task["state"] != state:
        return False
    return not flat or task["type"] == "ACTION" or all(nested["state"] != task["state"] for nested in _nested(task))


def _nested(task: dict[str, Any]) -> list[Any]:
    return [each for each in view["executions"] if each.get("task_execution_id") == task["id"]]


def _executions(
    context: Any,
    id: str | None = None,
    root_execution_id: str | None = None,
    state: str | None = None,
    from_time: str | None = None,
    to_time: str | None = None,
) -> Any:
    equal = {"id": id, "root_execution_id": root_execution_id, "state": state}
    return [
        each
        for each in view["executions"]
        if all(wanted is None or each.get(name) == wanted for name, wanted in equal.items())
        and (from_time is None or each["created_at"] >= from_time)
        and (to_time is None or each["created_at"] < to_time)
    ]


def _uuid(context: Any = None) -> str:
    return str(uuid.uuid4())


def _json_parse(context: Any, data: str) -> Any:
    return json.loads(data)


def _json_dump(context: Any, data: Any) -> str:
    return json.dumps(data, default=primitive, indent=4)


class _PlainLoader(yaml.SafeLoader):
    """Anchors and aliases are text, and so is '@': nothing in a document can be repeated by a name."""

    def fetch_anchor(self) -> None:
        self.fetch_plain()

    fetch_alias = fetch_anchor

    def check_plain(self) -> bool:
        return self.peek() == "@" or bool(super().check_plain())


class _FlatDumper(yaml.SafeDumper):
    """Writes what stands in two places twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml_parse(context: Any, data: str) -> Any:
    return yaml.load(data, _PlainLoader)  # noqa: S506 - a safe loader


def _yaml_dump(context: Any, data: Any) -> str:
    return yaml.dump(data, Dumper=_FlatDumper, default_flow_style=False)


def add_mapping(kind: type[Any]) -> None:
    """Let `yaml_dump` write another kind of mapping."""
    _FlatDumper.add_representer(kind, yaml.SafeDumper.represent_dict)


BY_NAME: dict[str, Callable[..., Any]] = {
    "env": _env,
    "execution": _execution,
    "executions": _executions,
    "global": _global,
    "json_dump": _json_dump,
    "json_parse": _json_parse,
    "task": _task,
    "tasks": _tasks,
    "uuid": _uuid,
    "yaml_dump": _yaml_dump,
    "yaml_parse": _yaml_parse,
}
