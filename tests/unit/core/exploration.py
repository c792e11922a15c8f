"""All small graphs, and all ways through one of them.

What is enumerated, and nothing else: acyclic graphs of n nodes, connected if asked, one or no link from a node to
another, the link being one of those given, that is, the clauses that name the other node; a node that something leads
to has no join, or a join of any number from 1 to its indegree (so "one", "all" and every N between).  Of graphs that
differ only in the names of their nodes the first is taken.  If asked (`swapped=False`), so is it of graphs that differ
only in that on-success and on-error are exchanged at some node: with the outcomes exchanged too they go the same way,
but for which errors are handled.  If asked (`idle_joins=False`), joins of a single link are left out.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from itertools import combinations, permutations, product

from driver import OUTCOMES, Driver
from oracle import Oracle

from lazyengine.core.graph import On
from lazyengine.core.resolve import UNBOUNDED
from lazyengine.core.state import FINAL_EXECUTION_STATES, ExecutionState, TaskState

NAMES = "abcde"
Links = tuple[tuple[On, ...], ...]

EDGES: Links = ((On.SUCCESS,), (On.ERROR,), (On.COMPLETE,))
MULTI_EDGES: Links = EDGES + tuple(
    several for size in (2, 3) for several in combinations((On.SUCCESS, On.ERROR, On.COMPLETE), size)
)

Labels = tuple[int, ...]
"""For each pair of nodes (u, v), u < v, in the order of `combinations`: 0 for no edge, else 1 + place of the link."""


def renamings(size: int, labels: Labels) -> Iterator[tuple[tuple[int, ...], Labels]]:
    """Yield every renaming under which all edges still lead to a later node, and the labels after it."""
    pairs = list(combinations(range(size), 2))
    edges = [(u, v, label) for (u, v), label in zip(pairs, labels, strict=True) if label]
    for new in permutations(range(size)):
        if all(new[u] < new[v] for u, v, _ in edges):
            moved = {(new[u], new[v]): label for u, v, label in edges}
            yield new, tuple(moved.get(pair, 0) for pair in pairs)


def unswapped(size: int, labels: Labels) -> Labels:
    """Exchange on-success and on-error at every node whose first edge of the two is on-error."""
    result, sides = [], {}
    for (u, _), label in zip(combinations(range(size), 2), labels, strict=True):
        if label in (1, 2):
            label = 1 if sides.setdefault(u, label) == label else 2
        result.append(label)
    return tuple(result)


def connected(size: int, labels: Labels) -> bool:
    reached, pairs = {0}, [pair for pair, label in zip(combinations(range(size), 2), labels, strict=True) if label]
    for _ in range(size):
        reached |= {node for pair in pairs if reached & set(pair) for node in pair}
    return len(reached) == size


def graphs(
    size: int,
    links: Links = EDGES,
    only_connected: bool = False,
    swapped: bool = True,
    idle_joins: bool = True,
) -> Iterator[dict]:
    """Yield the descriptions of all graphs of `size` nodes, by the definition at the top."""
    pairs = list(combinations(range(size), 2))
    for labels in product(range(len(links) + 1), repeat=len(pairs)):
        if only_connected and not connected(size, labels):
            continue
        same = [(new, other if swapped else unswapped(size, other)) for new, other in renamings(size, labels)]
        if any(other < labels for _, other in same):
            continue
        automorphisms = [new for new, other in same if other == labels]
        indegrees = [
            sum(bool(label) for (_, v), label in zip(pairs, labels, strict=True) if v == n) for n in range(size)
        ]
        for joins in product(*(range(indegree + 1) for indegree in indegrees)):  # 0: no join
            if not idle_joins and any(join == 1 == indegree for join, indegree in zip(joins, indegrees, strict=True)):
                continue
            if all(tuple(joins[new.index(n)] for n in range(size)) >= joins for new in automorphisms):
                yield describe(size, pairs, labels, joins, links)


def describe(size: int, pairs: list, labels: Labels, joins: tuple[int, ...], links: Links) -> dict:
    tasks: dict[str, dict] = {NAMES[node]: {"join": joins[node]} if joins[node] else {} for node in range(size)}
    for (u, v), label in zip(pairs, labels, strict=True):
        for clause in links[label - 1] if label else ():
            tasks[NAMES[u]].setdefault(clause, []).append(NAMES[v])
    return tasks


# -- all ways through one graph ---------------------------------------------------------------------------------------


@dataclass
class Count:
    graphs: int = 0
    states: int = 0
    steps: int = 0
    interleavings: int = 0

    def __iadd__(self, other: "Count") -> "Count":
        self.graphs += other.graphs
        self.states += other.states
        self.steps += other.steps
        self.interleavings += other.interleavings
        return self


class Explorer:
    """Every order in which the runs of one graph can end, with every outcome; each state compared with the oracle.

    States that differ only in which of several runs of a node is in which state go on alike, and are entered once;
    still each run is ended in each state, so a mistake in telling runs apart is seen.

    :param ends: the outcomes tried for every run
    :param sinks_fail: try them also for tasks that lead nowhere, where they matter only to the final state
    :param interrupt: suspend and resume once, at every possible point
    """

    def __init__(
        self,
        description: dict,
        ends: tuple[TaskState, ...],
        budget: int = UNBOUNDED,
        interrupt: bool = False,
        sinks_fail: bool = True,
    ) -> None:
        self.description = description
        self.ends = {
            name: ends if sinks_fail or any(clause in task for clause in On) else ends[:1]
            for name, task in description.items()
        }
        self.oracle = Oracle(description)
        self.first = Driver(description, budget)
        self.interrupt = interrupt
        self.below: dict[Hashable, int] = {}
        self.last: dict[Hashable, ExecutionState] = {}
        self.count = Count(graphs=1)

    def explore(self) -> Count:
        self.first.start()
        self.count.interleavings = self.enter(self.first, {}, self.interrupt)
        self.count.states = len(self.below)
        return self.count

    def enter(self, driver: Driver, ended: dict[tuple[str, int], str], interrupt: bool) -> int:
        """Return the number of ways on from here, after looking at the state and walking all of them once."""
        key = (interrupt, state_key(driver))
        ways = self.below.get(key)
        if ways is not None:
            return ways
        self.compare(driver, ended)
        ways = 0
        for name, iteration in driver.running():
            for end in self.ends[name]:
                twin = driver.fork().complete(name, OUTCOMES[end], iteration)
                self.count.steps += 1
                ways += self.enter(twin, {**ended, (name, iteration): end.value}, interrupt)
        if interrupt and driver.state is ExecutionState.RUNNING:
            self.enter(driver.fork().suspend(), ended, interrupt)
        elif interrupt and driver.state not in FINAL_EXECUTION_STATES:
            self.enter(driver.fork().resume(), ended, interrupt=False)
        self.below[key] = max(ways, 1)
        return self.below[key]

    def compare(self, driver: Driver, ended: dict[tuple[str, int], str]) -> None:
        if driver.state in (ExecutionState.SUSPENDING, ExecutionState.SUSPENDED):
            assert (driver.state is ExecutionState.SUSPENDED) == (not driver.running())
            return
        prediction = self.oracle.predict(ended)
        assert driver.states() == prediction.runs, self.describe(ended)
        assert driver.state == prediction.verdict, self.describe(ended)
        assert driver.header.backlog == 0
        if driver.state in FINAL_EXECUTION_STATES:
            assert self.last.setdefault(frozenset(ended.items()), driver.state) is driver.state

    def describe(self, ended: dict[tuple[str, int], str]) -> str:
        return f"{self.description} after {ended}"


def state_key(driver: Driver) -> Hashable:
    """Freeze what the future depends on: all but names of runs, times, texts and numbers of history rows."""
    header = driver.header
    runs, tallies = [], []
    for (node, iteration), mark in driver.marks.items():
        runs.append((node, mark.state, mark.intent or "", mark.told))
        if iteration == 1:
            tallies.append((node, mark.live, mark.dead, mark.runs, mark.ended, frozenset(mark.chosen)))
    runs.sort()
    return (
        (header.state, header.live, header.backlog, header.unhandled, header.cancelled),
        tuple(runs),
        frozenset(tallies),
    )
