"""The end of a run is taken back, so that it may run again: what it has come to is withdrawn, as far as it got.

`resolve` has the theory.
"""

from collections.abc import Container, Mapping
from typing import Any

from lazyengine.core import state as st
from lazyengine.core.decision import Errand, Token
from lazyengine.core.graph import Key, Node
from lazyengine.core.state import Intent, Mark, TaskEvent, TaskState
from lazyengine.core.timing import Timing
from lazyengine.core.values import replace

NOTHING: Mapping[str, Any] = {}


class Reopening(Timing):
    """What becomes of verdicts that do not hold any more."""

    def reopen(self, node: Node, mark: Mark) -> Mark:
        """Take back what the end of a run has come to, so that it may end once more."""
        self.cancelled -= mark.state is TaskState.CANCELLED
        concluded = mark.told == st.ALL
        mark = self.forget(node, self.release(mark) if mark.intent else mark)
        tally = self.mark((node.id, 1))
        if not concluded:
            return mark
        if node.loop is not None:
            self.count_loop(node.loop, live=1)
            self.reopen_loop(node.loop, mark.key)
        elif node.repeats:
            self.withdraw_links(node, closed=tally.dead == node.indegree and tally.ended == tally.runs)
            self.save(replace(self.mark((node.id, 1)), ended=tally.ended - 1))
        else:
            self.withdraw_links(node, closed=True)
            self.save(replace(self.mark((node.id, 1)), ended=0))
        return self.mark(mark.key)

    def forget(self, node: Node, mark: Mark) -> Mark:
        """Let the end of a run not count for that of the execution any more."""
        if mark.unhandled:
            self.unhandled -= 1
            self.cause = f"Tasks that failed: {self.unhandled}" if self.unhandled else None
        self.host.reopen(node, mark.key, mark.last)
        return self.save(replace(mark, unhandled=False, last=False, told=0))

    def renew(self, mark: Mark, given: Mapping[str, Any] = NOTHING) -> Mark:
        """Let a run have its turn once more."""
        state = st.next_task_state(mark.state, TaskEvent.RERUN)
        mark = replace(mark, state=state, retries=0, given=given, outcome=None, reported=None)
        return self.save(replace(mark, started_at=None, deadline_at=None, finished_at=None))

    def reopen_loop(self, loop: int, again: Key | None = None) -> None:
        """Let a loop that has come to its end go on, and the joins in it wait on whose waiting in vain led nowhere.

        :param again: a run that is run again itself
        """
        tally, facts = self.loop_tally(loop), self.nodes[loop].loop_facts
        assert facts is not None
        if tally.closed:
            self.save(replace(self.mark((loop, 1)), loop=replace(tally, closed=False)))
            for join in facts.joins:
                newest = self.mark((join, max(1, self.mark((join, 1)).runs)))
                if newest.last and self.is_blocked(self.nodes[join], newest) and newest.key != again:
                    self.unblock(self.nodes[join], newest)
            self.tell_exits(self.nodes[loop], Errand.WITHDRAW)

    def is_blocked(self, node: Node, mark: Mark) -> bool:
        return node.join is not None and mark.live < node.join and mark.state is TaskState.FAILURE

    def unblock(self, node: Node, mark: Mark) -> None:
        """Let a join that failed without running wait on."""
        mark = self.forget(node, self.release(mark) if mark.intent else mark)
        self.save(replace(self.renew(mark), info=None, ended=0))
        self.save(replace(self.mark((node.id, 1)), runs=mark.iteration - 1))

    def withdraw(self, node: Node, tally: Mark) -> None:
        """Take back a dead verdict that a node was told, and what the node itself has told because of it."""
        if node.loop is not None:
            self.count_loop(node.loop, dead=-1)
            self.reopen_loop(node.loop)
            return
        closed = tally.dead == node.indegree and (node.join is not None or tally.ended == tally.runs)
        if tally.intent is Intent.SETTLE:
            tally, closed = self.release(tally), False
        tally = self.save(replace(tally, dead=tally.dead - 1))
        if self.is_blocked(node, tally):
            closed = tally.told == st.ALL
            self.unblock(node, tally)
        self.withdraw_links(node, closed)

    def withdraw_links(self, node: Node, closed: bool) -> None:
        if closed:
            for target in self.unchosen(node):
                lost = node.beyond.get(target, (target,))
                self.wave.extend(Token(to, 0, errand=Errand.WITHDRAW) for to in lost)

    # -- who is told --------------------------------------------------------------------------------------------------

    def tell_exits(self, first: Node, errand: Errand) -> None:
        assert first.loop_facts is not None
        for source, target in first.loop_facts.exits:
            if target not in self.mark((source, 1)).chosen or target not in self.nodes[source].joins:
                self.wave.append(Token(target, 0, errand=errand, loop=first.id))

    def unchosen(self, node: Node, counts: Container[int] = ()) -> list[int]:
        """Return the nodes that have to be told that this one did not choose them."""
        unchosen = [target for target in node.heeds if target not in counts]
        chosen = self.mark((node.id, 1)).chosen if unchosen else ()
        return [to for to in unchosen if to not in chosen or not (to in node.joins or to in node.beyond)]
