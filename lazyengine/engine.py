"""The verbs: one function each, each one transaction over the pure core.

A verb locks the execution's header, loads the neighbourhood of what happened, lets the core decide, saves the decision
and answers from it.  Whatever a verb raises was not committed, except for an answer that came too late: it is kept in
the history first and refused then.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from lazyengine import errors
from lazyengine.compilers.expressions import Evaluator
from lazyengine.core import resolve
from lazyengine.core.graph import Graph, Key
from lazyengine.core.state import FINAL_EXECUTION_STATES, ExecutionEvent, ExecutionState, Header
from lazyengine.dataflow import DataFlow, variables_at_start
from lazyengine.db.claims import anything_to_claim, claim_tasks
from lazyengine.db.database import Database
from lazyengine.db.lists import list_executions, list_tasks, read_task
from lazyengine.db.store import Store
from lazyengine.records import (
    Assignment,
    Claim,
    Execution,
    ExecutionQuery,
    ExecutionStatus,
    Heartbeat,
    Page,
    Report,
    Reported,
    Start,
    Started,
    Task,
    TaskQuery,
)
from lazyengine.reports import beat, report_outcome
from lazyengine.resolution import Resolution, needs_carrying_on
from lazyengine.settings import Settings
from lazyengine.workflows import Workflows

CARRY_ON_SECONDS = 20.0
"""How long one request goes on with what its own transaction left in the backlog; the rest waits in the outbox."""

BREATH_SECONDS = 0.02
"""How long it leaves the database to others in between: SQLite lets in who asks just then, and forms no queue."""

# what a caller asks for: (the event it takes, the states in which it has been done already)
WISHES: dict[ExecutionState, tuple[ExecutionEvent, frozenset[ExecutionState]]] = {
    ExecutionState.SUSPENDED: (
        ExecutionEvent.SUSPEND,
        frozenset({ExecutionState.SUSPENDING, ExecutionState.SUSPENDED}),
    ),
    ExecutionState.RUNNING: (ExecutionEvent.RESUME, frozenset({ExecutionState.RUNNING})),
    ExecutionState.CANCELLED: (ExecutionEvent.CANCEL, frozenset({ExecutionState.CANCELLED})),
}


class Engine(Workflows):
    """The workflow engine over one database.  It has no state of its own: any number may serve the same database.

    Every verb raises `DatabaseBusy` or `DatabaseUnavailable` when the database does not let it through.
    """

    def __init__(
        self, database: Database, settings: Settings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.database, self.settings, self.clock = database, settings, clock
        self.evaluator = Evaluator(settings)

    # -- executions ---------------------------------------------------------------------------------------------------

    def start_execution(self, owner: str, start: Start) -> Started:
        """Start an execution: work out the first batch of tasks and hand it out.

        Repeating a start with the same `start.id` and digest answers again what was committed.

        :raises DefinitionInvalid: with every fault found
        :raises WorkflowNotFound: the definition has no such workflow, or none is stored
        :raises InputInvalid: the input does not fit what the workflow declares
        :raises ExecutionIdInUse: another request took this id
        """
        runnable = self.find_runnable(owner, start)
        execution_id = start.id or str(uuid.uuid4())

        def work(store: Store) -> tuple[Started, Header] | None:
            known = store.request_digest(owner, execution_id)
            if known is not None:
                return self._started_before(store, owner, start, execution_id, known)
            if runnable is None:
                return None  # what had taken the id is gone by now
            graph_id, graph = store.find_graph(runnable.digest) or (None, None)
            if graph_id is None or graph is None:
                assert runnable.compiled is not None  # a graph is never deleted
                graph, nodes = runnable.compiled
                graph_id = store.add_graph(runnable.digest, graph, nodes)
            execution = self._new(execution_id, graph, runnable.document, start)
            variables = variables_at_start(self.evaluator, graph, execution)
            store.add_execution(owner, graph_id, execution, start.digest, start.traceparent, graph.publishes, variables)
            run = self._resolution(store, execution_id, graph_id, Header(), graph.publishes, start.traceparent)
            run.follow(resolve.begin(run.header, graph.roots, run.now))
            run.settle()
            run.save()
            created = store.execution(owner, execution_id)
            assert created is not None
            return Started(created, run.handed_out_after(1), created=True), run.header

        answer = self.database.transaction(work)
        if answer is None:
            return self.start_execution(owner, start)
        started, header = answer
        if needs_carrying_on(header):
            self.carry_on(owner, execution_id)
            return Started(self.get_execution(owner, execution_id), started.scheduled, started.created)
        return started

    def _new(self, execution_id: str, graph: Graph, digest: str, start: Start) -> Execution:
        missing = [name for name in graph.required if name not in start.input]
        unknown = [name for name in start.input if name not in graph.required and name not in graph.input]
        if missing or unknown:
            reasons = [f"'{name}' is missing" for name in missing] + [f"'{name}' is not declared" for name in unknown]
            raise errors.InputInvalid(workflow=graph.workflow, reason="; ".join(reasons[:20]))
        now = self.clock()
        return Execution(
            id=execution_id,
            workflow=graph.workflow,
            definition_digest=digest,
            state=ExecutionState.RUNNING,
            info=None,
            params=start.params,
            description=start.description,
            tags=start.tags,
            created_at=now,
            updated_at=now,
            finished_at=None,
            generation=0,
            input=graph.input | start.input,  # Mistral: `engine/workflows.py`, prepare_input
        )

    def _started_before(
        self, store: Store, owner: str, start: Start, execution_id: str, digest: str
    ) -> tuple[Started, Header]:
        if digest != start.digest:
            raise errors.ExecutionIdInUse(execution_id=execution_id)
        run = self._open(store, owner, execution_id)
        execution = store.execution(owner, execution_id)
        assert execution is not None
        return Started(execution, run.handed_out_after(1), created=start.id is None), run.header

    def get_execution(self, owner: str, execution_id: str) -> Execution:
        """Return an execution with its input and output.

        :raises ExecutionNotFound: there is none of this id, or it is another owner's
        """
        execution = self.database.snapshot(lambda store: store.execution(owner, execution_id))
        if execution is None:
            raise errors.ExecutionNotFound(execution_id=execution_id)
        return execution

    def list_executions(self, owner: str, query: ExecutionQuery) -> Page[Execution]:
        """Return one page of executions."""
        return self.database.snapshot(lambda store: list_executions(store.connection, owner, query))

    def update_execution(
        self,
        owner: str,
        execution_id: str,
        *,
        state: ExecutionState | None = None,
        description: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> Execution:
        """Suspend (SUSPENDED), resume (RUNNING) or cancel (CANCELLED) an execution, or change what people call it.

        :raises ExecutionNotFound: there is none of this id
        :raises ExecutionFinished: it has ended, so it cannot be brought into `state`
        """

        def work(store: Store) -> tuple[Execution, Header]:
            run = self._open(store, owner, execution_id)
            if description is not None or tags is not None:
                store.describe(execution_id, description, tags, run.now)
            if state is not None:
                self._steer(run, state)
            run.save()
            execution = store.execution(owner, execution_id)
            assert execution is not None
            return execution, run.header

        execution, header = self.database.transaction(work)
        if needs_carrying_on(header):
            self.carry_on(owner, execution_id)
            return self.get_execution(owner, execution_id)
        return execution

    def _steer(self, run: Resolution, wish: ExecutionState) -> None:
        event, done = WISHES[wish]
        if run.header.state in done:
            return
        if run.header.state in FINAL_EXECUTION_STATES:
            raise errors.ExecutionFinished(execution_id=run.execution_id, state=run.header.state)
        run.follow(resolve.steer(run.header, event, "Cancelled by request" if wish == "CANCELLED" else None, run.now))
        if event is ExecutionEvent.RESUME and run.header.backlog:
            run.unfold()
        run.settle()

    def delete_execution(self, owner: str, execution_id: str, *, force: bool = False) -> None:
        """Delete an execution that has ended; with `force`, one that has not.

        :raises ExecutionNotFound: there is none of this id
        :raises ExecutionNotFinished: it has not ended, and `force` is False
        """

        def work(store: Store) -> None:
            run = self._open(store, owner, execution_id)
            if run.header.state not in FINAL_EXECUTION_STATES and not force:
                raise errors.ExecutionNotFinished(execution_id=execution_id, state=run.header.state)
            store.delete_execution(execution_id)

        self.database.transaction(work)

    # -- tasks --------------------------------------------------------------------------------------------------------

    def list_tasks(self, owner: str, execution_id: str, query: TaskQuery) -> Page[Task]:
        """Return one page of the planned graph, reached or not, without inputs and results.

        :raises ExecutionNotFound: there is no such execution
        """
        return self.database.snapshot(
            lambda store: list_tasks(store.connection, execution_id, _graph_of(store, owner, execution_id)[0], query)
        )

    def get_task(
        self, owner: str, execution_id: str, name: str, iteration: int | None = None, item: int | None = None
    ) -> Task:
        """Return one run of a task (None: the newest), or one item of it, with its input and result.

        :raises ExecutionNotFound: there is no such execution
        :raises TaskNotFound: it has no such task, or the task no such iteration or item
        """

        def work(store: Store) -> Task:
            node = store.node_named(_graph_of(store, owner, execution_id)[0], name)
            task = read_task(store.connection, execution_id, node, iteration, item) if node else None
            if task is None:
                raise errors.TaskNotFound.of(execution_id, name, iteration, item)
            return task

        return self.database.snapshot(work)

    def complete_task(self, owner: str, execution_id: str, report: Report) -> Reported:
        """Take in how a task ended, and hand out what that made ready.

        :raises ExecutionNotFound: there is no such execution
        :raises TaskNotFound: it has no such task
        :raises TaskNotRunning: the task was not handed out yet
        :raises TaskStaleAttempt: the answer is for another attempt; kept in the history
        :raises TaskAlreadyCompleted: another outcome was recorded before
        :raises ExecutionFinished: the execution is over; kept in the history
        """
        _, (answer,) = self.complete_tasks(owner, execution_id, (report,))
        if isinstance(answer, errors.LazyEngineError):
            raise answer
        return answer

    def complete_tasks(
        self, owner: str, execution_id: str, reports: Sequence[Report]
    ) -> tuple[ExecutionStatus, tuple[Reported | errors.LazyEngineError, ...]]:
        """Take in how many tasks ended, in order, in one transaction; a refused one does not undo the others.

        :raises ExecutionNotFound: there is no such execution
        """

        def work(store: Store) -> tuple[ExecutionStatus, list[Any], Header]:
            run = self._open(store, owner, execution_id)
            answers = [report_outcome(run, report) for report in reports]
            run.settle()
            status = run.save()
            return status, [answer(status) if callable(answer) else answer for answer in answers], run.header

        status, answers, header = self.database.transaction(work)
        if needs_carrying_on(header):
            self.carry_on(owner, execution_id)
        return status, tuple(answers)

    def heartbeat(self, owner: str, execution_id: str, heartbeat: Heartbeat) -> Reported:
        """Note that a worker still works on a task; nothing is locked and no history is written.

        Once the execution is over the answer says `cancel_requested`.  Raises as `complete_task` does.
        """

        def work(store: Store) -> Reported:
            graph_id, state = _graph_of(store, owner, execution_id)
            return beat(store, execution_id, graph_id, state, heartbeat, self.clock())

        return self.database.transaction(work)

    def claim_tasks(self, owner: str, claim: Claim) -> tuple[Assignment, ...]:
        """Give a worker the tasks that have been on offer longest; two workers never get the same attempt."""
        if not self.database.snapshot(lambda store: anything_to_claim(store.connection, owner, claim)):
            return ()
        return self.database.transaction(lambda store: claim_tasks(store.connection, owner, claim, self.clock()))

    # -- what no caller asks for --------------------------------------------------------------------------------------

    def carry_on(self, owner: str, execution_id: str, seconds: float = CARRY_ON_SECONDS) -> None:
        """Work off the backlog of an execution, one transaction after the other, for at most `seconds`."""
        deadline = time.monotonic() + seconds

        def work(store: Store) -> bool:
            run = self._open(store, owner, execution_id)
            if needs_carrying_on(run.header):
                run.unfold()
                run.settle()
                run.save()
            return needs_carrying_on(run.header)

        while self.database.transaction(work) and time.monotonic() < deadline:
            time.sleep(BREATH_SECONDS)

    def fire_due(self, limit: int = 100) -> int:
        """Do what time has come for: delays that are over, and deadlines; return how much there was.

        It may be called at any time, by any number of processes: what was done already is not done again.
        """
        now = self.clock()
        alarms = self.database.snapshot(lambda store: store.alarms(now, limit))
        for owner, execution_id, key in alarms:
            self._wake(owner, execution_id, key)
        return len(alarms)

    def _wake(self, owner: str, execution_id: str, key: Key) -> None:
        def work(store: Store) -> Header:
            run = self._open(store, owner, execution_id)
            run.wake(key)
            run.settle()
            run.save()
            return run.header

        if needs_carrying_on(self.database.transaction(work)):
            self.carry_on(owner, execution_id)

    def carry_on_everywhere(self, limit: int = 1000) -> None:
        """Carry on with the executions that a process left in the middle when it died."""
        for owner, execution_id in self.database.snapshot(lambda store: store.noted_backlogs(limit)):
            self.carry_on(owner, execution_id)

    def check_ready(self) -> None:
        """Check that the database can be reached and has the newest schema.

        :raises DatabaseUnavailable: it cannot be reached
        :raises SchemaNotReady: it has to be upgraded first
        """
        self.database.check_ready()

    def _open(self, store: Store, owner: str, execution_id: str) -> Resolution:
        locked = store.lock_execution(owner, execution_id)
        if locked is None:
            raise errors.ExecutionNotFound(execution_id=execution_id)
        return self._resolution(
            store, execution_id, locked.graph_id, locked.header, locked.row.has_data, locked.row.traceparent
        )

    def _resolution(
        self, store: Store, execution_id: str, graph_id: int, header: Header, has_data: bool, traceparent: str | None
    ) -> Resolution:
        budget = self.settings.steps_per_transaction
        flow = DataFlow(store, execution_id, graph_id, has_data, self.evaluator)
        flow.most_iterations = self.settings.max_iterations
        return Resolution(store, execution_id, graph_id, header, self.clock(), budget, flow, traceparent)


def _graph_of(store: Store, owner: str, execution_id: str) -> tuple[int, ExecutionState]:
    found = store.graph_of(owner, execution_id)
    if found is None:
        raise errors.ExecutionNotFound(execution_id=execution_id)
    return found
