"""Plays the shell around the core: keeps header and marks, hands out slices, loops waves, settles.

It is strict where a shell would be lenient: a slice holds what the docstrings of `resolve` ask for and nothing more, so
reading or writing beyond it raises; the books (`live`, `backlog`, event numbers, generations) are checked after every
transaction.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from lazyengine.core import resolve
from lazyengine.core.decision import Decision, Errand, Slice, Token
from lazyengine.core.graph import Command, Edge, Guard, Key, Node, On
from lazyengine.core.host import Host, Refused
from lazyengine.core.resolve import UNBOUNDED
from lazyengine.core.state import ATTEMPTED_TASK_STATES as ATTEMPTED
from lazyengine.core.state import (
    FINAL_EXECUTION_STATES,
    TASK_EVENT_OF_OUTCOME,
    Event,
    ExecutionEvent,
    ExecutionState,
    Failure,
    Header,
    Intent,
    Mark,
    Outcome,
    Strategy,
    TaskState,
)

Description = Mapping[str, Mapping[str, Any]]
"""{"a": {"on-success": ["b", "fail"]}, "b": {"join": "all"}}; an entry may be a dict with to, guard and message."""

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SUCCESS = Outcome(TaskState.SUCCESS)
FAILURE = Outcome(TaskState.FAILURE, None, Failure("test", "it broke"))
CANCELLED = Outcome(TaskState.CANCELLED)
OUTCOMES = {outcome.state: outcome for outcome in (SUCCESS, FAILURE, CANCELLED)}


# -- a description becomes nodes --------------------------------------------------------------------------------------


def edges_of(task: Mapping[str, Any], ids: Mapping[str, int]) -> tuple[Edge, ...]:
    """List the edges of a task as Mistral orders its commands: the specific clause before on-complete."""
    entries = [(on, entry if isinstance(entry, Mapping) else {"to": entry}) for on in On for entry in task.get(on, ())]
    return tuple(
        Edge(on, Command(entry["to"]) if entry["to"] in set(Command) else ids[entry["to"]], entry.get("guard"), text)
        for on, entry in entries
        for text in [entry.get("message")]
    )


def together(ons: list[On]) -> bool:
    """Whether two edges on one link, answering to these ends, can fire for the same end."""
    return len(ons) > len(set(ons)) or (On.COMPLETE in ons and len(ons) > 1)


def compile_nodes(description: Description) -> tuple[Node, ...]:
    """Build the nodes of an acyclic description by the definitions in `graph.Node`, literally."""
    ids = {name: place for place, name in enumerate(description)}
    edges = [edges_of(task, ids) for task in description.values()]
    tasks = list(description.values())
    links: dict[int, dict[int, list[On]]] = {source: {} for source in ids.values()}
    for source, out in enumerate(edges):
        for edge in out:
            if isinstance(edge.to, int):
                links[source].setdefault(edge.to, []).append(edge.on)
    sources = {node: [source for source in ids.values() if node in links[source]] for node in ids.values()}

    def threshold(node: int) -> int | None:
        join, indegree = tasks[node].get("join"), len(sources[node])
        return {"all": indegree, "one": 1}.get(join, join) if indegree else None

    @cache
    def repeats(node: int) -> bool:
        return threshold(node) is None and (
            len(sources[node]) > 1 or any(repeats(source) or together(links[source][node]) for source in sources[node])
        )

    @cache
    def heeds(node: int) -> tuple[int, ...]:
        return tuple(to for to in links[node] if threshold(to) is not None or heeds(to))

    for node in reversed(ids.values()):
        heeds(node)  # the last first: a long chain is no deep recursion
    return tuple(
        Node(
            id=node,
            name=name,
            join=threshold(node),
            indegree=len(sources[node]),
            repeats=repeats(node),
            edges=edges[node],
            heeds=heeds(node),
            joins=frozenset(to for to in links[node] if threshold(to) is not None),
            action=tasks[node].get("action"),
            input=tasks[node].get("input", {}),
        )
        for name, node in ids.items()
    )


# -- slices that hold no more than they may ---------------------------------------------------------------------------


class Marks(dict[Key, Mark]):
    """The marks of a slice; asking for one that it was not given raises, unless it is a run that does not exist yet."""

    def __init__(self, store: Mapping[Key, Mark], keys: Iterable[Key]) -> None:
        self.keys_given = set(keys)
        self.store = store
        super().__init__((key, store[key]) for key in self.keys_given if key in store)

    def get(self, key: Key, default: Any = None) -> Any:
        if key in self:
            return self[key]
        if key in self.keys_given or (key not in self.store and (key[0], 1) in self.keys_given):
            return default
        raise KeyError(f"mark {key} is not in the slice")


@dataclass(slots=True)
class Reach:
    """How many nodes each call of one transaction was given, the first call first."""

    calls: list[int] = field(default_factory=list)


# -- the shell --------------------------------------------------------------------------------------------------------


class Guards(Host):
    """Knows the answers to guards; refuses those of which it knows none, and what the tasks named `refused` do.

    :param refused: "begin" or "end", by the name of a task
    """

    def __init__(self, answers: Mapping[str, bool], refused: Mapping[str, str]) -> None:
        self.answers, self.refused = answers, refused

    def run(self, node: Node, key: Key, given: Mapping[str, Any] | None = None) -> Outcome | None:
        self.check(node, "begin")
        return super().run(node, key, given)

    def received(self, node: Node, key: Key, outcome: Outcome) -> Outcome:
        self.check(node, "received")
        return super().received(node, key, outcome)

    def end(self, node: Node, mark: Mark) -> None:
        self.check(node, "skip" if mark.state is TaskState.SKIPPED else "end")
        super().end(node, mark)

    def holds(self, node: Node, key: Key, guard: Guard) -> bool:
        return self.answers[guard] if guard in self.answers else super().holds(node, key, guard)

    def check(self, node: Node, where: str) -> None:
        if self.refused.get(node.name) == where:
            raise Refused(f"no {where}")


class Driver:
    """One execution of a description.

    :param budget: steps per transaction; what is left goes to the backlog and is carried on in further transactions
    :param guards: the answers to guards
    :param refused: what cannot be evaluated
    """

    def __init__(
        self,
        description: Description,
        budget: int = UNBOUNDED,
        guards: Mapping[str, bool] | None = None,
        nodes: tuple[Node, ...] | None = None,
        refused: Mapping[str, str] | None = None,
    ) -> None:
        self.nodes = nodes or compile_nodes(description)
        self.ids = {node.name: node.id for node in self.nodes}
        self.budget = budget
        self.host = Guards(guards or {}, refused or {})
        self.header = Header()
        self.marks: dict[Key, Mark] = {}
        self.outcomes: dict[Key, Outcome] = {}
        self.scheduled: tuple[Key, ...] = ()
        self.attempts: set[tuple[int, ...]] = set()
        self.events: tuple[Event, ...] = ()
        self.reach = Reach()

    def fork(self) -> "Driver":
        """Copy it, so that both go on independently."""
        twin = object.__new__(Driver)
        twin.__dict__.update(self.__dict__)
        twin.marks, twin.outcomes = self.marks.copy(), self.outcomes.copy()
        return twin

    # -- verbs --------------------------------------------------------------------------------------------------------

    def start(self) -> "Driver":
        roots = [node.id for node in self.nodes if not node.indegree]
        self.transact(resolve.begin(self.header, roots, NOW), set())
        return self

    def complete(self, name: str, outcome: Outcome = SUCCESS, iteration: int = 1) -> "Driver":
        key = (self.ids[name], iteration)
        nodes = {key[0]}
        if self.task(name).state is TaskState.ASKING:
            nodes |= self.reached([Token(key[0], 0, errand=Errand.OPEN)])
        decision = resolve.complete(self.slice(nodes, {key}), key, outcome, NOW, self.host)
        assert {token.to for token in decision.wave} <= {to for node in nodes for to in self.linked(node)}
        self.transact(decision, nodes)
        return self

    def wake(self, name: str, seconds: float) -> "Driver":
        """Let time come to `seconds` after the start; a run that waits to end has its outcome loaded."""
        key = (self.ids[name], 1)
        slice = self.slice({key[0]}, {key})
        if slice.marks[key].ending in TASK_EVENT_OF_OUTCOME:
            slice.marks[key] = replace(slice.marks[key], outcome=self.outcomes[key])
        self.transact(resolve.wake(slice, key, NOW + timedelta(seconds=seconds), self.host), {key[0]})
        return self

    def lapse(self, name: str, seconds: float = 0) -> "Driver":
        """Let the lease of an attempt run out, `seconds` after the start."""
        key = (self.ids[name], 1)
        now = NOW + timedelta(seconds=seconds)
        self.transact(resolve.lapse(self.slice({key[0]}, {key}), key, now, self.host), {key[0]})
        return self

    def rerun(self, name: str, skip: bool = False, iteration: int = 1) -> "Driver":
        key = (self.ids[name], iteration)
        decision = resolve.rerun(self.slice({key[0]}, {key}), key, NOW, self.host, skip=skip)
        self.transact(decision, {key[0]})
        return self

    def suspend(self) -> "Driver":
        self.transact(resolve.steer(self.header, ExecutionEvent.SUSPEND, "suspended by test", NOW), set())
        return self

    def cancel(self) -> "Driver":
        self.transact(resolve.steer(self.header, ExecutionEvent.CANCEL, "cancelled by test", NOW), set())
        return self

    def resume(self) -> "Driver":
        """Resume and carry on with the backlog in the same transaction, as far as the budget lasts."""
        decision = resolve.steer(self.header, ExecutionEvent.RESUME, None, NOW)
        self.apply(decision, set())
        self.carry_on()
        return self

    # -- transactions -------------------------------------------------------------------------------------------------

    def transact(self, decision: Decision, nodes: set[int]) -> None:
        """Save a first decision, loop its waves and settle; then carry on with what the budget left."""
        self.finish(decision, nodes, self.budget)
        if self.header.carries_on:
            self.carry_on()

    def carry_on(self) -> None:
        """Unfold the backlog, `budget` marks a transaction, until none is left or the execution does not run."""
        while True:
            keys = self.backlog()[: self.budget]
            nodes = {key[0] for key in keys}
            decision = resolve.unfold(self.slice(nodes, set(keys)), keys, NOW, self.host)
            self.finish(decision, nodes, self.budget - len(keys))
            if not self.header.carries_on:
                return

    def finish(self, decision: Decision, nodes: set[int], budget: int) -> None:
        self.reach = Reach([len(nodes)])
        self.apply(decision, nodes)
        wave = decision.wave
        while wave:
            nodes = self.reached(wave)
            self.reach.calls.append(len(nodes))
            decision = self.arrive(wave, nodes, budget)
            budget -= decision.steps
            wave = decision.wave
        generation = self.header.generation
        self.apply(resolve.settle(self.header, NOW), set())
        assert self.header.generation == generation, "the whole transaction is one generation"
        self.check_books()

    def arrive(self, wave: tuple[Token, ...], nodes: set[int], budget: int) -> Decision:
        decision = resolve.arrive(self.slice(nodes, set()), wave, NOW, self.host, budget)
        assert decision.steps <= max(budget, 0)
        heard = {to for node in nodes for to in self.linked(node)} | {token.to for token in wave}
        assert {token.to for token in decision.wave} <= heard
        self.apply(decision, nodes)
        return decision

    def reached(self, wave: Iterable[Token]) -> set[int]:
        """Return the nodes that a wave reaches; for a region what has happened in it, and its last node."""
        nodes = {token.to for token in wave}
        for token in wave:
            if token.errand in (Errand.OPEN, Errand.RETRY):
                last = self.nodes[token.to].region
                nodes |= {node for node, _ in self.marks if token.to <= node <= last} | {last}
        return nodes

    def backlog(self) -> list[Key]:
        """List the marks of the backlog in the order of their places."""
        held = [mark for mark in self.marks.values() if mark.intent]
        held.sort(key=lambda mark: mark.place)
        return [(mark.node, mark.iteration) for mark in held]

    # -- the store ----------------------------------------------------------------------------------------------------

    def slice(self, nodes: set[int], keys: set[Key]) -> Slice:
        marks = Marks(self.marks, keys | {(node, 1) for node in nodes})
        return Slice(self.header, {node: self.nodes[node] for node in nodes}, marks)

    def apply(self, decision: Decision, nodes: set[int]) -> None:
        """Save a decision; it may write marks of the nodes that it was given, and no others."""
        for key, mark in decision.marks.items():
            assert key[0] in nodes, f"wrote {key}, which is not in the slice"
            if mark.outcome:
                self.outcomes[key] = mark.outcome
                mark = replace(mark, outcome=None)  # not loaded again
            self.marks[key] = mark
        handed_out = [event for event in decision.events if event.node is not None and event.state in ATTEMPTED]
        scheduled = tuple((event.node, event.iteration) for event in handed_out)
        attempts = [(event.node, event.iteration, event.attempt) for event in handed_out]
        assert len({*attempts, *self.attempts}) == len(attempts) + len(self.attempts), "an attempt was scheduled twice"
        self.attempts = {*self.attempts, *attempts}
        final = self.header.state in FINAL_EXECUTION_STATES
        rerun = any(event.kind == "execution" and event.state == "RUNNING" for event in decision.events)
        assert not final or rerun or decision.header.state is self.header.state
        assert decision.header.generation >= self.header.generation
        self.header = decision.header
        self.scheduled += scheduled
        self.events += decision.events

    def check_books(self) -> None:
        """Compare the counters of the header with what they count."""
        asleep = sum(mark.due_at is not None for mark in self.marks.values())
        marks = self.marks.values()
        running = sum(mark.state in ATTEMPTED and mark.intent is not Intent.RETURN for mark in marks) + asleep
        assert (self.header.live, self.header.asleep) == (running, asleep)
        assert self.header.backlog == sum(mark.intent is not None for mark in self.marks.values())
        assert self.header.events == len(self.events)
        assert self.header.ignored == sum(mark.state is TaskState.IGNORE for mark in self.marks.values())
        assert self.header.reverted == sum(mark.strategy is Strategy.REVERT for mark in self.marks.values())
        if self.header.state is ExecutionState.RUNNING:
            assert running or self.header.backlog, "stuck: nothing runs, nothing is left, and it is not final"

    def linked(self, node: int) -> set[int]:
        """Return whom a node may have to tell: those its edges lead to, and those beyond them."""
        targets = {edge.to for edge in self.nodes[node].edges if isinstance(edge.to, int)}
        holds = self.marks[node, 1].holds if (node, 1) in self.marks else ()
        return targets.union(self.nodes[node].controllers, holds, *self.nodes[node].beyond.values())

    # -- what tests look at -------------------------------------------------------------------------------------------

    @property
    def state(self) -> ExecutionState:
        return self.header.state

    def states(self) -> dict[tuple[str, int], TaskState]:
        """Map (name, iteration) to the state of every run that has begun, or failed to."""
        return {
            (self.nodes[node].name, iteration): mark.state
            for (node, iteration), mark in self.marks.items()
            if mark.state is not TaskState.PENDING
        }

    def running(self) -> list[tuple[str, int]]:
        return sorted(run for run, state in self.states().items() if state is TaskState.RUNNING)

    def task(self, name: str, iteration: int = 1) -> Mark:
        return self.marks.get((self.ids[name], iteration)) or Mark(self.ids[name], iteration)
