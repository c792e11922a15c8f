"""The verbs: one function each, each one transaction over the pure core.

A verb locks the execution's header, loads the neighbourhood of what happened, lets the core decide, saves the decision
and answers from it.  Whatever a verb raises was not committed, except for an answer that came too late: it is kept in
the history first and refused then.
"""

import logging
import random
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from lazyengine import errors
from lazyengine.compilers.expressions import Evaluator
from lazyengine.core.graph import Key, Kind
from lazyengine.core.state import FINAL_EXECUTION_STATES, ExecutionEvent, ExecutionState
from lazyengine.core.values import replace
from lazyengine.dataflow import params_at_start
from lazyengine.db.claims import anything_to_claim, claim_tasks, hold, let_go, renew
from lazyengine.db.database import Database
from lazyengine.db.due import Due, next_due, read_alarms, read_lapsed
from lazyengine.db.lists import list_executions, list_tasks, read_graph, read_task
from lazyengine.db.notifications import list_notifications, replay_notification
from lazyengine.db.statements import STEER
from lazyengine.db.store import Outline, Store
from lazyengine.nesting import Nesting, new_execution
from lazyengine.pictures import MAX_EDGES, MAX_TASKS, Picture, picture
from lazyengine.records import (
    Assignment,
    Claim,
    Execution,
    ExecutionQuery,
    ExecutionStatus,
    Heartbeat,
    Identity,
    Notification,
    NotificationQuery,
    Page,
    Report,
    Reported,
    Rerun,
    Rerunning,
    Start,
    Started,
    Task,
    TaskQuery,
)
from lazyengine.reports import Answer, beat, read_ahead, report_outcome
from lazyengine.reruns import run_again
from lazyengine.resolution import BEHIND, FOLLOWS, Resolution
from lazyengine.settings import Settings
from lazyengine.turns import Turns
from lazyengine.watching import Watching
from lazyengine.workflows import FlowSource, Runnable, Workflows, add_graphs

logger = logging.getLogger(__name__)

T = TypeVar("T")

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


class Engine(Workflows, Watching):
    """The workflow engine over one database.  It has no state of its own: any number may serve the same database.

    Every verb raises `DatabaseBusy` or `DatabaseUnavailable` when the database does not let it through.
    """

    def __init__(
        self, database: Database, settings: Settings, clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        flows: FlowSource | None = None,
    ) -> None:  # fmt: skip
        self.database, self.settings, self.clock, self.flows = database, settings, clock, flows
        self.evaluator, self.turns = Evaluator(settings), Turns()

    # -- executions ---------------------------------------------------------------------------------------------------

    def start_execution(self, owner: str, start: Start) -> Started:
        """Start an execution: work out the first batch of tasks and hand it out.

        Repeating a start with the same `start.id` and digest answers again what was committed.

        :raises DefinitionInvalid: with every fault found
        :raises WorkflowNotFound: the definition has no such workflow, or none is stored
        :raises InputInvalid: the input does not fit what the workflow declares
        :raises ExecutionIdInUse: another request took this id
        """
        return self._start(owner, start, self.find_runnable(owner, start))

    def start_flow(self, owner: str, name: str, input: dict[str, Any], id: str | None = None) -> Started:
        """Start an execution of a TaskFlow flow that this engine knows.

        :param input: what its atoms require and none of them provides, by name; what no atom takes is left out, as
            TaskFlow takes a store that several flows share
        :param id: of the execution, or None
        :raises WorkflowNotFound: it knows no such flow
        :raises InputInvalid: the input lacks something
        """
        flow = self.find_flow(name)
        assert flow.compiled is not None
        graph = flow.compiled[0]
        taken = {one: input[one] for one in (*graph.required, *graph.optional) if one in input}
        return self._start(owner, Start(None, "", workflow=name, input=taken, id=id), flow)

    def _start(self, owner: str, start: Start, runnable: Runnable | None) -> Started:
        execution_id = start.id or str(uuid.uuid4())

        def work(nest: Nesting) -> Started | None:
            store = nest.store
            known = store.request_digest(owner, execution_id)
            if known is not None:
                return self._started_before(nest, start, execution_id, known)
            if runnable is None:
                return None  # what had taken the id is gone by now
            graph_id, graph = add_graphs(store, runnable, start.definition)
            params = params_at_start(self.evaluator, graph, execution_id, start.params)
            execution = new_execution(
                execution_id, graph, runnable.document, nest.now, start.input, params, start.description, start.tags
            )
            identity = Identity(
                execution_id, owner, graph_id, graph.workflow, runnable.document, start.namespace, params,
                parent=None, root_id=execution_id, depth=0, has_data=graph.publishes, traceparent=start.traceparent,
                created_at=nest.now, flow=runnable.flow,
                notify=start.notify,
            )  # fmt: skip
            run = nest.start(identity, graph, execution, start.digest)
            return Started(nest.close_and_read(run), run.handed_out_after(1), created=True)

        started, went_on = self._transact(owner, work)
        if started is None:
            return self.start_execution(owner, start)
        if went_on:
            return Started(self.get_execution(owner, execution_id), started.scheduled, started.created)
        return started

    def _started_before(self, nest: Nesting, start: Start, execution_id: str, digest: str) -> Started:
        if digest != start.digest:
            raise errors.ExecutionIdInUse(execution_id=execution_id)
        run = nest.open(execution_id)
        return Started(nest.close_and_read(run), run.handed_out_after(1), created=start.id is None)

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
        :raises ExecutionReadOnly: nobody can change it; resuming it is allowed, as it may suspend itself
        """

        def work(nest: Nesting) -> Execution:
            run = nest.open(execution_id)
            if state is not ExecutionState.RUNNING or description is not None or tags is not None:
                _check_writable(run)
            if description is not None or tags is not None:
                nest.store.describe(execution_id, description, tags, run.now)
            if state is not None:
                steer(run, state)
            return nest.close_and_read(run)

        execution, went_on = self._transact(owner, work)
        return self.get_execution(owner, execution_id) if went_on else execution

    def delete_execution(self, owner: str, execution_id: str, *, force: bool = False) -> None:
        """Delete an execution that has ended, with all below it; with `force`, one that has not.

        Those below go first, the lowest before all, each in a transaction of its own: repeating it goes on where it was
        left.

        :raises ExecutionNotFound: there is none of this id
        :raises ExecutionNotFinished: it has not ended, and `force` is False
        :raises ExecutionReadOnly: it has not ended, and nobody can change it
        """
        is_gone = False
        while not is_gone:
            state = self.get_execution(owner, execution_id).state
            if state not in FINAL_EXECUTION_STATES and not force:
                raise errors.ExecutionNotFinished(execution_id=execution_id, state=state)
            lower = self.database.snapshot(lambda store: store.descendants(execution_id))
            if lower and state not in FINAL_EXECUTION_STATES:
                self.update_execution(owner, execution_id, state=ExecutionState.CANCELLED)
            for one in reversed(lower):
                self._delete(owner, one, force=True)
            is_gone = self._delete(owner, execution_id, force)

    def _delete(self, owner: str, execution_id: str, force: bool) -> bool:
        """Delete an execution without any below it; return whether there is none of this id any more."""

        def work(nest: Nesting) -> bool:
            run = nest.find(execution_id)
            if run is None:
                return True
            if nest.store.children(execution_id):
                return False
            if run.header.state not in FINAL_EXECUTION_STATES:
                if not force:
                    raise errors.ExecutionNotFinished(execution_id=execution_id, state=run.header.state)
                _check_writable(run)
                steer(run, ExecutionState.CANCELLED)
                nest.close(run)
            nest.store.delete_execution(execution_id)
            return True

        return self._transact(owner, work)[0]

    # -- tasks --------------------------------------------------------------------------------------------------------

    def list_tasks(self, owner: str, execution_id: str, query: TaskQuery) -> Page[Task]:
        """Return one page of the planned graph, reached or not, without inputs and results.

        :raises ExecutionNotFound: there is no such execution
        """

        def work(store: Store) -> Page[Task]:
            outline = _outline(store, owner, execution_id)
            page = list_tasks(store.connection, execution_id, outline.graph_id, query)
            created_at = outline.created_at
            return replace(page, items=tuple(replace(one, execution_created_at=created_at) for one in page.items))

        return self.database.snapshot(work)

    def get_task(
        self, owner: str, execution_id: str, name: str, iteration: int | None = None, item: int | None = None
    ) -> Task:
        """Return one run of a task (None: the newest), or one item of it, with its input and result.

        :raises ExecutionNotFound: there is no such execution
        :raises TaskNotFound: it has no such task, or the task no such iteration or item
        """

        def work(store: Store) -> Task:
            outline = _outline(store, owner, execution_id)
            node = store.node_named(outline.graph_id, name)
            task = read_task(store.connection, execution_id, node, iteration, item) if node else None
            if task is None or (node is not None and node.kind is Kind.GATE):
                raise errors.TaskNotFound.of(execution_id, name, iteration, item)
            return replace(task, execution_created_at=outline.created_at)

        return self.database.snapshot(work)

    def get_graph(self, owner: str, execution_id: str) -> Picture:
        """Return the graph of an execution with the newest run of every task, as it stands at one moment.

        :raises ExecutionNotFound: there is no such execution
        :raises GraphTooLarge: it has more than `MAX_TASKS` tasks or `MAX_EDGES` edges
        """

        def work(store: Store) -> Picture:
            graph_id = _outline(store, owner, execution_id).graph_id
            nodes, runs = read_graph(store.connection, execution_id, graph_id, MAX_TASKS + 1)
            if len(nodes) > MAX_TASKS or sum(len(node.edges) for node in nodes) > MAX_EDGES:
                raise errors.GraphTooLarge(execution_id=execution_id, max_tasks=MAX_TASKS, max_edges=MAX_EDGES)
            return picture(nodes, runs)

        return self.database.snapshot(work)

    def complete_task(self, owner: str, execution_id: str, report: Report) -> Reported:
        """Take in how a task ended, and hand out what that made ready.

        :raises ExecutionNotFound: there is no such execution
        :raises TaskNotFound: it has no such task
        :raises TaskNotRunning: the task was not handed out yet
        :raises TaskStaleAttempt: the answer is for another attempt; kept in the history
        :raises TaskDeadlinePassed: the task was not finished at its deadline, and has failed; kept in the history
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

        def work(nest: Nesting) -> tuple[ExecutionStatus, list[Answer | errors.LazyEngineError]]:
            run = nest.open(execution_id, reports[0].task if len(reports) == 1 else None)
            if len(reports) > 1:
                read_ahead(run, reports)
            answers = [report_outcome(run, report) for report in reports]
            return nest.close(run), answers

        status, answers = self._transact(owner, work, execution_id)[0]
        return status, tuple(answer(status) if callable(answer) else answer for answer in answers)

    def rerun_task(self, owner: str, execution_id: str, rerun: Rerun) -> Rerunning:
        """Run a task again that failed or was cancelled, or pass over it, and go on from there.

        :raises ExecutionNotFound: there is no such execution
        :raises ExecutionReadOnly: it was started so that nobody can change it
        :raises ExecutionSucceeded: it has succeeded
        :raises ExecutionSuspended: it has to be resumed first
        :raises TaskNotFound: it has no such task, or the task no such iteration
        :raises TaskNotFailed: the task is in another state
        :raises TaskBlocked: it is a join that too few chose
        :raises TaskInputOfItems: it has items, and the rerun an input
        """

        def work(nest: Nesting) -> Rerunning:
            run = nest.open(execution_id)
            _check_writable(run)
            first = run_again(run, rerun)
            execution = nest.close_and_read(run)
            return Rerunning(execution, run.handed_out_after(first) if run.events else ())

        answer, went_on = self._transact(owner, work)
        return replace(answer, execution=self.get_execution(owner, execution_id)) if went_on else answer

    def heartbeat(self, owner: str, execution_id: str, heartbeat: Heartbeat) -> Reported:
        """Note that a worker still works on a task; nothing is locked and no history is written.

        Once the execution is over the answer says `cancel_requested`.  Only the current attempt gets a lease, and not
        while it is on offer to others.  Raises as `complete_task` does.
        """

        def work(store: Store) -> Reported:
            return beat(store, execution_id, _outline(store, owner, execution_id), heartbeat, self.clock())

        return self.database.transaction(work)

    def claim_tasks(self, owner: str | None, claim: Claim) -> tuple[Assignment, ...]:
        """Give a worker the tasks that have been on offer longest; two workers never get the same attempt.

        :param owner: whose tasks; None is all owners'
        """
        now = self.clock()
        if not self.database.snapshot(lambda store: anything_to_claim(store.connection, owner, claim, now)):
            return ()
        return self.database.transaction(lambda store: claim_tasks(store, owner, claim, self.clock()))

    def hold_task(self, owner: str, assignment: Assignment, worker: str, lease_seconds: float) -> bool:
        """Give one attempt to a worker; False if it is not on offer any more."""
        until = self.clock() + timedelta(seconds=lease_seconds)

        def work(store: Store) -> bool:
            key = _key_of(store, owner, assignment)
            return hold(store.connection, assignment.execution_id, key, assignment.attempt, worker, until)

        return self.database.transaction(work)

    def renew_lease(self, owner: str, assignment: Assignment, worker: str, lease_seconds: float) -> None:
        """Let a worker hold an attempt for as long as that from now, if it still does."""
        until = self.clock() + timedelta(seconds=lease_seconds)

        def work(store: Store) -> None:
            key = _key_of(store, owner, assignment)
            renew(store.connection, assignment.execution_id, key, assignment.attempt, worker, until)

        self.database.transaction(work)

    def let_go(self, owner: str, assignment: Assignment, worker: str, offers: bool) -> None:
        """Take an attempt from a worker, if it still holds it; put it on offer again, or leave it to be completed."""
        now = self.clock() if offers else None

        def work(store: Store) -> None:
            key = _key_of(store, owner, assignment)
            let_go(store.connection, assignment.execution_id, key, assignment.attempt, worker, now)

        self.database.transaction(work)

    # -- notifications ------------------------------------------------------------------------------------------------

    def list_notifications(self, owner: str, query: NotificationQuery) -> Page[Notification]:
        """Return one page of what is still to be told, or was given up, the oldest first."""
        return self.database.snapshot(lambda store: list_notifications(store.connection, owner, query))

    def replay_notification(self, owner: str, id: int) -> Notification:
        """Tell at once what was given up, or is waiting to be told again.

        :raises NotificationNotFound: there is none of this id: it may have been told meanwhile
        """
        now = self.clock()

        def work(store: Store) -> Notification | None:
            store.has_news = True
            return replay_notification(store.connection, owner, id, now)

        found = self.database.transaction(work)
        if found is None:
            raise errors.NotificationNotFound(notification_id=id)
        return found

    # -- what no caller asks for --------------------------------------------------------------------------------------

    def carry_on(self, owner: str, execution_id: str, seconds: float = CARRY_ON_SECONDS) -> None:
        """Do what the outbox says of an execution, and of others in consequence, one transaction after the other.

        It stops after `seconds`; what is left stays in the outbox.

        :raises ExecutionNotFound: there is none of this id
        """
        self.database.snapshot(lambda store: _outline(store, owner, execution_id))
        deadline = time.monotonic() + seconds
        waiting = deque([execution_id])
        while waiting:
            waiting += self._go_on(owner, waiting.popleft(), deadline)
            if time.monotonic() >= deadline:
                return
            if waiting:
                time.sleep(BREATH_SECONDS)

    def _go_on(self, owner: str, execution_id: str, deadline: float) -> list[str]:
        """Work off some of the backlog of an execution, and let those below follow it; return what is left to do."""

        def work(nest: Nesting) -> tuple[list[int], ExecutionState | None]:
            run = nest.find(execution_id)
            if run is None:
                return [], None
            if run.header.carries_on:
                run.unfold()
                nest.close(run)
            return nest.store.notes(execution_id, STEER), FOLLOWS.get(run.header.state)

        (notes, wish), left = self._in_transaction(owner, work)
        if notes and wish is not None:
            lower = self.database.snapshot(lambda store: store.children(execution_id))
            for child, state in lower.items():
                if state in BEHIND[wish]:
                    left += self._follow(owner, child, wish)
                if time.monotonic() >= deadline:
                    return left
        if notes:
            self.database.transaction(lambda store: store.clear_notes(notes))
        return left

    def _follow(self, owner: str, execution_id: str, wish: ExecutionState) -> list[str]:
        """Let an execution follow the one that it works for."""

        def work(nest: Nesting) -> None:
            run = nest.find(execution_id)
            if run is not None and run.header.state not in FINAL_EXECUTION_STATES:
                steer(run, wish)
                nest.close(run, follows=True)

        return self._in_transaction(owner, work)[1]

    def fire_due(self, limit: int = 100) -> int:
        """Do what time has come for: delays that are over, deadlines, leases that have run out, the most overdue first.

        Return how many there were.  It may be called at any time, by any number of processes: each is a transaction of
        its own, which looks again before it does anything, so what was done already is not done again.
        """
        now, with_flows = self.clock(), self.flows is not None

        def read(store: Store) -> list[tuple[Due, bool]]:
            alarms = read_alarms(store.connection, now, limit, with_flows)
            lapsed = read_lapsed(store.connection, now, limit, with_flows)
            found = [(one, False) for one in alarms] + [(one, True) for one in lapsed]
            return sorted(found, key=lambda one: one[0][0])[:limit]

        due = self.database.snapshot(read)
        for (_, owner, execution_id, key), is_lease in due:
            with went_on(execution_id):
                self._time_has_come(owner, execution_id, key, is_lease)
        return len(due)

    def next_due(self) -> datetime | None:
        """Return when `fire_due` will have something to do, as things stand; a time in the past is now."""
        return self.database.snapshot(lambda store: next_due(store.connection))

    def _time_has_come(self, owner: str, execution_id: str, key: Key, is_lease: bool) -> None:
        def work(nest: Nesting) -> None:
            run = nest.find(execution_id)
            if run is not None:
                if is_lease:
                    run.lapse(key)
                else:
                    run.wake(key)
                nest.close(run)

        self._transact(owner, work)

    def carry_on_everywhere(self, limit: int = 1000, seconds: float = CARRY_ON_SECONDS) -> None:
        """Do what the outbox says, where a process left it undone when it died; stop after `seconds`.

        It takes executions in any order and gives none all the time, so that one without an end holds up nobody.
        """
        deadline = time.monotonic() + seconds
        found = self.database.snapshot(lambda store: store.noted(limit))
        random.shuffle(found)
        for owner, execution_id in found:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            with went_on(execution_id):
                self.carry_on(owner, execution_id, left / 4)

    def check_ready(self) -> None:
        """Check that the database can be reached and has the newest schema.

        :raises DatabaseUnavailable: it cannot be reached
        :raises SchemaNotReady: it has to be upgraded first
        """
        self.database.check_ready()

    def _transact(self, owner: str, work: Callable[[Nesting], T], of: str | None = None) -> tuple[T, bool]:
        """Do something in one transaction, and then what it left to be done; return whether it left anything.

        :param of: the execution that many may want to change at a time
        """
        with nullcontext() if of is None else self.turns.turn(of, self.settings.busy_timeout_seconds):
            answer, left = self._in_transaction(owner, work)
        for execution_id in left:
            with suppress(errors.ExecutionNotFound):
                self.carry_on(owner, execution_id)
        return answer, bool(left)

    def _in_transaction(self, owner: str, work: Callable[[Nesting], T]) -> tuple[T, list[str]]:
        def in_one(store: Store) -> tuple[T, Nesting]:
            nest = Nesting(store, owner, self.settings, self.evaluator, self.clock, self.flows)
            return work(nest), nest

        answer, nest = self.database.transaction(in_one)
        return answer, nest.left


@contextmanager
def went_on(execution_id: str) -> Iterator[None]:
    """Let what is wrong with one execution not stop what others wait for: its flow may be known elsewhere, or changed.

    :raises DatabaseUnavailable: that is wrong with all of them
    """
    try:
        yield
    except errors.DatabaseUnavailable:
        raise
    except errors.LazyEngineError as error:
        logger.warning("execution %s is left for later: %s", execution_id, error)


def steer(run: Resolution, wish: ExecutionState) -> None:
    """Suspend, resume or cancel an execution, unless that is done already.

    :raises ExecutionFinished: it has ended
    """
    event, done = WISHES[wish]
    if run.header.state in done:
        return
    if run.header.state in FINAL_EXECUTION_STATES:
        raise errors.ExecutionFinished(execution_id=run.execution_id, state=run.header.state)
    run.steer(event, "Cancelled by request" if event is ExecutionEvent.CANCEL else None)


def _check_writable(run: Resolution) -> None:
    if run.identity.params.get("read_only") is True:
        raise errors.ExecutionReadOnly(execution_id=run.execution_id)


def _key_of(store: Store, owner: str, assignment: Assignment) -> Key:
    node = store.node_named(_outline(store, owner, assignment.execution_id).graph_id, assignment.task)
    if node is None:
        raise errors.TaskNotFound.of(assignment.execution_id, assignment.task)
    run = (node.id, assignment.iteration)
    return run if assignment.item is None else (*run, assignment.item)


def _outline(store: Store, owner: str, execution_id: str) -> Outline:
    found = store.outline(owner, execution_id)
    if found is None:
        raise errors.ExecutionNotFound(execution_id=execution_id)
    return found
