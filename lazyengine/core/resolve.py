"""What follows from one event: the way forward through a graph.

Theory of operation:

1. A finished run *tells* its edges in order (on-success or on-error, then on-complete; Mistral:
   `workflow/direct_workflow.py`, `_find_next_tasks`).  An edge that fires leads to a node or is a command.
2. Each link then carries a verdict to its node as a `Token`: live, as many runs as edges fired; or dead.  A node that
   repeats settles its links once, after its last run.  *Each link carries exactly one final verdict.*
3. A node counts.  A join of k runs when k links are live, exactly once; with some live and too few left it fails
   without running (Mistral: `_get_join_logical_state`); with none live it never happens.  EACH runs once for every
   live edge.
4. A node that will not run tells that it will not, but only where a join below has to know; those in between that count
   nothing themselves are passed over (`Node.beyond`).
5. Tokens travel in waves.  `arrive` takes one wave and the slice of the graph that it reaches and gives the next; the
   caller loops until no wave is left.  So a decision reads and writes one node and those it leads to.
6. Pure actions end as they start, within the same wave, as long as `budget` lasts.  What does not fit, and what ends
   while the execution is suspended, goes to the backlog; `unfold` carries on with it.
7. The first fail or succeed wins (Mistral: `engine/dispatcher.py`, `_process_commands`).  Tokens told before it still
   start their tasks, but no join (Mistral: `engine/task_handler.py`, `_refresh_task_state`); nothing is told after it.
"""

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import replace
from datetime import datetime

from lazyengine.core import state as st
from lazyengine.core.decision import Decision, Slice, Token
from lazyengine.core.graph import Command, Key, Node, On
from lazyengine.core.host import Host, Refused
from lazyengine.core.state import (
    Event,
    EventKind,
    ExecutionEvent,
    ExecutionState,
    Failure,
    Header,
    Intent,
    Mark,
    Outcome,
    TaskEvent,
    TaskState,
)

UNBOUNDED = 1 << 62

STOPS: dict[Command, ExecutionEvent] = {
    Command.FAIL: ExecutionEvent.FAIL,
    Command.SUCCEED: ExecutionEvent.SUCCEED,
}

FIRES_ON: dict[TaskState, frozenset[On]] = {
    TaskState.SUCCESS: frozenset({On.SUCCESS, On.COMPLETE}),
    TaskState.FAILURE: frozenset({On.ERROR, On.COMPLETE}),
    TaskState.CANCELLED: frozenset(),
}


def begin(header: Header, roots: Iterable[int], now: datetime) -> Decision:
    """Start an execution: a live token for each root, and the first history row."""
    work = _Work(Slice(header, {}, {}), now)
    work.generation += 1
    work.record(EventKind.EXECUTION, work.state)
    return replace(work.decide(), wave=tuple(Token(root, 1) for root in roots))


def complete(slice: Slice, key: Key, outcome: Outcome, now: datetime, host: Host | None = None) -> Decision:
    """End the run `key` with `outcome` and tell its edges, or keep them for later while the execution is suspended.

    The slice needs the node, its mark and its mark of iteration 1.  Cost: 1 + out-degree.

    :raises IllegalTransition: the run is not RUNNING
    """
    work = _Work(slice, now, host)
    work.generation += 1
    work.live -= 1
    work.finish(slice.nodes[key[0]], slice.marks[key], outcome)
    return work.decide()


def arrive(
    slice: Slice, wave: Iterable[Token], now: datetime, host: Host | None = None, budget: int = UNBOUNDED
) -> Decision:
    """Let a wave of tokens reach its nodes; `budget` is how many ends (of pure actions, of dead nodes) may be told.

    The slice needs every node that the wave reaches and its mark of iteration 1.  Cost: the wave and its out-edges.
    """
    work = _Work(slice, now, host, budget)
    for token in sorted(wave, key=lambda token: not token.live):
        work.arrive(token)
    return work.decide()


def unfold(slice: Slice, keys: Iterable[Key], now: datetime, host: Host | None = None) -> Decision:
    """Carry on with marks of the backlog, in the given order; stops where a command ends or suspends the execution."""
    work = _Work(slice, now, host)
    work.generation += 1
    for key in keys:
        if work.state is not ExecutionState.RUNNING:
            break
        work.unfold(work.mark(key))
    return work.decide()


def settle(header: Header, now: datetime) -> Decision:
    """Close the books when no wave is left: is the execution over, or has it come to rest?

    A cancelled task outranks a failed one (Mistral: `engine/workflows.py`, `check_and_complete`).
    """
    work = _Work(Slice(header, {}, {}), now)
    if work.live == 0 and work.state is ExecutionState.SUSPENDING:
        work.change(ExecutionEvent.DRAIN, work.info)
    elif work.live == 0 and work.state is ExecutionState.RUNNING and work.backlog == 0:
        if work.cancelled:
            work.change(ExecutionEvent.CANCEL, f"Tasks that were cancelled: {work.cancelled}")
        elif work.unhandled:
            work.change(ExecutionEvent.FAIL, work.cause)
        else:
            work.change(ExecutionEvent.SUCCEED, None)
    return work.decide()


def steer(header: Header, event: ExecutionEvent, info: str | None, now: datetime) -> Decision:
    """Suspend, resume or cancel from outside.

    :raises IllegalTransition: the execution cannot do that in its state
    """
    work = _Work(Slice(header, {}, {}), now)
    work.generation += 1
    work.change(event, info)
    return work.decide()


def keep_late(header: Header, mark: Mark, outcome: Outcome, now: datetime) -> Decision:
    """Keep an answer that came too late in the history; nothing else changes."""
    work = _Work(Slice(header, {}, {}), now)
    work.generation += 1
    work.record(EventKind.LATE_RESULT, outcome.state, mark, late=outcome)
    return work.decide()


class _Work:
    """A decision in the making: the header's counters, the marks touched so far, the tokens and history to come."""

    def __init__(self, slice: Slice, now: datetime, host: Host | None = None, budget: int = UNBOUNDED) -> None:
        header = slice.header
        self.nodes, self.before = slice.nodes, slice.marks
        self.now, self.host, self.budget, self.steps = now, host or Host(), budget, 0
        self.state, self.info, self.cause = header.state, header.info, header.cause
        self.live, self.backlog, self.held = header.live, header.backlog, header.held
        self.unhandled, self.cancelled = header.unhandled, header.cancelled
        self.generation, self.event_count = header.generation, header.events
        self.marks: dict[Key, Mark] = {}
        self.wave: list[Token] = []
        self.events: list[Event] = []

    def decide(self) -> Decision:
        header = Header(
            self.state,
            self.live,
            self.backlog,
            self.held,
            self.unhandled,
            self.cancelled,
            self.info,
            self.cause,
            self.generation,
            self.event_count,
        )
        return Decision(header, self.marks, tuple(self.wave), tuple(self.events), self.steps)

    # -- marks and history --------------------------------------------------------------------------------------------

    def mark(self, key: Key) -> Mark:
        return self.marks.get(key) or self.before.get(key) or Mark(*key)

    def save(self, mark: Mark) -> Mark:
        self.marks[mark.node, mark.iteration] = mark
        return mark

    def record(self, kind: EventKind, state: str, mark: Mark | None = None, **more: object) -> int:
        where = (mark.node, mark.iteration, mark.attempt) if mark else (None, None, None)
        self.event_count += 1
        self.events.append(Event(self.event_count, self.generation, self.now, kind, state, *where, **more))  # type: ignore[arg-type]
        return self.event_count

    def change(self, event: ExecutionEvent, info: str | None) -> None:
        self.state = st.next_execution_state(self.state, event)
        self.info = info and info[: st.INFO_LENGTH]
        self.record(EventKind.EXECUTION, self.state, info=self.info)

    # -- tokens reach a node ------------------------------------------------------------------------------------------

    def arrive(self, token: Token) -> None:
        node = self.nodes[token.to]
        tally = self.mark((node.id, 1))
        if node.join is not None:
            self.arrive_at_join(node, node.join, tally, token)
            return
        tally = self.save(replace(tally, dead=tally.dead + token.settled, runs=tally.runs + token.live))
        for iteration in range(tally.runs - token.live + 1, tally.runs + 1):
            self.start(node, iteration, token.source)
        if not token.live:
            self.settle_node(node, tally)

    def arrive_at_join(self, node: Node, threshold: int, tally: Mark, token: Token) -> None:
        if tally.runs or self.state in st.FINAL_EXECUTION_STATES:
            return  # it has had its one run, or will have none: what the other links say changes nothing
        chosen = token.live > 0
        tally = self.save(replace(tally, live=tally.live + chosen, dead=tally.dead + (not chosen)))
        if token.source:
            self.host.hear(node, token.source)
        if tally.live == threshold:
            self.save(replace(tally, runs=1))
            self.start(node, 1)
        elif tally.live and tally.dead > node.indegree - threshold:
            self.block(node, tally)
        elif tally.dead == node.indegree:
            self.later(tally, Intent.SETTLE)

    def start(self, node: Node, iteration: int, source: Key | None = None) -> None:
        key = (node.id, iteration)
        mark = self.mark(key)
        state = st.next_task_state(mark.state, TaskEvent.START)
        mark = replace(mark, state=state, attempt=1, started_at=self.now)
        try:
            outcome = self.host.begin(node, key, source)
        except Refused as refused:
            self.refuse(node, replace(mark, attempt=0), str(refused))
            return
        if outcome:
            self.finish(node, mark, outcome)
            return
        self.save(mark)
        self.live += 1
        self.record(EventKind.TASK, mark.state, mark)

    def block(self, node: Node, tally: Mark) -> None:
        info = f"{tally.dead} of the {node.indegree} tasks that lead here did not choose it; it joins {node.join}"
        self.end(node, replace(tally, runs=1), TaskEvent.BLOCK, Outcome(TaskState.FAILURE, None, Failure("join", info)))

    # -- a run ends ---------------------------------------------------------------------------------------------------

    def finish(self, node: Node, mark: Mark, outcome: Outcome) -> None:
        self.end(node, mark, st.TASK_EVENT_OF_OUTCOME[outcome.state], outcome)

    def end(self, node: Node, mark: Mark, event: TaskEvent, outcome: Outcome) -> None:
        mark = self.save(self.ended(mark, event, outcome))
        try:
            self.host.end(node, mark)
        except Refused as refused:
            self.refuse(node, mark, str(refused))
            return
        number = self.record(EventKind.TASK, mark.state, mark, info=mark.info)
        self.cancelled += mark.state is TaskState.CANCELLED
        self.later(self.save(replace(mark, finished_event=number)), Intent.TELL)

    def ended(self, mark: Mark, event: TaskEvent, outcome: Outcome) -> Mark:
        info = outcome.failure.message[: st.INFO_LENGTH] if outcome.failure else None
        state = st.next_task_state(mark.state, event)
        return replace(mark, state=state, info=info, outcome=outcome, finished_at=self.now)

    def refuse(self, node: Node, mark: Mark, reason: str) -> None:
        """Fail a run and the execution with it; none of its edges is told."""
        reported = mark.outcome
        result = reported.result if reported else None
        outcome = Outcome(TaskState.FAILURE, result, Failure("expression", reason))
        mark = replace(self.ended(mark, TaskEvent.REFUSE, outcome), reported=mark.reported or reported)
        number = self.record(EventKind.TASK, mark.state, mark, info=mark.info)
        self.save(replace(mark, finished_event=mark.finished_event or number))
        if self.state not in st.FINAL_EXECUTION_STATES:
            self.host.last(node, (mark.node, mark.iteration))
            self.change(ExecutionEvent.FAIL, f"Task '{node.name}': {reason}")

    def later(self, mark: Mark, intent: Intent) -> None:
        """Do now what is to be done for the mark, if the execution is running and the budget lasts."""
        if self.state is ExecutionState.RUNNING and self.budget > 0:
            self.budget -= 1
            self.steps += 1
            self.act(mark, intent)
        elif self.state not in st.FINAL_EXECUTION_STATES:
            if intent is Intent.TELL and self.state is not ExecutionState.RUNNING:
                intent = Intent.TELL_THROUGH
            self.hold(mark, intent)

    def hold(self, mark: Mark, intent: Intent, place: int | None = None) -> None:
        """Put a mark into the backlog, at its end unless it had a place there."""
        if place is None:
            place = self.held = self.held + 1
        self.backlog += 1
        self.save(replace(mark, intent=intent, place=place))

    def unfold(self, mark: Mark) -> None:
        assert mark.intent is not None
        self.backlog -= 1
        self.save(replace(mark, intent=None, place=None))
        self.act(mark, mark.intent)

    def act(self, mark: Mark, intent: Intent) -> None:
        node = self.nodes[mark.node]
        if intent is Intent.SETTLE:
            self.settle_links(node)
        else:
            self.tell(node, mark, passing_pauses=intent is Intent.TELL_THROUGH)

    # -- edges are told -----------------------------------------------------------------------------------------------

    def tell(self, node: Node, mark: Mark, passing_pauses: bool) -> None:
        key = (mark.node, mark.iteration)
        counts: Counter[int] = Counter()
        try:
            firing = [index for index in range(mark.told, len(node.edges)) if self.fires(node, key, index, mark.state)]
        except Refused as refused:
            self.refuse(node, self.mark(key), str(refused))
            return
        if not mark.told and all(isinstance(node.edges[index].to, Command) for index in firing):
            self.host.last(node, key)
        for index in firing:
            edge = node.edges[index]
            if isinstance(edge.to, int):
                counts[edge.to] += 1
            elif edge.to is Command.PAUSE and not passing_pauses:
                self.pause(node, key, counts, index, mark.place)
                break
            elif edge.to in STOPS:
                self.change(STOPS[edge.to], edge.message or f"Ended by '{edge.to}' of task '{node.name}'")
                self.send(node, key, counts, settled=False)
                return
        else:
            self.conclude(node, key, counts)
        if mark.state is TaskState.FAILURE and not mark.told and not any(node.edges[i].on is On.ERROR for i in firing):
            self.unhandled += 1
            reason = f": {mark.info}" if mark.info else ""
            self.cause = self.cause or f"Task '{node.name}' failed{reason}"[: st.INFO_LENGTH]

    def fires(self, node: Node, key: Key, index: int, state: TaskState) -> bool:
        edge = node.edges[index]
        return edge.on in FIRES_ON[state] and (edge.guard is None or self.host.holds(node, key, edge.guard))

    def pause(self, node: Node, key: Key, counts: Counter[int], index: int, place: int | None) -> None:
        """Tell what stands before the pause command, the edge at `index`; keep what stands after it."""
        self.send(node, key, counts, settled=False)
        self.hold(replace(self.mark(key), told=index + 1), Intent.TELL, place)
        self.change(ExecutionEvent.SUSPEND, node.edges[index].message or f"Paused by task '{node.name}'")

    def conclude(self, node: Node, key: Key, counts: Counter[int]) -> None:
        """Tell what the whole list of edges came to."""
        self.send(node, key, counts, settled=not node.repeats)
        if node.repeats:
            tally = self.mark((node.id, 1))
            self.settle_node(node, self.save(replace(tally, ended=tally.ended + 1)))
        else:
            self.settle_links(node, counts)

    def send(self, node: Node, key: Key, counts: Counter[int], settled: bool) -> None:
        """Put live tokens on the links chosen; a join hears of each link once."""
        tally = self.mark((node.id, 1))
        for target, live in counts.items():
            if not (target in node.joins and target in tally.chosen):
                self.wave.append(Token(target, live, settled, key))
        if counts and not settled:
            self.save(replace(tally, chosen=tuple({*tally.chosen, *counts})))

    def settle_node(self, node: Node, tally: Mark) -> None:
        """Settle the links of a node once every link to it is settled and all its runs have ended."""
        if node.heeds and tally.dead == node.indegree and tally.ended == tally.runs:
            self.later(tally, Intent.SETTLE)

    def settle_links(self, node: Node, counts: Container[int] = ()) -> None:
        chosen = self.mark((node.id, 1)).chosen
        for target in node.heeds:
            told = target in chosen and (target in node.joins or target in node.beyond)
            if target not in counts and not told:
                self.wave.extend(Token(lost, 0) for lost in node.beyond.get(target, (target,)))
