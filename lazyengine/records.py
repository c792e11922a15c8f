"""The shapes that cross a border: what a caller asks the engine for, and what the engine and the store answer.

Ids are canonical lower-case UUID strings, times are aware datetimes in UTC, durations are seconds.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from lazyengine.core.context import Context
from lazyengine.core.graph import Key
from lazyengine.core.state import (
    BACKWARD_TASK_STATES,
    FINAL_EXECUTION_STATES,
    QUESTIONS,
    ExecutionState,
    Failure,
    Items,
    Outcome,
    Question,
    TaskState,
)

T = TypeVar("T")

NOTICES: dict[str, frozenset[ExecutionState]] = {
    "finished": FINAL_EXECUTION_STATES,
    "failed": frozenset({ExecutionState.FAILURE}),
    "suspended": frozenset({ExecutionState.SUSPENDED}),
}
"""What one may be told of, and the states that an execution then comes into."""

# -- asked ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Notify:
    """A wish to be told of what becomes of an execution.

    :param on: of which of `NOTICES`
    """

    url: str
    on: tuple[str, ...] = ("finished",)


@dataclass(frozen=True, slots=True)
class Start:
    """A wish to start an execution.

    :param definition: the text (YAML) or the document of a workflow definition; None starts a stored workflow
    :param workflow: which workflow of the definition, None where it has only one; or the stored workflow
    :param namespace: where to look for the stored workflow first; then in the default one, ''
    :param id: chosen by the caller, or None
    :param digest: of the whole request as it was sent: the same id with another digest is refused
    """

    definition: str | dict[str, Any] | None
    digest: str
    workflow: str | None = None
    namespace: str = ""
    input: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    id: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    traceparent: str | None = None
    notify: tuple[Notify, ...] = ()


@dataclass(frozen=True)
class Report:
    """What a worker says of a task: how it ended.

    :param iteration: which run; None is the newest
    :param attempt: which attempt the answer is for; None is the current one
    :param item: which item of a task with items, from 0
    :param execution_created_at: of the execution that is meant; None is the one that has the id now
    """

    task: str
    outcome: Outcome
    iteration: int | None = None
    attempt: int | None = None
    item: int | None = None
    execution_created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rerun:
    """A wish to run a task again that failed, or to pass over it.

    :param iteration: which run; None is the newest
    :param input: parameters in the place of those of the task that have the same names
    :param reset: of a task with items: run all of them, not only those that failed
    :param skip: do not run it, but go on as its on-skip says
    """

    task: str
    iteration: int | None = None
    input: dict[str, Any] | None = None
    reset: bool = True
    skip: bool = False


@dataclass(frozen=True)
class Heartbeat:
    """What a worker says of a task that it still works on; `progress` is from 0 to 1."""

    task: str
    iteration: int | None = None
    attempt: int | None = None
    progress: float | None = None
    lease_seconds: float | None = None
    item: int | None = None
    execution_created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A wish for work: at most `limit` tasks of these targets (and actions), for `lease_seconds`."""

    worker: str
    targets: tuple[str, ...] = ("default",)
    actions: tuple[str, ...] | None = None
    limit: int = 1
    lease_seconds: float = 60.0
    key: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutionQuery:
    """Which executions to list; `created` holds (operator, time) pairs with gt, gte, lt, lte, eq or neq."""

    states: tuple[ExecutionState, ...] = ()
    workflow: str | None = None
    tag: str | None = None
    parent: str | None = None
    created: tuple[tuple[str, datetime], ...] = ()
    descending: bool = True
    limit: int = 100
    marker: str | None = None
    values: bool = False  # load input and output too


@dataclass(frozen=True, slots=True)
class TaskQuery:
    """Which tasks of an execution to list; `marker` is (node, iteration) of the last one seen."""

    states: tuple[TaskState, ...] = ()
    limit: int = 100
    marker: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class WorkflowQuery:
    """Which stored workflows to list; `marker` is (namespace, name) of the last one seen, in that order."""

    namespace: str | None = None
    limit: int = 100
    marker: tuple[str, str] | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class RunData:
    """What the data flow leaves at a run or an item.

    It is what it sees, its input, action and target where these had expressions, what it published, the execution that
    does its work, and of a retry controller what its attempts came to.
    """

    context: Context | None = None
    input: dict[str, Any] | None = None
    published: dict[str, Any] | None = None
    action: str | None = None
    target: str | None = None
    child_id: str | None = None
    attempts: list[Any] | None = None


# -- answered ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parent:
    """The task that an execution does the work of.

    :param key: its run, or an item of it
    :param attempt: which attempt of that
    """

    execution_id: str
    task: str
    key: Key
    attempt: int

    @property
    def iteration(self) -> int:
        return self.key[1]

    @property
    def item(self) -> int | None:
        return self.key[2] if len(self.key) > 2 else None


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution as callers see it; `input` and `output` are None where a list left them out."""

    id: str
    workflow: str
    definition_digest: str
    state: ExecutionState
    info: str | None
    params: dict[str, Any]
    description: str
    tags: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    generation: int
    parent: Parent | None
    root_execution_id: str
    input: dict[str, Any] | None = None
    output: Any = None


@dataclass(frozen=True)
class Identity:
    """What an execution is from its start to its end.

    :param namespace: where workflows that it names are looked for first
    :param root_id: the execution at the top, itself if it has no parent
    :param depth: how many executions are above it
    :param has_data: its runs have contexts
    :param created_at: tells it from one that had its id before
    :param flow: the TaskFlow flow that it runs, by the name that the engine knows it under
    :param notify: who is to be told of it
    """

    id: str
    owner: str
    graph_id: int
    workflow: str
    definition_digest: str
    namespace: str
    params: dict[str, Any]
    parent: Parent | None
    root_id: str
    depth: int
    has_data: bool
    traceparent: str | None
    created_at: datetime
    flow: str | None = None
    notify: tuple[Notify, ...] = ()


@dataclass(frozen=True)
class Task:
    """A run of a task as callers see it; `input` and `result` are None where a list left them out."""

    execution_id: str
    node: int
    name: str
    iteration: int
    state: TaskState
    info: str | None
    action: str | None
    target: str
    attempt: int
    progress: float | None
    claimed_by: str | None
    lease_expires_at: datetime | None
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    item: int | None = None
    items: Items | None = None
    due_at: datetime | None = None
    deadline_at: datetime | None = None
    child_execution_id: str | None = None
    input: dict[str, Any] | None = None
    result: Any = None
    failure: Failure | None = None
    published: dict[str, Any] = field(default_factory=dict)
    execution_created_at: datetime | None = None
    callback_url: str | None = None

    @property
    def reverts(self) -> bool:
        """Whether its revert is under way, or has ended."""
        return self.state in BACKWARD_TASK_STATES

    @property
    def asks(self) -> Question | None:
        """The question about it that is under way."""
        return QUESTIONS.get(self.state)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run of a task stands, in few words.

    :param action: the action, or the workflow, that does its work; None is what the task names
    """

    state: TaskState = TaskState.PENDING
    iteration: int = 1
    action: str | None = None
    items: Items | None = None


@dataclass(frozen=True)
class Assignment:
    """A task that was handed out: all that whoever runs it has to know.

    :param reverts: it is to be reverted
    :param asks: it is not to be done, but a question about it to be answered
    :param flow: the TaskFlow flow that it is of, by the name that the engine knows it under
    :param timeout_seconds: from when it is handed out to `deadline_at`
    """

    execution_id: str
    task: str
    iteration: int
    attempt: int
    action: str | None
    target: str
    input: dict[str, Any]
    item: int | None = None
    deadline_at: datetime | None = None
    traceparent: str | None = None
    lease_expires_at: datetime | None = None
    reverts: bool = False
    asks: Question | None = None
    flow: str | None = None
    timeout_seconds: float | None = None
    execution_created_at: datetime | None = None
    callback_url: str | None = None


def seconds_left(deadline_at: datetime | None, now: datetime) -> float | None:
    """Return how long it is to a deadline; 0 once it has passed."""
    return None if deadline_at is None else max(0.0, (deadline_at - now).total_seconds())


@dataclass(frozen=True, slots=True)
class Errand:
    """A task that a dispatcher is about to send.

    :param key: of its run, or of an item of it; that of a run ends with -1
    :param sends: how often sending this attempt has failed
    :param unsent_since: when that failed first
    """

    owner: str
    key: Key
    assignment: Assignment
    sends: int = 0
    unsent_since: datetime | None = None

    @property
    def id(self) -> str:
        """Names the attempt, for receivers that meet it twice."""
        node, iteration, item = self.key
        return f"{self.assignment.execution_id}.{node}.{iteration}.{item}.{self.assignment.attempt}"


@dataclass(frozen=True, slots=True)
class PastEvent:
    """A row of the history: the execution, or a run of a task, reached a state, or was reported in it too late.

    :param kind: execution, task or late_result
    :param task: None where the execution itself is meant
    :param late: the answer that came too late
    """

    number: int
    at: datetime
    kind: str
    state: str
    task: str | None = None
    iteration: int | None = None
    item: int | None = None
    attempt: int | None = None
    info: str | None = None
    late: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The answer to a `Start`; `created` is False where the same request had been answered before."""

    execution: Execution
    scheduled: tuple[Assignment, ...]
    created: bool


@dataclass(frozen=True)
class Rerunning:
    """The answer to a `Rerun`."""

    execution: Execution
    scheduled: tuple[Assignment, ...]


@dataclass(frozen=True, slots=True)
class ExecutionStatus:
    """What a worker is told of the execution that its task belongs to."""

    id: str
    state: ExecutionState
    output: Any = None


@dataclass(frozen=True)
class Reported:
    """The answer to a `Report` or a `Heartbeat`."""

    task: Task
    execution: ExecutionStatus
    scheduled: tuple[Assignment, ...] = ()
    replayed: bool = False
    cancel_requested: bool = False


@dataclass(frozen=True, slots=True)
class Notification:
    """Something that somebody is to be told.

    :param body: the data of the event
    :param due_at: when it is sent next
    :param tries: how often that has failed
    :param error: why it failed last
    :param is_dead: it was given up
    """

    id: int
    execution_id: str
    url: str
    body: dict[str, Any]
    created_at: datetime
    due_at: datetime
    tries: int
    error: str | None
    is_dead: bool

    @property
    def state(self) -> str:
        return "dead" if self.is_dead else "pending"


@dataclass(frozen=True, slots=True)
class NotificationQuery:
    """Which notifications to list; `marker` is the id of the last one seen."""

    is_dead: bool | None = None
    limit: int = 100
    marker: int | None = None


@dataclass(frozen=True, slots=True)
class Overdue:
    """What time has come for.

    :param count: how much there is, up to a bound
    :param since: when time came for the oldest; None where there is nothing
    """

    count: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for somebody to do it.

    :param outbox: by the kind of row
    :param offers: the tasks on offer, by target
    :param dead_letters: notifications that were given up
    :param leases: those that have run out and were not ended yet
    :param alarms: delays and deadlines
    :param sendings: tasks that a dispatcher took and did not send in time
    """

    outbox: dict[str, Overdue]
    offers: dict[str, Overdue]
    dead_letters: Overdue
    leases: Overdue
    alarms: Overdue
    sendings: Overdue


@dataclass(frozen=True, slots=True)
class DeclaredInput:
    """An input of a workflow; one that is not required has a default."""

    name: str
    required: bool
    default: Any = None


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a workflow says of itself."""

    name: str
    input: tuple[DeclaredInput, ...] = ()
    tags: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class StoredWorkflow:
    """A revision of a stored workflow; `definition` is None where a list left it out.

    :param definition_digest: of the whole definition that it was stored with
    :param created_at: None for a TaskFlow flow, which is in the service's settings
    """

    namespace: str
    revision: int
    definition_digest: str
    created_at: datetime | None
    declaration: Declaration
    definition: str | dict[str, Any] | None = None
    language: str = "mistral"


@dataclass(frozen=True, slots=True)
class WorkflowsStored:
    """The answer to a wish to store a definition; `created` is False where nothing was new."""

    workflows: tuple[StoredWorkflow, ...]
    created: bool


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list; `more` says that another one follows."""

    items: tuple[T, ...]
    more: bool
