"""The compiler of the Mistral Workflow Language v2 (Mistral: `lang/v2/workflows.py`, `lang/v2/tasks.py`).

What is served is listed in `api-ref/language.rst`.  What Mistral has beyond that is refused by name, never ignored.
"""

import hashlib
import json
from collections.abc import Set
from typing import Any

from lazyengine.compilers import COMPILER_REVISION, topology
from lazyengine.compilers.calls import CallError, parse_call
from lazyengine.compilers.clauses import CLAUSES, COMMANDS, Clauses
from lazyengine.compilers.contents import Source, check_about, declaration_of, workflows_of
from lazyengine.compilers.document import read
from lazyengine.compilers.expressions import compile_template
from lazyengine.compilers.faults import Faults, Path, kind, shown
from lazyengine.compilers.literals import has_expression
from lazyengine.compilers.names import check_name
from lazyengine.core.actions import PURE_PARAMETERS
from lazyengine.core.graph import Edge, Graph, Node, On
from lazyengine.errors import WorkflowNotFound
from lazyengine.records import Declaration

WORKFLOW_KEYS = {
    "type",
    "description",
    "tags",
    "input",
    "vars",
    "output",
    "output-on-error",
    "task-defaults",
    "tasks",
    "name",
    "version",
}
TASK_KEYS = {"action", "input", "join", "publish", "publish-on-error", "description", "target", "name", *CLAUSES}
LATER_TASK_KEYS = {
    "workflow", "with-items", "publish", "publish-on-error", "publish-on-skip", "retry", "wait-before", "wait-after",
    "timeout", "pause-before", "fail-on", "concurrency", "safe-rerun", "keep-result", "requires", "on-skip", "tags",
}  # fmt: skip
EXTERNAL_ACTION = "std.async_noop"
MOST_TRANSITIONS = 1_000_000
"""Transitions that all tasks of a definition may have together; task-defaults give theirs to every task."""


def document_digest(definition: str | dict[str, Any]) -> str:
    """Return what identifies a definition as it was given."""
    return _digest(definition)  # keys unsorted: the order of tasks means something


def definition_digest(document: str, workflow: str | None, default_action: str) -> str:
    """Return what identifies the graph that a definition compiles to, without compiling it.

    :param document: the `document_digest` of the definition
    """
    return _digest([COMPILER_REVISION, document, workflow, default_action])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()


def compile_definition(
    definition: str | dict[str, Any], workflow: str | None, default_action: str, max_tasks: int
) -> tuple[Graph, list[Node]]:
    """Compile one workflow of a definition; the others are checked too.  Cost: linear in the document.

    :param workflow: its name; None where the definition has only one
    :param default_action: action of tasks that name none; '' leaves them to be completed from outside
    :raises DefinitionInvalid: with every fault found
    :raises WorkflowNotFound: there is none of that name
    """
    faults = Faults()
    sources = workflows_of(read(definition), faults)
    names = [source.name for source in sources]
    chosen = names[0] if workflow is None and len(names) == 1 else workflow or ""
    if chosen not in names and not faults.found:
        raise WorkflowNotFound.in_definition(workflow or "", names)
    return _compile_all(sources, faults, default_action, max_tasks)[chosen]


def declarations_of(definition: str | dict[str, Any], default_action: str, max_tasks: int) -> list[Declaration]:
    """Check every workflow of a definition, as `compile_definition` does, and tell what each says of itself.

    :raises DefinitionInvalid: with every fault found
    """
    faults = Faults()
    sources = workflows_of(read(definition), faults)
    _compile_all(sources, faults, default_action, max_tasks)
    return [declaration_of(source) for source in sources]


def _compile_all(
    sources: list[Source], faults: Faults, default_action: str, max_tasks: int
) -> dict[str, tuple[Graph, list[Node]]]:
    compiled: dict[str, tuple[Graph, list[Node]]] = {}
    room = MOST_TRANSITIONS
    for source in sources:
        compilation = _Workflow(source, faults, default_action, max_tasks, room)
        compiled[source.name] = compilation.compile()
        room = compilation.room
    faults.raise_if_any()
    return compiled


class _Workflow:
    """The compilation of one workflow; faults are added as they are found and compilation goes on."""

    def __init__(self, source: Source, faults: Faults, default_action: str, max_tasks: int, room: int) -> None:
        self.name, self.path, self.spec, self.faults = source.name, source.path, source.spec, faults
        self.default_action, self.max_tasks, self.room = default_action, max_tasks, room
        self.ids: dict[str, int] = {}
        self.clauses = Clauses(self.ids, faults)
        self.defaults: dict[On, list[Any]] = {}

    def compile(self) -> tuple[Graph, list[Node]]:
        graph = Graph(self.name, (), 0, {}, ())
        if not self.is_object(self.path, self.spec, "a workflow"):
            return graph, []
        self.check_keys(self.path, self.spec, WORKFLOW_KEYS)
        check_about(self.faults, self.path, self.spec)
        if self.spec.get("type", "direct") != "direct":
            self.faults.add((*self.path, "type"), f"only 'direct' is supported yet, not {shown(self.spec['type'])}")
        defaulted, required = self.read_input()
        variables, output, output_on_error = map(self.read_template, ("vars", "output", "output-on-error"))
        nodes = self.read_tasks()
        return Graph(
            workflow=self.name,
            roots=tuple(node.id for node in nodes if not node.indegree),
            size=len(nodes),
            input=defaulted,
            required=tuple(required),
            vars=variables or {},
            output=output,
            output_on_error=output_on_error,
            publishes=any(node.publish for node in nodes),
        ), nodes

    def read_template(self, key: str) -> dict[str, Any] | None:
        """Read an object of the workflow that may hold expressions."""
        value = self.spec.get(key)
        path = (*self.path, key)
        if value is None or not self.is_object(path, value, key):
            return None
        compile_template(self.faults, path, value)
        return dict(value)

    # -- faults -------------------------------------------------------------------------------------------------------

    def is_object(self, path: Path, value: Any, what: str) -> bool:
        if isinstance(value, dict):
            return True
        self.faults.add(path, f"{what} is an object, not {kind(value)}")
        return False

    def check_keys(self, path: Path, value: dict[Any, Any], known: Set[str], later: Set[str] = frozenset()) -> None:
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
                compile_template(self.faults, (*here, name), entry[name])
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
        self.clauses = Clauses(self.ids, self.faults)
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
        self.check_keys(path, defaults, set(CLAUSES), LATER_TASK_KEYS)
        return {
            on: self.clauses.edges((*path, key), defaults[key], on)
            for key, on in CLAUSES.items()
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
        for key, on in CLAUSES.items():
            given = spec.get(key)
            edges += self.clauses.edges((*path, key), given, on) if given not in (None, []) else []
            if not any(edge.on is on for edge in edges):
                edges += self.defaults_for(on, id)
        target = spec.get("target", "default")
        where = (*path, "target")
        if "target" in spec and check_name(self.faults, where, target, "a target") and has_expression(target):
            self.faults.add(where, "expressions are not supported yet; give a literal")
        join = self.read_join(path, spec)
        publish = self.clauses.published(path, spec)
        return Node(id, name, join, edges=tuple(edges), action=action, target=target, input=parameters, publish=publish)

    def defaults_for(self, on: On, id: int) -> list[Edge]:
        """The default edges of a task that has none itself; those that lead to itself are left out."""
        return [edge for edge in self.defaults.get(on, ()) if edge.to != id]

    def read_action(self, path: Path, spec: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        given = spec.get("input")
        if given is None or not self.is_object((*path, "input"), given, "input"):
            given = {}
        compile_template(self.faults, (*path, "input"), given)
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
        elif text.lstrip().startswith(("<%", "{{", "{%")):
            self.faults.add(path, "expressions are not supported yet in the name of an action")
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
        compile_template(faults, (), parameters)
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
