"""Statements about graphs.  Nodes never change, so a process keeps those that it has read."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, insert, select, text

from lazyengine.core.graph import Graph, Node
from lazyengine.db import tables as t
from lazyengine.db.direct import Direct, DirectList
from lazyengine.db.kept import Kept
from lazyengine.db.rows import graph_from_json, graph_to_json, node_of, node_row
from lazyengine.db.statements import NODE_NAMED, NODES
from lazyengine.db.types import to_json

_node_named, _nodes = Direct(NODE_NAMED), DirectList(NODES, t.node.c.id)
_nodes_named = DirectList(NODES, t.node.c.name)


LARGE = 1_000
COUNT_NODES = text("ANALYZE (SKIP_LOCKED) node")
"""What PostgreSQL does by itself a minute later: until it knows of a graph of so many nodes, it may read them all to
find one by its id.  A completion in a chain of 20,000 tasks took 8 milliseconds so, in place of 3."""


class Graphs:
    """What the statements of one transaction say of graphs.

    :param kept: what the process knows already; None in a transaction that may be taken back after its answers
    """

    def __init__(self, connection: Connection, kept: Kept | None = None) -> None:
        self._connection = connection
        self.dialect = connection.dialect.name
        self._kept = kept
        self._added: set[int] = set()

    @property
    def connection(self) -> Connection:
        """To execute statements on."""
        return self._connection

    def find_graph(self, digest: str) -> tuple[int, Graph] | None:
        """Return the id and the head of the graph with this digest."""
        row = self.connection.execute(select(t.graph.c.id, t.graph.c.head).where(t.graph.c.digest == digest)).first()
        return (row.id, graph_from_json(row.head)) if row else None

    def graph_head(self, graph_id: int) -> Graph:
        """Return the head of a graph."""
        return graph_from_json(
            self._connection.execute(select(t.graph.c.head).where(t.graph.c.id == graph_id)).scalar_one()
        )

    def add_graph(self, digest: str, head: Graph, nodes: Iterable[Node]) -> int:
        """Store a graph and return its id."""
        added = self.connection.execute(insert(t.graph).values(digest=digest, head=graph_to_json(head)))
        graph_id: int = added.inserted_primary_key[0]  # type: ignore[index]
        rows = [node_row(graph_id, node) for node in nodes]
        self.connection.execute(insert(t.node), rows)
        if self.dialect == "postgresql" and len(rows) >= LARGE:
            self.connection.execute(COUNT_NODES)
        self._added.add(graph_id)  # not to be kept: the id is another graph's if this transaction is taken back
        return graph_id

    def node_named(self, graph_id: int, name: str) -> Node | None:
        """Return a node by its name."""
        if known := self._known(graph_id, name):
            return known
        row = _node_named.first(self._connection, {"graph_id": graph_id, "name": name})
        return self._read(graph_id, row) if row else None

    def nodes_named(self, graph_id: int, names: Iterable[str]) -> list[Node]:
        """Return those nodes that have one of these names."""
        return self._all(graph_id, set(names), _nodes_named)

    def nodes(self, graph_id: int, ids: Iterable[int]) -> dict[int, Node]:
        """Return nodes by id."""
        return {node.id: node for node in self._all(graph_id, set(ids), _nodes)}

    def _all(self, graph_id: int, wanted: set[Any], statement: DirectList) -> list[Node]:
        known = {key: self._known(graph_id, key) for key in wanted}
        unknown = [key for key in wanted if known[key] is None]
        rows = statement.rows(self._connection, {"graph_id": graph_id}, unknown) if unknown else ()
        return [*filter(None, known.values()), *(self._read(graph_id, row) for row in rows)]

    def _known(self, graph_id: int, key: int | str) -> Node | None:
        return self._kept.node(graph_id, key) if self._kept else None

    def _read(self, graph_id: int, row: Any) -> Node:
        node = node_of(row)
        if self._kept and graph_id not in self._added:
            self._kept.keep_node(graph_id, node, len(to_json(row.body)))
        return node
