"""A failed task runs again, or is passed over: what its end has come to is taken back first."""

import pytest
from driver import CANCELLED, FAILURE, Driver

from lazyengine.core.resolve import UNBOUNDED
from lazyengine.core.state import ExecutionState, IllegalTransition, TaskState

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


# -- what its failure has led to --------------------------------------------------------------------------------------


def test_what_it_started_runs_again():
    """A handler that has ended, and the one below it; not one that is still under way."""
    description = {"a": {"on-error": ["h"]}, "h": {"on-complete": ["i"]}, "i": {}, "z": {}}
    driver = Driver(description).start().complete("a", FAILURE).complete("h", FAILURE).rerun("a").complete("a", FAILURE)
    assert (driver.task("h").attempt, driver.task("i").attempt, driver.header.unhandled) == (2, 1, 0)
    driver.complete("h")
    assert (driver.task("h").attempt, driver.task("i").attempt) == (2, 1), "i is under way still"
    driver.complete("i").rerun("a").complete("a", FAILURE).complete("h")
    assert (driver.task("h").attempt, driver.task("i").attempt) == (3, 2)


def test_a_join_that_it_chose_has_heard_of_it():
    driver = Driver({"a": {"on-complete": ["j"]}, "b": {"on-success": ["j"]}, "j": {"join": "all"}})
    driver.start().complete("a", FAILURE).rerun("a").complete("a")
    assert driver.task("j").live == 1
    assert driver.complete("b").complete("j").state is SUCCESS


def test_a_join_did_not_listen_any_more():
    """What was told in the same breath as a fail counts when it is told again."""
    driver = Driver({"a": {"on-error": ["j", "fail"], "on-success": ["j"]}, "j": {"join": "one"}})
    driver.start().complete("a", FAILURE)
    assert driver.state is ExecutionState.FAILURE
    assert driver.rerun("a").complete("a").complete("j").state is SUCCESS


def test_a_join_that_failed_still_counts():
    """b chooses it after it has failed; when a succeeds after all, it has both."""
    description = {
        "a": {"on-success": ["j"]},
        "b": {"on-success": ["j"]},
        "c": {"on-success": ["j"]},
        "j": {"join": "all"},
    }
    driver = Driver(description).start().complete("b").complete("a", FAILURE).complete("c").rerun("a").complete("a")
    assert driver.complete("j").state is SUCCESS


# -- what is still to be told -----------------------------------------------------------------------------------------


def test_one_that_waits_to_tell_its_edges():
    """It ended while the execution was suspended, which then was cancelled: nothing was told of that end."""
    driver = Driver({"a": {"on-complete": ["b"]}, "b": {}}).start().suspend().complete("a", FAILURE).cancel()
    assert driver.rerun("a").header.backlog == 0
    assert driver.complete("a").running() == [("b", 1)]


def test_a_join_that_waits_to_be_settled_is_not_settled():
    """It is in the backlog with its verdict, or with its failure, when what led to that is taken back."""
    description = {
        "a": {"on-success": ["j", "k"]},
        "b": {"on-success": ["k"]},
        "j": {"join": "all", "on-success": ["l"]},
        "k": {"join": "all", "on-success": ["l"]},
        "l": {"join": "all"},
    }
    driver = Driver(description).start().complete("b")
    whole, driver.carry_on = driver.carry_on, lambda: None
    driver.budget = 0
    driver.complete("a", FAILURE)
    assert driver.header.backlog == 2
    driver.rerun("a")
    assert driver.header.backlog == 0
    driver.budget, driver.carry_on = UNBOUNDED, whole
    assert driver.complete("a").complete("j").complete("k").complete("l").state is SUCCESS


def test_only_what_failed_runs_again():
    driver = Driver({"a": {}, "b": {}}).start().complete("a")
    with pytest.raises(IllegalTransition, match="SUCCESS cannot be run again"):
        driver.rerun("a")
