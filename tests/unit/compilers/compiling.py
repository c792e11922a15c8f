"""Short ways to compile a definition and to look at what came of it."""

from typing import Any

import pytest

from lazyengine.compilers.workflow import compile_definition
from lazyengine.core.graph import Command, Graph, Node
from lazyengine.errors import DefinitionInvalid

MAX_TASKS = 100_000


def compiled(definition: Any, workflow: str | None = None, default_action: str = "") -> tuple[Graph, dict[str, Node]]:
    """Compile, with the nodes by name."""
    graph, nodes = compile_definition(definition, workflow, default_action, MAX_TASKS)
    assert [node.id for node in nodes] == list(range(graph.size))
    return graph, {node.name: node for node in nodes}


def definition_of(tasks: Any, **workflow: Any) -> dict[str, Any]:
    """A definition of one workflow, `w`."""
    return {
        "version": "2.0",
        "w": {"tasks": tasks, **{key.replace("_", "-"): value for key, value in workflow.items()}},
    }


def nodes_of(tasks: Any, default_action: str = "", **workflow: Any) -> dict[str, Node]:
    return compiled(definition_of(tasks, **workflow), default_action=default_action)[1]


def edges_of(nodes: dict[str, Node], name: str) -> list[tuple[str, str]]:
    """The edges of a task as (on, name of the task or the command)."""
    names = list(nodes)
    return [
        (edge.on.value, edge.to.value if isinstance(edge.to, Command) else names[edge.to]) for edge in nodes[name].edges
    ]


def faults_of(definition: Any, default_action: str = "", max_tasks: int = MAX_TASKS) -> list[tuple[str, str]]:
    """The faults of a definition that has some, as (path, message)."""
    with pytest.raises(DefinitionInvalid) as caught:
        compile_definition(definition, None, default_action, max_tasks)
    return [(fault.path, fault.message) for fault in caught.value.faults]


def paths_of(definition: Any, default_action: str = "") -> list[str]:
    return [path for path, _ in faults_of(definition, default_action)]


def fault_of(definition: Any, default_action: str = "") -> tuple[str, str]:
    """The only fault of a definition."""
    (fault,) = faults_of(definition, default_action)
    return fault
