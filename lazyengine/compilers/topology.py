"""What the edges of a whole graph come to: who leads to a node, who repeats, who has to know of whom."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lazyengine.core.graph import Edge, Node, On

ALL = -1
"""A join of all links, as long as nobody has counted them."""


def order_of(nodes: Sequence[Node]) -> list[int]:
    """Return node ids so that each stands behind all that lead to it; what is on or behind a loop is left out.

    Cost: nodes + edges.
    """
    waiting = Counter(target for node in nodes for target in _targets(node.edges))
    order = [node.id for node in nodes if not waiting[node.id]]
    for id in order:
        for target in _targets(nodes[id].edges):
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    return order


def find_loop(nodes: Sequence[Node], order: Iterable[int]) -> list[int]:
    """Return the nodes of one loop in order, or [] where there is none; `order` comes from `order_of`."""
    stuck = {node.id for node in nodes}.difference(order)
    return _walk_back(nodes, stuck) if stuck else []


def _walk_back(nodes: Sequence[Node], stuck: set[int]) -> list[int]:
    """Follow edges backward among nodes that each wait for another one of them, until one comes round."""
    before = {target: id for id in sorted(stuck, reverse=True) for target in _targets(nodes[id].edges)}
    seen: list[int] = []
    at = min(stuck)
    places: dict[int, int] = {}
    while at not in places:
        places[at] = len(seen)
        seen.append(at)
        at = before[at]
    return seen[places[at] :][::-1]


def lay_out(nodes: Sequence[Node], order: Sequence[int]) -> list[Node]:
    """Fill in `indegree`, `repeats`, `heeds` and `joins` of nodes without loops.  Cost: nodes + edges.

    A node whose join is "all" comes with `ALL`, as only its indegree tells how many that is.
    """
    sources: dict[int, list[int]] = defaultdict(list)
    doubled: set[tuple[int, int]] = set()
    for node in nodes:
        doubled.update((node.id, target) for target in _doubled(node.edges))
        for target in _targets(node.edges):
            sources[target].append(node.id)
    nodes = [_count(node, len(sources[node.id])) for node in nodes]
    repeats: set[int] = set()
    for id in order:
        leading = sources[id]
        again = len(leading) > 1 or any(source in repeats or (source, id) in doubled for source in leading)
        if nodes[id].join is None and again:
            repeats.add(id)
    heeds: dict[int, tuple[int, ...]] = {}
    for id in reversed(order):
        targets = _targets(nodes[id].edges)
        heeds[id] = tuple(target for target in targets if nodes[target].join is not None or heeds[target])
    return [
        replace(
            node,
            repeats=node.id in repeats,
            heeds=heeds[node.id],
            joins=frozenset(target for target in heeds[node.id] if nodes[target].join is not None),
        )
        for node in nodes
    ]


def _count(node: Node, indegree: int) -> Node:
    join = node.join
    if join == ALL:
        join = indegree or None
    return replace(node, indegree=indegree, join=join)


def _targets(edges: Iterable[Edge]) -> list[int]:
    """The different nodes that edges lead to, in order of first mention."""
    return list(dict.fromkeys(edge.to for edge in edges if isinstance(edge.to, int)))


def _doubled(edges: Iterable[Edge]) -> list[int]:
    """The nodes that more than one edge may lead to at the same end."""
    at_success = Counter(edge.to for edge in edges if isinstance(edge.to, int) and edge.on is not On.ERROR)
    at_error = Counter(edge.to for edge in edges if isinstance(edge.to, int) and edge.on is not On.SUCCESS)
    return [target for target in {*at_success, *at_error} if max(at_success[target], at_error[target]) > 1]
