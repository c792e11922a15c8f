"""Inside one run: its turn, its attempts and items, its delays, its end.

Theory of operation:

1. A run has its turn once: it may have to pause the execution, or to wait, and its deadline is set then (Mistral:
   `engine/policies.py`, before_task_start; a deadline covers all attempts).
2. An attempt ends by itself (a pure action) or when somebody says so.  What then happens, in this order (Mistral:
   `engine/tasks.py`, complete): wait-after holds it up, once; it publishes; fail-on turns a success into a failure;
   retry begins another attempt; or it is over and its edges are told.
3. With items, an attempt is as many marks of their own, at most `width` of them under way.  The end of one is counted
   at the run and lets the next one begin, so that it costs the same however many there are.
4. `live` is raised where a run has its turn and lowered where it is over; what waits for a time is `asleep` too.
"""

from abc import abstractmethod
from datetime import timedelta
from typing import Any

from lazyengine.core import state as st
from lazyengine.core.attempt import number, truth
from lazyengine.core.books import Books
from lazyengine.core.graph import NO_POLICY, Key, Node, Retry
from lazyengine.core.host import Refused
from lazyengine.core.state import (
    EventKind,
    ExecutionEvent,
    Failure,
    Intent,
    Items,
    Mark,
    Outcome,
    TaskEvent,
    TaskState,
)
from lazyengine.core.values import replace

MOST_RETRIES = 100
"""Attempts without a delay that one decision begins for a run that ends by itself; the next go to the backlog."""

NESTED_STEPS = 10
"""What the start of an execution for a task counts for, in pure actions."""

BROKEN = frozenset({TaskState.FAILURE, TaskState.CANCELLED})
BROKEN_ITEMS = Failure("items", "One or more actions had failed.")


class Running(Books):
    """What becomes of one run."""

    retried = 0

    def later(self, mark: Mark, intent: Intent) -> None:
        """Do now what is to be done for the mark, if the execution is running and the budget lasts."""

    def start(self, node: Node, mark: Mark, source: Key | None = None) -> None:
        """Begin a run, if nothing has something against it."""

    @abstractmethod
    def follow_lead(self, node: Node, mark: Mark, outcome: Outcome) -> bool:
        """End a run that succeeds and whose lead is known, or do nothing; tell which."""

    def closing(self, node: Node, key: Key) -> None:
        """Note that a run ends the execution as it fails."""

    # -- its turn -----------------------------------------------------------------------------------------------------

    def begin(self, node: Node, mark: Mark, source: Key | None = None) -> None:
        host = self.host
        self.live += 1
        try:
            host.enter(node, (mark.node, mark.iteration), source)
            if mark.iteration > host.most_iterations:
                raise self.too_often()
            if host.start_after_seconds and not node.indegree:
                seconds = host.start_after_seconds
                mark = replace(mark, ending=TaskState.PENDING)
                self.delay(mark, seconds, f"Delayed by start_after_seconds [delay={seconds:g}]")
            elif node.policy is NO_POLICY:
                self.attempt(node, mark)
            else:
                self.take_turn(node, mark)
        except Refused as refused:
            self.refuse(node, mark, str(refused))

    def too_often(self) -> Refused:
        """Say that a task runs more often than it may: a loop never ends."""
        most = self.host.most_iterations
        return Refused(f"It would run more than {most} times; raise max_iterations in the settings if it has to.")

    def take_turn(self, node: Node, mark: Mark) -> None:
        """
        :raises Refused: a policy cannot be evaluated
        """
        policy = node.policy
        if not policy.comes_first:
            self.attempt(node, mark)
            return
        key = mark.key
        pause = truth(self.host, node, key, "pause-before", policy.pause_before)
        wait = number(self.host, node, key, "wait-before", policy.wait_before_seconds)
        mark = self.with_deadline(node, mark)
        number(self.host, node, key, "wait-after", policy.wait_after_seconds)  # what is wrong is refused at once
        number(self.host, node, key, "concurrency", policy.concurrency, whole=True)
        if policy.retry:
            number(self.host, node, key, "retry count", policy.retry.count, whole=True)
            number(self.host, node, key, "retry delay", policy.retry.delay_seconds)
        if pause and not self.is_over:
            self.put_off(replace(mark, info="Set by 'pause-before' policy"))
            if self.is_running():
                self.change(ExecutionEvent.SUSPEND, f"Paused before task '{node.name}'")
        elif wait:
            self.delay(mark, wait, f"Delayed by 'wait-before' policy [delay={wait:g}]")
        else:
            self.attempt(node, mark)

    def with_deadline(self, node: Node, mark: Mark) -> Mark:
        seconds = number(self.host, node, mark.key, "timeout", node.policy.timeout_seconds)
        return replace(mark, deadline_at=self.now + timedelta(seconds=seconds)) if seconds else mark

    def put_off(self, mark: Mark) -> None:
        """Keep a run for the backlog that has had its turn and not begun."""
        self.live -= 1
        self.hold(mark, Intent.RUN)

    def proceed(self, node: Node, mark: Mark) -> None:
        """Let a run go on that has waited: to its turn, if it had none yet, or to an attempt."""
        if mark.ending is not TaskState.PENDING:
            self.attempt(node, mark)
            return
        try:
            self.take_turn(node, self.save(replace(mark, ending=None)))
        except Refused as refused:
            self.refuse(node, self.mark(mark.key), str(refused))

    # -- an attempt ---------------------------------------------------------------------------------------------------

    def attempt(self, node: Node, mark: Mark) -> None:
        held = mark.items.held if mark.items else 0  # of an attempt before: they leave the backlog first
        if held or (node.workflow and not node.items and not self.afford(NESTED_STEPS)):
            self.put_off(mark)
            return
        state = st.next_task_state(mark.state, st.START)
        begun = mark.started_at or self.now
        new = replace(mark, state=state, attempt=mark.attempt + 1, info=None, started_at=begun, finished_at=None)
        try:
            if node.items:
                self.spread(node, new)
                return
            outcome = self.host.run(node, mark.key, mark.given)
        except Refused as refused:
            self.refuse(node, mark, str(refused))
            return
        if outcome:
            self.finish(node, new, outcome)
            return
        self.save(new)
        self.record(st.TASK, new.state, new)

    def spread(self, node: Node, mark: Mark) -> None:
        """Begin the items of an attempt.

        :raises Refused: they cannot be evaluated
        """
        width = int(number(self.host, node, mark.key, "concurrency", node.policy.concurrency, whole=True))
        total = self.host.spread(node, mark.key)
        self.save(replace(mark, items=Items(total, width)))
        self.record(EventKind.TASK, mark.state, mark)
        for item in range(total):
            ended = self.mark((*mark.key, item)).finished_event  # the answer to who ended the attempt before
            self.save(Mark(mark.node, mark.iteration, item, finished_event=ended))
        self.fill(node, mark.key)

    def redo_items(self, node: Node, mark: Mark) -> None:
        """Begin those items anew that did not succeed, in an attempt of its own.

        :raises Refused: they cannot be evaluated, or there is another number of them now
        """
        assert mark.items is not None
        if self.host.spread(node, mark.key) != mark.items.total:
            raise Refused(f"with-items: there are not {mark.items.total} items any more; run all of them again")
        items_of = [one for one in self.before.values() if one.key[:2] == mark.key and one.item != st.WHOLE]
        broken = {one.item for one in items_of if one.state in BROKEN and one.item < mark.items.total}
        begun, done = mark.items.begun - len(broken), mark.items.done - len(broken)
        redo = tuple(sorted(broken.union(mark.items.redo)))
        items = replace(mark.items, begun=begun, done=done, failed=0, cancelled=0, redo=redo)
        state = st.next_task_state(mark.state, TaskEvent.START)
        mark = replace(mark, state=state, attempt=mark.attempt + 1, info=None, items=items, started_at=self.now)
        mark = self.save(self.with_deadline(node, mark))
        self.record(EventKind.TASK, mark.state, mark)
        for item in redo:
            self.save(Mark(mark.node, mark.iteration, item))
        self.fill(node, mark.key)

    def fill(self, node: Node, key: Key) -> None:
        """Begin as many items as may be under way, and end the run once all are done."""
        mark = self.mark(key)
        items = mark.items
        assert items is not None
        while items.may_begin:
            item = items.redo[0] if items.redo else items.begun
            mark = self.save(replace(mark, items=replace(items, begun=items.begun + 1, redo=items.redo[1:])))
            self.begin_item(node, key, (*key, item))
            mark = self.mark(key)
            items = mark.items
            assert items is not None
        if items.cancelled or items.done == items.total:
            self.finish_items(node, mark)

    def begin_item(self, node: Node, key: Key, item: Key) -> None:
        """
        :raises Refused: its input cannot be evaluated
        """
        run = self.mark(key)
        if node.workflow and not self.afford(NESTED_STEPS):
            assert run.items is not None
            self.save(replace(run, items=replace(run.items, held=run.items.held + 1)))
            self.hold(self.mark(item), Intent.RUN)
            return
        outcome = self.host.run(node, item)
        new = replace(self.mark(item), state=TaskState.RUNNING, attempt=run.attempt, started_at=self.now)
        if outcome:
            self.end_item(new, self.host.received(node, item, outcome))
            return
        self.save(new)
        self.record(EventKind.TASK, new.state, new)

    def begin_held_item(self, node: Node, mark: Mark, intent: Intent) -> None:
        """Begin an item that was in the backlog, or hand it out again; if its run is over, it counts as not begun."""
        run = self.mark(mark.key[:2])
        assert run.items is not None
        items = replace(run.items, held=run.items.held - 1)
        if run.state is not TaskState.RUNNING:
            items = replace(items, begun=items.begun - 1, redo=tuple(sorted((*items.redo, mark.item))))
        run = self.save(replace(run, items=items))
        if run.state is not TaskState.RUNNING:
            return
        if intent is Intent.RETURN:
            self.hand_out(mark)
        else:
            self.begin_item(node, run.key, mark.key)

    def end_item(self, mark: Mark, outcome: Outcome) -> None:
        """End an item and count it at its run."""
        mark = self.ended(mark, st.TASK_EVENT_OF_OUTCOME[outcome.state], outcome)
        number = self.record(EventKind.TASK, mark.state, mark, info=mark.info)
        self.save(replace(mark, finished_event=number))
        run = self.mark(mark.key[:2])
        assert run.items is not None
        failed, cancelled = mark.state is TaskState.FAILURE, mark.state is TaskState.CANCELLED
        items = run.items
        items = replace(items, done=items.done + 1, failed=items.failed + failed, cancelled=items.cancelled + cancelled)
        self.save(replace(run, items=items))

    def complete_item(self, node: Node, mark: Mark, outcome: Outcome) -> None:
        """End an item; its run may be over already, and be run again."""
        key = mark.key[:2]
        try:
            self.end_item(mark, self.host.received(node, mark.key, outcome))
            if self.mark(key).state is TaskState.RUNNING:
                self.fill(node, key)
        except Refused as refused:
            self.refuse(node, self.mark(key), str(refused))

    def finish_items(self, node: Node, mark: Mark) -> None:
        """Mistral: `engine/tasks.py`, WithItemsTask._get_final_state."""
        items = mark.items
        assert items is not None
        if items.cancelled:
            self.finish(node, mark, Outcome(TaskState.CANCELLED))
            return
        known = (*self.before.values(), *self.marks.values())
        ended = {one.item: one.outcome for one in known if one.key[:2] == mark.key and one.outcome}
        results = self.host.collect(node, mark, ended)
        state = TaskState.FAILURE if items.failed else TaskState.SUCCESS
        self.finish(node, mark, Outcome(state, results, BROKEN_ITEMS if items.failed else None))

    def go_on(self, mark: Mark) -> Mark:
        """Let an attempt be under way again that had ended."""
        state = st.next_task_state(st.next_task_state(mark.state, TaskEvent.RERUN), TaskEvent.START)
        mark = replace(mark, state=state, info=None, outcome=None, reported=None, finished_at=None, finished_event=None)
        self.record(EventKind.TASK, mark.state, mark)
        return self.save(mark)

    def hand_out(self, mark: Mark) -> None:
        """Let an attempt that came back be under way."""
        self.record(EventKind.TASK, mark.state, self.save(mark), info=mark.info)

    # -- its end ------------------------------------------------------------------------------------------------------

    def finish(self, node: Node, mark: Mark, outcome: Outcome) -> None:
        """Take in how an attempt ended; wait-after may hold that up."""
        if mark.due_at is not None:
            mark = self.rouse(mark)
        try:
            if not node.items:
                received = self.host.received(node, mark.key, outcome)
                if received is not outcome:
                    mark, outcome = replace(mark, reported=outcome), received
            wait = 0.0
            if node.policy.wait_after_seconds and not mark.retries and mark.ending is None:
                wait = number(self.host, node, mark.key, "wait-after", node.policy.wait_after_seconds)
        except Refused as refused:
            self.refuse(node, replace(mark, outcome=outcome), str(refused))
            return
        if wait:
            mark = replace(mark, ending=outcome.state, outcome=outcome)
            mark = self.delay(mark, wait, f"Delayed by 'wait-after' policy [delay={wait:g}]")
            self.save(replace(mark, finished_event=self.event_count))
        elif outcome.state is not st.SUCCESS or not self.follow_lead(node, mark, outcome):
            self.end(node, mark, st.TASK_EVENT_OF_OUTCOME[outcome.state], outcome)

    def end(self, node: Node, was: Mark, event: TaskEvent, outcome: Outcome) -> None:
        mark = self.ended(was, event, outcome)
        try:
            self.host.end(node, mark)
            fail_on = node.policy.fail_on
            if fail_on and mark.state is TaskState.SUCCESS and truth(self.host, node, mark.key, "fail-on", fail_on):
                failure = Failure("fail-on", "Failed by 'fail-on' policy")
                outcome = Outcome(TaskState.FAILURE, outcome.result, failure)
                reported = was.reported or mark.outcome
                mark = replace(self.ended(was, TaskEvent.FAIL, outcome), reported=reported)
            retry = node.policy.retry
            if retry and event is not TaskEvent.SKIP and self.wants_retry(node, mark, retry):
                self.try_again(node, was, mark, retry)
                return
        except Refused as refused:
            self.refuse(node, mark, str(refused))
            return
        if not node.policy.keep_result:
            mark = replace(mark, outcome=replace(outcome, result=None), reported=mark.reported or outcome)
        self.live -= 1
        number = self.record(st.TASK, mark.state, mark, info=mark.info)
        self.cancelled += mark.state is st.CANCELLED
        self.later(self.save(replace(mark, finished_event=number)), st.TELL)

    def wants_retry(self, node: Node, mark: Mark, retry: Retry) -> bool:
        """Mistral: `engine/policies.py`, RetryPolicy.after_task_complete.

        :raises Refused: it cannot be evaluated
        """
        if mark.state is TaskState.CANCELLED or self.is_over:
            return False
        count = number(self.host, node, mark.key, "retry count", retry.count, whole=True)
        if not count:
            return False
        goes_on = retry.continue_on is not None and self.host.holds(node, mark.key, retry.continue_on)
        breaks = retry.break_on is not None and self.host.holds(node, mark.key, retry.break_on)
        stops = not goes_on if retry.continue_on is not None else mark.state is TaskState.SUCCESS
        return mark.retries < count and not stops and not (breaks and mark.state is TaskState.FAILURE)

    def try_again(self, node: Node, was: Mark, mark: Mark, retry: Retry) -> None:
        wait = number(self.host, node, mark.key, "retry delay", retry.delay_seconds)
        event = self.record(EventKind.TASK, mark.state, mark, info=mark.info)
        next_state = st.next_task_state(was.state, TaskEvent.DELAY)
        mark = replace(mark, state=next_state, retries=was.retries + 1, finished_at=None, finished_event=event)
        if wait:
            self.delay(mark, wait, f"Delayed by 'retry' policy [delay={wait:g}]")
        else:
            self.live -= 1
            self.later(self.save(replace(mark, info=None)), Intent.RUN)

    def ended(self, mark: Mark, event: TaskEvent, outcome: Outcome, **more: Any) -> Mark:
        info = outcome.failure.message[: st.INFO_LENGTH] if outcome.failure else None
        state = st.next_task_state(mark.state, event)
        return replace(
            mark, state=state, info=info, outcome=outcome, finished_at=self.now, due_at=None, ending=None, asleep=0,
            **more,
        )  # fmt: skip

    def refuse(self, node: Node, mark: Mark, reason: str) -> None:
        """Fail a live run and the execution with it; none of its edges is told."""
        self.live -= 1
        self.fail_both(node, self.rouse(mark), reason)

    def fail_both(self, node: Node, mark: Mark, reason: str) -> None:
        reported = mark.outcome
        result = reported.result if reported else None
        outcome = Outcome(TaskState.FAILURE, result, Failure("expression", reason))
        mark = replace(self.ended(mark, TaskEvent.REFUSE, outcome), reported=mark.reported or reported)
        number = self.record(EventKind.TASK, mark.state, mark, info=mark.info)
        self.save(replace(mark, finished_event=mark.finished_event or number))
        if not self.is_over:
            self.closing(node, mark.key)
            self.give_up(node, f"Task '{node.name}': {reason}")

    def give_up(self, node: Node, reason: str) -> None:
        """Fail the execution."""
        self.change(ExecutionEvent.FAIL, reason)
