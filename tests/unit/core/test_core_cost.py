"""What a decision costs in nodes, and how the budget cuts a long one into several transactions."""

import pytest
from driver import FAILURE, NOW, SUCCESS, Driver

from lazyengine.core import resolve
from lazyengine.core.state import ExecutionState, Intent, TaskState


@pytest.mark.parametrize("width", [0, 1, 7, 200])
def test_a_completion_reads_and_writes_one_node_and_those_it_leads_to(width):
    """1 + out-degree; the driver refuses to read or write more than it was given."""
    description = {"a": {"on-success": [f"t{n}" for n in range(width)]}, **{f"t{n}": {} for n in range(width)}}
    driver = Driver(description).start().complete("a")
    assert sum(driver.reach.calls) == 1 + width
    assert len(driver.marks) == 1 + width


def test_the_last_completion_of_a_fan_in_costs_no_more_than_the_first():
    names = [f"t{n}" for n in range(200)]
    driver = Driver({**{name: {"on-success": ["j"]} for name in names}, "j": {"join": "all"}}).start()
    for name in names:
        driver.complete(name)
        assert sum(driver.reach.calls) == 2
    assert driver.running() == [("j", 1)]


def test_a_completion_in_a_long_chain_is_local():
    names = [f"t{n}" for n in range(250)]
    driver = Driver({name: {"on-success": [to]} for name, to in zip(names, [*names[1:], "noop"], strict=True)}).start()
    for name in names:
        driver.complete(name)
        assert sum(driver.reach.calls) <= 2
    assert driver.state is ExecutionState.SUCCESS


def test_where_no_join_is_below_nobody_is_told_what_does_not_happen():
    """A failure above a hundred tasks that would have run costs one node: no dead tokens where no join counts them."""
    names = [f"t{n}" for n in range(100)]
    driver = Driver({"a": {"on-success": names}, **{name: {} for name in names}}).start().complete("a", FAILURE)
    assert driver.reach.calls == [1]


def test_the_slice_of_a_completion_is_all_that_it_needs():
    """Reading beyond the slice raises: a completion that is given another node cannot decide."""
    driver = Driver({"a": {"on-success": ["b"]}, "b": {}}).start()
    with pytest.raises(KeyError):
        resolve.complete(driver.slice({1}, set()), (0, 1), FAILURE, NOW)


CHAIN = {f"t{n}": {"action": "std.noop", "on-success": [f"t{n + 1}"]} for n in range(9)} | {"t9": {}}


@pytest.mark.parametrize(("budget", "transactions"), [(1, 9), (2, 5), (8, 2), (9, 1)])
def test_a_budget_cuts_a_chain_of_pure_actions(budget, transactions):
    """What does not fit in one transaction is carried on by the next; each is a generation of its own."""
    driver = Driver(CHAIN, budget).start()
    assert driver.running() == [("t9", 1)]
    assert driver.header.generation == transactions
    assert driver.complete("t9").state is ExecutionState.SUCCESS


def test_what_the_budget_leaves_is_in_the_backlog():
    """With no step to spend, ends are kept with the intent to tell them, and a node that is dead with its own."""
    description = {
        "a": {"on-success": ["p"], "on-error": ["x"]},
        "p": {"action": "std.noop"},
        "x": {"on-success": ["j"]},
        "j": {"join": "all"},
    }
    driver = Driver(description).start()
    decision = resolve.complete(driver.slice({0}, {(0, 1)}), (0, 1), SUCCESS, NOW)
    driver.apply(decision, {0})
    decision = driver.arrive(decision.wave, {1, 2}, budget=0)
    assert (decision.steps, decision.wave, decision.header.backlog) == (0, (), 2)
    assert (decision.marks[1, 1].intent, decision.marks[1, 1].state) == (Intent.TELL, TaskState.SUCCESS)
    assert (decision.marks[2, 1].intent, decision.marks[2, 1].state) == (Intent.SETTLE, TaskState.PENDING)
    settled = resolve.settle(decision.header, NOW)
    assert settled.header == decision.header, "with a backlog it is not over"
    driver.carry_on()
    assert driver.state is ExecutionState.SUCCESS
