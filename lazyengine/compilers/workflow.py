"""The compiler of the Mistral Workflow Language v2 (Mistral: `lang/v2/workflows.py`, `lang/v2/tasks.py`).

What is served so far: direct workflows with on-success, on-error and on-complete, joins, commands, literal `input` and
`output`, and `task-defaults` for transitions.  What Mistral has beyond that is refused by name, never ignored.
"""

import hashlib
import json
from typing import Any

from lazyengine.compilers import COMPILER_REVISION, topology
from lazyengine.compilers.calls import CallError, parse_call
from lazyengine.compilers.document import read
from lazyengine.compilers.faults import Faults, Path, kind, shown
from lazyengine.compilers.literals import check_literal, has_expression
from lazyengine.compilers.names import check_name, is_storable
from lazyengine.core.actions import PURE_PARAMETERS
from lazyengine.core.graph import Command, Edge, Graph, Node, On
from lazyengine.core.state import INFO_LENGTH
from lazyengine.errors import WorkflowNotFound

WORKFLOW_KEYS = {"type", "description", "tags", "input", "output", "task-defaults", "tasks", "name", "version"}
LATER_WORKFLOW_KEYS = {"vars", "output-on-error"}
TRANSITIONS = {"on-success": On.SUCCESS, "on-error": On.ERROR, "on-complete": On.COMPLETE}
TASK_KEYS = {"action", "input", "join", "description", "target", "name", *TRANSITIONS}
LATER_TASK_KEYS = {
    "workflow", "with-items", "publish", "publish-on-error", "publish-on-skip", "retry", "wait-before", "wait-after",
    "timeout", "pause-before", "fail-on", "concurrency", "safe-rerun", "keep-result", "requires", "on-skip", "tags",
}  # fmt: skip
COMMANDS = {command.value: command for command in Command}
EXTERNAL_ACTION = "std.async_noop"
MOST_TRANSITIONS = 1_000_000
"""Transitions that all tasks of a definition may have together; task-defaults give theirs to every task."""


def definition_digest(definition: str | dict[str, Any], workflow: str | None, default_action: str) -> str:
    """Return what identifies the graph that these compile to, without compiling them."""
    parts = [COMPILER_REVISION, definition, workflow, default_action]
    text = json.dumps(parts, separators=(",", ":"))  # keys unsorted: the order of tasks means something
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
    compiled: dict[str, tuple[Graph, list[Node]]] = {}
    room = MOST_TRANSITIONS
    for name in names:
        compilation = _Workflow((name,), document[name], faults, default_action, max_tasks, room)
        compiled[name] = compilation.compile()
        room = compilation.room
    faults.raise_if_any()
    return compiled[chosen]


def _workflow_names(document: dict[Any, Any], faults: Faults) -> list[str]:
    if "workflows" in document or "actions" in document:
        faults.add((), "workbooks ('workflows', 'actions') are not supported yet; give workflows by name")
        return []
    if "tasks" in document:
        faults.add(("tasks",), "'tasks' belongs into a workflow: name: {tasks: ...}")
        return []
    if document.get("version", "2.0") not in ("2.0", "2", 2):
        faults.add(("version",), f"version has to be '2.0', not {shown(document['version'])}")
    names = [name for name in document if name != "version" and not _is_remark(name, document[name])]
    if not names:
        faults.add((), "there is no workflow in it")
    for name in names:
        check_name(faults, (str(name),), name, "a workflow", in_path=True)
    return names


def _is_remark(name: Any, value: Any) -> bool:
    return name in ("name", "description") and isinstance(value, str)


class _Workflow:
    """The compilation of one workflow; faults are added as they are found and compilation goes on."""

    def __init__(self, path: Path, spec: Any, faults: Faults, default_action: str, max_tasks: int, room: int) -> None:
        self.path, self.spec, self.faults = path, spec, faults
        self.default_action, self.max_tasks, self.room = default_action, max_tasks, room
        self.ids: dict[str, int] = {}
        self.defaults: dict[On, list[Any]] = {}

    def compile(self) -> tuple[Graph, list[Node]]:
        graph = Graph(str(self.path[0]), (), 0, {}, ())
        if not self.is_object(self.path, self.spec, "a workflow"):
            return graph, []
        self.check_keys(self.path, self.spec, WORKFLOW_KEYS, LATER_WORKFLOW_KEYS)
        if self.spec.get("type", "direct") != "direct":
            self.faults.add((*self.path, "type"), f"only 'direct' is supported yet, not {shown(self.spec['type'])}")
        defaulted, required = self.read_input()
        output = self.spec.get("output")
        if output is not None and self.is_object((*self.path, "output"), output, "output"):
            check_literal(self.faults, (*self.path, "output"), output)
        nodes = self.read_tasks()
        roots = tuple(node.id for node in nodes if not node.indegree)
        return Graph(graph.workflow, roots, len(nodes), defaulted, tuple(required), output), nodes

    # -- faults -------------------------------------------------------------------------------------------------------

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

    # -- input --------------------------------------------------------------------------------------------------------

    def read_input(self) -> tuple[dict[str, Any], list[str]]:
        """Read the declared inputs: a name that has to be given, or {name: default}."""
        entries = self.spec.get("input")
        path: Path = (*self.path, "input")
        defaulted: dict[str, Any] = {}
        required: dict[str, None] = {}
        if entries is not None and not isinstance(entries, list):
            self.faults.add(path, f"input is a list of names, or of {{name: default}}, not {kind(entries)}")
            return defaulted, []
        for index, entry in enumerate(entries or []):
            here: Path = (*path, index)
            is_default = isinstance(entry, dict) and len(entry) == 1
            name = next(iter(entry)) if is_default else entry
            if not isinstance(name, str) or not name:
                self.faults.add(here, f"an input is a name or {{name: default}}, not {kind(entry)}")
            elif name in required or name in defaulted:
                self.faults.add(here, f"the input {shown(name)} is declared twice")
            elif is_default:
                check_literal(self.faults, here, entry)
                defaulted[name] = entry[name]
            else:
                required[name] = None
        return defaulted, list(required)

    # -- tasks --------------------------------------------------------------------------------------------------------

    def read_tasks(self) -> list[Node]:
        tasks = self.spec.get("tasks")
        path: Path = (*self.path, "tasks")
        if not self.can_be_tasks(path, {} if tasks is None else tasks):
            return []
        self.ids = {name: id for id, name in enumerate(tasks)}
        self.defaults = self.read_defaults()
        nodes = []
        for name, id in self.ids.items():
            nodes.append(self.read_task((*path, name), id, name, tasks[name]))
            self.room -= sum(1 + len(edge.message or "") // 64 for edge in nodes[-1].edges)
            if self.room < 0:
                self.faults.add(path, f"all tasks together have at most {MOST_TRANSITIONS} transitions")
                return []
        links = topology.links_of(nodes)
        order = topology.order_of(links)
        if loop := topology.find_loop(links, order):
            names = " → ".join(nodes[id].name for id in [*loop[:20], loop[0]])
            self.faults.add(path, f"loops are not supported yet: {names:.1000}")
            return []
        nodes = topology.lay_out(nodes, links, order)
        for node in nodes:
            self.check_join((*path, node.name, "join"), node, tasks[node.name])
        return nodes

    def can_be_tasks(self, path: Path, tasks: Any) -> bool:
        if not self.is_object(path, tasks, "tasks"):
            return False
        if not tasks:
            self.faults.add(path, "a workflow has at least one task")
        elif len(tasks) > self.max_tasks:
            self.faults.add(path, f"a workflow has at most {self.max_tasks} tasks, not {len(tasks)}")
        else:
            checks = [check_name(self.faults, (*path, str(name)), name, "a task", in_path=True) for name in tasks]
            for name in sorted(COMMANDS.keys() & tasks.keys()):
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
            on: self.read_clause((*path, key), defaults[key], on)
            for key, on in TRANSITIONS.items()
            if defaults.get(key) is not None
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
            given = spec.get(key)
            edges += self.defaults_for(on, id) if given in (None, []) else self.read_clause((*path, key), given, on)
        target = spec.get("target", "default")
        if "target" in spec and check_name(self.faults, (*path, "target"), target, "a target"):
            check_literal(self.faults, (*path, "target"), target)
        join = self.read_join(path, spec)
        return Node(id, name, join, edges=tuple(edges), action=action, target=target, input=parameters)

    def defaults_for(self, on: On, id: int) -> list[Edge]:
        """The default edges of a task that has none itself; those that lead to itself are left out."""
        return [edge for edge in self.defaults.get(on, ()) if edge.to != id]

    def read_action(self, path: Path, spec: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        given = spec.get("input")
        if given is None or not self.is_object((*path, "input"), given, "input"):
            given = {}
        check_literal(self.faults, (*path, "input"), given)
        text = spec.get("action")
        where = path if text is None else (*path, "action")
        if text is None and not self.default_action:
            return None, given
        action, inline = self.read_call(where, self.default_action if text is None else text)
        if action is None:
            return None, given
        parameters = {**given, **inline}  # Mistral: lang/v2/tasks.py, _process_action_and_workflow
        self.check_pure(where, action, parameters)
        return (None if action == EXTERNAL_ACTION else action), parameters

    def read_call(self, path: Path, text: Any) -> tuple[str | None, dict[str, Any]]:
        """Read a name with parameters behind it; the name is None where there is a fault."""
        if not isinstance(text, str):
            self.faults.add(path, f"action is a string, not {kind(text)}")
        elif has_expression(text):
            self.faults.add(path, "expressions are not supported yet; give a literal")
        else:
            try:
                name, parameters = parse_call(text)
            except CallError as error:
                self.faults.add(path, str(error))
            else:
                self.check_inline(path, parameters)
                if check_name(self.faults, path, name, "an action"):
                    return name, parameters
        return None, {}

    def check_inline(self, path: Path, parameters: dict[str, Any]) -> None:
        """Check values that stand inside a string, which is the only place that a pointer can tell."""
        faults = Faults()
        check_literal(faults, (), parameters)
        for fault in faults.found:
            self.faults.add(path, f"{fault.message} (parameter {fault.path.removeprefix('/')})")

    def check_pure(self, path: Path, action: str, parameters: dict[str, Any]) -> None:
        needed, optional = PURE_PARAMETERS.get(action, (frozenset(), frozenset(parameters)))
        for name in sorted(needed - parameters.keys()):
            self.faults.add(path, f"{action} needs the parameter '{name}'")
        for name in parameters:
            if name not in needed and name not in optional:
                self.faults.add(path, f"{action} has no parameter {shown(name)}")

    def read_join(self, path: Path, spec: dict[str, Any]) -> int | None:
        join = spec.get("join")
        if join == "all":
            return topology.ALL
        if join == "one":
            return 1
        if join is None or (type(join) is int and 0 <= join <= self.max_tasks):
            return join or None  # Mistral: `if task_spec.get_join()`; 0 is no join
        self.faults.add((*path, "join"), f"join is all, one or a number of tasks, not {shown(join)}")
        return None

    def check_join(self, path: Path, node: Node, spec: Any) -> None:
        """Mistral: `lang/v2/workflows.py`, `_check_join_tasks`."""
        wanted = 1 if isinstance(spec, dict) and spec.get("join") == "all" else node.join or 0
        if wanted > node.indegree:
            self.faults.add(path, f"joins {shown(spec['join'])}, but {node.indegree} tasks lead here")

    # -- transitions --------------------------------------------------------------------------------------------------

    def read_clause(self, path: Path, clause: Any, on: On) -> list[Edge]:
        """Read on-success, on-error or on-complete: a name, a call of a command, or a list of them."""
        if isinstance(clause, str):
            return self.read_entry(path, clause, on)
        if isinstance(clause, list):
            return self.read_entries(path, clause, on)
        if isinstance(clause, dict) and ("next" in clause or "publish" in clause):
            self.faults.add(path, "the long form ('next', 'publish') is not supported yet; give a list of names")
        else:
            self.faults.add(path, f"a transition is a name or a list of names, not {kind(clause)}")
        return []

    def read_entries(self, path: Path, entries: list[Any], on: On) -> list[Edge]:
        edges: list[Edge] = []
        seen: set[str] = set()
        for index, entry in enumerate(entries):
            if isinstance(entry, str) and entry in seen:  # Mistral: `uniqueItems` in lang/v2/on_clause.py
                self.faults.add((*path, index), f"{shown(entry)} stands in this list twice")
                continue
            edges += self.read_entry((*path, index), entry, on)
            if isinstance(entry, str):
                seen.add(entry)
        return edges

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
        if has_expression(entry):
            self.faults.add(path, "expressions are not supported yet; give a literal")
            return []
        try:
            name, parameters = parse_call(entry)
        except CallError:
            name, parameters = entry, {}
        message = parameters.get("msg")
        if not isinstance(message, str | None):
            message = json.dumps(message)
        if name not in COMMANDS:
            self.faults.add(path, f"there is no task {shown(entry)}")
        elif parameters.keys() - {"msg"}:
            self.faults.add(path, f'{name} takes msg="..." and nothing else')
        elif message is not None and not (len(message) <= INFO_LENGTH and is_storable(message)):
            self.faults.add(path, f"a message has at most {INFO_LENGTH} characters, no NUL and no lone surrogates")
        else:
            return [Edge(on, COMMANDS[name], None, message)]
        return []
