"""Cancelling an execution, and tasks that end as cancelled (Mistral's facts by name)."""

import pytest
from driver import CANCELLED, FAILURE, Driver

from lazyengine.core.state import ExecutionState, TaskState


def test_cancel_running_task():
    """cancel-running-task: cancelled at once; what runs is left as it is and may still end; nothing new starts."""
    driver = Driver({"a": {"on-success": ["b"]}, "b": {}}).start().cancel()
    assert driver.state is ExecutionState.CANCELLED
    assert driver.running() == [("a", 1)]
    driver.complete("a")
    assert driver.task("a").state is TaskState.SUCCESS
    assert driver.task("b").state is TaskState.PENDING
    assert driver.state is ExecutionState.CANCELLED


def test_cancel_while_suspended():
    """A suspended execution can be cancelled; its backlog stays untold."""
    driver = Driver({"a": {"on-success": ["b"]}, "b": {}}).start().suspend().complete("a").cancel()
    assert driver.state is ExecutionState.CANCELLED
    assert driver.task("b").state is TaskState.PENDING


def test_cancelled_task():
    """cancelled-task: it runs none of its clauses, and cancels the execution when everything else is done."""
    description = {"a": {"on-success": ["x"], "on-error": ["x"], "on-complete": ["x"]}, "x": {}, "b": {}}
    driver = Driver(description).start().complete("a", CANCELLED)
    assert driver.state is ExecutionState.RUNNING
    driver.complete("b")
    assert driver.state is ExecutionState.CANCELLED
    assert driver.task("x").state is TaskState.PENDING
    assert driver.header.info == "Tasks that were cancelled: 1"


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_a_cancelled_task_outranks_a_failed_one(order):
    outcomes = {"a": CANCELLED, "b": FAILURE}
    driver = Driver({"a": {}, "b": {}}).start()
    for name in order:
        driver.complete(name, outcomes[name])
    assert driver.state is ExecutionState.CANCELLED


def test_a_cancelled_task_is_lost_to_a_join():
    """The join that it leads to fails as soon as another task chose it."""
    description = {"a": {"on-complete": ["j"]}, "b": {"on-complete": ["j"]}, "j": {"join": "all"}}
    driver = Driver(description).start().complete("a", CANCELLED).complete("b")
    assert driver.task("j").state is TaskState.FAILURE
    assert driver.state is ExecutionState.CANCELLED
