"""Tasks: look at them, and report how they went."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wsme.types import Unset

from lazyengine.api import answers, requests
from lazyengine.api.executions import DATABASE, EXECUTION_ID, FLOWS, PATH
from lazyengine.api.listing import DEFAULT_LIMIT, LIMIT, MAX_LIMIT, Listing, listing
from lazyengine.api.operation import Parameter, Segment, operation
from lazyengine.api.request import Request
from lazyengine.api.types import Integer, Matching, Name
from lazyengine.callbacks import Callbacks
from lazyengine.core.state import Failure, Outcome, TaskState
from lazyengine.errors import (
    ExecutionFinished,
    ExecutionNotFound,
    LazyEngineError,
    TaskAlreadyCompleted,
    TaskDeadlinePassed,
    TaskHasItems,
    TaskNotFound,
    TaskNotRunning,
    TaskRunsWorkflow,
    TaskStaleAttempt,
)
from lazyengine.records import Assignment, ExecutionStatus, Heartbeat, Report, Reported, Task, TaskQuery

if TYPE_CHECKING:
    from lazyengine.engine import Engine

NO_REASON = Failure("error", "The worker gave no reason.")


class Place(Matching):
    """Where a page of tasks ended: a node and an iteration, opaque to callers."""

    def __init__(self) -> None:
        super().__init__(r"[0-9]{1,9}\.[0-9]{1,9}", "the marker that a link of a page before gave")

    def frombasetype(self, value: Any) -> Any:
        node, iteration = (int(part) for part in super().frombasetype(value).split("."))
        return node, iteration


TASK_NAME = Segment(
    "task_name",
    Name(),
    "The task, percent-encoded.",
    absent=lambda texts: TaskNotFound.of(texts["execution_id"], texts["task_name"]),
)
ITERATION = Parameter("iteration", Integer(1), "Which run of the task, from 1; the newest if left out.")
ITEM = Parameter("item", Integer(0), "Which item of a with-items task, from 0.")
REPORT_ERRORS = (
    ExecutionNotFound,
    TaskNotFound,
    ExecutionFinished,
    TaskAlreadyCompleted,
    TaskHasItems,
    TaskRunsWorkflow,
    TaskNotRunning,
    TaskStaleAttempt,
    TaskDeadlinePassed,
    *FLOWS,
)
LIST_PARAMETERS = (
    Parameter("state", answers.TASK_STATE, "Those in one of these states.", repeated=True),
    LIMIT,
    Parameter("marker", Place(), "From the link of the page before."),
)


@dataclass(frozen=True, slots=True)
class ReportedEntry:
    """What one report of several led to."""

    name: str
    status: int
    code: str | None = None
    detail: str | None = None
    task: Task | None = None
    scheduled: tuple[Assignment, ...] = ()
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class ReportedTasks:
    """What several reports led to."""

    execution: ExecutionStatus
    entries: tuple[ReportedEntry, ...]


class Tasks:
    """The controller of tasks."""

    def __init__(self, engine: "Engine", callbacks: Callbacks) -> None:
        self._engine = engine
        self._callbacks = callbacks

    @operation(
        "GET",
        PATH + "/tasks",
        answers.TaskList,
        segments=(EXECUTION_ID,),
        parameters=LIST_PARAMETERS,
        errors=(ExecutionNotFound, *DATABASE),
    )
    def list_tasks(
        self,
        request: Request,
        execution_id: str,
        state: tuple[TaskState, ...] = (),
        limit: int = DEFAULT_LIMIT,
        marker: tuple[int, int] | None = None,
    ) -> Listing:
        """List the tasks of an execution, the whole planned graph.

        Tasks that have not been reached are PENDING.  Input and result are left out.
        """
        query = TaskQuery(tuple(dict.fromkeys(state)), min(limit, MAX_LIMIT), marker)
        page = self._engine.list_tasks(request.owner, execution_id, query)
        shown = replace(page, items=tuple(self._callbacks.show(request.owner, task) for task in page.items))
        return listing(request, shown, lambda task: f"{task.node}.{task.iteration}")

    @operation(
        "GET",
        PATH + "/tasks/{task_name}",
        answers.Task,
        segments=(EXECUTION_ID, TASK_NAME),
        parameters=(ITERATION, ITEM),
        errors=(ExecutionNotFound, TaskNotFound, *DATABASE),
    )
    def get_task(
        self,
        request: Request,
        execution_id: str,
        task_name: str,
        iteration: int | None = None,
        item: int | None = None,
    ) -> Task:
        """Look at a task, or at one item of it."""
        task = self._engine.get_task(request.owner, execution_id, task_name, iteration, item)
        return self._callbacks.show(request.owner, task)

    @operation(
        "PUT",
        PATH + "/tasks/{task_name}",
        answers.ReportedTask,
        segments=(EXECUTION_ID, TASK_NAME),
        parameters=(ITERATION, ITEM),
        body=requests.TASK_REPORT,
        errors=(*REPORT_ERRORS, *DATABASE),
    )
    def complete_task(
        self,
        request: Request,
        execution_id: str,
        task_name: str,
        body: Any,
        iteration: int | None = None,
        item: int | None = None,
    ) -> Reported:
        """Report how a task went, or that it is still worked on.

        The completion callback: the tasks that become ready are scheduled in the same transaction.  The same outcome
        may be reported again.  With state RUNNING it is a heartbeat.
        """
        report = report_of(task_name, body, iteration, item)
        return self._callbacks.answer(request.owner, take_in(self._engine, request.owner, execution_id, report))

    @operation(
        "PUT",
        PATH + "/tasks",
        answers.ReportedTasks,
        segments=(EXECUTION_ID,),
        body=requests.TaskReports,
        errors=(ExecutionNotFound, *FLOWS, *DATABASE),
    )
    def complete_tasks(self, request: Request, execution_id: str, body: requests.TaskReports) -> ReportedTasks:
        """Report how several tasks ended, in one transaction.

        Each report has its own entry in the answer, with the status and code that it would have had alone; one that is
        refused does not undo the others.
        """
        reports = tuple(Report(one.name, outcome_of(one), one.iteration, one.attempt, one.item) for one in body.tasks)
        execution, results = self._engine.complete_tasks(request.owner, execution_id, reports)
        told = (
            one if isinstance(one, LazyEngineError) else self._callbacks.answer(request.owner, one) for one in results
        )
        return ReportedTasks(execution, tuple(map(entry_of, reports, told)))


def take_in(engine: "Engine", owner: str, execution_id: str, report: Report | Heartbeat) -> Reported:
    """Let the engine take in a report on a task, or a heartbeat.  Raises as `Engine.complete_task` does."""
    if isinstance(report, Heartbeat):
        return engine.heartbeat(owner, execution_id, report)
    return engine.complete_task(owner, execution_id, report)


def report_of(task: str, body: Any, iteration: int | None, item: int | None) -> Report | Heartbeat:
    """Make the engine's report of a body."""
    if body.state is TaskState.RUNNING:
        return Heartbeat(task, iteration, body.attempt, body.progress, body.lease_seconds, item)
    return Report(task, outcome_of(body), iteration, body.attempt, item)


def outcome_of(body: Any) -> Outcome:
    """Make the engine's outcome of a report of a final state."""
    failure = None
    if body.state is TaskState.FAILURE:
        given = body.failure
        failure = NO_REASON if given is Unset else Failure(given.type, given.message, given.details)
    return Outcome(body.state, getattr(body, "result", None), failure)


def entry_of(report: Report, result: Reported | LazyEngineError) -> ReportedEntry:
    """Tell of one report of several."""
    if isinstance(result, LazyEngineError):
        return ReportedEntry(report.task, result.status, result.code, str(result))
    return ReportedEntry(report.task, 200, None, None, result.task, result.scheduled, result.replayed)
