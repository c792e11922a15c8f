"""Reverse workflows: each task says what it requires, and only what the target needs runs.

Source: Mistral's `lang/v2/workflows.py`, ReverseWorkflowSpec, and `workflow/reverse_workflow.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lazyengine.compilers import topology
from lazyengine.compilers.faults import Faults, Path, kind, shown
from lazyengine.core.graph import Edge, Node, On


def read_requires(faults: Faults, path: Path, given: Any, ids: Mapping[str, int]) -> list[int]:
    """Read the name of a task, or a list of them."""
    if given is None:
        return []
    entries: list[tuple[Path, Any]] = [(path, given)]
    if isinstance(given, list):
        entries = [((*path, index), entry) for index, entry in enumerate(given)]
    elif not isinstance(given, str):
        faults.add(path, f"requires is a task, or a list of tasks, not {kind(given)}")
        return []
    found: dict[int, None] = {}
    for here, name in entries:
        if not isinstance(name, str) or name not in ids:
            faults.add(here, f"there is no task {shown(name)}")
        elif ids[name] in found:
            faults.add(here, f"{shown(name)} stands in this list twice")
        else:
            found[ids[name]] = None
    return list(found)


def check_order(faults: Faults, path: Path, nodes: Sequence[Node], requires: Sequence[Sequence[int]]) -> None:
    """Add a fault where tasks require each other: none of them could ever run."""
    loop = topology.find_loop(requires, topology.order_of(requires))
    if loop:
        names = " → ".join(nodes[id].name for id in [*loop[:20], loop[0]])
        faults.add(path, f"tasks require each other: {names:.1000}")


def lay_out(nodes: Sequence[Node], requires: Sequence[Sequence[int]], target: int | None) -> list[Node]:
    """Keep what the target needs, in order and with new ids, each leading to what requires it.  Cost: nodes + edges.

    Nobody has to know of what will not run: a task whose requirements fail never happens.

    :param requires: by node, the nodes that it requires
    :param target: None keeps all
    """
    kept = range(len(nodes)) if target is None else _needed(requires, target)
    ids = {old: new for new, old in enumerate(kept)}
    edges: list[list[Edge]] = [[] for _ in kept]
    for old, new in ids.items():
        for required in requires[old]:
            edges[ids[required]].append(Edge(On.SUCCESS, new))
    return [
        replace(
            nodes[old],
            id=new,
            join=len(requires[old]) or None,
            indegree=len(requires[old]),
            edges=tuple(edges[new]),
            ends=old == target,
        )
        for old, new in ids.items()
    ]


def _needed(requires: Sequence[Sequence[int]], target: int) -> list[int]:
    found = {target}
    waiting = [target]
    for id in waiting:
        new = [one for one in requires[id] if one not in found]
        found.update(new)
        waiting += new
    return sorted(found)
