"""What `task().spec` and `execution().spec` show: tasks and workflows as they are written.

Graphs keep it only where an expression of the definition may read it.  Source: Mistral's `lang/base.py` and
`lang/v2/workflows.py`, which add a name, a type and a version to what they read.
"""

from dataclasses import replace
from typing import Any

from lazyengine.compilers.contents import Source
from lazyengine.compilers.expressions import ExpressionInvalid, compile_text, has_expression
from lazyengine.core.graph import Graph, Node


def reads_specs(document: Any) -> bool:
    """Tell whether some expression in a document may read a specification.  Cost: linear in the document."""
    texts, left = set(), [document]
    while left:
        value = left.pop()
        if isinstance(value, str):
            texts.add(value)
        elif isinstance(value, dict | list):
            left.extend(value.values() if isinstance(value, dict) else value)
    return any(_reads_specs(text) for text in texts if "task" in text or "execution" in text)


def _reads_specs(text: str) -> bool:
    try:
        return has_expression(text) and compile_text(text).reads.specs
    except ExpressionInvalid:
        return False  # it stands where it is text


def keep_specs(source: Source, graph: Graph, nodes: list[Node]) -> tuple[Graph, list[Node]]:
    """Put into a graph what it was compiled from."""
    kind = source.spec.get("type", "direct")
    tasks = {
        name: {**(task or {}), "type": kind, "name": name, "version": "2.0"}
        for name, task in source.spec["tasks"].items()
    }
    spec = {**source.spec, "tasks": tasks, "name": source.path[-1], "version": "2.0"}
    return replace(graph, spec=spec), [replace(node, spec=tasks[node.name]) for node in nodes]
