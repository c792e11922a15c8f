"""The shapes that all are measured on, as documents of the Mistral language."""

from typing import Any

Tasks = dict[str, dict[str, Any]]

JOIN = {"join": "all"}


def chain(length: int) -> Tasks:
    """Return tasks that follow one another."""
    return {f"t{n}": {"on-success": [f"t{n + 1}"]} if n + 1 < length else {} for n in range(length)}


def diamond(width: int) -> Tasks:
    """Return a task, `width` that follow it side by side, and one that follows all of these."""
    sides = {f"side{n}": {"on-success": ["last"]} for n in range(width)}
    return {"first": {"on-success": list(sides)}, **sides, "last": JOIN}


def layered(layers: int, width: int) -> Tasks:
    """Return layers of tasks, each of which follows all of the layer before."""
    tasks = {}
    for layer in range(layers):
        for n in range(width):
            follows = [f"t{layer + 1}_{other}" for other in range(width)] if layer + 1 < layers else []
            tasks[f"t{layer}_{n}"] = (JOIN if layer else {}) | ({"on-success": follows} if follows else {})
    return tasks


SHAPES = {
    "chains 1x100": (1, chain(100)),
    "chains 20x100": (20, chain(100)),
    "diamond 100": (1, diamond(100)),
    "layered 10x10": (1, layered(10, 10)),
}
"""By the name of the case: how many executions at once, and the tasks of each."""


def name_of(case: str) -> str:
    """Return the name of the workflow of a case."""
    return "".join(letter if letter.isalnum() else "_" for letter in case)


def definition(case: str) -> dict[str, Any]:
    """Return the workflow of a case; somebody else has to say that its tasks are done."""
    tasks = {name: {"action": "std.async_noop", **task} for name, task in SHAPES[case][1].items()}
    return {"version": "2.0", name_of(case): {"tasks": tasks}}
