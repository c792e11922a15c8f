"""TaskFlow flows become graphs.

What follows what is said as in TaskFlow (`patterns`): each flow has a node where it is entered and one where it is
left, and its retry controller comes right after the first.  Here that graph is laid out: ids are given depth-first, so
that what a retry controller controls is a range of ids that begins with it.  The core knows nodes only.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from taskflow import deciders
from taskflow import exceptions as exc
from taskflow.atom import Atom
from taskflow.engines.action_engine import compiler
from taskflow.flow import LINK_DECIDER, LINK_DECIDER_DEPTH, Flow

from lazyengine.compilers.faults import Faults
from lazyengine.compilers.names import check_name
from lazyengine.compilers.patterns import Compiler
from lazyengine.compilers.scopes import Scopes
from lazyengine.core.graph import Decider, Depth, Edge, Graph, Kind, Node, On

Link = tuple[int, int]
Question = Callable[..., bool]
"""Asked with `history`: the results of the atoms that lead to a node, by name."""

LONGEST_OF_GATE = 240
"""Characters of the name of a flow in those of its entry and its exit, which are told apart by a number."""

KINDS = {compiler.TASK: Kind.TASK, compiler.RETRY: Kind.RETRY}


@dataclass(frozen=True, slots=True)
class CompiledFlow:
    """A flow as the core runs it, and what it was made from, for those who have to call that.

    :param atoms: tasks and retry controllers by node
    :param named: the same by name
    :param questions: what to ask at which link
    :param providers: the nodes that provide a name, in the order of their ids
    :param scopes: what of that is visible where
    """

    graph: Graph
    nodes: tuple[Node, ...]
    atoms: Mapping[int, Atom]
    ids: Mapping[str, int]
    questions: Mapping[Link, Question]
    providers: Mapping[str, list[int]]
    scopes: Scopes

    def atom(self, name: str) -> Atom:
        """Return a task or a retry controller by its name."""
        return self.atoms[self.id_of(name)]

    def id_of(self, name: str) -> int:
        """Return the node of a task or a retry controller.

        :raises LookupError: it has none of this name
        """
        if name not in self.ids:
            raise LookupError(f"flow '{self.graph.workflow}' has no task '{name}'")
        return self.ids[name]

    def inputs(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the names that the flow has to be given, and those that it may be given beside them."""
        required: set[str] = set()
        used: set[str] = set()
        for id, atom in self.atoms.items():
            injected = atom.inject or {}
            for names, optional in ((atom.rebind, atom.optional), (atom.revert_rebind, atom.revert_optional)):
                asked = {name: argument for argument, name in names.items() if name not in injected}
                used |= asked.keys()
                required |= {
                    name
                    for name, argument in asked.items()
                    if argument not in optional and not any(True for _ in self.visible(id, name))
                }
        return tuple(sorted(required)), tuple(sorted(used - required))

    def visible(self, atom: int, name: str) -> Iterator[tuple[int, int]]:
        """Yield who provides a name to an atom, as (scope, provider), the nearest first."""
        return self.scopes.visible(atom, self.providers.get(name, ()))


def compile_flow(flow: Flow | Atom) -> CompiledFlow:
    """Compile a flow, or a single task.

    :raises taskflow.exceptions.Duplicate: two atoms have the same name
    :raises DefinitionInvalid: what is named in it has names that not every database holds
    :raises TypeError: what it holds is no flow and no task
    :raises ValueError: it holds the same thing twice
    """
    compiled = lay_out(Compiler(flow).compile())
    faults = Faults()
    check_name(faults, (), compiled.graph.workflow, "a flow")
    for node in compiled.nodes:
        check_name(faults, (node.name,), node.name, "a flow" if node.kind is Kind.GATE else "an atom")
    faults.raise_if_any()
    return compiled


def lay_out(compilation: compiler.Compilation) -> CompiledFlow:
    """Make a graph of what TaskFlow's compiler has made of a flow.

    :raises taskflow.exceptions.Duplicate: two atoms have the same name
    """
    return _Layout(compilation).result()


class _Layout:
    """The execution graph of a compilation, numbered."""

    def __init__(self, compilation: compiler.Compilation) -> None:
        self.compilation, self.links = compilation, compilation.execution_graph
        exits = {node.flow: node for node in self.links if self.kind(node) == compiler.FLOW_END}
        self.controllers: dict[int, tuple[int, ...]] = {}
        self.regions: dict[int, int] = {}
        self.above: dict[int, int] = {}
        self.items: list[Any] = []
        self.lay_out(compilation.hierarchy, exits)
        self.ids = {item: id for id, item in enumerate(self.items)}

    def kind(self, item: Any) -> str:
        return str(self.links.nodes[item]["kind"])

    def lay_out(self, place: Any, exits: Mapping[Any, Any], controllers: tuple[int, ...] = (0,)) -> None:
        """Number what stands at a place of the hierarchy and below it, and work out who controls it."""
        first = self.add(place.item, controllers)
        if place.metadata["kind"] == compiler.FLOW:
            within = controllers if place.item.retry is None else (first + 1, *controllers)
            for below in place:
                self.above[len(self.items)] = first
                is_retry = below.metadata["kind"] == compiler.RETRY
                self.lay_out(below, exits, controllers if is_retry else within)
            last = self.add(exits[place.item], within)
            if within != controllers:
                self.regions[first + 1] = last
        if first == 0:
            self.regions[0] = len(self.items) - 1

    def add(self, item: Any, controllers: tuple[int, ...]) -> int:
        id = len(self.items)
        self.items.append(item)
        self.controllers[id] = controllers
        return id

    def result(self) -> CompiledFlow:
        nodes = tuple(self.node(id, item) for id, item in enumerate(self.items))
        atoms = {id: item for id, item in enumerate(self.items) if self.kind(item) in compiler.ATOMS}
        _check_names([atom.name for atom in atoms.values()])
        questions = {
            (self.ids[source], self.ids[target]): data[LINK_DECIDER]
            for source, target, data in self.links.edges(data=True)
            if data.get(LINK_DECIDER)
        }
        providers = defaultdict[str, list[int]](list)
        for id, atom in atoms.items():
            for name in atom.save_as:
                providers[name].append(id)
        graph = Graph(self.items[0].name, (0,), len(nodes), {}, ())
        ids = {atom.name: id for id, atom in atoms.items()}
        return CompiledFlow(graph, nodes, atoms, ids, questions, providers, Scopes(self.items, self.above))

    def node(self, id: int, item: Any) -> Node:
        kind = KINDS.get(self.kind(item), Kind.GATE)
        indegree = self.links.in_degree(item)
        return Node(
            id=id,
            name=f"{item.name[:LONGEST_OF_GATE]}:{id}" if kind is Kind.GATE else item.name,
            join=indegree or None,
            indegree=indegree,
            edges=tuple(Edge(On.SUCCESS, to) for to in sorted(self.ids[behind] for behind in self.links[item])),
            ends=False,
            action="std.noop" if kind is Kind.GATE else None,
            kind=kind,
            controllers=self.controllers[id],
            region=self.regions.get(id),
            deciders=() if kind is Kind.GATE else tuple(self.deciders(item)),
        )

    def deciders(self, atom: Any) -> Iterator[Decider]:
        """Find who has a say in whether an atom runs, also at the flows that begin with it.

        Source: TaskFlow's `engines/action_engine/runtime.py`, _walk_edge_deciders.
        """
        links = deque((before, atom) for before in self.links.predecessors(atom))
        seen = set()
        while links:
            source, target = links.popleft()
            data = self.links.adj[source][target]
            if data.get(LINK_DECIDER):
                depth = data.get(LINK_DECIDER_DEPTH) or deciders.Depth.ALL
                yield Decider((self.ids[source], self.ids[target]), Depth(depth.value))
            if self.kind(source) == compiler.FLOW and source not in seen:
                seen.add(source)
                links.extend((before, source) for before in self.links.predecessors(source))


def _check_names(names: list[str]) -> None:
    duplicates = sorted(name for name, times in Counter(names).items() if times > 1)
    if duplicates:
        raise exc.Duplicate(f"Atoms with duplicate names found: {duplicates}")
