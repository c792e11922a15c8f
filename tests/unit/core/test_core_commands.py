"""The commands fail, succeed and noop (Mistral's facts by name); pause has its own file."""

import pytest
from driver import FAILURE, SUCCESS, Driver

from lazyengine.core.state import INFO_LENGTH, ExecutionState, TaskState


@pytest.mark.parametrize(("command", "state"), [("fail", "FAILURE"), ("succeed", "SUCCESS")])
def test_cmd_cut(command, state):
    """cmd-cut: what stands before fail or succeed runs, what stands after it is dropped, on-complete included."""
    description = {"a": {"on-success": ["b", command, "c"], "on-complete": ["d"]}, "b": {}, "c": {}, "d": {}}
    driver = Driver(description).start().complete("a")
    assert driver.state == state
    assert driver.running() == [("b", 1)]
    assert driver.task("c").state is driver.task("d").state is TaskState.PENDING


def test_cmd_after_end_no_new_tasks():
    """cmd-after-end-no-new-tasks: after fail, tasks already handed out may still end, but start nothing more."""
    driver = Driver({"a": {"on-success": ["fail"]}, "b": {"on-complete": ["c"]}, "c": {}}).start()
    driver.complete("a").complete("b")
    assert driver.state is ExecutionState.FAILURE
    assert driver.task("b").state is TaskState.SUCCESS
    assert driver.task("c").state is TaskState.PENDING
    assert driver.header.live == driver.header.backlog == 0


def test_what_was_told_before_the_end_but_needs_no_worker_ends_too():
    """A pure action before fail ends and tells nothing; a join that it would have blocked stays as it is."""
    description = {
        "a": {"on-success": ["p", "fail"]},
        "p": {"action": "std.noop", "on-success": ["b"]},
        "b": {},
    }
    driver = Driver(description).start().complete("a")
    assert driver.states() == {("a", 1): "SUCCESS", ("p", 1): "SUCCESS"}
    assert driver.header.backlog == 0


@pytest.mark.parametrize(("command", "state"), [("fail", "FAILURE"), ("succeed", "SUCCESS")])
def test_cmd_fail_msg(command, state):
    """cmd-fail-msg: the message of the command is the info of the execution; without one it names the task."""
    said = Driver({"a": {"on-success": [{"to": command, "message": "enough"}]}}).start().complete("a")
    silent = Driver({"a": {"on-success": [command]}}).start().complete("a")
    assert (said.state, said.header.info) == (state, "enough")
    assert (silent.state, silent.header.info) == (state, f"Ended by '{command}' of task 'a'")


@pytest.mark.parametrize("command", ["fail", "succeed", "pause"])
def test_a_long_message_of_a_command_is_cut(command):
    entry = {"to": command, "message": "m" * (INFO_LENGTH + 1)}
    driver = Driver({"a": {"on-success": [entry]}}).start().complete("a")
    assert driver.header.info == "m" * INFO_LENGTH


def test_cmd_fail_in_on_error():
    """cmd-fail-in-on-error: on-error: fail ends the execution at once, while another task runs."""
    driver = Driver({"a": {"on-error": ["fail"]}, "b": {}}).start().complete("a", FAILURE)
    assert driver.state is ExecutionState.FAILURE
    assert driver.running() == [("b", 1)]


@pytest.mark.parametrize("outcome", [SUCCESS, FAILURE])
def test_cmd_succeed_early(outcome):
    """cmd-succeed-early: succeed ends it while other tasks run; however they end, it changes nothing."""
    driver = Driver({"a": {"on-success": ["succeed"]}, "b": {}}).start().complete("a")
    assert driver.state is ExecutionState.SUCCESS
    header = driver.header
    driver.complete("b", outcome)
    assert (driver.state, driver.header.info, driver.header.unhandled) == (header.state, header.info, 0)


def test_cmd_succeed_over_error():
    """cmd-succeed-over-error: on-complete: succeed of a failed task succeeds although the error is not handled."""
    driver = Driver({"a": {"on-complete": ["succeed"]}}).start().complete("a", FAILURE)
    assert driver.state is ExecutionState.SUCCESS
    assert driver.header.unhandled == 0


@pytest.mark.parametrize("first", ["a", "b"])
def test_cmd_first_wins(first):
    """cmd-first-wins: once it has ended, a fail or succeed of another task changes nothing."""
    ends = {"a": ExecutionState.FAILURE, "b": ExecutionState.SUCCESS}
    driver = Driver({"a": {"on-success": ["fail"]}, "b": {"on-success": ["succeed"]}}).start()
    driver.complete(first).complete(*(ends.keys() - {first}))
    assert driver.state is ends[first]
    assert driver.header.info.endswith(f"of task '{first}'")


def test_cmd_first_wins_within_one_wave():
    """Two pure actions of one wave: the first in the definition speaks, the second is not heard."""
    description = {
        "a": {"action": "std.noop", "on-success": ["succeed"]},
        "b": {"action": "std.noop", "on-success": ["fail"]},
    }
    assert Driver(description).start().state is ExecutionState.SUCCESS


def test_cmd_noop():
    """cmd-noop: noop starts nothing and does not block the rest of the list."""
    driver = Driver({"a": {"on-success": ["noop", "b", "noop", "c"]}, "b": {}, "c": {}}).start().complete("a")
    assert driver.running() == [("b", 1), ("c", 1)]
    driver.complete("b").complete("c")
    assert driver.state is ExecutionState.SUCCESS
