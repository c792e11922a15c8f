"""What there is to ask about one attempt: whether an answer is the one that is waited for, what its policies say.

The fencing key of an answer is (execution, node, iteration, attempt): what is not for the current attempt changes
nothing.  The rules are asked in the order in which they stand; the first that applies decides.
"""

from enum import StrEnum
from typing import Any

from lazyengine.core.graph import Key, Node
from lazyengine.core.host import Host, Refused
from lazyengine.core.state import (
    ATTEMPTED_TASK_STATES,
    FINAL_EXECUTION_STATES,
    ExecutionState,
    Intent,
    Mark,
    TaskState,
)

LONGEST_SECONDS = 10 * 366 * 86_400


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    NOT_RUNNING = "not running"  # not handed out yet
    STALE = "stale"  # for another attempt
    REPEATED = "repeated"  # the outcome that was recorded, once more
    CONTRADICTED = "contradicted"  # another outcome than the one recorded
    DEADLINE_PASSED = "deadline passed"  # its run has failed at its deadline, or is about to
    TOO_LATE = "too late"  # the execution is over


def weigh(
    execution: ExecutionState, mark: Mark, attempt: int | None, same: bool, overdue: bool = False
) -> Verdict:  # fmt: skip
    """Judge an answer for `mark`.

    :param attempt: the attempt that it is for, or None for the current one
    :param same: its outcome is the one recorded
    :param overdue: the deadline of its run has passed before it ended
    """
    if mark.state is TaskState.PENDING or (mark.state is TaskState.DELAYED and not mark.attempt):
        return Verdict.NOT_RUNNING
    if attempt is not None and attempt != mark.attempt:
        return Verdict.STALE
    if mark.intent is Intent.RETURN:
        return Verdict.NOT_RUNNING
    if mark.state not in ATTEMPTED_TASK_STATES:
        return Verdict.REPEATED if same else Verdict.DEADLINE_PASSED if overdue else Verdict.CONTRADICTED
    if execution in FINAL_EXECUTION_STATES:
        return Verdict.TOO_LATE
    return Verdict.DEADLINE_PASSED if overdue else Verdict.ACCEPTED


# -- what policies come to --------------------------------------------------------------------------------------------


def number(host: Host, node: Node, key: Key, what: str, value: Any, whole: bool = False) -> float:
    """Evaluate a policy that is a number of at least 0 (Mistral: `engine/base.py`, TaskPolicy).

    :raises Refused: it is none, or it cannot be evaluated
    """
    found = host.value(node, key, value) if isinstance(value, str) else value
    if not isinstance(found, int | float) or isinstance(found, bool) or (whole and found != int(found)):
        raise Refused(f"{what} is a number, not {found!r:.100}")
    if not 0 <= found <= LONGEST_SECONDS:
        raise Refused(f"{what} is from 0 to {LONGEST_SECONDS}, not {found!r:.100}")
    return found


def truth(host: Host, node: Node, key: Key, what: str, value: Any) -> bool:
    """Evaluate a policy that is a boolean.

    :raises Refused: it is none, or it cannot be evaluated
    """
    found = host.value(node, key, value) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise Refused(f"{what} is true or false, not {found!r:.100}")
    return found
