"""The library door: TaskFlow flows on the core of the service, in the process that calls.

>>> execution = start(flow)  # returns as soon as the first tasks are scheduled
>>> complete_task(execution, "three", {"found": 3})  # from any process that knows the flow
>>> get_state(execution)
'SUCCESS'

Theory of operation:

1. All state is in a store: a database of the engine's own (`own_store.py`), or a persistence backend of TaskFlow
   (`flow_details.py`).  A `Controller` has none beside the flows that it knows by name and an executor, so any number
   of them, in any number of processes, may work at the same executions.
2. Each call is one transaction, or holds the lock of its execution.  What it scheduled is then given to the executor,
   which holds a task while it runs, and renews its lease; two never run the same attempt.
3. A task whose `execute` returns None has not finished: it is let go of and stays RUNNING until somebody completes it.
   So does one that returns `UNFINISHED`.  An exception is a failure.
4. What a process held when it died is run again by the next `start` of the execution.  What was completed is not.
5. In every call, an execution is its id (what `start` returns), a UUID, or a FlowDetail of TaskFlow, of which only the
   uuid is read; a task is its name or its uuid.
6. What has ended stays so.  TaskFlow's engine runs a REVERTED flow all anew; here that is another execution.  Nor is
   there `defer_reverts`: with TaskFlow's default, a failure reverts the region of the innermost retry controller.
7. Deciders and retry controllers are the flow's own code and run in the transaction: they have to be short, for nothing
   bounds them, and the execution (on SQLite, the database) is locked meanwhile.

The functions of this module are those of a controller over ``sqlite:///flows.db`` that runs tasks in threads.
"""

import json
import logging
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from threading import Condition, local
from typing import Any, TypeAlias
from uuid import UUID

import tenacity
from sqlalchemy import Connection
from taskflow.flow import Flow
from taskflow.persistence.base import Backend
from taskflow.persistence.models import FlowDetail

from lazyengine import errors
from lazyengine.calls import UNFINISHED
from lazyengine.db.database import CallersTransaction, Database
from lazyengine.db.types import to_json
from lazyengine.engine import Engine
from lazyengine.flow_details import FlowDetails
from lazyengine.flows import Flows
from lazyengine.holders import LEASE_SECONDS, this_process
from lazyengine.leases import Leases
from lazyengine.own_store import OwnStore
from lazyengine.pictures import write
from lazyengine.records import Assignment
from lazyengine.settings import Settings

__all__ = ["UNFINISHED", "Controller", "complete_task", "get_state", "know", "start", "stop"]

logger = logging.getLogger(__name__)

THREADS = 4

PATIENCE_SECONDS = 60.0
"""How long the end of a task that has run is told again, if the database does not take it."""

OVERTAKEN = (errors.TaskAlreadyCompleted, errors.TaskStaleAttempt, errors.ExecutionFinished, errors.ExecutionNotFound)
"""Somebody else has completed what was run here, or has ended the execution."""

FlowFactory = Callable[[], Flow]
Queue = Callable[[Assignment], object]
Execution: TypeAlias = str | UUID | FlowDetail
Store: TypeAlias = str | Connection | Backend | Mapping[str, Any]

patiently = tenacity.retry(
    retry=tenacity.retry_if_exception_type((errors.DatabaseBusy, errors.DatabaseUnavailable)),
    wait=tenacity.wait_random_exponential(0.5, 10),
    stop=tenacity.stop_after_delay(PATIENCE_SECONDS),
    before_sleep=tenacity.before_sleep_log(logger, logging.WARNING),
    reraise=True,
)
"""Repeats a call, after pauses that grow, while the database does not let it through."""


class Controller:
    """
    :param store: the URL of a database; or a connection to one, whose transaction all calls join: the caller commits,
        or rolls back after an error; or a persistence backend of TaskFlow, or the configuration that TaskFlow makes
        one from, ``{"connection": ...}``
    :param executor: "threads" of this process, or "processes", which are given what can be pickled; another executor,
        which the caller shuts down; a function that is called with each `Assignment` after it was committed; None
        leaves tasks to whoever completes them.  What the executor or the function refuses, by raising something, is
        logged and stays on offer to the next `start` of its execution: what was committed is answered all the same
    :param flows: flows that this process knows, beside those that it starts
    :param none_completes: a task that returns None has finished with that result
    """

    def __init__(
        self, store: Store = "sqlite:///flows.db", executor: str | Executor | Queue | None = "threads",
        flows: tuple[Flow | FlowFactory, ...] = (), none_completes: bool = False,
    ) -> None:  # fmt: skip
        self.flows = Flows({})
        for flow in flows:
            self.know(flow)
        self._owns_executor = isinstance(executor, str)
        self.executor = _make(executor) if isinstance(executor, str) else executor
        self.none_completes = none_completes
        self._idle, self._under_way = Condition(), 0
        self._agendas = local()
        if isinstance(store, Connection) and isinstance(self.executor, Executor):
            raise ValueError("tasks must not run before the caller has committed: give None or a function")
        self._leases = Leases(self._renew, LEASE_SECONDS)
        self.store = self._open(store, this_process() if isinstance(self.executor, Executor) else None)

    def _open(self, store: Store, holder: str | None) -> OwnStore | FlowDetails:
        if isinstance(store, Backend | Mapping):
            return FlowDetails(store, self.flows, holder)
        if isinstance(store, str):
            settings = Settings(database_url=store)
            database: Any = Database(settings)
            database.upgrade()
        else:
            settings, database = Settings(), CallersTransaction(store)
        return OwnStore(Engine(database, settings, flows=self.flows), self.flows, holder)

    def __enter__(self) -> "Controller":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait for the tasks that this process runs, and for those that follow; then let go of all it has."""
        with self._idle:
            self._idle.wait_for(lambda: not self._under_way)
        if isinstance(self.executor, Executor) and self._owns_executor:
            self.executor.shutdown()
        self.store.close()

    def know(self, flow: Flow | FlowFactory) -> str:
        """Make a flow known to this process, by its name; a factory makes the same flow whenever it is called."""
        made = flow if isinstance(flow, Flow) else flow()
        self.flows.add(made.name, flow if not isinstance(flow, Flow) else lambda: flow)
        return str(made.name)

    # -- the four verbs -----------------------------------------------------------------------------------------------

    def start(
        self, flow: Flow | FlowFactory | None = None, execution: Execution | None = None, *,
        store: Mapping[str, Any] | None = None,
    ) -> str:  # fmt: skip
        """Start a flow and return the id of its execution; or go on with an execution that was stopped or left.

        :param flow: to be started; or the one of the execution, if this process does not know it yet
        :param execution: to go on with; or a flow detail that is new, to be started
        :param store: what the atoms of the flow require and none of them provides, by name; any JSON
        :raises InputInvalid: the store lacks something, or is no JSON
        :raises FlowUnusable: the flow cannot be made or compiled
        :raises WorkflowNotFound: this process does not know the flow of the execution
        :raises ExecutionFinished: it has ended; its flow is run again by another execution
        """
        name = None if flow is None else self.know(flow)
        given = _as_json(name or "of the execution", store or {})
        if execution is not None:
            id = _id_of(execution)
            scheduled = self.store.go_on(id, name, given)
        elif name is not None:
            id, scheduled = self.store.start(name, given)
        else:
            raise ValueError("start needs a flow, or an execution")
        self._hand_out(scheduled)
        return id

    def stop(self, execution: Execution) -> None:
        """Let no more tasks begin: SUSPENDING while one is under way, then SUSPENDED; `start` goes on.

        :raises ExecutionFinished: it has ended
        """
        self.store.stop(_id_of(execution))

    def get_state(self, execution: Execution) -> str:
        """Return the state of an execution, in TaskFlow's words."""
        return self.store.get_state(_id_of(execution))

    def complete_task(self, execution: Execution, task: str | UUID, result: Any = None) -> None:
        """Say how a task ended: with a result (any JSON), or as a failure, if that is an exception.

        A revert that is under way is completed in the same way.

        :raises TaskNotFound: there is no such task
        :raises TaskNotRunning: it is not under way
        :raises TaskAlreadyCompleted: it has ended otherwise; the same again is no error
        """
        self._hand_out(self.store.complete(_id_of(execution), str(task), result))

    def draw(self, execution: Execution, format: str = "mermaid") -> str:
        """Draw the flow of an execution, coloured by the states of its tasks, as "dot" (Graphviz) or "mermaid".

        :raises GraphTooLarge: nobody could read it
        :raises ValueError: there is no such format
        """
        return write(self.store.picture(_id_of(execution)), format)

    # -- who runs tasks -----------------------------------------------------------------------------------------------

    def _hand_out(self, scheduled: tuple[Assignment, ...]) -> None:
        """Hand out what was committed, so that nothing is raised any more.

        An executor may run a task at once, which then comes back here with what follows: that waits for its turn.
        """
        agenda: deque[Assignment] | None = getattr(self._agendas, "agenda", None)
        by_priority = sorted(scheduled, key=self.store.priority, reverse=True)
        if agenda is not None:
            agenda.extend(by_priority)
            return
        self._agendas.agenda = agenda = deque(by_priority)
        try:
            while agenda:
                self._give(agenda.popleft())
        finally:
            self._agendas.agenda = None

    def _give(self, assignment: Assignment) -> None:
        try:
            if isinstance(self.executor, Executor):
                self._run(self.executor, assignment)
            elif callable(self.executor):
                self.executor(assignment)
        except Exception:
            logger.exception("%s was not handed out, and is on offer to the next start", _named(assignment))

    def _run(self, executor: Executor, assignment: Assignment) -> None:
        """Let the executor run a task, unless somebody else does."""
        call = self.store.hold(assignment)
        if call is None:
            return
        self._count(1)
        self._leases.hold(assignment)
        try:
            future = executor.submit(call)
        except BaseException:
            self._leases.let_go(assignment)
            self._offer(assignment)
            self._count(-1)
            raise
        future.add_done_callback(partial(self._ended, assignment))

    def _count(self, tasks: int) -> None:
        with self._idle:
            self._under_way += tasks
            self._idle.notify_all()

    def _renew(self, assignment: Assignment) -> None:
        """Say that a task is still worked on; should somebody else have completed it, that is seen at its end."""
        with suppress(errors.LazyEngineError):
            self.store.renew(assignment, self._leases.seconds)

    def _ended(self, assignment: Assignment, future: "Future[Any]") -> None:
        try:
            self._take_in(assignment, future)
        finally:
            self._leases.let_go(assignment)
            self._count(-1)

    def _take_in(self, assignment: Assignment, future: "Future[Any]") -> None:
        """Say how a task ended; one that was not run, and one whose end cannot be kept, is on offer to the next start.

        So is one whose end the database has not taken for `PATIENCE_SECONDS`.
        """
        try:
            error = None if future.cancelled() else future.exception()
            if future.cancelled() or isinstance(error, BrokenExecutor):
                self._offer(assignment)
                return
            result = error if error is not None else future.result()
            if result is UNFINISHED or (result is None and not self.none_completes and not assignment.reverts):
                patiently(self.store.let_go)(assignment, offers=False)
                return
            complete = patiently(self.store.complete)
            scheduled = complete(assignment.execution_id, assignment.task, result, assignment.attempt)
        except OVERTAKEN:
            return
        except Exception:
            logger.exception("the end of %s is lost", _named(assignment))
            self._offer(assignment)
            return
        self._hand_out(scheduled)

    def _offer(self, assignment: Assignment) -> None:
        """Put a task that this process holds on offer again; where that fails it is so when its lease has run out."""
        try:
            self.store.let_go(assignment, offers=True)
        except errors.LazyEngineError:
            logger.exception("%s is on offer when its lease has run out", _named(assignment))


def _named(assignment: Assignment) -> str:
    return f"task '{assignment.task}' of execution {assignment.execution_id}"


def _make(executor: str) -> Executor:
    if executor == "threads":
        return ThreadPoolExecutor(THREADS, "lazyengine")
    if executor == "processes":
        return ProcessPoolExecutor()
    raise ValueError(f"an executor is 'threads', 'processes', an executor, a function or None, not {executor!r}")


def _id_of(execution: Execution) -> str:
    return str(execution.uuid) if isinstance(execution, FlowDetail) else str(execution)


def _as_json(workflow: str, store: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a flow is given as every process will see it.

    :raises InputInvalid: it is no JSON
    """
    try:
        return dict(json.loads(to_json(dict(store))))
    except (TypeError, ValueError, RecursionError) as error:
        raise errors.InputInvalid(workflow=workflow, reason=f"it is no JSON: {error}") from None


@cache
def default() -> Controller:
    """Return the controller that the functions of this module use."""
    return Controller()


def know(flow: Flow | FlowFactory) -> str:
    """As `Controller.know`: who completes a task of a flow in a process that has not started it has to know it."""
    return default().know(flow)


def start(
    flow: Flow | FlowFactory | None = None, execution: Execution | None = None, *,
    store: Mapping[str, Any] | None = None,
) -> str:  # fmt: skip
    """As `Controller.start`."""
    return default().start(flow, execution, store=store)


def stop(execution: Execution) -> None:
    """As `Controller.stop`."""
    default().stop(execution)


def get_state(execution: Execution) -> str:
    """As `Controller.get_state`."""
    return default().get_state(execution)


def complete_task(execution: Execution, task: str | UUID, result: Any = None) -> None:
    """As `Controller.complete_task`."""
    default().complete_task(execution, task, result)
