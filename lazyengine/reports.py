"""What becomes of an answer about a task: taken in, answered again, or refused with a reason."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from lazyengine import errors
from lazyengine.core import resolve
from lazyengine.core.attempt import Verdict, weigh
from lazyengine.core.graph import Node
from lazyengine.core.state import FINAL_EXECUTION_STATES, WHOLE, ExecutionState, Mark, TaskState
from lazyengine.db.rows import mark_of, outcome_digest, task_of
from lazyengine.db.store import Store
from lazyengine.records import ExecutionStatus, Heartbeat, Report, Reported
from lazyengine.resolution import Resolution

Answer = Callable[[ExecutionStatus], Reported]
"""The answer to a report, once it is known how the execution stands at the end of the transaction."""


def report_outcome(run: Resolution, report: Report) -> Answer | errors.LazyEngineError:
    """Take in one report; what is refused is returned, not raised, as the transaction goes on."""
    node = run.store.node_named(run.identity.graph_id, report.task)
    if node is None:
        return errors.TaskNotFound.of(run.execution_id, report.task)
    run.load_run(node)
    mark, row = find_run(run, node, report.iteration)
    if mark is not None and report.item is not None:
        mark, row = _find_item(run, mark, report.item)
    if mark is None:
        return errors.TaskNotFound.of(run.execution_id, report.task, report.iteration, report.item)
    if node.workflow:
        return _runs_workflow(run.execution_id, node, row)
    if node.items and report.item is None and mark.items and report.outcome.state is not TaskState.CANCELLED:
        return errors.TaskHasItems(execution_id=run.execution_id, task=node.name)
    verdict = weigh(run.header.state, mark, report.attempt, _same(mark, row, report))
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
    late = verdict in (Verdict.STALE, Verdict.TOO_LATE)
    if late and not run.store.has_kept_late(run.execution_id, meant, report.outcome):
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
    """Return the mark of an item; one whose run is over is over too."""
    key = (*whole.key, item)
    row = run.store.item_mark(run.execution_id, key) if whole.has_item(item) else None
    if row is not None:
        run.marks.setdefault(key, mark_of(row))
    mark = run.marks.get(key) if whole.has_item(item) else None
    if mark is not None and mark.state is TaskState.RUNNING and whole.state is not TaskState.RUNNING:
        mark = replace(mark, state=whole.state)
    return mark, row


def _same(mark: Mark, row: Any, report: Report) -> bool:
    if mark.outcome is not None:  # ended earlier in this transaction
        return outcome_digest(mark.reported or mark.outcome) == outcome_digest(report.outcome)
    return row is not None and row.outcome_digest == outcome_digest(report.outcome)


def _answer(
    run: Resolution, node: Node, mark: Mark, row: Any, report: Report, number: int | None, replayed: bool
) -> Answer:
    """
    :param number: of the history row that says that it ended; by now it may run again
    """
    assert number is not None
    scheduled = run.handed_out_after(number)
    task = task_of(run.execution_id, node, mark, row, mark.outcome or report.outcome, run.flow.data_of(node, mark))
    return lambda status: Reported(task, status, scheduled, replayed)


def beat(
    store: Store, execution_id: str, graph_id: int, state: ExecutionState, heartbeat: Heartbeat, now: datetime
) -> Reported:
    """Extend the lease of a task that is worked on.

    :raises LazyEngineError: as `refusal` says
    """
    node = store.node_named(graph_id, heartbeat.task)
    rows = store.runs_of(execution_id, node.id, heartbeat.iteration) if node else {}
    iteration = heartbeat.iteration or (rows[1].runs if 1 in rows else 1) or 1
    if node is not None and heartbeat.item is not None:
        row = store.item_mark(execution_id, (node.id, iteration, heartbeat.item))
    else:
        row = rows.get(iteration)
    if node is None or (row is None and (heartbeat.iteration not in (None, 1) or heartbeat.item is not None)):
        raise errors.TaskNotFound.of(execution_id, heartbeat.task, heartbeat.iteration, heartbeat.item)
    if node.workflow:
        raise _runs_workflow(execution_id, node, row)
    mark = mark_of(row) if row is not None else Mark(node.id)
    verdict = weigh(state, mark, heartbeat.attempt, same=False)
    if verdict not in (Verdict.ACCEPTED, Verdict.TOO_LATE):
        raise refusal(verdict, execution_id, state, node, mark, heartbeat.attempt)
    over = state in FINAL_EXECUTION_STATES
    seconds = heartbeat.lease_seconds
    until = None if seconds is None or over else now + timedelta(seconds=seconds)
    store.beat(execution_id, mark, heartbeat.progress, until)
    if mark.item == WHOLE:
        row = store.runs_of(execution_id, node.id, mark.iteration)[mark.iteration]
    else:
        row = store.item_mark(execution_id, mark.key)
    assert row is not None
    status = ExecutionStatus(execution_id, state, store.output(execution_id) if over else None)
    return Reported(task_of(execution_id, node, mark_of(row), row), status, cancel_requested=over)


def _runs_workflow(execution_id: str, node: Node, row: Any) -> errors.LazyEngineError:
    child = row.child_id if row is not None and row.child_id else "(one or several)"
    return errors.TaskRunsWorkflow(execution_id=execution_id, task=node.name, child=child)


def refusal(
    verdict: Verdict, execution_id: str, state: ExecutionState, node: Node, mark: Mark, attempt: int | None
) -> errors.LazyEngineError:
    """Say why an answer is refused."""
    facts = {"execution_id": execution_id, "task": node.name, "state": mark.state}
    if verdict is Verdict.NOT_RUNNING:
        return errors.TaskNotRunning(**facts)
    if verdict is Verdict.STALE:
        return errors.TaskStaleAttempt(current=mark.attempt, attempt=attempt, **facts)
    if verdict is Verdict.TOO_LATE:
        return errors.ExecutionFinished(execution_id=execution_id, state=state)
    return errors.TaskAlreadyCompleted(**facts)
