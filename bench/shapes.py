"""The graphs that are measured, in the Mistral language; their tasks are in an order in which they can be completed."""

from typing import Any

Tasks = dict[str, Any]


def chain(size: int, action: str | None = None) -> Tasks:
    """Each task leads to the next."""
    return _with_action(
        {f"t{n}": {"on-success": [f"t{n + 1}"]} if n + 1 < size else {} for n in range(size)},
        action,
    )


def diamond(size: int, action: str | None = None) -> Tasks:
    """One task, all others but the last side by side, and one that joins them."""
    middle = [f"t{n}" for n in range(1, size - 1)]
    last = f"t{size - 1}"
    tasks: Tasks = {"t0": {"on-success": middle}}
    tasks |= {name: {"on-success": [last]} for name in middle}
    return _with_action(tasks | {last: {"join": "all"}}, action)


def layered(layers: int, width: int, action: str | None = None) -> Tasks:
    """Layers of which every task leads to every task of the next, which joins all of them."""
    tasks: Tasks = {}
    for layer in range(layers):
        for n in range(width):
            task: dict[str, Any] = {"join": "all"} if layer else {}
            if layer + 1 < layers:
                task["on-success"] = [f"t{layer + 1}-{k}" for k in range(width)]
            tasks[f"t{layer}-{n}"] = task
    return _with_action(tasks, action)


def ladder(size: int) -> Tasks:
    """Layers of two: each completion lowers the counters of two successors, as the floor does."""
    return layered(size // 2, 2)


def definition(name: str, tasks: Tasks) -> dict[str, Any]:
    return {"version": "2.0", name: {"tasks": tasks}}


def _with_action(tasks: Tasks, action: str | None) -> Tasks:
    return tasks if action is None else {name: task | {"action": action} for name, task in tasks.items()}
