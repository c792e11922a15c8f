"""What the edges of a whole graph come to: who leads to a node, who repeats, who has to know of whom."""

from collections import Counter
from collections.abc import Iterable, Sequence

from lazyengine.core.graph import Edge, Node, On

ALL = -1
"""A join of all links, as long as nobody has counted them."""

MOST_BEYOND = 16
"""Nodes that one may have to tell in the place of another; a larger crowd is told step by step."""

Links = Sequence[Sequence[int]]
"""By node: the different nodes that its edges lead to, in order of first mention."""


def links_of(nodes: Sequence[Node]) -> Links:
    """Return which nodes each node leads to.  Cost: nodes + edges."""
    return [list(dict.fromkeys(edge.to for edge in node.edges if isinstance(edge.to, int))) for node in nodes]


def order_of(links: Links) -> list[int]:
    """Return node ids so that each stands behind all that lead to it; what is on or behind a loop is left out.

    Cost: nodes + edges.
    """
    waiting = _indegrees(links)
    order = [id for id, count in enumerate(waiting) if not count]
    for id in order:
        for target in links[id]:
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    return order


def find_loop(links: Links, order: Iterable[int]) -> list[int]:
    """Return the nodes of one loop in order, or [] where there is none; `order` comes from `order_of`."""
    stuck = set(range(len(links))).difference(order)
    return _walk_back(links, stuck) if stuck else []


def _walk_back(links: Links, stuck: set[int]) -> list[int]:
    """Follow edges backward among nodes that each wait for another one of them, until one comes round."""
    before = {target: id for id in sorted(stuck, reverse=True) for target in links[id]}
    seen: list[int] = []
    at = min(stuck)
    places: dict[int, int] = {}
    while at not in places:
        places[at] = len(seen)
        seen.append(at)
        at = before[at]
    return seen[places[at] :][::-1]


def lay_out(nodes: Sequence[Node], links: Links, order: Sequence[int]) -> list[Node]:
    """Fill in `indegree`, `repeats`, `heeds`, `joins` and `beyond` of nodes without loops.  Cost: nodes + edges.

    A node whose join is "all" comes with `ALL`, as only its indegree tells how many that is.
    """
    indegrees = _indegrees(links)
    joins = [(indegrees[node.id] or None) if node.join == ALL else node.join for node in nodes]
    repeats = _repeating(nodes, links, order, indegrees, joins)
    heeds: list[tuple[int, ...]] = [()] * len(nodes)
    lost: list[tuple[int, ...]] = [()] * len(nodes)  # by node: whom to tell when it is not chosen
    for id in reversed(order):
        heeds[id] = tuple(target for target in links[id] if joins[target] is not None or heeds[target])
        below = tuple(further for target in heeds[id] for further in lost[target])
        counts = joins[id] is not None or repeats[id]
        lost[id] = (id,) if counts or len(below) > MOST_BEYOND else below
    return [
        Node(
            node.id,
            node.name,
            joins[node.id],
            indegrees[node.id],
            repeats[node.id],
            node.edges,
            heeds[node.id],
            frozenset(target for target in heeds[node.id] if joins[target] is not None),
            {target: lost[target] for target in heeds[node.id] if lost[target] != (target,)},
            node.action,
            node.target,
            node.input,
            node.publish,
        )
        for node in nodes
    ]


def _indegrees(links: Links) -> list[int]:
    count = Counter(target for targets in links for target in targets)
    return [count[id] for id in range(len(links))]


def _repeating(
    nodes: Sequence[Node], links: Links, order: Sequence[int], indegrees: Sequence[int], joins: Sequence[int | None]
) -> list[bool]:
    """A node without a join repeats where two edges may lead to it, or one of something that repeats."""
    repeats = [joins[id] is None and count > 1 for id, count in enumerate(indegrees)]
    for id in order:
        targets = links[id]
        again: Iterable[int] = targets if repeats[id] else ()
        if not repeats[id] and len(nodes[id].edges) > len(targets):
            again = _doubled(nodes[id].edges)
        for target in again:
            repeats[target] = joins[target] is None
    return repeats


def _doubled(edges: Iterable[Edge]) -> list[int]:
    """The nodes that more than one edge may lead to at the same end."""
    at_success = Counter(edge.to for edge in edges if isinstance(edge.to, int) and edge.on is not On.ERROR)
    at_error = Counter(edge.to for edge in edges if isinstance(edge.to, int) and edge.on is not On.SUCCESS)
    return [target for target in {*at_success, *at_error} if max(at_success[target], at_error[target]) > 1]
