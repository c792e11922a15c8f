"""What flows have beyond workflows: nodes that deciders say no to, and the way back.

Theory of operation:

1. Every node of a flow joins all its links.  When it has them, its deciders are asked; the widest of those that say no
   says how much of what stands behind it is ignored with it (TaskFlow: `engines/action_engine/deciders.py`).  What is
   ignored does not run; once it has all its links, it tells its edges as if it had succeeded.
2. A failure is not told along edges: the retry controllers around the node are asked, from the inside out, until one
   does not say REVERT (TaskFlow: `engines/action_engine/completer.py`, `_determine_resolution`).  RETRY opens its
   region; REVERT_ALL opens the whole graph; when all say REVERT the innermost region is opened, and where there is none
   to ask, the whole graph.
3. *Opening a region* marks all that has to be undone in it: what runs, has ended, or has told its edges.  Each of them
   counts in `hold` how many of those that it led to have to be undone before it, and knows whom it holds up itself.
   Nothing else is ever searched: what is undone releases those that it held up, and who is held up no more is undone.
4. What runs ends first, and tells nothing.  Undoing hands out an attempt to revert, with a number of its own; what is
   ignored, and gates, are undone at once.
5. The controller is undone last.  When it said RETRY it is not reverted: its region is made new, and it runs again;
   then those behind the region that were ignored are so no more (TaskFlow: `runtime.py`, `retry_subflow`).
6. A region that is opened over others takes the place of theirs; one inside an open region adds nothing to it.
7. What a decider or a controller says may be known to somebody else only (the host answers None).  Then the question is
   an attempt of the node that it is about: of the one that has deciders, before it runs (DECIDING), or of the
   controller (ASKING).  A failure waits for the answer, and is not undone before; a controller is asked about one
   failure after the other.
8. A revert that fails, and what cannot be asked or begun, breaks the execution: what is under way may end, nothing more
   begins, and then it fails (TaskFlow: `builder.py`, MachineMemory.failures).

*A node is undone only by a region that also covers everything behind it that ran.*
"""

from collections import defaultdict
from collections.abc import Container
from itertools import pairwise

from lazyengine.core import state as st
from lazyengine.core.decision import Errand, Token
from lazyengine.core.graph import Depth, Key, Kind, Node
from lazyengine.core.host import Refused
from lazyengine.core.state import (
    ATTEMPTED_TASK_STATES,
    EventKind,
    Intent,
    Mark,
    Outcome,
    Question,
    Strategy,
    TaskEvent,
    TaskState,
)
from lazyengine.core.telling import TELLS, Telling
from lazyengine.core.values import replace

WIDEST = tuple(Depth)

UNDOABLE = frozenset({*ATTEMPTED_TASK_STATES, TaskState.SUCCESS, TaskState.FAILURE})


def is_undoable(mark: Mark) -> bool:
    """Tell whether there is anything to undo: it is under way, has ended, or was passed over and told its edges."""
    return mark.state in UNDOABLE or (mark.state is TaskState.IGNORE and mark.told != 0)


class Reverting(Telling):
    """What follows from what a decider, a failure, or the end of a revert says."""

    def run_errand(self, node: Node, mark: Mark, token: Token) -> None:
        if token.errand is Errand.IGNORE:
            self.ignore_behind(node, mark, token)
        elif token.errand is Errand.RENEW:
            self.renew_behind(node, mark, token)
        elif token.errand is Errand.UNDONE:
            self.undo_before(mark)
        elif token.errand is Errand.ASK:
            assert token.source is not None
            if mark.state is not TaskState.ASKING:
                self.ask(node, mark, Question.ON_FAILURE, token.source[0])
        elif token.errand is Errand.OPEN:
            self.open(node, mark, token)
        elif token.errand is Errand.RETRY:
            self.retry(node, mark)
        else:
            super().run_errand(node, mark, token)

    # -- deciders -----------------------------------------------------------------------------------------------------

    def start(self, node: Node, mark: Mark, source: Key | None = None) -> None:
        if self.broken:
            return
        if node.deciders and mark.state is st.PENDING and not self.agree(node, mark):
            return
        if mark.state is st.IGNORE:
            self.later(mark, st.TELL)
        else:
            self.begin(node, mark, source)

    def agree(self, node: Node, mark: Mark, answer: Outcome | None = None) -> bool:
        """Tell whether all deciders of a node let it run; see to what follows if not."""
        try:
            said = [(decider.depth, self.host.allows(node, decider, answer)) for decider in node.deciders]
        except Refused as refused:
            self.give_up(node, f"A decider of task '{node.name}': {refused}")
            return False
        if any(allowed is None for _, allowed in said):
            self.ask(node, mark, Question.DECIDE)
            return False
        against = [depth for depth, allowed in said if not allowed]
        if against:
            mark = self.ignore(mark)
            self.spread_out(node, Errand.IGNORE, min(against, key=WIDEST.index))
            self.later(mark, Intent.TELL)
        return not against

    def decided(self, node: Node, mark: Mark, outcome: Outcome) -> None:
        """Take in what the deciders of a node say; what is to be undone by now does not begin any more."""
        mark = self.save(replace(self.heard(mark, outcome, None), started_at=None, finished_at=None))
        if mark.hold is not None:
            self.later(mark, Intent.REVERT)
        elif self.agree(node, mark, outcome):
            self.later(mark, Intent.RUN)

    # -- questions ----------------------------------------------------------------------------------------------------

    def ask(self, node: Node, mark: Mark, question: Question, failed: int | None = None) -> None:
        """Hand out a question about a node.

        :param failed: the run that a controller is asked about
        """
        try:
            self.host.ask(node, mark.key, question)
        except Refused as refused:
            self.give_up(node, f"Task '{node.name}': {refused}")
            return
        event = TaskEvent.DECIDE if question is Question.DECIDE else TaskEvent.ASK
        state = st.next_task_state(mark.state, event)
        mark = replace(mark, state=state, attempt=mark.attempt + 1, asks=failed, started_at=self.now, finished_at=None)
        self.live += 1
        self.record(EventKind.TASK, mark.state, self.save(mark))

    def heard(self, mark: Mark, answer: Outcome, outcome: Outcome | None) -> Mark:
        """Let a question be answered; `outcome` is how the node itself has ended before."""
        self.live -= 1
        mark = self.ended(mark, st.TASK_EVENT_OF_OUTCOME[answer.state], answer)
        number = self.record(EventKind.TASK, mark.state, mark, info=mark.info)
        reported = answer if outcome else None
        return self.save(replace(mark, info=None, asks=None, outcome=outcome, reported=reported, finished_event=number))

    def answered(self, controller: Node, mark: Mark, answer: Outcome) -> None:
        """Take in what a controller says of a failure, and ask it about the next one."""
        assert mark.asks is not None
        failed = self.save(replace(self.mark((mark.asks, 1)), asks=None))
        mark = self.heard(mark, answer, Outcome(TaskState.SUCCESS, self.host.recall(controller)))
        self.resolve(self.nodes[failed.node], failed, controller.id, answer)
        waiting = [one for one in map(self.mark, self.region(controller)) if one.asks == controller.id]
        if waiting:
            first = min(waiting, key=lambda one: one.finished_event or 0)
            self.ask(controller, mark, Question.ON_FAILURE, first.node)

    def ignore(self, mark: Mark) -> Mark:
        self.ignored += 1
        mark = self.save(replace(mark, state=st.next_task_state(mark.state, TaskEvent.IGNORE)))
        self.record(EventKind.TASK, mark.state, mark)
        return mark

    def ignore_behind(self, node: Node, mark: Mark, token: Token) -> None:
        if node.kind is not Kind.TASK and token.depth is not Depth.ALL:
            return
        if mark.state is TaskState.PENDING and node.kind is not Kind.GATE:
            self.ignore(mark)
        if token.depth in (Depth.ALL, Depth.FLOW):
            self.spread_out(node, Errand.IGNORE, token.depth)

    def renew_behind(self, node: Node, mark: Mark, token: Token) -> None:
        if mark.state is TaskState.IGNORE:
            self.ignored -= 1
            self.renew(mark)
        self.spread_out(node, Errand.RENEW)

    def spread_out(self, node: Node, errand: Errand, depth: Depth | None = None) -> None:
        """Send an errand along all edges that none of this wave has gone along."""
        if depth is Depth.ATOM:
            return
        for edge in node.edges:
            token = Token(edge.to, 0, errand=errand, depth=depth)  # type: ignore[arg-type]
            if token not in self.sent:
                self.sent.add(token)
                self.wave.append(token)

    # -- a failure ----------------------------------------------------------------------------------------------------

    def later(self, mark: Mark, intent: Intent) -> None:
        """Do what is to be done for a mark; what a failure comes to is worked out at once, whatever the state."""
        if mark.state is st.FAILURE and intent is st.TELL and self.nodes[mark.node].controllers:
            self.resolve(self.nodes[mark.node], mark)
        else:
            super().later(mark, intent)

    def resolve(self, node: Node, mark: Mark, asked: int | None = None, answer: Outcome | None = None) -> None:
        """Work out what a failure comes to.

        :param asked: the controller that was asked about it last
        :param answer: what was answered
        """
        try:
            controller, strategy = self.resolution(node, mark, asked, answer)
        except Refused as refused:
            self.give_up(node, str(refused))
            return
        self.cause = self.cause or f"Task '{node.name}' failed: {mark.info}"[: st.INFO_LENGTH]
        if strategy is None:
            self.save(replace(mark, asks=controller))
        errand = Errand.OPEN if strategy else Errand.ASK
        self.wave.append(Token(controller, 0, source=mark.key, errand=errand, strategy=strategy))

    def resolution(
        self, node: Node, mark: Mark, asked: int | None, answer: Outcome | None
    ) -> tuple[int, Strategy | None]:
        """Ask whose region is to be reverted, and whether it is to run again; None if a controller is to be asked.

        :raises Refused: a controller cannot be asked
        """
        *retries, whole = node.controllers
        chain = [*pairwise((node.id, *retries))]
        for source, retry in chain[0 if asked is None else retries.index(asked) :]:
            strategy = self.host.strategy(retry, source, mark, answer if retry == asked else None)
            if strategy is None or strategy is Strategy.RETRY:
                return retry, strategy
            if strategy is Strategy.REVERT_ALL:
                return whole, Strategy.REVERT
        return node.controllers[0], Strategy.REVERT

    def give_up(self, node: Node, reason: str) -> None:
        """Let nothing more begin, and the execution fail once nothing is under way."""
        if node.controllers:
            self.broken += 1
            self.cause = reason[: st.INFO_LENGTH]
        else:
            super().give_up(node, reason)

    # -- a region is opened -------------------------------------------------------------------------------------------

    def open(self, controller: Node, mark: Mark, token: Token) -> None:
        assert token.source is not None
        if mark.hold is None:
            self.open_region(controller, token.strategy)
            return
        if mark.strategy is Strategy.RETRY and token.strategy is Strategy.REVERT:
            self.reverted += 1
            self.save(replace(mark, strategy=token.strategy))
        failed = self.mark(token.source)
        if failed.state is TaskState.FAILURE and failed.intent is None:
            self.later(failed, Intent.REVERT)  # the region that is open already counts with it

    def open_region(self, controller: Node, strategy: Strategy | None) -> None:
        """Work out what has to be undone in a region, and in which order, and begin with what nothing holds up.

        Cost: what has happened in the region, and its out-edges.
        """
        marks = [self.mark(key) for key in self.region(controller)]
        self.reverted += strategy is Strategy.REVERT
        undoable = {mark.node: mark for mark in map(self.call_off, marks) if is_undoable(mark)}
        ahead = {id: self.ahead(mark, undoable.keys()) for id, mark in undoable.items()}
        holds = defaultdict(list)
        for id, targets in ahead.items():
            for target in targets:
                holds[target].append(id)
        for id, mark in undoable.items():
            chosen = strategy if id == controller.id else None
            self.save(replace(mark, hold=len(ahead[id]), holds=tuple(holds[id]), strategy=chosen))
        for id in undoable:
            mark = self.mark((id, 1))
            is_busy = mark.intent or mark.asks is not None or mark.state in ATTEMPTED_TASK_STATES
            if not mark.hold and not is_busy:
                self.later(mark, Intent.REVERT)

    def region(self, controller: Node) -> list[Key]:
        """List what has happened to the nodes of a region, in the order of their ids."""
        assert controller.region is not None
        known = self.before.keys() | self.marks.keys()
        return sorted(key for key in known if controller.id <= key[0] <= controller.region)

    def call_off(self, mark: Mark) -> Mark:
        """Let a mark not begin or tell anything any more, nor its own region have been opened.

        What came back from a worker runs first, as nobody knows how far it got.
        """
        if mark.intent not in (None, Intent.REVERT, Intent.RETURN):
            mark = self.release(mark)
        self.reverted -= mark.strategy is Strategy.REVERT
        return self.save(replace(mark, strategy=None)) if mark.strategy else mark

    def ahead(self, mark: Mark, undoable: Container[int]) -> list[int]:
        """List which of those that a node has led to have to be undone before it."""
        targets = dict.fromkeys(edge.to for edge in self.nodes[mark.node].edges) if mark.told else ()
        return [target for target in targets if isinstance(target, int) and target in undoable]

    # -- a region is undone -------------------------------------------------------------------------------------------

    def act(self, mark: Mark, intent: Intent) -> None:
        if intent is st.REVERT or (mark.hold is not None and intent in TELLS):
            self.undo(self.nodes[mark.node], mark.key)
        else:
            super().act(mark, intent)

    def undo(self, node: Node, key: Key) -> None:
        mark = self.mark(key)
        if mark.strategy is Strategy.RETRY:
            self.wave.append(Token(node.id, 0, errand=Errand.RETRY))
        elif mark.state in (TaskState.IGNORE, TaskState.PENDING):
            self.undone(mark)
        else:
            self.revert(node, mark)

    def revert(self, node: Node, mark: Mark) -> None:
        """Begin an attempt to revert a node."""
        state = st.next_task_state(mark.state, TaskEvent.REVERT)
        mark = replace(mark, state=state, attempt=mark.attempt + 1, info=None, started_at=self.now, finished_at=None)
        self.live += 1
        try:
            outcome = self.host.revert(node, mark.key)
        except Refused as refused:
            self.refuse(node, mark, str(refused))
            return
        if outcome:
            self.end_revert(node, mark, outcome)
        else:
            self.save(mark)
            self.record(EventKind.TASK, mark.state, mark)

    def end_revert(self, node: Node, mark: Mark, outcome: Outcome) -> None:
        mark = self.ended(mark, st.TASK_EVENT_OF_OUTCOME[outcome.state], outcome)
        self.live -= 1
        mark = self.save(replace(mark, finished_event=self.record(EventKind.TASK, mark.state, mark, info=mark.info)))
        if mark.state is TaskState.REVERTED:
            self.undone(mark)
        else:
            self.give_up(node, f"Task '{node.name}' could not be reverted: {mark.info}")

    def undone(self, mark: Mark) -> None:
        self.save(replace(mark, hold=None, holds=(), told=0))
        self.wave.extend(Token(held, 0, errand=Errand.UNDONE) for held in mark.holds)

    def undo_before(self, mark: Mark) -> None:
        """Count that one of those that a node led to has been undone."""
        assert mark.hold
        mark = self.save(replace(mark, hold=mark.hold - 1))
        if not mark.hold:
            self.later(mark, Intent.REVERT)

    # -- a region runs again ------------------------------------------------------------------------------------------

    def retry(self, controller: Node, mark: Mark) -> None:
        """Make the region of a controller new, and run that, unless something else has been decided meanwhile."""
        if mark.strategy is not Strategy.RETRY or mark.hold:
            return
        region = self.region(controller)
        if self.ignored:
            assert controller.region is not None
            self.spread_out(self.nodes[controller.region], Errand.RENEW)
        for key in region:
            if key != mark.key:
                self.make_new(self.mark(key))
        mark = self.renew(mark)
        self.begin(controller, self.save(replace(mark, hold=None, holds=(), told=0, strategy=None)))

    def make_new(self, mark: Mark) -> None:
        """Let a node be as if nothing had happened to it, but for the number of its attempts."""
        self.ignored -= mark.state is TaskState.IGNORE
        if mark.state is not TaskState.PENDING:
            mark = self.renew(mark)
            self.host.reopen(self.nodes[mark.node], mark.key, False)
        self.save(Mark(mark.node, mark.iteration, attempt=mark.attempt))
