"""The verbs of stored workflows, and where the graph of a new execution comes from.

A flow that the engine knows by its name stands among the workflows of every owner, where the owner has stored none of
that name in the default namespace.

A stored workflow is a name for a definition.  What runs is the graph that the definition compiles to, which is never
changed nor deleted: so executions go on as they began, whatever becomes of the workflow that they were started from.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from lazyengine import errors
from lazyengine.compilers.expressions import Evaluator
from lazyengine.compilers.workflow import (
    Compiled,
    compile_definition,
    compile_direct,
    declarations_of,
    definition_digest,
    document_digest,
)
from lazyengine.core.graph import Graph, Node
from lazyengine.dataflow import DataFlow
from lazyengine.db.database import Database
from lazyengine.db.store import Store
from lazyengine.db.workflows import (
    add_workflows,
    delete_workflow,
    keep_definition,
    list_workflows,
    newest_workflows,
    read_definition,
    read_workflow,
)
from lazyengine.errors import Fault
from lazyengine.records import Declaration, Identity, Page, Start, StoredWorkflow, WorkflowQuery, WorkflowsStored
from lazyengine.settings import Settings

Definition = str | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Runnable:
    """What an execution is to run.

    :param document: the digest of the definition as it was given
    :param digest: of the graph
    :param compiled: the graph, unless it is stored already
    :param siblings: by digest: those workflows of its definition that its tasks may name
    :param flow: the name of the TaskFlow flow that it is
    """

    document: str
    digest: str
    compiled: Compiled | None
    siblings: Mapping[str, Compiled] = field(default_factory=dict)
    flow: str | None = None


class Workflows:
    """The verbs of stored workflows."""

    database: Database
    settings: Settings
    clock: Callable[[], datetime]
    flows: "FlowSource | None"

    def store_workflows(self, owner: str, definition: Definition, namespace: str = "") -> WorkflowsStored:
        """Store every workflow of a definition; repeating it answers again what was committed.

        :raises DefinitionInvalid: with every fault found
        :raises WorkflowExists: one of them is there with another definition; none was stored
        """
        return self._store(owner, definition, namespace, replaces=False)

    def replace_workflows(self, owner: str, definition: Definition, namespace: str = "") -> WorkflowsStored:
        """Store every workflow of a definition, as a new revision where it is there with another definition.

        :raises DefinitionInvalid: with every fault found
        """
        return self._store(owner, definition, namespace, replaces=True)

    def _store(self, owner: str, definition: Definition, namespace: str, replaces: bool) -> WorkflowsStored:
        declarations = self._check(definition)
        digest = document_digest(definition)

        def work(store: Store) -> WorkflowsStored:
            names = [one.name for one in declarations]
            there = newest_workflows(store.connection, owner, namespace, names)
            new: dict[str, StoredWorkflow] = {}
            now = self.clock()
            for one in declarations:
                before = there.get(one.name)
                if before is not None and before.definition_digest == digest:
                    continue
                if before is not None and not replaces:
                    raise errors.WorkflowExists(workflow=one.name)
                revision = before.revision + 1 if before else 1
                new[one.name] = StoredWorkflow(namespace, revision, digest, now, one)
            if new:
                add_workflows(store.connection, owner, definition, list(new.values()))
            stored = there | new
            return WorkflowsStored(tuple(stored[name] for name in names), created=bool(new))

        return self.database.transaction(work)

    def validate_definition(self, definition: Definition) -> tuple[Fault, ...]:
        """Return every fault of a definition; without one, its workflows can run."""
        try:
            self._check(definition)
        except errors.DefinitionInvalid as error:
            return tuple(error.faults)
        return ()

    def _check(self, definition: Definition) -> list[Declaration]:
        return declarations_of(definition, self.settings.default_action, self.settings.max_tasks)

    def get_workflow(self, owner: str, name: str, namespace: str = "", revision: int | None = None) -> StoredWorkflow:
        """Return a revision of a stored workflow (None: the newest) with its definition.

        :raises WorkflowNotFound: there is none of this name in this namespace, or no such revision of it
        """
        found = self.database.snapshot(
            lambda store: read_workflow(store.connection, owner, namespace, name, revision),
        )
        if found is None and self.has_flow(name) and not namespace and revision in (None, 1):
            return self._flow(name)
        if found is None:
            raise errors.WorkflowNotFound.stored(name, namespace, revision)
        return found

    def list_workflows(self, owner: str, query: WorkflowQuery) -> Page[StoredWorkflow]:
        """Return one page of workflows by namespace and name, the newest revision of each, without definitions."""
        names = self._flows_of(query)

        def work(store: Store) -> tuple[Page[StoredWorkflow], set[str]]:
            page = list_workflows(store.connection, owner, query)
            return page, names - newest_workflows(store.connection, owner, "", names).keys() if names else names

        page, names = self.database.snapshot(work)
        flows = []
        for name in names:
            with suppress(errors.FlowUnusable):  # the others are shown all the same
                flows.append(self._flow(name))
        found = sorted((*page.items, *flows), key=lambda workflow: (workflow.namespace, workflow.declaration.name))
        return Page(tuple(found[: query.limit]), page.more or len(found) > query.limit)

    def has_flow(self, name: str | None) -> bool:
        """Tell whether the engine knows a flow of this name."""
        return self.flows is not None and name in self.flows

    def _flows_of(self, query: WorkflowQuery) -> set[str]:
        """Return the names of the flows that a page of workflows may show."""
        if self.flows is None or query.namespace or query.tag is not None:
            return set()
        return {name for name in self.flows if query.marker is None or ("", name) > query.marker}

    def _flow(self, name: str) -> StoredWorkflow:
        """
        :raises FlowUnusable: its factory fails, or what it makes cannot be compiled
        """
        assert self.flows is not None
        digest, _, _ = self.flows.graph(name)
        return StoredWorkflow("", 1, digest, None, self.flows.declaration(name), language="taskflow")

    def delete_workflow(self, owner: str, name: str, namespace: str = "") -> None:
        """Delete a stored workflow with all its revisions; executions of it go on.

        :raises WorkflowNotFound: there is none of this name in this namespace
        """
        if not self.database.transaction(lambda store: delete_workflow(store.connection, owner, namespace, name)):
            raise errors.WorkflowNotFound.stored(name, namespace)

    # -- for an execution ---------------------------------------------------------------------------------------------

    def find_runnable(self, owner: str, start: Start) -> Runnable | None:
        """Find what `start` is to run, and compile it if that was never done; None if its id is taken already.

        A repeated start does not ask what its workflow has become since.

        :raises DefinitionInvalid: with every fault found
        :raises WorkflowNotFound: the definition has no such workflow, or none is stored
        :raises FlowUnusable: it is a flow, whose factory fails
        """
        try:
            return self._find_defined(owner, start)
        except errors.WorkflowNotFound:
            if start.definition is not None or not self.has_flow(start.workflow):
                raise
        return self.find_flow(start.workflow or "")

    def find_flow(self, name: str) -> Runnable:
        """Return a flow that the engine knows as something to run.

        :raises WorkflowNotFound: it knows no such flow
        :raises FlowUnusable: its factory fails, or what it makes cannot be compiled
        """
        if self.flows is None:
            raise errors.WorkflowNotFound.flow(name)
        digest, graph, nodes = self.flows.graph(name)
        return Runnable(digest, digest, (graph, nodes), flow=name)

    def _find_defined(self, owner: str, start: Start) -> Runnable | None:
        """Find what `start` is to run among what it brings and what is stored."""
        default_action = start.params.get("default_action", self.settings.default_action)
        task_name = start.params.get("task_name")
        given = None if start.definition is None else document_digest(start.definition)

        def find(store: Store) -> tuple[str, str, Definition | None] | None:
            if start.id is not None and store.request_digest(owner, start.id) is not None:
                return None
            document = given or _stored_digest(store, owner, start.workflow or "", start.namespace)
            digest = definition_digest(document, start.workflow, default_action, task_name)
            if store.find_graph(digest) is not None:
                return document, digest, None
            definition = start.definition if given else read_definition(store.connection, document)
            if definition is None:  # deleted just now
                raise errors.WorkflowNotFound.stored(start.workflow or "", start.namespace)
            return document, digest, definition

        found = self.database.snapshot(find)
        if found is None:
            return None
        document, digest, definition = found
        if definition is None:
            return Runnable(document, digest, None)
        compiled = compile_definition(definition, start.workflow, default_action, self.settings.max_tasks, task_name)
        siblings: dict[str, Compiled] = {}
        if compiled[0].nests:
            for name, one in compile_direct(definition, default_action, self.settings.max_tasks).items():
                siblings[definition_digest(document, name, default_action)] = one
        return Runnable(document, digest, compiled, siblings)


def add_graphs(store: Store, runnable: Runnable, definition: Definition | None) -> tuple[int, Graph]:
    """Store what is to run, unless it is there already, and return its graph.

    :param definition: as it was given, or None if it is stored
    """
    graph_id, graph = _graph(store, runnable.digest, runnable.compiled)
    for digest, compiled in runnable.siblings.items():
        _graph(store, digest, compiled)
    if graph.nests:
        keep_definition(store.connection, runnable.document, definition)
    return graph_id, graph


def _graph(store: Store, digest: str, compiled: Compiled | None) -> tuple[int, Graph]:
    found = store.find_graph(digest)
    if found is None:
        assert compiled is not None  # a graph is never deleted
        found = store.add_graph(digest, *compiled), compiled[0]
    return found


class FlowSource(Protocol):
    """The TaskFlow flows that an engine can run (`lazyengine.flows.Flows`)."""

    def __contains__(self, name: object) -> bool: ...

    def __iter__(self) -> Iterator[str]: ...

    def declaration(self, name: str) -> Declaration:
        """Return what callers may know of a flow."""

    def graph(self, name: str) -> tuple[str, Graph, list[Node]]:
        """Return the digest of a flow, and what it compiles to."""

    def host(self, store: Store, identity: Identity, evaluator: Evaluator) -> DataFlow:
        """Return what answers the core about an execution of a flow."""


@dataclass(frozen=True, slots=True)
class Nested:
    """The workflow that does the work of a task."""

    document: str
    graph_id: int
    graph: Graph


def find_nested(
    store: Store, settings: Settings, above: Identity, name: str, default_action: str, task_name: Any
) -> Nested:
    """Find the workflow that a task of an execution names: in its definition, then among those that are stored.

    It is compiled if that was never done.  Source: Mistral's `engine/utils.py`, resolve_workflow_definition.

    :raises WorkflowNotFound: there is none
    :raises InputInvalid: it is a reverse one, and `task_name` is no task of it
    """
    document, full = above.definition_digest, store.graph_head(above.graph_id).sibling(name)
    if full is None:
        document, full = _stored_digest(store, above.owner, name, above.namespace), name
    target = task_name if isinstance(task_name, str) else None
    for digest in (definition_digest(document, full, default_action, aim) for aim in (None, target)):
        found = store.find_graph(digest)
        if found is not None:
            return Nested(document, *found)
    definition = read_definition(store.connection, document)
    if definition is None:  # deleted just now
        raise errors.WorkflowNotFound.stored(name, above.namespace)
    direct = compile_direct(definition, default_action, settings.max_tasks)
    for workflow, compiled in direct.items():
        _graph(store, definition_digest(document, workflow, default_action), compiled)
    if full in direct:
        return Nested(document, *_graph(store, definition_digest(document, full, default_action), None))
    reverse = compile_definition(definition, full, default_action, settings.max_tasks, target)
    return Nested(document, *_graph(store, definition_digest(document, full, default_action, target), reverse))


def _stored_digest(store: Store, owner: str, name: str, namespace: str) -> str:
    """Look in the namespace, then in the default one, as Mistral does for sub-workflows.

    Mistral: `db/v2/sqlalchemy/api.py`, `load_workflow_definition`.
    """
    for place in dict.fromkeys((namespace, "")):
        found = newest_workflows(store.connection, owner, place, [name])
        if name in found:
            return found[name].definition_digest
    raise errors.WorkflowNotFound.stored(name, namespace)
