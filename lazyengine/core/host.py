"""The port of the core: what it has to ask because it does not know data.

In the engine a host is `lazyengine.dataflow.DataFlow`; `Host` itself serves graphs without expressions.
"""

from lazyengine.core.actions import pure_outcome
from lazyengine.core.graph import Guard, Key, Node
from lazyengine.core.state import Mark, Outcome


class Refused(Exception):
    """An expression cannot be evaluated: its task and the whole execution fail at once.

    Source: Mistral's `engine/task_handler.py`, `force_fail_task`.
    """


class Host:
    """Answers what follows from the graph alone."""

    def hear(self, node: Node, source: Key) -> None:
        """Note that the run `source` has chosen `node`, which joins and still waits."""

    def begin(self, node: Node, key: Key, source: Key | None) -> Outcome | None:
        """Prepare the run `key`; return how it ends if it ends by itself.

        :param source: the run that chose it; None for a root, and for a join, which was told by `hear`
        :raises Refused: its input cannot be evaluated
        """
        return pure_outcome(node.action, node.input)

    def end(self, node: Node, mark: Mark) -> None:
        """Publish what a run that has just ended leaves behind.

        :raises Refused: what it publishes cannot be evaluated
        """

    def holds(self, node: Node, key: Key, guard: Guard) -> bool:
        """Decide a guard on an edge of a run that has ended.

        :raises Refused: it cannot be evaluated
        """
        raise Refused("a guard needs data")

    def last(self, node: Node, key: Key) -> None:
        """Note that a run that has ended leads to no other task: its variables are among those of the end."""
