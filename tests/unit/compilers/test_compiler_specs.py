"""Tasks and workflows are kept as they are written only where some expression may read that."""

from typing import Any

import pytest

from lazyengine.compilers.workflow import compile_definition
from lazyengine.core.graph import Graph, Node


def compiled(definition: Any, **more: Any) -> tuple[Graph, list[Node]]:
    return compile_definition(definition, more.pop("workflow", "w"), "", 100, **more)


@pytest.mark.parametrize(
    "text",
    [
        "nothing of a task() spec",
        "<% $.task.spec %>",
        "<% task().result %> <% task(x).state %> {% now",
        "{{ execution().id ~ task('x').name }}",
        "task <% tasks %>",
        "{{ executions() }}",
    ],
)
def test_a_graph_that_nobody_looks_into_keeps_no_specs(text: str) -> None:
    graph, nodes = compiled({"w": {"description": "<% task(", "tasks": {"x": {"input": {"v": text}}}}})
    assert (graph.spec, nodes[0].spec) == ({}, {})


@pytest.mark.parametrize(
    "text",
    ["<% task().spec %>", "a {{ task('x') }}", "<% execution().spec.tasks %>", "<% tasks() %>", "{{ 1 | task }}"],
)
def test_a_graph_keeps_specs_that_are_read_somewhere(text: str) -> None:
    """Names, types and versions are added, as Mistral does; even where only another workflow reads them."""
    x = {"action": "a", "name": "x", "tags": ["t"]}
    v = {"tasks": {"a": {"action": f"std.echo output={text!r}"}}}
    graph, nodes = compiled({"w": {"input": ["i"], "tasks": {"x": x, "y": None}}, "v": v})
    more = {"type": "direct", "version": "2.0"}
    tasks = {"x": x | more, "y": {**more, "name": "y"}}
    assert graph.spec == {"input": ["i"], "tasks": tasks, "name": "w", "version": "2.0"}
    assert [node.spec for node in nodes] == [*tasks.values()]


def test_a_spec_has_the_name_of_the_workflow_in_its_book() -> None:
    """And the tasks that a reverse workflow leaves out."""
    tasks = {"x": {"requires": "y", "action": "b"}, "y": {}, "z": {}}
    action = {"base": "std.echo", "base-input": {"output": "<% task().spec %>"}}
    book = {"name": "book", "workflows": {"w": {"type": "reverse", "tasks": tasks}}, "actions": {"b": action}}
    graph, nodes = compiled(book, workflow="book.w", task_name="x")
    assert (graph.workflow, graph.spec["name"], [*graph.spec["tasks"]]) == ("book.w", "w", ["x", "y", "z"])
    assert [(node.name, node.spec["name"], node.spec["type"]) for node in nodes] == [
        ("x", "x", "reverse"),
        ("y", "y", "reverse"),
    ]
