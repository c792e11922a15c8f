"""An expression that cannot be evaluated fails its task and the execution at once (Mistral's facts by name)."""

import pytest
from driver import FAILURE, Driver

from lazyengine.core.graph import Node
from lazyengine.core.host import Host, Refused
from lazyengine.core.state import ExecutionState, Intent, TaskState

TASKS = {"a": {"on-success": ["b"], "on-error": ["c"], "on-complete": ["d"]}, "b": {}, "c": {}, "d": {}, "x": {}}


def test_publish_error_fails_all():
    """publish-error-fails-all: no edge of the task is told, the execution has failed although x still runs."""
    for outcome in (None, FAILURE):
        driver = Driver(TASKS, refused={"a": "end"}).start()
        driver = driver.complete("a", outcome) if outcome else driver.complete("a")
        assert (driver.state, driver.header.info) == (ExecutionState.FAILURE, "Task 'a': no end")
        assert (driver.task("a").state, driver.task("a").info) == (TaskState.FAILURE, "no end")
        assert driver.running() == [("x", 1)]


def test_guard_error_fails_all():
    """guard-error-fails-all: what stands before the guard in the list is not told either."""
    tasks = {"a": {"on-success": ["b", {"to": "c", "guard": "unknown"}]}, "b": {}, "c": {}}
    driver = Driver(tasks).start().complete("a")
    assert (driver.state, driver.task("a").state) == (ExecutionState.FAILURE, TaskState.FAILURE)
    assert driver.running() == []


def test_input_error_fails_all():
    """input-error-fails-all: the task never runs; one that was told beside it does."""
    tasks = {"a": {"on-success": ["b", "c"]}, "b": {"on-error": ["d"]}, "c": {}, "d": {}}
    driver = Driver(tasks, refused={"b": "begin"}).start().complete("a")
    assert (driver.state, driver.task("b").state) == (ExecutionState.FAILURE, TaskState.FAILURE)
    assert driver.running() == [("c", 1)]


def test_what_was_reported_is_remembered():
    """The outcome is another than the one reported, which a repeat has to be compared with."""
    driver = Driver(TASKS, refused={"a": "end"}).start().complete("a")
    mark = driver.task("a")
    assert mark.reported is not None
    assert (mark.reported.state, mark.outcome or driver.outcomes[0, 1].state) == (TaskState.SUCCESS, TaskState.FAILURE)


def test_a_guard_can_be_refused_long_after_the_end():
    """It ended while the execution was suspended, so its guards are asked at resume."""
    tasks = {"a": {"on-success": [{"to": "b", "guard": "unknown"}]}, "b": {}}
    driver = Driver(tasks).start().suspend().complete("a")
    assert (driver.task("a").state, driver.task("a").intent) == (TaskState.SUCCESS, Intent.TELL_THROUGH)
    driver.resume()
    assert (driver.state, driver.task("a").state) == (ExecutionState.FAILURE, TaskState.FAILURE)


def test_the_first_end_wins():
    """Refused after `fail` of another task in the same wave: the execution keeps its reason."""
    tasks = {"a": {"on-success": ["b", "c"]}, "b": {"action": "std.noop", "on-success": ["fail"]}, "c": {}}
    driver = Driver(tasks, refused={"c": "begin"}).start().complete("a")
    assert driver.header.info == "Ended by 'fail' of task 'b'"
    assert driver.task("c").state is TaskState.FAILURE


def test_without_data_there_are_no_guards():
    with pytest.raises(Refused, match="needs data"):
        Host().holds(Node(0, "a"), (0, 1), "x")
