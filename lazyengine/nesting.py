"""The executions of one transaction: a task whose work is a workflow is done by an execution of its own.

Theory of operation:

1. It is started in the transaction that begins its task, and its end completes the task in the transaction that ends
   it.  Its input is that of the task; what the workflow does not declare becomes its params (Mistral:
   `engine/actions.py`, WorkflowAction).  What goes wrong with its start is a failure of the task.
2. Rows are only ever locked upward, an execution before the one that it works for: so none wait in a circle.  An
   execution that is started needs no lock, as nobody knows it yet.
3. When one is suspended, the one above is too, and goes on when none below it is suspended any more (Mistral:
   `engine/task_handler.py`, _on_action_update).
4. What an execution asks of those below it, to stop, go on or be cancelled with it, travels as a row of the outbox:
   `Engine.carry_on` brings them to follow the state that it then is in, each in a transaction of its own.
"""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from lazyengine import errors
from lazyengine.compilers.expressions import Evaluator
from lazyengine.core import resolve
from lazyengine.core.graph import Graph, Key, Node
from lazyengine.core.state import (
    FINAL_EXECUTION_STATES,
    RERUNNABLE_TASK_STATES,
    ExecutionEvent,
    ExecutionState,
    Failure,
    Header,
    Mark,
    Outcome,
    TaskState,
)
from lazyengine.core.values import replace
from lazyengine.dataflow import DataFlow, variables_at_start
from lazyengine.db.store import Store
from lazyengine.db.workflows import keep_definition
from lazyengine.records import Execution, ExecutionStatus, Identity, Parent
from lazyengine.reruns import take_back
from lazyengine.resolution import STOPPED, Resolution
from lazyengine.settings import Settings
from lazyengine.workflows import FlowSource, find_nested

DEEPEST_NEST = 50
"""Executions above one at most: a workflow may name itself."""

INHERITED = ("env", "default_action", "read_only")
"""Parameters that hold for all executions below (Mistral: `workflow/data_flow.py`, get_workflow_environment_dict)."""


class Nesting:
    """Opens, starts and closes the executions that one transaction touches.

    :ivar left: the ids of those for which the outbox says what is to be done after it
    """

    def __init__(
        self, store: Store, owner: str, settings: Settings, evaluator: Evaluator, clock: Callable[[], datetime],
        flows: FlowSource | None = None,
    ) -> None:  # fmt: skip
        self.store, self.owner, self.settings, self.evaluator, self.flows = store, owner, settings, evaluator, flows
        self.now = clock()
        self.left: list[str] = []

    def open(self, execution_id: str, task: str | None = None) -> Resolution:
        """Lock an execution.

        :param task: the name of one whose run will be asked for
        :raises ExecutionNotFound: there is none of this id, or it is another owner's
        """
        found = self.find(execution_id, task)
        if found is None:
            raise errors.ExecutionNotFound(execution_id=execution_id)
        return found

    def find(self, execution_id: str, task: str | None = None) -> Resolution | None:
        """Lock an execution, if there is one of this id; see `open`."""
        locked = self.store.lock_execution(self.owner, execution_id, task)
        return self._resolution(locked.identity, locked.header) if locked else None

    def _resolution(self, identity: Identity, header: Header) -> Resolution:
        budget = self.settings.steps_per_transaction
        if identity.flow is None:
            flow = DataFlow(self.store, identity.id, identity.has_data, self.evaluator)
        elif self.flows is not None:
            flow = self.flows.host(self.store, identity, self.evaluator)
        else:
            raise errors.WorkflowNotFound.flow(identity.flow)
        flow.most_iterations = self.settings.max_iterations
        if identity.parent is None:
            flow.start_after_seconds = identity.params.get("start_after_seconds", 0.0)
        return Resolution(self.store, identity, header, self.now, budget, flow, self._start_child)

    # -- start --------------------------------------------------------------------------------------------------------

    def start(
        self, identity: Identity, graph: Graph, execution: Execution, digest: str = "", budget: int | None = None
    ) -> Resolution:
        """Start an execution; it is to be closed.

        :param digest: of the request; '' where there is none
        :raises InputInvalid: the `vars` of the workflow cannot be evaluated
        """
        variables = variables_at_start(self.evaluator, graph, execution)
        self.store.add_execution(identity, execution, digest, variables)
        run = self._resolution(identity, Header())
        run.budget = run.budget if budget is None else budget
        run.follow(resolve.begin(run.header, graph.roots, run.now))
        return run

    def _start_child(self, run: Resolution, node: Node, key: Key) -> None:
        """Start the execution that does the work of a run or an item, and let that know how it stands."""
        parent = Parent(run.execution_id, node.name, key, run.marks[key].attempt)
        name, _ = run.flow.who_of(node, key)
        try:
            child = self._child(run, parent, name or "", run.flow.input_of(node, key))
        except (errors.WorkflowNotFound, errors.DefinitionInvalid, errors.InputInvalid) as error:
            failure = Outcome(TaskState.FAILURE, None, Failure("workflow", str(error)))
            run.follow(resolve.complete(run.slice(), key, failure, run.now, run.flow, run.budget))
            return
        run.flow.children[key] = child.execution_id
        status = self._save(child)
        run.budget = min(run.budget, child.budget)
        self._tell(run, child, status, follows=False)

    def _child(self, run: Resolution, parent: Parent, name: str, given: dict[str, Any]) -> Resolution:
        above = run.identity
        if above.depth >= DEEPEST_NEST:
            reason = f"it would be more than {DEEPEST_NEST} executions deep; does it name itself without an end?"
            raise errors.InputInvalid(workflow=name, reason=reason)
        default_action = above.params.get("default_action", self.settings.default_action)
        found = find_nested(self.store, self.settings, above, name, default_action, given.get("task_name"))
        declared = {*found.graph.required, *found.graph.input}
        inherited = {name: above.params[name] for name in INHERITED if name in above.params}
        params = {name: value for name, value in given.items() if name not in {*declared, *INHERITED}} | inherited
        execution = new_execution(
            str(uuid.uuid4()), found.graph, found.document, self.now,
            {name: value for name, value in given.items() if name in declared}, params, parent=parent,
            root_id=above.root_id,
        )  # fmt: skip
        identity = replace(
            above, id=execution.id, graph_id=found.graph_id, workflow=found.graph.workflow,
            definition_digest=found.document, params=params, parent=parent, depth=above.depth + 1,
            has_data=found.graph.publishes, created_at=self.now, notify=(),
        )  # fmt: skip
        if found.graph.nests and found.document != above.definition_digest:
            keep_definition(self.store.connection, found.document)
        return self.start(identity, found.graph, execution, budget=run.budget)

    # -- close --------------------------------------------------------------------------------------------------------

    def close(self, run: Resolution, follows: bool = False) -> ExecutionStatus:
        """Save what was decided of an execution, and let the one that it works for know how it stands.

        :param follows: it does what that one has asked for
        """
        status = self._save(run)
        parent = run.identity.parent
        if parent is not None and run.header.state is not run.before.state:
            above = self.find(parent.execution_id)
            if above is not None:
                above.load_key(parent.key)
                self._tell(above, run, status, follows)
                self.close(above)
        return status

    def close_and_read(self, run: Resolution) -> Execution:
        """Close an execution, and return it as it is saved now."""
        self.close(run)
        execution = self.store.execution(self.owner, run.execution_id)
        assert execution is not None
        return execution

    def _save(self, run: Resolution) -> ExecutionStatus:
        run.settle()
        status = run.save()
        self.store.has_news |= bool(run.events)
        if run.leaves_work:
            self.left.append(run.execution_id)
        return status

    def _tell(self, run: Resolution, child: Resolution, status: ExecutionStatus, follows: bool) -> None:
        """Take in at `run` what has become of an execution that does the work of one of its tasks."""
        parent = child.identity.parent
        assert parent is not None
        before, after = child.before.state, child.header.state
        key, mark, task = parent.key, run.marks.get(parent.key), run.marks.get(parent.key[:2])
        if mark is None or task is None or not task.has_item(mark.item):
            return
        if before in FINAL_EXECUTION_STATES and self._may_take_back(run, mark, task, parent):
            take_back(run, key)
            mark, task = run.marks[key], run.marks[key[:2]]
        is_awaited = mark.state is TaskState.RUNNING and mark.attempt == parent.attempt
        if is_awaited and task.state is TaskState.RUNNING:
            self._stop(run, child, key)
        if before in STOPPED and after not in {*STOPPED, ExecutionState.CANCELLED} and not follows:
            self._resume(run)
        if after in FINAL_EXECUTION_STATES:
            outcome = _outcome(child, status)
            if is_awaited:
                run.follow(resolve.complete(run.slice(), key, outcome, run.now, run.flow, run.budget))
            else:
                run.follow(resolve.keep_late(run.header, replace(mark, attempt=parent.attempt), outcome, run.now))

    def _stop(self, run: Resolution, child: Resolution, key: Key) -> None:
        """Count whether the execution that does the work of a task sleeps, and stop with it."""
        before, after = child.before.state, child.header.state
        dozes = (after is ExecutionState.SUSPENDED) - (before is ExecutionState.SUSPENDED)
        if dozes:
            run.follow(resolve.doze(run.slice(), key, dozes, run.now))
        if after in STOPPED and run.header.state is ExecutionState.RUNNING:
            info = f"Execution {child.execution_id} of task '{run.nodes[key[0]].name}' was suspended"
            run.steer(ExecutionEvent.SUSPEND, info)

    def _may_take_back(self, run: Resolution, mark: Mark, task: Mark, parent: Parent) -> bool:
        """Tell whether a task can be under way again whose execution was run again: nothing else has come of it."""
        failed = mark.state in RERUNNABLE_TASK_STATES and mark.attempt == parent.attempt
        waits = task.state in RERUNNABLE_TASK_STATES | {TaskState.RUNNING}
        return failed and waits and run.header.state is not ExecutionState.SUCCESS

    def _resume(self, run: Resolution) -> None:
        """Go on where the last execution below that was suspended does."""
        if run.header.state in STOPPED and not self.store.has_child_in(run.execution_id, STOPPED):
            run.steer(ExecutionEvent.RESUME)


def _outcome(child: Resolution, status: ExecutionStatus) -> Outcome:
    """Return what the end of an execution means to its task (Mistral: `_send_result_to_parent_workflow`)."""
    state = TaskState(child.header.state.value)
    failed = state is TaskState.FAILURE
    info = child.header.info or f"Execution {child.execution_id} failed"
    return Outcome(state, status.output, Failure("workflow", info) if failed else None)


def new_execution(
    id: str, graph: Graph, document: str, now: datetime, given: dict[str, Any], params: dict[str, Any],
    description: str = "", tags: tuple[str, ...] = (), parent: Parent | None = None, root_id: str | None = None,
) -> Execution:  # fmt: skip
    """Return an execution as it begins.

    :param document: the digest of its definition
    :param given: its input
    :raises InputInvalid: the input does not fit what the workflow declares
    """
    missing = [name for name in graph.required if name not in given]
    unknown = [name for name in given if name not in {*graph.required, *graph.optional, *graph.input}]
    if missing or unknown:
        reasons = [f"'{name}' is missing" for name in missing] + [f"'{name}' is not declared" for name in unknown]
        raise errors.InputInvalid(workflow=graph.workflow, reason="; ".join(reasons[:20]))
    return Execution(
        id=id,
        workflow=graph.workflow,
        definition_digest=document,
        state=ExecutionState.RUNNING,
        info=None,
        params=params,
        description=description,
        tags=tags,
        created_at=now,
        updated_at=now,
        finished_at=None,
        generation=0,
        parent=parent,
        root_execution_id=root_id or id,
        input=graph.input | given,  # Mistral: `engine/workflows.py`, prepare_input
    )
