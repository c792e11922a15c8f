"""What becomes of a wish to run a task again: which runs may, what has to be known of it, what follows at once."""

from lazyengine import errors
from lazyengine.core import resolve
from lazyengine.core.decision import Errand, Token
from lazyengine.core.graph import Key, Node
from lazyengine.core.state import FINAL_EXECUTION_STATES, RERUNNABLE_TASK_STATES, ExecutionState, Mark, TaskState
from lazyengine.core.values import replace
from lazyengine.db.due import end_leases_again
from lazyengine.db.reruns import count_asleep, offer_again, read_item_marks, read_stalled
from lazyengine.records import Rerun
from lazyengine.reports import find_run
from lazyengine.resolution import STOPPED, Resolution


def run_again(run: Resolution, rerun: Rerun) -> int:
    """Run a task again, or skip it; return the number of the first history row of that.

    :raises LazyEngineError: as `Engine.rerun_task` says
    """
    node, mark = _find(run, rerun)
    _check(run, node, mark, rerun)
    _load(run, node, mark, rerun)
    if run.header.state in FINAL_EXECUTION_STATES:
        _revive(run, None if rerun.skip else mark.key)
    first = run.header.events + 1
    run.follow(
        resolve.rerun(run.slice(), mark.key, run.now, run.flow, reset=rerun.reset, skip=rerun.skip, given=rerun.input)
    )
    return first


def take_back(run: Resolution, key: Key) -> None:
    """Let a run or an item be under way again, as the execution that does its work is; both are known.

    :raises IllegalTransition: it has not failed, or the execution has succeeded
    """
    _load_loop(run, run.nodes[key[0]])
    _count_asleep(run, key[:2])
    if run.header.state in FINAL_EXECUTION_STATES:
        _revive(run, key[:2])
    run.follow(resolve.take_back(run.slice(), key, run.now, run.flow))


def _revive(run: Resolution, key: Key | None) -> None:
    """Let go on what stood still since the execution ended."""
    offer_again(run.store.connection, run.execution_id, key, run.now)
    end_leases_again(run.store.connection, run.execution_id, run.now)
    stalled = read_stalled(run.store.connection, run.execution_id)
    run.marks = stalled | run.marks
    run.load_nodes(key[0] for key in stalled)
    run.follow(resolve.revive(run.slice(), stalled, run.now))


def _find(run: Resolution, rerun: Rerun) -> tuple[Node, Mark]:
    node = run.store.node_named(run.identity.graph_id, rerun.task)
    mark = find_run(run, node, rerun.iteration)[0] if node else None
    if node is None or mark is None:
        raise errors.TaskNotFound.of(run.execution_id, rerun.task, rerun.iteration)
    return node, mark


def _check(run: Resolution, node: Node, mark: Mark, rerun: Rerun) -> None:
    """Mistral: `api/controllers/v2/task.py`, put; `engine/workflows.py`, rerun; `workflow/states.py`."""
    state = run.header.state
    where = {"execution_id": run.execution_id, "task": node.name, "state": mark.state}
    if state is ExecutionState.SUCCESS:
        raise errors.ExecutionSucceeded(execution_id=run.execution_id)
    if state in STOPPED:
        raise errors.ExecutionSuspended(execution_id=run.execution_id, state=state)
    if rerun.skip and mark.state is not TaskState.FAILURE:
        raise errors.TaskNotFailed(wanted="one that is FAILURE", done="skipped", **where)
    if mark.state not in RERUNNABLE_TASK_STATES:
        raise errors.TaskNotFailed(wanted="one that is FAILURE or CANCELLED", done="run again", **where)
    if node.join is not None and mark.live < node.join and not rerun.skip:
        raise errors.TaskBlocked(info=mark.info, **where)
    if node.items and rerun.input is not None:
        raise errors.TaskInputOfItems(**where)


def _load(run: Resolution, node: Node, mark: Mark, rerun: Rerun) -> None:
    run.load_run(node)
    _load_loop(run, node)
    if mark.items and not rerun.reset:
        end_leases_again(run.store.connection, run.execution_id, run.now, mark.key)
        run.marks |= read_item_marks(run.store.connection, run.execution_id, mark.key)
        _count_asleep(run, mark.key)


def _count_asleep(run: Resolution, key: Key) -> None:
    """Count anew which executions sleep that do the work of items of a run: nobody did while it was over."""
    mark = run.marks[key]
    if mark.items and mark.state in RERUNNABLE_TASK_STATES:
        run.marks[key] = replace(mark, asleep=count_asleep(run.store.connection, run.execution_id, key))


def _load_loop(run: Resolution, node: Node) -> None:
    if node.loop is not None:
        run.load_loops([Token(node.id, 0, errand=Errand.REST)], {node.loop})
