"""The library door: TaskFlow flows on the engine of the service, in the process that calls.

>>> execution = start(flow)  # returns as soon as the first tasks are scheduled
>>> complete_task(execution, "three", {"found": 3})  # from any process that knows the flow
>>> get_state(execution)
'SUCCESS'

Theory of operation:

1. All state is in the database.  A `Controller` has none beside the flows that it knows by name and an executor, so any
   number of them, in any number of processes, may work at the same executions.
2. Each call is one transaction.  What it scheduled is then given to the executor, which holds a task (`claimed_by`)
   while it runs, and renews its lease; two never run the same attempt.
3. A task whose `execute` returns None has not finished: it is let go of and stays RUNNING until somebody completes it.
   So does one that returns `UNFINISHED`.  An exception is a failure.
4. What a process held when it died is run again by the next `start` of the execution.  What was completed is not.
5. What has ended stays so.  TaskFlow's engine runs a REVERTED flow all anew; here that is another execution.  Nor is
   there `defer_reverts`: with TaskFlow's default, a failure reverts the region of the innermost retry controller.
6. Deciders and retry controllers are the flow's own code and run in the transaction: they have to be short, for nothing
   bounds them, and the execution (on SQLite, the database) is locked meanwhile.

The functions of this module are those of a controller over ``sqlite:///flows.db`` that runs tasks in threads.
"""

import os
import socket
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, partial
from threading import Condition
from typing import Any

from sqlalchemy import Connection
from taskflow.atom import Atom
from taskflow.flow import Flow
from taskflow.types.failure import Failure as TaskFlowFailure

from lazyengine import errors
from lazyengine.core.state import ATTEMPTED_TASK_STATES, ExecutionState, Failure, Outcome, TaskState
from lazyengine.db.database import CallersTransaction, Database
from lazyengine.db.types import to_json
from lazyengine.engine import Engine
from lazyengine.flows import Flows, to_taskflow
from lazyengine.leases import Leases
from lazyengine.pictures import write
from lazyengine.records import Assignment, Heartbeat, Report, Task, TaskQuery
from lazyengine.settings import Settings

OWNER = ""
THREADS = 4
LEASE_SECONDS = 60.0
"""How long a task that a process of another machine holds is believed to be worked on, if it is not heard of.

It is heard of three times as often."""

OVERTAKEN = (errors.TaskAlreadyCompleted, errors.TaskStaleAttempt, errors.ExecutionFinished, errors.ExecutionNotFound)
"""Somebody else has completed what was run here, or has ended the execution."""

UNFINISHED = object()
"""What a task returns that somebody else will complete."""

FlowFactory = Callable[[], Flow]
Queue = Callable[[Assignment], object]


class Controller:
    """
    :param store: the URL of a database, or a connection whose transaction all calls join: the caller commits
    :param executor: "threads" of this process; another executor, given what can be pickled; a function that is called
        with each `Assignment` after it was committed; None leaves tasks to whoever completes them
    :param flows: flows that this process knows, beside those that it starts
    :param none_completes: a task that returns None has finished with that result
    """

    def __init__(
        self, store: str | Connection = "sqlite:///flows.db", executor: str | Executor | Queue | None = "threads",
        flows: tuple[Flow | FlowFactory, ...] = (), none_completes: bool = False,
    ) -> None:  # fmt: skip
        self.flows = Flows({})
        for flow in flows:
            self.know(flow)
        self.executor = ThreadPoolExecutor(THREADS, "lazyengine") if executor == "threads" else executor
        self.none_completes = none_completes
        self._idle, self._under_way = Condition(), 0
        self._leases = Leases(self._renew, LEASE_SECONDS)
        self.worker = f"{socket.gethostname()}:{os.getpid()}"
        if isinstance(store, str):
            settings = Settings(database_url=store)
            database: Any = Database(settings)
            database.upgrade()
        else:
            settings, database = Settings(), CallersTransaction(store)
            if isinstance(self.executor, Executor):
                raise ValueError("tasks must not run before the caller has committed: give None or a function")
        self.engine = Engine(database, settings, flows=self.flows)

    def __enter__(self) -> "Controller":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait for the tasks that this process runs, and for those that follow; then let go of all it has."""
        with self._idle:
            self._idle.wait_for(lambda: not self._under_way)
        if isinstance(self.executor, Executor):
            self.executor.shutdown()
        self.engine.evaluator.close()
        self.engine.database.dispose()

    def know(self, flow: Flow | FlowFactory) -> str:
        """Make a flow known to this process, by its name; a factory makes the same flow whenever it is called."""
        made = flow if isinstance(flow, Flow) else flow()
        self.flows.add(made.name, flow if not isinstance(flow, Flow) else lambda: flow)
        return str(made.name)

    # -- the four verbs -----------------------------------------------------------------------------------------------

    def start(
        self, flow: Flow | FlowFactory | None = None, execution: str | None = None, *,
        store: Mapping[str, Any] | None = None,
    ) -> str:  # fmt: skip
        """Start a flow and return the id of its execution; or go on with an execution that was stopped or left.

        :param flow: to be started; or the one of the execution, if this process does not know it yet
        :param store: what the atoms of the flow require and none of them provides, by name
        :raises WorkflowNotFound: this process does not know the flow of the execution
        :raises ExecutionFinished: it has ended
        """
        name = None if flow is None else self.know(flow)
        if execution is not None:
            going_on = self.engine.update_execution(OWNER, execution, state=ExecutionState.RUNNING)
            self._take_over(execution, going_on.workflow)
            return execution
        if name is None:
            raise ValueError("start needs a flow, or an execution")
        started = self.engine.start_flow(OWNER, name, dict(store or {}))
        self._hand_out(started.scheduled)
        return started.execution.id

    def stop(self, execution: str) -> None:
        """Let no more tasks begin: SUSPENDING while one is under way, then SUSPENDED; `start` goes on.

        :raises ExecutionFinished: it has ended
        """
        self.engine.update_execution(OWNER, execution, state=ExecutionState.SUSPENDED)

    def get_state(self, execution: str) -> str:
        """Return the state of an execution, in TaskFlow's words."""
        return self.engine.get_execution(OWNER, execution).state.value

    def complete_task(self, execution: str, task: str, result: Any = None) -> None:
        """Say how a task ended: with a result (any JSON), or as a failure, if that is an exception.

        A revert that is under way is completed in the same way.

        :raises TaskNotFound: there is no such task
        :raises TaskNotRunning: it is not under way
        :raises TaskAlreadyCompleted: it has ended otherwise; the same again is no error
        """
        answer = self.engine.complete_task(OWNER, execution, Report(task, outcome_of(result)))
        if not answer.replayed:
            self._hand_out(answer.scheduled)

    def draw(self, execution: str, format: str = "mermaid") -> str:
        """Draw the flow of an execution, coloured by the states of its tasks, as "dot" (Graphviz) or "mermaid".

        :raises GraphTooLarge: nobody could read it
        :raises ValueError: there is no such format
        """
        return write(self.engine.get_graph(OWNER, execution), format)

    # -- who runs tasks -----------------------------------------------------------------------------------------------

    def _hand_out(self, scheduled: tuple[Assignment, ...]) -> None:
        for assignment in sorted(scheduled, key=self._priority, reverse=True):
            if isinstance(self.executor, Executor):
                self._run(self.executor, assignment)
            elif callable(self.executor):
                self.executor(assignment)

    def _priority(self, assignment: Assignment) -> int:
        """TaskFlow: `atom.py`; what is scheduled together begins in the order of it, the highest first."""
        assert assignment.flow is not None
        return int(self.flows.compiled(assignment.flow).named[assignment.task].priority)

    def _run(self, executor: Executor, assignment: Assignment) -> None:
        """Let the executor run a task, unless somebody else does."""
        if self.engine.hold_task(OWNER, assignment, self.worker, self._leases.seconds):
            assert assignment.flow is not None
            atom = self.flows.compiled(assignment.flow).named[assignment.task]
            self._count(1)
            self._leases.hold(assignment)
            try:
                future = executor.submit(call_atom, atom, assignment.reverts, assignment.input)
            except RuntimeError:  # it takes no more
                self._leases.let_go(assignment)
                self.engine.let_go(OWNER, assignment, offers=True)
                self._count(-1)
                return
            future.add_done_callback(partial(self._ended, assignment))

    def _count(self, tasks: int) -> None:
        with self._idle:
            self._under_way += tasks
            self._idle.notify_all()

    def _renew(self, assignment: Assignment) -> None:
        """Say that a task is still worked on; should somebody else have completed it, that is seen at its end."""
        beat = Heartbeat(assignment.task, assignment.iteration, assignment.attempt, None, self._leases.seconds)
        with suppress(errors.LazyEngineError):
            self.engine.heartbeat(OWNER, assignment.execution_id, beat)

    def _ended(self, assignment: Assignment, future: "Future[Any]") -> None:
        self._leases.let_go(assignment)
        try:
            self._take_in(assignment, future)
        finally:
            self._count(-1)

    def _take_in(self, assignment: Assignment, future: "Future[Any]") -> None:
        error = future.exception()
        result = error if error is not None else future.result()
        waits = result is UNFINISHED or (result is None and not self.none_completes and not assignment.reverts)
        if waits:
            self.engine.let_go(OWNER, assignment, offers=False)
            return
        report = Report(assignment.task, outcome_of(result), attempt=assignment.attempt)
        try:
            self._hand_out(self.engine.complete_task(OWNER, assignment.execution_id, report).scheduled)
        except OVERTAKEN:
            return

    def _take_over(self, execution: str, flow: str) -> None:
        """Run what is on offer, and what somebody held who has died."""
        states = tuple(ATTEMPTED_TASK_STATES)
        marker = None
        while True:
            page = self.engine.list_tasks(OWNER, execution, TaskQuery(states, limit=1000, marker=marker))
            for listed in page.items:
                task = self.engine.get_task(OWNER, execution, listed.name, listed.iteration)
                assignment = _assignment_of(task, flow)
                if task.claimed_by and is_gone(task):
                    self.engine.let_go(OWNER, assignment, offers=True)
                self._hand_out((assignment,))
            if not page.more:
                return
            marker = (page.items[-1].node, page.items[-1].iteration)


def call_atom(atom: Atom, reverts: bool, arguments: Mapping[str, Any]) -> Any:
    """Call a task; runs in the executor."""
    if not reverts:
        return atom.execute(**arguments)
    given = dict(arguments)
    failures = given.get("flow_failures") or {}
    given["flow_failures"] = {name: to_taskflow(failure) for name, failure in failures.items()}
    return atom.revert(**given)


def outcome_of(result: Any) -> Outcome:
    """Return how a task ended that left this behind: an exception or a failure, or any JSON."""
    if isinstance(result, TaskFlowFailure):
        return Outcome(TaskState.FAILURE, None, Failure(result.exc_type_names[0], result.exception_str))
    if isinstance(result, BaseException):
        details = "".join(traceback.format_exception(result))
        return Outcome(TaskState.FAILURE, None, Failure(type(result).__name__, str(result), details))
    try:
        to_json(result)
    except (TypeError, ValueError) as error:
        return Outcome(TaskState.FAILURE, None, Failure("result", f"the result of a task is JSON: {error}"))
    return Outcome(TaskState.SUCCESS, result)


def is_gone(task: Task) -> bool:
    """Tell whether who holds a task has died: a process of this machine, or one that was not heard of in time."""
    host, _, pid = (task.claimed_by or "").rpartition(":")
    if host == socket.gethostname() and pid.isdecimal():
        return not _is_alive(int(pid))
    return task.lease_expires_at is None or task.lease_expires_at <= datetime.now(UTC)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _assignment_of(task: Task, flow: str) -> Assignment:
    return Assignment(
        task.execution_id, task.name, task.iteration, task.attempt, task.action, task.target, task.input or {},
        reverts=task.state is TaskState.REVERTING, flow=flow,
    )  # fmt: skip


@cache
def default() -> Controller:
    """Return the controller that the functions of this module use."""
    return Controller()


def start(
    flow: Flow | FlowFactory | None = None, execution: str | None = None, *, store: Mapping[str, Any] | None = None
) -> str:
    """As `Controller.start`."""
    return default().start(flow, execution, store=store)


def stop(execution: str) -> None:
    """As `Controller.stop`."""
    default().stop(execution)


def get_state(execution: str) -> str:
    """As `Controller.get_state`."""
    return default().get_state(execution)


def complete_task(execution: str, task: str, result: Any = None) -> None:
    """As `Controller.complete_task`."""
    default().complete_task(execution, task, result)
