"""The compiler of the Mistral Workflow Language v2 (Mistral: `lang/v2/workflows.py`, `lang/v2/tasks.py`).

What is served is listed in `api-ref/language.rst`.  What Mistral does not know is refused by name, never ignored.
"""

import hashlib
import json
from dataclasses import replace
from typing import Any

from lazyengine.compilers import COMPILER_REVISION, reverse, topology
from lazyengine.compilers.adhoc import Actions
from lazyengine.compilers.clauses import CLAUSES, COMMANDS, Clauses
from lazyengine.compilers.contents import Source, check_about, declaration_of, read_declared, workflows_of
from lazyengine.compilers.document import read
from lazyengine.compilers.expressions import compile_template
from lazyengine.compilers.faults import Faults, Path, check_keys, is_object, shown
from lazyengine.compilers.names import check_name
from lazyengine.compilers.policies import DEFAULT_POLICY_KEYS, Policies
from lazyengine.compilers.specs import keep_specs, reads_specs
from lazyengine.compilers.tasks import Tasks
from lazyengine.core.graph import Edge, Graph, Node
from lazyengine.errors import InputInvalid, WorkflowNotFound
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
DEFAULT_KEYS = {"direct": DEFAULT_POLICY_KEYS | {*CLAUSES}, "reverse": DEFAULT_POLICY_KEYS | {"requires"}}
MOST_TRANSITIONS = 1_000_000
"""Transitions that all tasks of a definition may have together; task-defaults give theirs to every task."""


Compiled = tuple[Graph, list[Node]]


def document_digest(definition: str | dict[str, Any]) -> str:
    """Return what identifies a definition as it was given."""
    return _digest(definition)  # keys unsorted: the order of tasks means something


def definition_digest(document: str, workflow: str | None, default_action: str, task_name: str | None = None) -> str:
    """Return what identifies the graph that a definition compiles to, without compiling it.

    :param document: the `document_digest` of the definition
    """
    target = [] if task_name is None else [task_name]
    return _digest([COMPILER_REVISION, document, workflow, default_action, *target])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()


def compile_definition(
    definition: str | dict[str, Any],
    workflow: str | None,
    default_action: str,
    max_tasks: int,
    task_name: str | None = None,
) -> Compiled:
    """Compile one workflow of a definition; the others are checked too.  Cost: linear in the document.

    :param workflow: its name; None where the definition has only one
    :param default_action: action of tasks that name none; '' leaves them to be completed from outside
    :param task_name: the target of a reverse workflow; nothing to a direct one
    :raises DefinitionInvalid: with every fault found
    :raises WorkflowNotFound: there is none of that name
    :raises InputInvalid: a reverse workflow has no such target
    """
    faults = Faults()
    document = read(definition)
    sources = workflows_of(document, faults)
    names = [source.name for source in sources]
    chosen = names[0] if workflow is None and len(names) == 1 else workflow or ""
    if chosen not in names and not faults.found:
        raise WorkflowNotFound.in_definition(workflow or "", names)
    actions = Actions(document, faults)
    graph, nodes = _compile_all(sources, actions, faults, default_action, max_tasks)[chosen].result(task_name)
    return keep_specs(sources[names.index(chosen)], graph, nodes) if reads_specs(document) else (graph, nodes)


def compile_direct(definition: str | dict[str, Any], default_action: str, max_tasks: int) -> dict[str, Compiled]:
    """Compile every direct workflow of a definition; what a reverse one comes to depends on its target.

    :raises DefinitionInvalid: with every fault found
    """
    faults = Faults()
    document = read(definition)
    sources = workflows_of(document, faults)
    compiled = _compile_all(sources, Actions(document, faults), faults, default_action, max_tasks)
    return {name: one.result(None) for name, one in compiled.items() if one.kind == "direct"}


def declarations_of(definition: str | dict[str, Any], default_action: str, max_tasks: int) -> list[Declaration]:
    """Check every workflow of a definition, as `compile_definition` does, and tell what each says of itself.

    :raises DefinitionInvalid: with every fault found
    """
    faults = Faults()
    document = read(definition)
    sources = workflows_of(document, faults)
    _compile_all(sources, Actions(document, faults), faults, default_action, max_tasks)
    return [declaration_of(source) for source in sources]


def _compile_all(
    sources: list[Source], actions: Actions, faults: Faults, default_action: str, max_tasks: int
) -> dict[str, "_Workflow"]:
    compiled: dict[str, _Workflow] = {}
    room = MOST_TRANSITIONS
    siblings = tuple(source.name for source in sources)
    for source in sources:
        compilation = _Workflow(source, siblings, actions, faults, default_action, max_tasks, room)
        compiled[source.name] = compilation
        compilation.compile()
        room = compilation.room
    faults.raise_if_any()
    return compiled


class _Workflow:
    """The compilation of one workflow; faults are added as they are found and compilation goes on."""

    def __init__(
        self, source: Source, siblings: tuple[str, ...], actions: Actions, faults: Faults, default_action: str,
        max_tasks: int, room: int,
    ) -> None:  # fmt: skip
        self.name, self.path, self.spec, self.faults = source.name, source.path, source.spec, faults
        self.book, self.siblings = source.book, siblings
        self.actions, self.default_action, self.max_tasks, self.room = actions, default_action, max_tasks, room
        self.kind = "direct"
        self.head = Graph(self.name, (), 0, {}, ())
        self.ids: dict[str, int] = {}
        self.nodes: list[Node] = []
        self.requires: list[list[int]] = []

    def compile(self) -> None:
        if not is_object(self.faults, self.path, self.spec, "a workflow"):
            return
        check_keys(self.faults, self.path, self.spec, WORKFLOW_KEYS)
        check_about(self.faults, self.path, self.spec)
        kind = self.spec.get("type", self.kind)
        if kind in ("direct", "reverse"):
            self.kind = kind
        else:
            self.faults.add((*self.path, "type"), f"a workflow is direct or reverse, not {shown(kind)}")
        defaulted, required = read_declared(self.faults, (*self.path, "input"), self.spec.get("input"))
        variables, output, output_on_error = map(self.read_template, ("vars", "output", "output-on-error"))
        self.head = replace(
            self.head,
            input=defaulted,
            required=required,
            vars=variables or {},
            output=output,
            output_on_error=output_on_error,
        )
        self.read_tasks()

    def result(self, task_name: str | None) -> tuple[Graph, list[Node]]:
        """
        :raises InputInvalid: it is a reverse workflow without such a task
        """
        nodes = self.nodes
        if self.kind == "reverse":
            if not isinstance(task_name, str) or task_name not in self.ids:
                known = ", ".join(f"'{name}'" for name in [*self.ids][:20])
                reason = f"it is reverse, so task_name in params has to name the task to reach: one of {known}"
                raise InputInvalid(workflow=self.name, reason=reason)
            nodes = reverse.lay_out(nodes, self.requires, self.ids[task_name])
        return replace(
            self.head,
            roots=tuple(node.id for node in nodes if not node.indegree),
            size=len(nodes),
            publishes=any(node.publish for node in nodes),
            book=self.book,
            siblings=self.siblings if any(node.workflow for node in nodes) else (),
        ), nodes

    def read_template(self, key: str) -> dict[str, Any] | None:
        """Read an object of the workflow that may hold expressions."""
        value = self.spec.get(key)
        path = (*self.path, key)
        if value is None or not is_object(self.faults, path, value, key):
            return None
        compile_template(self.faults, path, value)
        return dict(value)

    # -- tasks --------------------------------------------------------------------------------------------------------

    def read_tasks(self) -> None:
        tasks = self.spec.get("tasks")
        path: Path = (*self.path, "tasks")
        if not self.can_be_tasks(path, {} if tasks is None else tasks):
            return
        self.ids = {name: id for id, name in enumerate(tasks)}
        clauses, policies = Clauses(self.ids, self.faults), Policies(self.faults)
        reader = Tasks(self.faults, self.kind, clauses, policies, self.actions, self.default_action)
        default_requires = self.read_defaults(clauses, policies, reader)
        for name, id in self.ids.items():
            node = reader.read((*path, name), id, name, tasks[name], self.max_tasks)
            self.nodes.append(node)
            self.room -= reader.weight + sum(1 + _length(edge) // 64 for edge in node.edges)
            if self.kind == "reverse":
                self.read_requires((*path, name), id, tasks[name], default_requires)
            if self.room < 0:
                self.faults.add(path, f"all tasks together have at most {MOST_TRANSITIONS} transitions")
                return
        if self.kind == "reverse":
            reverse.check_order(self.faults, path, self.nodes, self.requires)
        else:
            self.lay_out(path, tasks)

    def lay_out(self, path: Path, tasks: dict[str, Any]) -> None:
        links = topology.links_of(self.nodes)
        indegrees = topology.indegrees_of(links)
        for node in self.nodes:
            self.check_join((*path, node.name, "join"), node, indegrees[node.id], tasks[node.name])
        if all(indegrees):
            self.faults.add(path, "some task leads to each of them, so none can be the first")
        self.nodes = topology.lay_out(self.nodes, links)

    def can_be_tasks(self, path: Path, tasks: Any) -> bool:
        if not is_object(self.faults, path, tasks, "tasks"):
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

    def read_defaults(self, clauses: Clauses, policies: Policies, reader: Tasks) -> list[int]:
        """Read task-defaults; return what every task requires."""
        defaults = self.spec.get("task-defaults")
        path: Path = (*self.path, "task-defaults")
        if defaults is None or not is_object(self.faults, path, defaults, "task-defaults"):
            return []
        check_keys(self.faults, path, defaults, DEFAULT_KEYS[self.kind])
        policies.read_defaults(path, defaults)
        if self.kind == "reverse":
            return reverse.read_requires(self.faults, (*path, "requires"), defaults.get("requires"), self.ids)
        reader.defaults = {
            on: clauses.edges((*path, key), defaults[key], on)
            for key, on in CLAUSES.items()
            if defaults.get(key) is not None
        }
        return []

    def read_requires(self, path: Path, id: int, spec: Any, defaults: list[int]) -> None:
        """Add the defaults to what a task requires; it never requires itself (Mistral: get_task_requires)."""
        given = spec.get("requires") if isinstance(spec, dict) else None
        own = reverse.read_requires(self.faults, (*path, "requires"), given, self.ids)
        self.requires.append([one for one in dict.fromkeys([*own, *defaults]) if one != id])
        self.room -= len(self.requires[-1])

    def check_join(self, path: Path, node: Node, indegree: int, spec: Any) -> None:
        """Mistral: `lang/v2/workflows.py`, `_check_join_tasks`."""
        wanted = 1 if node.join == topology.ALL else node.join or 0
        if wanted > indegree:
            self.faults.add(path, f"joins {shown(spec['join'])}, but {indegree} tasks lead here")


def _length(edge: Edge) -> int:
    return len(edge.message or "") + (len(edge.guard) if isinstance(edge.guard, str) else 0)
