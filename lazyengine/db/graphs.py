"""Statements about graphs.  Nodes never change, so a process keeps those that it has read."""

import threading
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from cachetools import LRUCache
from sqlalchemy import Connection, insert, select

from lazyengine.core.graph import Graph, Node
from lazyengine.db import tables as t
from lazyengine.db.direct import Direct, DirectList
from lazyengine.db.rows import graph_from_json, graph_to_json, node_of, node_row
from lazyengine.db.statements import NODE_NAMED, NODES
from lazyengine.db.types import to_json

MOST_CHARACTERS = 8 * 1024 * 1024
"""Of JSON in the nodes that a process keeps; a node counts as `NODE_CHARACTERS` more."""

NODE_CHARACTERS = 1024

_node_named, _nodes = Direct(NODE_NAMED), DirectList(NODES, t.node.c.id)
_nodes_named = DirectList(NODES, t.node.c.name)


class KeptNodes:
    """The nodes that a process has read of a database, the least recently used given up first.  For any thread.

    Without it a completion has two statements more, and half as much CPU again.
    """

    def __init__(self) -> None:
        self._kept: LRUCache[tuple[int, int | str], tuple[Node, int]] = LRUCache(MOST_CHARACTERS, itemgetter(1))
        self._lock = threading.Lock()

    def get(self, graph_id: int, key: int | str) -> Node | None:
        """Return a node by its id or its name, if it is kept."""
        with self._lock:
            found = self._kept.get((graph_id, key))
        return found[0] if found else None

    def keep(self, graph_id: int, node: Node, characters: int) -> None:
        """Keep a node under its id and its name, unless it is too large for that."""
        if characters < MOST_CHARACTERS // 100:
            kept = node, (NODE_CHARACTERS + characters) // 2
            with self._lock:
                self._kept[graph_id, node.id] = self._kept[graph_id, node.name] = kept

    def clear(self) -> None:
        """Forget all: the database may be another one behind the same address."""
        with self._lock:
            self._kept.clear()


class Graphs:
    """What the statements of one transaction say of graphs.

    :param kept: what the process knows already; None in a transaction that may be taken back after its answers
    """

    def __init__(self, connection: Connection, kept: KeptNodes | None = None) -> None:
        self.connection = connection
        self.dialect = connection.dialect.name
        self._kept = kept
        self._added: set[int] = set()

    def find_graph(self, digest: str) -> tuple[int, Graph] | None:
        """Return the id and the head of the graph with this digest."""
        row = self.connection.execute(select(t.graph.c.id, t.graph.c.head).where(t.graph.c.digest == digest)).first()
        return (row.id, graph_from_json(row.head)) if row else None

    def graph_head(self, graph_id: int) -> Graph:
        """Return the head of a graph."""
        return graph_from_json(
            self.connection.execute(select(t.graph.c.head).where(t.graph.c.id == graph_id)).scalar_one()
        )

    def add_graph(self, digest: str, head: Graph, nodes: Iterable[Node]) -> int:
        """Store a graph and return its id."""
        added = self.connection.execute(insert(t.graph).values(digest=digest, head=graph_to_json(head)))
        graph_id: int = added.inserted_primary_key[0]  # type: ignore[index]
        self.connection.execute(insert(t.node), [node_row(graph_id, node) for node in nodes])
        self._added.add(graph_id)  # not to be kept: the id is another graph's if this transaction is taken back
        return graph_id

    def node_named(self, graph_id: int, name: str) -> Node | None:
        """Return a node by its name."""
        if known := self._known(graph_id, name):
            return known
        row = _node_named.first(self.connection, {"graph_id": graph_id, "name": name})
        return self._read(graph_id, row) if row else None

    def nodes_named(self, graph_id: int, names: Iterable[str]) -> list[Node]:
        """Return those nodes that have one of these names."""
        return self._all(graph_id, set(names), _nodes_named)

    def nodes(self, graph_id: int, ids: Iterable[int]) -> dict[int, Node]:
        """Return nodes by id."""
        return {node.id: node for node in self._all(graph_id, set(ids), _nodes)}

    def _all(self, graph_id: int, wanted: set[Any], statement: DirectList) -> list[Node]:
        known = {key: self._known(graph_id, key) for key in wanted}
        rows = statement.rows(self.connection, {"graph_id": graph_id}, [key for key in wanted if known[key] is None])
        return [*filter(None, known.values()), *(self._read(graph_id, row) for row in rows)]

    def _known(self, graph_id: int, key: int | str) -> Node | None:
        return self._kept.get(graph_id, key) if self._kept else None

    def _read(self, graph_id: int, row: Any) -> Node:
        node = node_of(row)
        if self._kept and graph_id not in self._added:
            self._kept.keep(graph_id, node, len(to_json(row.body)))
        return node
