"""Random graphs in which tasks fail and run again until none fails any more."""

import random

import pytest
from driver import FAILURE, SUCCESS, Driver, compile_nodes
from test_core_beyond import with_beyond

from lazyengine.core.state import ALL, ExecutionState, Mark, TaskState

CLAUSES = {"plain": ["on-success"], "handled": ["on-success", "on-error", "on-complete"]}


def random_graph(chance: random.Random, clauses: list[str]) -> dict[str, dict]:
    names = [f"t{k}" for k in range(chance.randint(2, 7))]
    graph: dict[str, dict] = {name: {} for name in names}
    for place, name in enumerate(names[:-1]):
        for clause in clauses:
            if chance.random() < 0.7:
                graph[name][clause] = sorted(set(chance.choices(names[place + 1 :], k=chance.randint(1, 2))))
                if clause != "on-success" and chance.random() < 0.15:
                    graph[name][clause].append("fail")
    for name in names:
        links = sum(any(name in task.get(clause, ()) for clause in clauses) for task in graph.values())
        if links and chance.random() < 0.6:
            graph[name]["join"] = chance.choice(["all", "one", min(2, links)])
    return graph


def begin(graph: dict[str, dict]) -> Driver:
    return Driver(graph, nodes=with_beyond(compile_nodes(graph))).start()


def play(driver: Driver, chance: random.Random, failures: float) -> None:
    while driver.running() and driver.state is ExecutionState.RUNNING:
        name, iteration = chance.choice(driver.running())
        driver.complete(name, FAILURE if chance.random() < failures else SUCCESS, iteration)


def failed(driver: Driver) -> list[Mark]:
    """The runs that have failed, but for joins that never ran."""

    def ran(mark: Mark) -> bool:
        join = driver.nodes[mark.node].join
        return join is None or mark.live >= join

    return [mark for mark in driver.marks.values() if mark.state is TaskState.FAILURE and ran(mark)]


def play_to_the_end(driver: Driver, chance: random.Random, skip: float = 0) -> None:
    play(driver, chance, 0.4)
    for turn in range(40):
        for _ in range(chance.randint(1, 2)):
            marks = failed(driver)
            if driver.state is ExecutionState.SUCCESS or not marks:
                break
            mark = chance.choice(marks)
            driver.rerun(driver.nodes[mark.node].name, chance.random() < skip, mark.iteration)
        play(driver, chance, 0.3 if turn < 10 else 0)


@pytest.mark.parametrize("seed", range(300))
def test_the_end_is_that_of_one_in_which_nothing_failed(seed: int) -> None:
    """Where failures lead nowhere: so whatever they had come to was taken back."""
    chance = random.Random(seed)
    graph = random_graph(chance, CLAUSES["plain"])
    driver, smooth = begin(graph), begin(graph)
    play_to_the_end(driver, chance)
    play(smooth, chance, 0)
    assert (driver.state, driver.states()) == (smooth.state, smooth.states()), graph


@pytest.mark.parametrize("seed", range(300))
def test_each_link_has_one_verdict(seed: int) -> None:
    """Also where handlers run again and tasks are skipped."""
    chance = random.Random(seed)
    graph = random_graph(chance, CLAUSES["handled"])
    driver = begin(graph)
    play_to_the_end(driver, chance, skip=0.2)
    assert driver.header.unhandled == sum(mark.unhandled for mark in driver.marks.values())
    for node in driver.nodes:
        tally = driver.task(node.name)
        assert node.join is None or tally.live + tally.dead <= node.indegree, (node.name, graph)
        told = sum(mark.told == ALL for mark in driver.marks.values() if mark.node == node.id)
        assert not node.repeats or tally.ended == told, (node.name, graph)
