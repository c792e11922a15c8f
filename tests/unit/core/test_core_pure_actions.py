"""std.noop, std.echo and std.fail end as they start, within the transaction that starts them."""

import pytest
from driver import NOW, Driver

from lazyengine.core.actions import PURE_ACTIONS, PURE_PARAMETERS, pure_outcome
from lazyengine.core.state import ExecutionState, Failure, Outcome, TaskState

FAILED = "Fail action expected exception."


@pytest.mark.parametrize(
    ("action", "input", "outcome"),
    [
        ("std.noop", {}, Outcome(TaskState.SUCCESS)),
        ("std.echo", {"output": [1, None]}, Outcome(TaskState.SUCCESS, [1, None])),
        (
            "std.fail",
            {"error_data": {"x": 1}},
            Outcome(TaskState.FAILURE, {"x": 1}, Failure("std.fail", FAILED)),
        ),
        ("std.fail", {}, Outcome(TaskState.FAILURE, FAILED, Failure("std.fail", FAILED))),
        ("std.http", {}, None),
        (None, {}, None),
    ],
)
def test_the_outcome_follows_from_the_input(action, input, outcome):
    assert pure_outcome(action, input) == outcome


def test_every_pure_action_runs_with_what_it_must_be_given():
    """The table of parameters names the same actions, and its required ones are enough for each."""
    assert PURE_ACTIONS.keys() == PURE_PARAMETERS.keys()
    for action, (required, _) in PURE_PARAMETERS.items():
        assert pure_outcome(action, dict.fromkeys(required)) is not None


def test_a_workflow_of_pure_actions_is_over_at_once():
    description = {
        "a": {"action": "std.noop", "on-success": ["b", "c"]},
        "b": {"action": "std.echo", "input": {"output": "hello"}, "on-success": ["j"]},
        "c": {"action": "std.fail", "on-error": ["j"]},
        "j": {"join": "all", "action": "std.noop"},
    }
    driver = Driver(description).start()
    assert driver.state is ExecutionState.SUCCESS
    assert driver.scheduled == ()
    assert driver.outcomes[driver.ids["b"], 1].result == "hello"
    mark = driver.task("b")
    assert (mark.attempt, mark.started_at, mark.finished_at) == (1, NOW, NOW)


def test_every_run_of_a_task_without_join_ends_at_once():
    """The second run of a pure action does not wait for the first to be told, and the join below hears once."""
    description = {
        "a": {"on-success": ["p", "p"]},
        "p": {"action": "std.noop", "on-success": ["j"]},
        "j": {"join": "all"},
    }
    driver = Driver(description).start().complete("a")
    assert driver.running() == [("j", 1)]
    assert driver.states()["p", 2] is TaskState.SUCCESS
