"""Whether an answer is the one that is waited for: every row of the table of `weigh`."""

import pytest

from lazyengine.core.attempt import Verdict, weigh
from lazyengine.core.state import (
    ATTEMPTED_TASK_STATES,
    FINAL_EXECUTION_STATES,
    FINAL_TASK_STATES,
    ExecutionState,
    Mark,
    TaskState,
)

GOING = [state for state in ExecutionState if state not in FINAL_EXECUTION_STATES]
FINAL = sorted(FINAL_EXECUTION_STATES)
ATTEMPTED = sorted(ATTEMPTED_TASK_STATES)
ENDED = sorted(FINAL_TASK_STATES)


def cases(executions, states, attempts, sames, verdict):
    return [(e, s, a, same, verdict) for e in executions for s in states for a in attempts for same in sames]


@pytest.mark.parametrize(
    ("execution", "state", "attempt", "same", "verdict"),
    [
        *cases(ExecutionState, [TaskState.PENDING], [None, 1, 2, 3], [True, False], Verdict.NOT_RUNNING),
        *cases(ExecutionState, [*ATTEMPTED, TaskState.DELAYED, *ENDED], [1, 3], [True, False], Verdict.STALE),
        *cases(ExecutionState, [TaskState.DELAYED, *ENDED], [None, 2], [True], Verdict.REPEATED),
        *cases(ExecutionState, [TaskState.DELAYED, *ENDED], [None, 2], [False], Verdict.CONTRADICTED),
        *cases(FINAL, ATTEMPTED, [None, 2], [True, False], Verdict.TOO_LATE),
        *cases(GOING, ATTEMPTED, [None, 2], [True, False], Verdict.ACCEPTED),
    ],
)
def test_weigh(execution, state, attempt, same, verdict):
    """Of a mark in its second attempt."""
    assert weigh(execution, Mark(0, state=state, attempt=2), attempt, same) is verdict


def test_every_combination_is_in_the_table():
    size = len(ExecutionState) * len(TaskState) * len([None, 1, 2, 3]) * 2
    assert len(test_weigh.pytestmark[0].args[1]) == size
