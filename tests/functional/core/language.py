"""Random flows with items, retries, delays, guards and loops; a shell that plays them, strict about its slices."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from zlib import crc32

from driver import FAILURE, NOW, SUCCESS, Marks

from lazyengine.compilers.topology import ALL, lay_out, links_of
from lazyengine.core import resolve
from lazyengine.core.decision import Decision, Errand, Slice, Token
from lazyengine.core.graph import Edge, Guard, Key, Node, On, Policy, Retry
from lazyengine.core.host import Host
from lazyengine.core.resolve import UNBOUNDED
from lazyengine.core.state import (
    FINAL_EXECUTION_STATES,
    WHOLE,
    Event,
    ExecutionEvent,
    ExecutionState,
    Header,
    Mark,
    Outcome,
    TaskState,
)

LAPS = 2
"""How often the runs that follow from one another go back."""

DAY = timedelta(days=1)
SLEEPS = Policy(wait_before_seconds=1)
POLICIES = (
    Policy(), Policy(), Policy(), SLEEPS, Policy(wait_after_seconds=1),
    Policy(retry=Retry(1)), Policy(retry=Retry(2)), Policy(retry=Retry(2, 1)),
    Policy(wait_after_seconds=1, retry=Retry(2, 1)),
)  # fmt: skip

# -- what is drawn ----------------------------------------------------------------------------------------------------


class Tape:
    """Choices read off drawn bytes, the first option for ever when they are used up."""

    def __init__(self, tape: bytes) -> None:
        self.bytes = iter(tape)

    def number(self, below: int) -> int:
        return next(self.bytes, 0) % below

    def pick(self, options: Sequence[Any]) -> Any:
        return options[self.number(len(options))]


@dataclass(frozen=True)
class Identity:
    """What a run is, whatever the order in which runs begin: that of a join its iteration, else where it comes from."""

    name: str
    laps: int
    path: int = 0

    def chance(self, *what: Any) -> int:
        return crc32(repr((self.name, self.laps, self.path, what)).encode())


def draw(tape: Tape, joins: Sequence[int | None], pure: bool, back: int = 4) -> tuple[Node, ...]:
    """Draw up to ten nodes, each of which some root reaches over edges that go forward.

    :param joins: what a node may join; more links than it has are all of them
    :param pure: some nodes end by themselves
    :param back: one edge in so many goes back
    """
    size = 2 + tape.number(9)
    edges = [list(draw_edges(tape, id, size, back)) for id in range(size)]
    forward = {edge.to for id, out in enumerate(edges) for edge in out if edge.to > id}
    nodes = []
    for id, out in enumerate(edges):
        kept = tuple(edge for edge in out if edge.to in forward)
        nodes.append(Node(id, f"t{id}", edges=kept, **draw_task(tape, pure)))
    links = links_of(nodes)
    indegrees = Counter(to for out in links for to in out)
    for id, node in enumerate(nodes):
        join = tape.pick(joins) if indegrees[id] else None
        nodes[id] = replace(node, join=join if join is None or join == ALL else min(join, indegrees[id]))
    return tuple(lay_out(nodes, links))


def draw_edges(tape: Tape, id: int, size: int, back: int) -> Iterable[Edge]:
    for on in (On.SUCCESS, On.ERROR, On.COMPLETE):
        for place in range(tape.pick([1, 0, 2, 1, 0])):
            goes_back = id > 0 and tape.number(back) == back - 1
            if goes_back:
                to = 1 + tape.number(id)
            elif id + 1 < size:
                to = min(id + 1 + tape.number(4), size - 1)
            else:
                continue
            yield Edge(on, to, f"{on} {place}" if goes_back or tape.number(3) == 2 else None)


def draw_task(tape: Tape, pure: bool) -> dict[str, Any]:
    action = tape.pick([None, None, None, "std.noop", "std.fail"]) if pure else None
    policy, kind = tape.pick(POLICIES), tape.number(4)
    if kind < 3:
        return {"action": action, "policy": policy}
    items, width = {"i": list(range(tape.number(4) + (not pure)))}, tape.number(4)
    return {"action": action, "policy": replace(policy, concurrency=width), "items": items}


# -- what is decided outside ------------------------------------------------------------------------------------------


def attempt_ends(node: Node, identity: Identity, attempt: int, item: int | None = None) -> TaskState:
    """Return how an attempt of a run, or of an item, ends."""
    if node.action:
        return TaskState.FAILURE if node.action == "std.fail" else TaskState.SUCCESS
    return TaskState.FAILURE if identity.chance("end", attempt, item) % 8 < 3 else TaskState.SUCCESS


def fires(node: Node, identity: Identity, edge: Edge) -> bool:
    """Answer a guard from a table; an edge that goes back fires only so often."""
    if edge.guard is None:
        return True
    if edge.to <= node.id and identity.laps >= LAPS:
        return False
    return identity.chance("guard", edge.guard) % 4 > 0


def successor(source: Identity, from_: int, node: Node, ordinal: int) -> Identity:
    """Name the run of a node without join that the run `source` chose."""
    return Identity(node.name, source.laps + (node.id <= from_), source.chance(node.name, ordinal))


def own(node: Node, iteration: int) -> Identity:
    """Name the run of a root or a join."""
    return Identity(node.name, iteration - 1)


class Table(Host):
    """Names runs as they begin, and answers guards."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.names: dict[Key, Identity] = {}
        self.chosen: Counter[tuple[int, Key]] = Counter()

    def enter(self, node: Node, key: Key, source: Key | None) -> None:
        assert key not in self.names, f"{key} began twice"
        if source is None:
            self.names[key] = own(node, key[1])
        else:
            self.chosen[node.id, source] += 1
            ordinal = self.chosen[node.id, source]
            self.names[key] = successor(self.name(source), source[0], node, ordinal)

    def holds(self, node: Node, key: Key, guard: Guard) -> bool:
        return fires(node, self.name(key), next(edge for edge in node.edges if edge.guard == guard))

    def name(self, key: Key) -> Identity:
        """Return the name of a run; a join that failed has not begun."""
        return self.names.get(key) or own(self.nodes[key[0]], key[1])


class Known(Marks):
    """The marks of a slice; an item that it does not hold begins, or begins anew, from nothing."""

    def get(self, key: Key, default: Any = None) -> Any:
        if len(key) == 3 and key not in self:
            return default
        return super().get(key, default)


# -- the shell --------------------------------------------------------------------------------------------------------


class Shell:
    """Plays one execution; a slice holds what the docstrings of `resolve` ask for, and reading beyond it raises.

    :param budget: steps per transaction
    """

    def __init__(self, nodes: tuple[Node, ...], budget: int = UNBOUNDED) -> None:
        self.nodes, self.budget, self.host = nodes, budget, Table(nodes)
        self.now, self.header, self.marks = NOW, Header(), dict[Key, Mark]()
        self.outcomes: dict[Key, Outcome] = {}
        self.begun: Counter[tuple[int, int, int | None, int]] = Counter()
        self.slept: Counter[Key] = Counter()
        self.events: list[Event] = []
        roots = [node.id for node in nodes if not node.indegree]
        self.follow(resolve.begin(self.header, roots, NOW), budget)
        self.close()

    # -- verbs --------------------------------------------------------------------------------------------------------

    def complete(self, keys: Iterable[Key]) -> None:
        """End runs and items, in one transaction."""
        budget = self.budget
        for key in keys:
            if key in self.running():  # what came before may have ended its run
                node = self.nodes[key[0]]
                slice = self.slice({node.id}, {key, key[:2]})
                budget = self.follow(resolve.complete(slice, key, self.ending(key), self.now, self.host), budget)
        self.close()

    def ending(self, key: Key) -> Outcome:
        node, identity, attempt = self.nodes[key[0]], self.host.names[key[:2]], self.marks[key].attempt
        ends = attempt_ends(node, identity, attempt, *key[2:])
        return FAILURE if ends is TaskState.FAILURE else SUCCESS

    def wake(self, key: Key) -> None:
        self.now += DAY
        slice = self.slice({key[0]}, {key})
        if slice.marks[key].ending is not None:
            slice.marks[key] = replace(slice.marks[key], outcome=self.outcomes[key])
        self.follow(resolve.wake(slice, key, self.now, self.host), self.budget)
        self.close()

    def lapse(self, key: Key) -> None:
        """Let the lease of a run or an item run out."""
        slice = self.slice({key[0]}, {key, key[:2]})
        self.follow(resolve.lapse(slice, key, self.now, self.host), self.budget)
        self.close()

    def suspend(self) -> None:
        self.follow(resolve.steer(self.header, ExecutionEvent.SUSPEND, None, self.now), self.budget)
        self.close()

    def resume(self) -> None:
        self.follow(resolve.steer(self.header, ExecutionEvent.RESUME, None, self.now), self.budget)
        self.close()

    # -- transactions -------------------------------------------------------------------------------------------------

    def follow(self, decision: Decision, budget: int) -> int:
        """Let a decision's tokens travel; what is left of the budget."""
        self.take(decision)
        budget -= decision.steps
        while wave := decision.wave:
            decision = resolve.arrive(self.slice_of(wave), wave, self.now, self.host, budget)
            assert decision.steps <= max(budget, 0)
            self.take(decision)
            budget -= decision.steps
        return budget

    def close(self) -> None:
        """Settle, and carry on with what the budget left."""
        self.take(resolve.settle(self.header, self.now))
        self.check_books()
        while self.header.backlog and self.header.state is ExecutionState.RUNNING:
            held = sorted((mark for mark in self.marks.values() if mark.intent), key=lambda mark: mark.place or 0)
            keys = [mark.key for mark in held[: self.budget]]
            slice = self.slice({key[0] for key in keys}, {*keys, *(key[:2] for key in keys)})
            self.follow(resolve.unfold(slice, keys, self.now, self.host, self.budget), self.budget)
            self.take(resolve.settle(self.header, self.now))
            self.check_books()

    def take(self, decision: Decision) -> None:
        over = self.header.state in FINAL_EXECUTION_STATES
        assert not over or decision.header.state is self.header.state, "final is final"
        self.header = decision.header
        for key, mark in decision.marks.items():
            if mark.outcome:
                self.outcomes[key] = mark.outcome
            self.marks[key] = replace(mark, outcome=None)
        for event in decision.events:
            self.events.append(event)
            if event.node is not None and event.state == TaskState.RUNNING:
                self.begun[event.node, event.iteration, event.item, event.attempt] += 1
            if event.node is not None and event.state == TaskState.DELAYED:
                self.slept[event.node, event.iteration] += 1

    # -- slices -------------------------------------------------------------------------------------------------------

    def slice(self, ids: set[int], keys: set[Key]) -> Slice:
        """Slice the nodes, the first nodes of their loops, and marks."""
        ids = ids | {loop for id in ids if (loop := self.nodes[id].loop) is not None}
        marks = Known(self.marks, keys | {(id, 1) for id in ids})
        return Slice(self.header, {id: self.nodes[id] for id in ids}, marks)

    def slice_of(self, wave: tuple[Token, ...]) -> Slice:
        """Slice what a wave reaches."""
        ids = {token.to for token in wave}
        looked_at = [self.nodes[token.to].loop_facts for token in wave if token.errand is not Errand.VERDICT]
        for facts in filter(None, looked_at):
            ids |= {*facts.joins, *(source for source, _ in facts.exits)}
        joins = {id for id in ids if self.nodes[id].loop is not None and self.nodes[id].join is not None}
        keys = {key for key, mark in self.marks.items() if key[0] in joins and mark.state is TaskState.PENDING}
        return self.slice(ids, keys)

    # -- what is looked at --------------------------------------------------------------------------------------------

    def running(self) -> list[Key]:
        """List runs without items, and items of runs, that somebody works on."""
        busy = [mark for mark in self.marks.values() if mark.state is TaskState.RUNNING and mark.intent is None]
        return sorted(
            mark.key
            for mark in busy
            if (mark.items is None if mark.item == WHOLE else self.marks[mark.key[:2]].state is TaskState.RUNNING)
        )

    def sleeping(self) -> list[Key]:
        return sorted(key for key, mark in self.marks.items() if mark.due_at is not None)

    def whole(self) -> dict[Key, Mark]:
        """Return the marks of runs that have begun or failed to."""
        runs = {key: mark for key, mark in self.marks.items() if mark.item == WHOLE}
        return {key: mark for key, mark in runs.items() if mark.state is not TaskState.PENDING}

    def check_books(self) -> None:
        """Compare the counters of the header, of items and of loops with what they count."""
        runs = self.whole()
        asleep = sum(mark.due_at is not None for mark in runs.values())
        live = sum(mark.state is TaskState.RUNNING and mark.intent is None for mark in runs.values()) + asleep
        idle = [run.items for run in runs.values() if run.items and run.state is TaskState.RUNNING]
        asleep += sum(0 < items.held == items.begun - items.done for items in idle)
        backlog = sum(mark.intent is not None for mark in self.marks.values())
        assert (self.header.live, self.header.asleep, self.header.backlog) == (live, asleep, backlog)
        assert self.header.events == len(self.events)
        if self.header.state is ExecutionState.RUNNING:
            assert live or backlog, "stuck: nothing runs, nothing is left, and it is not final"
        for key, run in runs.items():
            if run.items is not None and run.state is TaskState.RUNNING:
                self.check_items(key, run)

    def check_items(self, key: Key, run: Mark) -> None:
        """As many items are under way as may be."""
        under_way = sum(one[:2] == key for one in self.running() if len(one) == 3)
        items = run.items
        left = items.total - items.done
        under_way += items.held
        assert under_way == (min(items.width, left) if items.width else left) > 0
