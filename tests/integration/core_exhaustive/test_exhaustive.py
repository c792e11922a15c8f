"""Every interleaving of completions, with every outcome, of all small graphs, compared with the oracle in each state.

What is enumerated is defined in `exploration`; the slices below say how much of it.  By default, of 4 nodes those that
differ by exchanging on-success and on-error at a node are taken once, and of 5 nodes: on-success only, connected, no
join of a single link; in both, tasks that lead nowhere only succeed.  `LAZYENGINE_TEST_FULL=1` takes all of both, in
some minutes.  A slice is cut into shards, which run on all processors; each is a test of its own.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from multiprocessing import get_context

import pytest
from exploration import EDGES, MULTI_EDGES, Count, Explorer, graphs

from lazyengine.core.graph import On
from lazyengine.core.state import TaskState

FULL = bool(os.environ.get("LAZYENGINE_TEST_FULL"))
S, F, C = TaskState.SUCCESS, TaskState.FAILURE, TaskState.CANCELLED


@dataclass(frozen=True)
class Portion:
    """Which graphs, which ways through them, in how many shards, and how many graphs that has to be."""

    sizes: tuple[int, ...]
    expected: int
    shards: int = 1
    which: dict = field(default_factory=dict)
    how: dict = field(default_factory=lambda: {"ends": (S, F)})

    def shard(self, number: int) -> Iterator[dict]:
        return islice(chain.from_iterable(graphs(size, **self.which) for size in self.sizes), number, None, self.shards)


PORTIONS = {
    "3-cancelled": Portion((1, 2, 3), 252, how={"ends": (S, F, C)}),
    "3-interrupted": Portion((1, 2, 3), 252, how={"ends": (S, F), "interrupt": True}),
    "3-interrupted-budget": Portion((1, 2, 3), 252, how={"ends": (S, F), "interrupt": True, "budget": 1}),
    "3-multi-edges": Portion((2, 3), 2473, 2, {"links": MULTI_EDGES}),
    "4": Portion((4,), 10021, 8, {"swapped": False}, {"ends": (S, F), "sinks_fail": False}),
    "5": Portion(
        (5,),
        3580,
        6,
        {"links": EDGES[:1], "only_connected": True, "idle_joins": False},
        {"ends": (S, F), "sinks_fail": False},
    ),
}
if FULL:
    PORTIONS["4"] = Portion((4,), 44389, 24)
    PORTIONS["5"] = Portion((5,), 9266, 24, {"links": EDGES[:1]})
SHARDS = [(name, number) for name, portion in PORTIONS.items() for number in range(portion.shards)]


def explore(name: str, number: int) -> Count:
    portion, count = PORTIONS[name], Count()
    for description in portion.shard(number):
        count += Explorer(description, **portion.how).explore()
    return count


@pytest.fixture(scope="module")
def counts() -> Iterator[dict[tuple[str, int], Future]]:
    """Explore all shards at once, as many at a time as there are processors."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        yield {(name, number): pool.submit(explore, name, number) for name, number in SHARDS}


@pytest.mark.parametrize(("name", "number"), SHARDS)
def test_every_interleaving_is_what_the_oracle_says(counts, record_property, name, number):
    """Each join fires exactly once, nothing is scheduled twice or stuck, final is final, order does not matter."""
    count = counts[name, number].result()
    record_property("count", str(count))
    print(name, number, count)
    assert count.graphs == len(range(number, PORTIONS[name].expected, PORTIONS[name].shards))
    assert count.states > count.graphs
    assert count.interleavings > count.graphs


def test_the_slices_are_what_they_say():
    """A single on-success edge: the target without join or joining; two nodes and no edge: one graph."""
    assert list(graphs(2, EDGES[:1])) == [
        {"a": {}, "b": {}},
        {"a": {On.SUCCESS: ["b"]}, "b": {}},
        {"a": {On.SUCCESS: ["b"]}, "b": {"join": 1}},
    ]
