"""What a process keeps of graphs: nodes that were committed, of this database, and not without bounds."""

from typing import Any

import pytest
from sqlalchemy import event

from lazyengine.core.graph import Graph, Node
from lazyengine.db.database import Database
from lazyengine.db.kept import MOST_CHARACTERS, Kept
from lazyengine.db.store import Store

NODES = [Node(0, "a"), Node(1, "b")]


def add(database: Database) -> int:
    return database.transaction(lambda store: store.add_graph("digest", Graph("w", (0,), 2, {}, ()), NODES))


def statements(database: Database, work: Any) -> int:
    """Count the statements of what a transaction does."""
    heard: list[str] = []
    listener: Any = lambda *of: heard.append(of[2])  # noqa: E731
    event.listen(database.engine, "before_cursor_execute", listener)
    database.snapshot(work)
    event.remove(database.engine, "before_cursor_execute", listener)
    return len([sql for sql in heard if not sql.startswith("BEGIN")])


def test_a_node_is_read_once_by_id_or_name(database: Database) -> None:
    id = add(database)
    assert statements(database, lambda store: store.nodes(id, [0])) == 1
    for work in (
        lambda store: store.nodes(id, [0]),
        lambda store: store.node_named(id, "a"),
        lambda store: store.nodes_named(id, ["a"]),
    ):
        assert statements(database, work) == 0
    assert statements(database, lambda store: store.nodes_named(id, ["a", "b"])) == 1
    assert database.snapshot(lambda store: store.nodes(id, [0, 1])) == {0: NODES[0], 1: NODES[1]}


def test_a_graph_that_was_taken_back_leaves_nothing(database: Database) -> None:
    """Its id may be another graph's then, so what its transaction read is not kept."""
    taken: list[int] = []

    def work(store: Store) -> None:
        taken.append(store.add_graph("digest", Graph("w", (0,), 2, {}, ()), NODES))
        assert store.node_named(taken[0], "a") == NODES[0]
        raise KeyError

    with pytest.raises(KeyError):
        database.transaction(work)
    assert database.snapshot(lambda store: store.node_named(taken[0], "a")) is None


def test_a_new_connection_may_lead_to_another_database(database: Database) -> None:
    """One that was restored from a backup under the same address, say."""
    id = add(database)
    database.snapshot(lambda store: store.node_named(id, "a"))
    database.engine.dispose()
    with database.engine.connect():
        pass
    assert statements(database, lambda store: store.node_named(id, "a")) == 1


def test_large_nodes_and_too_many_are_not_kept() -> None:
    kept = Kept()
    kept.keep_node(1, NODES[0], MOST_CHARACTERS // 100)
    assert kept.node(1, 0) is None
    for id in range(110):
        kept.keep_node(1, Node(id, f"n{id}"), MOST_CHARACTERS // 100 - 1)
    assert kept.node(1, 0) is None
    assert kept.node(1, id) == kept.node(1, f"n{id}") == Node(id, f"n{id}")
