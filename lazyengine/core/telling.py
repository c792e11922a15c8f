"""Edges are told, tokens reach nodes, loops come to their end, verdicts are withdrawn: the way forward through a graph.

`resolve` has the theory; these are its steps.
"""

from collections.abc import Container, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from lazyengine.core import state as st
from lazyengine.core.decision import VERDICT, Errand, Slice, Token
from lazyengine.core.graph import Command, Edge, Key, Node, On
from lazyengine.core.host import Refused
from lazyengine.core.reopening import Reopening
from lazyengine.core.running import MOST_RETRIES
from lazyengine.core.state import (
    ExecutionEvent,
    Failure,
    Header,
    Intent,
    Mark,
    Outcome,
    TaskEvent,
    TaskState,
)
from lazyengine.core.values import make, replace

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


class Lead(NamedTuple):
    """What the first success of a node always comes to, where no guard, command or policy has a say and it runs once.

    To follow it halves what a completion costs: 8 microseconds for 16, and none more for each out-edge.

    :param wave: the tokens that tell it
    :param chosen: what its mark remembers of it
    :param is_last: it leads to no other task
    """

    wave: tuple[Token, ...] = ()
    chosen: tuple[int, ...] = ()
    is_last: bool = False
    is_known: bool = True


UNKNOWN = Lead(is_known=False)


def has_a_say(edge: Edge) -> bool:
    """Tell whether it depends on more than the graph what an edge comes to."""
    return edge.guard is not None or edge.message is not None or edge.to in STOPS or edge.to is Command.PAUSE


def find_lead(node: Node) -> Lead:
    """Work out what the success of a node comes to by telling it once on trial, and keep that at the node."""
    policy, lead = node.policy, UNKNOWN
    is_plain = not (policy.fail_on or policy.retry or node.repeats) and policy.keep_result and node.loop is None
    if is_plain and not any(has_a_say(edge) for edge in node.edges if edge.on in FIRES_ON[TaskState.SUCCESS][0]):
        trial = Telling(Slice(Header(), {node.id: node}, {}), datetime.min)
        trial.tell(node, trial.save(Mark(node.id, state=TaskState.SUCCESS, attempt=1)), passing_pauses=False)
        mark = trial.mark((node.id, 1))
        lead = Lead(tuple(trial.wave), mark.chosen, mark.last)
    object.__setattr__(node, "lead", lead)
    return lead


class Telling(Reopening):
    """What follows from the end of a run."""

    # -- tokens reach a node ------------------------------------------------------------------------------------------

    def arrive(self, tokens: Iterable[Token]) -> None:
        """Let tokens reach their nodes, one after the other.

        What most come to stands in the loop itself: a join counts one more of its links, and goes on to wait.  Each
        takes 1.3 microseconds so, and 2 with a function for each step.  Its mark is not to be looked at by `decide`:
        what has not run does not sleep.
        """
        nodes, marks, before, hear = self.nodes, self.marks, self.before, self.host.hear
        for token in tokens:
            to, live, _, source, _, _, errand, _, _ = token
            key = to, 1
            node = nodes[to]
            tally = marks.get(key) or before.get(key)
            threshold = node.join
            if threshold is None or node.loop is not None or errand is not VERDICT:
                self.arrive_at(node, tally or Mark.untouched(to, 1), token)
                continue
            fields = tally.__dict__.copy() if tally else st.untouched(to, 1)
            count = fields.get("live", 0)
            if count < threshold and (self.state is st.RUNS or not self.is_over):
                if live:
                    count = fields["live"] = count + 1
                else:
                    fields["dead"] = fields.get("dead", 0) + 1
                tally = marks[key] = make(Mark, fields)
                if source:
                    hear(node, key, source)
                if count == threshold or "dead" in fields or "runs" in fields or node.indegree < threshold:
                    self.judge(node, threshold, tally, source)

    def arrive_at(self, node: Node, tally: Mark, token: Token) -> None:
        if token.errand is not VERDICT:
            self.run_errand(node, tally, token)
            return
        if node.join is None:
            self.arrive_at_each(node, tally, token)
        elif token.live and not self.is_over:
            self.feed(node, node.join, tally, token)
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
        if tally.runs == token.live == 1 and node.loop is None:
            self.start(node, tally, token.source)
            return
        self.count_loop(node.loop, live=token.live)
        for iteration in range(tally.runs - token.live + 1, tally.runs + 1):
            self.start(node, self.mark((node.id, iteration)), token.source)
        if not token.live:
            self.settle_node(node, self.mark((node.id, 1)))

    def judge(self, node: Node, threshold: int, tally: Mark, source: Key | None) -> None:
        """Run a join that has heard of one more of its links, if it has come to that, or let it be lost."""
        if tally.runs:  # it has failed without running, but a rerun may take that back
            if source:
                self.closing(node, tally.key)  # Mistral: it fails once more, with what it has heard now
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
            if mark.iteration > self.host.most_iterations:
                raise self.too_often()
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

    def follow_lead(self, node: Node, was: Mark, outcome: Outcome) -> bool:
        lead = node.lead or find_lead(node)
        if (
            not lead.is_known or was.attempt != 1 or was.chosen or was.hold is not None or self.budget <= 0
            or not self.is_running()
        ):  # fmt: skip
            return False
        mark = self.ended(
            was, TaskEvent.SUCCEED, outcome, finished_event=self.event_count + 1, told=st.ALL, ended=1,
            chosen=lead.chosen, last=lead.is_last,
        )  # fmt: skip
        try:
            self.host.end(node, mark)
        except Refused as refused:
            self.refuse(node, self.ended(was, TaskEvent.SUCCEED, outcome), str(refused))
            return True
        self.live -= 1
        self.record(st.TASK, mark.state, mark, info=mark.info)
        self.afford()
        self.save(mark)
        self.wave += lead.wave
        if lead.is_last:
            self.host.last(node, mark.key)
        return True

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
