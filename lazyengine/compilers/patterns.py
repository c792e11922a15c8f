"""TaskFlow's compiler of flows, at a cost that grows with the flow and not with its square.

TaskFlow's own (`engines/action_engine/compiler.py`, FlowCompiler) makes a graph of each member of a flow, and copies
for each what it has put together so far.  Here all go into one graph, by the same rules:

1. A flow has a node where it is entered (itself) and one where it is left; its controller stands behind the first.
2. A link between members goes from where the one is left to where the other is entered.
3. What no member leads to follows the entry, or the controller; what leads to no member is followed by the exit.
4. A node knows the innermost controller around it; a flow, its controller and its exit know that of the flow above.
"""

from typing import Any

from taskflow.atom import Atom
from taskflow.engines.action_engine import compiler
from taskflow.flow import LINK_INVARIANT, LINK_RETRY, Flow
from taskflow.task import Task
from taskflow.types.graph import DiGraph
from taskflow.types.tree import Node


class Compiler(compiler.PatternCompiler):  # type: ignore[misc]
    """Its `compile` returns what TaskFlow's does.

    :raises TypeError: what it holds is no flow and no task
    :raises ValueError: it holds the same thing twice
    """

    def _compile(self, item: Flow | Atom, parent: None = None) -> tuple[DiGraph, Node]:
        self.graph = DiGraph(name=getattr(item, "name", None))
        place, _, _ = self.add(item, None, {})
        return self.graph, place

    def add(self, item: Any, parent: Node | None, controlled: dict[str, Any]) -> tuple[Node, Any, Any]:
        """Add a member of a flow, with all that is in it, and return its place, its entry and its exit.

        :param controlled: says who controls it: {"retry": controller}, or nothing
        """
        if not isinstance(item, Flow | Task):
            raise TypeError(f"Unknown object {item!r} requested to compile; a flow is made of flows and tasks")
        self._pre_item_compile(item)
        kind = {"kind": compiler.FLOW, "noop": True} if isinstance(item, Flow) else {"kind": compiler.TASK}
        place = Node(item, **kind)
        if parent is not None:
            parent.add(place)
        self.graph.add_node(item, **kind, **controlled)
        leaves = self.add_members(item, place, controlled) if isinstance(item, Flow) else item
        self._level -= 1
        return place, item, leaves

    def add_members(self, flow: Flow, place: Node, controlled: dict[str, Any]) -> compiler.Terminator:
        """Add what is in a flow, and return where it is left."""
        retry = flow.retry
        if retry is not None:
            place.add(Node(retry, kind=compiler.RETRY))
        within = controlled if retry is None else {compiler.RETRY: retry}
        ends = {member: self.add(member, place, within)[1:] for member in flow}
        for source, target, link in flow.iter_links():
            self.graph.add_edge(ends[source][1], ends[target][0], **link)
        begins, mark = flow, {}
        if retry is not None:
            if retry in self.graph:
                raise ValueError(f"'{retry.name}' controls two flows")
            self.graph.add_node(retry, kind=compiler.RETRY, **controlled)
            self.graph.add_edge(flow, retry, **{LINK_INVARIANT: True})
            begins, mark = retry, {LINK_RETRY: True}
        for entry, _ in ends.values():
            if not self.graph.in_degree(entry):
                self.graph.add_edge(begins, entry, **{LINK_INVARIANT: True}, **mark)
        exit = compiler.Terminator(flow)
        self.graph.add_node(exit, kind=compiler.FLOW_END, noop=True, **controlled)
        for leaf in [leaves for _, leaves in ends.values() if not self.graph.out_degree(leaves)] or [begins]:
            self.graph.add_edge(leaf, exit, **{LINK_INVARIANT: True})
        return exit
