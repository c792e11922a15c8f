"""The bodies that callers send."""

from lazyengine.api.document import Document, OneOf, member, optional
from lazyengine.api.types import (
    JSON,
    JSON_OBJECT,
    UUID,
    Choice,
    Flag,
    Integer,
    Matching,
    Name,
    Number,
    Text,
    TextOrObject,
)
from lazyengine.core.state import ExecutionState, TaskState
from lazyengine.records import NOTICES

MAX_LEASE_SECONDS = 86_400
MAX_WAIT_SECONDS = 60
MAX_DELAY_SECONDS = 10 * 365 * 86_400
MAX_BATCH = 1_000
NAME = Text(255)
ATTEMPT = Integer(1)
DESCRIPTION = Text(4096, min_length=0)
NAMESPACE = Name(min_length=0)
DEFINITION = TextOrObject()

NOT_YET = "is not supported yet"


class ExecutionParams(Document):
    """How an execution runs."""

    env = optional(JSON_OBJECT, "What expressions find under env(); expressions in it are evaluated at the start.")
    evaluate_env = optional(Flag(), "False: env is taken as it is; true if left out.")
    task_name = optional(NAME, "The target of a reverse workflow.")
    default_action = optional(Name(min_length=0), "The action of tasks that name none; empty: the caller's work.")
    read_only = optional(
        Flag(), "True: nobody can suspend, cancel, relabel or rerun it or those below it; tasks are completed as ever."
    )
    start_after_seconds = optional(
        Number(0, MAX_DELAY_SECONDS), "The first tasks begin so long after the start; until then they are DELAYED."
    )


class Notify(Document):
    """Who is to be told of what becomes of an execution."""

    url = member(
        Matching(r"https?://[!-~]{1,2000}", "an http or https URL in ASCII"), "A signed CloudEvent is POSTed there."
    )
    on = optional(
        [Choice({notice: notice for notice in NOTICES})],
        "finished: it is final; failed: it is FAILURE; suspended: it is SUSPENDED.",
        default=("finished",),
        max_items=len(NOTICES),
    )


class ExecutionStart(Document):
    """A wish to start an execution."""

    _one_of = ("definition", "workflow")

    definition = optional(DEFINITION, "A definition to run. Without it, a stored workflow is started.")
    workflow = optional(
        NAME, "Which workflow of the definition, unless it has only one; or the stored workflow to start, as it is now."
    )
    namespace = optional(
        NAMESPACE, "Where the stored workflow is looked for, before the default namespace.", default=""
    )
    input = optional(JSON_OBJECT, "The workflow's input.")
    params = optional(ExecutionParams)
    id = optional(UUID, "Chosen by the caller: repeating the request with it starts nothing twice.")
    description = optional(DESCRIPTION, "For people.", default="")
    tags = optional([NAME], "To find it again.", default=(), max_items=64)
    notify = optional([Notify], "Who is to be told of its end.", default=(), max_items=16)


class WorkflowDefinition(Document):
    """A definition whose workflows are to be stored."""

    definition = member(DEFINITION, "Its YAML text, or the same document as an object.")
    namespace = optional(NAMESPACE, "Where to store them; the default namespace has the empty name.", default="")


class WorkflowCandidate(Document):
    """A definition to be checked."""

    definition = member(DEFINITION, "Its YAML text, or the same document as an object.")


class ExecutionChange(Document):
    """What to change of an execution."""

    _at_least_one = True

    state = optional(
        Choice({s.value: s for s in (ExecutionState.SUSPENDED, ExecutionState.RUNNING, ExecutionState.CANCELLED)}),
        "SUSPENDED hands out no more tasks, RUNNING goes on, CANCELLED ends it.",
    )
    description = optional(DESCRIPTION, "Replaces the description.")
    tags = optional([NAME], "Replace the tags.", max_items=64)


class TaskRerun(Document):
    """Which task to run again, and how."""

    task = member(NAME, "The task.")
    iteration = optional(Integer(1), "Which run of the task; the newest if left out.", default=None)
    input = optional(JSON_OBJECT, "Parameters in the place of those of the task that have the same names.")
    reset = optional(Flag(), "Of a with-items task: run all items again, not only those that failed.", default=True)
    skip = optional(Flag(), "Do not run it: go on as its on-skip says, or its on-success.", default=False)


class ReportedFailure(Document):
    """Why a task failed."""

    type = member(NAME, "A word for programs.")
    message = member(Text(65_536, min_length=0), "A sentence for people.")
    details = optional(JSON, "Any JSON.", default=None)


class Report(Document):
    """What is said of a task, whatever its state."""

    attempt = optional(ATTEMPT, "The attempt that this report is for; the current one if left out.", default=None)


class Entry(Document):
    """Which task one of several reports is of."""

    name = member(NAME, "The task.")
    iteration = optional(Integer(1), "Which run of the task; the newest if left out.", default=None)
    item = optional(Integer(0), "Which item of a with-items task, from 0.", default=None)


class TaskSuccess(Report):
    """The task has done its work."""

    state = member(Choice({"SUCCESS": TaskState.SUCCESS}))
    result = optional(JSON, "What it found, any JSON.", default=None)


class TaskFailure(Report):
    """The task could not do its work."""

    state = member(Choice({"FAILURE": TaskState.FAILURE}))
    failure = optional(ReportedFailure, "Why.")
    result = optional(JSON, "What it found all the same, any JSON.", default=None)


class TaskCancellation(Report):
    """The task was given up."""

    state = member(Choice({"CANCELLED": TaskState.CANCELLED}))


class TaskHeartbeat(Report):
    """The task is still worked on."""

    state = member(Choice({"RUNNING": TaskState.RUNNING}))
    progress = optional(Number(0, 1), "How much of it is done.", default=None)
    lease_seconds = optional(
        Number(0, MAX_LEASE_SECONDS, above=True),
        "Hold the lease for this long from now; what is on offer has none.",
        default=None,
    )


class TaskSuccessEntry(Entry, TaskSuccess):
    """One task of many has done its work."""


class TaskFailureEntry(Entry, TaskFailure):
    """One task of many could not do its work."""


class TaskCancellationEntry(Entry, TaskCancellation):
    """One task of many was given up."""


TASK_REPORT = OneOf(
    "TaskReport",
    "state",
    {"SUCCESS": TaskSuccess, "FAILURE": TaskFailure, "CANCELLED": TaskCancellation, "RUNNING": TaskHeartbeat},
)
TASK_REPORT_ENTRY = OneOf(
    "TaskReportEntry",
    "state",
    {"SUCCESS": TaskSuccessEntry, "FAILURE": TaskFailureEntry, "CANCELLED": TaskCancellationEntry},
)


class TaskReports(Document):
    """How several tasks of one execution ended."""

    tasks = member([TASK_REPORT_ENTRY], "In the order in which they are to be recorded.", max_items=MAX_BATCH)


class ClaimRequest(Document):
    """A worker's wish for tasks."""

    worker = member(NAME, "Who asks.")
    targets = optional([NAME], "Whose tasks it takes.", default=("default",), max_items=64)
    actions = optional([NAME], "Take tasks of these actions only.", default=None, max_items=64)
    limit = optional(Integer(1, 1000), "How many tasks at most.", default=1)
    lease_seconds = optional(
        Number(0, MAX_LEASE_SECONDS, above=True), "For how long they are the worker's.", default=60.0
    )
    wait_seconds = optional(Number(0, MAX_WAIT_SECONDS), "How long to wait for a first task.", default=0.0)
    claim_key = optional(NAME, "Chosen by the worker: a repeat with the same key gives the same leases.", default=None)
