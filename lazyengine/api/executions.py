"""Executions: start, look at, change, delete."""

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wsme.types import Unset

from lazyengine.api import answers, requests
from lazyengine.api.listing import DEFAULT_LIMIT, LIMIT, MAX_LIMIT, Listing, listing
from lazyengine.api.operation import Answer, Parameter, Segment, operation
from lazyengine.api.request import Request
from lazyengine.api.requests import MAX_WAIT_SECONDS, NAME
from lazyengine.api.types import UUID, Choice, ComparedTime, Flag, Number
from lazyengine.api.waiting import Progress, Waiting
from lazyengine.callbacks import Callbacks
from lazyengine.core.state import FINAL_EXECUTION_STATES, ExecutionState
from lazyengine.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    DefinitionInvalid,
    ExecutionFinished,
    ExecutionIdInUse,
    ExecutionNotFinished,
    ExecutionNotFound,
    ExecutionReadOnly,
    ExecutionSucceeded,
    ExecutionSuspended,
    FlowChanged,
    FlowUnusable,
    InputInvalid,
    RequestInvalid,
    TaskBlocked,
    TaskInputOfItems,
    TaskNotFailed,
    TaskNotFound,
    WorkflowNotFound,
)
from lazyengine.records import Execution, ExecutionQuery, Notify, Rerun, Rerunning, Start

if TYPE_CHECKING:
    from lazyengine.engine import Engine

DATABASE = (DatabaseBusy, DatabaseUnavailable)
FLOWS = (WorkflowNotFound, FlowChanged, FlowUnusable)
VALUES = ("input", "output")
PATH = "/executions/{execution_id}"

EXECUTION_ID = Segment(
    "execution_id",
    UUID,
    "The execution.",
    absent=lambda texts: ExecutionNotFound(execution_id=texts["execution_id"]),
)
WAIT_SECONDS = Parameter(
    "wait_seconds",
    Number(0, MAX_WAIT_SECONDS),
    "Wait for at most this long until the state is final; a busy service answers at once.",
)
FORCE = Parameter("force", Flag(), "Cancel it first, if it is not final.")
LIST_PARAMETERS = (
    Parameter("state", answers.EXECUTION_STATE, "Those in one of these states.", repeated=True),
    Parameter("workflow", NAME, "Those of this workflow."),
    Parameter("tag", NAME, "Those with this tag."),
    Parameter("parent", UUID, "Those that do the work of tasks of this execution."),
    Parameter(
        "created_at", ComparedTime(), "Those created at such a time, as in gt:2026-01-02T03:04:05Z.", repeated=True
    ),
    Parameter("sort", Choice({"created_at:desc": True, "created_at:asc": False}), "Newest first, or oldest first."),
    LIMIT,
    Parameter("marker", UUID, "The last execution of the page before."),
    Parameter("fields", Choice(dict(zip(VALUES, VALUES, strict=True))), "Large members to show too.", repeated=True),
)


class Executions:
    """The controller of executions."""

    def __init__(self, engine: "Engine", waiting: Waiting, callbacks: Callbacks) -> None:
        self._engine = engine
        self._waiting = waiting
        self._callbacks = callbacks

    @operation(
        "POST",
        "/executions",
        answers.StartedExecution,
        body=requests.ExecutionStart,
        statuses={201: "It was started.", 200: "The same request had started it before."},
        errors=(
            DefinitionInvalid,
            InputInvalid,
            ExecutionIdInUse,
            *FLOWS,
            *DATABASE,
        ),
    )
    def start_execution(self, request: Request, body: requests.ExecutionStart) -> Answer:
        """Start an execution.

        Compiles the definition, or takes the newest revision of a stored workflow, or a flow that is registered with
        the service; creates the execution, works out the first batch of tasks and schedules it, in one transaction.
        With an `id`, the request can be repeated safely.
        """
        started = self._engine.start_execution(request.owner, start_of(request, body))
        location = f"{request.application_url}/executions/{started.execution.id}"
        scheduled = self._callbacks.offer(request.owner, started.scheduled)
        return Answer(replace(started, scheduled=scheduled), 201 if started.created else 200, (("Location", location),))

    @operation("GET", "/executions", answers.ExecutionList, parameters=LIST_PARAMETERS, errors=DATABASE)
    def list_executions(
        self, request: Request, *, fields: tuple[str, ...] = (), limit: int = DEFAULT_LIMIT, **filters: Any
    ) -> Listing:
        """List executions, newest first.

        Input and output are left out unless `fields` asks for them.
        """
        query = execution_query(min(limit, MAX_LIMIT), bool(fields), **filters)
        page = self._engine.list_executions(request.owner, query)
        hidden = {name: Unset for name in VALUES if name not in fields}
        shown = replace(page, items=tuple(replace(execution, **hidden) for execution in page.items))
        return listing(request, shown, lambda execution: execution.id)

    @operation(
        "GET",
        PATH,
        answers.Execution,
        segments=(EXECUTION_ID,),
        parameters=(WAIT_SECONDS,),
        errors=(ExecutionNotFound, *DATABASE),
    )
    def get_execution(self, request: Request, execution_id: str, wait_seconds: float = 0.0) -> Execution:
        """Look at an execution, or wait for its end."""
        return self._waiting.until(
            wait_seconds,
            Progress(execution_id),
            lambda: self._engine.get_execution(request.owner, execution_id),
            lambda execution: execution.state in FINAL_EXECUTION_STATES,
        )

    @operation(
        "PUT",
        PATH,
        answers.Execution,
        segments=(EXECUTION_ID,),
        body=requests.ExecutionChange,
        errors=(ExecutionNotFound, ExecutionFinished, ExecutionReadOnly, *FLOWS, *DATABASE),
    )
    def update_execution(self, request: Request, execution_id: str, body: requests.ExecutionChange) -> Execution:
        """Suspend, resume, cancel or relabel an execution.

        Asking for the state that it is in, or on its way to, changes nothing and is no error.
        """
        state: ExecutionState | None = body.state or None
        description: str | None = None if body.description is Unset else body.description
        tags = None if body.tags is Unset else tuple(body.tags)
        return self._engine.update_execution(
            request.owner, execution_id, state=state, description=description, tags=tags
        )

    @operation(
        "POST",
        PATH + "/rerun",
        answers.RerunExecution,
        segments=(EXECUTION_ID,),
        body=requests.TaskRerun,
        errors=(
            ExecutionNotFound,
            ExecutionReadOnly,
            ExecutionSucceeded,
            ExecutionSuspended,
            TaskNotFound,
            TaskNotFailed,
            TaskBlocked,
            TaskInputOfItems,
            *FLOWS,
            *DATABASE,
        ),
    )
    def rerun_task(self, request: Request, execution_id: str, body: requests.TaskRerun) -> Rerunning:
        """Run a failed or cancelled task again, or skip it, and go on from there.

        The execution is RUNNING again, and what was taken off offer as it was cancelled is on offer again.
        """
        answer = self._engine.rerun_task(request.owner, execution_id, rerun_of(body))
        return replace(answer, scheduled=self._callbacks.offer(request.owner, answer.scheduled))

    @operation(
        "DELETE",
        PATH,
        None,
        segments=(EXECUTION_ID,),
        parameters=(FORCE,),
        statuses={204: "It is gone, with all that was kept of it."},
        errors=(ExecutionNotFound, ExecutionNotFinished, ExecutionReadOnly, *DATABASE),
    )
    def delete_execution(self, request: Request, execution_id: str, force: bool = False) -> None:
        """Delete a final execution."""
        self._engine.delete_execution(request.owner, execution_id, force=force)


def rerun_of(body: requests.TaskRerun) -> Rerun:
    """Make the engine's wish of a body.

    :raises RequestInvalid: an input for a task that is to be skipped
    """
    given = None if body.input is Unset else body.input
    if body.skip and given is not None:
        raise RequestInvalid(reason="'/input' is for a task that runs; leave it out, or '/skip'.")
    return Rerun(body.task, body.iteration, given, body.reset, body.skip)


def start_of(request: Request, body: requests.ExecutionStart) -> Start:
    """Make the engine's wish of a body; its digest tells whether a later request with the same id is the same.

    Without an id there is none: a request that names the id which the execution gets is another one.

    :raises RequestInvalid: a namespace for a definition that is given
    """
    if "definition" in request.document and "namespace" in request.document:
        raise RequestInvalid(
            reason="'/namespace' is for a stored workflow; leave out the definition, or the namespace."
        )
    canonical = json.dumps(request.document, sort_keys=True, separators=(",", ":")) if body.id else ""
    params = {
        name: value
        for name in ("env", "evaluate_env", "default_action", "task_name")
        if (value := getattr(body.params, name, Unset)) is not Unset
    }
    return Start(
        definition=None if body.definition is Unset else body.definition,
        digest=hashlib.sha256(canonical.encode()).hexdigest() if canonical else "",
        workflow=body.workflow or None,
        namespace=body.namespace,
        input=body.input or {},
        params=params,
        id=body.id or None,
        description=body.description,
        tags=tuple(body.tags),
        traceparent=request.traceparent,
        notify=tuple(Notify(one.url, tuple(dict.fromkeys(one.on))) for one in body.notify),
    )


def execution_query(
    limit: int,
    values: bool,
    *,
    state: list[ExecutionState] | tuple[()] = (),
    workflow: str | None = None,
    tag: str | None = None,
    parent: str | None = None,
    created_at: list[tuple[str, Any]] | tuple[()] = (),
    sort: bool = True,
    marker: str | None = None,
) -> ExecutionQuery:
    """Make the engine's query of the parameters as they were read."""
    return ExecutionQuery(
        states=tuple(dict.fromkeys(state)),
        workflow=workflow,
        tag=tag,
        parent=parent,
        created=tuple(created_at),
        descending=sort,
        limit=limit,
        marker=marker,
        values=values,
    )
