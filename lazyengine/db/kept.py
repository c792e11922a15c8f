"""What a process keeps of what never changes: the nodes of graphs, and what executions are from start to end."""

import threading
from typing import Any

from lazyengine.core.graph import Node
from lazyengine.db.types import to_json
from lazyengine.records import Identity

MOST_CHARACTERS = 8 * 1024 * 1024
"""Of JSON in what a process keeps; each thing counts as `CHARACTERS_EACH` more."""

CHARACTERS_EACH = 1024


class Kept:
    """What a process has read of a database, the oldest given up first.  For any thread.

    Without the nodes a completion has two statements more, and half as much CPU again.  That it does not note what was
    used last spares a completion 2 % of its instructions.
    """

    def __init__(self) -> None:
        self._kept: dict[Any, Any] = {}
        self._sizes: dict[Any, int] = {}
        self._characters = 0
        self._lock = threading.Lock()  # of those who write

    def node(self, graph_id: int, key: int | str) -> Node | None:
        """Return a node by its id or its name, if it is kept."""
        return self._kept.get((graph_id, key))

    def keep_node(self, graph_id: int, node: Node, characters: int) -> None:
        """Keep a node under its id and its name, unless it is too large for that."""
        if characters < MOST_CHARACTERS // 100:
            size = (CHARACTERS_EACH + characters) // 2
            self._keep((graph_id, node.id), node, size)
            self._keep((graph_id, node.name), node, size)

    def identity(self, execution_id: str) -> Identity | None:
        """Return what an execution was when it was read; another one may have its id by now."""
        return self._kept.get(execution_id)

    def keep_identity(self, identity: Identity) -> None:
        """Keep what an execution is, unless it is too large for that."""
        characters = len(to_json(identity.params))
        if characters < MOST_CHARACTERS // 100:
            self._keep(identity.id, identity, CHARACTERS_EACH + characters)

    def clear(self) -> None:
        """Forget all: the database may be another one behind the same address."""
        with self._lock:
            self._kept.clear()
            self._sizes.clear()
            self._characters = 0

    def _keep(self, key: Any, value: Any, size: int) -> None:
        with self._lock:
            self._characters += size - self._sizes.get(key, 0)
            self._kept[key], self._sizes[key] = value, size
            while self._characters > MOST_CHARACTERS:
                oldest = next(iter(self._kept))
                del self._kept[oldest]
                self._characters -= self._sizes.pop(oldest)
