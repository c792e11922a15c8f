"""Flows without TaskFlow: a nested description becomes nodes, and a driver plays the shell around them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from driver import FAILURE, Driver

from lazyengine.core.graph import Decider, Depth, Edge, Key, Kind, Node, On
from lazyengine.core.host import Host, Refused
from lazyengine.core.state import Mark, Outcome, Question, Strategy, TaskState


@dataclass(frozen=True)
class Flow:
    """What runs one after the other, or side by side; its gates are called `name` and `name$`."""

    name: str
    children: tuple["Flow | str", ...]
    side_by_side: bool = False
    retry: str = ""


def line(name: str, *children: "Flow | str", retry: str = "") -> Flow:
    return Flow(name, children, False, retry)


def fan(name: str, *children: "Flow | str", retry: str = "") -> Flow:
    return Flow(name, children, True, retry)


class _Layout:
    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def add(self, name: str, before: Iterable[int], controllers: tuple[int, ...], kind: Kind = Kind.TASK) -> int:
        id, before = len(self.nodes), tuple(before)
        for source in before:
            node = self.nodes[source]
            self.nodes[source] = replace(node, edges=(*node.edges, Edge(On.SUCCESS, id)))
        self.nodes.append(
            Node(
                id, name, join=len(before) or None, indegree=len(before), ends=False, kind=kind,
                controllers=controllers, action="std.noop" if kind is Kind.GATE else None,
            )
        )  # fmt: skip
        return id

    def lay_out(self, item: Flow | str, before: Iterable[int], controllers: tuple[int, ...]) -> int:
        """Add what stands behind `before`; return where it ends."""
        if isinstance(item, str):
            return self.add(item, before, controllers)
        first = self.add(item.name, before, controllers, Kind.GATE)
        within = controllers
        if item.retry:
            first = self.add(item.retry, (first,), controllers, Kind.RETRY)
            within = (first, *controllers)
        ends, last = [], first
        for child in item.children:
            last = self.lay_out(child, (first if item.side_by_side else last,), within)
            ends.append(last)
        exit = self.add(item.name + "$", ends if item.side_by_side else (last,), within, Kind.GATE)
        if item.retry:
            self.nodes[first] = replace(self.nodes[first], region=exit)
        return exit


def nodes_of(flow: Flow, doubts: Mapping[str, tuple[Depth, ...]], failing: Iterable[str]) -> tuple[Node, ...]:
    """Lay a flow out; `doubts` are the depths of the deciders of nodes, those `failing` fail as they start."""
    layout = _Layout()
    layout.lay_out(flow, (), (0,))
    layout.nodes[0] = replace(layout.nodes[0], region=len(layout.nodes) - 1)
    return tuple(
        replace(
            node,
            deciders=tuple(Decider((0, node.id), depth) for depth in doubts.get(node.name, ())),
            action="std.fail" if node.name in failing else node.action,
        )
        for node in layout.nodes
    )


class Script(Host):
    """Says of which nodes deciders say no, and what controllers answer, one after the other; at last REVERT.

    :param refused: the nodes of which something cannot be asked or begun: "decide", "strategy", "ask", "run", "revert"
    :param elsewhere: the nodes whose deciders, or what they say as controllers, are known to somebody else only
    """

    def __init__(
        self, against: Iterable[Depth], answers: Mapping[str, str], refused: Mapping[str, str], elsewhere: Iterable[str]
    ) -> None:
        self.against, self.refused, self.elsewhere = set(against), refused, set(elsewhere)
        self.answers = {name: iter(map(Strategy, texts.split())) for name, texts in answers.items()}
        self.asked: list[tuple[str, str]] = []
        self.nodes: tuple[Node, ...] = ()

    def check(self, node: Node, where: str) -> None:
        if self.refused.get(node.name) == where:
            raise Refused(f"no {where}")

    def allows(self, node: Node, decider: Decider, answer: Outcome | None = None) -> bool | None:
        self.check(node, "decide")
        if answer is not None:
            return decider.depth not in said(answer)
        allowed = bool(super().allows(node, decider)) and decider.depth not in self.against
        return None if node.name in self.elsewhere else allowed

    def strategy(self, controller: int, source: int, mark: Mark, answer: Outcome | None = None) -> Strategy | None:
        node = self.nodes[controller]
        self.check(node, "strategy")
        if answer is not None:
            return Strategy(said(answer))
        if node.name in self.elsewhere:
            return None
        self.asked.append((node.name, self.nodes[source].name))
        return next(self.answers.get(node.name, iter(())), super().strategy(controller, source, mark))

    def ask(self, node: Node, key: Key, question: Question) -> None:
        self.check(node, "ask")
        super().ask(node, key, question)

    def run(self, node: Node, key: Key, given: object = None) -> Outcome | None:
        self.check(node, "run")
        return super().run(node, key)

    def revert(self, node: Node, key: Key) -> Outcome | None:
        self.check(node, "revert")
        return super().revert(node, key)


def said(answer: Outcome) -> Any:
    if answer.state is not TaskState.SUCCESS:
        raise Refused("no answer")
    return answer.result


class FlowDriver(Driver):
    """One execution of a flow."""

    def __init__(
        self,
        flow: Flow,
        against: Iterable[Depth] = tuple(Depth),
        doubts: Mapping[str, tuple[Depth, ...]] | None = None,
        refused: Mapping[str, str] | None = None,
        budget: int = 1 << 62,
        failing: Iterable[str] = (),
        elsewhere: Iterable[str] = (),
        **answers: str,
    ) -> None:
        super().__init__({}, nodes=nodes_of(flow, doubts or {}, failing), budget=budget)
        self.host: Script = Script(against, answers, refused or {}, elsewhere)
        self.host.nodes = self.nodes

    def run(self, *names: str) -> "FlowDriver":
        """Let what is under way end well, one after the other; "!" before a name lets it fail."""
        for name in names:
            self.complete(name.lstrip("!"), *([FAILURE] if name.startswith("!") else []))
        return self

    def answer(self, name: str, result: Any) -> "FlowDriver":
        """Answer what is asked about a node: the depths of deciders that say no, or the strategy of a controller."""
        self.complete(name, Outcome(TaskState.SUCCESS, result))
        return self

    def under_way(self) -> str:
        """List what is handed out, in the order of ids: "-" is a revert, "?" a question about it."""
        marks = sorted(self.marks.values(), key=lambda mark: mark.node)
        signs = {TaskState.RUNNING: "", TaskState.REVERTING: "-", TaskState.DECIDING: "?", TaskState.ASKING: "?"}
        return " ".join(signs[one.state] + self.nodes[one.node].name for one in marks if one.state in signs)

    def state_of(self, *names: str) -> str:
        return " ".join(self.task(name).state for name in names)
