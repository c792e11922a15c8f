"""Errors: which are handled, and when an unhandled one ends the execution (Mistral's facts by name)."""

from driver import FAILURE, Driver

from lazyengine.core.state import INFO_LENGTH, ExecutionState, Failure, Outcome, TaskState


def test_finish_all_tasks():
    """finish-all-tasks: over when nothing runs any more; a branch never reached does not count."""
    driver = Driver({"a": {"on-error": ["never"]}, "b": {}, "never": {}}).start()
    driver.complete("a")
    assert driver.state is ExecutionState.RUNNING
    driver.complete("b")
    assert driver.state is ExecutionState.SUCCESS
    assert driver.task("never").state is TaskState.PENDING


def test_error_unhandled():
    """error-unhandled: the execution fails, but only after every other branch has run to its end."""
    driver = Driver({"a": {}, "b": {"on-success": ["c"]}, "c": {}}).start()
    driver.complete("a", FAILURE).complete("b")
    assert driver.state is ExecutionState.RUNNING
    driver.complete("c")
    assert driver.state is ExecutionState.FAILURE
    assert driver.header.info == "Task 'a' failed: it broke"


def test_the_first_unhandled_error_is_the_cause():
    driver = Driver({"a": {}, "b": {}}).start()
    driver.complete("b", Outcome(TaskState.FAILURE, None, Failure("x", "first"))).complete("a", FAILURE)
    assert driver.header.info == "Task 'b' failed: first"
    assert driver.header.unhandled == 2


def test_a_long_message_is_cut_everywhere_but_in_the_failure():
    failure = Failure("x", "m" * (2 * INFO_LENGTH))
    driver = Driver({"a": {}}).start().complete("a", Outcome(TaskState.FAILURE, None, failure))
    assert len(driver.task("a").info) == len(driver.header.info) == INFO_LENGTH
    assert driver.outcomes[0, 1].failure == failure


def test_a_failure_without_a_reason_does_not_blame_none():
    driver = Driver({"a": {}}).start().complete("a", Outcome(TaskState.FAILURE))
    assert driver.header.info == "Task 'a' failed"


def test_error_on_complete_not_handled():
    """error-on-complete-not-handled: on-complete runs its tasks but does not handle the error."""
    driver = Driver({"a": {"on-complete": ["b"]}, "b": {}}).start().complete("a", FAILURE)
    assert driver.running() == [("b", 1)]
    driver.complete("b")
    assert driver.state is ExecutionState.FAILURE


def test_error_on_error_handles():
    """error-on-error-handles: on-error starts the handler, which leaves no trace of the error in the end."""
    driver = Driver({"a": {"on-success": ["c"], "on-error": ["b"]}, "b": {}, "c": {}}).start().complete("a", FAILURE)
    assert driver.running() == [("b", 1)]
    driver.complete("b")
    assert driver.state is ExecutionState.SUCCESS
    assert driver.header.info is None


def test_error_on_error_noop_handles():
    """error-on-error-noop-handles: on-error: noop handles it too."""
    driver = Driver({"a": {"on-error": ["noop"]}}).start().complete("a", FAILURE)
    assert driver.state is ExecutionState.SUCCESS


def test_error_guard_false_not_handled():
    """error-guard-false-not-handled: on-error whose guards are all false does not handle it; one true one does."""
    description = {"a": {"on-error": [{"to": "noop", "guard": "x"}, {"to": "noop", "guard": "y"}]}}
    ends = [
        Driver(description, guards={"x": x, "y": y}).start().complete("a", FAILURE).state
        for x in (False, True)
        for y in (False, True)
    ]
    assert ends == [ExecutionState.FAILURE] + [ExecutionState.SUCCESS] * 3


def test_error_then_handler_fails():
    """error-then-handler-fails: a failing handler is an unhandled error of its own."""
    driver = Driver({"a": {"on-error": ["b"]}, "b": {}}).start().complete("a", FAILURE).complete("b", FAILURE)
    assert driver.state is ExecutionState.FAILURE
    assert driver.header.info == "Task 'b' failed: it broke"
    assert driver.header.unhandled == 1


def test_order_specific_before_complete():
    """order-specific-before-complete: on-success and on-error start their tasks before on-complete does."""
    description = {"a": {"on-complete": ["z"], "on-error": ["y"], "on-success": ["x"]}, "z": {}, "x": {}, "y": {}}
    succeeded = Driver(description).start().complete("a")
    failed = Driver(description).start().complete("a", FAILURE)
    names = [node.name for node in succeeded.nodes]
    assert [names[node] for node, _ in succeeded.scheduled] == ["a", "x", "z"]
    assert [names[node] for node, _ in failed.scheduled] == ["a", "y", "z"]


def test_a_guard_is_asked_only_when_its_clause_is_told():
    """A guard of on-error may not even be decidable after a success: `ask` has no answer here and would raise."""
    driver = Driver({"a": {"on-error": [{"to": "noop", "guard": "unknown"}]}}, guards={}).start().complete("a")
    assert driver.state is ExecutionState.SUCCESS
