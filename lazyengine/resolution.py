"""The shell around the core, for one execution in one transaction: load what a decision needs, save what it says."""

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import takewhile
from typing import Any

from lazyengine.core import resolve
from lazyengine.core.decision import Decision, Errand, Slice, Token
from lazyengine.core.graph import Key, Node
from lazyengine.core.host import Refused
from lazyengine.core.resolve import OF_REGIONS
from lazyengine.core.state import (
    ATTEMPTED_TASK_STATES,
    FINAL_EXECUTION_STATES,
    INFO_LENGTH,
    QUESTIONS,
    TASK_EVENT_OF_OUTCOME,
    Event,
    EventKind,
    ExecutionEvent,
    ExecutionState,
    Header,
    Mark,
    TaskState,
)
from lazyengine.core.values import replace
from lazyengine.dataflow import DataFlow
from lazyengine.db.due import end_lease
from lazyengine.db.rows import NO_DATA, mark_of, outcome_of
from lazyengine.db.statements import CARRY_ON, STEER
from lazyengine.db.store import Store
from lazyengine.records import NOTICES, Assignment, ExecutionStatus, Identity, seconds_left

READ_AHEAD = 100

STOPPED = frozenset({ExecutionState.SUSPENDING, ExecutionState.SUSPENDED})

FOLLOWS: dict[ExecutionState, ExecutionState] = {
    ExecutionState.RUNNING: ExecutionState.RUNNING,
    ExecutionState.SUSPENDING: ExecutionState.SUSPENDED,
    ExecutionState.SUSPENDED: ExecutionState.SUSPENDED,
    ExecutionState.CANCELLED: ExecutionState.CANCELLED,
}
"""What the executions that do the work of an execution's tasks are asked for when it comes into a state."""

BEHIND: dict[ExecutionState, frozenset[ExecutionState]] = {
    ExecutionState.RUNNING: STOPPED,
    ExecutionState.SUSPENDED: frozenset({ExecutionState.RUNNING}),
    ExecutionState.CANCELLED: STOPPED | {ExecutionState.RUNNING},
}
"""In which states they have not done so yet."""


class Resolution:
    """Decisions about one execution, one upon the other; `save` writes what they came to.

    :param budget: how many pure actions and dead tasks may still be worked off in this transaction
    :param nest: starts the execution that does the work of a run or an item
    :ivar leaves_work: once saved: the outbox says what is to be done after this transaction
    """

    def __init__(
        self, store: Store, identity: Identity, header: Header, now: datetime, budget: int, flow: DataFlow,
        nest: Callable[["Resolution", Node, Key], None],
    ) -> None:  # fmt: skip
        self.store, self.identity, self.execution_id = store, identity, identity.id
        self.before = self.header = header
        self.now, self.budget, self.flow, self.nest = now, budget, flow, nest
        self.flow.known = lambda: self.marks
        self.leaves_work = self._is_nesting = False
        self.nodes: dict[int, Node] = {}
        self.marks: dict[Key, Mark] = {}
        self.changed: dict[Key, Mark] = {}
        self.events: list[Event] = []
        self._absent: set[int] = set()

    # -- load ---------------------------------------------------------------------------------------------------------

    def load_nodes(self, ids: Iterable[int], ahead: int = 0) -> None:
        """Make nodes known, and with them as many that stand behind the last of them as `ahead` says."""
        missing = set(ids) - self.nodes.keys()
        if missing:
            missing.update(range(max(missing) + 1, max(missing) + 1 + ahead))
            self.nodes |= self.store.nodes(self.identity.graph_id, missing)

    def load_marks(self, ids: Iterable[int]) -> None:
        """Make the marks of iteration 1 of nodes known."""
        unread = {id for id in ids if (id, 1) not in self.marks} - self._absent
        if unread:
            self.marks |= self.store.marks(self.execution_id, unread)
            self._absent |= unread

    def load_wave(self, wave: Iterable[Token], ahead: int) -> None:
        """Make known what a wave reaches.  A node that runs once, for its only link, has no mark before it does."""
        self.load_nodes((token.to for token in wave), ahead)
        first_runs = {one.to for one in wave if one.live and not one.again and not self.nodes[one.to].counts}
        self.load_marks(token.to for token in wave if token.to not in first_runs)
        for token in wave:
            if token.errand in OF_REGIONS:
                self.load_region(self.nodes[token.to])
        loops = {loop for token in wave if (loop := self.nodes[token.to].loop) is not None}
        if loops:
            self.load_loops(wave, loops)

    def load_region(self, controller: Node) -> None:
        """Make known what has happened in a region, and its last node."""
        assert controller.region is not None
        self.marks = self.store.region(self.execution_id, controller.id, controller.region) | self.marks
        within = {key[0] for key in self.marks if controller.id <= key[0] <= controller.region}
        self.load_nodes(within | {controller.region})

    def load_loops(self, wave: Iterable[Token], loops: set[int]) -> None:
        """Make the first nodes of loops known, what a look at them needs, and the runs that wait at their joins."""
        self.load_nodes(loops)
        self.load_marks(loops)
        joins = {token.to for token in wave if self.nodes[token.to].join is not None}
        for token in wave:
            loop = self.nodes[token.to].loop
            facts = self.nodes[loop].loop_facts if loop is not None and token.errand is not Errand.VERDICT else None
            if facts:
                sources = {source for source, _ in facts.exits}
                self.load_nodes(sources | set(facts.joins))
                self.load_marks(sources | set(facts.joins))
                joins |= set(facts.joins)
        for join in joins & self._looping(joins):
            runs = self.marks[join, 1].runs if (join, 1) in self.marks else 0
            waiting = self.store.waiting_marks(self.execution_id, join, runs - 1)  # the newest may have to wait on
            self.marks = waiting | self.marks

    def _looping(self, ids: Iterable[int]) -> set[int]:
        return {id for id in ids if self.nodes[id].loop is not None}

    def load_run(self, node: Node) -> None:
        """Make known what the end of a run of a node needs beside its own mark."""
        self.nodes[node.id] = node
        if node.loop is not None:
            self.load_nodes([node.loop])
            self.load_marks([node.loop])

    def slice(self) -> Slice:
        """Return what is known, as the core wants it."""
        return Slice(self.header, self.nodes, self.marks)

    # -- decide -------------------------------------------------------------------------------------------------------

    def follow(self, decision: Decision) -> None:
        """Take a decision over and let its tokens travel until no wave is left.

        A third wave in a row means that pure actions end one after the other; such nodes mostly stand in the order of
        the definition, so the next ones are read ahead.
        """
        self._take(decision)
        waves = 0
        while decision.wave:
            waves += 1
            self.load_wave(decision.wave, READ_AHEAD if waves > 2 else 0)
            decision = resolve.arrive(self.slice(), decision.wave, self.now, self.flow, self.budget)
            self._take(decision)
        self._start_children()

    def _start_children(self) -> None:
        """Start what tasks begin whose work is a workflow; such an execution may end at once, and others follow."""
        if not self._is_nesting:
            self._is_nesting = True
            while self.flow.calls:
                self.nest(self, *self.flow.calls.popleft())
            self._is_nesting = False

    def unfold(self) -> None:
        """Carry on with the backlog, as far as the budget goes."""
        budget = max(1, self.budget)
        backlog = self.store.backlog(self.execution_id, budget)
        self.marks |= backlog
        ids = {key[0] for key in backlog}
        self.load_nodes(ids)
        self.load_marks(ids)
        for id in ids:
            self.load_run(self.nodes[id])
        for run in {key[:2] for key in backlog} - self.marks.keys():
            self.load_key(run)
        self.follow(resolve.unfold(self.slice(), backlog, self.now, self.flow, budget))

    def steer(self, event: ExecutionEvent, info: str | None = None) -> None:
        """Suspend, resume or cancel it; what is resumed carries on with its backlog."""
        self.follow(resolve.steer(self.header, event, info, self.now))
        if event is ExecutionEvent.RESUME and self.header.backlog:
            self.unfold()

    def load_key(self, key: Key) -> None:
        """Make known a run or an item, as far as it is there, and what its end needs."""
        self.load_nodes([key[0]])
        self.load_run(self.nodes[key[0]])
        rows = self.store.runs_of(self.execution_id, key[0], key[1])
        self.marks |= {(key[0], iteration): mark_of(row) for iteration, row in rows.items()}
        row = self.store.item_mark(self.execution_id, key) if len(key) > 2 else None
        if row is not None:
            self.marks[key] = mark_of(row)

    def wake(self, key: Key) -> None:
        """Do what it is time for at a run, if it still is."""
        self.load_key(key)
        mark = self.marks.get(key)
        if mark is None or mark.alarm_at is None or mark.alarm_at > self.now:
            return
        if mark.ending in TASK_EVENT_OF_OUTCOME:
            kept = outcome_of(self.store.outcome_at(self.execution_id, key))
            self.marks[key] = replace(mark, outcome=replace(kept, state=mark.ending))
        self.follow(resolve.wake(self.slice(), key, self.now, self.flow))

    def lapse(self, key: Key) -> None:
        """Take an attempt back whose lease has run out, unless it was extended meanwhile."""
        if end_lease(self.store.connection, self.execution_id, key, self.now):
            self.load_key(key)
            self.follow(resolve.lapse(self.slice(), key, self.now, self.flow))

    def settle(self) -> None:
        """Close the books once all decisions are taken."""
        self._take(resolve.settle(self.header, self.now))

    def _take(self, decision: Decision) -> None:
        self.header = decision.header
        self.marks.update(decision.marks)
        self.changed.update(decision.marks)
        self.events += decision.events
        self.budget -= decision.steps

    # -- save ---------------------------------------------------------------------------------------------------------

    def save(self) -> ExecutionStatus:
        """Write everything that was decided, and return how the execution stands."""
        if self.header == self.before:
            self.leaves_work = self.header.carries_on
            was_over = self.header.state in FINAL_EXECUTION_STATES
            return self._status(self.store.output(self.execution_id) if was_over else None)
        over = self.header.state in FINAL_EXECUTION_STATES and self._came_to_an_end()
        output = self._output() if over else None
        self._keep_attempts()
        data = self.flow.changed() if self.changed else {}
        runs = [(mark, self.nodes[key[0]], data.get(key, NO_DATA)) for key, mark in sorted(self.changed.items())]
        self._note_work()
        self._notify(output)
        ended = {}
        if over or self.is_running_again:
            ended["output"] = output
        self.store.save_decision(self.execution_id, runs, self.events, self.before, self.header, self.now, **ended)
        if over and self.header.state is ExecutionState.CANCELLED:
            self.store.withdraw(self.execution_id)
        return self._status(ended.get("output"))

    def _keep_attempts(self) -> None:
        """Let the marks of controllers be written that have only heard of a failure."""
        heard = self.flow.attempts.keys() - self.changed.keys()
        self.load_nodes(key[0] for key in heard)
        self.load_marks(key[0] for key in heard)
        self.changed.update((key, self.marks[key]) for key in heard)

    @property
    def is_running_again(self) -> bool:
        """Whether this transaction has brought an execution back that had ended."""
        return self.before.state in FINAL_EXECUTION_STATES and self.header.state not in FINAL_EXECUTION_STATES

    def _came_to_an_end(self) -> bool:
        return any(one.kind is EventKind.EXECUTION and one.state in FINAL_EXECUTION_STATES for one in self.events)

    def _note_work(self) -> None:
        """Put down in the outbox what is to be done after this transaction."""
        if self.header.carries_on and not self.before.carries_on:
            self.store.note(self.execution_id, CARRY_ON, self.now)
        elif self.before.carries_on and not self.header.carries_on:
            self.store.clear_notes(self.store.notes(self.execution_id, CARRY_ON))
        wish = FOLLOWS.get(self.header.state)
        leads = wish is not None and wish is not FOLLOWS.get(self.before.state)
        steers = leads and self.store.has_child_in(self.execution_id, BEHIND[wish])  # type: ignore[index]
        if steers:
            self.store.note(self.execution_id, STEER, self.now)
        self.leaves_work = steers or self.header.carries_on

    def _notify(self, output: Any) -> None:
        """Put down in the outbox who is to be told that it has come into another state."""
        state = self.header.state
        urls = [one.url for one in self.identity.notify if any(state in NOTICES[event] for event in one.on)]
        if urls and state is not self.before.state:
            told: dict[str, Any] = {"id": self.execution_id, "workflow": self.identity.workflow, "state": state.value}
            told |= {"state_info": self.header.info, "output": output, "generation": self.header.generation}
            self.store.notify(self.execution_id, urls, told, self.now)

    def _status(self, output: Any) -> ExecutionStatus:
        return ExecutionStatus(self.execution_id, self.header.state, output)

    def _output(self) -> dict[str, Any]:
        """Mistral: `engine/workflows.py`, `_succeed_workflow`, `_fail_workflow` and `_cancel_workflow`."""
        graph = self.store.graph_head(self.identity.graph_id)
        if self.header.state is ExecutionState.SUCCESS:
            try:
                return self.flow.output(graph.output)
            except Refused as refused:
                self._fail_after_all(f"The output cannot be evaluated: {refused}"[:INFO_LENGTH])
        output: dict[str, Any] = {"result": self.header.info}
        if self.header.state is ExecutionState.FAILURE:
            try:
                output |= self.flow.output(graph.output_on_error)
            except Refused as refused:
                self._fail_after_all(
                    f"The output-on-error cannot be evaluated: {refused}; {self.header.info}"[:INFO_LENGTH]
                )
                output["result"] = self.header.info
        return output

    def _fail_after_all(self, info: str) -> None:
        """Let the end that this transaction decided on be a failure with this reason, before it is saved."""
        self.header = self.header._replace(state=ExecutionState.FAILURE, info=info)
        at = max(i for i, event in enumerate(self.events) if event.kind is EventKind.EXECUTION)
        self.events[at] = self.events[at]._replace(state=ExecutionState.FAILURE, info=info)

    # -- answer -------------------------------------------------------------------------------------------------------

    def handed_out_after(self, number: int) -> tuple[Assignment, ...]:
        """Say what the decision that wrote history row `number` handed out, in this transaction or long ago."""
        if number <= self.before.events:
            keys: list[Any] = self.store.handed_out_after(self.execution_id, number)
        else:
            at = number - self.before.events - 1  # rows are numbered without gaps
            same = takewhile(lambda event: event.generation == self.events[at].generation, self.events[at:])
            handed_out = [event for event in same if event.state in ATTEMPTED_TASK_STATES and event.node is not None]
            keys = [(one.node, one.iteration, one.item, one.attempt, one.state, one.at) for one in handed_out]
        self.load_nodes(node for node, *_ in keys)
        wanted = [key for key in keys if _is_work(self.nodes[key[0]], key[2])]
        return tuple(self._assignment(self.nodes[node], *rest) for node, *rest in wanted)

    def _assignment(
        self, node: Node, iteration: int, item: int | None, attempt: int, state: str, at: datetime
    ) -> Assignment:
        key: Key = (node.id, iteration) if item is None else (node.id, iteration, item)
        action, target = self.flow.who_of(node, key)
        deadline_at = self._deadline_of(node, key[:2])
        return Assignment(
            execution_id=self.execution_id,
            task=node.name,
            iteration=iteration,
            item=item,
            attempt=attempt,
            action=action,
            target=target,
            input=self.flow.input_of(node, key),
            timeout_seconds=seconds_left(deadline_at, at),
            deadline_at=deadline_at,
            traceparent=self.identity.traceparent,
            reverts=state == TaskState.REVERTING,
            asks=QUESTIONS.get(state),
            flow=self.identity.flow,
            execution_created_at=self.identity.created_at,
        )

    def _deadline_of(self, node: Node, run: Key) -> datetime | None:
        if not node.policy.timeout_seconds:
            return None
        if run not in self.marks:
            self.load_key(run)
        return self.marks[run].deadline_at


def _is_work(node: Node, item: int | None) -> bool:
    """Tell whether somebody has to work on a run or an item: not where its items, or an execution, do."""
    return not node.workflow and (item is not None or not node.items)
