"""A success whose lead is known decides what telling its edges one by one decides."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from driver import FAILURE, NOW, OUTCOMES, SUCCESS, Driver, compile_nodes

from lazyengine.core import resolve
from lazyengine.core.decision import Slice
from lazyengine.core.graph import Command, Edge, Node, On, Policy, Retry
from lazyengine.core.host import Host
from lazyengine.core.revert import Reverting
from lazyengine.core.state import ExecutionState, Header, Mark, TaskState
from lazyengine.core.telling import UNKNOWN, find_lead

RUNNING = Mark(0, state=TaskState.RUNNING, attempt=1, started_at=NOW)


def both_ways(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> tuple[Any, Any, int]:
    """Return what comes of `act` with leads and without, and how many were followed."""
    follow, followed = Reverting.follow_lead, []

    def counted(work: Reverting, *args: Any) -> bool:
        followed.append(follow(work, *args))
        return followed[-1]

    monkeypatch.setattr(Reverting, "follow_lead", counted)
    short = act()
    monkeypatch.setattr(Reverting, "follow_lead", lambda *args: False)
    return short, act(), sum(followed)


def any_description(rng: random.Random) -> dict[str, Any]:
    """A graph without cycles, with every kind of edge and join."""
    names = [f"t{n}" for n in range(rng.randint(2, 7))]
    description = {}
    for at, name in enumerate(names):
        behind = [*names[at + 1 :], "noop", rng.choice(["noop", "pause", "fail", "succeed"])]
        task: dict[str, Any] = {"join": rng.choice([None, "all", "all", "one", 2])} if at else {}
        for on in rng.sample(["on-success", "on-success", "on-error", "on-complete"], 2):
            task[on] = rng.sample(behind, rng.randint(0, min(3, len(behind))))
        description[name] = task | ({"action": "std.noop"} if rng.random() < 0.2 else {})
    return description


def any_run(seed: int) -> tuple[Any, ...]:
    """Let an execution take any way, and return all that it has left behind."""
    rng = random.Random(seed)
    driver = Driver(any_description(rng), budget=rng.choice([1, 2, 1 << 62])).start()
    for _ in range(25):
        failed = [run for run, state in sorted(driver.states().items()) if state is TaskState.FAILURE]
        verb = rng.random()
        if driver.state is ExecutionState.SUSPENDED:
            driver.resume()
        elif driver.state is ExecutionState.RUNNING and verb < 0.05:
            driver.suspend()
        elif failed and verb < 0.2 and driver.state is not ExecutionState.SUCCESS:
            name, iteration = rng.choice(failed)
            driver.rerun(name, rng.random() < 0.3, iteration)
        elif driver.running() and driver.state in (ExecutionState.RUNNING, ExecutionState.SUSPENDING):
            name, iteration = rng.choice(driver.running())
            driver.complete(name, rng.choice([SUCCESS, SUCCESS, SUCCESS, *OUTCOMES.values()]), iteration)
    return driver.header, driver.marks, driver.events, driver.outcomes


def test_any_execution_leaves_the_same_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    total = 0
    for seed in range(100):
        short, general, followed = both_ways(monkeypatch, lambda seed=seed: any_run(seed))
        assert short == general, f"seed {seed}"
        monkeypatch.undo()
        total += followed
    assert total > 50


def decisions(
    node: Node, mark: Mark = RUNNING, header: Header | None = None, budget: int = 9, host: Host | None = None
) -> Callable[[], Any]:
    slice = Slice(header or Header(live=1), {0: node}, {(0, 1): mark})
    return lambda: resolve.complete(slice, (0, 1), SUCCESS, NOW, host, budget)


PLAIN = compile_nodes(
    {"a": {"on-success": ["b", "j", "noop"], "on-error": ["k"]}, "b": {}, "j": {"join": "all"}, "k": {"join": "all"}}
)[0]
LAST = Node(0, "a", edges=(Edge(On.ERROR, 1, guard="never asked"), Edge(On.COMPLETE, Command.NOOP)))


@pytest.mark.parametrize("node", [PLAIN, LAST, replace(LAST, ends=False), Node(0, "a")])
def test_a_plain_success_follows_its_lead(monkeypatch: pytest.MonkeyPatch, node: Node) -> None:
    short, general, followed = both_ways(monkeypatch, decisions(node))
    assert short == general
    assert followed == 1


def with_edge(**what: Any) -> Node:
    return replace(PLAIN, edges=(*PLAIN.edges, Edge(On.COMPLETE, **{"to": Command.NOOP} | what)))


@pytest.mark.parametrize(
    "node",
    [
        *(with_edge(to=command) for command in Command if command is not Command.NOOP),
        with_edge(guard=True),
        with_edge(guard="unknown"),
        with_edge(message="said"),
        replace(PLAIN, repeats=True),
        replace(PLAIN, loop=0),
        replace(PLAIN, policy=Policy(fail_on=True)),
        replace(PLAIN, policy=Policy(retry=Retry(1, continue_on=True))),
        replace(PLAIN, policy=Policy(keep_result=False)),
    ],
)
def test_where_more_than_the_graph_has_a_say_there_is_no_lead(node: Node) -> None:
    assert find_lead(node) is UNKNOWN


@pytest.mark.parametrize(
    ("mark", "header", "budget"),
    [
        (replace(RUNNING, attempt=2), Header(live=1), 9),
        (replace(RUNNING, chosen=(2,)), Header(live=1), 9),
        (replace(RUNNING, hold=0), Header(live=1), 9),
        (RUNNING, Header(live=1, broken=1), 9),
        (RUNNING, Header(ExecutionState.SUSPENDING, live=1), 9),
        (RUNNING, Header(live=1), 0),
    ],
)
def test_a_lead_is_not_followed_where_something_has_happened_before(
    monkeypatch: pytest.MonkeyPatch, mark: Mark, header: Header, budget: int
) -> None:
    short, general, followed = both_ways(monkeypatch, decisions(PLAIN, mark, header, budget))
    assert short == general
    assert followed == 0


def test_a_failure_does_not_follow_the_lead_of_a_success() -> None:
    driver = Driver({"a": {"on-success": ["b"], "on-error": ["c"]}, "b": {}, "c": {}}).start().complete("a", FAILURE)
    assert driver.running() == [("c", 1)]


def test_an_end_that_is_refused_leaves_nothing_of_the_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Driver({"a": {}}, refused={"a": "end"}).host
    short, general, _ = both_ways(monkeypatch, decisions(PLAIN, host=host))
    assert short == general
    assert (short.wave, short.marks[0, 1].told, short.marks[0, 1].state) == ((), 0, TaskState.FAILURE)


def test_the_lead_of_a_node_is_worked_out_once_and_is_no_part_of_it() -> None:
    node = replace(PLAIN)
    lead = find_lead(node)
    assert node.lead is lead
    assert node == replace(PLAIN)
    assert replace(node, indegree=7).lead is None
