"""The bodies that the service answers with; each shows a record of the engine."""

from lazyengine.api.document import Document, member, optional
from lazyengine.api.types import JSON, JSON_OBJECT, TIME, UUID, WORDS, Choice, Flag, Integer, Number, TextOrObject
from lazyengine.core.graph import Command, Kind, On
from lazyengine.core.state import EventKind, ExecutionState, Question, TaskState
from lazyengine.pictures import GUARD_LENGTH

EXECUTION_STATE = Choice.of(ExecutionState)
TASK_STATE = Choice.of(TaskState)
COUNT = Integer(0, None)


class Link(Document):
    """Where to go from here."""

    rel = member(WORDS, "What is found there, such as next.")
    href = member(WORDS, "Its URL.")


class TaskReference(Document):
    """A task of an execution."""

    execution_id = member(UUID)
    task = member(WORDS)
    iteration = member(COUNT, "The pass of a loop, from 1.")
    item = member(COUNT, "Which item of a with-items task, from 0.", nullable=True)


class ItemCounts(Document):
    """How far the items of a with-items task are."""

    total = member(COUNT)
    done = member(COUNT)
    failed = member(COUNT)


class Failure(Document):
    """Why a task failed."""

    type = member(WORDS, "A word for programs.")
    message = member(WORDS, "A sentence for people.")
    details = member(JSON, "Any JSON.", nullable=True)


class Assignment(Document):
    """A task that was handed out: all that whoever runs it has to know."""

    execution_id = member(UUID)
    task = member(WORDS, "Its name.")
    iteration = member(COUNT, "The pass of a loop, from 1.")
    item = member(COUNT, "Which item of a with-items task, from 0.", nullable=True)
    attempt = member(COUNT, "To be repeated in the report, which is refused once a newer attempt has begun.")
    action = member(WORDS, "What to do; null leaves it to the caller.", nullable=True)
    target = member(WORDS, "Who is to do it.")
    input = member(JSON_OBJECT, "What to do it with.")
    timeout_seconds = member(Number(0, 1e12), "From when it was handed out to its deadline.", nullable=True)
    deadline_at = member(TIME, "When it fails, if it is not finished.", nullable=True)
    callback_url = member(WORDS, "A PUT to it reports on this attempt, with no authentication.", nullable=True)
    reverts = member(Flag(), "It is to be reverted; its report says how the revert went.")
    asks = member(
        Choice.of(Question),
        "A question about it is to be answered instead: decide, whether it may run; on_failure, what to do.",
        nullable=True,
    )
    traceparent = member(WORDS, "W3C trace context of the request that started the execution.", nullable=True)
    lease_expires_at = member(TIME, "Until when it is the worker's.", nullable=True)


class ExecutionSummary(Document):
    """An execution in a list."""

    id = member(UUID)
    workflow = member(WORDS, "The workflow that it runs.")
    definition_digest = member(WORDS, "SHA-256 of the definition, in hexadecimal.")
    state = member(EXECUTION_STATE)
    state_info = member(WORDS, "Why it is in this state, for people.", source="info", nullable=True)
    input = optional(JSON_OBJECT, "Only with fields=input.")
    params = member(JSON_OBJECT)
    output = optional(JSON, "Only with fields=output; null until the end.")
    description = member(WORDS)
    tags = member([WORDS])
    parent = member(TaskReference, "The task that it is the work of.", nullable=True)
    root_execution_id = member(UUID, "The outermost execution.")
    created_at = member(TIME)
    updated_at = member(TIME)
    finished_at = member(TIME, nullable=True)
    generation = member(COUNT, "How many decisions were taken so far.")


class Execution(ExecutionSummary):
    """An execution."""

    input = member(JSON_OBJECT)
    output = member(JSON, "Null until the end.", nullable=True)


class StartedExecution(Execution):
    """An execution and the tasks that its start handed out."""

    _record = "execution"

    scheduled = member([Assignment], "The first batch; empty where the same request had been answered before.")


class RerunExecution(Execution):
    """An execution and the tasks that a rerun handed out."""

    _record = "execution"

    scheduled = member([Assignment], "The task that runs again, or what follows from it.")


class ExecutionList(Document):
    """One page of executions."""

    executions = member([ExecutionSummary], source="entries")
    links = member([Link], "Has a link next unless this is the last page.")


class ExecutionOutcome(Document):
    """How an execution stands."""

    id = member(UUID)
    state = member(EXECUTION_STATE)
    output = member(JSON, "Null until the end.", nullable=True)


class TaskSummary(Document):
    """A run of a task in a list: without its input and its result."""

    execution_id = member(UUID)
    name = member(WORDS)
    iteration = member(COUNT, "The pass of a loop, from 1.")
    state = member(TASK_STATE)
    state_info = member(WORDS, "Why it is in this state, for people.", source="info", nullable=True)
    action = member(WORDS, "What it does; null leaves it to the caller.", nullable=True)
    target = member(WORDS, "Who does it.")
    reverts = member(Flag(), "It is being reverted, was reverted, or that failed.")
    asks = member(Choice.of(Question), "The question about it that is under way.", nullable=True)
    failure = member(Failure, nullable=True)
    published = member(JSON_OBJECT, "Variables that it published.")
    attempt = member(COUNT, "0 until it is handed out.")
    progress = member(Number(0, 1), "As its worker reported.", nullable=True)
    claimed_by = member(WORDS, "The worker that holds it.", nullable=True)
    lease_expires_at = member(TIME, nullable=True)
    due_at = member(TIME, "When a delayed one goes on.", nullable=True)
    deadline_at = member(TIME, "When it fails, if it is not finished.", nullable=True)
    items = member(ItemCounts, nullable=True)
    child_execution_id = member(UUID, "The execution that does its work.", nullable=True)
    created_at = member(TIME, "Null for a task that has not been reached.", nullable=True)
    started_at = member(TIME, nullable=True)
    finished_at = member(TIME, nullable=True)
    callback_url = member(WORDS, "A PUT to it reports on this attempt; null unless it is under way.", nullable=True)


class Task(TaskSummary):
    """A run of a task."""

    input = member(JSON_OBJECT, "Null until it is handed out.", nullable=True)
    result = member(JSON, "As it was reported.", nullable=True)


class TaskList(Document):
    """One page of tasks: the whole planned graph, those that were not reached as PENDING."""

    tasks = member([TaskSummary], source="entries")
    links = member([Link], "Has a link next unless this is the last page.")


class LateResult(Document):
    """An answer that came too late."""

    state = member(TASK_STATE)
    result = member(JSON, nullable=True)
    failure = member(Failure, nullable=True)


class Event(Document):
    """Something that has happened to an execution."""

    number = member(COUNT, "From 1, without gaps.")
    at = member(TIME)
    kind = member(Choice.of(EventKind), "The execution or a task reached a state, or a report came too late.")
    state = member(WORDS, "Of the execution or of the task; of a late result, the one that was reported.")
    task = member(WORDS, "Null where the execution itself is meant.", nullable=True)
    iteration = member(COUNT, "The pass of a loop, from 1.", nullable=True)
    item = member(COUNT, "Which item of a with-items task, from 0.", nullable=True)
    attempt = member(COUNT, nullable=True)
    info = member(WORDS, "Why, for people.", nullable=True)
    late = member(LateResult, "What was reported too late.", nullable=True)


class EventList(Document):
    """One page of the history of an execution."""

    events = member([Event], source="entries")
    links = member([Link], "Has a link next unless this is the last page.")


class GraphNode(Document):
    """A task of a graph, with its newest run; in a flow also a retry controller, or a gate, which is no task."""

    name = member(WORDS)
    kind = member(Choice.of(Kind))
    join = member(COUNT, "How many of the tasks that lead here it waits for; null runs it for each.", nullable=True)
    state = member(TASK_STATE)
    iteration = member(COUNT, "The pass of a loop, from 1.")
    action = member(WORDS, "What it does; null leaves it to the caller.", nullable=True)
    workflow = member(WORDS, "The workflow that does its work.", nullable=True)
    items = member(ItemCounts, "Of a with-items task that has begun.", nullable=True)


class GraphEdge(Document):
    """An entry of a clause of a task: what it leads to, a task or a command."""

    source = member(WORDS, "A task.", name="from")
    target = member(WORDS, "A task; null for a command.", name="to", nullable=True)
    on = member(Choice.of(On), "The clause.")
    guard = member(WORDS, f"Its condition, cut at {GUARD_LENGTH} characters.", nullable=True)
    command = member(Choice.of(Command), "What it does instead of leading to a task.", nullable=True)


class Graph(Document):
    """The graph of an execution, in the order of the definition."""

    nodes = member([GraphNode])
    edges = member([GraphEdge])


class ReportedTask(Document):
    """What a report led to."""

    task = member(Task)
    execution = member(ExecutionOutcome)
    scheduled = member([Assignment], "The tasks that became ready by it.")
    replayed = member(Flag(), "The same report had been recorded before; nothing changed.")
    cancel_requested = member(Flag(), "The execution was cancelled: the worker had better stop.")


class ReportedEntry(Document):
    """What one report of several led to."""

    name = member(WORDS, "The task.")
    status = member(COUNT, "As the status of the answer to a single report.")
    code = member(WORDS, "The error code of a refused report.", nullable=True)
    detail = member(WORDS, "What to do about a refused report.", nullable=True)
    task = member(Task, "Null for a refused report.", nullable=True)
    scheduled = member([Assignment], "The tasks that became ready by it.")
    replayed = member(Flag(), "The same report had been recorded before; nothing changed.")


class ReportedTasks(Document):
    """What several reports led to, in their order."""

    execution = member(ExecutionOutcome)
    tasks = member([ReportedEntry], source="entries")


class Claimed(Document):
    """The tasks that are the worker's now."""

    tasks = member([Assignment], source="entries")


class Notification(Document):
    """Something that somebody is to be told."""

    id = member(COUNT)
    execution_id = member(UUID)
    url = member(WORDS, "Where it is sent.")
    state = member(Choice({"pending": "pending", "dead": "dead"}), "A dead one was given up.")
    event = member(JSON_OBJECT, "The data of the event.", source="body")
    tries = member(COUNT, "How often sending it has failed.")
    error = member(WORDS, "Why it failed last.", nullable=True)
    created_at = member(TIME)
    due_at = member(TIME, "When it is sent next, or was given up.")


class NotificationList(Document):
    """One page of notifications that were not delivered."""

    notifications = member([Notification], source="entries")
    links = member([Link], "Has a link next unless this is the last page.")


class WorkflowInput(Document):
    """An input that a workflow declares."""

    name = member(WORDS)
    required = member(Flag(), "It has to be given.")
    default = member(JSON, "What it is when it is not given.", nullable=True)


class WorkflowSummary(Document):
    """A revision of a stored workflow, without the definition; or a TaskFlow flow that the service knows."""

    language = member(Choice({word: word for word in ("mistral", "taskflow")}))
    name = member(WORDS, source="declaration.name")
    namespace = member(WORDS, "The default namespace has the empty name.")
    revision = member(COUNT, "From 1; each replacement by another definition counts one up.")
    definition_digest = member(
        WORDS, "SHA-256 of the definition, or of the graph of a flow; executions of it have the same."
    )
    input = member([WorkflowInput], source="declaration.input")
    tags = member([WORDS], source="declaration.tags")
    description = member(WORDS, source="declaration.description")
    created_at = member(TIME, "When this revision was stored; null for a flow.", nullable=True)


class Workflow(WorkflowSummary):
    """A revision of a stored workflow."""

    definition = member(
        TextOrObject(), "The whole definition that it was stored with, as it was given; null for a flow.", nullable=True
    )


class StoredWorkflows(Document):
    """The workflows of a definition as they are stored now, in its order."""

    workflows = member([WorkflowSummary])


class WorkflowList(Document):
    """One page of stored workflows, the newest revision of each."""

    workflows = member([WorkflowSummary], source="entries")
    links = member([Link], "Has a link next unless this is the last page.")


class DefinitionFault(Document):
    """One thing that is wrong with a definition."""

    path = member(WORDS, "Where: a JSON Pointer (RFC 6901) into the definition.")
    message = member(WORDS)


class Validation(Document):
    """What is wrong with a definition."""

    valid = member(Flag(), "Its workflows can run.")
    faults = member([DefinitionFault], "Every fault that was found, up to 100.")


class Version(Document):
    """A version of the API."""

    id = member(WORDS)
    status = member(WORDS)
    links = member([Link])


class Versions(Document):
    """The versions of the API that this service speaks."""

    name = member(WORDS)
    versions = member([Version])


class Health(Document):
    """How the service stands."""

    status = member(WORDS)


class ProblemEntry(Document):
    """One thing that is wrong."""

    status = member(COUNT)
    code = member(WORDS)
    title = member(WORDS)
    detail = member(WORDS)
    request_id = member(WORDS)
    path = optional(WORDS, "Where it is wrong: a JSON Pointer (RFC 6901) into the definition or the body.")


class Problem(Document):
    """Why a request was refused (RFC 9457, and the API-SIG's errors)."""

    type = member(WORDS)
    title = member(WORDS, "The phrase of the status.")
    status = member(COUNT)
    code = member(WORDS, "Stable, one per condition.")
    detail = member(WORDS, "What to do about it.")
    request_id = member(WORDS)
    errors = member([ProblemEntry], "One per fault.")
