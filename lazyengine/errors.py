"""Every error a caller can meet, in one file.

The docstring of a class is the text a caller reads: it is formatted with the keyword arguments given to the
constructor and says what to do next.  ``status`` is the HTTP status; ``code`` is stable and named in the api-ref.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a document, and its place as a JSON Pointer (RFC 6901)."""

    path: str
    message: str


class LazyEngineError(Exception):
    """The service met a condition that it did not expect; give the request id to its operator."""

    status = 500
    code = "internal"

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__((type(self).__doc__ or "").format(**facts))


# -- the request itself -----------------------------------------------------------------------------------------------


class RequestInvalid(LazyEngineError):
    """{reason}"""

    status = 400
    code = "request.invalid"


class AuthenticationRequired(LazyEngineError):
    """Send 'Authorization: Bearer <token>' with one of the tokens that this service was configured with."""

    status = 401
    code = "authentication.required"


class CallbackInvalid(LazyEngineError):
    """This callback URL was altered, or signed with a key that this service does not know; use it as it was given."""

    status = 403
    code = "callback.invalid"


class CallbackExpired(LazyEngineError):
    """This callback URL has expired; look at the task for a new one, or report with a token."""

    status = 403
    code = "callback.expired"


class CallbackOutlived(LazyEngineError):
    """This callback URL is for an execution {execution_id} that was deleted; there is another one of that id now."""

    status = 403
    code = "callback.outlived"


class ResourceNotFound(LazyEngineError):
    """Nothing is served at {path}; GET / and GET /openapi.json tell what is."""

    status = 404
    code = "resource.not_found"


class MethodNotAllowed(LazyEngineError):
    """{method} is not allowed here; the Allow header tells what is."""

    status = 405
    code = "request.method_not_allowed"


class NotAcceptable(LazyEngineError):
    """The answer would be {media_type}; send an Accept header that admits it, or none."""

    status = 406
    code = "request.not_acceptable"


class RequestTooLarge(LazyEngineError):
    """The body is larger than {limit_bytes} bytes; send less, or raise max_body_bytes in the settings."""

    status = 413
    code = "request.too_large"


class UnsupportedMediaType(LazyEngineError):
    """Only application/json is read; YAML travels as a string inside it. Set Content-Type: application/json."""

    status = 415
    code = "request.unsupported_media_type"


# -- definitions and input --------------------------------------------------------------------------------------------


class DefinitionInvalid(LazyEngineError):
    """The definition cannot run: {summary}."""

    status = 400
    code = "definition.invalid"

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        first = f"{faults[0].path or '/'}: {faults[0].message}"
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(summary=first + more)


class InputInvalid(LazyEngineError):
    """The input does not fit workflow '{workflow}': {reason}."""

    status = 400
    code = "input.invalid"


class WorkflowNotFound(LazyEngineError):
    """No workflow '{workflow}' {where}."""

    status = 404
    code = "workflow.not_found"

    @classmethod
    def in_definition(cls, workflow: str, known: list[str]) -> "WorkflowNotFound":
        return cls(
            workflow=workflow, where="in the definition, which has: " + ", ".join(f"'{name}'" for name in known[:20])
        )

    @classmethod
    def stored(cls, workflow: str, namespace: str = "", revision: int | None = None) -> "WorkflowNotFound":
        which = f" as revision {revision}" if revision is not None else ""
        place = f" in namespace '{namespace}'" if namespace else ""
        return cls(workflow=workflow, where=f"is stored{which}{place}; GET /workflows lists those there are")

    @classmethod
    def flow(cls, workflow: str) -> "WorkflowNotFound":
        return cls(workflow=workflow, where="is among the flows that this process knows")


class FlowUnusable(LazyEngineError):
    """Flow '{workflow}' cannot be made: {reason}."""

    status = 500
    code = "flow.unusable"

    def __init__(
        self, workflow: str, reason: str = "its factory fails, as the log of the service tells its operator"
    ) -> None:
        super().__init__(workflow=workflow, reason=reason.removesuffix("."))


class FlowChanged(LazyEngineError):
    """Execution {execution_id} began with another flow '{workflow}' than there is now; bring that back."""

    status = 409
    code = "flow.changed"


class WorkflowExists(LazyEngineError):
    """A workflow '{workflow}' is stored already with another definition; PUT /workflows makes a new revision of it."""

    status = 409
    code = "workflow.exists"


# -- executions -------------------------------------------------------------------------------------------------------


class ExecutionNotFound(LazyEngineError):
    """No execution {execution_id}; GET /executions lists those there are."""

    status = 404
    code = "execution.not_found"


class ExecutionIdInUse(LazyEngineError):
    """Execution {execution_id} was started by a different request; choose another id, or repeat the first request."""

    status = 409
    code = "execution.id_in_use"


class ExecutionFinished(LazyEngineError):
    """Execution {execution_id} is {state}, which is final; nothing changed. What is to run again is started anew."""

    status = 409
    code = "execution.finished"


class ExecutionSucceeded(LazyEngineError):
    """Execution {execution_id} is SUCCESS, so no task of it can run again; start another execution."""

    status = 409
    code = "execution.succeeded"


class ExecutionSuspended(LazyEngineError):
    """Execution {execution_id} is {state}; resume it first, with PUT and state RUNNING."""

    status = 409
    code = "execution.suspended"


class ExecutionReadOnly(LazyEngineError):
    """Execution {execution_id} was started with `read_only`: its tasks can be completed, but nobody can change it."""

    status = 409
    code = "execution.read_only"


class ExecutionNotFinished(LazyEngineError):
    """Execution {execution_id} is {state}; wait for its end, or delete it with force=true, which cancels it first."""

    status = 409
    code = "execution.not_finished"


class GraphTooLarge(LazyEngineError):
    """Execution {execution_id} has over {max_tasks} tasks or {max_edges} edges; list its tasks page by page instead."""

    status = 409
    code = "graph.too_large"


# -- tasks ------------------------------------------------------------------------------------------------------------


class TaskNotFound(LazyEngineError):
    """Execution {execution_id} has no task '{task}'{which}; GET /executions/{execution_id}/tasks lists them."""

    status = 404
    code = "task.not_found"

    @classmethod
    def of(cls, execution_id: str, task: str, iteration: int | None = None, item: int | None = None) -> "TaskNotFound":
        which = "" if iteration is None else f" of iteration {iteration}"
        which += "" if item is None else f" with item {item}"
        return cls(execution_id=execution_id, task=task, which=which)


class TaskHasItems(LazyEngineError):
    """Task '{task}' of execution {execution_id} has items: report on each of them, with `?item=`."""

    status = 409
    code = "task.has_items"


class TaskNotFailed(LazyEngineError):
    """Task '{task}' of execution {execution_id} is {state}; only {wanted} can be {done}."""

    status = 409
    code = "task.not_failed"


class TaskBlocked(LazyEngineError):
    """Task '{task}' of execution {execution_id} never ran: {info}. Run those again; skipping it is possible, too."""

    status = 409
    code = "task.blocked"


class TaskInputOfItems(LazyEngineError):
    """Task '{task}' of execution {execution_id} has items, each with an input of its own; leave out the input."""

    status = 409
    code = "task.input_of_items"


class TaskRunsWorkflow(LazyEngineError):
    """Task '{task}' of execution {execution_id} ends with execution {child}, which does its work; cancel that one."""

    status = 409
    code = "task.runs_workflow"


class TaskNotRunning(LazyEngineError):
    """Task '{task}' of execution {execution_id} is {state}: it was not handed out yet, so it cannot be reported on."""

    status = 409
    code = "task.not_running"


class TaskAlreadyCompleted(LazyEngineError):
    """Task '{task}' of execution {execution_id} finished as {state} with another outcome, which stands."""

    status = 409
    code = "task.already_completed"


class TaskStaleAttempt(LazyEngineError):
    """Task '{task}' of execution {execution_id} is at attempt {current}, not {attempt}; kept in the history only."""

    status = 409
    code = "task.stale_attempt"


class TaskDeadlinePassed(LazyEngineError):
    """Task '{task}' of execution {execution_id} was not finished at its deadline; kept in the history only."""

    status = 409
    code = "task.deadline_passed"


class NotificationNotFound(LazyEngineError):
    """No notification {notification_id} waits or is dead: it may have been told; GET /notifications lists them."""

    status = 404
    code = "notification.not_found"


# -- the database -----------------------------------------------------------------------------------------------------


class DatabaseBusy(LazyEngineError):
    """The database did not let this request through in time; nothing changed, repeat it after a moment."""

    status = 503
    code = "database.busy"


class DatabaseUnavailable(LazyEngineError):
    """The database cannot be reached; repeat the request after a moment."""

    status = 503
    code = "database.unavailable"


class SchemaNotReady(LazyEngineError):
    """The database schema is at {current}, this service needs {head}; run 'lazyengine db upgrade'."""

    status = 503
    code = "database.schema_not_ready"


class MetricsNotInstalled(LazyEngineError):
    """Metrics need prometheus_client: its operator has to install the extra, pip install 'lazyengine[metrics]'."""

    status = 501
    code = "metrics.not_installed"


# -- requests to others -----------------------------------------------------------------------------------------------


class OutboundRefused(LazyEngineError):
    """{where} may not be called: {reason}."""

    code = "outbound.refused"


class OutboundFailed(LazyEngineError):
    """{where} gave no answer: {reason}."""

    code = "outbound.failed"


class OutboundUnanswered(OutboundFailed):
    """{where} was sent all of the request, and gave no answer: {reason}."""

    code = "outbound.unanswered"


class OutboundTooLarge(OutboundFailed):
    """{where} answers with more than {limit_bytes} bytes."""

    code = "outbound.too_large"


class WorkerRefused(LazyEngineError):
    """The API at {api} hands out no tasks here: {detail}"""

    code = "worker.refused"


# -- the start of the service -----------------------------------------------------------------------------------------


class SettingsInvalid(LazyEngineError):
    """{reason}"""

    code = "settings.invalid"
