"""Edges are told, tokens reach nodes, loops come to their end, verdicts are withdrawn: the way forward through a graph.

`resolve` has the theory; these are its steps.
"""

from collections.abc import Container, Mapping
from typing import Any

from lazyengine.core import state as st
from lazyengine.core.decision import VERDICT, Errand, Token
from lazyengine.core.graph import Command, Edge, Key, Node, On
from lazyengine.core.host import Refused
from lazyengine.core.running import MOST_RETRIES, Running
from lazyengine.core.state import (
    ExecutionEvent,
    Failure,
    Intent,
    Mark,
    Outcome,
    TaskEvent,
    TaskState,
)
from lazyengine.core.values import replace

STOPS: dict[Command, ExecutionEvent] = {
    Command.FAIL: ExecutionEvent.FAIL,
    Command.SUCCEED: ExecutionEvent.SUCCEED,
}

FIRES_ON: dict[TaskState, tuple[frozenset[On], ...]] = {
    TaskState.SUCCESS: (frozenset({On.SUCCESS, On.COMPLETE}),),
    TaskState.FAILURE: (frozenset({On.ERROR, On.COMPLETE}),),
    TaskState.CANCELLED: (),
    TaskState.SKIPPED: (frozenset({On.SKIP}), frozenset({On.SUCCESS})),
    TaskState.IGNORE: (frozenset({On.SUCCESS}),),
}
"""The edges that fire at an end: the first of these of which any does."""

TELLS = frozenset({Intent.TELL, Intent.TELL_THROUGH})
BEGINS = frozenset({Intent.RUN, Intent.RETURN})
"""What is done for a mark that has left the backlog."""

NOTHING: Mapping[str, Any] = {}


class Telling(Running):
    """What follows from the end of a run."""

    # -- tokens reach a node ------------------------------------------------------------------------------------------

    def arrive(self, token: Token) -> None:
        node = self.nodes[token.to]
        tally = self.mark((node.id, 1))
        if token.errand is not VERDICT:
            self.run_errand(node, tally, token)
            return
        if node.join is not None:
            self.arrive_at_join(node, node.join, tally, token)
        else:
            self.arrive_at_each(node, tally, token)
        if node.loop is not None and token.loop != node.loop and token.settled:
            self.count_loop(node.loop, dead=1)
            self.wave.append(Token(node.loop, 0, errand=Errand.REST))

    def run_errand(self, node: Node, mark: Mark, token: Token) -> None:
        if token.errand is Errand.REST:
            self.rest(node)
        else:
            self.withdraw(node, mark)

    def arrive_at_each(self, node: Node, tally: Mark, token: Token) -> None:
        if token.again and tally.runs and not node.counts and node.loop is None:
            if tally.state in st.FINAL_TASK_STATES:
                self.start(node, self.renew(self.reopen(node, tally)), token.source)
            return
        dead = 0 if node.loop is not None else int(token.settled)
        tally = self.save(replace(tally, dead=tally.dead + dead, runs=tally.runs + token.live))
        if node.loop is not None:
            self.count_loop(node.loop, live=token.live)
        for iteration in range(tally.runs - token.live + 1, tally.runs + 1):
            self.start(node, self.mark((node.id, iteration)), token.source)
        if not token.live:
            self.settle_node(node, self.mark((node.id, 1)))

    def arrive_at_join(self, node: Node, threshold: int, tally: Mark, token: Token) -> None:
        if node.loop is not None:
            if token.live and not self.is_over:
                self.feed(node, threshold, tally, token)
            return
        if tally.live >= threshold or self.is_over:
            return  # it has had its one run, or will have none: what the other links say changes nothing
        key = (node.id, 1)
        tally = replace(tally, live=tally.live + 1) if token.live else replace(tally, dead=tally.dead + 1)
        self.marks[key] = tally
        if token.source:
            self.host.hear(node, key, token.source)
        if tally.runs:  # it has failed without running, but a rerun may take that back
            if token.source:
                self.closing(node, key)  # Mistral: it fails once more, with what it has heard now
            return
        if tally.live == threshold:
            self.start(node, self.save(replace(tally, runs=1)))
        elif tally.live and tally.dead > node.indegree - threshold:
            self.block(node, tally)
        elif tally.dead == node.indegree:
            self.later(tally, Intent.SETTLE)

    def feed(self, node: Node, threshold: int, tally: Mark, token: Token) -> None:
        """Let a token wait at a join in a loop for the run that will use it."""
        assert token.source is not None
        source = token.source[0]
        iteration = max(tally.fed.get(source, 0), tally.runs) + 1
        tally = self.save(replace(tally, fed={**tally.fed, source: iteration}))
        key = (node.id, iteration)
        self.host.hear(node, key, token.source)
        waiting = self.mark(key)
        waiting = self.save(replace(waiting, live=waiting.live + 1))
        if waiting.live == threshold:
            self.save(replace(self.mark((node.id, 1)), runs=iteration))
            self.count_loop(node.loop, live=1)
            self.start(node, self.mark(key))

    def block(self, node: Node, mark: Mark) -> None:
        """Fail a join that too few chose, without a run."""
        lost = node.indegree - mark.live if node.loop is not None else mark.dead
        info = f"{lost} of the {node.indegree} tasks that lead here did not choose it; it joins {node.join}"
        self.save(replace(self.mark((node.id, 1)), runs=mark.iteration))
        self.count_loop(node.loop, live=1)
        self.live += 1
        failure = Outcome(TaskState.FAILURE, None, Failure("join", info))
        mark = self.save(self.ended(self.mark(mark.key), TaskEvent.BLOCK, failure))
        try:
            self.check_iteration(mark.iteration)
            self.host.end(node, mark)
        except Refused as refused:
            self.refuse(node, mark, str(refused))
            return
        self.live -= 1
        number = self.record(st.EventKind.TASK, mark.state, mark, info=mark.info)
        self.later(self.save(replace(mark, finished_event=number)), Intent.TELL)

    def rest(self, first: Node) -> None:
        """Close a loop in which nothing can run any more, or fail a join in it that waits in vain."""
        facts, tally = first.loop_facts, self.loop_tally(first.id)
        assert facts is not None
        moving = any(token.live and token.loop == first.id for token in self.wave)
        if tally.live or tally.dead < facts.entries or tally.closed or moving or self.is_over:
            return
        for join in facts.joins:
            node, mark = self.nodes[join], self.mark((join, 1))
            waiting = self.mark((join, mark.runs + 1))
            if waiting.live and (node.join == node.indegree or not mark.runs):
                self.block(node, waiting)
                return
        self.save(replace(self.mark((first.id, 1)), loop=replace(tally, closed=True)))
        self.tell_exits(first, Errand.VERDICT)

    def tell_exits(self, first: Node, errand: Errand) -> None:
        assert first.loop_facts is not None
        for source, target in first.loop_facts.exits:
            if target not in self.mark((source, 1)).chosen or target not in self.nodes[source].joins:
                self.wave.append(Token(target, 0, errand=errand, loop=first.id))

    # -- what is to be done for a mark --------------------------------------------------------------------------------

    def later(self, mark: Mark, intent: Intent) -> None:
        again = intent is st.RUN
        self.retried += again
        if self.is_running() and not (again and self.retried > MOST_RETRIES) and self.afford():
            self.act(mark, intent)
        elif not self.is_over:
            if intent is Intent.TELL and not self.is_running():
                intent = Intent.TELL_THROUGH
                self.note_last(mark)
            self.hold(self.mark(mark.key), intent)

    def unfold(self, mark: Mark) -> None:
        assert mark.intent is not None
        if mark.intent is not Intent.RUN or not self.nodes[mark.node].workflow:  # such a start is paid for by itself
            self.afford()
        released = self.release(mark)
        self.act(released if mark.intent in BEGINS else mark, mark.intent)  # a list paused again keeps its place

    def act(self, mark: Mark, intent: Intent) -> None:
        node = self.nodes[mark.node]
        if intent in TELLS:
            self.tell(node, mark, passing_pauses=intent is st.TELL_THROUGH)
        elif intent is Intent.SETTLE:
            self.settle_links(node)
        elif intent in BEGINS and mark.item != st.WHOLE:
            self.begin_held_item(node, mark, intent)
        elif intent is Intent.RETURN:
            self.live += 1
            self.hand_out(mark)
        else:
            self.live += 1
            self.proceed(node, mark)

    # -- edges are told -----------------------------------------------------------------------------------------------

    def tell(self, node: Node, mark: Mark, passing_pauses: bool) -> None:
        key = mark.key
        try:
            firing = self.firing(node, mark)
            messages = {i: self.host.message(node, key, text) for i, edge in firing.items() if (text := edge.message)}
        except Refused as refused:
            self.fail_both(node, self.mark(key), str(refused))
            return
        counts: dict[int, int] = {}
        at, command = 0, None
        for index, edge in firing.items():
            if isinstance(edge.to, int):
                counts[edge.to] = counts.get(edge.to, 0) + 1
            elif edge.to in STOPS or (edge.to is Command.PAUSE and not passing_pauses):
                at, command = index, edge.to  # what stands behind it is told later, or never
                break
        if not counts and not passing_pauses:
            self.note_last(mark, firing)
        if mark.state is st.FAILURE and command not in STOPS:
            self.count_unhandled(node, mark, firing)
        if command is None:
            self.conclude(node, key, counts)
        elif command is Command.PAUSE:
            self.send(node, key, counts, settled=False)
            self.hold(replace(self.mark(key), told=at + 1), Intent.TELL, mark.place)
            self.change(ExecutionEvent.SUSPEND, messages.get(at) or f"Paused by task '{node.name}'")
        else:
            self.change(STOPS[command], messages.get(at) or f"Ended by '{command}' of task '{node.name}'")
            heard = {target: live for target, live in counts.items() if target not in node.joins}
            self.send(node, key, heard, settled=False)  # a join does not listen any more

    def firing(self, node: Node, mark: Mark) -> dict[int, Edge]:
        """Return which edges fire (Mistral: `workflow/direct_workflow.py`, _find_next_tasks).

        :raises Refused: a guard cannot be evaluated
        """
        found: dict[int, Edge] = {}
        for ons in FIRES_ON[mark.state]:
            found = {
                index: edge
                for index, edge in enumerate(node.edges[mark.told :], mark.told)
                if edge.on in ons and (edge.guard is None or self.host.holds(node, mark.key, edge.guard))
            }
            if found or mark.told:
                break
        return found

    def note_last(self, mark: Mark, firing: Mapping[int, Edge] | None = None) -> None:
        """Note a run that leads to no other task."""
        node = self.nodes[mark.node]
        try:
            firing = self.firing(node, mark) if firing is None else firing
        except Refused:
            return  # it fails when it is told
        if not mark.told and not any(isinstance(edge.to, int) for edge in firing.values()):
            self.closing(node, mark.key)

    def closing(self, node: Node, key: Key) -> None:
        if node.ends:
            self.save(replace(self.mark(key), last=True))
            self.host.last(node, key)

    def count_unhandled(self, node: Node, mark: Mark, firing: Mapping[int, Edge]) -> None:
        if not mark.told and all(edge.on is not On.ERROR for edge in firing.values()):
            self.unhandled += 1
            self.save(replace(self.mark(mark.key), unhandled=True))
            reason = f": {mark.info}" if mark.info else ""
            self.cause = self.cause or f"Task '{node.name}' failed{reason}"[: st.INFO_LENGTH]

    def conclude(self, node: Node, key: Key, counts: Mapping[int, int]) -> None:
        """Tell what the whole list of edges came to."""
        run = self.mark(key)
        if node.loop is None and not node.repeats:
            self.send(node, key, counts, settled=True)
            if node.heeds:
                self.settle_links(node, counts)
            remembered = counts.keys() if run.state is st.FAILURE else counts.keys() & node.heeds  # for a rerun
            self.save(replace(run, told=st.ALL, ended=1, chosen=tuple({*run.chosen, *remembered})))
            return
        self.save(replace(run, told=st.ALL))
        self.send(node, key, counts, settled=False)
        if node.loop is not None:
            self.count_loop(node.loop, live=-1)
            self.wave.append(Token(node.loop, 0, errand=Errand.REST))
        else:
            tally = self.mark((node.id, 1))
            self.settle_node(node, self.save(replace(tally, ended=tally.ended + 1)))

    def send(self, node: Node, key: Key, counts: Mapping[int, int], settled: bool) -> None:
        """Put live tokens on the links chosen; a join hears of each link once."""
        tally = self.mark((node.id, 1))
        known, renewed = tally.chosen, self.mark(key).attempt > 1
        self.wave += [
            Token(target, live, settled, key, node.loop, renewed or target in known)
            for target, live in counts.items()
            if not (target in known and target in node.joins)
        ]
        if counts and not settled:
            self.save(replace(tally, chosen=tuple({*tally.chosen, *counts})))

    def settle_node(self, node: Node, tally: Mark) -> None:
        """Settle the links of a node once every link to it is settled and all its runs have ended."""
        if node.heeds and tally.dead == node.indegree and tally.ended == tally.runs:
            self.later(tally, Intent.SETTLE)

    def settle_links(self, node: Node, counts: Container[int] = ()) -> None:
        for target in self.unchosen(node, counts):
            self.wave.extend(Token(lost, 0) for lost in node.beyond.get(target, (target,)))

    def unchosen(self, node: Node, counts: Container[int] = ()) -> list[int]:
        """Return the nodes that have to be told that this one did not choose them."""
        unchosen = [target for target in node.heeds if target not in counts]
        chosen = self.mark((node.id, 1)).chosen if unchosen else ()
        return [to for to in unchosen if to not in chosen or not (to in node.joins or to in node.beyond)]

    # -- a run is to be run again -------------------------------------------------------------------------------------

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
