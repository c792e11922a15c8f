"""Whether an answer about a task is the one that is waited for.

The fencing key of an answer is (execution, node, iteration, attempt): what is not for the current attempt changes
nothing.  The rules are asked in the order in which they stand; the first that applies decides.
"""

from enum import StrEnum

from lazyengine.core.state import FINAL_EXECUTION_STATES, FINAL_TASK_STATES, ExecutionState, Mark, TaskState


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    NOT_RUNNING = "not running"  # not handed out yet
    STALE = "stale"  # for another attempt
    REPEATED = "repeated"  # the outcome that was recorded, once more
    CONTRADICTED = "contradicted"  # another outcome than the one recorded
    TOO_LATE = "too late"  # the execution is over


def weigh(execution: ExecutionState, mark: Mark, attempt: int | None, same: bool) -> Verdict:
    """Judge an answer for `mark`.

    :param attempt: the attempt that it is for, or None for the current one
    :param same: its outcome is the one recorded
    """
    if mark.state is TaskState.PENDING:
        return Verdict.NOT_RUNNING
    if attempt is not None and attempt != mark.attempt:
        return Verdict.STALE
    if mark.state in FINAL_TASK_STATES:
        return Verdict.REPEATED if same else Verdict.CONTRADICTED
    if execution in FINAL_EXECUTION_STATES:
        return Verdict.TOO_LATE
    return Verdict.ACCEPTED
