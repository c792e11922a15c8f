"""What a process keeps of what never changes: the nodes of graphs, and what executions are from start to end."""

import threading
from operator import itemgetter
from typing import Any

from cachetools import LRUCache

from lazyengine.core.graph import Node
from lazyengine.db.types import to_json
from lazyengine.records import Identity

MOST_CHARACTERS = 8 * 1024 * 1024
"""Of JSON in what a process keeps; each thing counts as `CHARACTERS_EACH` more."""

CHARACTERS_EACH = 1024


class Kept:
    """What a process has read of a database, the least recently used given up first.  For any thread.

    Without the nodes a completion has two statements more, and half as much CPU again.
    """

    def __init__(self) -> None:
        self._kept: LRUCache[Any, tuple[Any, int]] = LRUCache(MOST_CHARACTERS, itemgetter(1))
        self._lock = threading.Lock()

    def node(self, graph_id: int, key: int | str) -> Node | None:
        """Return a node by its id or its name, if it is kept."""
        return self._get((graph_id, key))  # type: ignore[no-any-return]

    def keep_node(self, graph_id: int, node: Node, characters: int) -> None:
        """Keep a node under its id and its name, unless it is too large for that."""
        if characters < MOST_CHARACTERS // 100:
            size = (CHARACTERS_EACH + characters) // 2
            self._keep((graph_id, node.id), node, size)
            self._keep((graph_id, node.name), node, size)

    def identity(self, execution_id: str) -> Identity | None:
        """Return what an execution was when it was read; another one may have its id by now."""
        return self._get(execution_id)  # type: ignore[no-any-return]

    def keep_identity(self, identity: Identity) -> None:
        """Keep what an execution is, unless it is too large for that."""
        characters = len(to_json(identity.params))
        if characters < MOST_CHARACTERS // 100:
            self._keep(identity.id, identity, CHARACTERS_EACH + characters)

    def clear(self) -> None:
        """Forget all: the database may be another one behind the same address."""
        with self._lock:
            self._kept.clear()

    def _get(self, key: Any) -> Any:
        with self._lock:
            found = self._kept.get(key)
        return found[0] if found else None

    def _keep(self, key: Any, value: Any, size: int) -> None:
        with self._lock:
            self._kept[key] = value, size
