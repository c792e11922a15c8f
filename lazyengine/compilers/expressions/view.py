"""What expressions look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lazyengine.compilers.expressions.reads import Reads


@dataclass(frozen=True, kw_only=True)
class View:
    """Plain JSON; what a template's `reads` do not name may be left out.

    :param variables: `$` and `_`: what was published over `vars` over the input, already merged
    :param root: what `$` and `_` are instead of the variables, if it is not empty
    :param env: `env()`
    :param globals: `global()`
    :param execution: `execution()`; its `id` is always given
    :param task: `task()`, the current one; None outside of a task.  Its `id` and `name` are always given
    :param tasks: `task(name)`, by name
    :param task_list: `tasks()`: dictionaries as of `task()`, oldest first
    :param executions: `executions()`: as of `execution()`, with `state` and `task_execution_id`, oldest first
    """

    variables: Mapping[str, Any] = field(default_factory=dict)
    root: tuple[Any, ...] = ()
    env: Mapping[str, Any] = field(default_factory=dict)
    globals: Mapping[str, Any] = field(default_factory=dict)
    execution: Mapping[str, Any] = field(default_factory=lambda: {"id": ""})
    task: Mapping[str, Any] | None = None
    tasks: Mapping[str, Any] = field(default_factory=dict)
    task_list: Sequence[Any] = ()
    executions: Sequence[Any] = ()


def message(view: View, reads: Reads) -> dict[str, Any]:
    """Return of a view what is read, as JSON for the evaluator.  Cost: the names that are read."""
    said: dict[str, Any] = {
        "variables": _named(view.variables, reads.variables),
        "execution": _named(view.execution, None if reads.execution else frozenset(("id",))),
    }
    if view.root:
        said["root"] = view.root[0]
    if view.task is not None:
        whole = reads.current_task or reads.tasks is None or view.task.get("name") in reads.tasks
        said["task"] = _named(view.task, None if whole else frozenset(("id", "name")))
    if reads.tasks is None or reads.tasks:
        said["tasks"] = _named(view.tasks, reads.tasks)
    if reads.task_list:
        said["task_list"] = list(view.task_list)
    if reads.executions:
        said["executions"] = list(view.executions)
    if reads.env:
        said["env"] = dict(view.env)
    if reads.global_:
        said["globals"] = dict(view.globals)
    return said


def _named(values: Mapping[str, Any], names: frozenset[str] | None) -> dict[str, Any]:
    if names is None:
        return dict(values)
    return {name: values[name] for name in names if name in values}
