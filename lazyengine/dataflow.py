"""The host of the core in the engine: contexts, inputs, publishing and guards of one execution in one transaction.

What is read is loaded when an expression first needs it, and no more than its `reads` name.

Sources: Mistral's `workflow/data_flow.py` (what a task sees, in which order) and `workflow/direct_workflow.py` (what a
join sees: the runs that chose it).
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from lazyengine.compilers.expressions import (
    EvaluationError,
    Evaluator,
    Reads,
    Template,
    View,
    compile_template,
    load_template,
)
from lazyengine.compilers.faults import Faults
from lazyengine.core import context as contexts
from lazyengine.core.actions import PURE_PARAMETERS, pure_outcome
from lazyengine.core.context import EMPTY, Context, Slot
from lazyengine.core.graph import Graph, Key, Node
from lazyengine.core.host import Host, Refused
from lazyengine.core.state import WHOLE, Mark, Outcome, TaskState
from lazyengine.core.values import replace
from lazyengine.db import data
from lazyengine.db.reruns import read_last
from lazyengine.db.rows import context_from_json, context_to_json
from lazyengine.db.store import Store
from lazyengine.db.types import to_json
from lazyengine.errors import InputInvalid
from lazyengine.records import Execution, RunData
from lazyengine.views import Row, execution_view, family_view, task_view

MOST_ITEMS = 100_000
LONGEST_NAME = 255


@lru_cache
def _work_without_input(action: str | None, target: str) -> Template:
    """Most tasks have no input, and few kinds of work: this takes 2 % of the instructions of a completion less."""
    return load_template([{}, action, target])


class DataFlow(Host):
    """
    :param has_data: whether anything in the graph publishes, so that runs have contexts at all

    `calls` are runs and items that have begun and whose work is a workflow that is still to be started; `children` are
    the executions that were; `attempts` are what those of retry controllers came to; `known` gives the marks that the
    transaction has seen, as it left them so far.
    """

    def __init__(self, store: Store, execution_id: str, has_data: bool, evaluator: Evaluator) -> None:
        self.store, self.execution_id, self.has_data, self.evaluator = store, execution_id, has_data, evaluator
        self.contexts: dict[Key, Context] = {}
        self.inputs: dict[Key, dict[str, Any]] = {}
        self.published: dict[Key, dict[str, Any]] = {}
        self.actions: dict[Key, str] = {}
        self.targets: dict[Key, str] = {}
        self.ended: dict[Key, tuple[Node, Mark]] = {}
        self.calls: deque[tuple[Node, Key]] = deque()
        self.children: dict[Key, str] = {}
        self.attempts: dict[Key, list[Any]] = {}
        self.known: Callable[[], Mapping[Key, Mark]] = dict
        self._final: Context | None = None
        self._final_changed = False
        self._last: dict[Key, bool] = {}
        self._values: dict[str, Any] = {}
        self._works: dict[int, Template] = {}
        self._new_values: dict[str, Any] = {}
        self._variables_changed = False
        self._execution: Any = None
        self._graph_spec: dict[str, Any] | None = None
        self._variables: dict[str, Any] = {}

    # -- the port of the core -----------------------------------------------------------------------------------------

    def hear(self, node: Node, key: Key, source: Key) -> None:
        if not self.has_data:
            return
        heard = self.context_of(key)
        before = self._heard(heard.before, source) if heard.before else None
        self.contexts[key] = replace(self._heard(heard if heard.origins else None, source), before=before)

    def _heard(self, waiting: Context | None, source: Key) -> Context:
        return contexts.join(waiting, self.context_of(source), source[0], self.read, self.write)

    def enter(self, node: Node, key: Key, source: Key | None) -> None:
        if self.has_data:
            if node.join is not None:
                waiting = self.context_of(key)
                self.contexts[key] = Context(waiting.slots, waiting.versions)
            else:
                self.contexts[key] = replace(self.context_of(source), before=None) if source else EMPTY

    def value(self, node: Node, key: Key, value: Any) -> Any:
        return self.evaluate(load_template(value), node, key)

    def message(self, node: Node, key: Key, text: str) -> str:
        found = self.value(node, key, text)
        return found if isinstance(found, str) else to_json(found)

    def spread(self, node: Node, key: Key) -> int:
        """Mistral: `engine/tasks.py`, WithItemsTask._get_with_items_values and _get_input_dicts."""
        lists: dict[str, Any] = self.value(node, key, node.items)
        for name, values in lists.items():
            if not isinstance(values, list | dict | str):
                raise Refused(f"with-items: '{name}' takes its values from a list, not from {to_json(values):.100}")
        found = {name: list(values) for name, values in lists.items()}
        sizes = {len(values) for values in found.values()}
        if len(sizes) > 1:
            raise Refused(f"with-items: the lists have to be of the same length, not {sorted(sizes)}")
        total = sizes.pop() if sizes else 0
        if total > MOST_ITEMS:
            raise Refused(f"with-items: at most {MOST_ITEMS} items, not {total}")
        self._prepare_items(node, key, [{name: values[i] for name, values in found.items()} for i in range(total)])
        return total

    def _work(self, node: Node) -> Template:
        """Return the template of what a node says of its work: input, action and target."""
        if node.input == {}:
            return _work_without_input(node.workflow or node.action, node.target)
        if node.id not in self._works:
            self._works[node.id] = load_template([node.input, node.workflow or node.action, node.target])
        return self._works[node.id]

    def _prepare_items(self, node: Node, key: Key, items: list[dict[str, Any]]) -> None:
        """Evaluate the input, the action and the target of every item, in one go."""
        template = self._work(node)
        if not template.has_expressions:
            return
        view = self._view(template.reads, node, key, EMPTY)
        own = self.context_of(key).slots.keys()
        pairs = []
        for item in items:
            seen = {name: value for name, value in item.items() if name not in own}
            pairs.append((template, replace(view, variables={**view.variables, **seen})))
        for index, found in enumerate(self.evaluator.evaluate_many(pairs)):
            if isinstance(found, EvaluationError):
                raise Refused(f"item {index}: {found}")
            self._keep((*key, index), node, found)

    def _keep(self, key: Key, node: Node, found: list[Any]) -> None:
        given, action, target = found
        if not isinstance(given, dict):
            raise Refused(f"the input is an object, not {to_json(given):.100}")
        named = (action, target) if action is not None or node.workflow else (target,)
        if any(not isinstance(name, str) or len(name) > LONGEST_NAME for name in named):
            raise Refused(f"the names of what to run and of its target are strings, not {to_json([*named]):.100}")
        self.inputs[key] = given
        if action != (node.workflow or node.action):
            self.actions[key] = action or "std.noop"
        if target != node.target:
            self.targets[key] = target

    def run(self, node: Node, key: Key, given: Mapping[str, Any] | None = None) -> Outcome | None:
        template = self._work(node)
        if template.has_expressions and len(key) == 2:
            self._keep(key, node, self.evaluate(template, node, key))
        own = self.input_of(node, key) if template.has_expressions else _declared(node)
        own = {**own, **(given or {})}
        if node.adhoc:
            own = self._through(node, key, own)
        if node.adhoc or given is not None:
            self.inputs[key] = own
        if node.workflow:
            self.calls.append((node, key))
            return None
        action = self.actions.get(key, node.action)
        needed, optional = PURE_PARAMETERS.get(action or "", (frozenset(), frozenset(own)))
        if needed - own.keys() or own.keys() - needed - optional:
            raise Refused(f"{action} takes {sorted(needed | optional)}, not {sorted(own)[:10]}")
        if action == "std.async_noop":
            return None
        return pure_outcome(action, own)

    def _through(self, node: Node, key: Key, given: dict[str, Any]) -> dict[str, Any]:
        """Return what the inputs of ad-hoc actions come to (Mistral: `actions/adhoc.py`, instantiate)."""
        for action in node.adhoc:
            unknown = given.keys() - {*action.required, *action.input}
            missing = [name for name in action.required if name not in given]
            if missing or unknown:
                raise Refused(f"an ad-hoc action takes {[*action.required, *action.input]}, not {sorted(given)[:10]}")
            template = load_template(action.base_input)
            view = self._view(template.reads, node, key[:2], EMPTY)
            own = replace(view, variables={**view.variables, **action.input, **given})
            given = self._evaluated(template, own)
        return given

    def received(self, node: Node, key: Key, outcome: Outcome) -> Outcome:
        if outcome.state is not TaskState.SUCCESS:
            return outcome
        for action in reversed(node.adhoc):
            if action.output is not None:
                result = self._evaluated(load_template(action.output), View(root=(outcome.result,)))
                outcome = replace(outcome, result=result)
        return outcome

    def _evaluated(self, template: Template, view: View) -> Any:
        if not template.has_expressions:
            return template.value
        try:
            return self.evaluator.evaluate(template, view)
        except EvaluationError as error:
            raise Refused(str(error)) from None

    def collect(self, node: Node, mark: Mark, ended: Mapping[int, Outcome]) -> list[Any]:
        assert mark.items is not None
        saved = data.read_item_results(self.store.connection, self.execution_id, mark.key)
        return [_item_result(ended.get(item) or saved.get(item)) for item in range(mark.items.total)]

    def end(self, node: Node, mark: Mark) -> None:
        key = (mark.node, mark.iteration)
        self.ended[key] = node, mark
        if scopes := node.publish.get(mark.state):
            self._publish(node, mark, scopes)
        if not node.policy.keep_result and mark.outcome:
            self.ended[key] = node, replace(mark, outcome=replace(mark.outcome, result=None))

    def _publish(self, node: Node, mark: Mark, scopes: dict[str, Any]) -> None:
        key = mark.key
        context = self.context_of(key)
        template = load_template(scopes.get("branch", {}))
        if branch := self.evaluate(template, node, key):
            self.published[key] = branch
            if mark.state is TaskState.FAILURE:
                context = replace(context, before=context.before or context)
            self.contexts[key] = contexts.publish(context, branch, self.write)
        if shared := self.evaluate(load_template(scopes.get("global", {})), node, key, context):
            self._load_execution()
            self._variables = contexts.merged(self._variables, shared)
            self._variables_changed = True

    def last(self, node: Node, key: Key) -> None:
        if self.has_data:
            self._final = contexts.join(self.final(), self.context_of(key), node.id, self.read, self.write)
            self._final_changed = True
            self._last[key] = True

    def reopen(self, node: Node, key: Key, last: bool) -> None:
        """Take back what it published as it failed; merge the contexts of the runs that lead nowhere without it."""
        if self.has_data and (before := self.context_of(key).before):
            self.contexts[key], self.published[key] = before, {}
        if self.has_data and last:
            self._last[key] = False
            keys = {*read_last(self.store.connection, self.execution_id), *(key for key in self._last)}
            self._final = EMPTY
            for one in sorted(key for key in keys if self._last.get(key, True)):
                self._final = contexts.join(self._final, self.context_of(one), one[0], self.read, self.write)
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
        return self._evaluated(template, self._view(template.reads, node, key, context))

    def _view(self, reads: Reads, node: Node | None, key: Key | None, context: Context) -> View:
        row = self._load_execution()
        context = self.context_of(key) if key and context is EMPTY else context
        root_id = row.root_id or self.execution_id
        family = data.read_family(self.store.connection, root_id) if reads.executions else []
        tasks = self._tasks(reads, [one.id for one in family] or [self.execution_id])
        own = [task for task in tasks if task["workflow_execution_id"] == self.execution_id]
        return View(
            variables=self.variables(reads.variables, context),
            env=row.params.get("env", {}),
            globals=self._variables,
            execution=execution_view(row, self._spec() if reads.execution and reads.specs else {}),
            task=self._current(reads, node, key) if node and key else None,
            tasks={task["name"]: task for task in own},
            task_list=tasks,
            executions=[family_view(one) for one in family],
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

    def _spec(self) -> dict[str, Any]:
        if self._graph_spec is None:
            self._graph_spec = self.store.graph_head(self._load_execution().graph_id).spec
        return self._graph_spec

    def _current(self, reads: Reads, node: Node, key: Key) -> dict[str, Any]:
        if key in self.ended:
            return self._ended_view(key)
        row = Row(key[0], key[1], node.name, TaskState.RUNNING, 0, None, None, None, None, None, {"spec": node.spec})
        view = task_view(self.execution_id, row)
        if not (reads.current_task or reads.tasks is None or node.name in reads.tasks):
            return view
        rows = self._task_rows(reads, [self.execution_id], [node.name])
        return next((task_view(self.execution_id, row) for row in rows if row.iteration == key[1]), view)

    def _tasks(self, reads: Reads, execution_ids: list[str]) -> list[dict[str, Any]]:
        """Every run that is read, as saved and as this transaction left it."""
        if not reads.task_list and reads.tasks is not None and not reads.tasks:
            return []
        names = None if reads.task_list else reads.tasks
        rows = self._task_rows(reads, execution_ids if names is None else [self.execution_id], names)
        views = [task_view(row.execution_id, row) for row in rows]
        views += [self._ended_view(key) for key, (node, _) in self.ended.items() if not names or node.name in names]
        return list({view["id"]: view for view in views}.values())

    def _task_rows(self, reads: Reads, execution_ids: Iterable[str], names: Iterable[str] | None) -> list[Any]:
        return data.read_task_data(self.store.connection, execution_ids, names, reads.specs)

    def _ended_view(self, key: Key) -> dict[str, Any]:
        node, mark = self.ended[key]
        row = Row(
            key[0], key[1], node.name, mark.state, mark.attempt, mark.info,
            mark.outcome.result if mark.outcome else None,
            self.published.get(key), mark.started_at, mark.finished_at, {"spec": node.spec}, bool(node.workflow),
        )  # fmt: skip
        return task_view(self.execution_id, row)

    # -- save ---------------------------------------------------------------------------------------------------------

    def changed(self) -> dict[Key, RunData]:
        """Return what the transaction leaves at runs, and store the values that it needs."""
        if self._new_values:
            data.add_values(self.store.connection, self.execution_id, self._new_values)
        columns: dict[str, Any] = {}
        if self._variables_changed:
            columns["variables"] = self._variables
        if self._final_changed and self._final is not None:
            columns["final_context"] = context_to_json(self._final)
        if columns:
            data.save_execution_data(self.store.connection, self.execution_id, **columns)
        keys = {*self.contexts, *self.inputs, *self.published, *self.children, *self.attempts}
        return {
            key: RunData(
                self.contexts.get(key),
                self.inputs.get(key),
                self.published.get(key),
                self.actions.get(key),
                self.targets.get(key),
                self.children.get(key),
                self.attempts.get(key),
            )
            for key in keys
        }

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
        key = mark.key
        if mark.item == WHOLE and key not in self.ended and node.publish:
            self.published |= data.read_published(self.store.connection, self.execution_id, [key])
        return RunData(None, self.input_of(node, key, mark.given is not None), self.published.get(key))

    def who_of(self, node: Node, key: Key) -> tuple[str | None, str]:
        """Return the action (or the workflow) and the target of a run or an item that has begun."""
        is_evaluated = any(place[0] != 0 for place, _ in self._work(node).texts)
        if is_evaluated and key not in self.inputs:
            return data.read_who(self.store.connection, self.execution_id, key)
        action = self.actions.get(key, node.workflow or node.action)
        return None if action == "std.async_noop" else action, self.targets.get(key, node.target)

    def input_of(self, node: Node, key: Key, given: bool = False) -> dict[str, Any]:
        """Return the input of a run, or of an item, that was handed out; `given`: a rerun may have had a say in it."""
        evaluated = given or node.adhoc or self._work(node).has_expressions
        if key not in self.inputs and evaluated:
            self.inputs |= data.read_inputs(self.store.connection, self.execution_id, [key])
        return self.inputs.get(key) or _declared(node)


def _declared(node: Node) -> dict[str, Any]:
    return node.input if isinstance(node.input, dict) else {}


def _item_result(outcome: Outcome | None) -> Any:
    """What the list of results shows of an item: what was reported, or of a failure why."""
    if outcome is None:
        return None
    return outcome.failure.message if outcome.result is None and outcome.failure else outcome.result


def variables_at_start(evaluator: Evaluator, graph: Graph, execution: Execution) -> dict[str, Any]:
    """Return the `vars` of a workflow, evaluated over its input (Mistral: `add_workflow_variables_to_context`).

    :raises InputInvalid: they cannot be evaluated
    """
    view = View(variables=execution.input or {}, env=execution.params.get("env", {}), execution={"id": execution.id})
    return _evaluated(evaluator, graph, "vars", graph.vars, view)


def params_at_start(evaluator: Evaluator, graph: Graph, execution_id: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters with `env` evaluated over itself as it was given (Mistral: `_get_environment`).

    :raises InputInvalid: it cannot be evaluated
    """
    env = params.get("env")
    if not env or not params.get("evaluate_env", True):
        return params
    view = View(env=env, execution={"id": execution_id})
    return {**params, "env": _evaluated(evaluator, graph, "env", env, view)}


def _evaluated(evaluator: Evaluator, graph: Graph, what: str, value: dict[str, Any], view: View) -> dict[str, Any]:
    faults = Faults()
    template = compile_template(faults, (), value)
    if faults.found:
        reason = f"{what} cannot be evaluated: {faults.found[0].message} (at {faults.found[0].path})"
        raise InputInvalid(workflow=graph.workflow, reason=reason)
    if not template.has_expressions:
        return value
    try:
        found: dict[str, Any] = evaluator.evaluate(template, view)
    except EvaluationError as error:
        raise InputInvalid(workflow=graph.workflow, reason=f"{what} cannot be evaluated: {error}") from None
    return found
