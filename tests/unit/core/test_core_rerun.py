"""A failed task runs again, or is passed over: what its end has come to is taken back first."""

import pytest
from driver import CANCELLED, FAILURE, Driver

from lazyengine.core.state import ExecutionState, TaskState

SUCCESS = ExecutionState.SUCCESS


def test_an_unhandled_failure_is_forgotten():
    driver = Driver({"a": {"on-success": ["b"]}, "b": {}}).start().complete("a", FAILURE)
    assert (driver.state, driver.header.unhandled) == (ExecutionState.FAILURE, 1)
    driver.rerun("a")
    assert (driver.header.unhandled, driver.header.cause, driver.task("a").attempt) == (0, None, 2)
    assert driver.complete("a").complete("b").state is SUCCESS


def test_another_failure_still_counts():
    driver = Driver({"a": {}, "b": {}}).start().complete("a", FAILURE).complete("b", FAILURE).rerun("a")
    assert driver.complete("a").state is ExecutionState.FAILURE
    assert driver.rerun("b").complete("b").state is SUCCESS


def test_a_cancelled_task_runs_again():
    driver = Driver({"a": {}}).start().complete("a", CANCELLED).rerun("a")
    assert driver.header.cancelled == 0
    assert driver.complete("a").state is SUCCESS


def test_a_join_that_failed_because_of_it_has_not_failed():
    """Two joins, one below the other, failed; once the task has succeeded both run."""
    description = {
        "a": {"on-success": ["j"]},
        "b": {"on-success": ["j", "k"]},
        "j": {"join": "all", "on-success": ["k"]},
        "k": {"join": "all"},
    }
    driver = Driver(description).start().complete("b").complete("a", FAILURE)
    assert driver.task("j").state is driver.task("k").state is TaskState.FAILURE
    driver.rerun("a")
    assert driver.task("j").state is driver.task("k").state is TaskState.PENDING
    driver.complete("a").complete("j").complete("k")
    assert driver.state is SUCCESS


@pytest.mark.parametrize("late", [True, False])
def test_what_a_join_was_told_after_it_failed_is_remembered(late):
    """So that it runs when the failed tasks have run again, in whichever order they do."""
    description = {**{name: {"on-success": ["j"]} for name in "abc"}, "j": {"join": "all"}}
    driver = Driver(description).start().complete("a").complete("b", FAILURE)
    driver = driver.complete("c", FAILURE) if late else driver.complete("c")
    assert driver.task("j").state is TaskState.FAILURE
    if late:
        driver.rerun("c").complete("c")
        assert (driver.task("j").state, driver.state) == (TaskState.FAILURE, ExecutionState.FAILURE)
    assert driver.rerun("b").complete("b").complete("j").state is SUCCESS


def test_a_join_that_nobody_chose_may_still_be_chosen():
    """Its own dead verdict, told to the join below, is taken back as well."""
    description = {
        "a": {"on-success": ["j"]},
        "j": {"join": "all", "on-success": ["k"]},
        "b": {"on-success": ["k"]},
        "k": {"join": "all"},
    }
    driver = Driver(description).start().complete("a", FAILURE).complete("b").rerun("a")
    assert driver.complete("a").complete("j").complete("k").state is SUCCESS


def test_a_task_that_ran_several_times_settles_again():
    description = {
        "a": {"on-success": ["x"]},
        "b": {"on-success": ["x"]},
        "x": {"on-success": ["j"]},
        "c": {"on-success": ["j"]},
        "j": {"join": "all"},
    }
    driver = Driver(description).start().complete("c").complete("a").complete("b")
    driver.complete("x", FAILURE).complete("x", FAILURE, 2)
    assert driver.task("j").state is TaskState.FAILURE
    driver.rerun("x").complete("x").complete("j")
    assert driver.task("j").state is TaskState.SUCCESS


@pytest.mark.parametrize(("clause", "next"), [("on-skip", "s"), ("on-success", "b")])
def test_skip(clause, next):
    """on-skip is told, or on-success where no on-skip fires; never on-complete."""
    edges = {"on-success": ["b"], "on-complete": ["c"], clause: [next]}
    driver = Driver({"a": edges, "b": {}, "c": {}, "s": {}}).start()
    for other in {"s", "b", "c"} & {name for name, _ in driver.running()}:
        driver.complete(other)
    driver.complete("a", FAILURE).complete("c").rerun("a", skip=True)
    assert driver.task("a").state is TaskState.SKIPPED
    assert (next, 1) in driver.running()


def test_a_policy_that_cannot_be_evaluated_fails_it_again():
    driver = Driver({"a": {}}, refused={"a": "begin"}).start().rerun("a")
    assert driver.state is ExecutionState.FAILURE
