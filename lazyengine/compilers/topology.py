"""What the edges of a whole graph come to: who leads to a node, who repeats, who has to know of whom."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lazyengine.core.graph import Edge, Loop, Node, On

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
    waiting = indegrees_of(links)
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


def components_of(links: Links) -> list[list[int]]:
    """Return the nodes in groups that can reach each other, each group before those that lead to it.

    Source: R. Tarjan, "Depth-first search and linear graph algorithms" (1972).  Cost: nodes + edges.
    """
    groups: list[list[int]] = []
    number, low, count = [0] * len(links), [0] * len(links), 0
    open_nodes: list[int] = []
    for start in range(len(links)):
        walk = [] if number[start] else [(start, iter(links[start]))]
        while walk:
            id, targets = walk[-1]
            if not number[id]:
                count += 1
                number[id] = low[id] = count
                open_nodes.append(id)
            for target in targets:
                if not number[target]:
                    walk.append((target, iter(links[target])))
                    break
                low[id] = min(low[id], number[target])
            else:
                walk.pop()
                if low[id] == number[id]:
                    groups.append(_close(open_nodes, id))
                    for member in groups[-1]:
                        number[member] = low[member] = len(links) + 1
                if walk:
                    low[walk[-1][0]] = min(low[walk[-1][0]], low[id])
    return groups


def _close(open_nodes: list[int], first: int) -> list[int]:
    group = [open_nodes.pop()]
    while group[-1] != first:
        group.append(open_nodes.pop())
    return sorted(group)


def lay_out(nodes: Sequence[Node], links: Links) -> list[Node]:
    """Fill in what the edges of all come to: from `join` and `indegree` to `loop_facts`.  Cost: nodes + edges.

    A node whose join is "all" comes with `ALL`, as only the number of its links tells how many that is.
    """
    return _Layout(nodes, links).nodes()


class _Layout:
    """Works out one fact of all nodes after the other.

    What no root reaches never runs, so its links count nowhere: `indegree` is without them, a join of all is with them.
    """

    def __init__(self, nodes: Sequence[Node], links: Links) -> None:
        self.given, self.links = nodes, links
        self.groups = components_of(links)
        self.group = {id: place for place, members in enumerate(self.groups) for id in members}
        self.looping = [len(members) > 1 or members[0] in links[members[0]] for members in self.groups]
        all_links = indegrees_of(links)
        self.joins = [(all_links[node.id] or None) if node.join == ALL else node.join for node in nodes]
        self.reached = self.find_reached(all_links)
        heard = Counter(target for id, targets in enumerate(links) if self.reached[id] for target in targets)
        self.indegrees = [heard[id] if self.reached[id] else count for id, count in enumerate(all_links)]
        self.repeats = self.find_repeating()
        self.loops: dict[int, Loop] = {}
        self.heeds: list[tuple[int, ...]] = [()] * len(nodes)
        self.lost: list[tuple[int, ...]] = [()] * len(nodes)  # by node: whom to tell when it is not chosen
        self.find_heeding()

    def nodes(self) -> list[Node]:
        return [self.node(node) for node in self.given]

    def node(self, node: Node) -> Node:
        id, heeds = node.id, self.heeds[node.id]
        first = self.groups[self.group[id]][0]
        facts = self.loops.get(first)
        known = [target for target in self.links[id] if self.group[target] != self.group[id]] if facts else heeds
        return replace(
            node,
            join=self.joins[id],
            indegree=self.indegrees[id],
            repeats=self.repeats[id],
            heeds=heeds,
            joins=frozenset(target for target in known if self.joins_once(target)),
            beyond={target: self.lost[target] for target in heeds if self.lost[target] != (target,)},
            loop=first if facts else None,
            loop_facts=facts if id == first else None,
        )

    def find_reached(self, indegrees: Sequence[int]) -> list[bool]:
        reached = [not count for count in indegrees]
        waiting = [id for id, is_root in enumerate(reached) if is_root]
        for id in waiting:
            for target in self.links[id]:
                if not reached[target]:
                    reached[target] = True
                    waiting.append(target)
        return reached

    def find_repeating(self) -> list[bool]:
        """What is in a loop repeats; else what does not join, where two edges or one of a repeating node lead to it."""
        repeats = [
            self.looping[self.group[id]] or (self.joins[id] is None and count > 1)
            for id, count in enumerate(self.indegrees)
        ]
        for members in reversed(self.groups):
            for id in filter(self.reached.__getitem__, members):
                targets = self.links[id]
                again: Iterable[int] = targets if repeats[id] else ()
                if not repeats[id] and len(self.given[id].edges) > len(targets):
                    again = _doubled(self.given[id].edges)
                for target in again:
                    repeats[target] = repeats[target] or self.joins[target] is None
        return repeats

    def find_heeding(self) -> None:
        """Find who has to tell whom that it was not chosen, and sum up the loops where somebody has to know."""
        entries = Counter(
            self.group[target]
            for id, targets in enumerate(self.links)
            if self.reached[id]
            for target in targets
            if self.group[target] != self.group[id]
        )
        for place, members in enumerate(self.groups):
            if self.looping[place]:
                self.sum_up(members, entries[place])
            else:
                self.heed(members[0])

    def heed(self, id: int) -> None:
        self.heeds[id] = heeds = tuple(filter(self.has_to_know, self.links[id]))
        below = tuple(further for target in heeds for further in self.lost[target])
        counts = self.joins[id] is not None or self.repeats[id]
        self.lost[id] = (id,) if counts or len(below) > MOST_BEYOND else below

    def has_to_know(self, id: int) -> bool:
        """Whether a node joins or leads to a join; `lost` is known of all that it leads to."""
        return self.joins[id] is not None or bool(self.heeds[id]) or self.groups[self.group[id]][0] in self.loops

    def joins_once(self, id: int) -> bool:
        return self.joins[id] is not None and not self.looping[self.group[id]]

    def sum_up(self, members: Sequence[int], entries: int) -> None:
        place = self.group[members[0]]
        joins = tuple(id for id in members if self.joins[id] is not None)
        exits = tuple(
            (id, target)
            for id in members
            for target in self.links[id]
            if self.group[target] != place and self.has_to_know(target)
        )
        if joins or exits:
            self.loops[members[0]] = Loop(entries, joins, exits)
            for id in members:
                self.lost[id] = (id,)


def indegrees_of(links: Links) -> list[int]:
    """Return how many different nodes lead to each.  Cost: nodes + edges."""
    count = Counter(target for targets in links for target in targets)
    return [count[id] for id in range(len(links))]


def _doubled(edges: Iterable[Edge]) -> set[int]:
    """The nodes that more than one edge may lead to at the same end; a skipped task has on-skip or on-success alone."""
    found: set[int] = set()
    for ends in ({On.SUCCESS, On.COMPLETE}, {On.ERROR, On.COMPLETE}, {On.SKIP}):
        count = Counter(edge.to for edge in edges if isinstance(edge.to, int) and edge.on in ends)
        found.update(target for target, times in count.items() if times > 1)
    return found
