"""What becomes of an answer about a task: taken in, answered again, or refused with a reason."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from lazyengine import errors
from lazyengine.core import resolve
from lazyengine.core.attempt import Verdict, weigh
from lazyengine.core.graph import Node
from lazyengine.core.state import FINAL_EXECUTION_STATES, TIMED_OUT, ExecutionState, Mark, Outcome, TaskState
from lazyengine.core.values import replace
from lazyengine.db.due import beat as write_beat
from lazyengine.db.rows import mark_of, outcome_digest, task_of
from lazyengine.db.store import Outline, Store
from lazyengine.records import ExecutionStatus, Heartbeat, Report, Reported
from lazyengine.resolution import Resolution

LATE = frozenset({Verdict.STALE, Verdict.DEADLINE_PASSED, Verdict.TOO_LATE})
"""What is refused and kept in the history."""

Answer = Callable[[ExecutionStatus], Reported]
"""The answer to a report, once the transaction has ended and it is known how the execution stands."""


def read_ahead(run: Resolution, reports: Sequence[Report]) -> None:
    """Make known what many reports are of, and what they lead to, in four statements and not four for each."""
    nodes = run.store.nodes_named(run.identity.graph_id, [report.task for report in reports])
    reached = {edge.to for node in nodes for edge in node.edges if isinstance(edge.to, int)}
    run.store.read_ahead(run.execution_id, [node.id for node in nodes])
    run.load_nodes({node.id for node in nodes} | reached)
    run.load_marks(id for id in reached if run.nodes[id].counts)


def report_outcome(run: Resolution, report: Report) -> Answer | errors.LazyEngineError:
    """Take in one report; what is refused is returned, not raised, as the transaction goes on."""
    if report.execution_created_at not in (None, run.identity.created_at):
        return errors.CallbackOutlived(execution_id=run.execution_id)
    node = run.store.node_named(run.identity.graph_id, report.task)
    if node is None:
        return errors.TaskNotFound.of(run.execution_id, report.task)
    run.load_run(node)
    whole, whole_row = mark, row = find_run(run, node, report.iteration)
    if whole is not None and report.item is not None:
        mark, row = _find_item(run, whole, report.item)
    if mark is None or whole is None:
        return errors.TaskNotFound.of(run.execution_id, report.task, report.iteration, report.item)
    if node.workflow:
        return _runs_workflow(run.execution_id, node, row)
    if node.items and report.item is None and mark.items and report.outcome.state is not TaskState.CANCELLED:
        return errors.TaskHasItems(execution_id=run.execution_id, task=node.name)
    expires = _expires(whole, run.now)
    overdue = expires or _same(whole, whole_row, TIMED_OUT)
    verdict = weigh(run.header.state, mark, report.attempt, _same(mark, row, report.outcome), overdue)
    key = mark.key
    if verdict is Verdict.REPEATED:
        return _answer(run, node, mark, row, report, mark.finished_event, replayed=True)
    if verdict is Verdict.ACCEPTED:
        if mark.state is TaskState.ASKING:
            run.load_region(node)
        decision = resolve.complete(run.slice(), key, report.outcome, run.now, run.flow)
        run.follow(decision)
        return _answer(run, node, run.marks[key], row, report, decision.marks[key].finished_event, replayed=False)
    meant = replace(mark, attempt=report.attempt or mark.attempt)
    if verdict is Verdict.DEADLINE_PASSED and expires:
        run.follow(resolve.wake(run.slice(), whole.key, run.now, run.flow))
    if verdict in LATE and not run.store.has_kept_late(run.execution_id, meant, report.outcome):
        run.follow(resolve.keep_late(run.header, meant, report.outcome, run.now))
    return refusal(verdict, run.execution_id, run.header.state, node, mark, report.attempt)


def find_run(run: Resolution, node: Node, iteration: int | None) -> tuple[Mark | None, Any]:
    """Return the mark that is meant, as this transaction left it so far, and its row as it was before."""
    rows = run.store.runs_of(run.execution_id, node.id, iteration)
    for row in rows.values():
        run.marks.setdefault((node.id, row.iteration), mark_of(row))
    if iteration is None:
        tally = run.marks.get((node.id, 1), Mark(node.id))
        iteration = max(tally.runs, 1)
        if iteration > 1 and (node.id, iteration) not in run.marks:  # newer ones wait at a join in a loop
            return find_run(run, node, iteration)
    mark = run.marks.get((node.id, iteration))
    if mark is None and iteration == 1:
        mark = Mark(node.id)
    return mark, rows.get(iteration)


def _find_item(run: Resolution, whole: Mark, item: int) -> tuple[Mark | None, Any]:
    """Return the mark of an item, as it stands, and its row."""
    key = (*whole.key, item)
    row = run.store.item_mark(run.execution_id, key) if whole.has_item(item) else None
    if row is not None:
        run.marks.setdefault(key, mark_of(row))
    mark = run.marks.get(key) if whole.has_item(item) else None
    return _standing(mark, whole) if mark is not None else None, row


def _standing(mark: Mark, whole: Mark) -> Mark:
    """Return an item as it stands: one whose run is over is over too."""
    is_over = mark.state is TaskState.RUNNING and whole.state is not TaskState.RUNNING
    return replace(mark, state=whole.state) if is_over else mark


def _same(mark: Mark, row: Any, outcome: Outcome) -> bool:
    if mark.outcome is not None:  # ended earlier in this transaction
        return outcome_digest(mark.reported or mark.outcome) == outcome_digest(outcome)
    known = None if row is None else row.outcome_digest
    return known is not None and known == outcome_digest(outcome)


def _expires(whole: Mark, now: datetime) -> bool:
    """Tell whether the deadline of a run has passed, and nobody has noticed yet."""
    return whole.state is TaskState.RUNNING and whole.deadline_at is not None and whole.deadline_at <= now


def _answer(
    run: Resolution, node: Node, mark: Mark, row: Any, report: Report, number: int | None, replayed: bool
) -> Answer:
    """
    :param number: of the history row that says that it ended; by now it may run again
    """
    assert number is not None
    scheduled = run.handed_out_after(number)
    data = run.flow.data_of(node, mark)

    def told(status: ExecutionStatus) -> Reported:
        task = task_of(run.execution_id, node, mark, row, mark.outcome or report.outcome, data)
        return Reported(replace(task, execution_created_at=run.identity.created_at), status, scheduled, replayed)

    return told


def beat(store: Store, execution_id: str, outline: Outline, heartbeat: Heartbeat, now: datetime) -> Reported:
    """Extend the lease of a task that is worked on, if the attempt is still the current one once that is written.

    :raises LazyEngineError: as `refusal` says
    """
    if heartbeat.execution_created_at not in (None, outline.created_at):
        raise errors.CallbackOutlived(execution_id=execution_id)
    node, state = store.node_named(outline.graph_id, heartbeat.task), outline.state
    if node is None:
        raise errors.TaskNotFound.of(execution_id, heartbeat.task, heartbeat.iteration, heartbeat.item)
    if node.workflow:
        raise _runs_workflow(execution_id, node, _beating(store, execution_id, node, heartbeat, now)[1])
    mark = _check_beat(store, execution_id, state, node, heartbeat, now)[0]
    over = state in FINAL_EXECUTION_STATES
    seconds = heartbeat.lease_seconds
    until = None if seconds is None or over else now + timedelta(seconds=seconds)
    write_beat(store.connection, execution_id, mark, heartbeat.progress, until)
    heartbeat = replace(heartbeat, iteration=mark.iteration, attempt=heartbeat.attempt or mark.attempt)
    mark, row = _check_beat(store, execution_id, state, node, heartbeat, now)
    status = ExecutionStatus(execution_id, state, store.output(execution_id) if over else None)
    task = replace(task_of(execution_id, node, mark, row), execution_created_at=outline.created_at)
    return Reported(task, status, cancel_requested=over)


def _check_beat(
    store: Store, execution_id: str, state: ExecutionState, node: Node, heartbeat: Heartbeat, now: datetime
) -> tuple[Mark, Any]:
    """Return the mark of the attempt that is worked on, and its row; it may have been taken back meanwhile."""
    mark, row, overdue = _beating(store, execution_id, node, heartbeat, now)
    verdict = weigh(state, mark, heartbeat.attempt, same=False, overdue=overdue)
    if verdict not in (Verdict.ACCEPTED, Verdict.TOO_LATE):
        raise refusal(verdict, execution_id, state, node, mark, heartbeat.attempt)
    return mark, row


def _beating(
    store: Store, execution_id: str, node: Node, heartbeat: Heartbeat, now: datetime
) -> tuple[Mark, Any, bool]:
    """Return the mark that a heartbeat is of, its row, and whether the deadline of its run has passed.

    :raises TaskNotFound: there is no such run or item
    """
    rows = store.runs_of(execution_id, node.id, heartbeat.iteration)
    iteration = heartbeat.iteration or (rows[1].runs if 1 in rows else 1) or 1
    row = whole_row = rows.get(iteration)
    if heartbeat.item is not None:
        row = store.item_mark(execution_id, (node.id, iteration, heartbeat.item))
    if row is None and (iteration != 1 or heartbeat.item is not None):
        raise errors.TaskNotFound.of(execution_id, heartbeat.task, heartbeat.iteration, heartbeat.item)
    whole = mark_of(whole_row) if whole_row is not None else Mark(node.id)
    mark = _standing(mark_of(row), whole) if row is not None else whole
    return mark, row, _expires(whole, now) or _same(whole, whole_row, TIMED_OUT)


def _runs_workflow(execution_id: str, node: Node, row: Any) -> errors.LazyEngineError:
    child = row.child_id if row is not None and row.child_id else "(one or several)"
    return errors.TaskRunsWorkflow(execution_id=execution_id, task=node.name, child=child)


def refusal(
    verdict: Verdict, execution_id: str, state: ExecutionState, node: Node, mark: Mark, attempt: int | None
) -> errors.LazyEngineError:
    """Say why an answer is refused."""
    facts = {"execution_id": execution_id, "task": node.name, "state": mark.state}
    if verdict is Verdict.NOT_RUNNING:
        waits = {"state": "to be handed out again"} if mark.intent else {}
        return errors.TaskNotRunning(**facts | waits)
    if verdict is Verdict.STALE:
        return errors.TaskStaleAttempt(current=mark.attempt, attempt=attempt, **facts)
    if verdict is Verdict.DEADLINE_PASSED:
        return errors.TaskDeadlinePassed(**facts)
    if verdict is Verdict.TOO_LATE:
        return errors.ExecutionFinished(execution_id=execution_id, state=state)
    return errors.TaskAlreadyCompleted(**facts)
