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
5. Nodes that can reach each other form a loop, which settles as one: its runs are counted at its first node, and when
   none is left and all links into it are settled, its links to the outside are.  In a loop, a join runs again, as a new
   iteration, each time that as many of its links as it joins have brought a token that no run of it has used; the run
   uses up one token of each of them.  When nothing in the loop can run any more, a join there that holds unused tokens
   fails if it joins all or never ran.
6. Tokens travel in waves.  `arrive` takes one wave and the slice of the graph that it reaches and gives the next; the
   caller loops until no wave is left.  So a decision reads and writes one node and those it leads to.
7. Pure actions end as they start, within the same wave, as long as `budget` lasts.  What does not fit, and what ends
   while the execution is suspended, goes to the backlog; `unfold` carries on with it.
8. A run that failed can run again: the dead verdicts that its end has come to are withdrawn, and so is what they have
   come to; a join that it chose hears of it once.  A node that can run only once and that it starts a second time runs
   again in the same way, as a new attempt; one that is still under way is not started again.
9. The first fail or succeed wins (Mistral: `engine/dispatcher.py`, `_process_commands`).  Tokens told before it still
   start their tasks, but no join (Mistral: `engine/task_handler.py`, `_refresh_task_state`); nothing is told after it.

What happens inside one run is in `running` and `timing`; the steps of the above are in `telling` and `reopening`; the
way back is in `revert`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from lazyengine.core import state as st
from lazyengine.core.books import UNBOUNDED, Books
from lazyengine.core.decision import Decision, Errand, Slice, Token
from lazyengine.core.graph import Key
from lazyengine.core.host import Host, Refused
from lazyengine.core.revert import Reverting
from lazyengine.core.state import (
    ATTEMPTED_TASK_STATES,
    WHOLE,
    EventKind,
    ExecutionEvent,
    ExecutionState,
    Header,
    Mark,
    Outcome,
    TaskEvent,
    TaskState,
)
from lazyengine.core.values import replace

ORDER = {
    errand: place
    for place, errand in enumerate(
        (
            Errand.WITHDRAW, Errand.RENEW, Errand.IGNORE, Errand.VERDICT, Errand.UNDONE, Errand.REST,
            Errand.ASK, Errand.OPEN, Errand.RETRY,
        )
    )
}  # fmt: skip
OF_REGIONS = frozenset({Errand.OPEN, Errand.RETRY})
"""The last of all: each waits until no other token is on its way, so what it finds in its region is what there is."""


def begin(header: Header, roots: Iterable[int], now: datetime) -> Decision:
    """Start an execution: a live token for each root, and the first history row."""
    books = Books(Slice(header, {}, {}), now)
    books.generation += 1
    books.record(EventKind.EXECUTION, books.state)
    books.wave += [Token(root, 1) for root in roots]
    return books.decide()


def complete(
    slice: Slice, key: Key, outcome: Outcome, now: datetime, host: Host | None = None, budget: int = UNBOUNDED
) -> Decision:
    """End the run or the item `key` with `outcome`, and tell its edges, or keep them while the execution is suspended.

    Where it is being reverted, or is asked about, that ends.

    The slice needs the node, the marks of the run, of the item and of iteration 1, and that of its loop's first node;
    for a controller that is asked, its region.
    Cost: 1 + out-degree; for the answer of a controller what has happened in its region.

    :raises IllegalTransition: nothing is under way
    """
    work = Reverting(slice, now, host, budget)
    work.generation += 1
    node, mark = slice.nodes[key[0]], slice.marks[key]
    if mark.state is st.RUNNING:
        if mark.item == WHOLE:
            work.finish(node, mark, outcome)
        else:
            work.complete_item(node, mark, outcome)
    elif mark.state is TaskState.REVERTING:
        work.end_revert(node, mark, outcome)
    elif mark.state is TaskState.DECIDING:
        work.decided(node, mark, outcome)
    elif mark.state is TaskState.ASKING:
        work.answered(node, mark, outcome)
    else:
        raise st.IllegalTransition(f"a task that is {mark.state} cannot be completed")
    return work.decide()


def arrive(
    slice: Slice, wave: Iterable[Token], now: datetime, host: Host | None = None, budget: int = UNBOUNDED
) -> Decision:
    """Let a wave of tokens reach its nodes; `budget` is how many ends (of pure actions, of dead nodes) may be told.

    The slice needs every node that the wave reaches and its mark of iteration 1; for a join in a loop its runs that
    wait; for a look at a loop its joins, and the sources of its exits; for OPEN and RETRY what `Slice` says.
    Cost: the wave and its out-edges; for OPEN and RETRY what has run in the region.
    """
    work = Reverting(slice, now, host, budget)
    tokens = list(wave)
    if 0 in [token.live for token in tokens]:  # live verdicts are in order, and most waves are nothing else
        tokens.sort(key=_place)
        ready = sum([token.errand not in OF_REGIONS for token in tokens]) or 1
        work.wave += tokens[ready:]
        del tokens[ready:]
    work.arrive(tokens)
    return work.decide()


def _place(token: Token) -> float:
    return ORDER[token.errand] + (0 if token.live else 0.5)


def unfold(
    slice: Slice, keys: Iterable[Key], now: datetime, host: Host | None = None, budget: int = UNBOUNDED
) -> Decision:
    """Carry on with marks of the backlog, in the given order; each is a step, or an execution that is started.

    Stops where a command ends or suspends the execution, and where the budget does.  The slice is that of `complete`.
    """
    work = Reverting(slice, now, host, budget)
    work.generation += 1
    for key in keys:
        if not work.is_running() or work.budget <= 0:
            break
        work.unfold(work.mark(key))
    return work.decide()


def wake(slice: Slice, key: Key, now: datetime, host: Host | None = None) -> Decision:
    """Do what it is time for at the run `key`: begin it, end it, or let it fail at its deadline.

    The slice is that of `complete`; a mark that waits to take its end comes with its outcome.
    """
    work = Reverting(slice, now, host)
    work.generation += 1
    work.wake(slice.nodes[key[0]], slice.marks[key])
    return work.decide()


def lapse(slice: Slice, key: Key, now: datetime, host: Host | None = None) -> Decision:
    """Take the attempt of a run, an item or a revert back from a worker whose lease has run out.

    It is made again under the next number, or fails where the task says that this is not safe; what nobody waits for is
    left alone.  The slice is that of `complete`.
    """
    work = Reverting(slice, now, host)
    node, mark, run = slice.nodes[key[0]], slice.marks[key], slice.marks[key[:2]]
    if work.is_over or mark.state not in ATTEMPTED_TASK_STATES or run.state not in ATTEMPTED_TASK_STATES:
        return work.decide()
    work.generation += 1
    work.lapse(node, mark)
    return work.decide()


def rerun(
    slice: Slice,
    key: Key,
    now: datetime,
    host: Host | None = None,
    reset: bool = True,
    skip: bool = False,
    given: Mapping[str, Any] | None = None,
) -> Decision:
    """Run a run again that failed, or pass over it, and go on from there (Mistral: `engine/workflows.py`, rerun).

    The slice is that of `complete`; without `reset`, it holds the marks of items that failed.

    :param given: parameters in the place of those of the task that have the same names
    :raises IllegalTransition: the execution, or the run, did not fail
    """
    work = Reverting(slice, now, host)
    work.generation += 1
    node, mark = slice.nodes[key[0]], slice.marks[key]
    if mark.state not in st.RERUNNABLE_TASK_STATES:
        raise st.IllegalTransition(f"a task that is {mark.state} cannot be run again")
    if work.is_over:
        work.change(ExecutionEvent.RERUN, None)
    mark = work.reopen(node, mark)
    work.live += 1
    if skip:
        work.end(node, mark, TaskEvent.SKIP, Outcome(TaskState.SKIPPED))
        return work.decide()
    mark = work.renew(mark, given or {})
    try:
        if reset or mark.items is None:
            work.take_turn(node, mark)
        else:
            work.redo_items(node, mark)
    except Refused as refused:
        work.refuse(node, work.mark(key), str(refused))
    return work.decide()


def take_back(slice: Slice, key: Key, now: datetime, host: Host | None = None) -> Decision:
    """Let a run or an item be under way again: the execution that does its work had ended, and goes on after all.

    The slice is that of `rerun`, and the mark of the item.  Source: Mistral's `engine/workflows.py`, _recursive_rerun.

    :raises IllegalTransition: it did not fail, or the execution has succeeded
    """
    work = Reverting(slice, now, host)
    work.generation += 1
    node, run = slice.nodes[key[0]], slice.marks[key[:2]]
    if work.is_over:
        work.change(ExecutionEvent.RERUN, None)
    if run.state in st.RERUNNABLE_TASK_STATES:
        run = work.go_on(work.reopen(node, run))
        work.live += 1
    if run.items and len(key) > 2:
        item, items = slice.marks[key], run.items
        failed, cancelled = item.state is TaskState.FAILURE, item.state is TaskState.CANCELLED
        work.go_on(item)
        items = replace(items, done=items.done - 1, failed=items.failed - failed, cancelled=items.cancelled - cancelled)
        work.save(replace(run, items=items))
    return work.decide()


def revive(slice: Slice, keys: Iterable[Key], now: datetime) -> Decision:
    """Let runs go on that were delayed and whose time has come while the execution was over."""
    books = Books(slice, now)
    for key in keys:
        books.save(replace(books.mark(key), due_at=now))
    return books.decide()


def settle(header: Header, now: datetime) -> Decision:
    """Close the books when no wave is left: is the execution over, or has it come to rest?

    A cancelled task outranks a failed one (Mistral: `engine/workflows.py`, `check_and_complete`).
    """
    step = _last_step(header)
    if step is None:
        return Decision(header)
    books = Books(Slice(header, {}, {}), now)
    books.change(*step)
    return books.decide()


def _last_step(header: Header) -> tuple[ExecutionEvent, str | None] | None:
    if header.live > header.asleep:  # somebody works
        return None
    if header.broken and not header.live and header.state not in st.FINAL_EXECUTION_STATES:
        return ExecutionEvent.FAIL, header.cause
    if header.live == header.asleep and header.state is ExecutionState.SUSPENDING:
        return ExecutionEvent.DRAIN, header.info
    if header.live or header.backlog or header.state is not ExecutionState.RUNNING:
        return None
    if header.cancelled:
        return ExecutionEvent.CANCEL, f"Tasks that were cancelled: {header.cancelled}"
    if header.unhandled:
        return ExecutionEvent.FAIL, header.cause
    if header.reverted:
        return ExecutionEvent.REVERT, header.cause
    return ExecutionEvent.SUCCEED, None


def steer(header: Header, event: ExecutionEvent, info: str | None, now: datetime) -> Decision:
    """Suspend, resume or cancel from outside.

    :raises IllegalTransition: the execution cannot do that in its state
    """
    books = Books(Slice(header, {}, {}), now)
    books.generation += 1
    books.change(event, info)
    return books.decide()


def doze(slice: Slice, key: Key, executions: int, now: datetime) -> Decision:
    """Count executions that do the work of a run or an item and were suspended (1), or go on (-1).

    The slice needs the mark of the run.
    """
    books = Books(slice, now)
    books.generation += 1
    run = books.mark(key[:2])
    books.save(replace(run, asleep=run.asleep + executions))
    return books.decide()


def keep_late(header: Header, mark: Mark, outcome: Outcome, now: datetime) -> Decision:
    """Keep an answer that came too late in the history; nothing else changes."""
    books = Books(Slice(header, {}, {}), now)
    books.generation += 1
    books.record(EventKind.LATE_RESULT, outcome.state, mark, late=outcome)
    return books.decide()
