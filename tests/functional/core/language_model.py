"""What has to happen in a flow with loops, by definition: runs that end, tokens that wait, and sets recomputed whole.

It reads edges, joins and policies of nodes, and nothing that the compiler or the core has worked out about them.

- A run begins for every edge that fires to a node without join; for a join outside of a loop once, when so many nodes
  chose it.
- In a loop, a join runs again, as a new iteration, each time that as many of its links as it joins have brought a token
  that no run of it has used; the run uses up one token of each of them.
- When nothing in the loop can run any more, a join there that holds unused tokens fails if it joins all or never ran.
- A node outside of a loop is over when no run of it is going on and none can come; a loop, when that is so of all its
  nodes together.  A join outside of a loop fails when some node chose it and too many are over that did not.
"""

from collections import Counter
from collections.abc import Iterator

from language import Identity, attempt_ends, fires, own, successor

from lazyengine.core.graph import Node, On
from lazyengine.core.state import TaskState

S, F, RUNNING = TaskState.SUCCESS, TaskState.FAILURE, TaskState.RUNNING
Run = tuple[int, int]


class Model:
    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.nodes = nodes
        self.links = {node.id: {edge.to for edge in node.edges} for node in nodes}
        self.sources = {node.id: {id for id, out in self.links.items() if node.id in out} for node in nodes}
        below = {id: self.below(id) for id in self.links}
        self.loop = {id: frozenset(one for one in below[id] if id in below[one]) for id in self.links}
        self.states: dict[Run, TaskState] = {}
        self.names: dict[Run, Identity] = {}
        self.blocked: set[Run] = set()
        self.unhandled = 0
        self.runs: Counter[int] = Counter()
        self.tokens: dict[int, Counter[int]] = {id: Counter() for id in self.links}
        for node in nodes:
            if not self.sources[node.id]:
                self.begin(node.id, own(node, 1))
        self.settle()

    def below(self, id: int) -> set[int]:
        found, last = set(self.links[id]), None
        while found != last:
            last, found = found, found.union(*(self.links[one] for one in found))
        return found

    # -- runs ---------------------------------------------------------------------------------------------------------

    def begin(self, id: int, identity: Identity | None = None, state: TaskState = RUNNING) -> Run:
        self.runs[id] += 1
        run = (id, self.runs[id])
        self.states[run], self.names[run] = state, identity or own(self.nodes[id], run[1])
        return run

    def end(self, run: Run, state: TaskState) -> None:
        """End a run, and what follows from that at once."""
        self.states[run] = state
        self.tell(run)
        self.settle()

    def tell(self, run: Run) -> None:
        node, identity = self.nodes[run[0]], self.names[run]
        ends = (On.ERROR, On.COMPLETE) if self.states[run] is F else (On.SUCCESS, On.COMPLETE)
        fired = [edge for edge in node.edges if edge.on in ends and fires(node, identity, edge)]
        self.unhandled += self.states[run] is F and not any(edge.on is On.ERROR for edge in fired)
        for target, times in Counter(edge.to for edge in fired).items():
            if self.nodes[target].join is not None:
                self.tokens[target][run[0]] += 1
                self.try_join(target)
                continue
            for ordinal in range(1, times + 1):
                self.begin(target, successor(identity, node.id, self.nodes[target], ordinal))

    def try_join(self, id: int) -> None:
        having = [source for source, tokens in self.tokens[id].items() if tokens]
        if len(having) == self.nodes[id].join and (self.loop[id] or not self.runs[id]):
            self.use(id)
            self.begin(id)

    def use(self, id: int) -> None:
        if self.loop[id]:
            self.tokens[id] -= Counter(set(self.tokens[id]))

    def run(self, identity: Identity) -> Run:
        return next(run for run, name in self.names.items() if name == identity)

    def named_states(self) -> dict[Identity, TaskState]:
        return {self.names[run]: state for run, state in self.states.items()}

    # -- ends ---------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Fail joins that wait in vain, until there is none."""
        while (id := next(self.in_vain(), None)) is not None:
            self.use(id)
            run = self.begin(id, state=F)
            self.blocked.add(run)
            self.tell(run)

    def in_vain(self) -> Iterator[int]:
        over = self.over()
        for id, node in enumerate(self.nodes):
            if self.loop[id] and self.rests(self.loop[id], over) and self.holds_unused(id):
                yield id
            elif not self.loop[id] and self.tokens[id] and not self.runs[id]:
                lost = {source for source in self.sources[id] & over if source not in self.tokens[id]}
                if len(self.sources[id] - lost) < node.join:
                    yield id

    def holds_unused(self, id: int) -> bool:
        return bool(self.tokens[id]) and (self.nodes[id].join == len(self.sources[id]) or not self.runs[id])

    def over(self) -> set[int]:
        """Return the nodes of which no run is going on and none can come."""
        found: set[int] = set()
        while new := {id for id in self.links if id not in found and self.is_over(id, found)}:
            found |= new
        return found

    def is_over(self, id: int, over: set[int]) -> bool:
        if self.loop[id]:
            return self.rests(self.loop[id], over) and not any(self.holds_unused(one) for one in self.loop[id])
        if self.nodes[id].join is not None and self.runs[id]:
            return self.states[id, 1] is not RUNNING
        return self.rests(frozenset({id}), over) and (self.nodes[id].join is None or not self.tokens[id])

    def rests(self, members: frozenset[int], over: set[int]) -> bool:
        """Whether no run is going on in some nodes, and none can come from others."""
        entries = set().union(*(self.sources[id] for id in members)) - members
        return entries <= over and not any(id in members and state is RUNNING for (id, _), state in self.states.items())

    # -- the whole way ------------------------------------------------------------------------------------------------

    def play(self, most: int) -> bool:
        """End run after run, each as its attempts say; False if there are more than so many."""
        while len(self.states) <= most:
            run = next((run for run, state in self.states.items() if state is RUNNING), None)
            if run is None:
                return True
            self.end(run, self.attempts(run)[-1])
        return False

    def attempts(self, run: Run) -> list[TaskState]:
        """Return how the attempts of a run end: the first success is the last, or else the last retry is."""
        node, identity, ends = self.nodes[run[0]], self.names[run], list[TaskState]()
        most = 1 + (node.policy.retry.count if node.policy.retry else 0)
        while len(ends) < most and S not in ends and run not in self.blocked:
            items = node.items.get("i", [None])
            ended = [attempt_ends(node, identity, len(ends) + 1, item) for item in items]
            ends.append(F if F in ended else S)
        return ends

    def delays(self, run: Run) -> int:
        """Count how often a run sleeps: before its first attempt, after it, and before each that follows."""
        policy, attempts = self.nodes[run[0]].policy, len(self.attempts(run))
        before_each = attempts - 1 if policy.retry and policy.retry.delay_seconds else 0
        return attempts and bool(policy.wait_before_seconds) + bool(policy.wait_after_seconds) + before_each

    def begun(self, run: Run) -> Iterator[tuple[int, int, int | None, int]]:
        """Name every attempt of a run and of its items that somebody is told to begin."""
        node = self.nodes[run[0]]
        for attempt in range(1, 1 + len(self.attempts(run))):
            if node.items or not node.action:
                yield (*run, None, attempt)
            if not node.action:
                yield from ((*run, item, attempt) for item in node.items.get("i", ()))
