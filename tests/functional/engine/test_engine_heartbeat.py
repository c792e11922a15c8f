"""Heartbeats: progress and lease, no history; what tells a worker to stop."""

from datetime import timedelta

import pytest
from driving import (
    DIAMOND,
    OWNER,
    PAIR,
    STRANGER,
    TWICE,
    Clock,
    claim,
    done,
    failure,
    history,
    started,
    success,
)  # fmt: skip

from lazyengine import errors
from lazyengine.core.state import ExecutionState
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Heartbeat


def test_progress_and_lease(timed: Engine, clock: Clock, database: Database) -> None:
    """Each is written where it is given and left where it is not; the history and the generation stay."""
    id = started(timed, PAIR)
    claim(timed, "w1", lease_seconds=60)
    before = history(database, id), timed.get_execution(OWNER, id)
    clock.advance(30)
    answer = timed.heartbeat(OWNER, id, Heartbeat("a", progress=0.25))
    assert (answer.task.progress, answer.task.lease_expires_at) == (0.25, clock.now + timedelta(seconds=30))
    answer = timed.heartbeat(OWNER, id, Heartbeat("a", attempt=1, lease_seconds=90.5))
    assert (answer.task.progress, answer.task.lease_expires_at) == (0.25, clock.now + timedelta(seconds=90.5))
    assert (answer.scheduled, answer.replayed, answer.cancel_requested) == ((), False, False)
    assert (answer.execution.state, answer.task.claimed_by) == ("RUNNING", "w1")
    assert timed.heartbeat(OWNER, id, Heartbeat("a")).task == answer.task
    assert timed.get_task(OWNER, id, "a") == answer.task
    assert (history(database, id), timed.get_execution(OWNER, id)) == before


def test_an_unclaimed_task_may_beat(engine: Engine) -> None:
    """Whoever got it by `scheduled` works on it without a claim; it stays on offer."""
    id = started(engine, PAIR)
    assert engine.heartbeat(OWNER, id, Heartbeat("a", progress=1.0, lease_seconds=5)).task.progress == 1.0
    assert claim(engine) == ["a"]


def test_progress_survives_the_end(engine: Engine) -> None:
    """A completion leaves what the holder has written."""
    id = started(engine, PAIR)
    engine.heartbeat(OWNER, id, Heartbeat("a", progress=0.5))
    assert done(engine, id, "a").task.progress == 0.5
    assert engine.get_task(OWNER, id, "a").progress == 0.5


@pytest.mark.parametrize("how", ["cancel", "fail"])
def test_after_the_end_a_worker_is_told_to_stop(timed: Engine, clock: Clock, how: str) -> None:
    """`cancel_requested` is True and the lease is not prolonged."""
    id = started(timed, {"a": None, "b": {"on-success": "fail"}})
    claim(timed)
    lease = timed.get_task(OWNER, id, "a").lease_expires_at
    if how == "cancel":
        timed.update_execution(OWNER, id, state=ExecutionState.CANCELLED)
    else:
        done(timed, id, "b")
    clock.advance(10)
    answer = timed.heartbeat(OWNER, id, Heartbeat("a", progress=0.9, lease_seconds=600))
    assert answer.cancel_requested
    assert answer.task.lease_expires_at == lease
    assert answer.execution.state == timed.get_execution(OWNER, id).state
    assert answer.execution.output == timed.get_execution(OWNER, id).output


def test_while_suspended_work_goes_on(engine: Engine) -> None:
    """Suspending stops handing out, not what is in flight."""
    id = started(engine, PAIR)
    engine.update_execution(OWNER, id, state=ExecutionState.SUSPENDED)
    answer = engine.heartbeat(OWNER, id, Heartbeat("a", progress=0.1))
    assert (answer.execution.state, answer.cancel_requested) == ("SUSPENDING", False)


def test_runs_beat_apart(engine: Engine) -> None:
    """Each iteration has a progress of its own; without one the newest is meant."""
    id = started(engine, TWICE)
    done(engine, id, "a", "b")
    engine.heartbeat(OWNER, id, Heartbeat("c", progress=0.2))
    engine.heartbeat(OWNER, id, Heartbeat("c", iteration=1, progress=0.1))
    assert [engine.get_task(OWNER, id, "c", iteration).progress for iteration in (1, 2)] == [0.1, 0.2]


def test_refusals(engine: Engine, database: Database) -> None:
    """Too early, over, for another attempt, not there: each by its code, and nothing is written."""
    id = started(engine, DIAMOND)
    engine.complete_task(OWNER, id, success("a"))
    before = history(database, id)
    for beat, error in (
        (Heartbeat("a"), errors.TaskAlreadyCompleted),
        (Heartbeat("b", attempt=2), errors.TaskStaleAttempt),
        (Heartbeat("b", iteration=2), errors.TaskNotFound),
        (Heartbeat("d"), errors.TaskNotRunning),
        (Heartbeat("d", iteration=1), errors.TaskNotRunning),
        (Heartbeat("d", iteration=2), errors.TaskNotFound),
        (Heartbeat("e"), errors.TaskNotFound),
    ):
        with pytest.raises(error):
            engine.heartbeat(OWNER, id, beat)
    with pytest.raises(errors.ExecutionNotFound):
        engine.heartbeat(STRANGER, id, Heartbeat("b"))
    assert history(database, id) == before


def test_a_beat_does_not_touch_the_outcome(engine: Engine) -> None:
    """A beat that comes after the end is refused and the outcome stays."""
    id = started(engine, {"a": None, "b": None})
    ended = engine.complete_task(OWNER, id, failure("a")).task
    with pytest.raises(errors.TaskAlreadyCompleted, match="FAILURE"):
        engine.heartbeat(OWNER, id, Heartbeat("a", progress=0.1))
    assert engine.get_task(OWNER, id, "a") == ended
