"""The compiler of the Mistral Workflow Language v2 (Mistral: `lang/v2/workflows.py`, `lang/v2/tasks.py`).

What is served so far: direct workflows with on-success, on-error and on-complete, joins, commands, literal `input` and
`output`, and `task-defaults` for transitions.  What Mistral has beyond that is refused by name, never ignored.
"""

import hashlib
import json
import math
from typing import Any

from lazyengine.compilers import COMPILER_REVISION, topology
from lazyengine.compilers.calls import CallError, parse_call
from lazyengine.compilers.document import read
from lazyengine.compilers.faults import DEEPEST, Faults, Path, kind
from lazyengine.core.actions import PURE_PARAMETERS
from lazyengine.core.graph import Command, Edge, Graph, Node, On
from lazyengine.errors import WorkflowNotFound

WORKFLOW_KEYS = {"type", "description", "tags", "input", "output", "task-defaults", "tasks", "name", "version"}
LATER_WORKFLOW_KEYS = {"vars", "output-on-error"}
TRANSITIONS = {"on-success": On.SUCCESS, "on-error": On.ERROR, "on-complete": On.COMPLETE}
TASK_KEYS = {"action", "input", "join", "description", "target", "name", *TRANSITIONS}
LATER_TASK_KEYS = {
    "workflow", "with-items", "publish", "publish-on-error", "retry", "wait-before", "wait-after", "timeout",
    "pause-before", "fail-on", "concurrency", "safe-rerun", "keep-result", "requires", "on-skip", "tags",
}  # fmt: skip
COMMANDS = {command.value: command for command in Command}
RESERVED = {*COMMANDS, "skip"}
LONGEST_NAME = 255
EXTERNAL_ACTION = "std.async_noop"


def definition_digest(definition: str | dict[str, Any], workflow: str | None, default_action: str) -> str:
    """Return what identifies the graph that these compile to, without compiling them."""
    parts = [COMPILER_REVISION, definition, workflow, default_action]
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def compile_definition(
    definition: str | dict[str, Any], workflow: str | None, default_action: str, max_tasks: int
) -> tuple[Graph, list[Node]]:
    """Compile one workflow of a definition; the others are checked too.  Cost: linear in the document.

    :param workflow: its name; None where the definition has only one
    :param default_action: action of tasks that name none; '' leaves them to be completed from outside
    :raises DefinitionInvalid: with every fault found
    :raises WorkflowNotFound: there is none of that name
    """
    document = read(definition)
    faults = Faults()
    names = _workflow_names(document, faults)
    faults.raise_if_any()
    chosen = workflow if workflow is not None else names[0]
    if chosen not in names or (workflow is None and len(names) > 1):
        raise WorkflowNotFound(workflow=workflow or "", known=", ".join(f"'{name}'" for name in names[:20]))
    compiled = {name: _Workflow((name,), document[name], faults, default_action, max_tasks).compile() for name in names}
    faults.raise_if_any()
    return compiled[chosen]


def _workflow_names(document: dict[Any, Any], faults: Faults) -> list[str]:
    if "workflows" in document or "actions" in document:
        faults.add((), "workbooks ('workflows', 'actions') are not supported yet; give workflows by name")
        return []
    if "tasks" in document:
        faults.add(("tasks",), "'tasks' belongs into a workflow: name: {tasks: ...}")
        return []
    if str(document.get("version", "2.0")) not in ("2.0", "2"):
        faults.add(("version",), f"version has to be '2.0', not {document['version']!r:.40}")
    names = [name for name in document if name not in ("version", "name", "description")]
    if not names:
        faults.add((), "there is no workflow in it")
    for name in names:
        _check_name(faults, (name,), name, "a workflow")
    return names


def _check_name(faults: Faults, path: Path, name: Any, what: str) -> bool:
    fault = None
    if not isinstance(name, str):
        fault = f"the name of {what} has to be a string; put {name!r:.40} in quotes"
    elif not 1 <= len(name) <= LONGEST_NAME:
        fault = f"the name of {what} has 1 to {LONGEST_NAME} characters, not {len(name)}"
    elif "/" in name or not name.isprintable() or name in (".", ".."):
        fault = f"the name of {what} holds no '/', no control characters and is not '.' or '..'"
    if fault:
        faults.add(path, fault)
    return fault is None


class _Workflow:
    """The compilation of one workflow; faults are added as they are found and compilation goes on."""

    def __init__(self, path: Path, spec: Any, faults: Faults, default_action: str, max_tasks: int) -> None:
        self.path, self.spec, self.faults = path, spec, faults
        self.default_action, self.max_tasks = default_action, max_tasks
        self.ids: dict[str, int] = {}
        self.defaults: dict[On, list[Any]] = {}

    def compile(self) -> tuple[Graph, list[Node]]:
        graph = Graph(str(self.path[0]), (), 0, {}, ())
        if not self.is_object(self.path, self.spec, "a workflow"):
            return graph, []
        self.check_keys(self.path, self.spec, WORKFLOW_KEYS, LATER_WORKFLOW_KEYS)
        if self.spec.get("type", "direct") != "direct":
            self.add("type", f"only 'direct' is supported yet, not {self.spec['type']!r:.40}")
        defaulted, required = self.read_input()
        output = self.spec.get("output")
        if output is not None and self.is_object((*self.path, "output"), output, "output"):
            self.check_literal((*self.path, "output"), output)
        nodes = self.read_tasks()
        roots = tuple(node.id for node in nodes if not node.indegree)
        return Graph(graph.workflow, roots, len(nodes), defaulted, tuple(required), output), nodes

    # -- faults -------------------------------------------------------------------------------------------------------

    def add(self, key: str, message: str) -> None:
        self.faults.add((*self.path, key), message)

    def is_object(self, path: Path, value: Any, what: str) -> bool:
        if isinstance(value, dict):
            return True
        self.faults.add(path, f"{what} is an object, not {kind(value)}")
        return False

    def check_keys(self, path: Path, value: dict[Any, Any], known: set[str], later: set[str]) -> None:
        for key in value:
            if key in known:
                continue
            if key in later:
                self.faults.add((*path, key), f"'{key}' is not supported yet")
            else:
                self.faults.add((*path, str(key)), f"unknown key; known here are {', '.join(sorted(known))}")

    def check_literal(self, path: Path, value: Any) -> None:
        """Refuse what JSON cannot say and what is no literal."""
        if isinstance(value, dict) and len(path) < DEEPEST:
            for key, member in value.items():
                if not isinstance(key, str):
                    self.faults.add(path, f"the key {key!r:.40} has to be a string; put it in quotes")
                self.check_literal((*path, str(key)), member)
        elif isinstance(value, list) and len(path) < DEEPEST:
            for index, member in enumerate(value):
                self.check_literal((*path, index), member)
        elif isinstance(value, dict | list):
            self.faults.add(path[:8], f"nested deeper than {DEEPEST}")
        elif isinstance(value, str):
            if ("<%" in value and "%>" in value) or ("{{" in value and "}}" in value) or "{%" in value:
                self.faults.add(path, "expressions are not supported yet; give a literal")
        elif isinstance(value, float) and not math.isfinite(value):
            self.faults.add(path, "not a number that JSON has")
        elif value is not None and not isinstance(value, bool | int | float):
            self.faults.add(path, f"{kind(value)} is not a JSON value")

    # -- input --------------------------------------------------------------------------------------------------------

    def read_input(self) -> tuple[dict[str, Any], list[str]]:
        """Read the declared inputs: a name that has to be given, or {name: default}."""
        entries = self.spec.get("input") or []
        path: Path = (*self.path, "input")
        defaulted: dict[str, Any] = {}
        required: list[str] = []
        if not isinstance(entries, list):
            self.faults.add(path, f"input is a list of names, or of {{name: default}}, not {kind(entries)}")
            return defaulted, required
        for index, entry in enumerate(entries):
            here: Path = (*path, index)
            if isinstance(entry, str):
                required.append(entry)
            elif isinstance(entry, dict) and all(isinstance(name, str) for name in entry):
                self.check_literal(here, entry)
                defaulted |= entry
            else:
                self.faults.add(here, f"an input is a name or {{name: default}}, not {kind(entry)}")
        return defaulted, required

    # -- tasks --------------------------------------------------------------------------------------------------------

    def read_tasks(self) -> list[Node]:
        tasks = self.spec.get("tasks")
        path: Path = (*self.path, "tasks")
        if not self.is_object(path, tasks, "tasks") or not self.can_be_tasks(path, tasks):
            return []
        self.ids = {name: id for id, name in enumerate(tasks)}
        self.defaults = self.read_defaults()
        nodes = [self.read_task((*path, name), id, name, tasks[name]) for name, id in self.ids.items()]
        order = topology.order_of(nodes)
        if loop := topology.find_loop(nodes, order):
            names = " → ".join(nodes[id].name for id in [*loop[:20], loop[0]])
            self.faults.add(path, f"loops are not supported yet: {names:.1000}")
            return []
        nodes = topology.lay_out(nodes, order)
        for node in nodes:
            self.check_join(node, tasks[node.name])
        return nodes

    def can_be_tasks(self, path: Path, tasks: dict[Any, Any]) -> bool:
        if not tasks:
            self.faults.add(path, "a workflow has at least one task")
        elif len(tasks) > self.max_tasks:
            self.faults.add(path, f"a workflow has at most {self.max_tasks} tasks, not {len(tasks)}")
        else:
            checks = [_check_name(self.faults, (*path, str(name)), name, "a task") for name in tasks]
            for name in RESERVED & tasks.keys():
                self.faults.add((*path, name), f"'{name}' is a command and cannot name a task")
            return all(checks)
        return False

    def read_defaults(self) -> dict[On, list[Any]]:
        defaults = self.spec.get("task-defaults")
        path: Path = (*self.path, "task-defaults")
        if defaults is None or not self.is_object(path, defaults, "task-defaults"):
            return {}
        self.check_keys(path, defaults, set(TRANSITIONS), LATER_TASK_KEYS)
        return {
            on: self.read_clause((*path, key), defaults[key], on) for key, on in TRANSITIONS.items() if key in defaults
        }

    def read_task(self, path: Path, id: int, name: str, spec: Any) -> Node:
        if spec is None:
            spec = {}
        if not self.is_object(path, spec, "a task"):
            return Node(id, name)
        self.check_keys(path, spec, TASK_KEYS, LATER_TASK_KEYS)
        action, parameters = self.read_action(path, spec)
        edges: list[Edge] = []
        for key, on in TRANSITIONS.items():
            edges += self.read_clause((*path, key), spec[key], on) if spec.get(key) else self.defaults_for(on, id)
        target = spec.get("target", "default")
        if not isinstance(target, str) or not 1 <= len(target) <= LONGEST_NAME or not target.isprintable():
            self.faults.add((*path, "target"), f"target is a name of 1 to {LONGEST_NAME} characters")
            target = "default"
        self.check_literal((*path, "target"), target)
        return Node(
            id, name, self.read_join(path, spec), 0, False, tuple(edges), (), frozenset(), action, target, parameters
        )

    def defaults_for(self, on: On, id: int) -> list[Edge]:
        """The default edges of a task that has none itself; those that lead to itself are left out."""
        return [edge for edge in self.defaults.get(on, ()) if edge.to != id]

    def read_action(self, path: Path, spec: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        given = spec.get("input") or {}
        if self.is_object((*path, "input"), given, "input"):
            self.check_literal((*path, "input"), given)
        else:
            given = {}
        text = spec.get("action", self.default_action) or None
        if text is None:
            return None, given
        where = (*path, "action")
        if not isinstance(text, str):
            self.faults.add(where, f"action is a string, not {kind(text)}")
            return None, given
        try:
            action, inline = parse_call(text)
        except CallError as error:
            self.faults.add(where, str(error))
            return None, given
        self.check_literal(where, inline)
        parameters = {**inline, **given}
        self.check_pure(where, action, parameters)
        return (None if action == EXTERNAL_ACTION else action), parameters

    def check_pure(self, path: Path, action: str, parameters: dict[str, Any]) -> None:
        if len(action) > LONGEST_NAME:
            self.faults.add(path, f"the name of an action has at most {LONGEST_NAME} characters")
        needed, optional = PURE_PARAMETERS.get(action, (frozenset(), frozenset(parameters)))
        for name in sorted(needed - parameters.keys()):
            self.faults.add(path, f"{action} needs the parameter '{name}'")
        for name in sorted(parameters.keys() - needed - optional):
            self.faults.add(path, f"{action} has no parameter '{name}'")

    def read_join(self, path: Path, spec: dict[str, Any]) -> int | None:
        join = spec.get("join")
        if join is None or join == "all":
            return topology.ALL if join else None
        if join == "one":
            return 1
        if isinstance(join, int) and not isinstance(join, bool) and 1 <= join <= self.max_tasks:
            return join
        self.faults.add((*path, "join"), f"join is all, one or a number from 1, not {join!r:.40}")
        return None

    def check_join(self, node: Node, spec: Any) -> None:
        if node.join is not None and node.join > node.indegree:
            where = (*self.path, "tasks", node.name, "join")
            self.faults.add(where, f"joins {spec['join']}, but {node.indegree} tasks lead here")

    # -- transitions --------------------------------------------------------------------------------------------------

    def read_clause(self, path: Path, clause: Any, on: On) -> list[Edge]:
        """Read on-success, on-error or on-complete: a name, a call of a command, or a list of them."""
        if isinstance(clause, str):
            return self.read_entry(path, clause, on)
        if isinstance(clause, list):
            return [edge for index, entry in enumerate(clause) for edge in self.read_entry((*path, index), entry, on)]
        if isinstance(clause, dict) and ("next" in clause or "publish" in clause):
            self.faults.add(path, "the long form ('next', 'publish') is not supported yet; give a list of names")
        else:
            self.faults.add(path, f"a transition is a name or a list of names, not {kind(clause)}")
        return []

    def read_entry(self, path: Path, entry: Any, on: On) -> list[Edge]:
        if isinstance(entry, dict):
            self.faults.add(path, "guards are not supported yet; give the name alone")
        elif not isinstance(entry, str):
            self.faults.add(path, f"a transition leads to a name, not to {kind(entry)}")
        elif entry in self.ids:
            return [Edge(on, self.ids[entry])]
        else:
            return self.read_command(path, entry, on)
        return []

    def read_command(self, path: Path, entry: str, on: On) -> list[Edge]:
        try:
            name, parameters = parse_call(entry)
        except CallError:
            name, parameters = entry, {}
        if name == "skip":
            self.faults.add(path, "'skip' is not supported yet")
        elif name not in COMMANDS:
            self.faults.add(path, f"there is no task '{entry:.260}'")
        elif set(parameters) - {"msg"}:
            self.faults.add(path, f'{name} takes msg="..." and nothing else')
        else:
            self.check_literal(path, parameters)
            message = parameters.get("msg")
            return [Edge(on, COMMANDS[name], None, None if message is None else str(message))]
        return []
