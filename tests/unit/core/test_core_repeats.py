"""Tasks without join, which run once per trigger, and joins below them: no link is settled before its last run."""

from driver import FAILURE, NOW, SUCCESS, Driver

from lazyengine.core import resolve
from lazyengine.core.resolve import UNBOUNDED
from lazyengine.core.state import ExecutionState, TaskState


def test_no_join_runs_twice():
    """no-join-runs-twice: without join a task runs once per trigger, each as a run of its own."""
    driver = Driver(
        {"a": {"on-success": ["c"]}, "b": {"on-success": ["c"]}, "c": {"on-success": ["d"]}, "d": {}}
    ).start()
    driver.complete("a").complete("b")
    assert driver.running() == [("c", 1), ("c", 2)]
    driver.complete("c", FAILURE, iteration=2).complete("c", iteration=1)
    assert driver.running() == [("d", 1)]
    assert driver.complete("d").state is ExecutionState.FAILURE


def test_a_join_below_repeated_runs_hears_of_them_when_the_last_has_ended():
    """A run that did not choose the join loses nothing yet: another run of the same task still may."""
    description = {
        "a": {"on-success": ["r", "r"]},
        "r": {"on-success": ["j"], "on-error": ["noop"]},
        "b": {"on-success": ["j"]},
        "j": {"join": "all"},
    }
    driver = Driver(description).start().complete("b").complete("a").complete("r", FAILURE)
    assert driver.task("j").state is TaskState.PENDING
    assert driver.fork().complete("r", iteration=2).running() == [("j", 1)]
    assert driver.fork().complete("r", FAILURE, iteration=2).task("j").state is TaskState.FAILURE


CHAIN = {
    "a": {"on-success": ["r", "r"]},
    "r": {"on-success": ["x"], "on-error": ["noop"]},
    "x": {"on-success": ["j"], "on-error": ["noop"]},
    "b": {"on-success": ["j"]},
    "j": {"join": "all"},
}


def test_a_run_that_ended_settles_nothing_while_another_may_come():
    """x ran for the first r and did not choose j; the second r may still start it again, and then it does."""
    driver = Driver(CHAIN).start().complete("b").complete("a").complete("r").complete("x", FAILURE)
    assert driver.task("j").state is TaskState.PENDING
    driver.complete("r", iteration=2).complete("x", iteration=2)
    assert driver.running() == [("j", 1)]


def test_the_last_of_repeated_runs_settles_what_is_below():
    """However the runs of r and x end, j is told when none is left: here that it is lost."""
    driver = Driver(CHAIN).start().complete("b").complete("a")
    driver.complete("r").complete("x", FAILURE).complete("r", iteration=2)
    assert driver.task("j").state is TaskState.PENDING
    assert driver.complete("x", FAILURE, iteration=2).task("j").state is TaskState.FAILURE


def test_a_repeated_task_without_a_successor_settles_what_is_below():
    """x ran once, chose j, and the second r ends without starting it: j needs no further word."""
    driver = Driver(CHAIN).start().complete("a").complete("r").complete("x").complete("r", FAILURE, iteration=2)
    assert driver.task("x").dead == 1
    assert driver.complete("b").running() == [("j", 1)]


def test_each_run_may_choose_another_join():
    """r chose j in one run and k in the other: neither is lost, and neither hears of it twice."""
    description = {
        "a": {"on-success": ["r", "r"]},
        "r": {"on-success": ["j"], "on-error": ["k"]},
        "b": {"on-success": ["j", "k"]},
        "j": {"join": "all"},
        "k": {"join": "all"},
    }
    driver = Driver(description).start().complete("a").complete("r").complete("r", FAILURE, iteration=2)
    marks = [driver.task("j"), driver.task("k")]
    assert [(mark.live, mark.dead) for mark in marks] == [(1, 0), (1, 0)]
    assert driver.complete("b").running() == [("j", 1), ("k", 1)]


def test_what_nobody_below_counts_is_not_kept():
    """Settling costs no step where no join is below, and what a task chose is not kept once it has told all."""
    description = {"a": {"on-success": ["p", "p"]}, "p": {"action": "std.noop", "on-success": ["b"]}, "b": {}}
    driver = Driver(description).start()
    decision = resolve.complete(driver.slice({0}, {(0, 1)}), (0, 1), SUCCESS, NOW)
    driver.apply(decision, {0})
    assert driver.task("a").chosen == ()
    assert driver.arrive(decision.wave, {1}, UNBOUNDED).steps == 2
