"""The port of the core: what it has to ask because it does not know data.

In the engine a host is `lazyengine.dataflow.DataFlow`; `Host` itself serves graphs without expressions.
A key names a run, (node, iteration), or one item of it, (node, iteration, item).
"""

from collections.abc import Mapping
from typing import Any

from lazyengine.core.actions import pure_outcome
from lazyengine.core.graph import Decider, Guard, Key, Kind, Node
from lazyengine.core.state import Mark, Outcome, Question, Strategy, TaskState


class Refused(Exception):
    """Something that a run needs cannot be evaluated: its task and the whole execution fail at once.

    Source: Mistral's `engine/task_handler.py`, `force_fail_task`.
    """


MOST_ITERATIONS = 10_000


class Host:
    """Answers what follows from the graph alone.

    :param most_iterations: how often one task may run
    :param start_after_seconds: how long the roots wait for their turn
    """

    most_iterations = MOST_ITERATIONS
    start_after_seconds = 0.0

    def hear(self, node: Node, key: Key, source: Key) -> None:
        """Note that the run `source` has chosen `node`, which joins and still waits for its run `key`."""

    def enter(self, node: Node, key: Key, source: Key | None) -> None:
        """Prepare what the run `key` sees.

        :param source: the run that chose it; None for a root, and for a join, which was told by `hear`
        """

    def value(self, node: Node, key: Key, value: Any) -> Any:
        """Return what a value with expressions comes to as the run `key` sees it.

        :raises Refused: it cannot be evaluated
        """
        raise Refused("an expression needs data")

    def holds(self, node: Node, key: Key, guard: Guard) -> bool:
        """Decide a guard on an edge of a run that has ended.

        :raises Refused: it cannot be evaluated
        """
        return bool(self.value(node, key, guard))

    def message(self, node: Node, key: Key, text: str) -> str:
        """Return the message of a command.

        :raises Refused: it cannot be evaluated
        """
        return text

    def spread(self, node: Node, key: Key) -> int:
        """Return how many items the run has, and prepare their inputs.

        :raises Refused: they cannot be evaluated, or their lists differ in length
        """
        return min(len(values) for values in node.items.values())

    def run(self, node: Node, key: Key, given: Mapping[str, Any] | None = None) -> Outcome | None:
        """Begin an attempt of a run or an item; return how it ends if it ends by itself.

        :param given: parameters in the place of those of the task that have the same names
        :raises Refused: its input cannot be evaluated
        """
        if node.action is None:
            return None
        return pure_outcome(node.action, {**(node.input if isinstance(node.input, dict) else {}), **(given or {})})

    def received(self, node: Node, key: Key, outcome: Outcome) -> Outcome:
        """Return what a reported outcome comes to (ad-hoc actions have their own output).

        :raises Refused: that cannot be evaluated
        """
        return outcome

    def collect(self, node: Node, mark: Mark, ended: Mapping[int, Outcome]) -> list[Any]:
        """Return the results of all items of a run, in their order; `ended` are those that are not saved yet."""
        return [ended[item].result if item in ended else None for item in range(mark.items.total if mark.items else 0)]

    def end(self, node: Node, mark: Mark) -> None:
        """Publish what a run that has just ended leaves behind.

        :raises Refused: what it publishes cannot be evaluated
        """

    def last(self, node: Node, key: Key) -> None:
        """Note that a run that has ended leads to no other task: its variables are among those of the end."""

    def reopen(self, node: Node, key: Key, last: bool) -> None:
        """Note that a run has not ended after all; `last` says whether that was told of it."""

    # -- flows --------------------------------------------------------------------------------------------------------

    def allows(self, node: Node, decider: Decider, answer: Outcome | None = None) -> bool | None:
        """Ask a decider whether a node may run; one at a link from an ignored task has no say.

        :param answer: of whoever was asked, after this had returned None: somebody else knows
        :raises Refused: it cannot be asked
        """
        return True

    def strategy(self, controller: int, source: int, mark: Mark, answer: Outcome | None = None) -> Strategy | None:
        """Ask a retry controller what to do about a run that has failed, and keep the failure in its history.

        :param source: whose failure it is to it: the node's, or that of the controller within, which said REVERT
        :param answer: of whoever was asked, after this had returned None: somebody else knows
        :raises Refused: it cannot be asked
        """
        return Strategy.REVERT

    def ask(self, node: Node, key: Key, question: Question) -> None:
        """Prepare a question about a run that somebody else has to answer.

        :raises Refused: its arguments cannot be found
        """

    def recall(self, node: Node) -> Any:
        """Return the result of a controller that was asked something since."""

    def revert(self, node: Node, key: Key) -> Outcome | None:
        """Begin an attempt to revert a run that has ended; return how it ends if it ends by itself.

        :raises Refused: its arguments cannot be found
        """
        return Outcome(TaskState.SUCCESS) if node.kind is Kind.GATE else None
