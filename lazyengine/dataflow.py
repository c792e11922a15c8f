"""The host of the core in the engine: contexts, inputs, publishing and guards of one execution in one transaction.

What is read is loaded when an expression first needs it, and no more than its `reads` name.

Sources: Mistral's `workflow/data_flow.py` (what a task sees, in which order) and `workflow/direct_workflow.py` (what a
join sees: the runs that chose it).
"""

from datetime import datetime
from typing import Any, NamedTuple

from lazyengine.compilers.expressions import EvaluationError, Evaluator, Reads, Template, View, load_template
from lazyengine.core import context as contexts
from lazyengine.core.actions import pure_outcome
from lazyengine.core.context import EMPTY, Context, Slot
from lazyengine.core.graph import Graph, Guard, Key, Node
from lazyengine.core.host import Host, Refused
from lazyengine.core.state import FINAL_TASK_STATES, Mark, Outcome, TaskState
from lazyengine.db import data
from lazyengine.db.rows import context_from_json, context_to_json
from lazyengine.db.store import Store
from lazyengine.errors import InputInvalid
from lazyengine.records import Execution, RunData, Start


class DataFlow(Host):
    """
    :param has_data: whether anything in the graph publishes, so that runs have contexts at all
    """

    def __init__(self, store: Store, execution_id: str, graph_id: int, has_data: bool, evaluator: Evaluator) -> None:
        self.store, self.execution_id, self.graph_id = store, execution_id, graph_id
        self.has_data, self.evaluator = has_data, evaluator
        self.contexts: dict[Key, Context] = {}
        self.inputs: dict[Key, dict[str, Any]] = {}
        self.published: dict[Key, dict[str, Any]] = {}
        self.ended: dict[Key, tuple[Node, Mark]] = {}
        self._final: Context | None = None
        self._final_changed = False
        self._values: dict[str, Any] = {}
        self._new_values: dict[str, Any] = {}
        self._variables_changed = False
        self._execution: Any = None
        self._variables: dict[str, Any] = {}

    # -- the port of the core -----------------------------------------------------------------------------------------

    def hear(self, node: Node, source: Key) -> None:
        if not self.has_data:
            return
        key = (node.id, 1)
        heard = self.context_of(key)
        waiting = heard if heard.origins else None
        self.contexts[key] = contexts.join(waiting, self.context_of(source), source[0], self.read, self.write)

    def begin(self, node: Node, key: Key, source: Key | None) -> Outcome | None:
        if self.has_data:
            if node.join is not None:
                waiting = self.context_of(key)
                self.contexts[key] = Context(waiting.slots, waiting.versions)
            else:
                self.contexts[key] = self.context_of(source) if source else EMPTY
        template = load_template(node.input)
        given = node.input
        if template.has_expressions:
            given = self.inputs[key] = self.evaluate(template, node, key)
        return pure_outcome(node.action, given)

    def end(self, node: Node, mark: Mark) -> None:
        key = (mark.node, mark.iteration)
        self.ended[key] = node, mark
        scopes = node.publish.get(mark.state)
        if not scopes:
            return
        values = self.evaluate(load_template(scopes), node, key)
        if branch := values.get("branch"):
            self.published[key] = branch
            self.contexts[key] = contexts.publish(self.context_of(key), branch, self.write)
        if shared := values.get("global"):
            self._load_execution()
            self._variables = contexts.merged(self._variables, shared)
            self._variables_changed = True

    def holds(self, node: Node, key: Key, guard: Guard) -> bool:
        return bool(self.evaluate(load_template(guard), node, key))

    def last(self, node: Node, key: Key) -> None:
        if self.has_data:
            self._final = contexts.join(self.final(), self.context_of(key), node.id, self.read, self.write)
            self._final_changed = True

    def final(self) -> Context | None:
        """Return what the runs that lead nowhere saw and published, merged; None where there is none yet."""
        if self._final is None and self.has_data:
            saved = self._load_execution().final_context
            self._final = context_from_json(saved) if saved else None
        return self._final

    # -- contexts and values ------------------------------------------------------------------------------------------

    def context_of(self, key: Key) -> Context:
        """Return what a run sees (a join that waits: what it has heard so far)."""
        if key not in self.contexts:
            found = data.read_contexts(self.store.connection, self.execution_id, [key]) if self.has_data else {}
            self.contexts[key] = found.get(key, EMPTY)
        return self.contexts[key]

    def read(self, slot: Slot) -> Any:
        """Return the value that a slot stands for."""
        if isinstance(slot, list):
            return slot[0]
        if slot not in self._values:
            self._values |= data.read_values(self.store.connection, self.execution_id, [slot])
        return self._values[slot]

    def write(self, value: Any) -> Slot:
        """Return a slot for a value; it is stored when the transaction is saved."""
        slot, stored = data.slot_of(value)
        if stored:
            self._values[slot] = self._new_values[slot] = value
        return slot

    # -- expressions --------------------------------------------------------------------------------------------------

    def evaluate(self, template: Template, node: Node | None, key: Key | None, context: Context = EMPTY) -> Any:
        """Evaluate an expression as a run sees it (None: the execution as a whole, over `context`).

        :raises Refused: it cannot be evaluated
        """
        if not template.has_expressions:
            return template.value
        try:
            return self.evaluator.evaluate(template, self._view(template.reads, node, key, context))
        except EvaluationError as error:
            raise Refused(str(error)) from None

    def _view(self, reads: Reads, node: Node | None, key: Key | None, context: Context) -> View:
        row = self._load_execution()
        context = self.context_of(key) if key else context
        tasks = self._tasks(reads)
        return View(
            variables=self.variables(reads.variables, context),
            env=row.params.get("env", {}),
            globals=self._variables,
            execution=execution_view(row),
            task=self._current(reads, node, key) if node and key else None,
            tasks={task["name"]: task for task in tasks},
            task_list=tasks,
        )

    def variables(self, names: frozenset[str] | None, context: Context) -> dict[str, Any]:
        """Return the variables that are read: what was published, over `vars` and globals, over the input."""
        row = self._load_execution()
        found: dict[str, Any] = {}
        for source in (row.input, self._variables):
            found |= source if names is None else {name: source[name] for name in names if name in source}
        wanted = context.slots.keys() if names is None else names & context.slots.keys()
        missing = {s for name in wanted if isinstance(s := context.slots[name], str) and s not in self._values}
        if missing:
            self._values |= data.read_values(self.store.connection, self.execution_id, missing)
        return found | {name: self.read(context.slots[name]) for name in wanted}

    def _load_execution(self) -> Any:
        if self._execution is None:
            self._execution = data.read_execution_data(self.store.connection, self.execution_id)
            self._variables = dict(self._execution.variables or {})
        return self._execution

    def _current(self, reads: Reads, node: Node, key: Key) -> dict[str, Any]:
        if key in self.ended:
            return self._ended_view(key)
        row = _Row(*key, node.name, TaskState.RUNNING, 0, None, None, None, None, None)
        view = task_view(self.execution_id, row)
        if not (reads.current_task or reads.tasks is None or node.name in reads.tasks):
            return view
        rows = data.read_task_data(self.store.connection, self.execution_id, self.graph_id, [node.name])
        return next((task_view(self.execution_id, row) for row in rows if row.iteration == key[1]), view)

    def _tasks(self, reads: Reads) -> list[dict[str, Any]]:
        """Every run that is read, as saved and as this transaction left it."""
        if not reads.task_list and reads.tasks is not None and not reads.tasks:
            return []
        names = None if reads.task_list else reads.tasks
        rows = data.read_task_data(self.store.connection, self.execution_id, self.graph_id, names)
        views = {(row.node_id, row.iteration): task_view(self.execution_id, row) for row in rows}
        views |= {
            key: self._ended_view(key) for key, (node, _) in self.ended.items() if not names or node.name in names
        }
        return list(views.values())

    def _ended_view(self, key: Key) -> dict[str, Any]:
        node, mark = self.ended[key]
        row = _Row(
            key[0], key[1], node.name, mark.state, mark.attempt, mark.info,
            mark.outcome.result if mark.outcome else None,
            self.published.get(key), mark.started_at, mark.finished_at,
        )  # fmt: skip
        return task_view(self.execution_id, row)

    # -- save ---------------------------------------------------------------------------------------------------------

    def changed(self) -> dict[Key, RunData]:
        """Return what the transaction leaves at runs, and store the values that it needs."""
        data.add_values(self.store.connection, self.execution_id, self._new_values)
        columns: dict[str, Any] = {}
        if self._variables_changed:
            columns["variables"] = self._variables
        if self._final_changed and self._final is not None:
            columns["final_context"] = context_to_json(self._final)
        if columns:
            data.save_execution_data(self.store.connection, self.execution_id, **columns)
        keys = {*self.contexts, *self.inputs, *self.published}
        return {key: RunData(self.contexts.get(key), self.inputs.get(key), self.published.get(key)) for key in keys}

    def output(self, template: Any) -> dict[str, Any]:
        """Evaluate an output over the variables of the end; without one they are the output themselves.

        :raises Refused: it cannot be evaluated
        """
        final = self.final() or EMPTY
        found: dict[str, Any] = {}
        if template:
            found = self.evaluate(load_template(template), None, None, final)
        return found or {name: self.read(slot) for name, slot in final.slots.items()}

    def data_of(self, node: Node, mark: Mark) -> RunData:
        """Return the input and what was published of a run that has ended."""
        key = (mark.node, mark.iteration)
        if key not in self.ended and node.publish:
            self.published |= data.read_published(self.store.connection, self.execution_id, [key])
        return RunData(None, self.input_of(node, key), self.published.get(key))

    def input_of(self, node: Node, key: Key) -> dict[str, Any]:
        """Return the input of a run that was handed out."""
        if key not in self.inputs and load_template(node.input).has_expressions:
            self.inputs |= data.read_inputs(self.store.connection, self.execution_id, [key])
        return self.inputs.get(key, node.input)


class _Row(NamedTuple):
    """What `task_view` needs of a run that is not saved yet."""

    node_id: int
    iteration: int
    name: str
    state: str
    attempt: int
    info: str | None
    result: Any
    published: dict[str, Any] | None
    started_at: datetime | None
    finished_at: datetime | None


def task_id(execution_id: str, key: Key) -> str:
    """Return what identifies a run in expressions."""
    return f"{execution_id}:{key[0]}:{key[1]}"


STATES = {"FAILURE": "ERROR", "DELAYED": "RUNNING_DELAYED", "SUSPENDED": "PAUSED"}
"""What Mistral calls the states that it has other words for; expressions see its words."""


def execution_view(row: Any) -> dict[str, Any]:
    """What `execution()` shows (Mistral: `expressions/std_functions.py`, execution_)."""
    return {
        "id": row.id,
        "name": row.workflow,
        "spec": {},
        "input": row.input,
        "params": row.params,
        "created_at": str(row.created_at),
        "updated_at": str(row.updated_at),
        "root_execution_id": row.id,
    }


def task_view(execution_id: str, row: Any) -> dict[str, Any]:
    """What `task()` and `tasks()` show (Mistral: `expressions/std_functions.py`, task_).

    The result of a run that has none is an empty list (Mistral: `workflow/data_flow.py`, get_task_execution_result).
    """
    return {
        "id": task_id(execution_id, (row.node_id, row.iteration)),
        "name": row.name,
        "spec": {},
        "state": STATES.get(row.state, row.state),
        "state_info": row.info,
        "result": row.result if row.attempt and row.state in FINAL_TASK_STATES else [],
        "published": row.published or {},
        "type": "ACTION",
        "workflow_execution_id": execution_id,
        "created_at": str(row.started_at),
        "updated_at": str(row.finished_at),
    }


def input_at_start(evaluator: Evaluator, graph: Graph, start: Start) -> dict[str, Any]:
    """Return the input of an execution: what is given, and of the rest the defaults.

    :raises InputInvalid: a default cannot be evaluated
    """
    defaults = {name: value for name, value in graph.input.items() if name not in start.input}
    view = View(variables=start.input, env=start.params.get("env", {}))
    return _evaluated(evaluator, graph, "the default of an input", defaults, view) | start.input


def variables_at_start(evaluator: Evaluator, graph: Graph, execution: Execution) -> dict[str, Any]:
    """Return the `vars` of a workflow, evaluated over its input (Mistral: `add_workflow_variables_to_context`).

    :raises InputInvalid: they cannot be evaluated
    """
    view = View(variables=execution.input or {}, env=execution.params.get("env", {}), execution={"id": execution.id})
    return _evaluated(evaluator, graph, "vars", graph.vars, view)


def _evaluated(evaluator: Evaluator, graph: Graph, what: str, value: dict[str, Any], view: View) -> dict[str, Any]:
    template = load_template(value)
    if not template.has_expressions:
        return value
    try:
        found: dict[str, Any] = evaluator.evaluate(template, view)
    except EvaluationError as error:
        raise InputInvalid(workflow=graph.workflow, reason=f"{what} cannot be evaluated: {error}") from None
    return found
