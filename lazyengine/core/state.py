"""The states of an execution and of its tasks, and every way from one to the next.

Theory of operation:

1. An execution is one `Header`; each task that anything has happened to has a `Mark` for each of its runs
   (`iteration`, from 1).  A task without a mark is PENDING.
2. The mark of iteration 1 is also the node's tally: how many of its links are live and dead, how many runs have begun
   and ended.
3. `live` counts runs that have begun and not ended.  An execution is over when it is RUNNING, `live` is 0 and nothing
   is left in its backlog; nobody ever counts rows.
4. The backlog holds runs whose edges are still to be told, or whose start is still to come, because the execution was
   suspended or because one transaction does only so much.  `Intent` on the mark says which.
5. The two tables below are the only ways to change a state.  An event that a table does not have is an
   `IllegalTransition` and changes nothing.

The names of the states are TaskFlow's (`taskflow.states`), with CANCELLED as in Mistral (`mistral.workflow.states`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from lazyengine.core.values import make


class ExecutionState(StrEnum):
    RUNNING = "RUNNING"
    SUSPENDING = "SUSPENDING"
    SUSPENDED = "SUSPENDED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    REVERTED = "REVERTED"
    CANCELLED = "CANCELLED"


class ExecutionEvent(StrEnum):
    SUSPEND = "suspend"
    DRAIN = "drain"
    RESUME = "resume"
    SUCCEED = "succeed"
    FAIL = "fail"
    REVERT = "revert"
    CANCEL = "cancel"
    RERUN = "rerun"


class TaskState(StrEnum):
    PENDING = "PENDING"
    DELAYED = "DELAYED"
    DECIDING = "DECIDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    ASKING = "ASKING"
    FAILURE = "FAILURE"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"
    IGNORE = "IGNORE"
    REVERTING = "REVERTING"
    REVERTED = "REVERTED"
    REVERT_FAILURE = "REVERT_FAILURE"


class TaskEvent(StrEnum):
    START = "start"
    DELAY = "delay"
    BLOCK = "block"
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"
    REFUSE = "refuse"
    SKIP = "skip"
    RERUN = "rerun"
    DECIDE = "decide"
    IGNORE = "ignore"
    ASK = "ask"
    REVERT = "revert"
    LAPSE = "lapse"


E, X, T, S = ExecutionEvent, ExecutionState, TaskEvent, TaskState

EXECUTION_TRANSITIONS: dict[tuple[ExecutionState, ExecutionEvent], ExecutionState] = {
    (X.RUNNING, E.SUSPEND): X.SUSPENDING,
    (X.RUNNING, E.SUCCEED): X.SUCCESS,
    (X.RUNNING, E.FAIL): X.FAILURE,
    (X.RUNNING, E.REVERT): X.REVERTED,
    (X.RUNNING, E.CANCEL): X.CANCELLED,
    (X.SUSPENDING, E.DRAIN): X.SUSPENDED,
    (X.SUSPENDING, E.RESUME): X.RUNNING,
    (X.SUSPENDING, E.FAIL): X.FAILURE,
    (X.SUSPENDING, E.CANCEL): X.CANCELLED,
    (X.SUSPENDED, E.RESUME): X.RUNNING,
    (X.SUSPENDED, E.FAIL): X.FAILURE,
    (X.SUSPENDED, E.CANCEL): X.CANCELLED,
    (X.FAILURE, E.RERUN): X.RUNNING,
    (X.CANCELLED, E.RERUN): X.RUNNING,
}

TASK_TRANSITIONS: dict[tuple[TaskState, TaskEvent], TaskState] = {
    (S.PENDING, T.START): S.RUNNING,
    (S.PENDING, T.DELAY): S.DELAYED,
    (S.PENDING, T.BLOCK): S.FAILURE,
    (S.PENDING, T.FAIL): S.FAILURE,
    (S.PENDING, T.REFUSE): S.FAILURE,
    (S.DELAYED, T.START): S.RUNNING,
    (S.DELAYED, T.SUCCEED): S.SUCCESS,
    (S.DELAYED, T.FAIL): S.FAILURE,
    (S.DELAYED, T.CANCEL): S.CANCELLED,
    (S.DELAYED, T.DELAY): S.DELAYED,
    (S.DELAYED, T.REFUSE): S.FAILURE,
    (S.RUNNING, T.DELAY): S.DELAYED,
    (S.RUNNING, T.SUCCEED): S.SUCCESS,
    (S.RUNNING, T.FAIL): S.FAILURE,
    (S.RUNNING, T.CANCEL): S.CANCELLED,
    (S.RUNNING, T.REFUSE): S.FAILURE,
    (S.RUNNING, T.LAPSE): S.RUNNING,
    (S.SUCCESS, T.REFUSE): S.FAILURE,
    (S.FAILURE, T.REFUSE): S.FAILURE,
    (S.SKIPPED, T.REFUSE): S.FAILURE,
    (S.FAILURE, T.SKIP): S.SKIPPED,
    (S.FAILURE, T.RERUN): S.PENDING,
    (S.CANCELLED, T.RERUN): S.PENDING,
    (S.SUCCESS, T.RERUN): S.PENDING,
    (S.SKIPPED, T.RERUN): S.PENDING,
    (S.PENDING, T.DECIDE): S.DECIDING,
    (S.DECIDING, T.SUCCEED): S.PENDING,
    (S.DECIDING, T.FAIL): S.PENDING,
    (S.DECIDING, T.CANCEL): S.PENDING,
    (S.PENDING, T.IGNORE): S.IGNORE,
    (S.IGNORE, T.RERUN): S.PENDING,
    (S.SUCCESS, T.ASK): S.ASKING,
    (S.ASKING, T.SUCCEED): S.SUCCESS,
    (S.ASKING, T.FAIL): S.SUCCESS,
    (S.ASKING, T.CANCEL): S.SUCCESS,
    (S.SUCCESS, T.REVERT): S.REVERTING,
    (S.FAILURE, T.REVERT): S.REVERTING,
    (S.REVERTING, T.SUCCEED): S.REVERTED,
    (S.REVERTING, T.FAIL): S.REVERT_FAILURE,
    (S.REVERTING, T.CANCEL): S.REVERT_FAILURE,
    (S.REVERTING, T.REFUSE): S.REVERT_FAILURE,
    (S.REVERTING, T.LAPSE): S.REVERTING,
    (S.DECIDING, T.LAPSE): S.DECIDING,
    (S.ASKING, T.LAPSE): S.ASKING,
    (S.REVERTED, T.RERUN): S.PENDING,
}

FINAL_EXECUTION_STATES = frozenset({X.SUCCESS, X.FAILURE, X.REVERTED, X.CANCELLED})
FINAL_TASK_STATES = frozenset({S.SUCCESS, S.FAILURE, S.CANCELLED, S.SKIPPED, S.IGNORE, S.REVERTED, S.REVERT_FAILURE})
ATTEMPTED_TASK_STATES = frozenset({S.RUNNING, S.REVERTING, S.DECIDING, S.ASKING})
"""In which an attempt is handed out: of the task, of its revert, or of a question about it (`Question`)."""
BACKWARD_TASK_STATES = frozenset({S.REVERTING, S.REVERTED, S.REVERT_FAILURE})
RERUNNABLE_TASK_STATES = frozenset({S.FAILURE, S.CANCELLED})
TASK_EVENT_OF_OUTCOME = {S.SUCCESS: T.SUCCEED, S.FAILURE: T.FAIL, S.CANCELLED: T.CANCEL, S.SKIPPED: T.SKIP}

del E, X, T, S


INFO_LENGTH = 1000
"""Characters of a `state_info` at most; the whole story is in the failure."""


class IllegalTransition(Exception):
    """The state machine has no such step; nothing was changed."""


def next_execution_state(state: ExecutionState, event: ExecutionEvent) -> ExecutionState:
    """Look up where `event` leads from `state`.

    :raises IllegalTransition: the table has no such entry
    """
    try:
        return EXECUTION_TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"an execution that is {state} cannot {event}") from None


def next_task_state(state: TaskState, event: TaskEvent) -> TaskState:
    """Look up where `event` leads from `state`.

    :raises IllegalTransition: the table has no such entry
    """
    try:
        return TASK_TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"a task that is {state} cannot {event}") from None


class Intent(StrEnum):
    """What is still to be done for a mark in the backlog."""

    TELL = "tell"  # tell its edges from `told` on
    TELL_THROUGH = "tell-through"  # the same, passing over pause commands: it finished while suspended
    SETTLE = "settle"  # tell that it will not run (again)
    RUN = "run"  # begin its next attempt
    REVERT = "revert"  # undo it
    RETURN = "return"  # hand out an attempt that came back, as its lease ran out


class EventKind(StrEnum):
    """What a history row tells of."""

    EXECUTION = "execution"
    TASK = "task"
    LATE_RESULT = "late_result"  # an answer that came too late: it changed nothing and is kept for the record


class Strategy(StrEnum):
    """What a controller wants to be done about a failure (TaskFlow: `retry.py`, Decision)."""

    RETRY = "RETRY"  # revert its region, and run that again
    REVERT = "REVERT"  # revert its region, unless those around it want something else
    REVERT_ALL = "REVERT_ALL"  # revert the whole graph


class Question(StrEnum):
    """What is asked of whoever has the code of a flow, as an attempt of the node that it is about."""

    DECIDE = "decide"  # its deciders, whether it may run
    ON_FAILURE = "on_failure"  # a controller, what to do about a failure


QUESTIONS: dict[str, Question] = {
    TaskState.DECIDING: Question.DECIDE,
    TaskState.ASKING: Question.ON_FAILURE,
}


RUNNING, PENDING, FAILURE, CANCELLED, IGNORE = (
    TaskState.RUNNING, TaskState.PENDING, TaskState.FAILURE, TaskState.CANCELLED, TaskState.IGNORE,
)  # fmt: skip
SUCCESS, START, TASK = TaskState.SUCCESS, TaskEvent.START, EventKind.TASK
RUNS = ExecutionState.RUNNING
TELL, TELL_THROUGH, RUN, REVERT = Intent.TELL, Intent.TELL_THROUGH, Intent.RUN, Intent.REVERT
"""What every completion asks for: a name of a module takes 10 ns, a member of an enumeration 60 in Python 3.11."""


@dataclass(frozen=True)
class Failure:
    """Why a task failed; `details` is any JSON."""

    type: str
    message: str
    details: Any = None


@dataclass(frozen=True)
class Outcome:
    """How a run of a task ended: a final state and what it left behind; `result` is any JSON."""

    state: TaskState
    result: Any = None
    failure: Failure | None = None


class Header(NamedTuple):
    """The row of an execution that every decision reads and writes.

    :param live: runs begun and not ended
    :param asleep: those of them that sleep (`Mark.sleeps`)
    :param backlog: marks with an `Intent`
    :param held: places in the backlog given so far
    :param unhandled: failures that no on-error answered
    :param cancelled: tasks that ended as CANCELLED
    :param ignored: tasks that are IGNORE
    :param reverted: regions that are or were reverted, not to run again
    :param broken: what has failed on the way back; nothing more begins then
    :param info: why it is in this state, for people
    :param cause: the first failure that no on-error answered, for people
    :param generation: decisions taken so far
    :param events: history rows written so far
    """

    state: ExecutionState = ExecutionState.RUNNING
    live: int = 0
    asleep: int = 0
    backlog: int = 0
    held: int = 0
    unhandled: int = 0
    cancelled: int = 0
    ignored: int = 0
    reverted: int = 0
    broken: int = 0
    info: str | None = None
    cause: str | None = None
    generation: int = 0
    events: int = 0

    @property
    def carries_on(self) -> bool:
        """Whether there is something in the backlog that may be done now."""
        return self.backlog > 0 and self.state is ExecutionState.RUNNING and not self.broken


@dataclass(frozen=True)
class Items:
    """How far the items of a run are; those begun and not done are under way.

    :param width: how many may be under way at a time; 0 is all
    :param redo: those to be begun anew before any other
    :param held: those of the ones begun that are in the backlog
    """

    total: int
    width: int = 0
    begun: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    redo: tuple[int, ...] = ()
    held: int = 0

    @property
    def may_begin(self) -> bool:
        """Whether one more may be under way."""
        under_way = self.begun - self.done
        return self.begun < self.total and not self.cancelled and (not self.width or under_way < self.width)


@dataclass(frozen=True)
class LoopTally:
    """How a loop stands: its runs that have begun and not told their edges, the links into it that have settled.

    :param closed: it has come to its end, and its links to the outside were told so
    """

    live: int = 0
    dead: int = 0
    closed: bool = False


WHOLE = -1
"""The `item` of the mark of a run itself."""

ALL = -1
"""The `told` of a run whose edges have all been told, and what they came to."""


NOTHING_FED: Mapping[int, int] = {}
"""One for all marks: so many objects less for the collector to look at."""


@dataclass(frozen=True)
class Mark:
    """One run of a node, or one item of a run; that of iteration 1 also holds the node's tally.

    :param attempt: 0 until it is handed out
    :param live: links that chose this node (a join: for this run)
    :param dead: tally: links that never will (a join), or that have settled either way (EACH)
    :param runs: tally: runs begun
    :param ended: tally: runs whose edges have been told, where that is counted
    :param chosen: nodes it has put a live token on, kept where more may follow
    :param fed: tally of a join in a loop: by node that leads to it, the last run that a token of it was for
    :param loop: tally of the first node of a loop
    :param place: where it stands in the backlog, which is worked off in the order in which it came about
    :param told: edges already told, where a pause command cut the list, or `ALL`
    :param retries: attempts made by its retry policy
    :param ending: the state that it waits to take, held up by wait-after; PENDING: it waits to have its turn
    :param unhandled: it failed, and no on-error answered
    :param last: it led to no other task, so its variables are among those of the end
    :param given: parameters that a rerun gave, in the place of those of the task that have the same names; None if it
        was never run again
    :param items: of a run with items
    :param hold: while the region that it is in is being reverted: how many of those that it led to have to be undone
        before it
    :param holds: then: those that it holds up in the same way
    :param strategy: of a controller whose region is being or was reverted: RETRY or REVERT
    :param asks: of a run that has failed: the controller whose answer it waits for; of a controller that is asked: the
        run that it is asked about
    :param asleep: executions that do its work, or that of its items, and are suspended
    :param due_at: when it goes on by itself
    :param deadline_at: when it fails, if it is not finished
    :param outcome: set by the decision that ends the run; not loaded again
    :param reported: what was reported, where the outcome is another
    :param finished_event: number of the history row that records its end
    """

    node: int
    iteration: int = 1
    item: int = WHOLE
    state: TaskState = TaskState.PENDING
    info: str | None = None
    attempt: int = 0
    live: int = 0
    dead: int = 0
    runs: int = 0
    ended: int = 0
    chosen: tuple[int, ...] = ()
    fed: Mapping[int, int] = field(default_factory=dict)
    loop: LoopTally | None = None
    intent: Intent | None = None
    place: int | None = None
    told: int = 0
    retries: int = 0
    ending: TaskState | None = None
    unhandled: bool = False
    last: bool = False
    given: Mapping[str, Any] | None = None
    items: Items | None = None
    hold: int | None = None
    holds: tuple[int, ...] = ()
    strategy: Strategy | None = None
    asks: int | None = None
    asleep: int = 0
    started_at: datetime | None = None
    due_at: datetime | None = None
    deadline_at: datetime | None = None
    finished_at: datetime | None = None
    finished_event: int | None = None
    outcome: Outcome | None = None
    reported: Outcome | None = None

    @property
    def key(self) -> tuple[int, ...]:
        """What names it: (node, iteration), and the item if it is one."""
        run = (self.node, self.iteration)
        return run if self.item == WHOLE else (*run, self.item)

    @property
    def sleeps(self) -> bool:
        """Whether nobody works on a run: it waits for a time, or all that do its work are suspended, or held."""
        if self.due_at is None and not self.asleep and not self.items:
            return False
        under_way = self.items.begun - self.items.done if self.items else 1
        idle = self.asleep + (self.items.held if self.items else 0)
        waits = self.due_at is not None or 0 < idle == under_way
        return waits and self.item == WHOLE and self.state not in FINAL_TASK_STATES

    def has_item(self, item: int) -> bool:
        """Whether its attempt has this item; an attempt before it may have had more."""
        return item == WHOLE or (self.items is not None and item < self.items.total)

    @property
    def alarm_at(self) -> datetime | None:
        """When time itself has to move it, the earlier of two; None for what is over."""
        moments = [moment for moment in (self.due_at, self.deadline_at) if moment]
        return min(moments, default=None) if self.item == WHOLE and self.state not in FINAL_TASK_STATES else None

    @classmethod
    def untouched(cls, node: int, iteration: int, item: int = WHOLE) -> "Mark":
        """Return the mark of what nothing has happened to."""
        return make(cls, untouched(node, iteration, item))


def untouched(node: int, iteration: int, item: int = WHOLE) -> dict[str, Any]:
    """Return the fields of the mark of what nothing has happened to."""
    return {"node": node, "iteration": iteration, "item": item, "fed": NOTHING_FED}


TIMED_OUT = Outcome(TaskState.FAILURE, None, Failure("timeout", "Task timed out."))
"""How a run ends that is not finished at its deadline (Mistral: `engine/policies.py`, _fail_task_if_incomplete)."""


class Event(NamedTuple):
    """A history row: the execution, or one run of `node`, reached `state` (or was reported as it, too late)."""

    number: int
    generation: int
    at: datetime
    kind: EventKind
    state: str
    node: int | None = None
    iteration: int | None = None
    item: int | None = None
    attempt: int | None = None
    info: str | None = None
    late: Outcome | None = None
