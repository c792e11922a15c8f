"""What an atom of a flow can see of what others provide.

The same as TaskFlow's `engines/action_engine/scopes.py` (ScopeWalker) finds by walking all that runs before an atom;
here only those are looked at that are asked about, so that it costs the same however large the flow.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from taskflow.patterns import linear_flow


class Scopes:
    """
    :param items: what the nodes of a flow stand for, by id: flows (where they are entered) and atoms
    :param above: by id of one of these, the flow that it is in
    """

    def __init__(self, items: Sequence[Any], above: Mapping[int, int]) -> None:
        self.items, self.above = items, above
        self.ids = {item: id for id, item in enumerate(items) if id in above or id == 0}
        self._links: dict[int, dict[int, list[int]]] = {}

    def visible(self, atom: int, candidates: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield those of the candidates that run before an atom, as (scope, candidate), the nearest first.

        :param candidates: in the order of their ids; only as many are looked at as are asked for
        """
        for at in reversed(range(bisect_left(candidates, atom))):
            place = self._meet(candidates[at], atom)
            if self._precedes(*place):
                yield place[0], candidates[at]

    def _path(self, id: int) -> list[int]:
        path = [id]
        while path[-1] in self.above:
            path.append(self.above[path[-1]])
        return path

    def _meet(self, one: int, other: int) -> tuple[int, int, int]:
        """Return the innermost flow that both are in, and the members of it that each of them is, or is in."""
        members = {flow: member for member, flow in pairwise(self._path(one))}
        return next((flow, members[flow], member) for member, flow in pairwise(self._path(other)) if flow in members)

    def _precedes(self, flow: int, one: int, other: int) -> bool:
        """Tell whether one member of a flow always runs before another."""
        item = self.items[flow]
        if self.items[one] is item.retry or self.items[other] is item.retry:
            return self.items[other] is not item.retry
        if isinstance(item, linear_flow.Flow):
            return one < other
        waiting, seen = [other], {other}
        while waiting:
            before = self._before(flow).get(waiting.pop(), [])
            if one in before:
                return True
            new = {member for member in before if member > one} - seen
            seen |= new
            waiting += new
        return False

    def _before(self, flow: int) -> Mapping[int, list[int]]:
        if flow not in self._links:
            links: dict[int, list[int]] = {}
            for source, target, _ in self.items[flow].iter_links():
                links.setdefault(self.ids[target], []).append(self.ids[source])
            self._links[flow] = links
        return self._links[flow]
