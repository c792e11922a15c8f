"""A decision in the making: the header's counters, the marks touched so far, the tokens and the history to come."""

from datetime import datetime, timedelta

from lazyengine.core import state as st
from lazyengine.core.decision import Decision, Slice, Token
from lazyengine.core.graph import Key
from lazyengine.core.host import Host
from lazyengine.core.state import (
    Event,
    EventKind,
    ExecutionEvent,
    Header,
    Intent,
    LoopTally,
    Mark,
    Outcome,
    TaskEvent,
)
from lazyengine.core.values import replace

UNBOUNDED = 1 << 62
HOST = Host()
_row = tuple.__new__
"""What makes a named tuple of all its fields; its class takes 0.2 microseconds more for a header."""


class Books:
    """
    :param budget: how many ends (of pure actions, of dead nodes) may be told
    :ivar sent: errands that were sent along all edges of a node
    :ivar is_restless: a mark was saved that may sleep; most decisions have none, and need not look at each
    """

    is_restless = False

    def __init__(self, slice: Slice, now: datetime, host: Host | None = None, budget: int = UNBOUNDED) -> None:
        header, self.nodes, self.before = slice
        self.now, self.host, self.budget, self.steps = now, host or HOST, budget, 0
        (
            self.state, self.live, self.asleep, self.backlog, self.held, self.unhandled, self.cancelled, self.ignored,
            self.reverted, self.broken, self.info, self.cause, self.generation, self.event_count,
        ) = header  # in the order of its fields, as below  # fmt: skip
        self.marks: dict[Key, Mark] = {}
        self.wave: list[Token] = []
        self.events: list[Event] = []
        self.sent: set[Token] = set()

    def decide(self) -> Decision:
        asleep = self.asleep
        if self.is_restless:
            asleep += sum(mark.sleeps for mark in self.marks.values())
        if self.asleep:
            asleep -= sum(was.sleeps for key in self.marks if (was := self.before.get(key)))
        header = _row(Header, (
            self.state, self.live, asleep, self.backlog, self.held, self.unhandled, self.cancelled, self.ignored,
            self.reverted, self.broken, self.info, self.cause, self.generation, self.event_count,
        ))  # fmt: skip
        return _row(Decision, (header, self.marks, tuple(self.wave), tuple(self.events), self.steps))

    @property
    def is_over(self) -> bool:
        return self.state in st.FINAL_EXECUTION_STATES

    def mark(self, key: Key) -> Mark:
        return self.marks.get(key) or self.before.get(key) or Mark.untouched(*key)

    def save(self, mark: Mark) -> Mark:
        item = mark.item
        self.marks[(mark.node, mark.iteration) if item == st.WHOLE else (mark.node, mark.iteration, item)] = mark
        if mark.due_at is not None or mark.asleep or mark.items:
            self.is_restless = True
        return mark

    def record(
        self,
        kind: EventKind,
        state: str,
        mark: Mark | None = None,
        info: str | None = None,
        late: Outcome | None = None,
    ) -> int:
        number = self.event_count = self.event_count + 1
        if mark is None:
            event = Event(number, self.generation, self.now, kind, state, info=info)
        else:
            item = None if mark.item == st.WHOLE else mark.item
            event = _row(Event, (
                number, self.generation, self.now, kind, state, mark.node, mark.iteration, item, mark.attempt, info,
                late,
            ))  # fmt: skip
        self.events.append(event)
        return number

    def change(self, event: ExecutionEvent, info: str | None) -> None:
        self.state = st.next_execution_state(self.state, event)
        self.info = info and info[: st.INFO_LENGTH]
        self.record(EventKind.EXECUTION, self.state, info=self.info)

    def afford(self, steps: int = 1) -> bool:
        """Take something from the budget, unless it is used up."""
        if self.budget <= 0:
            return False
        self.budget -= steps
        self.steps += steps
        return True

    # -- what waits ---------------------------------------------------------------------------------------------------

    def hold(self, mark: Mark, intent: Intent, place: int | None = None) -> None:
        """Put a mark into the backlog, at its end unless it had a place there."""
        if place is None:
            place = self.held = self.held + 1
        self.backlog += 1
        self.save(replace(mark, intent=intent, place=place))

    def release(self, mark: Mark) -> Mark:
        """Take a mark out of the backlog."""
        self.backlog -= 1
        return self.save(replace(mark, intent=None, place=None))

    def delay(self, mark: Mark, seconds: float, info: str) -> Mark:
        """Let a run that is live wait for a time."""
        state = st.next_task_state(mark.state, TaskEvent.DELAY)
        mark = self.save(replace(mark, state=state, info=info, due_at=self.now + timedelta(seconds=seconds)))
        self.record(EventKind.TASK, mark.state, mark, info=info)
        return mark

    def rouse(self, mark: Mark) -> Mark:
        """Let a run wait no longer."""
        return mark if mark.due_at is None else self.save(replace(mark, due_at=None))

    # -- loops --------------------------------------------------------------------------------------------------------

    def loop_tally(self, loop: int) -> LoopTally:
        return self.mark((loop, 1)).loop or LoopTally()

    def count_loop(self, loop: int | None, live: int = 0, dead: int = 0) -> None:
        """Count runs that began or ended in a loop, and links into it that have settled."""
        if loop is not None and (live or dead):
            tally = self.loop_tally(loop)
            tally = replace(tally, live=tally.live + live, dead=tally.dead + dead)
            self.save(replace(self.mark((loop, 1)), loop=tally))

    def is_running(self) -> bool:
        return self.state is st.RUNS and not self.broken
